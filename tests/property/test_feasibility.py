"""What fits is counted alike in every form: for all nodes and for one, for all levels and for one."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from support.build import LEVELS, a_gang, a_node
from trainpush.model.gang import Slices, Topology
from trainpush.model.nodes import AMOUNT_MAX, node_table
from trainpush.planner.feasibility.domains import Layout
from trainpush.planner.feasibility.slots import Asked, fits, fits_one
from trainpush.planner.placing.domain_capacity import DomainCapacity, DomainTree, slice_sizes

AMOUNTS = st.one_of(st.integers(-5, 50), st.integers(-AMOUNT_MAX, AMOUNT_MAX))
TOPOLOGIES = st.builds(
    Topology,
    required=st.sampled_from([None, "block", "rack", "host"]),
    slices=st.sampled_from(
        [
            (),
            (Slices("block", 4),),
            (Slices("rack", 2),),
            (Slices("host", 3),),
            (Slices("block", 12), Slices("rack", 4), Slices("host", 2)),
        ]
    ),
)


@given(st.lists(st.tuples(AMOUNTS, AMOUNTS), min_size=1), st.tuples(st.integers(1, 9), st.integers(1, AMOUNT_MAX)))
def test_one_node_is_counted_as_all_are(free: list[tuple[int, int]], asked: tuple[int, int]) -> None:
    """In plain numbers and in arrays."""
    found = fits(np.array(free, dtype=np.int64).T, asked)
    last_and_first = Asked([2, 0], list(asked))
    assert found.tolist() == [fits_one((second, -1, first), last_and_first) for first, second in free]


@given(st.lists(st.tuples(st.integers(0, 2), st.integers(0, 2), st.integers(0, 9)), min_size=1), TOPOLOGIES)
def test_one_level_is_counted_as_all_are(nodes: list[tuple[int, int, int]], topology: Topology) -> None:
    """What domains of the required level hold is what they hold of all levels."""
    named = [
        (a_node(f"n{number}", rack=f"r{rack}", block=f"b{block}"), slots)
        for number, (block, rack, slots) in enumerate(nodes)
    ]
    table = node_table([node for node, _ in named], LEVELS, {})
    slots_of = {node.name: slots for node, slots in named}
    slots = np.array([slots_of[name] for name in table.names], dtype=np.int64)
    gang = a_gang(12, required=topology.required, slices=topology.slices)
    rooms = DomainCapacity(DomainTree(table), slots.copy(), slice_sizes(gang, table))
    capacity = Layout.of(table, topology).capacity(slots)
    step = topology.slices[0].size if topology.slices else 1
    assert capacity.tolist() == (rooms.capacity[table.depth(topology.required)] // step * step).tolist()
