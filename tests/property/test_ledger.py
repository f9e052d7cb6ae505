"""Amounts are taken alike, one node after the other or many at once."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from support.build import GPU, a_node, a_pool
from trainpush.model.nodes import AMOUNT_MAX
from trainpush.planner import ledger

TABLE = a_pool(*(a_node(f"n{number:02}") for number in range(2 * ledger.FEW))).table
EVERYWHERE = range(len(TABLE.names))


@given(
    st.fixed_dictionaries(
        dict.fromkeys((GPU, "pods"), st.integers(-AMOUNT_MAX, AMOUNT_MAX) | st.integers(-8000, 8000))
    ),
    st.lists(st.integers(1, 8), min_size=len(EVERYWHERE), max_size=len(EVERYWHERE)),
    st.lists(st.integers(-AMOUNT_MAX, AMOUNT_MAX), min_size=len(EVERYWHERE), max_size=len(EVERYWHERE)),
)
def test_many_nodes_are_added_to_as_single_ones(request: dict[str, int], workers: list[int], held: list[int]) -> None:
    """And the largest amounts stay the largest."""
    together = np.zeros_like(TABLE.used)
    together[TABLE.resources.index(GPU)] = held
    one_by_one = together.copy()
    ledger.take(TABLE, together, dict(zip(EVERYWHERE, workers, strict=True)), request)
    for node in EVERYWHERE:
        ledger.take(TABLE, one_by_one, {node: workers[node]}, request)
    assert together.tolist() == one_by_one.tolist()
