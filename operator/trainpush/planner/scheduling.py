"""Who gets a place in this cycle: after those that need none, pool by pool, all that wait in the order of the queue."""

from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping
from datetime import datetime

from trainpush.model.gang import Gang
from trainpush.model.plan import Decision, ServiceDecision
from trainpush.model.serving import Service
from trainpush.model.workload import Job, Key, Refusal
from trainpush.planner import lifecycle
from trainpush.planner.pool_cycle import PoolCycle
from trainpush.planner.queue import Precedence, QueueEntry, queue_order
from trainpush.planner.rollout import rollout

Cycles = Mapping[str, PoolCycle]


def schedule(
    jobs: Collection[Job], services: Iterable[Service], cycles: Cycles, now: datetime
) -> tuple[dict[Key, Decision], list[ServiceDecision]]:
    """What becomes of jobs and services, none of which is being deleted, once everybody had a turn."""
    stages = settled(jobs, cycles, now)
    promised = {job.recorded.eviction.by for job in jobs if job.recorded.eviction and job.recorded.eviction.is_done}
    served: list[ServiceDecision] = []
    waiting: dict[str, list[QueueEntry]] = defaultdict(list)
    for job in jobs:
        if job.key not in stages and isinstance(job.request, Gang):
            precedence = Precedence.PROMISED if promised and str(job.key) in promised else Precedence.NONE
            entry = QueueEntry(job, job.request.of_size(job.request.least), precedence)
            waiting[job.request.pool].append(entry)
    for service in services:
        wanted = rollout.wanted(service)
        if wanted and wanted.gang.pool in cycles:
            is_short = service.stable and len(service.places) < service.replicas
            precedence = Precedence.SERVING if is_short else Precedence.NONE
            waiting[wanted.gang.pool].append(QueueEntry(service, wanted.gang, precedence))
        else:
            served.append(rollout.decide(service, cycles, now))
    for name in sorted(waiting):
        cycle = cycles[name]
        cycle.claimants |= _claimants(waiting[name], cycle)
        for entry in queue_order(waiting[name], cycle.quota, now):
            work = entry.work
            if isinstance(work, Service):
                served.append(rollout.decide(work, cycles, now))
            elif isinstance(work.request, Gang) and (placed := cycle.place(work, work.request)):
                stages[work.key] = placed
        stages |= cycle.enlarged()
        stages |= cycle.explained()
    return stages, served


def _claimants(waiting: Iterable[QueueEntry], cycle: PoolCycle) -> set[str]:
    """The teams of which a gang waits that stays within what its team is guaranteed."""
    quota = cycle.quota
    if not quota.pool.quotas:
        return set()
    asked = {(entry.work.key.namespace, entry.gang) for entry in waiting if isinstance(entry.work, Job)}
    return {quota.team_of(space) for space, gang in asked if quota.is_within_guarantee(space, gang)}


def settled(jobs: Iterable[Job], cycles: Cycles, now: datetime) -> dict[Key, Decision]:
    """What becomes of those of the jobs that look for no place."""
    return {job.key: stage for job in jobs if (stage := _settled(job, cycles, now))}


def _settled(job: Job, cycles: Cycles, now: datetime) -> Decision | None:
    """What becomes of a job that looks for no place; None for one that does."""
    if job.recorded.outcome:
        return lifecycle.ended(job)
    if job.suspend and not lifecycle.has_succeeded(job):
        return lifecycle.suspended(job)
    match job.request:
        case Refusal() as refusal:
            return lifecycle.stranded(job, refusal) if job.recorded.placement else lifecycle.refused(job, refusal)
        case Gang() as gang:
            return _settled_gang(job, gang, cycles.get(gang.pool), now)


def _settled_gang(job: Job, gang: Gang, cycle: PoolCycle | None, now: datetime) -> Decision | None:
    placement = job.recorded.placement
    if placement and cycle is None:
        return lifecycle.holding(job, gang, placement, now)
    if placement and cycle and cycle.keeps(job, gang, placement):
        return cycle.held(job, gang, placement)
    return lifecycle.held_back(job, now)
