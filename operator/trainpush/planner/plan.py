"""The whole decision of one cycle: (snapshot, now) -> Plan.

Same snapshot, same plan, whatever the order of its parts, and whatever is remembered of the plan before.
"""

from datetime import datetime

from trainpush.model.plan import Plan
from trainpush.model.snapshot import Snapshot
from trainpush.planner import eviction_progress, outages, pools, pushing, scheduling
from trainpush.planner.memory import Memory
from trainpush.planner.modes import mode_switch
from trainpush.planner.placing.free_capacity import FreeCapacity
from trainpush.planner.pool_cycle import PoolCycle
from trainpush.planner.quota import QuotaUsage


def plan(snapshot: Snapshot, now: datetime, memory: Memory | None = None) -> Plan:
    """What should happen next. `now` decides on time-outs, delays and ages only; `memory` only spares work."""
    # 1. What is known, where a status was lost from what is there; and of whom more is to be asked than memory says.
    memory = memory or Memory()
    asked = memory.take(snapshot, now)
    # 2. Who holds what, and so what each pool has to give, and each team may have.
    allocations = memory.allocations
    jobs, services = allocations.jobs, allocations.services
    cycles = {}
    for pool in snapshot.pools:
        capacity = FreeCapacity(pool, allocations.used(pool), allocations.coming(pool, now))
        quota = QuotaUsage(pool, allocations.charged(pool.name))
        cycles[pool.name] = PoolCycle(capacity, quota, allocations, now)
    # 3. Everybody has a turn.
    living = [job for job in asked.values() if not job.deleting]
    serving = [service for service in services.values() if not service.deleting]
    stages, served = scheduling.schedule(living, serving, cycles, now)
    # 4. Those who must make room come a step further.
    wanted = {key: eviction for cycle in cycles.values() for key, eviction in cycle.wanted().items()}
    stages |= scheduling.settled((jobs[key] for key in wanted.keys() - stages.keys()), cycles, now)
    stages = eviction_progress.progressed(jobs, stages, wanted, cycles, now)
    # 5. Whatever the stage, it is told which nodes are silent, what programs said, and what becomes of their models.
    stages = {key: outages.told(stage, jobs[key].workers, now) for key, stage in stages.items()}
    fresh = {key: pushing.completed(jobs[key], stage, services, now) for key, stage in stages.items()}
    decisions = memory.keep(asked, fresh)
    # 6. Nodes change their mode for those who found no room, and these are told.
    modes = {
        name: mode_switch.decide(cycle.capacity, cycle.quota, allocations, decisions, served, now)
        for name, cycle in cycles.items()
    }
    for decided in modes.values():
        decisions = decisions.changed(mode_switch.on_jobs(decisions, decided))
        served = [mode_switch.on_service(decision, decided) for decision in served]
    nodes = mode_switch.on_nodes(snapshot, modes.values())
    resizing = (cycle.resizing for cycle in cycles.values())
    due = (it.wake_at for part in (fresh.values(), served, resizing, modes.values()) for it in part)
    return Plan(
        decisions=decisions,
        nodes=tuple(sorted(nodes, key=lambda decision: decision.name)),
        pools=tuple(pools.summary(cycle.capacity, cycle.quota, modes[name]) for name, cycle in cycles.items()),
        services=tuple(sorted(served, key=lambda decision: decision.key)),
        wake_at=min(filter(None, (*due, *allocations.due(snapshot.pools, now), *memory.due.values())), default=None),
    )
