"""News: what is told of a change, and what is not."""

from typing import Any

import pytest

from support.build import NOW
from trainpush.api.base import Metadata
from trainpush.api.inferenceservice import ServiceStatus
from trainpush.api.trainpushjob import JobStatus
from trainpush.render.events import events

OF = Metadata(name="digits", namespace="team", uid="uid")
CONDITION = tuple[str, str, str]


STATUSES: dict[str, type[JobStatus] | type[ServiceStatus]] = {
    "TrainPushJob": JobStatus,
    "InferenceService": ServiceStatus,
}


def a_status(*conditions: CONDITION, **more: Any) -> dict[str, Any]:
    entries = [
        {"type": kind, "status": status, "reason": reason, "message": f"{reason}.", "lastTransitionTime": NOW}
        for kind, status, reason in conditions
    ]
    return {"conditions": entries, "observedGeneration": 1, **more}


def a_place(serial: int) -> dict[str, Any]:
    return {"serial": serial, "revision": "digits-1", "node": "n1", "since": NOW}


def made(kind: str, old: dict[str, Any], new: dict[str, Any]) -> list[dict[str, Any]]:
    """The Events for what changed."""
    read = STATUSES[kind].model_validate
    return events(kind, OF, read(old), read(new), NOW)


def told(kind: str, old: dict[str, Any], new: dict[str, Any]) -> list[tuple[str, str, str]]:
    return [(event["type"], event["reason"], event["note"]) for event in made(kind, old, new)]


def flips(kind: str, before: CONDITION | None, after: CONDITION) -> list[tuple[str, str]]:
    old = a_status(before) if before else {}
    return [(grade, reason) for grade, reason, _ in told(kind, old, a_status(after))]


@pytest.mark.parametrize(
    ("before", "after", "expected"),
    [
        (None, ("Accepted", "False", "PoolNotFound"), ("Warning", "PoolNotFound")),
        (None, ("Accepted", "True", "Accepted"), None),
        (None, ("Pushed", "False", "InProgress"), None),
        (("Pushed", "False", "InProgress"), ("Pushed", "False", "Exporting"), ("Normal", "Exporting")),
        (("Pushed", "False", "Exporting"), ("Pushed", "False", "ExportFailed"), ("Warning", "ExportFailed")),
        (("Pushed", "False", "Exporting"), ("Pushed", "False", "TargetNotFound"), ("Warning", "TargetNotFound")),
        (("Pushed", "False", "Releasing"), ("Pushed", "True", "Pushed"), ("Normal", "Pushed")),
        (("Pushed", "True", "Pushed"), ("Pushed", "True", "Superseded"), ("Normal", "Superseded")),
        (("Pushed", "True", "Pushed"), ("Pushed", "True", "Pushed"), None),
        (None, ("Evicted", "False", "NotEvicted"), None),
        (("Evicted", "False", "NotEvicted"), ("Evicted", "False", "Announced"), ("Warning", "Announced")),
        (("Evicted", "False", "Announced"), ("Evicted", "False", "Announced"), None),
        (("Evicted", "False", "Announced"), ("Evicted", "True", "Preempted"), ("Warning", "Preempted")),
        (("Evicted", "False", "Announced"), ("Evicted", "True", "Reclaimed"), ("Warning", "Reclaimed")),
        (("Evicted", "True", "Preempted"), ("Evicted", "False", "NotEvicted"), None),
        (("Placed", "True", "Placed"), ("Placed", "False", "BindTimeout"), ("Warning", "BindTimeout")),
        (("Placed", "True", "Placed"), ("Placed", "False", "WaitingForCapacity"), ("Normal", "WaitingForCapacity")),
        (("Ready", "True", "WaitingForPods"), ("Ready", "False", "ApplyFailed"), ("Warning", "ApplyFailed")),
        (("Ready", "False", "PoolNotFound"), ("Ready", "False", "ApplyFailed"), ("Warning", "ApplyFailed")),
        (("Ready", "False", "ApplyFailed"), ("Ready", "False", "ApplyFailed"), None),
        (("Ready", "True", "WaitingForCapacity"), ("Ready", "True", "Running"), None),
    ],
    ids=str,
)
def test_of_a_job(before: CONDITION | None, after: CONDITION, expected: tuple[str, str] | None) -> None:
    assert flips("TrainPushJob", before, after) == ([expected] if expected else [])


@pytest.mark.parametrize(
    ("before", "after", "expected"),
    [
        (None, ("Accepted", "False", "WaitingForModel"), None),
        (None, ("Progressing", "False", "WaitingForModel"), None),
        (None, ("Placed", "False", "InProgress"), None),
        (None, ("Available", "False", "MinimumReplicasUnavailable"), None),
        (
            ("Available", "False", "MinimumReplicasUnavailable"),
            ("Available", "True", "MinimumReplicasAvailable"),
            ("Normal", "MinimumReplicasAvailable"),
        ),
        (
            ("Available", "True", "MinimumReplicasAvailable"),
            ("Available", "False", "MinimumReplicasUnavailable"),
            ("Warning", "MinimumReplicasUnavailable"),
        ),
        (None, ("ModelLoaded", "False", "ModelLoading"), None),
        (("ModelLoaded", "False", "ModelLoading"), ("ModelLoaded", "True", "ModelLoaded"), ("Normal", "ModelLoaded")),
        (("ModelLoaded", "True", "ModelLoaded"), ("ModelLoaded", "False", "ModelLoading"), ("Warning", "ModelLoading")),
        (("Progressing", "True", "RollingOut"), ("Progressing", "True", "RolledOut"), ("Normal", "RolledOut")),
        (
            ("Progressing", "True", "RollingOut"),
            ("Progressing", "False", "ModelLoadFailed"),
            ("Warning", "ModelLoadFailed"),
        ),
        (("Progressing", "True", "RolledOut"), ("Progressing", "True", "RolledOut"), None),
        (None, ("Ready", "False", "MinimumReplicasUnavailable"), None),
        (("Ready", "True", "MinimumReplicasAvailable"), ("Ready", "False", "ApplyFailed"), ("Warning", "ApplyFailed")),
    ],
    ids=str,
)
def test_of_a_service(before: CONDITION | None, after: CONDITION, expected: tuple[str, str] | None) -> None:
    assert flips("InferenceService", before, after) == ([expected] if expected else [])


def test_a_restart_is_told_with_its_cause() -> None:
    old = a_status(restarts={"failures": 0, "infrastructure": 0}, attempt=1)
    cause = {"reason": "Restarting", "message": "exit code 1"}
    new = a_status(restarts={"failures": 1, "infrastructure": 0}, attempt=2, lastFailure=cause)
    assert told("TrainPushJob", old, new) == [("Warning", "Restarting", "exit code 1")]


def test_an_eviction_is_told_once() -> None:
    """It is a new start and a condition at the same time."""
    cause = {"reason": "Preempted", "message": "Preempted."}
    old = a_status(("Evicted", "False", "Announced"), restarts={"preemptions": 0}, attempt=1)
    new = a_status(("Evicted", "True", "Preempted"), restarts={"preemptions": 1}, attempt=1, lastFailure=cause)
    assert told("TrainPushJob", old, new) == [("Warning", "Preempted", "Preempted.")]


def test_another_announcement_is_another_event() -> None:
    """The first may have been dropped: somebody else needs the room now."""
    evictions = [{"by": by, "reason": "Preempted", "message": "why"} for by in ("team/a", "team/b")]
    statuses = [a_status(("Evicted", "False", "Announced"), eviction=eviction) for eviction in evictions]
    assert len({made("TrainPushJob", {}, status)[0]["metadata"]["name"] for status in statuses}) == 2


def test_one_cause_of_two_changes_is_told_once() -> None:
    old = a_status(("ModelLoaded", "True", "ModelLoaded"), ("Progressing", "True", "RolledOut"))
    new = a_status(("ModelLoaded", "False", "ModelLoadFailed"), ("Progressing", "False", "ModelLoadFailed"))
    assert len(told("InferenceService", old, new)) == 1


def test_a_place_that_was_given_back_is_told_once_and_as_a_warning() -> None:
    """Two conditions say it."""
    old = a_status(("Ready", "True", "WaitingForPods"), ("Placed", "True", "Placed"))
    new = a_status(("Ready", "False", "BindTimeout"), ("Placed", "False", "BindTimeout"))
    assert told("TrainPushJob", old, new) == [("Warning", "BindTimeout", "BindTimeout.")]


def test_the_same_change_has_the_same_name_and_a_later_one_another() -> None:
    """An Event that is written twice is one; the next roll is news again."""

    def name(**more: Any) -> str:
        new = a_status(("Progressing", "True", "RolledOut"), **more)
        (event,) = made("InferenceService", {}, new)
        return str(event["metadata"]["name"])

    first = name(wanted="digits-1", placements=[a_place(1)])
    assert first == name(wanted="digits-1", placements=[a_place(1)])
    assert len({first, name(wanted="digits-2"), name(wanted="digits-1", placements=[a_place(2)])}) == 3


def test_an_event_names_what_it_is_about() -> None:
    (event,) = made("InferenceService", {}, a_status(("Accepted", "False", "PoolNotFound")))
    assert event["regarding"] == {
        "apiVersion": "training.ai/v1",
        "kind": "InferenceService",
        "namespace": "team",
        "name": "digits",
        "uid": "uid",
    }


def test_a_note_fits_into_an_event() -> None:
    """Kubernetes counts bytes."""
    new = a_status(("Accepted", "False", "PoolNotFound"))
    new["conditions"][0]["message"] = "é" * 1024
    (event,) = made("InferenceService", {}, new)
    assert event["note"] == "é" * 512
