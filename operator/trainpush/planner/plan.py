"""The whole decision of one cycle: (snapshot, now) -> Plan.

Same snapshot, same plan, whatever the order of its parts. First everything that needs no place is decided, then the
waiting gangs and the services have their turns, pool by pool; last, those are told who must make room.
"""

from collections import defaultdict
from collections.abc import Container, Iterable, Mapping
from dataclasses import replace
from datetime import datetime

from trainpush.model.plan import Decision, Plan, ServiceDecision, Stage
from trainpush.model.serving import Service
from trainpush.model.snapshot import Snapshot
from trainpush.model.workload import Eviction, Gang, Job, Key, Refusal
from trainpush.planner import lifecycle, pools, pushing, serving
from trainpush.planner.adoption import adopted
from trainpush.planner.explaining import verdicts
from trainpush.planner.placing.placement import domain_of
from trainpush.planner.queue import Precedence, Turn, turns
from trainpush.planner.round import Round

Rounds = Mapping[str, Round]
Stages = dict[Key, Decision]


def plan(snapshot: Snapshot, now: datetime) -> Plan:
    """What should happen next. `now` decides on time-outs, delays and ages only."""
    tables = {pool.name: pool.table for pool in snapshot.pools}
    released = {revision.job_uid for service in snapshot.services for revision in service.revisions}
    jobs = {job.key: adopted(job, tables, released, now) for job in sorted(snapshot.jobs, key=lambda job: job.key)}
    services = {service.key: service for service in sorted(snapshot.services, key=lambda service: service.key)}
    rounds = {pool.name: Round(pool, jobs.values(), services.values(), now) for pool in snapshot.pools}
    living = [job for job in jobs.values() if not job.deleting]
    stages = {job.key: stage for job in living if (stage := _settled(job, rounds, now))}
    asking = [job for job in living if job.key not in stages]
    promised = {job.recorded.eviction.by for job in living if job.recorded.eviction and job.recorded.eviction.is_done}
    served = _give_out(asking, promised, services.values(), rounds, stages, now)
    for round_ in rounds.values():
        stages |= _yielding(jobs, stages, round_, now)
    stages |= _promised(jobs, stages)
    decisions = [_pushing(job, stages[job.key], services) for job in living]
    return Plan(
        decisions=tuple(sorted(decisions, key=lambda decision: decision.key)),
        pools=tuple(pools.summary(round_.ground, round_.accounts) for round_ in rounds.values()),
        services=tuple(sorted(served, key=lambda decision: decision.key)),
        wake_at=min(filter(None, (*(d.wake_at for d in decisions), *(s.wake_at for s in served))), default=None),
    )


def _give_out(
    asking: Iterable[Job],
    promised: Container[str],
    services: Iterable[Service],
    rounds: Rounds,
    stages: dict[Key, Decision],
    now: datetime,
) -> list[ServiceDecision]:
    """Let everybody have a turn: jobs get their decision in `stages`, services theirs in what is returned."""
    waiting: dict[str, list[Turn]] = defaultdict(list)
    served = []
    for job in asking:
        gang = job.request
        if isinstance(gang, Gang):
            precedence = Precedence.PROMISED if str(job.key) in promised else Precedence.NONE
            waiting[gang.pool].append(Turn(job, gang.of_size(gang.least), precedence))
    for service in services:
        wanted = serving.wanted(service)
        if service.deleting:
            continue
        if wanted and wanted.gang.pool in rounds:
            is_short = service.stable and len(service.places) < service.replicas
            precedence = Precedence.SERVING if is_short else Precedence.NONE
            waiting[wanted.gang.pool].append(Turn(service, wanted.gang, precedence))
        else:
            served.append(serving.decide(service, rounds, now))
    for name in sorted(waiting):
        for turn in turns(waiting[name], rounds[name].accounts, now):
            work = turn.work
            if isinstance(work, Service):
                served.append(serving.decide(work, rounds, now))
            elif isinstance(work.request, Gang) and (placed := rounds[name].seek(work, work.request)):
                stages[work.key] = placed
        stages |= rounds[name].explained()
    return served


def _pushing(job: Job, decision: Decision, services: Mapping[Key, Service]) -> Decision:
    refusal = job.request if isinstance(job.request, Refusal) and not job.recorded.outcome else None
    if not refusal and not job.push:
        return decision
    push, acts = pushing.push(job, services)
    return replace(decision, refusal=refusal, push=push, acts=(*decision.acts, *acts))


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
    """Who must make room: told in one cycle, carried out in a later one that wants the same of all who were told."""
    found = {}
    wanted = round_.evictions.wanted
    untold = {eviction.by for key, eviction in wanted.items() if not _is_told(jobs[key], eviction)}
    for key, eviction in wanted.items():
        if _stands(jobs[key], stages[key]):
            is_due = eviction.by not in untold
            found[key] = (
                _evicted(jobs[key], eviction, round_, now) if is_due else replace(stages[key], eviction=eviction)
            )
    return found


def _is_told(job: Job, eviction: Eviction) -> bool:
    told = job.recorded.eviction
    return told is not None and not told.is_done and (told.by, told.workers) == (eviction.by, eviction.workers)


def _stands(job: Job, stage: Decision) -> bool:
    """Whether the gang goes on as it is recorded: one that ended or failed meanwhile makes room by itself."""
    recorded = job.recorded
    kept = (recorded.attempt, recorded.placement, recorded.outcome)
    return kept == (stage.attempt, stage.placement, stage.outcome)


def _evicted(job: Job, eviction: Eviction, round_: Round, now: datetime) -> Decision:
    placement, gang = job.recorded.placement, job.request
    if not eviction.workers or placement is None or not isinstance(gang, Gang):
        return lifecycle.evicted(job, eviction)
    nodes = placement.nodes[: eviction.workers]
    level, domain = domain_of(gang, round_.ground.pool.table, nodes)
    return lifecycle.shrunk(job, replace(placement, nodes=nodes, level=level, domain=domain, since=now), eviction)


def _promised(jobs: Mapping[Key, Job], stages: Mapping[Key, Decision]) -> Stages:
    """Victims go on telling for whom they made room, as long as that one waits for it."""
    waiting = {str(key) for key, stage in stages.items() if stage.stage is Stage.QUEUED}
    return {
        key: replace(stage, eviction=told)
        for key, stage in stages.items()
        if (told := jobs[key].recorded.eviction) and told.is_done and not stage.eviction and told.by in waiting
    }
