"""A gang that loses a node before its pods are made keeps the others for a while, for the node or for another one."""

from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

import pytest

from support.build import NOW, a_gang, a_job, a_node, a_placement, a_pool, a_quota, placed_job, running_job
from support.competition import ONE, decide, placed
from support.training_world import World
from trainpush.model.modes import SWITCHING_KEY
from trainpush.model.nodes import Node, Taint
from trainpush.model.plan import Stage
from trainpush.model.snapshot import Pool
from trainpush.model.workload import Eviction, Job, Key, Phase, Preemption, Recorded
from trainpush.planner.diagnostics.causes import Cause

NODES = ("n0", "n1", "n2")
KEPT = timedelta(minutes=10)


def pool_of(lost: Sequence[str] = ("n2",), names: Sequence[str] = NODES, **fields: Any) -> Pool:
    """Nodes of one rack, some of which do not answer."""
    nodes = [a_node(name, rack="r1", ready=name not in lost) for name in names]
    return replace(a_pool(*nodes), **fields)


def restarting(*nodes: str, kept_until: datetime | None = None, **fields: Any) -> Job:
    """A gang in its second attempt, whose pods are about to be made."""
    place = replace(a_placement(*nodes), kept_until=kept_until)
    return replace(placed_job(*nodes, name="gang", attempt=2, placement=place), **fields)


def reboot(world: World, minutes: float) -> None:
    """Node n2 goes away, its pod fails, and others come and want one node each; after a while the node is back."""
    world.pool = pool_of()
    job = world.jobs[Key("default", "gang")]
    ended = tuple(
        replace(it, phase=Phase.FAILED, disrupted=True, message="node lost") if it.node == "n2" else it
        for it in job.workers
    )
    world.jobs[job.key] = replace(job, workers=ended)
    for i in range(2):
        world.add(a_job(f"small-{i}", ONE))
    until = world.now + timedelta(minutes=minutes)
    while world.now < until:
        world.step()
        world.now += timedelta(seconds=29)
    world.pool = pool_of(lost=())


def test_a_node_that_is_away_for_five_minutes_costs_a_gang_no_other() -> None:
    """Two younger jobs of the same priority wait meanwhile, and the gang goes on where it was."""
    world = World.of(pool_of(lost=()), a_job("gang", a_gang(3)))
    world.settle()
    reboot(world, minutes=5)
    world.settle()
    assert world.places() == {"gang": NODES}
    assert world.diary == ["gang: placed on n0, n1, n2", "gang: runs", "gang: runs"]


def test_what_is_left_of_a_place_is_kept_for_a_while_only() -> None:
    """After that it is free for others."""
    world = World.of(pool_of(lost=()), a_job("gang", a_gang(3)))
    world.settle()
    reboot(world, minutes=11)
    assert set(world.places()) == {"small-0", "small-1"}


def test_it_is_told_for_which_node_it_waits_and_until_when() -> None:
    """In status too, so that the time does not begin anew."""
    told = decide(pool_of(), restarting(*NODES))["gang"]
    assert told.stage is Stage.QUEUED
    assert told.record.placement
    assert told.record.placement.kept_until == told.wake_at == NOW + KEPT
    assert told.verdict.cause == Cause.PLACE_KEPT
    assert told.verdict.message == (
        "its place lacks n2 (not ready); the rest of it is kept for the gang until 2026-01-01T12:10:00Z; "
        "3 workers need 24 nvidia.com/gpu"
    )
    later = NOW + timedelta(minutes=3)
    kept = decide(pool_of(), restarting(*NODES, kept_until=later))["gang"].record.placement
    assert kept
    assert kept.kept_until == later


@pytest.mark.parametrize("state", [{"ready": False}, {"cordoned": True}, {"gpus": 0}, None], ids=str)
def test_a_node_may_be_away_in_several_ways(state: dict[str, Any] | None) -> None:
    """Drained before it boots, without its device plugin afterwards, or deleted and registered anew."""
    nodes: list[Node] = [a_node("n0"), a_node("n1"), *([] if state is None else [a_node("n2", **state)])]
    assert placed(decide(a_pool(*nodes), restarting(*NODES), a_job("small", ONE))) == {"gang"}


def test_another_node_is_better_than_to_wait() -> None:
    """What is lost is replaced as soon as there is something."""
    found = decide(pool_of(names=(*NODES, "n3")), restarting(*NODES))["gang"].record.placement
    assert found
    assert (found.nodes, found.kept_until) == (("n0", "n1", "n3"), None)


def test_a_whole_other_place_is_better_too() -> None:
    """One rack was asked for, and there is another one."""
    nodes = [*(a_node(name, rack="r1", ready=name != "n2") for name in NODES)]
    nodes += [a_node(f"m{i}", rack="r2") for i in range(3)]
    job = restarting(*NODES, request=a_gang(3, required="rack"))
    found = decide(a_pool(*nodes), job)["gang"].record.placement
    assert found
    assert found.nodes == ("m0", "m1", "m2")


def test_an_elastic_gang_goes_on_with_fewer() -> None:
    """It need not wait."""
    found = decide(pool_of(), restarting(*NODES, request=a_gang(3, sizes=(3, 2, 1))))["gang"].record.placement
    assert found
    assert found.nodes == ("n0", "n1")


def test_it_goes_on_with_fewer_where_another_waits_for_its_nodes() -> None:
    """Room is kept for the other one, also on these nodes, for when the gang has left them."""
    gang = restarting(*NODES, request=a_gang(3, sizes=(3, 2, 1)))
    found = decide(pool_of(names=(*NODES, "n3")), gang, a_job("late", a_gang(3), age=900), a_job("small", ONE))
    assert found["gang"].record.placement
    assert found["gang"].record.placement.nodes == ("n0", "n1")
    assert placed(found) == {"gang"}


def test_a_higher_priority_of_its_team_takes_what_is_kept() -> None:
    """As from a gang that runs; nothing is lost by it."""
    world = World.of(pool_of(), restarting(*NODES), a_job("urgent", ONE, priority=10))
    world.settle()
    assert set(world.places()) == {"urgent"}
    assert "gang: told to make room for default/urgent" in world.diary


def test_a_guarantee_takes_what_is_kept() -> None:
    """What is borrowed goes back, whether it is used or kept."""
    quotas = (a_quota("owner", guarantee=16), a_quota("other"))
    gang = restarting(*NODES, key=Key("other", "gang"))
    world = World.of(pool_of(quotas=quotas), gang, a_job("owed", a_gang(2), namespace="owner"))
    world.settle()
    assert set(world.places()) == {"owed"}


def test_who_has_a_right_takes_it_though_the_lost_node_is_gone() -> None:
    """A node that was deleted counts for nobody."""
    world = World.of(pool_of(names=("n0", "n1")), restarting(*NODES), a_job("urgent", a_gang(2), priority=10))
    world.settle()
    assert set(world.places()) == {"urgent"}


@pytest.mark.parametrize("priority", [0, -5])
def test_who_has_no_right_waits(priority: int) -> None:
    """The same priority, or a lower one, however long it has waited."""
    assert placed(decide(pool_of(), restarting(*NODES), a_job("old", ONE, age=30_000, priority=priority))) == {"gang"}


def test_one_that_makes_room_for_nobody_does_so_here_too() -> None:
    """Preemption Never."""
    gang = restarting(*NODES, preemption=Preemption.NEVER)
    assert placed(decide(pool_of(), gang, a_job("urgent", ONE, priority=10))) == {"gang"}


def test_it_has_its_own_right_to_what_it_lacks() -> None:
    """One of lower priority makes room for the lost worker, and the others stay where they are."""
    pool = pool_of(names=(*NODES, "n3"))
    world = World.of(pool, restarting(*NODES, priority=10), running_job("low", "n3"), a_job("small", ONE, age=9000))
    world.settle()
    assert world.places() == {"gang": ("n0", "n1", "n3")}
    assert world.diary[0] == "low: told to make room for default/gang"


def test_room_that_comes_free_is_kept_for_what_it_lacks() -> None:
    """Beside what it has: a small one that would fit there waits."""
    ending = running_job("ending", "n3", suspend=True)
    found = decide(pool_of(names=(*NODES, "n3")), restarting(*NODES), ending, a_job("small", ONE))
    assert placed(found) == {"gang"}
    assert found["gang"].verdict.cause == Cause.PODS_ENDING
    assert found["small"].verdict.cause == Cause.NOBODY_TO_PREEMPT


def test_a_node_that_changes_its_mode_does_not_come_back() -> None:
    """Nothing is kept then."""
    leaving = a_node("n2", taints=(Taint(SWITCHING_KEY, "Inference", "NoSchedule"),))
    found = decide(a_pool(a_node("n0"), a_node("n1"), leaving), restarting(*NODES), a_job("small", ONE, priority=-1))
    assert placed(found) == {"small"}


def test_of_a_place_that_is_lost_whole_nothing_is_kept() -> None:
    """There is nothing to keep."""
    assert decide(pool_of(lost=NODES), restarting(*NODES))["gang"].record.placement is None


def test_a_pool_may_keep_nothing() -> None:
    """keepPlace: 0s."""
    found = decide(pool_of(keep_place=timedelta(0)), restarting(*NODES), a_job("small", ONE, priority=-1))
    assert placed(found) == {"small"}


def test_who_has_a_right_takes_it_from_the_moment_of_the_loss() -> None:
    """Before the status of the gang says anything of it: nobody else is told to go for what is not in use."""
    pool = pool_of(names=(*NODES, "n3"))
    runs = running_job("runs", "n3", age=50, priority=-1)
    gang = restarting(*NODES, priority=-1)
    found = decide(pool, gang, runs, a_job("urgent", ONE, priority=10))
    assert found["urgent"].verdict.cause == Cause.PREEMPTION_ANNOUNCED
    assert found["gang"].record.eviction
    assert found["runs"].record.eviction is None


def test_who_was_told_to_give_it_up_keeps_it_until_then() -> None:
    """Announced at the moment of the loss, and carried out in the next cycle."""
    world = World.of(pool_of(), restarting(*NODES), a_job("urgent", a_gang(2), priority=10))
    world.step()
    assert set(world.places()) == {"gang"}
    world.step()
    assert world.places() == {}
    world.settle()
    assert set(world.places()) == {"urgent"}


def moving() -> tuple[Pool, Job]:
    """A gang of one rack that lost a node, and another rack for it; there is one more node in the first one."""
    nodes = [a_node(name, rack="r1", ready=name != "n2") for name in (*NODES, "n3")]
    nodes += [a_node(f"m{i}", rack="r2") for i in range(3)]
    return a_pool(*nodes), restarting(*NODES, request=a_gang(3, required="rack"), priority=5, kept_until=NOW + KEPT)


def test_what_a_gang_left_cannot_be_taken_from_it_any_more() -> None:
    """It had its turn first, since others made room for it, and moved: two nodes are free then, and no third."""
    pool, gang = moving()
    gave = Eviction("default/gang", "Preempted", "makes room", is_done=True)
    others = [
        a_job("gave", ONE, priority=-5, recorded=Recorded(eviction=gave)),
        running_job("never", "n3", preemption=Preemption.NEVER),
        a_job("urgent", a_gang(3, required="rack"), priority=10),
    ]
    found = decide(pool, gang, *others)
    assert found["gang"].record.placement
    assert found["gang"].record.placement.nodes == ("m0", "m1", "m2")
    assert found["urgent"].verdict.cause != Cause.PREEMPTION_ANNOUNCED


def test_a_gang_that_moves_is_named_once_among_those_that_hold_something() -> None:
    """What it holds now, not what it held before."""
    pool, gang = moving()
    busy = running_job("busy", "n3")
    told = decide(pool, gang, busy, a_job("waits", a_gang(5)))["waits"].verdict
    assert {holder.name: holder.accelerators for holder in told.holders} == {"default/gang": 24, "default/busy": 8}
    assert told.free == 16


def test_the_end_of_its_old_pods_takes_nothing_from_what_is_kept() -> None:
    """While they are being deleted it goes on waiting, until the same time."""
    until = NOW + timedelta(minutes=3)
    found = decide(pool_of(), restarting(*NODES, kept_until=until, is_under_way=True))["gang"]
    assert found.stage is Stage.QUEUED
    assert found.record.placement
    assert found.record.placement.kept_until == until
    assert not found.actions


@pytest.mark.parametrize(("minutes", "left"), [(1, 1), (0, None), (60, 3)])
def test_a_pool_may_keep_less_from_now_on(minutes: int, left: int | None) -> None:
    """An edit counts at once where it makes the time shorter, and for the next loss where it makes it longer."""
    pool = pool_of(keep_place=timedelta(minutes=minutes))
    place = decide(pool, restarting(*NODES, kept_until=NOW + timedelta(minutes=3)))["gang"].record.placement
    assert (place.kept_until if place else None) == (NOW + timedelta(minutes=left) if left else None)
