"""What a status says, and parts of a spec, as records of the model."""

from datetime import timedelta

from trainpush.api.conditions import Condition
from trainpush.api.inferenceservice import ServiceStatus
from trainpush.api.trainpushjob import JobStatus
from trainpush.api.trainpushjob import Toleration as TolerationSpec
from trainpush.model.nodes import Toleration
from trainpush.model.reasons import Reason
from trainpush.model.serving import Place
from trainpush.model.workload import Checkpoint, Eviction, Heard, Outcome, Placement, Recorded, Refusal

HOLD = timedelta(seconds=30)
"""How long a gang whose pods could not be bound waits before it is placed again."""


def toleration(spec: TolerationSpec) -> Toleration:
    """A toleration as the planner reads it."""
    return Toleration(key=spec.key or "", operator=spec.operator, value=spec.value or "", effect=spec.effect or "")


def recorded(status: JobStatus) -> Recorded:
    """The decisions of earlier cycles, read back from the conditions and fields of the status."""
    conditions = {condition.type: condition for condition in status.conditions}
    placed, complete, failed = (
        conditions.get(kind) for kind in (Condition.PLACED, Condition.TRAINING_COMPLETE, Condition.FAILED)
    )
    unbound = placed is not None and placed.reason == Reason.BIND_TIMEOUT
    outcome = Outcome.COMPLETE if complete and complete.status == "True" else None
    if failed and failed.status == "True":
        outcome = Outcome.FAILED
    running = conditions.get(Condition.RUNNING)
    return Recorded(
        attempt=status.attempt,
        placement=_placement(status),
        has_run=running is not None and running.status == "True",
        failures=status.restarts.failures,
        infrastructure=status.restarts.infrastructure,
        preemptions=status.restarts.preemptions,
        eviction=_eviction(status),
        outcome=outcome,
        queued_at=status.queued_at,
        hold_until=placed.last_transition_time + HOLD if placed and unbound else None,
        last=_last(status),
        checkpoint=_checkpoint(status),
        heard=_heard(status),
    )


def places(status: ServiceStatus) -> tuple[Place, ...]:
    """The replicas that the status names, by serial."""
    return tuple(sorted(Place(p.serial, p.revision, p.node, p.since) for p in status.placements))


def _placement(status: JobStatus) -> Placement | None:
    place = status.placement
    if place is None:
        return None
    return Placement(
        nodes=tuple(place.nodes),
        level=place.level,
        domain=place.domain,
        since=place.since,
        protected_until=place.protected_until,
    )


def _eviction(status: JobStatus) -> Eviction | None:
    told = status.eviction
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


def _checkpoint(status: JobStatus) -> Checkpoint | None:
    saved = status.checkpoint
    return Checkpoint(saved.attempt, saved.step, saved.uri, saved.at, saved.digest) if saved else None


def _heard(status: JobStatus) -> Heard | None:
    told = status.progress
    if told is None or told.at is None:
        return None
    return Heard(told.attempt, told.at, told.step, told.total_steps, told.metrics)


def _last(status: JobStatus) -> Refusal | None:
    last = status.last_failure
    return Refusal(last.reason, last.message) if last else None
