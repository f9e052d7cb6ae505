"""Events of a job, a service or a pool: one for each thing that changed, written after its status."""

import hashlib
from collections.abc import Iterable, Mapping
from datetime import datetime
from typing import Any, Final

from trainpush.api import names
from trainpush.api.base import Metadata
from trainpush.api.conditions import Condition, PoolCondition, ServiceCondition
from trainpush.model.modes import Step
from trainpush.model.reasons import Reason

_FLIPS: Final = {
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

_NOTE_MAX: Final = 1024
"""Longest note of an Event, in bytes, as Kubernetes bounds it."""

_News = tuple[str, str, str]
"""An Event before it has a name: type, reason, note."""


def events(
    kind: str, of: Metadata, old: Mapping[str, Any], new: Mapping[str, Any], now: datetime
) -> list[dict[str, Any]]:
    """Events for what changed between two statuses; the same change always gives the same names."""
    before = {entry["type"]: entry for entry in old.get("conditions", [])}
    found = [_change(before.get(entry["type"], {}), entry) for entry in new["conditions"]]
    told = [_event(kind, of, news, _moment(new), now) for news in [*found, _restart(old, new)] if news]
    return list({event["metadata"]["name"]: event for event in told}.values())


def pool_events(
    kind: str, of: Metadata, old: Mapping[str, Any], new: Mapping[str, Any], now: datetime
) -> list[dict[str, Any]]:
    """Events of a pool: its switches that are over, and that a person must look; names as those of `events`."""
    known = [(entry["node"], entry["begun"]) for entry in old.get("switches", [])]
    over = [entry for entry in new.get("switches", []) if (entry["node"], entry["begun"]) not in known]
    told = [_event(kind, of, _switched(entry), (entry["node"], entry["begun"]), now) for entry in over]
    was, degraded = _degraded(old), _degraded(new)
    if degraded["status"] == "True" and (was["status"], was["reason"]) != ("True", degraded["reason"]):
        moment = (degraded["lastTransitionTime"], new["observedGeneration"])
        told.append(_event(kind, of, ("Warning", degraded["reason"], degraded["message"]), moment, now))
    return told


def _switched(entry: Mapping[str, Any]) -> _News:
    node, before, after = entry["node"], entry["from"], entry["to"]
    if entry["outcome"] == Step.ACTIVE:
        return ("Normal", Reason.SWITCHED, f"node {node} changed from {before} to {after}")
    return ("Normal", Reason.SWITCH_ABORTED, f"node {node} stays {before}: {after} is not needed any more")


def _degraded(status: Mapping[str, Any]) -> Mapping[str, Any]:
    """The condition of a pool that says whether a person must look."""
    found = (entry for entry in status.get("conditions", []) if entry["type"] == PoolCondition.DEGRADED)
    return next(found, {"status": "False", "reason": ""})


def _change(before: Mapping[str, Any], entry: Mapping[str, Any]) -> _News | None:
    """What is worth telling of one condition."""
    condition, status, reason = entry["type"], entry["status"], entry["reason"]
    if condition in _STEPS:
        is_news = (before.get("status"), before.get("reason")) != (status, reason)
        grade = "Warning" if reason in _SETBACKS else "Normal"
    elif condition in _LOSSES and status == "False":
        is_news, grade = before.get("status") == "True", "Warning"
    else:
        is_news = before.get("status") != status and (condition, status) in _FLIPS
        grade = _FLIPS.get((condition, status), "Normal")
    return (grade, reason, entry["message"]) if is_news and reason not in _QUIET else None


def _restart(old: Mapping[str, Any], new: Mapping[str, Any]) -> _News | None:
    """A new start of a gang, with its cause."""
    if _restarts(new) > _restarts(old) and "lastFailure" in new:
        return ("Warning", new["lastFailure"]["reason"], new["lastFailure"]["message"])
    return None


def _restarts(status: Mapping[str, Any]) -> int:
    return sum(status.get("restarts", {}).values())


def _moment(status: Mapping[str, Any]) -> Iterable[object]:
    """What tells apart two changes of the same kind: how far a job or service has come."""
    serials = [place["serial"] for place in status.get("placements", [])]
    progress = (status.get("attempt", 0), _restarts(status), status.get("wanted", ""), max(serials, default=0))
    return (*progress, status.get("eviction", {}).get("by", ""), status["observedGeneration"])


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
