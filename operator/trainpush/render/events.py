"""Events of a job, a service or a pool: one for each thing that changed, written after its status."""

import hashlib
from collections.abc import Iterable, Mapping
from datetime import datetime
from typing import Any, Final

from trainpush.api import base, names
from trainpush.api.base import Metadata, timestamp
from trainpush.api.conditions import Condition, PoolCondition, ServiceCondition
from trainpush.api.gpupool import GPUPoolStatus
from trainpush.api.inferenceservice import ServiceStatus
from trainpush.api.modes import SwitchStatus
from trainpush.api.trainpushjob import JobStatus
from trainpush.model.modes import SwitchStep
from trainpush.model.reasons import Reason

_FLIPS: Final[Mapping[tuple[str, str], str]] = {
    (Condition.ACCEPTED, "False"): "Warning",
    (Condition.PLACED, "True"): "Normal",
    (Condition.PLACED, "False"): "Normal",
    (Condition.RUNNING, "True"): "Normal",
    (Condition.TRAINING_COMPLETE, "True"): "Normal",
    (Condition.FAILED, "True"): "Warning",
    (ServiceCondition.MODEL_LOADED, "True"): "Normal",
    (ServiceCondition.AVAILABLE, "True"): "Normal",
}
"""Changes of a condition's status that are worth an Event, with its type."""
_LOSSES: Final = {ServiceCondition.MODEL_LOADED, ServiceCondition.AVAILABLE}
"""Conditions whose end is worth a warning, once they were true."""
_STEPS: Final = {Condition.EVICTED, Condition.PUSHED, ServiceCondition.PROGRESSING}
"""Conditions whose reasons tell of a way: each new one is worth an Event."""
_TROUBLES: Final = {Reason.APPLY_FAILED, Reason.CANNOT_START, Reason.BIND_TIMEOUT, Reason.START_TIMEOUT}
"""Reasons for which an object is not ready though its spec is sound: each is worth a warning of its own."""
_QUIET: Final = {Reason.IN_PROGRESS, Reason.WAITING_FOR_MODEL, Reason.NOT_EVICTED}
"""Reasons that say that nothing happened yet."""
_SETBACKS: Final = {
    Reason.ANNOUNCED,
    Reason.PREEMPTED,
    Reason.RECLAIMED,
    Reason.EXPORT_FAILED,
    Reason.TARGET_NOT_FOUND,
    Reason.TARGET_DOES_NOT_CONSENT,
    Reason.MODEL_LOAD_FAILED,
    Reason.PROBE_FAILED,
}

TOLD: Final = ("conditions", "attempt", "restarts", "eviction", "lastFailure", "observedGeneration")
"""What Events tell of in the status of a job."""
_NOTE_MAX: Final = 1024
"""Longest note of an Event, in bytes, as Kubernetes bounds it."""

_Told = JobStatus | ServiceStatus
_News = tuple[str, str, str]
"""An Event before it has a name: type, reason, note."""


def events(kind: str, of: Metadata, old: _Told, new: _Told, now: datetime) -> list[dict[str, Any]]:
    """Events for what changed between two statuses; the same change always gives the same names."""
    before = {condition.type: condition for condition in old.conditions}
    found = [_change(before.get(condition.type), condition) for condition in new.conditions]
    told = [_event(kind, of, news, _moment(new), now) for news in [*found, _restart(old, new)] if news]
    return list({event["metadata"]["name"]: event for event in told}.values())


def pool_events(kind: str, of: Metadata, old: GPUPoolStatus, new: GPUPoolStatus, now: datetime) -> list[dict[str, Any]]:
    """Events of a pool: its switches that are over, and that a person must look; names as those of `events`."""
    known = {(switch.node, switch.begun) for switch in old.switches}
    over = [switch for switch in new.switches if (switch.node, switch.begun) not in known]
    told = [_event(kind, of, _switched(switch), (switch.node, timestamp(switch.begun)), now) for switch in over]
    was, degraded = _degraded(old), _degraded(new)
    if degraded and (was is None or was.reason != degraded.reason):
        moment = (timestamp(degraded.last_transition_time), new.observed_generation)
        told.append(_event(kind, of, ("Warning", degraded.reason, degraded.message), moment, now))
    return told


def untold(kind: str, of: Metadata, why: str, now: datetime) -> dict[str, Any]:
    """The Event that the status of an object could not be written, once for each generation of its spec."""
    news = ("Warning", Reason.APPLY_FAILED, f"its status could not be written: {why}")
    return _event(kind, of, news, ("status", of.generation), now)


def _switched(switch: SwitchStatus) -> _News:
    node, before, after = switch.node, switch.old, switch.to
    if switch.outcome == SwitchStep.ACTIVE:
        return ("Normal", Reason.SWITCHED, f"node {node} changed from {before} to {after}")
    return ("Normal", Reason.SWITCH_ABORTED, f"node {node} stays {before}: {after} is not needed any more")


def _degraded(status: GPUPoolStatus) -> base.Condition | None:
    """The condition of a pool that says that a person must look; None where nobody must."""
    true = {condition.type: condition for condition in status.conditions if condition.status == "True"}
    return true.get(PoolCondition.DEGRADED)


def _change(before: base.Condition | None, after: base.Condition) -> _News | None:
    """What is worth telling of one condition."""
    condition, status, reason = after.type, after.status, after.reason
    was = before.status if before else None
    grade = "Warning" if reason in _SETBACKS | _TROUBLES else _FLIPS.get((condition, status), "Normal")
    if condition == Condition.READY:
        is_news = reason in _TROUBLES and (before is None or before.reason != reason)
    elif condition in _STEPS:
        is_news = before is None or (was, before.reason) != (status, reason)
    elif condition in _LOSSES and status == "False":
        is_news, grade = was == "True", "Warning"
    else:
        is_news = was != status and (condition, status) in _FLIPS
    return (grade, reason, after.message) if is_news and reason not in _QUIET else None


def _restart(old: _Told, new: _Told) -> _News | None:
    """A new start of a gang, with its cause."""
    cause = new.last_failure if isinstance(new, JobStatus) else None
    return ("Warning", cause.reason, cause.message) if cause and _restarts(new) > _restarts(old) else None


def _restarts(status: _Told) -> int:
    if not isinstance(status, JobStatus):
        return 0
    return status.restarts.failures + status.restarts.infrastructure + status.restarts.preemptions


def _moment(status: _Told) -> Iterable[object]:
    """What tells apart two changes of the same kind: how far a job or service has come."""
    if isinstance(status, JobStatus):
        by = status.eviction.by if status.eviction else ""
        return (status.attempt, _restarts(status), "", 0, by, status.observed_generation)
    serials = [place.serial for place in status.placements]
    return (0, 0, status.wanted or "", max(serials, default=0), "", status.observed_generation)


def _event(kind: str, of: Metadata, news: _News, moment: Iterable[object], now: datetime) -> dict[str, Any]:
    grade, reason, note = news
    seed = "/".join(map(str, (of.uid, reason, *moment)))
    return {
        "apiVersion": "events.k8s.io/v1",
        "kind": "Event",
        "metadata": {
            "name": f"{of.name}.{hashlib.sha256(seed.encode()).hexdigest()[:16]}",
            # Events of objects without a namespace belong here.
            "namespace": of.namespace or "default",
        },
        "eventTime": now.strftime("%Y-%m-%dT%H:%M:%S.%fZ"),
        "reportingController": names.REPORTING_CONTROLLER,
        "reportingInstance": names.FIELD_MANAGER,
        "action": reason,
        "reason": reason,
        "note": note.encode()[:_NOTE_MAX].decode(errors="ignore"),
        "type": grade,
        "regarding": {
            "apiVersion": names.API_VERSION,
            "kind": kind,
            **({"namespace": of.namespace} if of.namespace else {}),
            "name": of.name,
            "uid": of.uid,
        },
    }
