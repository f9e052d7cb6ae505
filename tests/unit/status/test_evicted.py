"""Evicted: from the announcement until all workers run again."""

from collections.abc import Mapping
from datetime import timedelta
from typing import Any

import pytest

from support.build import NOW, a_placement
from trainpush.api.trainpushjob import JobStatus
from trainpush.model.plan import Decision, Stage, Verdict
from trainpush.model.reasons import Reason
from trainpush.model.workload import Eviction, Key, Outcome, Recorded, Refusal
from trainpush.status.job import read, write

EVICTION = Eviction("team/urgent", Reason.PREEMPTED, "makes room for team/urgent: 3600 s of work", lost=3600)
TAKEN = {"preemptions": 1, "last": Refusal(Reason.PREEMPTED, EVICTION.message)}
"""What a decision says from then on."""
PLACE = a_placement("n1", "n2")


def after(*steps: Mapping[str, Any]) -> list[dict[str, Any]]:
    """The statuses of a job whose decisions these are, one after the other."""
    statuses: list[dict[str, Any]] = []
    for minute, step in enumerate(steps):
        rest = dict(step)
        stage = rest.pop("stage", Stage.QUEUED)
        decision = Decision(Key("team", "job"), Recorded(**rest), stage, Verdict("Why", "why"))
        old = statuses[-1] if statuses else {}
        statuses.append(write(decision, None, 2, 1, old, NOW + timedelta(minutes=minute)))
    return statuses


def told(status: Mapping[str, Any]) -> tuple[str, str, str]:
    entry = next(entry for entry in status["conditions"] if entry["type"] == "Evicted")
    return entry["status"], entry["reason"], entry["message"]


def outcomes(*steps: Mapping[str, Any]) -> list[tuple[str, str]]:
    return [told(status)[:2] for status in after(*steps)]


RUNS = {"stage": Stage.RUNNING, "placement": PLACE, "has_run": True}
ANNOUNCED = {**RUNS, "eviction": EVICTION}
STARTS = {"stage": Stage.STARTING, "placement": PLACE, **TAKEN}


def test_a_job_that_keeps_what_it_has_is_not_evicted() -> None:
    """The condition is there from the first status on."""
    assert outcomes({}, RUNS) == [("False", "NotEvicted")] * 2


def test_what_was_announced_and_carried_out_is_over_when_all_workers_run_again() -> None:
    """Whoever waits for Evicted sees it; whoever waits for its end sees that too."""
    assert outcomes(RUNS, ANNOUNCED, TAKEN, STARTS, RUNS | TAKEN) == [
        ("False", "NotEvicted"),
        ("False", "Announced"),
        ("True", "Preempted"),
        ("True", "Preempted"),
        ("False", "NotEvicted"),
    ]


def test_a_gang_that_lost_some_workers_is_evicted_although_it_has_a_place() -> None:
    shrunk = {"stage": Stage.RESTARTING, "placement": a_placement("n1"), **TAKEN}
    assert outcomes(ANNOUNCED, shrunk, shrunk, {**shrunk, "stage": Stage.RUNNING, "has_run": True}) == [
        ("False", "Announced"),
        ("True", "Preempted"),
        ("True", "Preempted"),
        ("False", "NotEvicted"),
    ]


def test_what_else_happens_before_it_runs_again_does_not_hide_the_eviction() -> None:
    """The reason stays the one that took the place."""
    unbound = {"preemptions": 1, "last": Refusal(Reason.BIND_TIMEOUT, "no pod was bound")}
    assert told(after(ANNOUNCED, TAKEN, STARTS, unbound)[-1]) == ("True", "Preempted", EVICTION.message)


def test_an_eviction_of_long_ago_is_none_of_today() -> None:
    """Its words stay in lastFailure; a job that was suspended since was not evicted again."""
    assert outcomes(ANNOUNCED, TAKEN, RUNS | TAKEN, {"stage": Stage.SUSPENDED, **TAKEN})[-1] == ("False", "NotEvicted")


def test_a_second_eviction_is_one_again() -> None:
    again = {**TAKEN, "preemptions": 2, "last": Refusal(Reason.RECLAIMED, "")}
    assert outcomes(ANNOUNCED, TAKEN, RUNS | TAKEN, ANNOUNCED | TAKEN, again)[-2:] == [
        ("False", "Announced"),
        ("True", "Reclaimed"),
    ]


def test_a_job_that_ended_is_not_evicted() -> None:
    done = {"stage": Stage.COMPLETE, "placement": PLACE, "outcome": Outcome.COMPLETE, **TAKEN}
    assert outcomes(ANNOUNCED, TAKEN, STARTS, done)[-1] == ("False", "NotEvicted")


def test_an_announcement_says_who_needs_the_room_why_and_what_it_costs() -> None:
    """In the words of the decision."""
    assert told(after(ANNOUNCED)[0])[2] == f"in the next cycle: {EVICTION.message}"


def test_what_a_status_says_of_evictions_is_read_back() -> None:
    """The next cycle must know what was announced."""
    (status,) = after(ANNOUNCED | {"preemptions": 3})
    found = read(JobStatus.read(status))
    assert (found.eviction, found.preemptions, found.has_run) == (EVICTION, 3, True)
    assert status["restarts"] == {"failures": 0, "infrastructure": 0, "preemptions": 3}


@pytest.mark.parametrize("stored", [{}, {"restarts": {"failures": 1}}, {"eviction": {"by": "x"}}], ids=str)
def test_a_status_that_lacks_parts_announces_nothing(stored: dict[str, Any]) -> None:
    """Such as one that an earlier version wrote."""
    found = read(JobStatus.read(stored))
    assert (found.eviction, found.preemptions) == (None, 0)
