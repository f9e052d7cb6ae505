"""What a status says, and parts of a spec, as records of the model."""

from datetime import timedelta

from trainpush.api.conditions import Condition
from trainpush.api.inferenceservice import ServiceStatus
from trainpush.api.trainpushjob import JobStatus
from trainpush.api.trainpushjob import Toleration as TolerationSpec
from trainpush.model.nodes import Toleration
from trainpush.model.reasons import Reason
from trainpush.model.serving import Place
from trainpush.model.workload import Eviction, Outcome, Placement, Recorded, Refusal

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
    return Eviction(told.by, told.reason, told.message, told.workers, told.lost, told.carried_out) if told else None


def _last(status: JobStatus) -> Refusal | None:
    last = status.last_failure
    return Refusal(last.reason, last.message) if last else None
