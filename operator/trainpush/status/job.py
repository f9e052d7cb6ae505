"""The status of a TrainPushJob: what earlier cycles decided is read from it, what this one decides is written to it.

Each part of the record stands here with its two directions one after the other.
"""

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from trainpush.api.base import plain
from trainpush.api.conditions import Condition
from trainpush.api.push import PushStatus
from trainpush.api.trainpushjob import (
    AVOIDED_MAX,
    CheckpointStatus,
    EvictionStatus,
    FailedStartsStatus,
    JobStatus,
    PlacementStatus,
    Progress,
    Replicas,
    Resolved,
    Restarts,
)
from trainpush.api.verdict import Cause
from trainpush.model.plan import Decision, Pushing
from trainpush.model.workload import Checkpoint, Eviction, FailedStarts, Heard, Outcome, Placement, Recorded, Refusal
from trainpush.status.conditions import by_type, cut, part, stamped, verdict
from trainpush.status.job_conditions import statements


def read(status: JobStatus) -> Recorded:
    """The decisions of earlier cycles, from the conditions and fields of the status."""
    true = {condition.type for condition in status.conditions if condition.status == "True"}
    ended = Outcome.COMPLETE if Condition.TRAINING_COMPLETE in true else None
    return Recorded(
        attempt=status.attempt,
        placement=_read_placement(status.placement),
        has_run=Condition.RUNNING in true,
        completed=tuple(status.completed_ranks),
        failures=status.restarts.failures,
        infrastructure=status.restarts.infrastructure,
        preemptions=status.restarts.preemptions,
        eviction=_read_eviction(status.eviction),
        outcome=Outcome.FAILED if Condition.FAILED in true else ended,
        queued_at=status.queued_at,
        failed_starts=_read_failed_starts(status.failed_starts),
        last=Refusal(failure.reason, failure.message) if (failure := status.last_failure) else None,
        checkpoint=_read_checkpoint(status.checkpoint),
        heard=_read_progress(status.progress),
    )


def write(
    decision: Decision, resolved: Resolved | None, workers: int, generation: int, old: Mapping[str, Any], now: datetime
) -> dict[str, Any]:
    """The whole status of a TrainPushJob that asks for `workers`; `old` gives unchanged conditions their times.

    Of a job that cannot be `resolved` now, what came of that before stays as it stands, whoever wrote it.
    """
    before = JobStatus.read(part(old, "conditions", "restarts"))
    record, placement = decision.record, decision.record.placement
    status = JobStatus(
        observed_generation=generation,
        phase=decision.stage.value,
        queued_at=record.queued_at,
        conditions=stamped(statements(decision, before), generation, by_type(before.conditions), now),
        attempt=record.attempt,
        replicas=Replicas(desired=workers, assigned=len(placement.nodes) if placement else 0, running=decision.running),
        completed_ranks=list(record.completed),
        placement=_write_placement(placement),
        resolved=resolved,
        progress=_write_progress(record.heard),
        restarts=Restarts(
            failures=record.failures, infrastructure=record.infrastructure, preemptions=record.preemptions
        ),
        checkpoint=_write_checkpoint(record.checkpoint),
        eviction=_write_eviction(record.eviction),
        verdict=verdict(decision.verdict),
        push=_write_push(decision.push),
        failed_starts=_write_failed_starts(record.failed_starts),
        last_failure=Cause(reason=last.reason, message=cut(last.message)) if (last := record.last) else None,
    )
    kept = () if resolved else ("resolved", "push") if placement else ("push",)
    return {**part(old, *kept), **plain(status)}


def _read_placement(told: PlacementStatus | None) -> Placement | None:
    if told is None:
        return None
    return Placement(
        nodes=tuple(told.nodes),
        level=told.level,
        domain=told.domain,
        since=told.since,
        protected_until=told.protected_until,
        first_since=told.first_since,
        kept_until=told.kept_until,
    )


def _write_placement(placement: Placement | None) -> PlacementStatus | None:
    if placement is None:
        return None
    return PlacementStatus(
        level=placement.level,
        domain=placement.domain,
        nodes=list(placement.nodes),
        since=placement.since,
        protected_until=placement.protected_until,
        first_since=placement.first_since,
        kept_until=placement.kept_until,
    )


def _read_eviction(told: EvictionStatus | None) -> Eviction | None:
    if told is None:
        return None
    return Eviction(
        by=told.by,
        reason=told.reason,
        message=told.message,
        workers=told.workers,
        lost=told.lost,
        is_done=told.carried_out,
        asked_at=told.asked_at,
        deadline=told.deadline,
        is_answered=told.answered,
    )


def _write_eviction(eviction: Eviction | None) -> EvictionStatus | None:
    if eviction is None:
        return None
    return EvictionStatus(
        by=eviction.by,
        reason=eviction.reason,
        message=cut(eviction.message),
        workers=eviction.workers,
        lost=eviction.lost,
        carried_out=eviction.is_done,
        asked_at=eviction.asked_at,
        deadline=eviction.deadline,
        answered=eviction.is_answered,
    )


def _read_failed_starts(told: FailedStartsStatus | None) -> FailedStarts | None:
    return FailedStarts(told.count, told.at, tuple(told.nodes)) if told else None


def _write_failed_starts(failed: FailedStarts | None) -> FailedStartsStatus | None:
    if failed is None:
        return None
    return FailedStartsStatus(count=failed.count, at=failed.at, nodes=list(failed.nodes[:AVOIDED_MAX]))


def _read_progress(told: Progress | None) -> Heard | None:
    if told is None or told.at is None:
        return None
    return Heard(told.attempt, told.at, told.step, told.total_steps, told.metrics)


def _write_progress(heard: Heard | None) -> Progress | None:
    if heard is None:
        return None
    metrics = {name: str(figure) for name, figure in heard.metrics.items()}
    return Progress(attempt=heard.attempt, at=heard.at, step=heard.step, total_steps=heard.total, metrics=metrics)


def _read_checkpoint(told: CheckpointStatus | None) -> Checkpoint | None:
    return Checkpoint(told.attempt, told.step, told.uri, told.at, told.digest) if told else None


def _write_checkpoint(saved: Checkpoint | None) -> CheckpointStatus | None:
    if saved is None:
        return None
    return CheckpointStatus(attempt=saved.attempt, step=saved.step, uri=saved.uri, digest=saved.digest, at=saved.at)


def read_push(status: JobStatus) -> Pushing | None:
    """How far the trained model had come; None where nothing was begun, or the status was lost."""
    told, said = status.push, by_type(status.conditions).get(Condition.PUSHED)
    if told is None:
        return None
    return Pushing(
        reason=said.reason if said else "",
        message=said.message if said else "",
        is_over=said is not None and said.status == "True",
        export=told.export_job or "",
        digest=told.digest or "",
        uri=told.uri or "",
        revision=told.revision or "",
    )


def _write_push(push: Pushing | None) -> PushStatus | None:
    # Absent until there is something to say: that tells a push that was never begun, or a status that was lost.
    if push is None or not (push.export or push.digest or push.uri or push.revision):
        return None
    return PushStatus(
        export_job=push.export or None,
        digest=push.digest or None,
        uri=push.uri or None,
        revision=push.revision or None,
    )
