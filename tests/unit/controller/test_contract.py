"""What a program is told follows from the status of its job, and from nothing else."""

from dataclasses import replace
from datetime import timedelta

import pytest

from support.build import NOW
from trainpush.controller.contract import Answer, Saved, Standing, answer, is_recorded
from trainpush.model.workload import Checkpoint, Eviction, Recorded

TOLD = Eviction("ns/other", "Preempted", "why")
ASKED = replace(TOLD, asked_at=NOW, deadline=NOW + timedelta(minutes=2))
REQUEST = Standing("3-2026-01-01T12:00:00Z", "2026-01-01T12:02:00Z", "Preempted")
SAVED = Saved(step=50, uri="pvc://c/p")


def a_record(step: int = 50, attempt: int = 3, eviction: Eviction | None = None) -> Recorded:
    """Of the third attempt, with this checkpoint."""
    return Recorded(attempt=3, checkpoint=Checkpoint(attempt, step, "pvc://c/p", NOW), eviction=eviction)


@pytest.mark.parametrize(
    ("eviction", "told"),
    [
        (None, Answer(None, stop=False)),
        (TOLD, Answer(None, stop=False)),
        (ASKED, Answer(REQUEST, stop=False)),
        (replace(ASKED, is_answered=True), Answer(REQUEST, stop=True)),
        (replace(ASKED, is_done=True), Answer(None, stop=True)),
        (replace(TOLD, is_done=True), Answer(None, stop=True)),
    ],
    ids=["nothing", "announced", "asked", "answered", "carried out", "carried out without asking"],
)
def test_the_answer_follows_from_the_eviction(eviction: Eviction | None, told: Answer) -> None:
    assert answer(Recorded(attempt=3, eviction=eviction), 3) == told


@pytest.mark.parametrize("record", [Recorded(), Recorded(attempt=4), Recorded(attempt=4, eviction=ASKED)], ids=str)
def test_an_attempt_that_is_not_the_latest_must_stop(record: Recorded) -> None:
    """Also when a request stands: it is the other's."""
    assert answer(record, 3) == Answer(None, stop=True)


@pytest.mark.parametrize(
    ("attempt", "step", "is_so"), [(3, 50, True), (3, 51, True), (3, 49, False), (2, 99, False), (4, 0, True)]
)
def test_a_checkpoint_is_recorded_when_status_names_it_or_a_newer_one(attempt: int, step: int, is_so: bool) -> None:
    assert is_recorded(SAVED, a_record(step, attempt), 3) is is_so


def test_an_answer_is_recorded_when_status_says_so_too() -> None:
    """Else a step more might be taken, because the same checkpoint had been told before."""
    saved = Saved(step=50, uri="pvc://c/p", request=REQUEST.id)
    assert not is_recorded(saved, a_record(eviction=ASKED), 3)
    assert is_recorded(SAVED, a_record(eviction=ASKED), 3)
    assert is_recorded(saved, a_record(eviction=replace(ASKED, is_answered=True)), 3)
    assert is_recorded(saved, a_record(), 3), "it was taken back"


def test_of_an_attempt_that_is_over_nothing_is_awaited() -> None:
    assert is_recorded(SAVED, Recorded(attempt=4), 3)
