"""What the conditions of a TrainPushJob say."""

from collections.abc import Iterable

from trainpush.api.base import timestamp
from trainpush.api.conditions import Condition
from trainpush.api.trainpushjob import JobStatus
from trainpush.model.plan import Decision, Stage
from trainpush.model.reasons import IS_READY, Reason
from trainpush.model.wording import count
from trainpush.model.workload import Checkpoint, Eviction, Outcome, Placement
from trainpush.status.conditions import Statement, accepted, by_type


def statements(decision: Decision, before: JobStatus) -> list[Statement]:
    """The conditions of a job after `before`, in the order in which they are written."""
    verdict, stage = decision.verdict, decision.stage
    reason, message = verdict.reason, verdict.message
    is_complete = decision.record.outcome is Outcome.COMPLETE
    has_failed = decision.record.outcome is Outcome.FAILED
    refusal, push = decision.refusal, decision.push
    lasting: list[Statement] = [
        (Condition.READY, False, push.reason, push.message)
        if push and push.has_failed
        else (Condition.READY, not _needs_a_person(decision), reason, message),
        accepted(refusal),
        (Condition.PLACED, True, Reason.PLACED, _where(decision.record.placement))
        if decision.record.placement
        else (Condition.PLACED, False, reason, message),
        (Condition.RUNNING, stage is Stage.RUNNING, reason, message),
        _checkpointed(decision.record.checkpoint),
        _evicted(decision, before),
        (Condition.TRAINING_COMPLETE, True, Reason.COMPLETED, message)
        if is_complete
        else (Condition.TRAINING_COMPLETE, False, reason if has_failed else Reason.IN_PROGRESS, "training is not over"),
        *([(Condition.PUSHED, push.is_over, push.reason, push.message)] if push else []),
        (Condition.FAILED, True, reason, message)
        if has_failed
        else (Condition.FAILED, False, Reason.NOT_FAILED, "the job has not given up"),
    ]
    return [*lasting, *_passing(decision)]


def _passing(decision: Decision) -> Iterable[Statement]:
    """The conditions that are there only while true."""
    verdict, push, outcome = decision.verdict, decision.push, decision.record.outcome
    if _needs_a_person(decision):
        yield (Condition.STALLED, True, verdict.reason, verdict.message)
    elif push and push.has_failed:
        yield (Condition.STALLED, True, push.reason, push.message)
    elif outcome is None and decision.record.placement and decision.stage is not Stage.RUNNING:
        yield (Condition.RECONCILING, True, verdict.reason, verdict.message)
    elif outcome is Outcome.COMPLETE and push and not push.is_over:
        yield (Condition.RECONCILING, True, push.reason, push.message)


def _needs_a_person(decision: Decision) -> bool:
    """Whether it does not go on by itself; what runs does, unless its spec cannot be read any more."""
    has_failed = decision.record.outcome is Outcome.FAILED
    return decision.refusal is not None or has_failed or not IS_READY.get(decision.verdict.reason, True)


def _where(placement: Placement) -> str:
    site = "the pool" if placement.domain == placement.level else f"{placement.level} {placement.domain}"
    workers, nodes = len(placement.nodes), len(set(placement.nodes))
    return f"{count(workers, 'worker')} on {count(nodes, 'node')} of {site}"


def _checkpointed(saved: Checkpoint | None) -> Statement:
    if saved is None:
        return (Condition.CHECKPOINTED, False, Reason.NO_CHECKPOINT, "the program told of no checkpoint yet")
    where = f" at {saved.uri}" if saved.uri else ""
    said = f"step {saved.step} is saved by attempt {saved.attempt}{where}"
    return (Condition.CHECKPOINTED, True, Reason.CHECKPOINTED, said)


def _evicted(decision: Decision, before: JobStatus) -> Statement:
    """True once something was taken from the gang, and until all workers run again or the job ends.

    What took it stays as reason and message, whatever else happens to the gang meanwhile.
    """
    record = decision.record
    if record.eviction and not record.eviction.is_done:
        return _coming(record.eviction)
    if record.last and record.preemptions > before.restarts.preemptions:
        return (Condition.EVICTED, True, record.last.reason, record.last.message)
    said = by_type(before.conditions).get(Condition.EVICTED)
    if said and said.status == "True" and not (record.has_run or record.outcome):
        return (Condition.EVICTED, True, said.reason, said.message)
    made_room = f"; it made room for others {count(record.preemptions, 'time')}" if record.preemptions else ""
    return (Condition.EVICTED, False, Reason.NOT_EVICTED, f"nothing is taken from the gang{made_room}")


def _coming(eviction: Eviction) -> Statement:
    if eviction.deadline is None or eviction.is_answered:
        return (Condition.EVICTED, False, Reason.ANNOUNCED, f"in the next cycle: {eviction.message}")
    if eviction.asked_at is None:
        said = f"the program was asked until {timestamp(eviction.deadline)} and did not answer: {eviction.message}"
        return (Condition.EVICTED, False, Reason.NOT_EVICTED, said)
    until = f"when the program has saved, at {timestamp(eviction.deadline)} at the latest"
    return (Condition.EVICTED, False, Reason.REQUESTED, f"{until}: {eviction.message}")
