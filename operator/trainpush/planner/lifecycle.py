"""What becomes of one job that needs no new place: the story of a gang from its pods to its end.

A gang is whole or it is nothing: a worker that fails, vanishes, is being deleted or is cut off ends the attempt,
and the next one begins when no pod of the old one lives any more, but for those that are cut off.
"""

from collections.abc import Iterable, Sequence
from dataclasses import replace
from datetime import datetime, timedelta

from trainpush.model.actions import ForgetPod, JobAction, MakeBelongings, MakeWorker, RemoveWorker
from trainpush.model.gang import Gang
from trainpush.model.plan import Decision, Stage, Verdict
from trainpush.model.reasons import Reason
from trainpush.model.wording import count, share, verb
from trainpush.model.workload import (
    Eviction,
    EvictionStep,
    Job,
    Outcome,
    Phase,
    Placement,
    Recorded,
    Refusal,
    Worker,
)
from trainpush.planner import outages, reports, retries
from trainpush.planner.diagnostics import verdicts
from trainpush.planner.outages import Pod
from trainpush.planner.retries import Start

RESTART_DELAY = timedelta(seconds=5)
"""Wait before the second restart; doubles with each further one."""
RESTART_DELAY_MAX = timedelta(minutes=5)
_TIME_TO_BIND = retries.BIND_TIMEOUT / 2
"""What is left at least to a pod that is made late."""
_HOPEFUL = {
    Reason.WAITING_FOR_CAPACITY,
    Reason.WAITING_FOR_PREEMPTION,
    Reason.BEHIND_HIGHER_PRIORITY,
    Reason.WAITING_FOR_QUOTA,
}
"""Why a gang waits that will have its turn; all other reasons need somebody to change something."""


def ended(job: Job) -> Decision:
    """A job that is over stays as it is; its finished pods stay for their logs, where nothing in them goes on."""
    stage = Stage.COMPLETE if job.recorded.outcome is Outcome.COMPLETE else Stage.FAILED
    if stage is Stage.COMPLETE:
        verdict = Verdict(Reason.COMPLETED, "every worker ended with success")
    else:
        last = job.recorded.last or Refusal(Reason.MAX_RESTARTS_EXCEEDED, "the job gave up")
        verdict = Verdict(last.reason, last.message)
    actions = _removals(worker for worker in job.workers if worker.must_be_ended)
    return Decision(job.key, job.recorded, stage, verdict, actions=actions)


def suspended(job: Job) -> Decision:
    """All pods go, and the place with them."""
    actions = _removals(job.workers)
    return Decision(job.key, job.recorded.unplaced(), Stage.SUSPENDED, verdicts.suspended(), actions=actions)


def refused(job: Job, refusal: Refusal) -> Decision:
    """The request cannot be taken; whatever is left of earlier attempts goes."""
    verdict = Verdict(refusal.reason, refusal.message)
    return Decision(job.key, job.recorded.unplaced(), Stage.REFUSED, verdict, actions=_removals(job.workers))


def stranded(job: Job, refusal: Refusal) -> Decision:
    """What runs goes on running, although this version cannot make sense of its spec; no pod is made or deleted."""
    running = sum(w.phase is Phase.RUNNING and w.attempt == job.recorded.attempt for w in job.workers)
    stage = Stage.RUNNING if job.recorded.has_run else Stage.STARTING
    return Decision(job.key, job.recorded, stage, Verdict(refusal.reason, refusal.message), running)


def queued(job: Job, verdict: Verdict, wake_at: datetime | None = None, queued_at: datetime | None = None) -> Decision:
    """The gang waits for a place, in the queue since `queued_at`."""
    actions = _removals(_stale(job, job.recorded.attempt + 1))
    return Decision(job.key, job.recorded.unplaced(queued_at), Stage.QUEUED, verdict, actions=actions, wake_at=wake_at)


def waiting(job: Job, verdict: Verdict, now: datetime, wake_at: datetime | None = None) -> Decision:
    """The gang had its turn and found no place. Its time in the queue counts only while waiting can help."""
    return queued(job, verdict, wake_at, (job.recorded.queued_at or now) if is_hopeful(verdict) else None)


def waiting_in_place(job: Job, placement: Placement, verdict: Verdict, wake_at: datetime | None) -> Decision:
    """The gang lost nodes before its pods were made, and keeps the others; for those that it lacks it waits."""
    record = replace(job.recorded, placement=placement, queued_at=None)
    actions = _removals(_stale(job, job.recorded.attempt))
    return Decision(job.key, record, Stage.QUEUED, verdict, actions=actions, wake_at=wake_at)


def is_hopeful(verdict: Verdict) -> bool:
    """Whether a gang that waits will have its turn without anybody changing something."""
    return verdict.reason in _HOPEFUL


def held_back(job: Job, now: datetime) -> Decision | None:
    """The gang waits before its next try: for a while, or for a node that it does not want to lose; else None."""
    if awaited := outages.awaited_of(job.workers):
        # With a new place it would hold accelerators that it cannot use before.
        return queued(job, Verdict(Reason.RESTARTING, _waits_for(awaited)), queued_at=job.recorded.queued_at)
    failed = retries.lately(job, now)
    until = retries.paused_until(failed) if failed else now
    if failed is None or now >= until:
        return None
    last = job.recorded.last or Refusal(Reason.BIND_TIMEOUT, "the last place could not be used")
    return queued(job, verdicts.held_back(last, failed.count, until), until, job.recorded.queued_at)


def placed(job: Job, gang: Gang, placement: Placement) -> Decision:
    """The gang got a place: a new attempt, whose pods follow once this stands in its status."""
    verdict = Verdict(Reason.WAITING_FOR_PODS, f"placed in {_site(placement)}; {_run(0, gang)}")
    record = job.recorded.next_attempt(placement)
    return Decision(job.key, record, Stage.STARTING, verdict, actions=_removals(_stale(job, record.attempt)))


def evicted(job: Job, eviction: Eviction) -> Decision:
    """The gang makes room for another: it goes back to the queue, and its pods get their time to save."""
    decision = queued(job, Verdict(eviction.reason, eviction.message))
    preemptions = job.recorded.preemptions + 1
    last = Refusal(eviction.reason, eviction.message)
    return replace(decision, record=replace(decision.record, preemptions=preemptions, eviction=eviction, last=last))


def resized(job: Job, placement: Placement, eviction: Eviction) -> Decision:
    """The gang goes on with other workers: a new attempt, which begins when the pods of the old one are gone."""
    record = replace(
        job.recorded.next_attempt(placement),
        # Who gets more workers makes room for nobody.
        preemptions=job.recorded.preemptions + (eviction.reason != Reason.RESIZED),
        eviction=eviction,
        last=Refusal(eviction.reason, eviction.message),
    )
    return Decision(job.key, record, Stage.RESTARTING, Verdict(Reason.RESTARTING, eviction.message))


def holding(job: Job, gang: Gang, placement: Placement, now: datetime) -> Decision:
    """A gang that has a place: start it, watch it, restart it or end it."""
    mine, done = _mine(job), _finished(job)
    if (told := job.recorded.eviction) and told.step is EvictionStep.ANSWERED:
        # However its programs end now, they were told to: that is neither success nor failure.
        return Decision(job.key, job.recorded, Stage.RESTARTING, Verdict(told.reason, told.message))
    if len(done) == len(placement.nodes):
        verdict = Verdict(Reason.COMPLETED, "every worker ended with success")
        record = replace(job.recorded, outcome=Outcome.COMPLETE, completed=(), failed_starts=None)
        return Decision(job.key, record, Stage.COMPLETE, verdict)
    if fault := _fault(job, mine, done, gang, now):
        return _after_fault(job, placement, fault, now)
    if not mine and (former := _former(job, now)):
        return _after_former(job, former, placement, now)
    if _missing(placement, mine, done) and not job.trouble:
        # Making them is our own turn, which is late where very many wait for theirs.
        job, placement = _with_time_to_bind(job, placement, now)
    begins = placement.since + _delay(job.recorded)
    is_unbound = len(done | {worker.rank for worker in mine if worker.node is not None}) < gang.workers
    start = Start(job, placement, mine, done, begins, is_unbound)
    if start.deadline and now >= start.deadline:
        return _given_back(start, now)
    return _on_its_way(start, gang, now)


def has_begun(job: Job) -> bool:
    """Whether a gang that has a place keeps it whatever becomes of its nodes: pods of it are there, or were.

    As long as its place is only assumed, or its pods are being made, nothing else could be done about it. While it
    keeps what is left of its place none are made: what is under way then is the end of those of the attempt before.
    And as long as it waits for a node, another place would be of no use.
    """
    place = job.recorded.placement
    return (
        (job.is_under_way and not (place and place.kept_until))
        or job.recorded.has_run
        or bool(job.recorded.completed)
        or any(worker.attempt == job.recorded.attempt for worker in job.workers)
        or bool(outages.awaited_of(job.workers))
    )


def has_succeeded(job: Job) -> bool:
    """Whether every rank of the placed gang has finished."""
    place = job.recorded.placement
    return place is not None and len(_finished(job)) == len(place.nodes)


def _mine(job: Job) -> list[Worker]:
    """The pods of this attempt."""
    return [worker for worker in job.workers if worker.attempt == job.recorded.attempt]


def _finished(job: Job) -> set[int]:
    """The ranks of this attempt that have finished: what was seen of one stands, whatever becomes of its pod."""
    found = {*job.recorded.completed, *(worker.rank for worker in _mine(job) if worker.has_finished)}
    return found & set(range(len(job.recorded.placement.nodes) if job.recorded.placement else 0))


def _fault(job: Job, mine: list[Worker], done: set[int], gang: Gang, now: datetime) -> tuple[bool, str] | None:
    """What ended this attempt, if something did: (nobody's fault, message)."""
    at_work = [worker for worker in mine if worker.rank not in done]
    silent = [worker for worker in at_work if worker.outage and not worker.has_ended]
    if lost := [worker for worker in silent if worker.is_cut_off(now)]:
        return True, outages.loss(lost)
    ended = [worker for worker in at_work if worker.has_ended]
    for worker in sorted(ended, key=lambda worker: (worker.is_interrupted, worker.rank)):
        if worker.phase is Phase.FAILED:
            # A program fails when it hears nothing of another.
            is_blameless = worker.is_interrupted or bool(silent)
            return is_blameless, f"worker {worker.rank} failed: {worker.message or 'no exit code known'}"
        return True, f"worker {worker.rank} was interrupted: {worker.message or 'its pod was deleted'}"
    for worker in at_work:
        if worker.deleting:
            return True, f"pod {worker.name} was deleted"
    missing = set(range(gang.workers)) - done - {worker.rank for worker in mine}
    if job.recorded.has_run and missing:
        return True, f"the pod of worker {min(missing)} vanished"
    return None


def _after_fault(job: Job, placement: Placement, fault: tuple[bool, str], now: datetime) -> Decision:
    blameless, message = fault
    failures = job.recorded.failures + (0 if blameless else 1)
    if failures > job.max_restarts:
        last = Refusal(Reason.MAX_RESTARTS_EXCEEDED, f"attempt {job.recorded.attempt}: {message}")
        record = replace(job.recorded, outcome=Outcome.FAILED, failures=failures, last=last)
        return Decision(job.key, record, Stage.FAILED, Verdict(last.reason, last.message))
    last = Refusal(Reason.RESTARTING, f"attempt {job.recorded.attempt} ended: {message}")
    record = replace(
        job.recorded.next_attempt(placement.anew(now)),
        failures=failures,
        infrastructure=job.recorded.infrastructure + (1 if blameless else 0),
        last=last,
    )
    return Decision(job.key, record, Stage.RESTARTING, Verdict(last.reason, last.message))


def _given_back(start: Start, now: datetime) -> Decision:
    """Its pods do not start: others may have the place, and it tries again later."""
    job, last, failed = start.job, start.refusal(now), start.learned(now)
    record = replace(job.recorded.unplaced(), last=last, failed_starts=failed)
    return Decision(job.key, record, Stage.QUEUED, verdicts.held_back(last, failed.count, retries.paused_until(failed)))


def _after_former(job: Job, former: list[Worker], placement: Placement, now: datetime) -> Decision:
    """No pod of the new attempt before the last of the old is gone; the time for binding begins then."""
    last = f"{job.recorded.last.message}; " if job.recorded.last else ""
    verdict = Verdict(Reason.RESTARTING, f"{last}{_waits_for(former)}")
    job, placement = _with_time_to_bind(job, placement, now)
    actions = _removals(_stale(job, job.recorded.attempt))
    wake_at = placement.since + _delay(job.recorded) + _TIME_TO_BIND
    return Decision(job.key, job.recorded, Stage.RESTARTING, verdict, actions=actions, wake_at=wake_at)


def _waits_for(former: Sequence[Pod]) -> str:
    pods, names = count(len(former), "pod"), ", ".join(pod.name for pod in former[:4])
    return f"waits for {pods} of an earlier attempt to end: {names}"


def _with_time_to_bind(job: Job, placement: Placement, now: datetime) -> tuple[Job, Placement]:
    """The attempt begins only now if half of the time for binding is over and no pod could be made before."""
    delay = _delay(job.recorded)
    if now < placement.since + delay + _TIME_TO_BIND:
        return job, placement
    placement = placement.anew(now - delay)
    return replace(job, recorded=replace(job.recorded, placement=placement)), placement


def _on_its_way(start: Start, gang: Gang, now: datetime) -> Decision:
    job, mine, done = start.job, start.pods, start.done
    actions, late_at = _removals(_stale(job, job.recorded.attempt)), None
    if now >= start.begins and (missing := _missing(start.placement, mine, done)):
        actions = (*actions, *_makings(job, start.placement, missing, now))
        late_at = None if job.trouble else start.begins + _TIME_TO_BIND
    elif not job.has_belongings:
        actions = (*actions, MakeBelongings())
    # A pod of unknown phase has begun: its node is out of reach, its program may run on.
    begun = len(done | {worker.rank for worker in mine if worker.phase is not Phase.PENDING})
    has_run = job.recorded.has_run or begun == gang.workers
    stage, verdict = _progress(start, gang, begun, now)
    asked, ask_at = start.question(now)
    due = (start.begins, late_at, start.is_late_at, start.deadline, ask_at)
    return Decision(
        job.key,
        job.recorded.under_way(tuple(sorted(done)), has_run=has_run),
        stage,
        verdict,
        running=sum(worker.phase is Phase.RUNNING for worker in mine),
        actions=(*actions, *asked),
        wake_at=min((at for at in due if at and now < at), default=None),
    )


def _progress(start: Start, gang: Gang, begun: int, now: datetime) -> tuple[Stage, Verdict]:
    job, site = start.job, _site(start.placement)
    if begun == gang.workers:
        done = len(start.done)
        left = gang.workers - done
        over = f", {done} {verb(done, 'have')} finished" if done else ""
        what = f"{count(left, 'worker')} {verb(left, 'run')} in {site}{over}"
        return Stage.RUNNING, Verdict(Reason.RUNNING, what)
    if job.trouble:
        return Stage.STARTING, Verdict(Reason.APPLY_FAILED, job.trouble)
    said, last, failed = start.waits, job.recorded.last, job.recorded.failed_starts
    message = f"placed in {site}; {_run(begun, gang)}{': ' + said if said else ''}"
    stage, reason = Stage.STARTING, Reason.WAITING_FOR_PODS
    if last and last.reason == Reason.RESTARTING:
        stage, reason, message = Stage.RESTARTING, Reason.RESTARTING, f"{last.message}; {message}"
    elif last and failed and last.reason in {Reason.BIND_TIMEOUT, Reason.START_TIMEOUT}:
        reason, message = Reason(last.reason), f"{last.message}; try {failed.count + 1} is {message}"
    is_late = start.is_late_at is not None and now >= start.is_late_at
    return stage, Verdict(Reason.CANNOT_START if is_late else reason, message)


def _missing(placement: Placement, mine: Sequence[Worker], done: set[int]) -> list[int]:
    """The ranks that have not finished and have no pod."""
    there = done | {worker.rank for worker in mine}
    return [rank for rank in range(len(placement.nodes)) if rank not in there]


def _makings(job: Job, placement: Placement, ranks: Sequence[int], now: datetime) -> list[JobAction]:
    # What the last pod of the attempt before left may be learned of only now that it is gone.
    attempt, nodes, saved = job.recorded.attempt, placement.nodes, reports.checkpoint(job, now)
    return [MakeBelongings(), *(MakeWorker(attempt, rank, nodes[rank], len(nodes), saved) for rank in ranks)]


def _former(job: Job, now: datetime) -> list[Worker]:
    """Pods of other attempts than the present one that may still run, as far as anybody waits for them."""
    others = (worker for worker in job.workers if worker.attempt != job.recorded.attempt)
    return [worker for worker in others if worker.is_live and not worker.is_cut_off(now)]


def _stale(job: Job, attempt: int) -> list[Worker]:
    """Pods that are told to go before `attempt` may start; the last attempt's failed pods stay for their logs."""
    return [
        worker
        for worker in job.workers
        if worker.attempt != attempt and (worker.must_be_ended or worker.attempt < attempt - 1)
    ]


def _removals(workers: Iterable[Worker]) -> tuple[JobAction, ...]:
    actions: list[JobAction] = []
    for worker in workers:
        if node := outages.forgotten_by(worker):
            actions.append(ForgetPod(worker.name, worker.uid, node))
        elif not worker.deleting:
            actions.append(RemoveWorker(worker.name, worker.uid))
    return tuple(actions)


def _delay(recorded: Recorded) -> timedelta:
    restarts = recorded.failures + recorded.infrastructure
    if restarts <= 1:
        return timedelta(0)
    return retries.backoff(RESTART_DELAY, RESTART_DELAY_MAX, restarts - 2)


def _run(begun: int, gang: Gang) -> str:
    return f"{share(begun, gang.workers, 'worker')} {verb(gang.workers, 'run')}"


def _site(placement: Placement) -> str:
    return f"{placement.level} {placement.domain}" if placement.domain != placement.level else "the pool"
