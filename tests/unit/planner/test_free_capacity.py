"""A ground knows what is free, reserved and leaving, and mends what gangs lost."""

from dataclasses import replace

import numpy as np
import pytest

from support.build import GPU, a_gang, a_node, a_pool, three_racks
from trainpush.model.gang import Slices
from trainpush.model.nodes import PODS, Node
from trainpush.model.snapshot import Pool
from trainpush.planner.feasibility.slots import column
from trainpush.planner.placing.free_capacity import FreeCapacity
from trainpush.planner.placing.placement import Assignment


def a_ground(pool: Pool, ours: dict[str, int] | None = None, leaving: dict[str, int] | None = None) -> FreeCapacity:
    """A ground where gangs of ours use so many GPUs of the nodes named, beside what others use."""
    return FreeCapacity(pool, pool.table.used + _amounts(pool, ours or {}), _amounts(pool, leaving or {}))


def _amounts(pool: Pool, gpus: dict[str, int]) -> np.ndarray[tuple[int, int], np.dtype[np.int64]]:
    amounts = np.zeros_like(pool.table.used)
    for node, count in gpus.items():
        amounts[pool.table.resources.index(GPU), pool.table.rows[node]] = 1000 * count
    return amounts


def nodes_of(site: Assignment | None, ground: FreeCapacity) -> tuple[str, ...]:
    """Nodes in rank order."""
    assert site
    return site.nodes(ground.pool.table)


def test_what_is_reserved_is_not_free_and_not_used() -> None:
    """The next gang goes elsewhere, and the pool's figures do not change."""
    ground = a_ground(a_pool(*three_racks(2, 2)))
    before = ground.used.copy()
    gang = a_gang(2)
    place = ground.after_terminations(gang)
    assert place
    ground.reserve(gang, place.by_row)
    assert (ground.used == before).all()
    assert column(ground.pool.table, ground.reserved, GPU).sum() == 16_000
    assert nodes_of(ground.assign(gang), ground) == ("r2-n0", "r2-n1")
    assert ground.assign(gang) is None


def test_a_gang_goes_soon_where_others_are_leaving() -> None:
    """Nothing is taken by asking."""
    pool = a_pool(*three_racks(2, 2))
    full = dict.fromkeys(pool.table.names, 8)
    ground = a_ground(pool, ours=full, leaving={"r2-n0": 8, "r2-n1": 8})
    assert ground.assign(a_gang(2)) is None
    assert nodes_of(ground.after_terminations(a_gang(2)), ground) == ("r2-n0", "r2-n1")
    assert nodes_of(ground.after_terminations(a_gang(2)), ground) == ("r2-n0", "r2-n1")
    assert ground.after_terminations(a_gang(3)) is None


def test_a_gang_waits_where_it_lacks_least() -> None:
    """Rack r2 has three of four nodes free, r1 one; r3 is larger, but others than we hold it."""
    pool = a_pool(*three_racks(4, 4, 5), used=dict.fromkeys([f"r3-n{i}" for i in range(5)], 8))
    ground = a_ground(pool, ours={"r1-n1": 8, "r1-n2": 8, "r1-n3": 8, "r2-n0": 8})
    gang = a_gang(4, required="rack")
    assert ground.assign(gang) is None
    assert nodes_of(ground.to_reserve(gang, np.zeros_like(ground.used)), ground) == ("r2-n0", "r2-n1", "r2-n2", "r2-n3")
    assert ground.to_reserve(a_gang(5, required="rack"), np.zeros_like(ground.used)) is None


def test_a_gang_waits_for_no_more_nodes_than_it_lacks() -> None:
    """What is free now is used first, in whole slices."""
    ground = a_ground(a_pool(*three_racks(3, 3)), ours={"r1-n0": 8, "r2-n1": 8, "r2-n2": 8})
    gang = a_gang(4, slices=(Slices("rack", 2),))
    assert nodes_of(ground.to_reserve(gang, np.zeros_like(ground.used)), ground) == ("r1-n1", "r1-n2", "r2-n0", "r2-n1")


def test_nobody_waits_for_a_node_with_a_hindrance() -> None:
    """A cordoned node may never come back."""
    ground = a_ground(a_pool(a_node("n0", cordoned=True), a_node("n1")), ours={"n1": 8})
    assert nodes_of(ground.to_reserve(a_gang(1), np.zeros_like(ground.used)), ground) == ("n1",)
    assert ground.to_reserve(a_gang(2), np.zeros_like(ground.used)) is None


def test_the_largest_size_that_fits_now() -> None:
    """Of 6, 4 and 2 workers in one rack of at most five free nodes four are possible."""
    ground = a_ground(a_pool(*three_racks(3, 5)))
    elastic = a_gang(6, sizes=(6, 4, 2), required="rack")
    assert ground.largest(elastic) == 4
    assert ground.largest(a_gang(6)) == 6
    assert ground.largest(a_gang(9)) == 0


def test_a_lost_node_is_replaced_in_the_same_rack() -> None:
    """The others keep their ranks."""
    pool = a_pool(*lost("r1-n1", three_racks(4, 4)))
    ground = a_ground(pool, ours={"r1-n0": 8, "r1-n2": 8})
    assert ground.replace_lost(a_gang(3), ("r1-n0", "r1-n1", "r1-n2")) == ("r1-n0", "r1-n3", "r1-n2")
    assert (column(pool.table, ground.used, GPU) == [8000, 0, 8000, 8000, 0, 0, 0, 0]).all()


def test_a_lost_node_is_replaced_further_out_if_it_must_be() -> None:
    """The rack is full: another one of the block, unless the rack is required. A node that is gone is lost as well."""
    ground = a_ground(a_pool(*three_racks(2, 2)), ours={"r1-n0": 8, "r1-n1": 8})
    places = ("r1-n0", "r1-n1", "gone")
    assert ground.replace_lost(a_gang(3, required="rack"), places) is None
    assert ground.replace_lost(a_gang(3), places) == ("r1-n0", "r1-n1", "r2-n0")


def test_a_slice_is_mended_where_the_rest_of_it_is() -> None:
    """Rack r2 has more room, but the slice lies in r1; one that is lost as a whole goes anywhere."""
    pool = a_pool(*lost("r1-n1", three_racks(3, 4, 2)))
    gang = a_gang(4, slices=(Slices("rack", 2),))
    ground = a_ground(pool, ours={"r1-n0": 8, "r2-n0": 8, "r2-n1": 8})
    assert ground.replace_lost(gang, ("r1-n0", "r1-n1", "r2-n0", "r2-n1")) == ("r1-n0", "r1-n2", "r2-n0", "r2-n1")
    assert ground.replace_lost(gang, ("gone", "gone-too", "r2-n0", "r2-n1")) == ("r2-n2", "r2-n3", "r2-n0", "r2-n1")


def test_nothing_is_taken_where_nothing_can_be_mended() -> None:
    """One of two lost nodes has no replacement."""
    ground = a_ground(a_pool(*three_racks(2)), ours={"r1-n0": 8})
    before = ground.used.copy()
    assert ground.replace_lost(a_gang(3), ("r1-n0", "gone", "gone-too")) is None
    assert (ground.used == before).all()


def test_the_required_level_holds_inside_a_wider_slice() -> None:
    """The slice may lie anywhere in the block, but the gang in one rack only."""
    ground = a_ground(a_pool(*lost("r1-n1", three_racks(2, 2))), ours={"r1-n0": 8})
    gang = a_gang(2, required="rack", slices=(Slices("block", 2),))
    assert ground.replace_lost(gang, ("r1-n0", "r1-n1")) is None


def test_a_place_that_breaks_its_level_is_not_mended() -> None:
    """Labels changed since the gang was placed: its workers that stay are in two racks by now."""
    ground = a_ground(a_pool(*lost("r1-n1", three_racks(3, 3))), ours={"r1-n0": 8, "r2-n0": 8})
    assert ground.replace_lost(a_gang(3, required="rack"), ("r1-n0", "r1-n1", "r2-n0")) is None


def lost(name: str, nodes: list[Node]) -> list[Node]:
    """The same nodes, one of which is not ready."""
    return [replace(node, ready=node.name != name) for node in nodes]


@pytest.mark.parametrize("taken", [1, 40])
def test_what_no_node_has_fits_nowhere_whatever_changes(taken: int) -> None:
    """Asked for again when others have got a place on few nodes, or on many."""
    ground = FreeCapacity.at_rest((pool := a_pool(*three_racks(30, 30))), pool.table.used)
    odd = a_gang(1, request={GPU: 8000, PODS: 1000, "example.com/nothing": 1000})
    assert ground.largest(odd) == 0
    assert ground.assign(a_gang(taken))
    assert ground.largest(odd) == 0


def test_better_capacity_first() -> None:
    """Spot only where what is reserved does not suffice."""
    nodes = [a_node(f"n{i}", capacity_type="reserved" if i < 2 else "spot") for i in range(5)]
    pool = replace(a_pool(*nodes), capacity_preference=("reserved", "spot"))
    assert nodes_of(a_ground(pool).assign(a_gang(2)), a_ground(pool)) == ("n0", "n1")
    assert nodes_of(a_ground(pool).assign(a_gang(3)), a_ground(pool)) == ("n0", "n1", "n2")


def test_linked_groups_are_not_broken_without_need() -> None:
    """A single GPU goes to the host that has an odd number of them left already."""
    nodes = [a_node(f"n{i}", product="H100") for i in range(2)]
    pool = replace(a_pool(*nodes, used={"n0": 4, "n1": 3}), linked={"H100": 2})
    assert nodes_of(a_ground(pool).assign(a_gang(1, gpus=1)), a_ground(pool)) == ("n1",)
    assert nodes_of(a_ground(pool).assign(a_gang(1, gpus=2)), a_ground(pool)) == ("n0",)
