"""The whole decision of one cycle: (snapshot, now) -> Plan.

Same snapshot, same plan, whatever the order of its parts.
"""

from datetime import datetime

from trainpush.model.plan import Plan
from trainpush.model.snapshot import Snapshot
from trainpush.planner import eviction_progress, pools, pushing, recovery, scheduling
from trainpush.planner.allocations import Allocations
from trainpush.planner.modes import mode_switch
from trainpush.planner.placing.free_capacity import FreeCapacity
from trainpush.planner.pool_cycle import PoolCycle
from trainpush.planner.quota import QuotaUsage


def plan(snapshot: Snapshot, now: datetime) -> Plan:
    """What should happen next. `now` decides on time-outs, delays and ages only."""
    # 1. What is known, where a status was lost from what is there.
    jobs, services = recovery.recovered(snapshot, now)
    living = [job for job in jobs.values() if not job.deleting]
    # 2. Who holds what, and so what each pool has to give, and each team may have.
    allocations = Allocations.of(jobs.values(), services.values())
    cycles = {}
    for pool in snapshot.pools:
        capacity = FreeCapacity(pool, *allocations.amounts(pool.table))
        cycles[pool.name] = PoolCycle(capacity, QuotaUsage(pool, allocations.held), allocations, now)
    # 3. Everybody has a turn.
    serving = [service for service in services.values() if not service.deleting]
    stages, served = scheduling.schedule(living, serving, cycles, now)
    # 4. Those who must make room come a step further.
    stages = eviction_progress.progressed(jobs, stages, cycles, now)
    # 5. What programs said is told whatever the stage, and what becomes of their models.
    decisions = [pushing.completed(job, stages[job.key], services, now) for job in living]
    # 6. Nodes change their mode for those who found no room, and these are told.
    modes = {
        name: mode_switch.decide(cycle.capacity, cycle.quota, allocations, stages, served, now)
        for name, cycle in cycles.items()
    }
    for decided in modes.values():
        decisions = [mode_switch.on_job(decision, decided) for decision in decisions]
        served = [mode_switch.on_service(decision, decided) for decision in served]
    nodes = mode_switch.on_nodes(snapshot, modes.values())
    resizing = (cycle.resizing for cycle in cycles.values())
    due = (it.wake_at for part in (decisions, served, resizing, modes.values()) for it in part)
    return Plan(
        decisions=tuple(sorted(decisions, key=lambda decision: decision.key)),
        nodes=tuple(sorted(nodes, key=lambda decision: decision.name)),
        pools=tuple(pools.summary(cycle.capacity, cycle.quota, modes[name]) for name, cycle in cycles.items()),
        services=tuple(sorted(served, key=lambda decision: decision.key)),
        wake_at=min(filter(None, due), default=None),
    )
