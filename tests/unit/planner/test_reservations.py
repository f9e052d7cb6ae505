"""Whom the room that is kept for a gang keeps out, and whom it does not: never the gang itself."""

from dataclasses import replace
from typing import Any

import pytest

from support.build import GPU, a_gang, a_job, a_node, a_pool, a_quota, running_job, three_racks
from support.competition import FOUR, ONE, decide, placed, with_quotas
from support.training_world import World
from trainpush.model.nodes import Node, Taint, Toleration
from trainpush.model.plan import Decision, Verdict
from trainpush.model.reasons import Reason
from trainpush.model.snapshot import Pool
from trainpush.model.workload import Job, Preemption
from trainpush.planner.diagnostics.causes import Cause

SHORT, LONG = 300, 900
"""Seconds before and after room is kept."""
BUSY = running_job("busy", "r1-n0")
A100, H100 = frozenset({"A100"}), frozenset({"H100"})


def verdicts(pool: Pool, *jobs: Job) -> dict[str, Verdict]:
    """Why each waits, by name."""
    return {name: decision.verdict for name, decision in decide(pool, *jobs).items()}


def of_products(*names: str, **fields: Any) -> list[Node]:
    """Two nodes of each product."""
    return [a_node(f"{name}-{i}", rack=f"r-{name}", product=name, **fields) for name in names for i in range(2)]


@pytest.mark.parametrize("gang", [a_gang(), a_gang(required="rack"), a_gang(sizes=(8, 4)), a_gang(gpus=6)], ids=str)
def test_a_gang_is_told_the_same_before_and_after_room_is_kept_for_it(gang: Any) -> None:
    """What it lacks and what would help does not depend on how long it has waited."""
    early = verdicts(FOUR, BUSY, a_job("big", gang, SHORT))["big"]
    assert verdicts(FOUR, BUSY, a_job("big", gang, LONG))["big"] == early
    assert early.message.startswith("3/4 nodes fit")


def test_the_first_is_told_of_all_that_is_free() -> None:
    """And the size that would fit now, which is placed if it asks for it."""
    told = verdicts(FOUR, BUSY, a_job("big", age=LONG))["big"]
    assert (told.free, told.largest_free) == (24, 24)
    assert told.advice.startswith("spec.replicas: 3 would fit now")
    assert placed(decide(FOUR, BUSY, a_job("big", a_gang(3), LONG))) == {"busy", "big"}


def test_each_of_several_that_are_alike_is_told_its_own() -> None:
    """The first of what is free, the others of what is left beside it, and for whom it is kept."""
    first, second, third = (
        verdicts(FOUR, BUSY, *(a_job(f"big-{i}", age=LONG - i) for i in range(3)))[f"big-{i}"] for i in range(3)
    )
    assert (first.free, second.free, third.free) == (24, 0, 0)
    assert "kept" not in first.message
    assert "0 free and 24 kept for default/big-0" in second.message
    assert replace(third, position=2) == second


def test_room_that_was_kept_after_its_turn_is_not_in_the_way() -> None:
    """A younger gang of higher priority has its turn first: what is kept for the older one is free to it."""
    peer = replace(BUSY, priority=9)
    found = verdicts(FOUR, peer, a_job("old", age=LONG), a_job("new", age=SHORT, priority=9))
    assert [found[name].position for name in ("new", "old")] == [1, 2]
    assert found["new"].free == found["old"].free == 24
    assert found["new"].advice.startswith("spec.replicas: 3 would fit now")


def test_what_is_kept_elsewhere_is_not_named() -> None:
    """Of two reservations only the one on nodes that would do."""
    pool = a_pool(*of_products("A100", "H100"))
    holders = [running_job("hold-a", "A100-0"), running_job("hold-h", "H100-0")]
    waiting = [a_job("a", a_gang(2, products=A100), LONG + 1), a_job("h", a_gang(2, products=H100), LONG)]
    told = verdicts(pool, *holders, *waiting, a_job("small", a_gang(1, products=H100)))["small"]
    assert told.cause == Cause.ROOM_RESERVED
    assert told.message.endswith("it would fit, but for the room that is kept for default/h")


def test_what_a_team_saves_up_is_not_told_as_held() -> None:
    """Neither to others of the team nor in the status of the pool."""
    pool = with_quotas(a_quota("team", limit=24))
    busy = running_job("busy", "r1-n0", "r1-n1", namespace="team")
    first, small = a_job("first", a_gang(2), LONG, namespace="team"), a_job("small", ONE, namespace="team")
    found = verdicts(pool, busy, first, small)
    assert "uses 16 nvidia.com/gpu; 2 workers" in found["first"].message
    assert "uses 16 nvidia.com/gpu, 16 nvidia.com/gpu more kept for others of it that wait; 1" in found["small"].message
    assert World.of(pool, busy, first, small).step().pools[0].teams[0].used == 16_000


def starving(pool: Pool, *jobs: Job) -> dict[str, Decision]:
    """The decisions when a small job comes for each product, while `jobs` wait."""
    holders = [running_job("hold-a", "A100-0"), running_job("hold-h", "H100-0")]
    small = [a_job(f"small-{product}", a_gang(1, products=frozenset({product}))) for product in ("A100", "H100")]
    return decide(pool, *holders, *jobs, *small)


def test_room_is_kept_for_one_in_each_part_that_shares_no_node() -> None:
    """Two products: neither of the gangs is passed for ever."""
    waiting = [a_job("a", a_gang(2, products=A100), LONG + 1), a_job("h", a_gang(2, products=H100), LONG)]
    found = starving(a_pool(*of_products("A100", "H100")), *waiting)
    assert placed(found) == {"hold-a", "hold-h"}
    assert found["small-A100"].verdict.reason == found["small-H100"].verdict.reason == Reason.BEHIND_HIGHER_PRIORITY


def test_who_could_use_the_same_nodes_gets_none_beside_the_first() -> None:
    """A gang that any product will do for shares nodes with the one that waits for one of them."""
    waiting = [a_job("a", a_gang(2, products=A100), LONG + 1), a_job("any", a_gang(4), LONG)]
    found = starving(a_pool(*of_products("A100", "H100")), *waiting)
    assert placed(found) == {"hold-a", "hold-h", "small-H100"}


def test_one_in_between_does_not_keep_room_from_the_next_part() -> None:
    """The second could use the nodes of the first; the third could not."""
    waiting = [
        a_job("a", a_gang(2, products=A100), LONG + 2),
        a_job("any", a_gang(4), LONG + 1),
        a_job("h", a_gang(2, products=H100), LONG),
    ]
    assert placed(starving(a_pool(*of_products("A100", "H100")), *waiting)) == {"hold-a", "hold-h"}


def test_parts_are_told_apart_by_taints() -> None:
    """As by whatever else keeps a gang from a node."""
    taint, tolerated = Taint("team", "x", "NoSchedule"), (Toleration("team", "Exists", "", ""),)
    nodes = [*three_racks(2), *(a_node(f"x{i}", rack="x", taints=(taint,), product="X") for i in range(2))]
    own: dict[str, Any] = {"tolerations": tolerated, "products": frozenset({"X"})}
    holders = [running_job("hold", "r1-n0"), running_job("hold-x", "x0")]
    waiting = [a_job("plain", a_gang(2), LONG), a_job("tainted", a_gang(2, **own), LONG)]
    small = [a_job("small", ONE), a_job("small-x", a_gang(1, **own))]
    assert placed(decide(a_pool(*nodes), *holders, *waiting, *small)) == {"hold", "hold-x"}


def test_parts_are_told_apart_by_the_domains_that_could_hold_a_gang() -> None:
    """Four of the one product fit no rack but the first, six of any product none but the second."""
    nodes = [
        *(a_node(f"h{i}", rack="r1", product="H100") for i in range(4)),
        *(a_node(f"a{i}", rack="r2", product="A100") for i in range(6)),
    ]
    holders = [running_job("hold-h", "h0"), running_job("hold-a", "a0")]
    waiting = [
        a_job("four", a_gang(4, required="rack", products=H100), LONG + 1),
        a_job("six", a_gang(6, required="rack"), LONG),
    ]
    assert placed(decide(a_pool(*nodes), *holders, *waiting, a_job("small", ONE))) == {"hold-h", "hold-a"}


def test_racks_of_one_kind_are_one_part() -> None:
    """Two gangs that could go into either rack: room is kept in one of them, and the other one is used."""
    holders = [running_job("hold-1", "r1-n0"), running_job("hold-2", "r2-n0")]
    waiting = [a_job(f"big-{i}", a_gang(2, required="rack"), LONG - i) for i in range(2)]
    found = decide(a_pool(*three_racks(2, 2)), *holders, *waiting, a_job("small", ONE))
    assert placed(found) == {"hold-1", "hold-2", "small"}


def test_one_that_no_room_can_be_kept_for_takes_it_from_nobody() -> None:
    """Its site is held by one that makes room for nobody; the next gang of the same part gets a reservation."""
    never = running_job("never", "r1-n0", preemption=Preemption.NEVER)
    busy = running_job("busy", "r1-n1")
    waiting = [a_job("four", age=LONG + 1), a_job("three", a_gang(3), LONG)]
    assert placed(decide(FOUR, never, busy, *waiting, a_job("small", ONE))) == {"never", "busy"}


def test_a_limit_is_saved_up_for_one_gang_of_each_resource() -> None:
    """Who waits for one kind of accelerator does not keep one that waits for another from its turn."""
    other = "example.com/tpu"
    nodes = [replace(node, allocatable={**node.allocatable, other: 8000}) for node in three_racks(4)]
    quota = a_quota("team", limit=24)
    quota = replace(quota, shares={**quota.shares, other: quota.shares[GPU]})
    pool = replace(a_pool(*nodes), quotas=(quota,), accelerators=(GPU, other))

    def asking(workers: int) -> Any:
        return a_gang(workers, request={other: 8000, "pods": 1000}, accelerator=other)

    team: dict[str, Any] = {"namespace": "team"}
    holders = [running_job("hold", "r1-n0", "r1-n1", **team)]
    tpus = a_job("tpus", asking(2), **team)
    (place,) = (it.record.placement for it in decide(pool, tpus).values())
    assert place
    holders.append(replace(tpus, recorded=replace(tpus.recorded, placement=place, attempt=1, has_run=True)))
    waiting = [a_job("gpu", a_gang(2), LONG, **team), a_job("tpu", asking(2), LONG, **team)]
    small = [a_job("small", ONE, **team), a_job("small-tpu", asking(1), **team)]
    assert placed(decide(pool, *holders, *waiting, *small)) == {"hold", "tpus"}


def test_both_of_two_starving_gangs_start_when_what_is_in_the_way_ends() -> None:
    """Though a small one for each product came with every step."""
    pool = a_pool(*of_products("A100", "H100"))
    waiting = [a_job("a", a_gang(2, products=A100), LONG + 1), a_job("h", a_gang(2, products=H100), LONG)]
    holders = [running_job("hold-a", "A100-0"), running_job("hold-h", "H100-0")]
    world = World.of(pool, *holders, *waiting)
    for step in range(4):
        for product in ("A100", "H100"):
            world.add(a_job(f"small-{product}-{step}", a_gang(1, products=frozenset({product}))))
        world.step()
    for holder in holders:
        del world.jobs[holder.key]
    world.settle()
    assert set(world.places()) == {"a", "h"}


NOWHERE = a_gang(2, products=frozenset({"B200"}))


@pytest.mark.parametrize(
    ("gang", "holder"),
    [
        (NOWHERE, running_job("hold", "r1-n0", "r1-n1", namespace="team")),
        (a_gang(2, required="host"), running_job("hold", "r1-n0", "r1-n1", namespace="team")),
        (a_gang(3), running_job("hold", "r1-n0", "r1-n1", namespace="team", preemption=Preemption.NEVER)),
    ],
    ids=["no such product", "no such host", "no room beside one that makes none"],
)
def test_no_limit_is_saved_up_for_one_that_finds_no_room_either(gang: Any, holder: Job) -> None:
    """Others of its team go on getting what the limit leaves."""
    pool = with_quotas(a_quota("team", limit=24))
    found = decide(pool, holder, a_job("stuck", gang, LONG, namespace="team"), a_job("small", ONE, namespace="team"))
    assert placed(found) == {"hold", "small"}


def test_one_that_no_waiting_can_help_is_told_so_whatever_its_limit() -> None:
    """Not that its team uses too much, and that fewer workers would stay within the limit."""
    pool = with_quotas(a_quota("team", limit=24))
    holder = running_job("hold", "r1-n0", "r1-n1", namespace="team")
    told = verdicts(pool, holder, a_job("stuck", NOWHERE, LONG, namespace="team"))["stuck"]
    assert told.reason == Reason.NO_MATCHING_NODES
    assert "limit" not in told.advice
