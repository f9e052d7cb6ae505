"""Events of a job: one for each condition that flipped and each new attempt, written after its status."""

import hashlib
from collections.abc import Mapping
from datetime import datetime
from typing import Any

from trainpush.api import names
from trainpush.api.base import Metadata
from trainpush.api.conditions import Condition

_NEWS = {
    (Condition.ACCEPTED, "False"): "Warning",
    (Condition.PLACED, "True"): "Normal",
    (Condition.PLACED, "False"): "Normal",
    (Condition.RUNNING, "True"): "Normal",
    (Condition.TRAINING_COMPLETE, "True"): "Normal",
    (Condition.FAILED, "True"): "Warning",
}
"""Flips worth an Event, with its type."""


def events(job: Metadata, old: Mapping[str, Any], new: Mapping[str, Any], now: datetime) -> list[dict[str, Any]]:
    """Events for what changed between two statuses; the same change always gives the same names."""
    before = {entry["type"]: entry["status"] for entry in old.get("conditions", [])}
    found = [
        _event(job, entry["reason"], entry["message"], _NEWS[entry["type"], entry["status"]], new, now)
        for entry in new["conditions"]
        if (entry["type"], entry["status"]) in _NEWS and before.get(entry["type"]) != entry["status"]
    ]
    restarts = new["restarts"]
    if sum(restarts.values()) > sum(old.get("restarts", {}).values()) and "lastFailure" in new:
        last = new["lastFailure"]
        found.append(_event(job, last["reason"], last["message"], "Warning", new, now))
    return list({event["metadata"]["name"]: event for event in found}.values())


def _event(
    job: Metadata, reason: str, note: str, kind: str, status: Mapping[str, Any], now: datetime
) -> dict[str, Any]:
    restarts = sum(status["restarts"].values())
    seed = "/".join((job.uid, reason, str(status["attempt"]), str(restarts), str(status["observedGeneration"])))
    return {
        "apiVersion": "events.k8s.io/v1",
        "kind": "Event",
        "metadata": {
            "name": f"{job.name}.{hashlib.sha256(seed.encode()).hexdigest()[:16]}",
            "namespace": job.namespace,
        },
        "eventTime": now.strftime("%Y-%m-%dT%H:%M:%S.%fZ"),
        "reportingController": names.REPORTING_CONTROLLER,
        "reportingInstance": names.FIELD_MANAGER,
        "action": reason,
        "reason": reason,
        "note": note,
        "type": kind,
        "regarding": {
            "apiVersion": names.API_VERSION,
            "kind": "TrainPushJob",
            "namespace": job.namespace,
            "name": job.name,
            "uid": job.uid,
        },
    }
