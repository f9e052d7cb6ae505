"""What is written down of a program's own words."""

from dataclasses import replace
from datetime import timedelta

import pytest

from support.build import NOW, a_job, a_worker
from trainpush.model.workload import Checkpoint, Heard, Job, Phase, Recorded
from trainpush.planner import reports


def saved(step: int, attempt: int = 1) -> Checkpoint:
    """A checkpoint without a place."""
    return Checkpoint(attempt, step, "", NOW)


def a_program(heard: Heard | None = None, known: Heard | None = None, **recorded: object) -> Job:
    """A job in its first attempt, of which `known` is written down."""
    return a_job(heard=heard, recorded=Recorded(attempt=1, heard=known, **recorded))  # type: ignore[arg-type]


@pytest.mark.parametrize(
    "report",
    [{"step": -1}, {"step": True}, {"step": 2**60}, {"step": "3"}, {"step": 1.5}, {"metrics": [1]}, {"checkpoint": 3}],
    ids=str,
)
def test_a_report_that_makes_no_sense_is_left_out(report: dict[str, object]) -> None:
    """The API server would refuse the whole status."""
    job = replace(a_program(), workers=(a_worker(0, Phase.SUCCEEDED, report=report),))
    assert reports.progress(job, NOW) == Heard(attempt=1, at=NOW)
    assert reports.checkpoint(job, NOW) is None


def test_progress_is_written_down_twice_a_minute() -> None:
    """Not each of the reports, which come every five seconds."""
    known = Heard(attempt=1, at=NOW, step=10)
    soon, later = (Heard(attempt=1, at=NOW + timedelta(seconds=s), step=s) for s in (20, 31))
    assert reports.progress(a_program(soon, known), NOW) == known
    assert reports.progress(a_program(later, known), NOW) == later


def test_the_first_word_of_an_attempt_is_written_down_at_once() -> None:
    """It tells that the program can be asked."""
    known, heard = Heard(attempt=0, at=NOW, step=10), Heard(attempt=1, at=NOW, step=3)
    assert reports.progress(a_program(heard, known), NOW) == heard
    assert reports.progress(a_program(known, heard), NOW) == heard


def test_a_termination_message_counts_at_once_and_once() -> None:
    """Its time is when it was first seen."""
    known = Heard(attempt=1, at=NOW, step=10)
    job = replace(a_program(known=known), workers=(a_worker(0, Phase.SUCCEEDED, report={"step": 12}),))
    told = reports.progress(job, NOW)
    assert told == Heard(attempt=1, at=NOW, step=12)
    again = replace(job, recorded=replace(job.recorded, heard=told))
    assert reports.progress(again, NOW + timedelta(minutes=1)) == told


def test_the_latest_checkpoint_counts() -> None:
    """That of the latest attempt, then of the highest step; the last words of a program may tell of one too."""
    heard = Heard(attempt=1, at=NOW, step=9, saved=saved(8))
    assert reports.checkpoint(a_program(heard, checkpoint=saved(5)), NOW) == saved(8)
    assert reports.checkpoint(a_program(heard, checkpoint=saved(3, attempt=2)), NOW) == saved(3, attempt=2)
    last = a_worker(0, Phase.FAILED, report={"checkpoint": {"step": 9, "uri": "file:/c/9", "digest": "d"}})
    job = replace(a_program(heard), workers=(last,))
    assert reports.checkpoint(job, NOW) == Checkpoint(1, 9, "file:/c/9", NOW, "d")


def test_nobody_speaks_for_an_attempt_that_there_was_not() -> None:
    """Whoever makes a pod by hand may number it as he likes."""
    forged = Heard(attempt=7, at=NOW, step=9, saved=saved(9, attempt=7))
    job = replace(a_program(forged), workers=(a_worker(0, Phase.FAILED, attempt=7, report={"step": 9}),))
    assert (reports.progress(job, NOW), reports.checkpoint(job, NOW)) == (None, None)


def test_a_step_that_is_saved_again_elsewhere_is_known_by_its_new_place() -> None:
    """The same again changes nothing, not even the time."""
    known, later = saved(8), replace(saved(8), at=NOW + timedelta(seconds=5))
    elsewhere = replace(later, uri="there")
    for told, expected in ((later, known), (elsewhere, elsewhere)):
        heard = Heard(attempt=1, at=NOW, step=8, saved=told)
        assert reports.checkpoint(a_program(heard, checkpoint=known), NOW) == expected
