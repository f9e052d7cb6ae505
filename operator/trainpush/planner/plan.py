"""The whole decision of one cycle: (snapshot, now) -> Plan.

Same snapshot, same plan, whatever the order of its parts. First everything that needs no place is decided, then the
waiting gangs and the services have their turns, pool by pool; last, those are told who must make room.
"""

from collections import defaultdict
from collections.abc import Container, Iterable, Mapping
from dataclasses import replace
from datetime import datetime

from trainpush.model.gang import Gang
from trainpush.model.plan import Decision, NodeDecision, Plan, PoolSummary, ServiceDecision
from trainpush.model.serving import Service
from trainpush.model.snapshot import Snapshot
from trainpush.model.workload import Job, Key, Refusal
from trainpush.planner import eviction_progress, lifecycle, pools, pushing, reports
from trainpush.planner.allocations import Allocations
from trainpush.planner.diagnostics import verdicts
from trainpush.planner.modes import mode_switch
from trainpush.planner.modes.mode_switch import ModeDecision
from trainpush.planner.pool_cycle import PoolCycle
from trainpush.planner.queue import Precedence, QueueEntry, queue_order
from trainpush.planner.recovery import recovered, recovered_service
from trainpush.planner.rollout import rollout

Cycles = Mapping[str, PoolCycle]


def plan(snapshot: Snapshot, now: datetime) -> Plan:
    """What should happen next. `now` decides on time-outs, delays and ages only."""
    tables = {pool.name: pool.table for pool in snapshot.pools}
    released = {revision.job_uid for service in snapshot.services for revision in service.revisions}
    jobs = {job.key: recovered(job, tables, released, now) for job in sorted(snapshot.jobs, key=lambda job: job.key)}
    found = (recovered_service(service, now) for service in snapshot.services)
    services = {service.key: service for service in sorted(found, key=lambda service: service.key)}
    allocations = Allocations.of(jobs.values(), services.values())
    cycles = {pool.name: PoolCycle(pool, jobs.values(), allocations, now) for pool in snapshot.pools}
    living = [job for job in jobs.values() if not job.deleting]
    stages = {job.key: stage for job in living if (stage := _settled(job, cycles, now))}
    seeking = [job for job in living if job.key not in stages]
    promised = {job.recorded.eviction.by for job in living if job.recorded.eviction and job.recorded.eviction.is_done}
    served = _give_out(seeking, promised, services.values(), cycles, stages, now)
    stages = eviction_progress.progressed(jobs, stages, cycles, now)
    switched = {
        name: mode_switch.decide(cycle.capacity, cycle.quota, allocations, stages, served, now)
        for name, cycle in cycles.items()
    }
    decisions = [_complete(job, stages[job.key], services, now) for job in living]
    for it in switched.values():
        decisions = [mode_switch.on_job(decision, it) for decision in decisions]
        served = [mode_switch.on_service(decision, it) for decision in served]
    return Plan(
        decisions=tuple(sorted(decisions, key=lambda decision: decision.key)),
        pools=tuple(_summary(cycle, switched[name]) for name, cycle in cycles.items()),
        services=tuple(sorted(served, key=lambda decision: decision.key)),
        wake_at=_earliest(decisions, served, cycles.values(), switched.values()),
        nodes=tuple(sorted(_nodes(snapshot, switched.values()), key=lambda decision: decision.name)),
    )


def _summary(cycle: PoolCycle, switched: ModeDecision) -> PoolSummary:
    return replace(pools.summary(cycle.capacity, cycle.quota), modes=switched.summary, acts=switched.acts)


def _nodes(snapshot: Snapshot, switched: Iterable[ModeDecision]) -> Iterable[NodeDecision]:
    return (*mode_switch.orphaned(snapshot), *(decision for it in switched for decision in it.nodes))


def _earliest(*parts: Iterable[Decision | ServiceDecision | PoolCycle | ModeDecision]) -> datetime | None:
    """When to look again although nothing changed."""
    return min((it.wake_at for part in parts for it in part if it.wake_at), default=None)


def _give_out(
    seeking: Iterable[Job],
    promised: Container[str],
    services: Iterable[Service],
    cycles: Cycles,
    stages: dict[Key, Decision],
    now: datetime,
) -> list[ServiceDecision]:
    """Let everybody have a turn: jobs get their decision in `stages`, services theirs in what is returned."""
    waiting: dict[str, list[QueueEntry]] = defaultdict(list)
    served = []
    for job in seeking:
        gang = job.request
        if isinstance(gang, Gang):
            precedence = Precedence.PROMISED if str(job.key) in promised else Precedence.NONE
            waiting[gang.pool].append(QueueEntry(job, gang.of_size(gang.least), precedence))
    for service in services:
        wanted = rollout.wanted(service)
        if service.deleting:
            continue
        if wanted and wanted.gang.pool in cycles:
            is_short = service.stable and len(service.places) < service.replicas
            precedence = Precedence.SERVING if is_short else Precedence.NONE
            waiting[wanted.gang.pool].append(QueueEntry(service, wanted.gang, precedence))
        else:
            served.append(rollout.decide(service, cycles, now))
    for name in sorted(waiting):
        for entry in queue_order(waiting[name], cycles[name].quota, now):
            work = entry.work
            if isinstance(work, Service):
                served.append(rollout.decide(work, cycles, now))
            elif isinstance(work.request, Gang) and (placed := cycles[name].seek(work, work.request)):
                stages[work.key] = placed
        stages |= cycles[name].explained()
    return served


def _complete(job: Job, decision: Decision, services: Mapping[Key, Service], now: datetime) -> Decision:
    """The decision with what it says whatever the stage: what the program told, and what becomes of its model."""
    refusal = job.request if isinstance(job.request, Refusal) and not job.recorded.outcome else None
    heard, checkpoint = reports.progress(job, now), reports.checkpoint(job, now)
    if not (refusal or job.push or heard or checkpoint):
        return decision
    push, acts = pushing.push(job, services)
    return replace(
        decision,
        record=replace(decision.record, heard=heard, checkpoint=checkpoint),
        refusal=refusal,
        wake_at=min(filter(None, (decision.wake_at, reports.wake_at(job, now))), default=None),
        push=push,
        acts=(*decision.acts, *acts),
    )


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
    if placement and (cycle is None or cycle.stands(job, gang, placement)):
        return lifecycle.holding(job, gang, placement, now)
    if job.recorded.hold_until and now < job.recorded.hold_until:
        said = job.recorded.last.message if job.recorded.last else "the last place could not be used"
        until = job.recorded.hold_until
        return lifecycle.queued(job, verdicts.held_back(said, until), until, job.recorded.queued_at)
    return None
