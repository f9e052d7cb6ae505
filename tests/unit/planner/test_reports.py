"""What is written down of a program's own words."""

from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from support.build import NOW, a_cluster, a_job, a_node, a_pool, a_worker, placed_job, running_job
from trainpush.api.trainpushjob import CheckpointStatus, Progress
from trainpush.model.actions import MakeWorker
from trainpush.model.workload import Checkpoint, Eviction, Heard, Job, Phase, Recorded
from trainpush.planner import reports
from trainpush.planner.plan import plan
from trainpush.planner.reports import PERIOD


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


def test_a_termination_message_counts_though_its_pod_is_gone() -> None:
    """The next attempt goes on from there; what a later attempt says counts more."""
    gone = a_worker(0, Phase.FAILED, report={"step": 12, "checkpoint": {"step": 12, "uri": "u"}})
    job = replace(a_program(checkpoint=saved(5)), left=gone)
    assert reports.progress(job, NOW) == Heard(attempt=1, at=NOW, step=12)
    assert reports.checkpoint(job, NOW) == Checkpoint(1, 12, "u", NOW)
    later = Heard(attempt=2, at=NOW, step=3)
    newer = replace(job, heard=later, recorded=replace(job.recorded, attempt=2))
    assert reports.progress(newer, NOW) == later


def test_the_next_attempt_begins_from_what_a_pod_left_at_its_end() -> None:
    """Also where that is learned of only now that it may begin."""
    placed = placed_job("n1", attempt=2, checkpoint=saved(5))
    gone = a_worker(0, Phase.FAILED, report={"checkpoint": {"step": 12, "uri": "u"}})
    (decision,) = plan(a_cluster(replace(placed, left=gone), pool=a_pool(a_node("n1"))), NOW).decisions
    resumes = [action.resume.step for action in decision.actions if isinstance(action, MakeWorker) and action.resume]
    assert (resumes, decision.record.checkpoint and decision.record.checkpoint.step) == ([12], 12)


def test_words_that_status_cuts_short_are_no_news_again() -> None:
    """Else a job that is over would be written anew for ever, for its pods stay for their logs."""
    metrics = {"name " * 20: "text " * 20, "loss": 0.5, **{f"m{n}": n for n in range(40)}}
    said = {"metrics": metrics, "checkpoint": {"step": 9, "uri": "u" * 2000, "digest": "d" * 2000}}
    job = replace(a_program(), workers=(a_worker(0, Phase.SUCCEEDED, report=said),))
    heard, kept = reports.progress(job, NOW), reports.checkpoint(job, NOW)
    assert heard
    assert kept
    # As it comes back from status.
    read = Progress.model_validate({"metrics": heard.metrics}).metrics
    where = CheckpointStatus(attempt=1, step=9, uri=kept.uri, digest=kept.digest, at=NOW)
    known = replace(heard, metrics=read), replace(kept, uri=where.uri, digest=where.digest)
    later = replace(job, recorded=replace(job.recorded, heard=known[0], checkpoint=known[1]))
    assert (reports.progress(later, NOW + PERIOD), reports.checkpoint(later, NOW + PERIOD)) == known


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


def a_saver(seconds: float, eviction: Eviction | None = None, **worker: Any) -> Job:
    """A running program that saved step 9 so many seconds after the one that stands, of step 8."""
    at = NOW + timedelta(seconds=seconds)
    heard = Heard(attempt=1, at=at, step=9, saved=replace(saved(9), at=at))
    job = a_program(heard, checkpoint=saved(8), eviction=eviction)
    return replace(job, workers=(a_worker(0, **{"phase": Phase.RUNNING, **worker}), a_worker(1)))


def test_a_checkpoint_that_nobody_asked_for_is_written_down_every_five_seconds() -> None:
    """Then the latest one counts."""
    soon, due = NOW + timedelta(seconds=2), NOW + reports.SAVES
    early, later = a_saver(1), a_saver(4)
    assert (reports.checkpoint(early, soon), reports.wake_at(early, soon)) == (saved(8), due)
    assert (reports.checkpoint(later, due), reports.wake_at(later, due)) == (later.heard and later.heard.saved, None)


@pytest.mark.parametrize(
    "change",
    [
        {"eviction": Eviction("ns/other", "Preempted", "m", asked_at=NOW)},
        {"deleting": True},
        {"phase": Phase.FAILED},
        {"phase": Phase.SUCCEEDED},
    ],
    ids=["asked for", "being deleted", "failed", "ended"],
)
def test_a_checkpoint_that_may_be_the_last_is_written_down_at_once(change: dict[str, Any]) -> None:
    """Or one that somebody waits for."""
    job, now = a_saver(1, **change), NOW + timedelta(seconds=1)
    assert reports.checkpoint(job, now) == (job.heard and job.heard.saved)
    assert reports.wake_at(job, now) is None


def test_a_clock_that_was_put_back_holds_nothing_up() -> None:
    job = a_saver(1)
    assert reports.checkpoint(job, NOW - timedelta(days=1)) == (job.heard and job.heard.saved)


def test_the_plan_wakes_for_a_checkpoint_that_was_held_back() -> None:
    """Nothing else might happen until then."""
    running = running_job("job", "n1")
    at = NOW - timedelta(seconds=1)
    recorded = replace(running.recorded, checkpoint=replace(saved(8), at=at))
    job = replace(running, recorded=recorded, heard=Heard(attempt=1, at=NOW, step=9, saved=saved(9)))
    now = plan(a_cluster(job, pool=a_pool(a_node("n1"))), NOW)
    assert [it.record.checkpoint and it.record.checkpoint.step for it in now.decisions] == [8]
    assert now.wake_at == at + reports.SAVES
    then = plan(a_cluster(job, pool=a_pool(a_node("n1"))), now.wake_at)
    assert [it.record.checkpoint and it.record.checkpoint.step for it in then.decisions] == [9]
