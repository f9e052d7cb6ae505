"""A place that takes several racks: fewest domains of every level by dynamic programming, within a bound on the work.

What a domain costs depends only on how many workers it takes, and what its children cost adds up, so the best shares
follow from cost tables, combined from the hosts outwards (`shares`), for all domains of a level at once. How few
domains a level takes at least, whatever the other levels take, bounds every place from below: a simple place that
meets its bound needs no tables.
"""

from dataclasses import dataclass
from math import prod
from typing import Final

import numpy as np

from trainpush.planner.placing.hosts import hosts_of
from trainpush.planner.placing.rooms import Indices, Rooms
from trainpush.planner.placing.shares import NEVER, Costs, cheapest, merged

WORK: Final = 20_000_000
"""So many steps, of 1 to 2 ns, are spent at most on one gang."""


@dataclass(frozen=True, slots=True)
class _Found:
    """A place, and what it costs: domains of each level inside the common domain, hosts, broken groups."""

    cost: tuple[int, ...]
    by_row: dict[int, int]


def spread(rooms: Rooms, depth: int, found: Indices, workers: int) -> tuple[dict[int, int], float]:
    """The best place inside one of the domains `found` of level `depth`, no child of which has room for all.

    Also says by what part it may miss the fewest domains of some level.
    """
    roots, lowest = _promising(rooms, depth, found, workers)
    best = simple = _judged(rooms, depth, fill(rooms, depth, int(roots[0]), workers))
    searched = 0
    if best.cost > lowest[0]:
        best, searched = _searched(rooms, depth, roots, lowest, best)
    tightest = int(found[rooms.room[depth][found].argmin()])
    if tightest != roots[0]:
        simple = _judged(rooms, depth, fill(rooms, depth, tightest, workers))
    return _kinder(rooms, best, simple), _gap(best.cost, lowest[searched:])


def _promising(rooms: Rooms, depth: int, found: Indices, workers: int) -> tuple[Indices, list[tuple[int, ...]]]:
    """Those of the domains `found` that may do with fewest children, and what a place in each costs at least.

    The most promising first, then the one with least room.
    """
    fewest = rooms.ladder(depth, depth + 1).fewest(workers, found)
    found, fewest = found[fewest == fewest.min()], fewest[fewest == fewest.min()]
    further = range(depth + 2, rooms.tree.last + 1)
    bounds = np.array([fewest, *(rooms.ladder(depth, level).fewest(workers, found) for level in further)])
    order = np.lexsort((found, rooms.room[depth][found], *bounds[::-1]))
    return found[order], [(*bound, 0) for bound in bounds[:, order].T.tolist()]


def _searched(
    rooms: Rooms, depth: int, roots: Indices, lowest: list[tuple[int, ...]], best: _Found
) -> tuple[_Found, int]:
    """The best place inside `roots`, or `best` where none is better; and how many of them were searched.

    All that may be better are searched together, or as many, the first ones first, as the bound on the work allows.
    """
    workers = sum(best.by_row.values())
    roots = roots[: sum(bound < best.cost for bound in lowest)]
    while len(roots):
        tables = _Tables(rooms, depth, roots, workers)
        if tables.work <= WORK:
            return min(best, _judged(rooms, depth, tables.best()), key=lambda each: each.cost), len(roots)
        roots = roots[: len(roots) // 2]
    return best, 0


def fill(rooms: Rooms, level: int, index: int, workers: int) -> dict[int, int]:
    """Workers by row in a domain with room for all: the roomiest children first, the last one as tight as can be."""
    if level == rooms.tree.last:
        return {index: workers}
    if level == rooms.tree.last - 1:
        return hosts_of(rooms, index, workers)
    first, behind = rooms.tree.inside(level, index, level + 1)
    room = rooms.room[level + 1][first:behind]
    by_row: dict[int, int] = {}
    order = (-room).argsort(kind="stable").tolist()
    while room[order[0]] < workers:
        child = order.pop(0)
        by_row |= fill(rooms, level + 1, first + child, int(room[child]))
        workers -= int(room[child])
    tightest = min((child for child in order if room[child] >= workers), key=lambda child: (int(room[child]), child))
    return by_row | fill(rooms, level + 1, first + tightest, workers)


def _judged(rooms: Rooms, depth: int, by_row: dict[int, int]) -> _Found:
    return _Found((*rooms.span(by_row)[depth + 1 :], rooms.broken(by_row)), by_row)


def _kinder(rooms: Rooms, best: _Found, tightest: _Found) -> dict[int, int]:
    """Of two places that cost the same, the one that leaves the larger gangs to others."""
    if tightest.by_row != best.by_row and tightest.cost == best.cost:
        return max(best, tightest, key=lambda each: rooms.after(each.by_row)).by_row
    return best.by_row


def _gap(cost: tuple[int, ...], unsure: list[tuple[int, ...]]) -> float:
    """By what part one of the domains that were not searched could be better at some level."""
    better = [bound for bound in unsure if bound < cost]
    parts = (spent / least - 1 for bound in better for spent, least in zip(cost, bound[:-1], strict=False))
    return max(parts, default=0.0)


class _Tables:
    """The cost tables inside some domains of one level, the roots, for up to so many workers."""

    def __init__(self, rooms: Rooms, depth: int, roots: Indices, workers: int) -> None:
        self.rooms, self.depth, self.roots, self.workers = rooms, depth, roots, workers
        last = rooms.tree.last
        # Where nothing is linked, what hosts cost follows from their ranking.
        self.leaf = last if rooms.groups is not None else last - 1
        self.members: dict[int, Indices] = {depth: roots}
        self.owner: dict[int, Indices] = {}
        self.tables: dict[int, Costs] = {}
        for level in range(depth + 1, self.leaf + 1):
            self._add_children(level)
        self.work = workers * sum(
            len(members) * (1 + min(workers, int(rooms.room[level][members].max(initial=0))))
            for level, members in self.members.items()
        )
        bases = [min(workers, len(rooms.room[level])) + 1 for level in range(depth, last + 1)]
        bases.append(bases[-1] if rooms.groups is not None else 1)
        self.weights = {level: prod(bases[level - depth + 1 :]) for level in range(depth + 1, last + 1)}
        if prod(bases) >= NEVER:
            self.work = WORK + 1

    def best(self) -> dict[int, int]:
        """The cheapest workers by row in one of the roots; of equal ones in the first."""
        for level in range(self.leaf, self.depth, -1):
            self.tables[level] = self._costs(level)
        inside = self.depth + 1
        totals = merged(self.tables[inside], self.owner[inside], len(self.roots), self.workers)[:, self.workers]
        return self._place(self.depth, int(totals.argmin()), self.workers)

    def _add_children(self, level: int) -> None:
        """Take in the domains of `level` inside those of the level around it that can be of use."""
        rooms, around = self.rooms, self.members[level - 1]
        tree, room = rooms.tree, rooms.room[level]
        position = np.full(len(rooms.room[level - 1]), -1, dtype=np.intp)
        position[around] = np.arange(len(around))
        owner = position[tree.domain[level - 1][tree.starts[level]]]
        least = np.ones(len(around), dtype=np.int64)
        if level == self.depth + 1:
            # A root takes as few children as can be, so each must hold what the roomiest others leave.
            ladder = rooms.ladder(level - 1, level)
            others = ladder.fewest(self.workers, around) - 2
            least = np.maximum(self.workers - ladder.reach[ladder.starts[around] + others], 1)
        useful = np.flatnonzero((owner >= 0) & (room >= least[owner]))
        order = np.argsort(owner[useful], kind="stable")
        self.members[level], self.owner[level] = useful[order], owner[useful][order]

    def _costs(self, level: int) -> Costs:
        """What the members of `level` cost by the workers that they take."""
        rooms, members = self.rooms, self.members[level]
        room = rooms.room[level][members]
        takes = np.arange(min(self.workers, int(room.max(initial=0))) + 1)
        if level == self.leaf == rooms.tree.last - 1:
            costs = self._fewest_hosts(members, len(takes)) * self.weights[level + 1]
        elif level == self.leaf and rooms.groups is not None:
            costs = (takes % rooms.groups[members, None] > 0).astype(np.int64)
        else:
            costs = merged(self.tables[level + 1], self.owner[level + 1], len(members), len(takes) - 1)
        costs[:, 1:] += self.weights[level]
        # Slices further in divide those further out, and whatever holds whole ones takes a multiple.
        costs[(takes > room[:, None]) | (takes % max(rooms.sizes[level:]) > 0) | (costs > NEVER)] = NEVER
        return costs

    def _fewest_hosts(self, racks: Indices, width: int) -> Costs:
        """How many hosts of each rack it takes at least to hold 0, 1, … workers, where the rack has room for them."""
        rooms, level = self.rooms, self.rooms.tree.last - 1
        starts, ends = rooms.tree.starts[level][racks], rooms.tree.ends[level][racks]
        lengths = ends - starts
        rack = np.repeat(np.arange(len(racks)), lengths)
        rows = np.arange(len(rack)) + (starts - lengths.cumsum() + lengths)[rack]
        reach = np.minimum(rooms.ladder(level, level + 1).reach[rows], width - 1)
        full = np.bincount(rack * width + reach, minlength=len(racks) * width).reshape(len(racks), width)
        fewest: Costs = full.cumsum(axis=1) - full + 1
        fewest[:, 0] = 0
        return fewest

    def _place(self, level: int, member: int, workers: int) -> dict[int, int]:
        """The cheapest workers by row in a member of `level`."""
        if level == self.rooms.tree.last - 1:
            return hosts_of(self.rooms, int(self.members[level][member]), workers)
        first, behind = self.owner[level + 1].searchsorted([member, member + 1]).tolist()
        by_row: dict[int, int] = {}
        for child, share in cheapest(self.tables[level + 1][first:behind], workers).items():
            by_row |= self._place(level + 1, first + child, share)
        return by_row
