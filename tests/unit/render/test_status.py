"""Decisions as status: what is written, and what is left alone."""

from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from support.build import NOW, a_placement
from trainpush.api.trainpushjob import JobStatus
from trainpush.model.plan import Decision, Holder, Pushing, Stage, Verdict
from trainpush.model.reasons import Reason
from trainpush.model.workload import Eviction, Key, Outcome, Recorded, Refusal
from trainpush.render.status import job_status, merge_patch

JSON = st.recursive(
    st.integers() | st.text(max_size=3) | st.booleans(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=2), inner, max_size=3),
    max_leaves=8,
)


def merged(old: object, patch: object) -> object:
    """RFC 7386, as the API server does it."""
    if not isinstance(patch, dict):
        return patch
    base = dict(old) if isinstance(old, dict) else {}
    for key, value in patch.items():
        if value is None:
            base.pop(key, None)
        else:
            base[key] = merged(base.get(key), value)
    return base


@given(st.dictionaries(st.text(max_size=2), JSON, max_size=4), st.dictionaries(st.text(max_size=2), JSON, max_size=4))
def test_a_patch_leads_from_old_to_new(old: dict[str, object], new: dict[str, object]) -> None:
    """And there is none where nothing changed."""
    assert merged(old, merge_patch(old, new)) == new
    assert merge_patch(new, new) == {}


def a_decision(**fields: Any) -> Decision:
    """A queued job."""
    verdict = Verdict(Reason.SUSPENDED, "why")
    return replace(Decision(Key("default", "job"), Recorded(), Stage.QUEUED, verdict), **fields)


def test_times_move_only_when_a_status_flips() -> None:
    """A new message is no transition."""
    first = job_status(a_decision(), None, 1, 1, {}, NOW)
    again = job_status(
        a_decision(verdict=Verdict(Reason.SUSPENDED, "other")), None, 1, 2, first, NOW.replace(year=2027)
    )
    assert [c["lastTransitionTime"] for c in again["conditions"]] == [
        c["lastTransitionTime"] for c in first["conditions"]
    ]


def test_a_refused_spec_is_not_accepted_even_while_suspended() -> None:
    """Accepted speaks of the spec, not of the stage."""
    refusal = Refusal(Reason.POOL_NOT_FOUND, "spec.placement.pool: no")
    conditions = job_status(a_decision(stage=Stage.SUSPENDED, refusal=refusal), None, 1, 1, {}, NOW)["conditions"]
    accepted = next(c for c in conditions if c["type"] == "Accepted")
    assert (accepted["status"], accepted["reason"]) == ("False", "PoolNotFound")


def test_a_job_that_pushes_nothing_says_nothing_of_it() -> None:
    """No condition that never comes true."""
    status = job_status(a_decision(), None, 1, 1, {}, NOW)
    assert "push" not in status
    assert "Pushed" not in {c["type"] for c in status["conditions"]}


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
    conditions = {c["type"]: c for c in job_status(decision, None, 1, 1, {}, NOW)["conditions"]}
    kinds = ("Ready", "Pushed", "Reconciling", "Stalled")
    assert {kind: conditions[kind]["reason"] for kind in kinds if kind in conditions} == expected
    assert conditions["Ready"]["status"] == str(not push.has_failed)
    assert conditions["Pushed"]["status"] == str(push.is_over)
    assert conditions["TrainingComplete"]["status"] == "True"


def test_the_way_of_a_push_stands_in_its_status() -> None:
    """Only what is known yet."""
    digest = "sha256:" + "0" * 64
    push = Pushing(Reason.RELEASING, "", export="job-export-1", digest=digest, uri="pvc://models/x")
    assert job_status(a_decision(push=push), None, 1, 1, {}, NOW)["push"] == {
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
    told = job_status(a_decision(verdict=verdict), None, 1, 1, {}, NOW)["verdict"]
    assert told["holders"] == [{"name": "team/big", "accelerators": 16}, {"name": "other pods", "accelerators": 8}]
    assert (told["position"], told["advice"]) == (3, "lower spec.replicas to 2")


def test_a_verdict_leaves_out_what_there_is_nothing_to_say_of() -> None:
    """Else every status would change for nothing."""
    told = job_status(a_decision(), None, 1, 1, {}, NOW)["verdict"]
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
    status = job_status(a_decision(record=Recorded(placement=a_placement(*nodes))), None, 5, 1, {}, NOW)
    assert next(c["message"] for c in status["conditions"] if c["type"] == "Placed") == expected
    assert (status["replicas"]["desired"], status["replicas"]["assigned"]) == (5, len(nodes))


def test_what_is_written_fits_the_schema() -> None:
    """The API server would drop what it does not know, and refuse what it does not take."""
    verdict = Verdict(Reason.WAITING_FOR_CAPACITY, "why", 1, 1, 1, (Holder("team/big", 16),) * 5, 1, "x" * 2000)
    eviction = Eviction("team/urgent", Reason.PREEMPTED, "x" * 2000, workers=2, lost=2**40)
    job = job_status(
        a_decision(verdict=verdict, record=Recorded(eviction=eviction, preemptions=1)), None, 1, 1, {}, NOW
    )
    assert JobStatus.model_validate(job).eviction is not None
