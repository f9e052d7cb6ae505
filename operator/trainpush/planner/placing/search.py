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
from numpy.typing import NDArray

from trainpush.planner.placing.hosts import hosts_in
from trainpush.planner.placing.rooms import Indices, Rooms
from trainpush.planner.placing.shares import NEVER, Combined, Costs, plus

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
    best = simple = _judged(rooms, depth, hosts_in(rooms, fill(rooms, depth, int(roots[0]), workers)))
    searched = 0
    if best.cost > lowest[0]:
        best, searched = _searched(rooms, depth, roots, lowest, best)
    tightest = int(found[rooms.room[depth][found].argmin()])
    if tightest != roots[0]:
        simple = _judged(rooms, depth, hosts_in(rooms, fill(rooms, depth, tightest, workers)))
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
    """Workers by rack in a domain with room for all: the roomiest children first, the last one as tight as can be."""
    if level == rooms.tree.last - 1:
        return {index: workers}
    first, behind = rooms.tree.inside(level, index, level + 1)
    room = rooms.room[level + 1][first:behind].tolist()
    order = sorted(range(len(room)), key=room.__getitem__, reverse=True)
    by_rack: dict[int, int] = {}
    for child in order:
        if room[child] >= workers:
            break
        by_rack |= fill(rooms, level + 1, first + child, room[child])
        workers -= room[child]
    tightest = min((child for child in order[order.index(child):] if room[child] >= workers), key=lambda child: (room[child], child))
    return by_rack | fill(rooms, level + 1, first + tightest, workers)


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
    """What places inside some domains of one level, the roots, cost.

    No root does with fewer children than `count`, so what its children leave unused is less than the room of any of
    them. A cost table says what it costs that a domain takes all that it has room for, all but 1, all but 2, …
    """

    def __init__(self, rooms: Rooms, depth: int, roots: Indices, workers: int) -> None:
        self.rooms, self.depth = rooms, depth
        last = rooms.tree.last
        # Where nothing is linked, what hosts cost follows from their ranking.
        self.leaf = last if rooms.groups is not None else last - 1
        ladder = rooms.ladder(depth, depth + 1)
        self.count = int(ladder.fewest(workers, roots[:1])[0])
        self.roomiest = ladder.ranked[ladder.starts[roots, None] + np.arange(self.count)]
        """Shape (roots, count)."""
        self.spare = self.roomiest.sum(axis=1) - workers
        """What the roomiest children of each root leave unused."""
        self.members: dict[int, Indices] = {depth: roots}
        self.owner: dict[int, Indices] = {}
        self.width = {depth + 1: int(self.spare.max()) + 1}
        """How many entries the tables of each level have at most."""
        self._add_children(depth + 1, least=self.roomiest[:, -1] - self.spare)
        for level in range(depth + 2, self.leaf + 1):
            around = self.members[level - 1]
            wasted = rooms.whole[level - 1][around] - rooms.room[level - 1][around]
            self.width[level] = self.width[level - 1] + int(wasted.max())
            self._add_children(level, least=np.ones(len(around), dtype=np.int64))
        bases = [min(workers, len(rooms.room[level])) + 1 for level in range(depth, last + 1)]
        bases.append(bases[-1] if rooms.groups is not None else 1)
        self.weights = {level: prod(bases[level - depth + 1 :]) for level in range(depth + 1, last + 1)}
        self.inside: dict[int, Combined] = {}
        self.work = WORK + 1 if prod(bases) >= NEVER else self._work()

    def _work(self) -> int:
        children = np.bincount(self.owner[self.depth + 1]).max()
        merging = sum(
            len(members) * width * min(width, 1 + int(self.rooms.room[level][members].max()))
            for level, width in self.width.items()
            for members in [self.members[level]]
        )
        return merging + len(self.spare) * int(children) * self.count * self.width[self.depth + 1] ** 2

    def _add_children(self, level: int, least: NDArray[np.int64]) -> None:
        """Take in the domains of `level` inside those of the level around it that have room for `least`."""
        members, owner = self.rooms.tree.children(level - 1, self.members[level - 1], level)
        useful = self.rooms.room[level][members] >= least[owner]
        self.members[level], self.owner[level] = members[useful], owner[useful]

    def best(self) -> dict[int, int]:
        """The cheapest workers by row in one of the roots; of equal ones in the first."""
        inside = self.depth + 1
        states, taken = self._choices(self._costs(inside))
        final = states[-1][self.count][np.arange(len(self.spare)), self.spare]
        root = int(final.argmin())
        at, lacking = self._chosen(states, taken, root)
        for level in range(inside, self.leaf):
            members = self.members[level][at]
            wasted = self.rooms.whole[level][members] - self.rooms.room[level][members]
            at, lacking = self.inside[level].shares(at, lacking + wasted)
        members = self.members[self.leaf][at]
        shares = self.rooms.room[self.leaf][members] - lacking
        found = {index: share for index, share in zip(members.tolist(), shares.tolist(), strict=True) if share}
        return found if self.leaf == self.rooms.tree.last else hosts_in(self.rooms, found)

    def _choices(self, costs: Costs) -> tuple[list[Costs], list[NDArray[np.intp]]]:
        """The least costs when the first 0, 1, 2, … children of each root, the roomiest first, had their turn.

        Shape (children, spare + 1) ... what the chosen ones lack to the roomiest
        """
        level, width, count = self.depth + 1, self.width[self.depth + 1], self.count
        room, owner = self.rooms.room[level][self.members[level]], self.owner[level]
        order = np.lexsort((-room, owner))
        rank = np.arange(len(owner)) - owner.searchsorted(owner)
        children = int(rank.max()) + 1
        self.turn = np.full((children, len(self.spare)), len(owner))
        """The child of each root whose turn it is."""
        self.turn[rank, owner] = order
        padded = np.full((len(owner) + 1, width + 1), NEVER, dtype=np.int64)
        padded[:-1, : costs.shape[1]] = costs
        room = np.append(room, 0)
        state = np.full((count + 1, len(self.spare), width), NEVER, dtype=np.int64)
        state[0, :, 0] = 0
        states, tables = [state], []
        for turn in range(children):
            fewest, most = max(1, count - children + turn + 1), min(turn + 1, count)
            child = self.turn[turn]
            lost = self.roomiest.T[fewest - 1 : most] - room[child]
            entries = np.arange(width) - lost[:, :, None]
            entries[entries < 0] = width
            table = padded[child[None, :, None], entries]
            tables.append(table)
            before, shape = state[fewest - 1 : most], table.shape
            state = state.copy()
            chosen = plus(before.reshape(-1, width), table.reshape(-1, width), width).reshape(shape)
            np.minimum(state[fewest : most + 1], chosen, out=state[fewest : most + 1])
            states.append(state)
        return states, tables

    def _chosen(self, states: list[Costs], tables: list[NDArray[np.intp]], root: int) -> tuple[Indices, Indices]:
        """The members of the level inside, that are chosen, and what each of them lacks."""
        count, left = self.count, int(self.spare[root])
        at, lacking = [], []
        level = self.depth + 1
        for turn in range(len(tables) - 1, -1, -1):
            if not count or states[turn + 1][count, root, left] == states[turn][count, root, left]:
                continue
            fewest = max(1, self.count - len(tables) + turn + 1)
            table = tables[turn][count - fewest, root, : left + 1]
            share = int((states[turn][count - 1, root, left::-1] + table).argmin())
            child = int(self.turn[turn, root])
            count, left = count - 1, left - share
            at.append(child)
            lacking.append(share - int(self.roomiest[root, count] - self.rooms.room[level][self.members[level][child]]))
        return np.array(at), np.array(lacking)

    def _costs(self, level: int) -> Costs:
        """What the members of `level` cost by what they leave unused."""
        rooms, members = self.rooms, self.members[level]
        room = rooms.room[level][members]
        takes = room[:, None] - np.arange(min(self.width[level], int(room.max()) + 1))
        if level == self.leaf == rooms.tree.last - 1:
            costs = self._fewest_hosts(members, takes.shape[1]) * self.weights[level + 1]
        elif level == self.leaf and rooms.groups is not None:
            costs = (takes % rooms.groups[members, None] > 0).astype(np.int64)
        else:
            self.inside[level] = Combined(self._costs(level + 1), self.owner[level + 1], self.width[level + 1])
            wasted = rooms.whole[level][members] - room
            costs = self.inside[level].costs
            costs = costs[np.arange(len(members))[:, None], wasted[:, None] + np.arange(takes.shape[1])]
        costs[takes > 0] += self.weights[level]
        costs[takes == 0] = 0
        # Slices further in divide those further out, and whatever holds whole ones takes a multiple.
        costs[(takes < 0) | (takes % max(rooms.sizes[level:]) > 0) | (costs > NEVER)] = NEVER
        return costs

    def _fewest_hosts(self, racks: Indices, width: int) -> Costs:
        """How many hosts of each rack it takes at least to hold all that it has room for, all but 1, all but 2, …"""
        level = self.rooms.tree.last - 1
        rows, rack = self.rooms.tree.children(level, racks, level + 1)
        lacking = self.rooms.room[level][racks[rack]] - self.rooms.ladder(level, level + 1).reach[rows]
        lacking = lacking.clip(0, width)
        hosts = np.bincount(rack * (width + 1) + lacking, minlength=len(racks) * (width + 1))
        fewest: Costs = 1 + hosts.reshape(-1, width + 1)[:, :0:-1].cumsum(axis=1)[:, ::-1]
        return fewest
