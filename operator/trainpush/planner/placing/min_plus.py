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
AT_ONCE: Final = 100_000
"""So many sums are worked out in one step: they stay in the processor's cache."""


class Combined:
    """The cost tables of parts, combined pair by pair until each owner has one; kept, to tell who takes what."""

    def __init__(self, tables: Costs, owner: Indices, width: int) -> None:
        """`owner` per table, ascending, none without a table; what an owner takes is of interest below `width`."""
        parts = np.bincount(owner)
        starts = parts.cumsum() - parts
        rank = np.arange(len(owner)) - starts[owner]
        layer = np.full((len(parts), int(parts.max()), min(tables.shape[1], width)), NEVER, dtype=np.int64)
        layer[:, :, 0] = 0  # where an owner has fewer parts than others
        layer[owner, rank] = tables[:, :width]
        self._parts, self._starts, self._layers = parts, starts, [layer]
        while layer.shape[1] > 1:
            second = layer[:, 1::2]
            wide = widened(layer[:, ::2], min(2 * layer.shape[2] - 1, width))
            wide[:, : second.shape[1]] = plus(layer[:, : 2 * second.shape[1] : 2], second, wide.shape[2])
            layer = wide
            self._layers.append(layer)
        self.costs = widened(layer[:, 0], width)
        """The table of each owner."""

    def shares(self, owner: Indices, taken: Indices) -> tuple[Indices, Indices]:
        """The parts of the owners, and what each of them takes if the owners take so much at the least cost."""
        rank = np.zeros_like(owner)
        for layer in self._layers[-2::-1]:
            rank, width = 2 * rank, layer.shape[2]
            pair = (rank + 1 < layer.shape[1]).nonzero()[0]
            tables, table = layer.reshape(-1, width), owner[pair] * layer.shape[1] + rank[pair]
            first = taken[pair, None] - np.arange(width)
            costs = tables[table[:, None], np.minimum(first, width - 1)] + tables[table + 1]
            costs[(first < 0) | (first >= width)] = 2 * NEVER
            second = costs.argmin(axis=1)
            taken[pair] -= second
            owner, rank = np.concatenate([owner, owner[pair]]), np.concatenate([rank, rank[pair] + 1])
            taken = np.concatenate([taken, second])
        found = rank < self._parts[owner]
        return self._starts[owner[found]] + rank[found], taken[found]


class Chosen:
    """The cheapest choice of so many parts of each owner, as many for all of them.

    The roomiest leave `spare` unused; so must those that are chosen, roomier ones that are not chosen counted in.
    """

    def __init__(self, tables: Costs, room: Indices, owner: Indices, roomiest: Indices, spare: Indices) -> None:
        """`tables` by what is left unused, `room`, `owner` (ascending) per part; `roomiest`: shape (owners, count)."""
        count, width = roomiest.shape[1], int(spare.max()) + 1
        self._roomiest, self._spare = roomiest, spare
        rank = np.arange(len(owner)) - owner.searchsorted(owner)
        turns = int(rank.max()) + 1
        self._part = np.full((turns, len(spare)), len(owner))
        """The parts of each owner by turn, the roomiest first; shape (turns, owners)."""
        self._part[rank, owner] = np.lexsort((-room, owner))
        # One more part that cannot be chosen, for owners of fewer parts; one more entry, for less than nothing unused.
        self._tables = np.full((len(owner) + 1, width + 1), NEVER, dtype=np.int64)
        self._tables[:-1, : tables.shape[1]] = tables
        self._room = np.append(room, roomiest.min())
        state = np.full((count, len(spare), width), NEVER, dtype=np.int64)
        state[0, :, 0] = 0
        self._states = [state]
        """The least costs at the begin of each turn if 0, 1, 2, … parts were chosen and leave so much unused."""
        for turn, part in enumerate(self._part[:-1]):
            fewest, most = max(1, count - turns + turn + 1), min(turn + 1, count - 1)
            state = state.copy()
            if fewest <= most:
                self._choose(state[fewest - 1 : most + 1], part, roomiest.T[fewest - 1 : most])
            self._states.append(state)
        last = np.stack([state[-1] for state in self._states])
        unused = spare[:, None] - (roomiest[:, -1] - self._room[self._part])[:, :, None] - np.arange(width)
        ends = (last + self._table(self._part, unused)).min(axis=2)
        self._last = ends.argmin(axis=0)
        """The turn in which the last part is chosen."""
        self.costs = ends.min(axis=0)
        """What the best choice of each owner costs."""

    def _choose(self, state: Costs, part: Indices, roomiest: Indices) -> None:
        """Let each owner choose `part` beside what it has chosen, the last row of `state` aside."""
        width = state.shape[2]
        lost = roomiest - self._room[part]
        least = min(int(lost.min()), width)
        if least == width:
            return
        table = self._table(part, np.arange(least, width) - lost[:, :, None])
        chosen = plus(state[:-1, :, : width - least], table, width - least)
        into = state[1:, :, least:]
        np.minimum(into, chosen, out=into)

    def _table(self, part: Indices, unused: Indices) -> Costs:
        """What parts cost that leave so much unused; nothing can leave less than nothing."""
        unused[(unused < 0) | (unused >= self._tables.shape[1])] = self._tables.shape[1] - 1
        found: Costs = self._tables[part[..., None], unused]
        return found

    def shares(self, owner: int) -> tuple[Indices, Indices]:
        """The parts that an owner chooses, and what each of them leaves unused."""
        parts, found, turn, unused = [], [], int(self._last[owner]), int(self._spare[owner])
        for count in range(self._roomiest.shape[1] - 1, -1, -1):
            part = int(self._part[turn, owner])
            lost = int(self._roomiest[owner, count] - self._room[part])
            costs = self._states[turn][count, owner, unused - lost :: -1] + self._tables[part, : unused - lost + 1]
            share = int(costs.argmin())
            parts.append(part)
            found.append(share)
            unused -= lost + share
            if count:
                while self._states[turn][count, owner, unused] == self._states[turn - 1][count, owner, unused]:
                    turn -= 1
                turn -= 1
        return np.array(parts), np.array(found)


def widened(tables: Costs, width: int) -> Costs:
    """The same tables for all that is less than `width`, which is no less than before."""
    wide = np.full((*tables.shape[:-1], width), NEVER, dtype=np.int64)
    wide[..., : tables.shape[-1]] = tables
    return wide


def plus(costs: Costs, parts: Costs, width: int) -> Costs:
    """The cheapest ways to share any number below `width` between two parts, for many pairs of them."""
    *pairs, more = parts.shape
    padded = np.full((*pairs, more - 1 + width), NEVER, dtype=np.int64)
    padded[..., more - 1 : more - 1 + costs.shape[-1]] = costs[..., :width]
    # One view of the first table for each share of the second: that many entries further left.
    entry = padded.itemsize
    views = np.ndarray((more, *pairs, width), np.int64, padded, (more - 1) * entry, (-entry, *padded.strides))
    result = np.full((*pairs, width), NEVER, dtype=np.int64)
    step = max(AT_ONCE // max(result.size, 1), 1)
    by_share = parts.transpose(parts.ndim - 1, *range(parts.ndim - 1))[..., None]
    for first in range(0, more, step):
        some = slice(first, first + step)
        np.minimum(result, (views[some] + by_share[some]).min(axis=0), out=result)
    return result
