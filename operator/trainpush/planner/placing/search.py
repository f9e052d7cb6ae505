"""A place that takes several racks: fewest domains of every level by dynamic programming, within a bound on the work.

What a domain costs depends only on how many workers it takes, and what its children cost adds up, so the best shares
follow from cost tables, combined from the hosts outwards (`shares`), for all domains of a level at once. The tables
are short: a place takes as few children of its domain as can be, so these leave less unused than any of them holds.

Bounds spare most of that. How few domains a level takes at least, whatever the other levels take, bounds every place
from below: a simple place that meets its bound needs no tables. Where there are few sets of as few children as can be,
each has a bound of its own, and mostly one of the most promising sets is shown to have the best place.
"""

from dataclasses import dataclass
from itertools import combinations
from math import comb, prod
from typing import Final

import numpy as np

from trainpush.planner.feasibility.domains import Indices
from trainpush.planner.placing.domain_capacity import DomainCapacity, ranked
from trainpush.planner.placing.hosts import hosts_in
from trainpush.planner.placing.min_plus import NEVER, Chosen, Combined, Costs

WORK: Final = 20_000_000
"""So many steps, of 1 to 2 ns, are spent at most on one gang."""
SETS: Final = 5_000
"""So many domains at most stand in the sets that are looked at for room."""
BOUNDED: Final = 500
"""So many of them at most in the sets that have room for all, each of which gets a bound of its own."""
TURN: Final = 10_000
"""As many steps could be made while one numpy call after the other begins."""
FEW: Final = 16
"""Up to so many sets that need as few domains of a level are worth a look further in."""
PROMISING: Final = 4
"""So many sets are searched before all are."""


@dataclass(frozen=True, slots=True)
class _Found:
    """A place, and what it costs: domains of each level inside the common domain, hosts, broken groups."""

    cost: tuple[int, ...]
    by_row: dict[int, int]


def spread(domains: DomainCapacity, depth: int, found: Indices, workers: int) -> tuple[dict[int, int], float]:
    """The best place inside one of the domains `found` of level `depth`, no child of which has room for all.

    Also says by what part it may miss the fewest domains of some level.
    """
    roots, lowest = _promising(domains, depth, found, workers)
    best = simple = _judged(domains, depth, hosts_in(domains, fill(domains, depth, int(roots[0]), workers)))
    unsure: list[tuple[int, ...]] = []
    if best.cost > lowest[0]:
        best, unsure = _searched(domains, depth, roots, lowest, best)
    tightest = int(found[domains.capacity[depth][found].argmin()])
    if tightest != roots[0]:
        simple = _judged(domains, depth, hosts_in(domains, fill(domains, depth, tightest, workers)))
    if simple.by_row != best.by_row and simple.cost == best.cost:  # the kinder one leaves larger gangs to others
        best = max(best, simple, key=lambda each: domains.after(each.by_row))
    # By what part one of the domains that were not searched could be better at some level.
    better = [bound for bound in unsure if bound < best.cost]
    parts = (spent / least - 1 for bound in better for spent, least in zip(best.cost, bound[:-1], strict=False))
    return best.by_row, max(parts, default=0.0)


def _promising(
    domains: DomainCapacity, depth: int, found: Indices, workers: int
) -> tuple[Indices, list[tuple[int, ...]]]:
    """Those of the domains `found` that may do with fewest children, and what a place in each costs at least.

    The most promising first, then the one with least room.
    """
    fewest = domains.ranking(depth, depth + 1).fewest(workers, found)
    found, fewest = found[fewest == fewest.min()], fewest[fewest == fewest.min()]
    further = range(depth + 2, domains.tree.last + 1)
    bounds = np.array([fewest, *(domains.ranking(depth, level).fewest(workers, found) for level in further)])
    order = np.lexsort((found, domains.capacity[depth][found], *bounds[::-1]))
    return found[order], [(*bound, 0) for bound in bounds[:, order].T.tolist()]


def _searched(
    domains: DomainCapacity, depth: int, roots: Indices, lowest: list[tuple[int, ...]], best: _Found
) -> tuple[_Found, list[tuple[int, ...]]]:
    """The best place inside `roots`, or `best` where none is better; and what places that were not searched may cost.

    Unless few sets of children had to be searched, all roots that may be better are searched together, or as many, the
    first ones first, as the bound on the work allows.
    """
    workers, level, count = sum(best.by_row.values()), depth + 1, lowest[0][0]
    roots = roots[: sum(bound < best.cost for bound in lowest)]
    children, owner = _useful(domains, depth, roots[:, None], level, count, workers)
    found = _in_sets(domains, level, *_sets(domains, level, children, owner, count, workers), workers, best)
    if found is not None:
        return found, []
    while len(children):
        tables = _Tables(domains, level, children, owner, count, workers)
        if tables.work <= WORK:
            found = _judged(domains, depth, tables.best())
            return min(best, found, key=lambda each: each.cost), lowest[owner[-1] + 1 :]
        some = owner.searchsorted((owner[-1] + 1) // 2)
        children, owner = children[:some], owner[:some]
    return best, lowest


def _in_sets(
    domains: DomainCapacity, level: int, sets: Indices, bounds: list[tuple[int, ...]], workers: int, best: _Found
) -> _Found | None:
    """The best place, or `best`, if it takes no more than a search in the most promising sets to find it; else None."""
    if not bounds:
        return None
    if bounds[0] >= best.cost:
        return best
    count, fewest, *_ = bounds[0]
    promising = sum(bound[:2] == (count, fewest) and bound < best.cost for bound in bounds[:PROMISING])
    sets, others = sets[:promising], bounds[promising:]
    leaf = domains.tree.last if domains.groups is not None else domains.tree.last - 1
    if level < leaf and domains.sizes[level] == 1:  # whole slices aside, what is inside can be shared out at once
        children, owner = _useful(domains, level, sets, level + 1, fewest, workers)
        tables = _Tables(domains, level + 1, children, owner, fewest, workers)
    else:
        tables = _Tables(domains, level, sets.ravel(), np.arange(sets.size) // count, count, workers)
    if tables.work > WORK:
        return None
    best = min(best, _judged(domains, level - 1, tables.best()), key=lambda each: each.cost)
    return best if all(bound >= best.cost for bound in others) else None


def _useful(
    domains: DomainCapacity, level: int, sets: Indices, inner: int, count: int, workers: int
) -> tuple[Indices, Indices]:
    """The domains of level `inner` that may be among the `count` that hold all, and in which of the sets each lies.

    `sets`: domains of `level`, shape (sets, domains). Each must hold what the roomiest others leave. Roomiest first.
    """
    members, owner = domains.tree.children(level, sets.ravel(), inner)
    owner //= sets.shape[1]
    room = domains.capacity[inner][members]
    _, reach = ranked(room, owner, len(sets))
    others = reach[owner.searchsorted(np.arange(len(sets))) + count - 2] if count > 1 else np.zeros(len(sets))
    useful = (room >= np.maximum(workers - others, 1)[owner]).nonzero()[0]
    order = useful[np.lexsort((-room[useful], owner[useful]))]
    return members[order], owner[order]


def _sets(
    domains: DomainCapacity, level: int, children: Indices, owner: Indices, count: int, workers: int
) -> tuple[Indices, list[tuple[int, ...]]]:
    """The sets of `count` children of one owner that hold all, and what a place in each costs at least.

    The most promising first; none if there are many.
    """
    parts = np.bincount(owner)
    most = int(parts.max())
    if len(parts) * comb(most, count) * count > SETS:
        return children[:0], []
    by_owner = np.full((len(parts), most), -1)
    by_owner[owner, np.arange(len(owner)) - owner.searchsorted(owner)] = children
    sets = by_owner[:, list(combinations(range(most), count))].reshape(-1, count)
    sets = sets[(np.where(sets < 0, -workers, domains.capacity[level][sets])).sum(axis=1) >= workers]
    if sets.size > BOUNDED:
        return children[:0], []
    bounds = np.zeros((len(sets), domains.tree.last - level + 2), dtype=np.int64)
    bounds[:, 0] = count
    alike = np.arange(len(sets))
    for inner in range(level + 1, domains.tree.last + 1):
        bounds[alike, inner - level] = fewest = domains.fewest(level, sets[alike], inner, workers)
        alike = alike[fewest == fewest.min()]
        if len(alike) > FEW:
            break
    order = np.lexsort(bounds.T[::-1])
    return sets[order], [tuple(bound) for bound in bounds[order].tolist()]


def fill(domains: DomainCapacity, level: int, index: int, workers: int) -> dict[int, int]:
    """Workers by rack in a domain with room for all: the roomiest children first, the last one as tight as can be."""
    if level == domains.tree.last - 1:
        return {index: workers}
    first, behind = domains.tree.inside(level, index, level + 1)
    room = domains.capacity[level + 1][first:behind].tolist()
    order = sorted(range(len(room)), key=room.__getitem__, reverse=True)
    by_rack: dict[int, int] = {}
    while room[order[0]] < workers:
        child = order.pop(0)
        by_rack |= fill(domains, level + 1, first + child, room[child])
        workers -= room[child]
    tightest = min((child for child in order if room[child] >= workers), key=lambda child: (room[child], child))
    return by_rack | fill(domains, level + 1, first + tightest, workers)


def _judged(domains: DomainCapacity, depth: int, by_row: dict[int, int]) -> _Found:
    return _Found((*domains.span(by_row, depth + 1), domains.broken(by_row)), by_row)


class _Tables:
    """What it costs to take all workers from some children of one owner, of several owners at once.

    An owner is a domain, or a set of domains. None does with fewer children than `count`. A cost table says what it
    costs that a domain takes all that it has room for, all but 1, all but 2, …
    """

    def __init__(
        self, domains: DomainCapacity, level: int, children: Indices, owner: Indices, count: int, workers: int
    ) -> None:
        """`children` of `level` by `owner` (ascending), the roomiest of each owner first."""
        self.domains, self.inside = domains, level
        last = domains.tree.last
        # Where nothing is linked, what hosts cost follows from their ranking.
        self.leaf = last if domains.groups is not None else last - 1
        self.members, self.owner = {level: children}, {level: owner}
        room, parts = domains.capacity[level][children], np.bincount(owner)
        starts = parts.cumsum() - parts
        self.roomiest = room[starts[:, None] + np.arange(count)]
        """Of each owner, largest first; shape (owners, count)."""
        self.spare = self.roomiest.sum(axis=1) - workers
        """What the children that are to be shared out between leave unused, by owner."""
        width, unused = int(self.spare.max()) + 1, np.add.reduceat(room, starts) - workers
        self.work = int(parts.max()) * (TURN + self.roomiest.size * width**2)
        work = len(parts) * int(parts.max()) * (int(room.max()) + 1) * (int(unused.max()) + 1)
        self.takes_all = work < self.work
        """Whether to share out between all children rather than to choose some of them first: that is less work."""
        if self.takes_all:
            self.work, self.spare, width = work, unused, int(unused.max()) + 1
        self.width = {level: width}
        """How many entries the tables of each level have at most."""
        self._add_children()
        bases = [min(workers, len(domains.capacity[each])) + 1 for each in range(level, last + 1)]
        bases.append(bases[-1] if domains.groups is not None else 1)
        self.weights = {each: prod(bases[each - level + 1 :]) for each in range(level, last + 1)}
        if prod(bases) >= NEVER:
            self.work = WORK + 1
        self.combined: dict[int, Combined] = {}

    def _add_children(self) -> None:
        """Take in all domains further in that have room."""
        domains = self.domains
        for level in range(self.inside + 1, self.leaf + 1):
            around = self.members[level - 1]
            self.width[level] = width = self.width[level - 1] + int(self._wasted(level - 1, around).max())
            members, owner = domains.tree.children(level - 1, around, level)
            room = domains.capacity[level][members]
            self.members[level], self.owner[level] = members[room > 0], owner[room > 0]
            self.work += len(around) * int(np.bincount(owner).max()) * width * min(width, 1 + int(room.max()))

    def best(self) -> dict[int, int]:
        """The cheapest workers by row in one of the owners; of equal ones in the first."""
        domains, level = self.domains, self.inside
        costs, room = self._costs(level), domains.capacity[level][self.members[level]]
        if self.takes_all:
            combined = Combined(costs, self.owner[level], self.width[level])
            owner = combined.costs[np.arange(len(self.spare)), self.spare].argmin(keepdims=True)
            at, unused = combined.shares(owner, self.spare[owner])
        else:
            chosen = Chosen(costs, room, self.owner[level], self.roomiest, self.spare)
            at, unused = chosen.shares(int(chosen.costs.argmin()))
        while level < self.leaf:
            at, unused = self.combined[level].shares(at, unused + self._wasted(level, self.members[level][at]))
            level += 1
        members = self.members[level][at]
        shares = (domains.capacity[level][members] - unused).tolist()
        taken = {index: share for index, share in zip(members.tolist(), shares, strict=True) if share}
        return taken if level == domains.tree.last else hosts_in(domains, taken)

    def _costs(self, level: int) -> Costs:
        """What the members of `level` cost by what they leave unused."""
        domains, members = self.domains, self.members[level]
        room, size = domains.capacity[level][members], max(domains.sizes[level:])
        unused = np.arange(min(self.width[level], int(room.max()) + 1))
        if level == self.leaf == domains.tree.last - 1:
            costs = self._fewest_hosts(members, len(unused)) * self.weights[level + 1]
        elif domains.groups is not None and level == self.leaf:
            costs = ((room[:, None] - unused) % domains.groups[members, None] > 0).astype(np.int64)
        else:
            costs = self._combined(level, len(unused))
        costs += self.weights[level]
        empty = (room < len(unused)).nonzero()[0]
        costs[empty, room[empty]] = 0
        costs[unused > room[:, None]] = NEVER
        if size > 1:  # slices further in divide those further out, and whatever holds whole ones takes a multiple
            costs[(room[:, None] - unused) % size > 0] = NEVER
        return np.minimum(costs, NEVER, out=costs)

    def _combined(self, level: int, width: int) -> Costs:
        """What the children of the members of `level` cost."""
        inside = self.combined[level] = Combined(self._costs(level + 1), self.owner[level + 1], self.width[level + 1])
        wasted = self._wasted(level, self.members[level])
        if not wasted.any():
            return inside.costs[:, :width]
        costs: Costs = inside.costs[np.arange(len(wasted))[:, None], wasted[:, None] + np.arange(width)]
        return costs

    def _wasted(self, level: int, members: Indices) -> Indices:
        """What the children of `members` have room for, and no whole slice fills."""
        wasted: Indices = self.domains.unrounded[level][members] - self.domains.capacity[level][members]
        return wasted

    def _fewest_hosts(self, racks: Indices, width: int) -> Costs:
        """How many hosts of each rack it takes at least to hold all it has room for, all but 1, all but 2 and so on."""
        level = self.domains.tree.last - 1
        rows, rack = self.domains.tree.children(level, racks, level + 1)
        lacking = self.domains.capacity[level][racks[rack]] - self.domains.ranking(level, level + 1).reach[rows]
        lacking = np.minimum(np.maximum(lacking, 0), width)
        hosts = np.bincount(rack * (width + 1) + lacking, minlength=len(racks) * (width + 1))
        fewest: Costs = 1 + hosts.reshape(-1, width + 1)[:, :0:-1].cumsum(axis=1)[:, ::-1]
        return fewest
