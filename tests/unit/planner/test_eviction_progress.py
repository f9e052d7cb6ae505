"""How far an eviction goes: what each step waits for, and when there is a way back."""

from dataclasses import replace
from datetime import timedelta
from typing import Final

import pytest

from support.build import NOW, a_cluster, a_pool, running_job, three_racks
from trainpush.model.reasons import Reason
from trainpush.model.workload import Checkpoint, Eviction, EvictionStep, Heard, Job
from trainpush.planner.eviction_progress import Order, advanced
from trainpush.planner.plan import plan

MINUTE: Final = timedelta(minutes=1)
WANTED: Final = Eviction("default/urgent", Reason.PREEMPTED, "makes room", 1, lost=60)
GROWTH: Final = Eviction("default/job", Reason.RESIZED, "grows", 4, lost=60)
STEPS: Final = {
    EvictionStep.ANNOUNCED: {},
    EvictionStep.REQUESTED: {"asked_at": NOW, "deadline": NOW + MINUTE},
    EvictionStep.UNANSWERED: {"deadline": NOW + MINUTE},
    EvictionStep.ANSWERED: {"asked_at": NOW, "deadline": NOW + MINUTE, "is_answered": True},
    EvictionStep.DONE: {"is_done": True},
}
OPEN: Final = [EvictionStep.ANNOUNCED, EvictionStep.REQUESTED, EvictionStep.UNANSWERED]


def at(step: EvictionStep, wanted: Eviction = WANTED) -> Eviction:
    """What stands in status at a step; a program that was asked has a minute, from now."""
    told = replace(wanted, lost=7, **STEPS[step])  # type: ignore[arg-type]
    assert told.step is step
    return told


def a_gang_told(told: Eviction | None, *, is_heard: bool = True, has_saved: bool = False) -> Job:
    """A gang on two nodes whose program reports, or does not; or has answered what it was asked."""
    job = running_job("job", "r1-n0", "r1-n1", sizes=(2, 1), is_asked=True)
    request = told.request(1) if told and has_saved else ""
    heard = Heard(1, NOW, saved=Checkpoint(1, 7, "", NOW) if has_saved else None, request=request)
    return replace(job, heard=heard if is_heard else None, recorded=replace(job.recorded, eviction=told))


def after(job: Job, order: Order, passed: timedelta = timedelta(0)) -> EvictionStep | None:
    """The step that is written when so much time has passed; None where nothing stands any more."""
    found = advanced(job, order, NOW + passed)
    return found.step if found else None


@pytest.mark.parametrize(
    ("step", "passed", "then"),
    [
        (EvictionStep.ANNOUNCED, 0, EvictionStep.REQUESTED),
        (EvictionStep.REQUESTED, 0.9, EvictionStep.REQUESTED),
        (EvictionStep.REQUESTED, 1, EvictionStep.DONE),
        (EvictionStep.ANSWERED, 0, EvictionStep.DONE),
    ],
)
def test_a_program_that_reports_has_until_the_deadline(step: EvictionStep, passed: float, then: EvictionStep) -> None:
    assert after(a_gang_told(at(step)), Order(WANTED), passed * MINUTE) is then


@pytest.mark.parametrize(
    ("step", "passed", "then"),
    [
        (EvictionStep.ANNOUNCED, 0, EvictionStep.REQUESTED),
        (EvictionStep.REQUESTED, 1, EvictionStep.UNANSWERED),
        (EvictionStep.UNANSWERED, 60.9, EvictionStep.UNANSWERED),
        (EvictionStep.UNANSWERED, 61, EvictionStep.REQUESTED),
    ],
)
def test_growth_is_not_forced_on_a_program(step: EvictionStep, passed: float, then: EvictionStep) -> None:
    """One that does not answer is asked again an hour after the deadline."""
    assert after(a_gang_told(at(step, GROWTH)), Order(GROWTH), passed * MINUTE) is then


@pytest.mark.parametrize("wanted", [WANTED, GROWTH], ids=["taken", "given"])
def test_an_answer_is_written_down_before_anything_follows_from_it(wanted: Eviction) -> None:
    job = a_gang_told(at(EvictionStep.REQUESTED, wanted), has_saved=True)
    assert after(job, Order(wanted)) is EvictionStep.ANSWERED


@pytest.mark.parametrize("step", OPEN)
def test_a_program_that_cannot_be_asked_is_not_waited_for(step: EvictionStep) -> None:
    """Nor is one whose nodes are emptied by force."""
    assert after(a_gang_told(at(step), is_heard=False), Order(WANTED)) is EvictionStep.DONE
    assert after(a_gang_told(at(step)), Order(WANTED, is_forced=True)) is EvictionStep.DONE


@pytest.mark.parametrize("step", OPEN)
def test_nobody_gives_anything_up_before_all_were_told(step: EvictionStep) -> None:
    job = a_gang_told(at(step), is_heard=False)
    assert advanced(job, Order(WANTED, are_all_told=False, is_forced=True), NOW + MINUTE) == at(step)


@pytest.mark.parametrize("step", [*OPEN, EvictionStep.DONE])
def test_what_is_not_wanted_any_more_is_taken_back(step: EvictionStep) -> None:
    """What is wanted instead is announced, for another or of another size."""
    others = [replace(WANTED, by="default/other"), replace(WANTED, workers=0)]
    assert [advanced(a_gang_told(at(step)), Order(other), NOW) for other in (None, *others)] == [None, *others]


@pytest.mark.parametrize("wanted", [None, WANTED, replace(WANTED, by="default/other")], ids=["no", "yes", "another"])
def test_there_is_no_way_back_from_an_answer(wanted: Eviction | None) -> None:
    """And nothing is lost by what follows."""
    told = at(EvictionStep.ANSWERED)
    done = advanced(a_gang_told(told), Order(wanted, are_all_told=False), NOW)
    assert done == replace(told, is_done=True, lost=0)


def test_what_is_carried_out_says_what_it_costs_by_now() -> None:
    """What was told before may be long ago."""
    done = advanced(a_gang_told(at(EvictionStep.ANNOUNCED), is_heard=False), Order(WANTED), NOW)
    assert done == replace(WANTED, is_done=True)


def test_the_same_is_announced_anew_once_it_is_done() -> None:
    assert advanced(a_gang_told(at(EvictionStep.DONE)), Order(WANTED), NOW) == WANTED


def test_a_job_that_is_being_deleted_is_left_alone_though_its_program_has_answered() -> None:
    """It has no decision; the others have theirs."""
    job = replace(a_gang_told(at(EvictionStep.ANSWERED)), deleting=True)
    other = running_job("other", "r2-n0")
    decided = plan(a_cluster(job, other, pool=a_pool(*three_racks(2))), NOW)
    assert [decision.key for decision in decided.decisions] == [other.key]
