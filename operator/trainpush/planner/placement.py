"""Where a gang goes: the tightest domain that holds it, and in there as few domains and hosts as can be.

Workers are alike, so a node is one number: how many of them fit. The search climbs from the preferred level
(else the host) outwards, never beyond the required one, to the first level of which some domain has room.
Among those the one with the least room wins, then the first in table order.
Inside, at each level, the roomiest children are filled first, which needs the fewest of them,
and the last one is the smallest that holds the rest.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from trainpush.model.nodes import POOL, NodeTable
from trainpush.model.workload import Gang
from trainpush.planner.capacity import Slots, sums


@dataclass(frozen=True, slots=True)
class Site:
    """A domain and how many workers each node of the table gets."""

    level: str
    domain: str
    counts: NDArray[np.int64]

    @property
    def by_row(self) -> dict[int, int]:
        """How many workers the nodes get that get any, by their position in the table."""
        rows = np.flatnonzero(self.counts)
        return dict(zip(rows.tolist(), self.counts[rows].tolist(), strict=True))

    def nodes(self, table: NodeTable) -> tuple[str, ...]:
        """One node name per worker; consecutive ranks are neighbours."""
        return tuple(table.names[row] for row, workers in self.by_row.items() for _ in range(workers))


def site_for(gang: Gang, table: NodeTable, slots: Slots) -> Site | None:
    """The best place for `gang` where node i has room for `slots[i]` workers, or None if there is none."""
    for depth in _depths(gang, table):
        level = table.levels[depth]
        room = sums(slots, level.starts)
        fitting = np.flatnonzero(room >= gang.workers)
        if not len(fitting):
            continue
        best = int(fitting[np.argmin(room[fitting])])
        counts = np.zeros(len(table.names), dtype=np.int64)
        _fill(table, slots, counts, depth, level.slice_of(best, len(table.names)), gang.workers)
        return Site(level.alias, level.names[best], counts)
    return None


def domain_of(gang: Gang, table: NodeTable, nodes: Sequence[str]) -> tuple[str, str]:
    """Level and name of the innermost domain, of those that `gang` looks at, that holds all `nodes`."""
    rows = [table.rows[node] for node in nodes if node in table.rows]
    for depth in _depths(gang, table):
        level = table.levels[depth]
        found = set((np.searchsorted(level.starts, rows, side="right") - 1).tolist())
        if len(found) == 1:
            return level.alias, level.names[found.pop()]
    return POOL, POOL


def largest_room(gang: Gang, table: NodeTable, slots: Slots) -> int:
    """Most workers that one domain of the required level (the pool where none is) has room for."""
    outermost = _depths(gang, table)[-1]
    return int(sums(slots, table.levels[outermost].starts).max(initial=0))


def _depths(gang: Gang, table: NodeTable) -> range:
    """Levels to try, by position, innermost first; names of levels were checked when the gang was taken."""
    outermost = table.level_index(gang.required) if gang.required else 0
    innermost = table.level_index(gang.preferred) if gang.preferred else len(table.levels) - 1
    low = outermost or 0
    return range(max(innermost if innermost is not None else low, low), low - 1, -1)


def _fill(table: NodeTable, slots: Slots, counts: NDArray[np.int64], depth: int, within: slice, workers: int) -> None:
    """Spread `workers` over the nodes `within` a domain of level `depth`, fewest children first."""
    if depth == len(table.levels) - 1:
        counts[within.start] = workers
        return
    children = _children(table, depth + 1, within)
    room = np.array([int(slots[child].sum()) for child in children])
    for index, share in _shares(room, workers):
        _fill(table, slots, counts, depth + 1, children[index], share)


def _children(table: NodeTable, depth: int, within: slice) -> list[slice]:
    level = table.levels[depth]
    first, last = np.searchsorted(level.starts, [within.start, within.stop])
    return [level.slice_of(i, len(table.names)) for i in range(int(first), int(last))]


def _shares(room: NDArray[np.int64], workers: int) -> list[tuple[int, int]]:
    """Which children take how many workers: roomiest first, the last one as tight as can be."""
    left, shares = workers, []
    order = np.argsort(-room, kind="stable").tolist()
    while left:
        if room[order[0]] >= left:
            tightest = min((i for i in order if room[i] >= left), key=lambda i: (int(room[i]), i))
            shares.append((tightest, left))
            break
        shares.append((order[0], int(room[order[0]])))
        left -= int(room[order.pop(0)])
    return shares
