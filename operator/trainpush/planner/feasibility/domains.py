"""How many workers a domain holds, with every slice whole.

Inside out: what a domain of a slice's level holds is rounded down to whole slices, and counts as that much
for the level further out. Domains are nested, and each slice size divides the next one outwards: this is exact.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from trainpush.model.gang import Topology
from trainpush.model.nodes import NodeTable
from trainpush.planner.feasibility.slots import Slots

Indices = NDArray[np.intp]
SliceLevel = tuple[Indices, int]
"""First positions of the domains of a slice level, among those of the level below, and the size of a slice."""


def sums(values: NDArray[np.int64], starts: Indices) -> NDArray[np.int64]:
    """The sum of `values` over each domain that `starts` bounds."""
    if not len(starts):
        return np.zeros(0, dtype=np.int64)
    total: NDArray[np.int64] = np.add.reduceat(values, starts)
    return total


def whole(counts: NDArray[np.int64], size: int) -> NDArray[np.int64]:
    """Workers that are left when only whole slices of `size` count."""
    return counts if size == 1 else counts // size * size


def in_slices(counts: NDArray[np.int64], levels: Sequence[SliceLevel]) -> NDArray[np.int64]:
    """Workers per domain of the outermost slice level that fit in whole slices; `counts` are per node."""
    for starts, size in levels:
        counts = whole(sums(counts, starts), size)
    return counts


def nested(levels: Sequence[SliceLevel], nodes: int) -> tuple[SliceLevel, ...]:
    """`levels`, innermost first, whose domains start at given nodes, each counted in domains of the one below."""
    found, below = [], np.arange(nodes)
    for starts, size in levels:
        found.append((np.searchsorted(below, starts), size))
        below = starts
    return tuple(found)


@dataclass(frozen=True, slots=True)
class Layout:
    """The domains of which one must hold the whole gang, and those inside that must hold whole slices."""

    starts: Indices
    """First nodes of the domains of the required level (of the pool where none is)."""
    slice_starts: tuple[SliceLevel, ...]
    """First nodes of the domains of each slice level, and the size of a slice; innermost level first."""
    slice_levels: tuple[SliceLevel, ...]
    """The same, counted in domains of the level below."""
    inner: Indices
    """As `starts`, counted in domains of the outermost slice level, where there is one."""
    step: int
    """Of how many workers a domain takes a multiple."""

    @classmethod
    def of(cls, table: NodeTable, topology: Topology) -> "Layout":
        """Slices of levels outside the required one are whole wherever the gang is."""
        depth = table.depth(topology.required)
        slices = [(table.depth(part.level), part.size) for part in reversed(topology.slices)]
        slice_starts = tuple((table.levels[level].starts, size) for level, size in slices if level > depth)
        starts, nodes = table.levels[depth].starts, len(table.names)
        inner = np.searchsorted(slice_starts[-1][0], starts) if slice_starts else starts
        step = topology.slices[0].size if topology.slices else 1
        return cls(starts, slice_starts, nested(slice_starts, nodes), inner, step)

    def capacity(self, slots: Slots) -> NDArray[np.int64]:
        """Workers that each domain of the required level holds, where nodes have so many `slots`."""
        return whole(sums(in_slices(slots, self.slice_levels), self.inner), self.step)

    def largest(self, slots: Slots) -> int:
        """Most workers that one domain of the required level holds."""
        return int(self.capacity(slots).max(initial=0))
