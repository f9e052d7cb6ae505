"""Where a gang goes: the place that spans least, and of those the one that does least harm to gangs yet to come.

Workers are alike, so a node is one number: how many of them fit. Of all places the best one is taken, judged by

1. how many domains it spans at each level, from the outside in, and last how many hosts;
2. how many groups of linked accelerators it breaks: hosts with whole groups that get an odd number of workers;
3. the largest gang of such workers that one domain could still take afterwards, per level from the outside in;
4. how tight its domain is: least room in the innermost domain that holds it, then in the ones around that;
5. the order of the table.

One domain of the required level holds it. A domain of a level of slices takes whole slices, and has room for whole
slices only. `preferred` needs no rule: if one domain of that level can hold the gang, rule 1 finds one. It is the
innermost level that the place is described by.

Where one rack (a domain of the innermost level above the hosts) holds the gang, all five rules are kept exactly.
Where it takes several, rule 1 is kept exactly, or the place says by how much it may miss it (`Assignment.gap`);
the others decide among the places that were looked at, the tightest fit always among them.
"""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from trainpush.model.gang import Gang
from trainpush.model.nodes import POOL, NodeTable
from trainpush.model.wording import listed
from trainpush.planner.feasibility.domains import Indices
from trainpush.planner.placing.domain_capacity import DomainCapacity, DomainTree
from trainpush.planner.placing.hosts import hosts_of
from trainpush.planner.placing.search import spread

RACKS_TRIED: Final = 32
"""So many racks at most are looked at for one in which no group of linked accelerators is broken."""
_NAMED_MAX: Final = 3
"""Most domains that are named one by one."""


@dataclass(frozen=True, slots=True)
class Assignment:
    """A domain and how many workers its nodes get."""

    level: str
    domain: str
    by_row: Mapping[int, int]
    """Workers by the position of the node in the table, in its order; nodes that get none are left out."""
    gap: float = 0.0
    """By what part, at most, it spans more domains of some level than it must; 0 where it was shown to be best."""

    def nodes(self, table: NodeTable) -> tuple[str, ...]:
        """One node name per worker; consecutive ranks are neighbours."""
        return tuple(table.names[row] for row, workers in self.by_row.items() for _ in range(workers))


def assignment_in(gang: Gang, table: NodeTable, domains: DomainCapacity) -> Assignment | None:
    """The best place for `gang` where domains have this capacity, or None if there is none."""
    described = depths(gang, table)
    depth = domains.tree.last
    while domains.most(depth) < gang.workers:
        if depth == described[-1]:
            return None
        depth -= 1
    gap = 0.0
    if depth == domains.tree.last:
        by_row = {_best_host(domains, gang.workers): gang.workers}
    elif depth == domains.tree.last - 1:
        by_row = _in_one_rack(domains, (domains.capacity[depth] >= gang.workers).nonzero()[0], gang.workers)
    else:
        by_row, gap = spread(domains, depth, (domains.capacity[depth] >= gang.workers).nonzero()[0], gang.workers)
    return assignment_of(table, domains.tree, described, by_row, gap)


def assignment_of(
    table: NodeTable, tree: DomainTree, described: range, by_row: Mapping[int, int], gap: float = 0.0
) -> Assignment:
    """The place that these nodes make, by the innermost of the levels `described` of which one domain holds them."""
    rows = sorted(by_row)
    ordered = {row: by_row[row] for row in rows}
    for depth in described:
        index = tree.domain[depth].item(rows[0])
        if index == tree.domain[depth].item(rows[-1]):
            level = table.levels[depth]
            return Assignment(level.alias, level.names[index], ordered, gap)
    return Assignment(POOL, POOL, ordered, gap)


def domain_of(gang: Gang, table: NodeTable, nodes: Sequence[str]) -> tuple[str, str]:
    """Level and name of the innermost domain, of those that `gang` looks at, that holds all `nodes`.

    Further out than the required level where that is not kept any more, since labels have changed.
    """
    rows = [table.rows[node] for node in nodes if node in table.rows]
    for depth in range(depths(gang, table).start, -1, -1):
        level = table.levels[depth]
        found = set((np.searchsorted(level.starts, rows, side="right") - 1).tolist())
        if len(found) == 1:
            return level.alias, level.names[found.pop()]
    return POOL, POOL


def torn(gang: Gang, table: NodeTable, rows: Mapping[int, int]) -> str:
    """What `gang` asked for of its place and does not have any more, in words; empty where it has all.

    `rows` says where its ranks are; those that are left out do not count.
    """
    whole = max(rows, default=0) + 1
    for alias, size in ((gang.topology.required, whole), *((it.level, it.size) for it in gang.topology.slices)):
        level = table.levels[table.depth(alias)]
        domains = level.starts.searchsorted(list(rows.values()), side="right") - 1
        parts: defaultdict[int, set[int]] = defaultdict(set)
        for rank, domain in zip(rows, domains.tolist(), strict=True):
            parts[rank // size].add(domain)
        if broken := next((part for part in parts.values() if len(part) > 1), None):
            names = listed([level.names[domain] for domain in sorted(broken)], _NAMED_MAX)
            what = "the gang" if size == whole else f"a slice of {size}"
            return f"labels have changed: {what} is spread over {names}, and was to be in one {alias}"
    return ""


def depths(gang: Gang, table: NodeTable) -> range:
    """Levels that a place of `gang` is described by, innermost first; the names were checked when it was taken."""
    outermost = table.depth(gang.topology.required)
    innermost = table.depth(gang.topology.preferred) if gang.topology.preferred else len(table.levels) - 1
    return range(max(innermost, outermost), outermost - 1, -1)


def _best_host(domains: DomainCapacity, workers: int) -> int:
    level, room = domains.tree.last, domains.capacity[-1]
    if domains.groups is None:
        found = (room == workers).nonzero()[0]
        if not len(found):
            # Below zero turns into more than any room: the least one is the tightest that will do.
            found = (room == room.item((room - workers).view(np.uint64).argmin())).nonzero()[0]
        found = _spared(domains, level, found, must_keep=False)
        if len(found):
            return _most_crowded(domains, level, found)
    found = (room >= workers).nonzero()[0]
    if domains.groups is not None:
        found = _lowest(found, workers % domains.groups[found] > 0)
    return _tightest(domains, level, _spared(domains, level, found))


def _in_one_rack(domains: DomainCapacity, found: Indices, workers: int) -> dict[int, int]:
    """Hosts in one of the racks `found`, each of which has room for all `workers`."""
    level = domains.tree.last - 1
    if len(found) > 1:
        found = _lowest(found, domains.ranking(level, level + 1).fewest(workers, found))
    tried: list[dict[int, int]] = []
    while len(found) and len(tried) < RACKS_TRIED:
        spared = _spared(domains, level, found)
        if len(spared) > 1:
            spared = _with_largest_host(domains, spared, workers)
        best = _tightest(domains, level, spared)
        tried.append(hosts_of(domains, best, workers))
        if not domains.broken(tried[-1]):
            return tried[-1]
        found = found[found != best]
    return min(tried, key=domains.broken)


def _with_largest_host(domains: DomainCapacity, found: Indices, workers: int) -> Indices:
    """Those of the racks `found` that leave the largest host to others."""
    level = domains.tree.last - 1
    top = domains.top(level + 1)
    owner, most = domains.tree.domain[level].item(top), domains.capacity[-1].item(top)
    where = int(found.searchsorted(owner))
    if where == len(found) or found.item(where) != owner:
        return found
    ranking = domains.ranking(level, level + 1)
    if np.count_nonzero(ranking.ranked[ranking.starts] == most) > 1:
        return found
    first, _ = domains.tree.inside(level, owner, level + 1)
    taken = hosts_of(domains, owner, workers)
    room = domains.capacity[-1][first : ranking.ends[owner]].copy()
    room[[row - first for row in taken]] -= list(taken.values())
    return found if room.max() == most else np.delete(found, where)


def _spared(domains: DomainCapacity, level: int, found: Indices, must_keep: bool = True) -> Indices:
    """Those of the domains `found` of `level` that leave most to others at that level and further out.

    None of them may touch the only largest domain of a level, unless all do and something `must_keep`.
    """
    for outer in range(1, level + 1):
        room = domains.capacity[outer]
        if len(room) == 1 or (len(found) == 1 and must_keep):
            continue
        top = domains.top(outer)
        begin, end = domains.tree.inside(outer, top, level)
        first = int(found.searchsorted(begin))
        if first == len(found) or found.item(first) >= end:
            continue
        others = room[top + 1 :]
        if len(others) and others.item(others.argmax()) == room.item(top):
            continue
        behind = int(found.searchsorted(end))
        if behind - first < len(found) or not must_keep:
            found = np.concatenate((found[:first], found[behind:]))
    return found


def _tightest(domains: DomainCapacity, level: int, found: Indices) -> int:
    """Of the domains `found` of `level` the one with least room, then with least room around it, then the first."""
    found = found if len(found) == 1 else _lowest(found, domains.capacity[level][found])
    return _most_crowded(domains, level, found)


def _most_crowded(domains: DomainCapacity, level: int, found: Indices) -> int:
    """Of the domains `found` of `level` the one with least room around it, then the first."""
    for outer in range(level - 1, 0, -1):
        room = domains.capacity[outer]
        if len(found) == 1 or len(room) == 1:
            break
        rows = found if level == domains.tree.last else domains.tree.starts[level][found]
        found = _lowest(found, room[domains.tree.domain[outer][rows]])
    return found.item(0)


def _lowest(found: Indices, by: NDArray[Any]) -> Indices:
    lowest: Indices = found[by == by[by.argmin()]]
    return lowest
