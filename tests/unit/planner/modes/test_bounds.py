"""Bounds that a pool can keep."""

import pytest

from trainpush.model.modes import Bounds, Mode
from trainpush.planner.modes.bounds import FeasibleBounds, ModeCounts, feasible


@pytest.mark.parametrize(
    ("training", "inference", "nodes", "least", "most"),
    [
        (Bounds(2), Bounds(1), 8, (2, 1), (7, 6)),
        (Bounds(2, 4), Bounds(1, 3), 8, (2, 1), (4, 3)),
        (Bounds(2), Bounds(3), 4, (1, 3), (1, 3)),
        (Bounds(2), Bounds(9), 4, (0, 4), (0, 4)),
        (Bounds(), Bounds(0, 0), 4, (0, 0), (4, 0)),
        (Bounds(3), Bounds(1), 0, (0, 0), (0, 0)),
    ],
)
def test_inference_gets_its_least_first(
    training: Bounds, inference: Bounds, nodes: int, least: tuple[int, int], most: tuple[int, int]
) -> None:
    """Neither may have what the other has at least."""
    found = feasible({Mode.TRAINING: training, Mode.INFERENCE: inference}, nodes)
    assert (found.least[Mode.TRAINING], found.least[Mode.INFERENCE]) == least
    assert (found.most[Mode.TRAINING], found.most[Mode.INFERENCE]) == most


def test_what_cannot_be_is_told_with_numbers() -> None:
    """For each mode."""
    found = feasible({Mode.TRAINING: Bounds(2), Mode.INFERENCE: Bounds(3)}, 4)
    assert found.unmet == ("Training needs 2 nodes, and 1 of 4 is left for it",)


def test_what_is_on_its_way_counts_against_both_bounds() -> None:
    """A node that leaves may come back, and one that comes is not there yet."""
    found = FeasibleBounds({Mode.TRAINING: 1, Mode.INFERENCE: 1}, {Mode.TRAINING: 2, Mode.INFERENCE: 2})
    counts = ModeCounts(found)
    counts.there.update({Mode.TRAINING: 1, Mode.INFERENCE: 2})
    assert counts.may_lose(Mode.INFERENCE)
    counts.send(Mode.INFERENCE, Mode.TRAINING)
    assert not counts.may_lose(Mode.INFERENCE)
    assert not counts.may_have(Mode.INFERENCE)
    assert not counts.may_lose(Mode.TRAINING)
    assert not counts.may_have(Mode.TRAINING)
    counts.call_back(Mode.INFERENCE, Mode.TRAINING)
    assert counts.may_have(Mode.TRAINING)
