"""The whole decision of one cycle: (snapshot, now) -> Plan.

Same snapshot, same plan, whatever the order of its parts. Gangs and replicas are placed first come, first served;
what does not fit lets later ones pass.
"""

from collections.abc import Mapping
from dataclasses import replace
from datetime import datetime

from trainpush.model.plan import Decision, Plan, ServiceDecision, Verdict
from trainpush.model.reasons import Reason
from trainpush.model.serving import Service
from trainpush.model.snapshot import Snapshot
from trainpush.model.workload import Gang, Job, Key, Placement, Refusal
from trainpush.planner import ledger, lifecycle, pools, pushing, serving
from trainpush.planner.adoption import adopted
from trainpush.planner.capacity import Hindrance
from trainpush.planner.ground import Ground

Grounds = Mapping[str, Ground]


def plan(snapshot: Snapshot, now: datetime) -> Plan:
    """What should happen next. `now` decides on time-outs and delays only."""
    tables = {pool.name: pool.table for pool in snapshot.pools}
    released = {revision.job_uid for service in snapshot.services for revision in service.revisions}
    jobs = [adopted(job, tables, released, now) for job in snapshot.jobs]
    used = {pool.name: ledger.used_amounts(pool.table, jobs, snapshot.services) for pool in snapshot.pools}
    grounds = {pool.name: Ground(pool, used[pool.name]) for pool in snapshot.pools}
    services = {service.key: service for service in snapshot.services}
    decisions: list[Decision] = []
    served: list[ServiceDecision] = []
    works: list[Job | Service] = [*jobs, *services.values()]
    for work in sorted(works, key=lambda work: (work.created_at, work.key, work.uid)):
        if work.deleting:
            continue
        match work:
            case Job():
                decisions.append(_decide(work, grounds, services, now))
            case Service():
                served.append(serving.decide(work, grounds, now))
    return Plan(
        decisions=tuple(sorted(decisions, key=lambda decision: decision.key)),
        pools=tuple(pools.summary(ground.pool, ground.used) for ground in grounds.values()),
        services=tuple(sorted(served, key=lambda decision: decision.key)),
        wake_at=min(filter(None, (*(d.wake_at for d in decisions), *(s.wake_at for s in served))), default=None),
    )


def _decide(job: Job, grounds: Grounds, services: Mapping[Key, Service], now: datetime) -> Decision:
    refusal = job.request if isinstance(job.request, Refusal) and not job.recorded.outcome else None
    decision = _stage(job, grounds, now)
    push, acts = pushing.push(job, services)
    return replace(decision, refusal=refusal, push=push, acts=(*decision.acts, *acts))


def _stage(job: Job, grounds: Grounds, now: datetime) -> Decision:
    if job.recorded.outcome:
        return lifecycle.ended(job)
    if job.suspend and not lifecycle.has_succeeded(job):
        return lifecycle.suspended(job)
    match job.request:
        case Refusal() as refusal:
            return lifecycle.stranded(job, refusal) if job.recorded.placement else lifecycle.refused(job, refusal)
        case Gang() as gang:
            return _decide_gang(job, gang, grounds, now)


def _decide_gang(job: Job, gang: Gang, grounds: Grounds, now: datetime) -> Decision:
    placement = job.recorded.placement
    if placement and not _lost_ground(job, gang, placement, grounds):
        return lifecycle.holding(job, gang, placement, now)
    if job.recorded.hold_until and now < job.recorded.hold_until:
        last = job.recorded.last or Refusal(Reason.BIND_TIMEOUT, "")
        return lifecycle.queued(job, Verdict(last.reason, last.message), job.recorded.hold_until)
    return _find_place(job, gang, grounds[gang.pool], now)


def _lost_ground(job: Job, gang: Gang, placement: Placement, grounds: Grounds) -> bool:
    """Whether an attempt that has no pod yet was given a node that takes no pods any more."""
    if any(worker.attempt == job.recorded.attempt for worker in job.workers) or job.recorded.has_run:
        return False
    if gang.pool not in grounds:
        return False
    ground = grounds[gang.pool]
    return any(ground.hindrance_of(gang, node) != Hindrance.NONE for node in set(placement.nodes))


def _find_place(job: Job, gang: Gang, ground: Ground, now: datetime) -> Decision:
    if job.recorded.placement:
        ground.leave(gang, job.recorded.placement.nodes)
    site = ground.seat(gang)
    if site is None:
        return lifecycle.queued(job, ground.waiting(gang))
    nodes = site.nodes(ground.pool.table)
    return lifecycle.placed(job, gang, Placement(nodes=nodes, level=site.level, domain=site.domain, since=now))
