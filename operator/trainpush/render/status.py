"""Decisions as status: conditions, counts and a summary; and the smallest patch that brings it about."""

from collections.abc import Iterable, Mapping
from datetime import datetime
from typing import Any

from trainpush.api.conditions import Condition
from trainpush.api.trainpushjob import Resolved
from trainpush.model.plan import Decision, Pushing, Stage
from trainpush.model.reasons import Reason
from trainpush.model.workload import Checkpoint, Eviction, Heard, Outcome, Placement, Recorded
from trainpush.render.conditions import MESSAGE_MAX, Statement, Status, counted, stamped, timestamp, verdict_status
from trainpush.render.eviction import evicted


def job_status(
    decision: Decision, resolved: Resolved | None, workers: int, generation: int, old: Mapping[str, Any], now: datetime
) -> Status:
    """The whole status of a TrainPushJob that asks for `workers`; `old` gives unchanged conditions their times."""
    status: Status = {
        "observedGeneration": generation,
        "phase": decision.stage.value,
        "conditions": stamped(_job_claims(decision, old), generation, old, now),
        "attempt": decision.record.attempt,
        "replicas": {
            "desired": workers,
            "assigned": len(decision.record.placement.nodes) if decision.record.placement else 0,
            "running": decision.running,
        },
        "restarts": {
            "failures": decision.record.failures,
            "infrastructure": decision.record.infrastructure,
            "preemptions": decision.record.preemptions,
        },
        "verdict": verdict_status(decision.verdict),
        **_records(decision.record),
    }
    if resolved is not None:
        status["resolved"] = resolved.model_dump(by_alias=True, exclude_none=True, mode="json")
    elif decision.record.placement and "resolved" in old:
        status["resolved"] = old["resolved"]
    # Absent until there is something to say: that tells a push that was never begun, or a status that was lost.
    if decision.push and (push := _push(decision.push)):
        status["push"] = push
    elif resolved is None and "push" in old:
        status["push"] = old["push"]
    return status


def merge_patch(old: Mapping[str, Any], new: Mapping[str, Any]) -> dict[str, Any]:
    """The JSON merge patch (RFC 7386) from `old` to `new`; empty when they are equal."""
    patch: dict[str, Any] = {key: None for key in old if key not in new}
    for key, value in new.items():
        before = old.get(key)
        if isinstance(value, Mapping) and isinstance(before, Mapping):
            if inner := merge_patch(before, value):
                patch[key] = inner
        elif value != before:
            patch[key] = value
    return patch


def _job_claims(decision: Decision, old: Mapping[str, Any]) -> list[Statement]:
    verdict, stage = decision.verdict, decision.stage
    reason, message = verdict.reason, verdict.message
    is_complete = decision.record.outcome is Outcome.COMPLETE
    has_failed = decision.record.outcome is Outcome.FAILED
    refusal, push = decision.refusal, decision.push
    claims: list[Statement] = [
        (Condition.READY, False, push.reason, push.message)
        if push and push.has_failed
        else (Condition.READY, not (refusal or has_failed or reason == Reason.APPLY_FAILED), reason, message),
        (Condition.ACCEPTED, False, refusal.reason, refusal.message)
        if refusal
        else (Condition.ACCEPTED, True, Reason.ACCEPTED, "the spec is sound and its pool takes it"),
        (Condition.PLACED, True, Reason.PLACED, _where(decision.record.placement))
        if decision.record.placement
        else (Condition.PLACED, False, reason, message),
        (Condition.RUNNING, stage is Stage.RUNNING, reason, message),
        _checkpointed(decision.record.checkpoint),
        evicted(decision, old),
        (Condition.TRAINING_COMPLETE, True, Reason.COMPLETED, message)
        if is_complete
        else (Condition.TRAINING_COMPLETE, False, reason if has_failed else Reason.IN_PROGRESS, "training is not over"),
        *([(Condition.PUSHED, push.is_over, push.reason, push.message)] if push else []),
        (Condition.FAILED, True, reason, message)
        if has_failed
        else (Condition.FAILED, False, Reason.NOT_FAILED, "the job has not given up"),
    ]
    return [*claims, *_passing_claims(decision)]


def _passing_claims(decision: Decision) -> Iterable[Statement]:
    """The conditions that are there only while true."""
    verdict, push, outcome = decision.verdict, decision.push, decision.record.outcome
    if outcome is None and decision.record.placement and decision.stage is not Stage.RUNNING:
        yield (Condition.RECONCILING, True, verdict.reason, verdict.message)
    elif outcome is Outcome.COMPLETE and push and not (push.is_over or push.has_failed):
        yield (Condition.RECONCILING, True, push.reason, push.message)
    if decision.refusal or outcome is Outcome.FAILED:
        yield (Condition.STALLED, True, verdict.reason, verdict.message)
    elif push and push.has_failed:
        yield (Condition.STALLED, True, push.reason, push.message)


def _records(record: Recorded) -> Status:
    """What later cycles read back; what there is nothing to say of is left out."""
    status: Status = {}
    if record.placement:
        status["placement"] = _placement(record.placement)
    if record.queued_at:
        status["queuedAt"] = timestamp(record.queued_at)
    if record.eviction:
        status["eviction"] = _eviction(record.eviction)
    if record.last:
        status["lastFailure"] = {"reason": record.last.reason, "message": record.last.message[:MESSAGE_MAX]}
    if record.heard:
        status["progress"] = _progress(record.heard)
    if record.checkpoint:
        status["checkpoint"] = _checkpoint(record.checkpoint)
    return status


def _placement(placement: Placement) -> Status:
    return {
        "level": placement.level,
        "domain": placement.domain,
        "nodes": list(placement.nodes),
        "since": timestamp(placement.since),
        **({"protectedUntil": timestamp(placement.protected_until)} if placement.protected_until else {}),
    }


def _where(placement: Placement) -> str:
    site = "the pool" if placement.domain == placement.level else f"{placement.level} {placement.domain}"
    workers, nodes = len(placement.nodes), len(set(placement.nodes))
    return f"{counted(workers, 'worker')} on {counted(nodes, 'node')} of {site}"


def _eviction(eviction: Eviction) -> Status:
    return {
        "by": eviction.by,
        "reason": eviction.reason,
        "message": eviction.message[:MESSAGE_MAX],
        "workers": eviction.workers,
        "lost": eviction.lost,
        "carriedOut": eviction.is_done,
        **({"askedAt": timestamp(eviction.asked_at)} if eviction.asked_at else {}),
        **({"deadline": timestamp(eviction.deadline)} if eviction.deadline else {}),
        **({"answered": True} if eviction.is_answered else {}),
    }


def _progress(heard: Heard) -> Status:
    progress: Status = {"attempt": heard.attempt, "at": timestamp(heard.at)}
    counts = {"step": heard.step, "totalSteps": heard.total}
    progress |= {key: count for key, count in counts.items() if count is not None}
    if heard.metrics:
        progress["metrics"] = dict(heard.metrics)
    return progress


def _checkpoint(saved: Checkpoint) -> Status:
    texts = {"uri": saved.uri, "digest": saved.digest}
    return {
        "attempt": saved.attempt,
        "step": saved.step,
        "at": timestamp(saved.at),
        **{key: text for key, text in texts.items() if text},
    }


def _checkpointed(saved: Checkpoint | None) -> Statement:
    if saved is None:
        return (Condition.CHECKPOINTED, False, Reason.NO_CHECKPOINT, "the program told of no checkpoint yet")
    where = f" at {saved.uri}" if saved.uri else ""
    said = f"step {saved.step} is saved by attempt {saved.attempt}{where}"
    return (Condition.CHECKPOINTED, True, Reason.CHECKPOINTED, said)


def _push(push: Pushing) -> Status:
    known = {"exportJob": push.export, "digest": push.digest, "uri": push.uri, "revision": push.revision}
    return {key: value for key, value in known.items() if value}
