"""Bounds that a pool can keep."""

import pytest

from trainpush.model.modes import Bounds, Mode
from trainpush.planner.switching.bounds import Reach, within
from trainpush.planner.switching.tally import Tally


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
    reach = within({Mode.TRAINING: training, Mode.INFERENCE: inference}, nodes)
    assert (reach.least[Mode.TRAINING], reach.least[Mode.INFERENCE]) == least
    assert (reach.most[Mode.TRAINING], reach.most[Mode.INFERENCE]) == most


def test_what_cannot_be_is_told_with_numbers() -> None:
    """For each mode."""
    reach = within({Mode.TRAINING: Bounds(2), Mode.INFERENCE: Bounds(3)}, 4)
    assert reach.unmet == ("Training needs 2 nodes, and 1 of 4 are left for it",)


def test_what_is_on_its_way_counts_against_both_bounds() -> None:
    """A node that leaves may come back, and one that comes is not there yet."""
    reach = Reach({Mode.TRAINING: 1, Mode.INFERENCE: 1}, {Mode.TRAINING: 2, Mode.INFERENCE: 2})
    tally = Tally(reach)
    tally.there.update({Mode.TRAINING: 1, Mode.INFERENCE: 2})
    assert tally.may_lose(Mode.INFERENCE)
    tally.send(Mode.INFERENCE, Mode.TRAINING)
    assert not tally.may_lose(Mode.INFERENCE)
    assert not tally.may_have(Mode.INFERENCE)
    assert not tally.may_lose(Mode.TRAINING)
    assert not tally.may_have(Mode.TRAINING)
    tally.call_back(Mode.INFERENCE, Mode.TRAINING)
    assert tally.may_have(Mode.TRAINING)
