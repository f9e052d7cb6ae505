"""What the status of a pool shows."""

import numpy as np

from trainpush.model.nodes import HOST
from trainpush.model.plan import PoolSummary, TeamUse
from trainpush.planner.feasibility.domains import sums
from trainpush.planner.modes.mode_switch import ModeDecision
from trainpush.planner.placing.free_capacity import FreeCapacity
from trainpush.planner.quota import QuotaUsage


def summary(capacity: FreeCapacity, quota: QuotaUsage, modes: ModeDecision) -> PoolSummary:
    """Counts of nodes and accelerators; accelerators of a node that is not ready or cordoned are unavailable."""
    pool, table, used = capacity.pool, capacity.pool.table, capacity.used
    rows = [i for i, resource in enumerate(table.resources) if resource in pool.accelerators]
    usable = table.ready & ~table.cordoned
    total = table.allocatable[rows].sum(axis=0) // 1000
    taken = np.minimum(used[rows].sum(axis=0) // 1000, total)
    free = np.where(usable, total - taken, 0)
    return PoolSummary(
        name=pool.name,
        nodes=len(table.names),
        ready=int(usable.sum()),
        cordoned=int(table.cordoned.sum()),
        not_ready=int((~table.ready).sum()),
        total=int(total.sum()),
        used=int(taken.sum()),
        free=int(free.sum()),
        unavailable=int((total - taken - free).sum()),
        largest_free={
            level.alias: int(sums(free, level.starts).max(initial=0))
            for level in table.levels[1:]
            if level.alias != HOST or len(table.names)
        },
        shared_nodes=pool.shared_nodes,
        unlabelled_nodes=pool.unlabelled_nodes,
        teams=tuple(
            TeamUse(team.name, resource, quota.used(team.name, resource), share.guarantee, share.limit)
            for team in sorted(pool.quotas, key=lambda team: team.name)
            for resource, share in sorted(team.shares.items())
        ),
        modes=modes.summary,
        actions=modes.actions,
    )
