"""How to share between parts at the least cost: cost tables, combined by (min,+) convolution.

A cost table says for 0, 1, 2, … what it costs that a part takes so much; `NEVER` where it cannot.
Shape (parts, most + 1). What is shared may be workers, or the room that is left unused.
"""

from typing import Final

import numpy as np
from numpy.typing import NDArray

Costs = NDArray[np.int64]
Indices = NDArray[np.intp]

NEVER: Final = 2**61
"""More than any cost, and still small enough to be added."""
AT_ONCE: Final = 500_000
"""Sums of so many entries at most are held at once."""


class Combined:
    """The cost tables of parts, combined pair by pair until each owner has one; kept, to tell who takes what."""

    def __init__(self, tables: Costs, owner: Indices, width: int) -> None:
        """`owner` per table, ascending, none without a table; what an owner takes is of interest below `width`."""
        self._layers = [tables[:, :width]]
        self._first: list[Indices] = []
        """Per layer the tables that begin a pair, or are left alone."""
        self._is_pair: list[NDArray[np.bool_]] = []
        while (rank := np.arange(len(owner)) - owner.searchsorted(owner)).any():
            layer = self._layers[-1]
            first = (rank % 2 == 0).nonzero()[0]
            is_pair = np.diff(first, append=len(owner)) == 2
            pairs = first[is_pair]
            wide = widened(layer[first], min(2 * layer.shape[1] - 1, width))
            wide[is_pair] = plus(layer[pairs], layer[pairs + 1], wide.shape[1])
            self._layers.append(wide)
            self._first.append(first)
            self._is_pair.append(is_pair)
            owner = owner[first]
        self.costs = widened(self._layers[-1], width)
        """The table of each owner."""

    def shares(self, at: Indices, taken: Indices) -> tuple[Indices, Indices]:
        """The parts of the owners `at`, and what each of them takes if the owners take so much, at the least cost."""
        for layer, first, is_pair in zip(self._layers[-2::-1], self._first[::-1], self._is_pair[::-1], strict=True):
            pairs, both = first[at[is_pair[at]]], taken[is_pair[at]]
            seconds = np.arange(layer.shape[1])
            firsts = both[:, None] - seconds
            costs = layer[pairs[:, None], firsts.clip(0, len(seconds) - 1)] + layer[pairs + 1]
            costs[(firsts < 0) | (firsts >= len(seconds))] = 2 * NEVER
            second = costs.argmin(axis=1)
            alone = ~is_pair[at]
            at = np.concatenate([first[at[alone]], pairs, pairs + 1])
            taken = np.concatenate([taken[alone], both - second, second])
        return at, taken


def widened(tables: Costs, width: int) -> Costs:
    """The same tables for all that is less than `width`, which is no less than before."""
    wide = np.full((len(tables), width), NEVER, dtype=np.int64)
    wide[:, : tables.shape[1]] = tables
    return wide


def plus(costs: Costs, parts: Costs, width: int) -> Costs:
    """The cheapest ways to share any number below `width` between two parts, row by row."""
    rows, more = parts.shape
    costs = costs[:, :width]
    padded = np.full((rows, more - 1 + width), NEVER, dtype=np.int64)
    padded[:, more - 1 : more - 1 + costs.shape[1]] = costs
    if more * rows * width <= AT_ONCE:
        row, entry = padded.strides
        # One view of the first table for each share of the second: that many entries further left.
        views = np.ndarray((more, rows, width), np.int64, padded, (more - 1) * entry, (-entry, row, entry))
        result: Costs = (views + parts.T[:, :, None]).min(axis=0)
    else:
        result = padded[:, more - 1 :] + parts[:, :1]
        for share in range(1, more):
            np.minimum(result, padded[:, more - 1 - share : more - 1 - share + width] + parts[:, share, None], out=result)
    np.minimum(result, NEVER, out=result)
    return result
