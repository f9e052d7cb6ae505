"""Decisions as status: what is written, and what is left alone."""

from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from support.build import NOW, a_placement
from trainpush.api.trainpushjob import JobStatus
from trainpush.model.plan import Decision, Holder, Pushing, Stage, Verdict
from trainpush.model.reasons import IS_READY, Reason
from trainpush.model.workload import Eviction, Key, Outcome, Placement, Recorded, Refusal
from trainpush.status.job import read, write


def a_decision(**fields: Any) -> Decision:
    """A queued job."""
    verdict = Verdict(Reason.SUSPENDED, "why")
    return replace(Decision(Key("default", "job"), Recorded(), Stage.QUEUED, verdict), **fields)


def test_times_move_only_when_a_status_flips() -> None:
    """A new message is no transition."""
    first = write(a_decision(), None, 1, 1, {}, NOW)
    again = write(a_decision(verdict=Verdict(Reason.SUSPENDED, "other")), None, 1, 2, first, NOW.replace(year=2027))
    assert [c["lastTransitionTime"] for c in again["conditions"]] == [
        c["lastTransitionTime"] for c in first["conditions"]
    ]


def test_a_refused_spec_is_not_accepted_even_while_suspended() -> None:
    """Accepted speaks of the spec, not of the stage."""
    refusal = Refusal(Reason.POOL_NOT_FOUND, "spec.placement.pool: no")
    conditions = write(a_decision(stage=Stage.SUSPENDED, refusal=refusal), None, 1, 1, {}, NOW)["conditions"]
    accepted = next(c for c in conditions if c["type"] == "Accepted")
    assert (accepted["status"], accepted["reason"]) == ("False", "PoolNotFound")


def test_a_job_that_pushes_nothing_says_nothing_of_it() -> None:
    """No condition that never comes true."""
    status = write(a_decision(), None, 1, 1, {}, NOW)
    assert "push" not in status
    assert "Pushed" not in {c["type"] for c in status["conditions"]}


@pytest.mark.parametrize(
    ("stage", "placement", "passing"),
    [(Stage.QUEUED, None, set()), (Stage.STARTING, a_placement("n1"), {"Reconciling"})],
    ids=["queued", "placed"],
)
@pytest.mark.parametrize("reason", [Reason(reason) for reason in IS_READY])
def test_ready_follows_the_table(reason: Reason, stage: Stage, placement: Placement | None, passing: set[str]) -> None:
    """And whoever must mend something is told so, by a condition that is there only then."""
    decision = a_decision(stage=stage, record=Recorded(placement=placement), verdict=Verdict(reason, "why"))
    conditions = {c["type"]: c for c in write(decision, None, 1, 1, {}, NOW)["conditions"]}
    assert (conditions["Ready"]["status"], conditions["Ready"]["reason"]) == (str(IS_READY[reason]), reason)
    assert conditions.keys() & {"Stalled", "Reconciling"} == (passing if IS_READY[reason] else {"Stalled"})


@pytest.mark.parametrize(
    ("push", "expected"),
    [
        (
            Pushing(Reason.EXPORTING, "", export="job-export-1"),
            {"Ready": "Completed", "Pushed": "Exporting", "Reconciling": "Exporting"},
        ),
        (
            Pushing(Reason.EXPORT_FAILED, "", has_failed=True),
            {"Ready": "ExportFailed", "Pushed": "ExportFailed", "Stalled": "ExportFailed"},
        ),
        (Pushing(Reason.PUSHED, "", is_over=True), {"Ready": "Completed", "Pushed": "Pushed"}),
    ],
    ids=["under way", "failed", "over"],
)
def test_a_push_shows_in_the_conditions(push: Pushing, expected: dict[str, str]) -> None:
    """A job whose push needs a person is not ready, though its training is complete."""
    verdict = Verdict(Reason.COMPLETED, "every worker ended with success")
    decision = a_decision(stage=Stage.COMPLETE, record=Recorded(outcome=Outcome.COMPLETE), verdict=verdict, push=push)
    conditions = {c["type"]: c for c in write(decision, None, 1, 1, {}, NOW)["conditions"]}
    kinds = ("Ready", "Pushed", "Reconciling", "Stalled")
    assert {kind: conditions[kind]["reason"] for kind in kinds if kind in conditions} == expected
    assert conditions["Ready"]["status"] == str(not push.has_failed)
    assert conditions["Pushed"]["status"] == str(push.is_over)
    assert conditions["TrainingComplete"]["status"] == "True"


def test_the_way_of_a_push_stands_in_its_status() -> None:
    """Only what is known yet."""
    digest = "sha256:" + "0" * 64
    push = Pushing(Reason.RELEASING, "", export="job-export-1", digest=digest, uri="pvc://models/x")
    assert write(a_decision(push=push), None, 1, 1, {}, NOW)["push"] == {
        "exportJob": "job-export-1",
        "digest": digest,
        "uri": "pvc://models/x",
    }


def test_a_verdict_says_who_holds_what_and_what_would_help() -> None:
    """With the gang's place in the queue."""
    verdict = Verdict(
        Reason.WAITING_FOR_CAPACITY,
        "why",
        holders=(Holder("team/big", 16), Holder("other pods", 8)),
        position=3,
        advice="lower spec.replicas to 2",
    )
    told = write(a_decision(verdict=verdict), None, 1, 1, {}, NOW)["verdict"]
    assert told["holders"] == [{"name": "team/big", "accelerators": 16}, {"name": "other pods", "accelerators": 8}]
    assert (told["position"], told["advice"]) == (3, "lower spec.replicas to 2")


def test_a_verdict_leaves_out_what_there_is_nothing_to_say_of() -> None:
    """Else every status would change for nothing."""
    told = write(a_decision(), None, 1, 1, {}, NOW)["verdict"]
    assert told.keys() == {"reason", "message", "needed", "free", "largestFree"}


@pytest.mark.parametrize(
    ("nodes", "expected"),
    [
        (("n1",), "1 worker on 1 node of host x"),
        (("n1", "n1"), "2 workers on 1 node of host x"),
        (("n1", "n2", "n2"), "3 workers on 2 nodes of host x"),
    ],
    ids=str,
)
def test_a_place_is_told_in_plain_words(nodes: tuple[str, ...], expected: str) -> None:
    status = write(a_decision(record=Recorded(placement=a_placement(*nodes))), None, 5, 1, {}, NOW)
    assert next(c["message"] for c in status["conditions"] if c["type"] == "Placed") == expected
    assert (status["replicas"]["desired"], status["replicas"]["assigned"]) == (5, len(nodes))


def test_a_place_is_read_as_it_was_written() -> None:
    """Its times too: since when, and until when what is left of it is kept."""
    place = replace(a_placement("n1"), protected_until=NOW + timedelta(hours=1), kept_until=NOW + timedelta(minutes=9))
    status = write(a_decision(record=Recorded(placement=place)), None, 1, 1, {}, NOW)
    assert read(JobStatus.model_validate(status)).placement == place


@pytest.mark.parametrize(
    ("placement", "kept"),
    [(a_placement("n1"), {"resolved", "push"}), (None, {"push"})],
    ids=["with a place", "without"],
)
def test_what_came_of_a_spec_that_cannot_be_resolved_any_more_stays_as_it_stands(
    placement: Placement | None, kept: set[str]
) -> None:
    """Also what another version wrote there: it may come back, and the gang runs on."""
    old = {"resolved": {"pool": "a100", "another": "version"}, "push": {"exportJob": "job-export-1", "another": 1}}
    status = write(a_decision(record=Recorded(placement=placement)), None, 1, 1, old, NOW)
    assert {name: status[name] for name in old if name in status} == {name: old[name] for name in kept}


@pytest.mark.parametrize("old", [{"conditions": [{"type": "Ready"}]}, {"conditions": 1, "restarts": []}], ids=str)
def test_conditions_that_cannot_be_read_are_written_anew(old: dict[str, object]) -> None:
    assert write(a_decision(), None, 1, 1, old, NOW) == write(a_decision(), None, 1, 1, {}, NOW)


def test_what_is_written_fits_the_schema() -> None:
    """The API server would drop what it does not know, and refuse what it does not take."""
    verdict = Verdict(Reason.WAITING_FOR_CAPACITY, "why", 1, 1, 1, (Holder("team/big", 16),) * 5, 1, "x" * 2000)
    eviction = Eviction("team/urgent", Reason.PREEMPTED, "x" * 2000, workers=2, lost=2**40)
    job = write(a_decision(verdict=verdict, record=Recorded(eviction=eviction, preemptions=1)), None, 1, 1, {}, NOW)
    assert JobStatus.model_validate(job).eviction is not None


def test_when_a_gang_first_started_is_read_as_it_was_written() -> None:
    """And absent where it has not started anew."""
    place = a_placement("n1", age=60)
    for told in (place, place.anew(NOW)):
        status = write(a_decision(record=Recorded(attempt=1, placement=told)), None, 1, 1, {}, NOW)
        assert read(JobStatus.read(status)).placement == told
        assert ("firstSince" in status["placement"]) is (told is not place)
