"""What a program is told follows from the status of its job, and from nothing else."""

from typing import Any

import pytest

from trainpush.controller.contract import Answer, Saved, Standing, answer, is_recorded

ASKED = {"askedAt": "2026-01-01T00:00:00Z", "deadline": "2026-01-01T00:02:00Z", "reason": "Preempted"}
REQUEST = Standing("3-2026-01-01T00:00:00Z", "2026-01-01T00:02:00Z", "Preempted")
SAVED = Saved(step=50, uri="pvc://c/p")


@pytest.mark.parametrize(
    ("eviction", "told"),
    [
        (None, Answer(None, stop=False)),
        ({"by": "ns/other", "carriedOut": False}, Answer(None, stop=False)),
        (ASKED, Answer(REQUEST, stop=False)),
        ({**ASKED, "answered": True}, Answer(REQUEST, stop=True)),
        ({**ASKED, "carriedOut": True}, Answer(None, stop=True)),
        ({"carriedOut": True}, Answer(None, stop=True)),
    ],
    ids=["nothing", "announced", "asked", "answered", "carried out", "carried out without asking"],
)
def test_the_answer_follows_from_the_eviction(eviction: dict[str, Any] | None, told: Answer) -> None:
    status = {"attempt": 3} | ({"eviction": eviction} if eviction else {})
    assert answer(status, 3) == told


@pytest.mark.parametrize("status", [{}, {"attempt": 4}, {"attempt": 4, "eviction": ASKED}], ids=str)
def test_an_attempt_that_is_not_the_latest_must_stop(status: dict[str, Any]) -> None:
    """Also when a request stands: it is the other's."""
    assert answer(status, 3) == Answer(None, stop=True)


@pytest.mark.parametrize(
    ("attempt", "step", "is_so"), [(3, 50, True), (3, 51, True), (3, 49, False), (2, 99, False), (4, 0, True)]
)
def test_a_checkpoint_is_recorded_when_status_names_it_or_a_newer_one(attempt: int, step: int, is_so: bool) -> None:
    status = {"attempt": 3, "checkpoint": {"attempt": attempt, "step": step}}
    assert is_recorded(SAVED, status, 3) is is_so


def test_an_answer_is_recorded_when_status_says_so_too() -> None:
    """Else a step more might be taken, because the same checkpoint had been told before."""
    saved = Saved(step=50, uri="pvc://c/p", request=REQUEST.id)
    status = {"attempt": 3, "checkpoint": {"attempt": 3, "step": 50}, "eviction": ASKED}
    assert not is_recorded(saved, status, 3)
    assert is_recorded(SAVED, status, 3)
    assert is_recorded(saved, {**status, "eviction": {**ASKED, "answered": True}}, 3)
    assert is_recorded(saved, {"attempt": 3, "checkpoint": {"attempt": 3, "step": 50}}, 3), "it was taken back"


def test_of_an_attempt_that_is_over_nothing_is_awaited() -> None:
    assert is_recorded(SAVED, {"attempt": 4}, 3)
