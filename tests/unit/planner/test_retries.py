"""Tries that come to nothing: given back in time, made later each time, and elsewhere."""

from collections.abc import Iterable
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from support.build import NOW, a_cluster, a_gang, a_job, a_node, a_pool, a_worker, placed_job, running_job
from trainpush.model.actions import MakeWorker, ReadEvents
from trainpush.model.plan import Decision, Stage
from trainpush.model.reasons import Reason
from trainpush.model.workload import FailedStarts, Job, Phase, Recorded, Worker
from trainpush.planner.diagnostics.causes import Cause
from trainpush.planner.plan import plan

ONE = a_gang(1)
POOL = a_pool(*(a_node(f"n{i}") for i in range(3)))
MINUTE = timedelta(minutes=1)


def decide(job: Job, *others: Job, after: timedelta = timedelta(0)) -> Decision:
    """What becomes of `job` in a pool of three nodes."""
    decided = plan(a_cluster(job, *others, pool=POOL), NOW + after).decisions.get(job.key)
    assert decided
    return decided


def pending(rank: int = 0, node: str | None = "n0", message: str = "why", **fields: Any) -> Worker:
    """A pod that has not started."""
    return a_worker(rank, Phase.PENDING, node=node, message=message, **fields)


def waits(count: int = 1, nodes: Iterable[str] = (), **fields: Any) -> Job:
    """A job of one worker whose last tries came to nothing just now."""
    recorded = Recorded(attempt=1, failed_starts=FailedStarts(count, NOW, tuple(nodes)), **fields)
    return a_job(gang=ONE, recorded=recorded)


def place_of(decision: Decision) -> tuple[str, ...]:
    """The nodes that were given."""
    return decision.record.placement.nodes if decision.record.placement else ()


def lived(job: Job, bindable: frozenset[str], tries: int) -> list[str]:
    """Where a gang of one goes, try after try, if its pod can be bound to some nodes only."""
    found, now = [], NOW
    for _ in range(tries):
        placed = next(iter(plan(a_cluster(job, pool=POOL), now).decisions))
        (node,) = place_of(placed)
        found.append(node)
        if node in bindable:
            break
        unbound = pending(node=None, attempt=placed.record.attempt)
        job = replace(job, recorded=placed.record, workers=(unbound,))
        given = next(iter(plan(a_cluster(job, pool=POOL), now + 2 * MINUTE).decisions))
        assert given.record.failed_starts
        job = replace(job, recorded=given.record, workers=())
        now = now + 60 * MINUTE
    return found


def test_a_node_that_cannot_mount_the_claim_is_not_tried_twice_in_a_row() -> None:
    """A volume of one node: what kube-scheduler refused once is sought elsewhere."""
    assert lived(a_job(gang=ONE), frozenset({"n1"}), 5) == ["n0", "n1"]
    assert lived(a_job(gang=ONE), frozenset({"n2"}), 5) == ["n0", "n1", "n2"]


def test_where_no_node_will_do_each_is_tried_again() -> None:
    """What cannot be bound anywhere keeps trying, wherever there is room."""
    assert len(lived(a_job(gang=ONE), frozenset(), 5)) == 5


def test_only_the_nodes_of_pods_that_were_not_bound_are_avoided() -> None:
    """The others of the gang had no trouble."""
    job = replace(placed_job("n0", "n1", age=121), workers=(a_worker(0, node="n0"), pending(1, node=None)))
    assert decide(job).record.failed_starts == FailedStarts(1, NOW, ("n1",))


def test_a_refusal_of_the_api_server_is_no_nodes_fault() -> None:
    """There was no pod to bind."""
    job = replace(placed_job("n0", age=121), trouble="exceeded quota")
    decision = decide(job)
    assert decision.record.failed_starts == FailedStarts(1, NOW)
    assert "exceeded quota" in decision.verdict.message


def test_a_node_is_tried_again_rather_than_none() -> None:
    """Nobody says that it was the node's fault."""
    job = waits(nodes=["n0"])
    assert place_of(decide(job, running_job("a", "n1"), running_job("b", "n2"), after=MINUTE)) == ("n0",)


@pytest.mark.parametrize("there", [0, 1])
def test_a_gang_whose_pods_are_made_late_keeps_its_place(there: int) -> None:
    """Its status, or its pods, were in line behind thousands of others."""
    job = replace(placed_job("n0", "n1"), workers=tuple(pending(rank, node="n0") for rank in range(there)))
    decided = decide(job, after=3 * MINUTE)
    assert place_of(decided) == ("n0", "n1")
    assert sum(isinstance(action, MakeWorker) for action in decided.actions) == 2 - there


def test_a_pod_that_was_made_late_has_time_to_be_bound() -> None:
    late = decide(placed_job("n0"), after=3 * MINUTE)
    unbound = replace(placed_job("n0"), recorded=late.record, workers=(pending(node=None),))
    assert place_of(decide(unbound, after=4 * MINUTE)) == ("n0",)
    assert place_of(decide(unbound, after=5 * MINUTE)) == ()


def test_pods_that_are_refused_are_not_late() -> None:
    assert place_of(decide(replace(placed_job("n0"), trouble="no"), after=2 * MINUTE)) == ()


@pytest.mark.parametrize(("count", "seconds"), [(1, 30), (2, 60), (3, 120), (6, 960), (7, 1800), (60, 1800)])
def test_the_pause_grows_and_holds_nothing(count: int, seconds: int) -> None:
    """Others may have the accelerators meanwhile."""
    job, pause = waits(count), timedelta(seconds=seconds)
    held = decide(job, after=pause - timedelta(seconds=1))
    assert (held.record.placement, held.wake_at, held.verdict.reason) == (None, NOW + pause, Reason.BIND_TIMEOUT)
    assert place_of(decide(job, after=pause)) == ("n0",)


@pytest.mark.parametrize(
    ("worker", "minutes"),
    [(pending(is_hindered=True), 5), (pending(), 30), (pending(node=None), 2)],
    ids=["hindered", "pulls", "unbound"],
)
def test_a_pod_that_does_not_start_has_its_time(worker: Worker, minutes: int) -> None:
    """The place is given back then, and not before; the operator wakes for it."""
    job = replace(placed_job("n0"), workers=(worker,))
    due = minutes * MINUTE
    before = decide(job, after=due - timedelta(seconds=1))
    assert (place_of(before), before.wake_at) == (("n0",), NOW + due)
    after = decide(job, after=due)
    assert (after.stage, after.record.placement, after.record.failed_starts) == (
        Stage.QUEUED,
        None,
        FailedStarts(1, NOW + due, ("n0",)),
    )


def test_what_was_waited_for_is_said_while_it_waits_and_at_the_next_try() -> None:
    """With how many tries there were."""
    stuck = pending(message="no Secret wandb", is_hindered=True)
    given = decide(replace(placed_job("n0"), workers=(stuck,)), after=5 * MINUTE)
    said = "not all workers ran within 5 min: worker 0 (node n0): no Secret wandb; try 2 is made from"
    assert (given.verdict.reason, given.verdict.message[: len(said)]) == (Reason.START_TIMEOUT, said)
    again = replace(placed_job("n1"), recorded=replace(given.record, placement=placed_job("n1").recorded.placement))
    decision = decide(again)
    assert (decision.stage, decision.verdict.reason) == (Stage.STARTING, Reason.START_TIMEOUT)
    assert "no Secret wandb; try 2 is placed in" in decision.verdict.message


def test_what_hinders_a_start_for_a_minute_is_told_as_something_to_mend() -> None:
    """Before, it may pass; what takes its time is no trouble."""
    job = replace(placed_job("n0"), workers=(pending(message="no Secret wandb", is_hindered=True),))
    early, late = (decide(job, after=timedelta(seconds=seconds)) for seconds in (59, 60))
    assert (early.verdict.reason, early.wake_at) == (Reason.WAITING_FOR_PODS, NOW + MINUTE)
    assert (late.verdict.reason, late.wake_at) == (Reason.CANNOT_START, NOW + 5 * MINUTE)
    assert "no Secret wandb" in late.verdict.message
    pulls = replace(placed_job("n0"), workers=(pending(),))
    assert decide(pulls, after=20 * MINUTE).verdict.reason == Reason.WAITING_FOR_PODS


def asked(decision: Decision) -> list[str]:
    """The uids whose Events are read."""
    return [action.uid for action in decision.actions if isinstance(action, ReadEvents)]


def test_events_are_read_of_one_pod_and_only_where_nothing_else_tells() -> None:
    """Not at once, since volumes are mounted within seconds, and not for ever."""
    silent = pending(is_hindered=True, is_unexplained=True)
    job = replace(placed_job("n0", "n1"), workers=(silent, replace(pending(1, "n1"), is_hindered=True)))
    early, late = (decide(job, after=timedelta(seconds=seconds)) for seconds in (19, 20))
    assert (asked(early), early.wake_at) == ([], NOW + timedelta(seconds=20))
    assert asked(late) == [silent.uid]
    told = replace(placed_job("n0"), workers=(pending(is_hindered=True),))
    assert asked(decide(told, after=MINUTE)) == []


@pytest.mark.parametrize(("times", "seconds", "expected"), [(1, 149, []), (1, 150, ["u"]), (3, 299, [])])
def test_events_are_read_again_a_few_times_only(times: int, seconds: int, expected: list[str]) -> None:
    """The first answer may come before the volume was given up."""
    silent = replace(pending(is_hindered=True, is_unexplained=True, asked=times), uid="u")
    job = replace(placed_job("n0"), workers=(silent,))
    assert asked(decide(job, after=timedelta(seconds=seconds))) == expected


def test_a_gang_that_runs_has_learned_nothing() -> None:
    """The next trouble is another one."""
    job = placed_job("n0", failed_starts=FailedStarts(3, NOW, ("n1",)))
    assert decide(replace(job, workers=(a_worker(0, node="n0"),))).record.failed_starts is None


def test_one_that_ran_may_wait_for_ever() -> None:
    """Nothing that has begun is given back for a pod that pulls nothing."""
    job = replace(placed_job("n0", has_run=True, age=9000), workers=(a_worker(0, node="n0"),))
    assert (place_of(decide(job)), decide(job).wake_at) == (("n0",), None)


def test_what_is_long_ago_is_forgotten() -> None:
    """Hours in the queue are no pause, and nodes get well."""
    job = waits(9, nodes=["n0"])
    assert place_of(decide(job, after=119 * MINUTE)) == ("n1",)
    assert place_of(decide(job, after=120 * MINUTE)) == ("n0",)


def test_that_nobody_makes_room_for_another_try_is_said() -> None:
    """Not that those who could would not be enough: they were not asked."""
    low = (running_job(f"low-{i}", f"n{i}", priority=-1) for i in range(3))
    told = decide(waits(), *low, after=MINUTE)
    assert told.verdict.advice == "nobody makes room: its pods did not start when it last had a place"
    assert told.verdict.cause == Cause.HELD_BY_JOBS
