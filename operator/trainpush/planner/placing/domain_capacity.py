"""How many workers of one shape fit, node by node and domain by domain; kept, and repaired where something changed."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Final

import numpy as np
from numpy.typing import NDArray

from trainpush.model.gang import Gang
from trainpush.model.nodes import NodeTable
from trainpush.planner.feasibility.domains import Indices, sums, whole
from trainpush.planner.feasibility.slots import Slots

APART: Final = 2**40
"""More workers than fit any pool."""
FEW: Final = 8
"""Up to so many domains are ranked anew one by one, more of them together: calls cost more than entries."""


@dataclass(eq=False)
class DomainTree:
    """The domains of a table as numbers: level 0 is the pool, the last level are the hosts."""

    table: NodeTable
    _bounds: dict[tuple[int, int], tuple[Indices, Indices]] = field(default_factory=dict, init=False)

    @cached_property
    def starts(self) -> list[Indices]:
        """First node of each domain, per level."""
        return [level.starts for level in self.table.levels]

    @cached_property
    def ends(self) -> list[Indices]:
        """The node behind the last of each domain, per level."""
        return [np.append(starts[1:], len(self.table.names))[: len(starts)] for starts in self.starts]

    @cached_property
    def last(self) -> int:
        """The level of the hosts."""
        return len(self.table.levels) - 1

    @cached_property
    def domain(self) -> list[Indices]:
        """The domain of each node, per level."""
        return [np.repeat(np.arange(len(s)), e - s) for s, e in zip(self.starts, self.ends, strict=True)]

    @cached_property
    def parent(self) -> list[Indices]:
        """The domain of the level around it that each domain is in, per level but the outermost."""
        return [np.zeros(0, dtype=np.intp), *(d[s] for d, s in zip(self.domain[:-1], self.starts[1:], strict=True))]

    def bounds(self, level: int, inner: int) -> tuple[Indices, Indices]:
        """The domains of level `inner`, first and behind the last, that lie in each domain of `level`."""
        bounds = self._bounds.get((level, inner))
        if bounds is None:
            starts = np.searchsorted(self.starts[inner], self.starts[level])
            bounds = self._bounds[level, inner] = starts, np.append(starts[1:], len(self.starts[inner]))[: len(starts)]
        return bounds

    def inside(self, level: int, index: int, inner: int) -> tuple[int, int]:
        """As `bounds`, of one domain."""
        if level == inner:
            return index, index + 1
        starts, ends = self.bounds(level, inner)
        return starts.item(index), ends.item(index)

    def children(self, level: int, domains: Indices, inner: int) -> tuple[Indices, Indices]:
        """All domains of level `inner` in `domains` of `level`, in order, and in which of these each one lies."""
        starts, ends = (bound[domains] for bound in self.bounds(level, inner))
        lengths = ends - starts
        owner = np.repeat(np.arange(len(domains)), lengths)
        return np.arange(len(owner)) + (starts - lengths.cumsum() + lengths)[owner], owner


def slice_sizes(gang: Gang, table: NodeTable) -> tuple[int, ...]:
    """Of how many workers each domain takes a multiple, per level."""
    sizes = {layer.level: layer.size for layer in gang.topology.slices}
    return tuple(sizes.get(level.alias, 1) for level in table.levels)


def ranked(room: NDArray[np.int64], owner: Indices, owners: int) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """What domains have room for, from the largest down inside each owner (ascending), and the running sums."""
    # One sort for all of them: the owner counts first, then the larger room.
    span = int(room.max(initial=0)) + 1
    falling = span - 1 - np.sort(owner * span + (span - 1 - room)) % span
    reach = falling.cumsum()
    reach -= np.concatenate([[0], reach])[owner.searchsorted(np.arange(owners))[owner]]
    return falling, reach


class Ranking:
    """What inner domains have room for, the roomiest first inside each outer one, and the running sums."""

    def __init__(self, tree: DomainTree, outer: int, inner: int, room: NDArray[np.int64]) -> None:
        self.tree, self.outer, self.inner = tree, outer, inner
        self.starts, self.ends = tree.bounds(outer, inner)
        """First inner domain of each outer one, and the first behind it."""
        owner = np.repeat(np.arange(len(self.starts)), self.ends - self.starts)
        self.ranked, self.reach = ranked(room, owner, len(self.starts))
        self.keys = self.reach + owner * APART
        """The running sums, with `APART` for each outer domain before: ascending over all."""
        self.stale: set[int] = set()
        """Outer domains in which something changed."""

    def refresh(self, room: NDArray[np.int64]) -> None:
        """Rank anew where something changed."""
        if len(self.stale) > FEW:
            outer = np.array(sorted(self.stale))
            inner, owner = self.tree.children(self.outer, outer, self.inner)
            self.ranked[inner], self.reach[inner] = ranked(room[inner], owner, len(outer))
            self.keys[inner] = self.reach[inner] + outer[owner] * APART
        else:
            for index in self.stale:
                self._rank_one(index, room)
        self.stale.clear()

    def _rank_one(self, outer: int, room: NDArray[np.int64]) -> None:
        part = slice(self.starts.item(outer), self.ends.item(outer))
        falling = self.ranked[part]
        np.negative(room[part], out=falling)
        falling.sort()
        np.negative(falling, out=falling)
        falling.cumsum(out=self.reach[part])
        np.add(self.reach[part], outer * APART, out=self.keys[part])

    def fewest(self, workers: int, outer: Indices) -> Indices:
        """How many inner domains it takes at least to hold `workers`, for outer ones that have room for them."""
        return self.keys.searchsorted(outer * APART + workers) - self.starts[outer] + 1


class DomainCapacity:
    """How many workers of one shape each domain holds, per level; at levels of slices only whole slices count."""

    def __init__(
        self, tree: DomainTree, slots: Slots, sizes: Sequence[int], groups: NDArray[np.int64] | None = None
    ) -> None:
        self.tree = tree
        self.slots = slots
        self.sizes = sizes
        self.groups = groups
        """Of how many workers a node must get a multiple to keep linked accelerators whole; None: nothing is linked."""
        self._rankings: dict[tuple[int, int], Ranking] = {}
        self._tops: list[int | None] = [None] * (tree.last + 1)
        inner = [tree.bounds(level, level + 1)[0] for level in range(tree.last)]
        self.unrounded = [slots]
        """What the domains inside have room for, per level: more than `capacity` if that is no multiple of a slice."""
        self.capacity = [whole(slots, sizes[-1])]
        for level in range(tree.last - 1, -1, -1):
            self.unrounded.insert(0, sums(self.capacity[0], inner[level]))
            self.capacity.insert(0, whole(self.unrounded[0], sizes[level]))

    def put(self, fits: Mapping[int, int]) -> None:
        """Note how many workers fit now, by node."""
        slots = self.slots
        changes = {row: change for row, now in fits.items() if (change := now - slots.item(row))}
        if not changes:
            return
        for level in range(self.tree.last, 0, -1):
            self._put_at(level, changes)
            parent = self.tree.parent[level]
            around: dict[int, int] = {}
            for index, change in changes.items():
                outer = parent.item(index)
                around[outer] = around.get(outer, 0) + change
            changes = around
        self._put_at(0, changes)

    def _put_at(self, level: int, changes: dict[int, int]) -> None:
        """Add up `changes` by domain of `level`; where only whole slices count, they become what these change by."""
        capacity, unrounded, size = self.capacity[level], self.unrounded[level], self.sizes[level]
        top = self._tops[level]
        for index, change in changes.items():
            unrounded[index] = now = unrounded.item(index) + change
            if size > 1:
                now = now // size * size
                changes[index] = now - capacity.item(index)
                capacity[index] = now
            if index == top:
                top = None
            elif top is not None and (now, -index) > (capacity.item(top), -top):
                top = index
        self._tops[level] = top
        for ranking in self._rankings.values():
            if ranking.outer == level:
                ranking.stale.update(changes)

    def put_all(self, rows: Indices, fits: Slots) -> None:
        """As `put` for many nodes, each of which comes once."""
        differs = fits != self.slots[rows]
        if not differs.any():
            return
        rows, fits = rows[differs], fits[differs]
        for ranking in self._rankings.values():
            ranking.stale.update(self.tree.domain[ranking.outer][rows].tolist())
        change = fits - self.slots[rows]
        self._tops = [None] * len(self._tops)
        for level in range(self.tree.last, -1, -1):
            index, size = self.tree.domain[level][rows], self.sizes[level]
            np.add.at(self.unrounded[level], index, change)
            if size > 1:
                index = np.unique(index)
                after = self.unrounded[level][index] // size * size
                change = after - self.capacity[level][index]
                self.capacity[level][index] = after
                rows = self.tree.starts[level][index]

    def most(self, level: int) -> int:
        """How many workers the largest domain of `level` holds."""
        return self.capacity[level].item(self.top(level)) if len(self.slots) else 0

    def top(self, level: int) -> int:
        """The largest domain of `level`, of equal ones the first; there must be some."""
        top = self._tops[level]
        if top is None:
            top = self._tops[level] = int(self.capacity[level].argmax())
        return top

    def ranking(self, outer: int, inner: int) -> Ranking:
        """The ranking of the domains of level `inner` inside those of level `outer`."""
        ranking = self._rankings.get((outer, inner))
        if ranking is None:
            ranking = self._rankings[outer, inner] = Ranking(self.tree, outer, inner, self.capacity[inner])
        elif ranking.stale:
            ranking.refresh(self.capacity[inner])
        return ranking

    def fewest(self, level: int, sets: Indices, inner: int, workers: int) -> Indices:
        """How many domains of level `inner` it takes at least to hold `workers` in each of some sets of domains.

        `sets`: domains of `level`, shape (sets, domains); they have room for all.
        """
        members, owner = self.tree.children(level, sets.ravel(), inner)
        owner //= sets.shape[1]
        _, reach = ranked(self.capacity[inner][members], owner, len(sets))
        return 1 + np.bincount(owner[reach < workers], minlength=len(sets))

    def after(self, by_row: dict[int, int]) -> tuple[int, ...]:
        """The largest gang that still fits one domain, per level from the outside in, once workers are placed so."""
        slots = self.slots.copy()
        for row, workers in by_row.items():
            slots[row] -= workers
        left = DomainCapacity(self.tree, slots, self.sizes)
        return tuple(left.most(level) for level in range(self.tree.last + 1))

    def span(self, by_row: dict[int, int], outermost: int) -> tuple[int, ...]:
        """How many domains hold these workers, per level from `outermost` in."""
        span, domains = [len(by_row)], list(by_row)
        for level in range(self.tree.last, outermost, -1):
            domains = list(set(self.tree.parent[level][domains].tolist()))
            span.insert(0, len(domains))
        return tuple(span)

    def broken(self, by_row: dict[int, int]) -> int:
        """How many nodes get a number of workers that breaks a group of linked accelerators."""
        if self.groups is None:
            return 0
        return sum(workers % int(self.groups[row]) > 0 for row, workers in by_row.items())
