"""Decisions on an InferenceService as its status."""

from dataclasses import replace
from typing import Any

import pytest

from support.build import NOW
from trainpush.api.demand import PriorityStatus
from trainpush.api.inferenceservice import ServiceStatus
from trainpush.model.plan import Condition, Served, ServiceDecision, Verdict
from trainpush.model.reasons import Reason
from trainpush.model.serving import Place
from trainpush.model.workload import Key, Refusal
from trainpush.status.service import ServiceSeen, read, write

DIGEST = "sha256:" + "0" * 64
SERVING = ServiceDecision(
    key=Key("team", "digits"),
    verdict=Verdict(Reason.MINIMUM_REPLICAS_AVAILABLE, "1 of 1 replica gets requests"),
    placed=Condition(True, Reason.PLACED, "1 replica on 1 node"),
    scaling=Condition(False, Reason.NOT_BLOCKED, "every replica has room"),
    loaded=Condition(True, Reason.MODEL_LOADED, "1 replica answers"),
    available=Condition(True, Reason.MINIMUM_REPLICAS_AVAILABLE, "1 of 1 replica gets requests"),
    progressing=Condition(True, Reason.ROLLED_OUT, "1 of 1 replica serves digits-1"),
    replicas=1,
    ready=1,
    stable="digits-1",
    wanted="digits-1",
    places=(Place(4, "digits-1", "n1", NOW),),
    revisions=(Served("digits-1", 3, DIGEST, 1, 1),),
)
STARTING = replace(
    SERVING,
    verdict=Verdict(Reason.MINIMUM_REPLICAS_UNAVAILABLE, "0 of 1"),
    loaded=Condition(False, Reason.MODEL_LOADING, "no replica answers yet"),
    available=Condition(False, Reason.MINIMUM_REPLICAS_UNAVAILABLE, "0 of 1"),
    progressing=Condition(True, Reason.ROLLING_OUT, "0 of 1"),
    ready=0,
    stable="",
)
FAILING = replace(
    SERVING,
    wanted="digits-2",
    verdict=Verdict(Reason.MODEL_LOAD_FAILED, "server: exit code 1"),
    loaded=Condition(False, Reason.MODEL_LOAD_FAILED, "server: exit code 1"),
    progressing=Condition(False, Reason.MODEL_LOAD_FAILED, "server: exit code 1; digits-1 keeps serving"),
)
WAITING = replace(
    STARTING,
    wanted="",
    places=(),
    revisions=(),
    verdict=Verdict(Reason.WAITING_FOR_MODEL, "nothing released yet"),
    loaded=Condition(False, Reason.WAITING_FOR_MODEL, "there is no revision yet"),
    progressing=Condition(False, Reason.WAITING_FOR_MODEL, "there is no revision yet"),
)
REFUSED = replace(SERVING, refusal=Refusal(Reason.POOL_NOT_FOUND, "spec.placement.pool: no"))
REFUSED = replace(REFUSED, verdict=Verdict(Reason.POOL_NOT_FOUND, "spec.placement.pool: no"))
STOPPED = replace(SERVING, places=(), revisions=(), replicas=0, ready=0)
TROUBLED = replace(SERVING, verdict=Verdict(Reason.APPLY_FAILED, "quota"))
ALL = {
    "Serving": SERVING,
    "Starting": STARTING,
    "Rolling": FAILING,
    "Waiting": WAITING,
    "Refused": REFUSED,
    "Stopped": STOPPED,
}


def status(decision: ServiceDecision, old: dict[str, Any] | None = None) -> dict[str, Any]:
    return write(decision, ServiceSeen("a=b", "http://digits.team.svc"), 2, old or {}, NOW)


def conditions(decision: ServiceDecision) -> dict[str, tuple[str, str]]:
    return {entry["type"]: (entry["status"], entry["reason"]) for entry in status(decision)["conditions"]}


@pytest.mark.parametrize(("phase", "decision"), ALL.items(), ids=ALL)
def test_every_status_can_be_read_back_as_the_api_defines_it(phase: str, decision: ServiceDecision) -> None:
    written = status(decision)
    read = ServiceStatus.model_validate(written)
    assert read.model_dump(by_alias=True, mode="json", exclude_unset=True) == written
    assert written["phase"] == phase


def test_a_service_that_serves_says_what_where_and_how_to_ask() -> None:
    written = status(SERVING)
    assert written["revisions"] == [{"name": "digits-1", "number": 3, "digest": DIGEST, "replicas": 1, "ready": 1}]
    assert written["placements"] == [
        {"serial": 4, "revision": "digits-1", "node": "n1", "since": "2026-01-01T12:00:00Z"}
    ]
    assert (written["stable"], written["wanted"]) == ("digits-1", "digits-1")
    assert conditions(SERVING) == {
        "Ready": ("True", "MinimumReplicasAvailable"),
        "Accepted": ("True", "Accepted"),
        "ScaleBlocked": ("False", "NotBlocked"),
        "Placed": ("True", "Placed"),
        "ModelLoaded": ("True", "ModelLoaded"),
        "Available": ("True", "MinimumReplicasAvailable"),
        "Progressing": ("True", "RolledOut"),
    }


@pytest.mark.parametrize(
    ("decision", "ready"),
    [
        (STARTING, ("False", "MinimumReplicasUnavailable")),
        (FAILING, ("True", "MinimumReplicasAvailable")),
        (WAITING, ("False", "WaitingForModel")),
        (REFUSED, ("False", "PoolNotFound")),
        (TROUBLED, ("False", "ApplyFailed")),
        (STOPPED, ("True", "MinimumReplicasAvailable")),
    ],
    ids=["starting", "failing release", "waiting", "refused", "trouble", "stopped"],
)
def test_ready_means_that_enough_serve_and_nothing_is_wrong(decision: ServiceDecision, ready: tuple[str, str]) -> None:
    assert conditions(decision)["Ready"] == ready


@pytest.mark.parametrize(
    ("decision", "accepted"),
    [
        (FAILING, ("True", "Accepted")),
        (WAITING, ("True", "Accepted")),
        (REFUSED, ("False", "PoolNotFound")),
    ],
    ids=["failing release", "waiting", "refused"],
)
def test_accepted_means_that_the_spec_is_sound(decision: ServiceDecision, accepted: tuple[str, str]) -> None:
    assert conditions(decision)["Accepted"] == accepted


@pytest.mark.parametrize(
    ("decision", "passing"),
    [
        (SERVING, {}),
        (WAITING, {}),
        (STARTING, {"Reconciling": ("True", "RollingOut")}),
        (FAILING, {"Reconciling": ("True", "ModelLoadFailed")}),
        (REFUSED, {"Stalled": ("True", "PoolNotFound")}),
    ],
    ids=["serving", "waiting", "starting", "failing release", "refused"],
)
def test_passing_conditions_are_there_only_while_true(decision: ServiceDecision, passing: dict[str, Any]) -> None:
    found = conditions(decision)
    assert {kind: found[kind] for kind in ("Reconciling", "Stalled") if kind in found} == passing


def test_more_revisions_than_a_status_takes_are_cut_to_the_newest() -> None:
    many = tuple(Served(f"digits-{number}", number, "", 1, 1) for number in range(1, 30))
    written = status(replace(SERVING, revisions=many))
    assert [entry["number"] for entry in written["revisions"]] == list(range(14, 30))
    assert "digest" not in written["revisions"][0]


@pytest.mark.parametrize(
    ("changes", "is_new"),
    [
        ({}, False),
        ({"placements": [{"serial": 0}]}, True),
        ({"observedGeneration": None}, True),
        ({"phase": 1, "url": []}, False),
    ],
    ids=str,
)
def test_a_status_without_its_places_counts_as_lost(changes: dict[str, Any], is_new: bool) -> None:
    """They are sought anew then; what else cannot be read is only written anew."""
    assert read(ServiceStatus.read(status(SERVING) | changes)).is_new is is_new


def test_what_its_class_says_is_told_and_stays_while_nobody_can_tell() -> None:
    """A spec that this version cannot read tells nothing of a class."""
    told = PriorityStatus(class_name="high", value=100)
    first = write(SERVING, ServiceSeen("a=b", "http://s", told), 1, {}, NOW)
    later = write(SERVING, ServiceSeen("a=b", "http://s"), 2, first, NOW)
    assert ServiceStatus.read(first).priority == ServiceStatus.read(later).priority == told
