"""The whole decision of one cycle: (snapshot, now) -> Plan.

Same snapshot, same plan, whatever the order of its parts. First everything that needs no place is decided, then the
waiting gangs and the services have their turns, pool by pool; last, those are told who must make room.
"""

from collections import defaultdict
from collections.abc import Container, Iterable, Mapping
from dataclasses import replace
from datetime import datetime

from trainpush.model.gang import Gang
from trainpush.model.plan import Decision, NodeDecision, Plan, PoolSummary, ServiceDecision, Stage
from trainpush.model.serving import Service
from trainpush.model.snapshot import Snapshot
from trainpush.model.workload import Eviction, Job, Key, Refusal
from trainpush.planner import asking, lifecycle, pools, pushing, reports
from trainpush.planner.adoption import adopted, adopted_service
from trainpush.planner.allocations import Allocations
from trainpush.planner.diagnostics import verdicts
from trainpush.planner.modes import mode_switch
from trainpush.planner.modes.mode_switch import ModeDecision
from trainpush.planner.queue import Precedence, Turn, turns
from trainpush.planner.rollout import rollout
from trainpush.planner.round import Round

Rounds = Mapping[str, Round]
Stages = dict[Key, Decision]


def plan(snapshot: Snapshot, now: datetime) -> Plan:
    """What should happen next. `now` decides on time-outs, delays and ages only."""
    tables = {pool.name: pool.table for pool in snapshot.pools}
    released = {revision.job_uid for service in snapshot.services for revision in service.revisions}
    jobs = {job.key: adopted(job, tables, released, now) for job in sorted(snapshot.jobs, key=lambda job: job.key)}
    found = (adopted_service(service, now) for service in snapshot.services)
    services = {service.key: service for service in sorted(found, key=lambda service: service.key)}
    allocations = Allocations.of(jobs.values(), services.values())
    rounds = {pool.name: Round(pool, jobs.values(), allocations, now) for pool in snapshot.pools}
    living = [job for job in jobs.values() if not job.deleting]
    stages = {job.key: stage for job in living if (stage := _settled(job, rounds, now))}
    seeking = [job for job in living if job.key not in stages]
    promised = {job.recorded.eviction.by for job in living if job.recorded.eviction and job.recorded.eviction.is_done}
    served = _give_out(seeking, promised, services.values(), rounds, stages, now)
    stages = {key: _with_eviction(stage, None) for key, stage in stages.items()}
    for round_ in rounds.values():
        stages |= _yielding(jobs, stages, round_, now)
    stages |= _promised(jobs, stages)
    switched = {
        name: mode_switch.decide(round_.ground, round_.accounts, allocations, stages, served, now)
        for name, round_ in rounds.items()
    }
    decisions = [_complete(job, stages[job.key], services, now) for job in living]
    for it in switched.values():
        decisions = [mode_switch.on_job(decision, it) for decision in decisions]
        served = [mode_switch.on_service(decision, it) for decision in served]
    return Plan(
        decisions=tuple(sorted(decisions, key=lambda decision: decision.key)),
        pools=tuple(_summary(round_, switched[name]) for name, round_ in rounds.items()),
        services=tuple(sorted(served, key=lambda decision: decision.key)),
        wake_at=_earliest(decisions, served, rounds.values(), switched.values()),
        nodes=tuple(sorted(_nodes(snapshot, switched.values()), key=lambda decision: decision.name)),
    )


def _summary(round_: Round, switched: ModeDecision) -> PoolSummary:
    return replace(pools.summary(round_.ground, round_.accounts), modes=switched.summary, acts=switched.acts)


def _nodes(snapshot: Snapshot, switched: Iterable[ModeDecision]) -> Iterable[NodeDecision]:
    return (*mode_switch.orphaned(snapshot), *(decision for it in switched for decision in it.nodes))


def _earliest(*parts: Iterable[Decision | ServiceDecision | Round | ModeDecision]) -> datetime | None:
    """When to look again although nothing changed."""
    return min((it.wake_at for part in parts for it in part if it.wake_at), default=None)


def _give_out(
    seeking: Iterable[Job],
    promised: Container[str],
    services: Iterable[Service],
    rounds: Rounds,
    stages: dict[Key, Decision],
    now: datetime,
) -> list[ServiceDecision]:
    """Let everybody have a turn: jobs get their decision in `stages`, services theirs in what is returned."""
    waiting: dict[str, list[Turn]] = defaultdict(list)
    served = []
    for job in seeking:
        gang = job.request
        if isinstance(gang, Gang):
            precedence = Precedence.PROMISED if str(job.key) in promised else Precedence.NONE
            waiting[gang.pool].append(Turn(job, gang.of_size(gang.least), precedence))
    for service in services:
        wanted = rollout.wanted(service)
        if service.deleting:
            continue
        if wanted and wanted.gang.pool in rounds:
            is_short = service.stable and len(service.places) < service.replicas
            precedence = Precedence.SERVING if is_short else Precedence.NONE
            waiting[wanted.gang.pool].append(Turn(service, wanted.gang, precedence))
        else:
            served.append(rollout.decide(service, rounds, now))
    for name in sorted(waiting):
        for turn in turns(waiting[name], rounds[name].accounts, now):
            work = turn.work
            if isinstance(work, Service):
                served.append(rollout.decide(work, rounds, now))
            elif isinstance(work.request, Gang) and (placed := rounds[name].seek(work, work.request)):
                stages[work.key] = placed
        stages |= rounds[name].explained()
    return served


def _complete(job: Job, decision: Decision, services: Mapping[Key, Service], now: datetime) -> Decision:
    """The decision with what it says whatever the stage: what the program told, and what becomes of its model."""
    refusal = job.request if isinstance(job.request, Refusal) and not job.recorded.outcome else None
    push, acts = pushing.push(job, services)
    return replace(
        decision,
        record=replace(decision.record, heard=reports.progress(job, now), checkpoint=reports.checkpoint(job, now)),
        refusal=refusal,
        wake_at=min(filter(None, (decision.wake_at, reports.wake_at(job, now))), default=None),
        push=push,
        acts=(*decision.acts, *acts),
    )


def _settled(job: Job, rounds: Rounds, now: datetime) -> Decision | None:
    """What becomes of a job that looks for no place; None for one that does."""
    if job.recorded.outcome:
        return lifecycle.ended(job)
    if job.suspend and not lifecycle.has_succeeded(job):
        return lifecycle.suspended(job)
    match job.request:
        case Refusal() as refusal:
            return lifecycle.stranded(job, refusal) if job.recorded.placement else lifecycle.refused(job, refusal)
        case Gang() as gang:
            return _settled_gang(job, gang, rounds.get(gang.pool), now)


def _settled_gang(job: Job, gang: Gang, round_: Round | None, now: datetime) -> Decision | None:
    placement = job.recorded.placement
    if placement and (round_ is None or round_.stands(job, gang, placement)):
        return lifecycle.holding(job, gang, placement, now)
    if job.recorded.hold_until and now < job.recorded.hold_until:
        said = job.recorded.last.message if job.recorded.last else "the last place could not be used"
        until = job.recorded.hold_until
        return lifecycle.queued(job, verdicts.held_back(said, until), until, job.recorded.queued_at)
    return None


def _yielding(jobs: Mapping[Key, Job], stages: Mapping[Key, Decision], round_: Round, now: datetime) -> Stages:
    """What is taken from gangs: told in one cycle; when a later one wants the same of all who were told, asked for.

    It is carried out when the program has saved, or its time is over. Whoever has saved for it goes in any case.
    """
    found = {}
    wanted = round_.wanted()
    untold = {eviction.by for key, eviction in wanted.items() if not _told(jobs[key], eviction)}
    for key, eviction in {**wanted, **_answered(jobs, round_)}.items():
        job, stage = jobs[key], stages[key]
        told = _told(job, eviction)
        if not _stands(job, stage):
            continue
        if told is None or (eviction.by in untold and not told.is_answered):
            found[key] = _with_eviction(stage, told or eviction)
        elif asking.is_due(job, told, now) or round_.is_forced(job):
            lost = 0 if told.is_answered else eviction.lost
            found[key] = _evicted(job, replace(told, message=eviction.message, lost=lost), round_)
        else:
            found[key] = _asked(job, stage, told, now)
    return found


def _told(job: Job, eviction: Eviction) -> Eviction | None:
    """What was told of this eviction before; None if it is news."""
    told = job.recorded.eviction
    if told is None or told.is_done or (told.by, told.workers) != (eviction.by, eviction.workers):
        return None
    return told


def _answered(jobs: Mapping[Key, Job], round_: Round) -> dict[Key, Eviction]:
    """What was told to those whose program has saved since, and waits."""
    return {
        key: told
        for key, job in jobs.items()
        if (told := job.recorded.eviction)
        and told.is_final
        and isinstance(job.request, Gang)
        and job.request.pool == round_.ground.pool.name
    }


def _asked(job: Job, stage: Decision, told: Eviction, now: datetime) -> Decision:
    eviction = asking.asked(job, told, now)
    wake_at = min(filter(None, (stage.wake_at, asking.wake_at(eviction))), default=None)
    return replace(_with_eviction(stage, eviction), wake_at=wake_at)


def _stands(job: Job, stage: Decision) -> bool:
    """Whether the gang goes on as it is recorded: one that ended or failed meanwhile makes room by itself."""
    old, new = job.recorded, stage.record
    return (old.attempt, old.placement, old.outcome) == (new.attempt, new.placement, new.outcome)


def _evicted(job: Job, eviction: Eviction, round_: Round) -> Decision:
    placement, gang = job.recorded.placement, job.request
    if not eviction.workers or placement is None or not isinstance(gang, Gang):
        return lifecycle.evicted(job, eviction)
    return round_.resized(job, gang, placement, eviction)


def _promised(jobs: Mapping[Key, Job], stages: Mapping[Key, Decision]) -> Stages:
    """Victims go on telling for whom they made room, as long as that one waits for it."""
    waiting = {str(key) for key, stage in stages.items() if stage.stage is Stage.QUEUED}
    return {
        key: _with_eviction(stage, told)
        for key, stage in stages.items()
        if (told := jobs[key].recorded.eviction) and told.is_done and not stage.record.eviction and told.by in waiting
    }


def _with_eviction(stage: Decision, eviction: Eviction | None) -> Decision:
    return replace(stage, record=replace(stage.record, eviction=eviction))
