"""Many attempts at choosing victims at once: each is one domain and a set of its candidates that are gone.

All attempts lie one behind the other in flat arrays, so that one pass counts the room in all of them.

    node      floor((free + what the taken ones held) / request), the scarcest resource counts
    slices    floor(sum over the domain / size) * size, innermost level first
    attempt   sum over its domain
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from trainpush.planner.feasibility.domains import SliceLevel, in_slices, nested
from trainpush.planner.feasibility.slots import fits

Ints = NDArray[np.int64]
Mask = NDArray[np.bool_]
Places = NDArray[np.intp]


def spans(firsts: Places, ends: Places) -> tuple[Places, Places]:
    """All positions from each of `firsts` up to its end, one behind the other, and where each stretch begins."""
    sizes = ends - firsts
    begins = np.cumsum(sizes) - sizes
    return np.arange(sizes.sum()) + np.repeat(firsts - begins, sizes), begins


@dataclass(frozen=True, slots=True)
class SearchSpace:
    """The domains in question, and the candidates that hold something of use there, one row per such pair."""

    request: tuple[int, ...]
    """Per worker of the gang that needs room, for each resource; at least 1."""
    workers: int
    free: Ints
    """Shape (resources, nodes), before anything is taken; below zero where a node is overfull or closed."""
    nodes: Places
    """First node of each domain, and the number of all nodes."""
    levels: tuple[SliceLevel, ...]
    """First nodes of the domains of each slice level, innermost level first."""
    pairs: Places
    """First pair of each domain, and the number of all pairs."""
    candidate: Places
    """Per pair; ascending inside a domain, that is by cost."""
    cost: Ints
    """Per pair, at least 1."""
    entries: Places
    """First entry of each domain, and the number of all entries."""
    entry_node: Places
    """Per entry, that is what one candidate holds on one node; ascending."""
    entry_pair: Places
    entry_held: Ints
    """Shape (resources, entries)."""
    entry_most: Ints
    """Per entry: the most slots that come free by it, whoever else is taken."""

    def scenarios(self, domains: Sequence[int]) -> "Scenarios":
        """One attempt for each of `domains`, which may be the same."""
        which = np.asarray(domains, dtype=np.intp)
        nodes, node_begins = spans(self.nodes[which], self.nodes[which + 1])
        pairs, pair_begins = spans(self.pairs[which], self.pairs[which + 1])
        entries, _ = spans(self.entries[which], self.entries[which + 1])
        sizes = self.entries[which + 1] - self.entries[which]
        levels = []
        for starts, size in self.levels:
            low, high = np.searchsorted(starts, self.nodes[which]), np.searchsorted(starts, self.nodes[which + 1])
            inside, _ = spans(low, high)
            levels.append((starts[inside] + np.repeat(node_begins - self.nodes[which], high - low), size))
        outermost = levels[-1][0] if levels else np.arange(len(nodes))
        return Scenarios(
            request=self.request,
            workers=self.workers,
            free=self.free[:, nodes],
            floors=nested(levels, len(nodes)),
            begins=np.searchsorted(outermost, node_begins),
            pair_begins=pair_begins,
            scenario=np.repeat(np.arange(len(which)), self.pairs[which + 1] - self.pairs[which]),
            cost=self.cost[pairs],
            node=self.entry_node[entries] + np.repeat(node_begins - self.nodes[which], sizes),
            pair=self.entry_pair[entries] + np.repeat(pair_begins - self.pairs[which], sizes),
            held=self.entry_held[:, entries],
        )


@dataclass(frozen=True)
class Scenarios:
    """Attempts, one behind the other; `taken` is always one flag per pair of an attempt and a candidate."""

    request: tuple[int, ...]
    workers: int
    free: Ints
    floors: tuple[SliceLevel, ...]
    begins: Places
    """First of each attempt among the domains of the outermost slice level, or among the nodes."""
    pair_begins: Places
    scenario: Places
    """Per pair: its attempt."""
    cost: Ints
    node: Places
    pair: Places
    held: Ints

    @cached_property
    def _firsts(self) -> Places:
        """First entry on each node that has any."""
        return np.flatnonzero(np.diff(self.node, prepend=-1))

    def free_after(self, taken: Mask) -> Ints:
        """What is free on each node once `taken` are gone."""
        free = self.free.copy()
        back = self.held * taken[self.pair]
        free[:, self.node[self._firsts]] += np.add.reduceat(back, self._firsts, axis=1)
        return free

    def capacity(self, slots: Ints) -> Ints:
        """Per attempt: workers for whom there is room, where nodes have so many `slots`."""
        capacity: Ints = np.add.reduceat(in_slices(slots, self.floors), self.begins)
        return capacity

    def spare(self, taken: Mask) -> Ints:
        """Per attempt: by how many workers there is more room than needed once `taken` are gone."""
        return self.capacity(fits(self.free_after(taken), self.request)) - self.workers

    def costs(self, taken: Mask) -> Ints:
        """Per attempt: what it costs."""
        total: Ints = np.add.reduceat(np.where(taken, self.cost, 0), self.pair_begins)
        return total

    def cost_of(self, taken: Mask) -> int:
        """What one attempt costs, where there is only one."""
        return int(self.cost[taken].sum())

    def changes(self, taken: Mask) -> tuple[Ints, Ints]:
        """Per attempt: the spare room. Per pair: how much room is lost if it is let go, or won if it is taken too."""
        free = self.free_after(taken)
        now = fits(free, self.request)
        gone = taken[self.pair]
        other = fits(free[:, self.node] + np.where(gone, -self.held, self.held), self.request)
        change = self._carried(now, self.pair, self.node, other - now[self.node], len(self.cost))
        return self.capacity(now) - self.workers, np.abs(change)

    def gains(self, taken: Mask, groups: Sequence[tuple[int, ...]]) -> Ints:
        """By how much the room grows if one of `groups` of pairs, all of it, is taken as well."""
        if not groups:
            return np.zeros(0, dtype=np.int64)
        members = np.array([member for group in groups for member in group], dtype=np.intp)
        picked, _ = spans(self._ends[members], self._ends[members + 1])
        of_group = np.repeat(np.arange(len(groups)), [len(group) for group in groups])
        entries = self._by_pair[picked]
        place = np.repeat(of_group, self._ends[members + 1] - self._ends[members]) * self.free.shape[1]
        place += self.node[entries]
        order = np.argsort(place, kind="stable")
        firsts = np.flatnonzero(np.diff(place[order], prepend=-1))
        held = np.add.reduceat(self.held[:, entries[order]], firsts, axis=1)
        owner, node = np.divmod(place[order][firsts], self.free.shape[1])
        free = self.free_after(taken)
        now = fits(free, self.request)
        return self._carried(now, owner, node, fits(free[:, node] + held, self.request) - now[node], len(groups))

    def bundles(self, taken: Mask) -> list[tuple[int, ...]]:
        """For each node the pairs, those that hold most for their cost first, that make room for another worker."""
        free = self.free_after(taken)
        now = fits(free, self.request)
        share = np.maximum.reduce([self.held[r] / asked for r, asked in enumerate(self.request)])
        rest = np.flatnonzero(~taken[self.pair])
        rest = rest[np.lexsort((self.cost[self.pair[rest]] / share[rest], self.node[rest]))]
        node, owner, held = self.node[rest], self.pair[rest], self.held[:, rest]
        first = np.searchsorted(node, node)
        summed = np.cumsum(held, axis=1)
        before = free[:, node] - (summed - held)[:, first]
        is_last = fits(before + summed, self.request) > now[node]
        is_last &= fits(before + summed - held, self.request) <= now[node]
        ends = np.flatnonzero(is_last)
        stretches, pairs = zip(first[ends].tolist(), ends.tolist(), strict=True), owner.tolist()
        return sorted({tuple(sorted(pairs[begin : end + 1])) for begin, end in stretches})

    def pruned(self, taken: Mask, kept: Mask | None = None, *, in_haste: bool = False) -> Mask:
        """What is left of `taken` when all but `kept` that is not needed is let go, the dearest per slot first.

        `in_haste` so many at a time as take up half of the spare room.
        """
        taken, near = taken.copy(), self
        while True:
            # What others hold than those that are taken says nothing about who of these can be let go.
            use = np.flatnonzero(taken[near.pair])
            near = replace(near, node=near.node[use], pair=near.pair[use], held=near.held[:, use])
            spare, needed = near.changes(taken)
            loose = np.flatnonzero(taken & (needed <= spare[self.scenario]))
            if kept is not None:
                loose = loose[~kept[loose]]
            if not len(loose):
                return taken
            worth = self.cost[loose] / np.maximum(needed[loose], 0.01)
            loose = loose[np.lexsort((-worth, self.scenario[loose]))]
            near.let_go(taken, loose, needed[loose], spare // 2 if in_haste else np.zeros_like(spare))

    def let_go(self, taken: Mask, loose: Places, needed: Ints, allowance: Ints) -> None:
        """Let the first of `loose` go in each attempt, and those that follow while their needs are in `allowance`."""
        scenario = self.scenario[loose]
        first = np.searchsorted(scenario, scenario)
        is_first = first == np.arange(len(loose))
        summed = np.cumsum(needed)
        is_next = summed - (summed - needed)[first] < allowance[scenario]
        taken[loose[is_first | is_next]] = False
        if is_next.any():
            # together they may need more than each alone
            short = self.spare(taken)[scenario] < 0
            taken[loose[short & ~is_first]] = True

    @cached_property
    def _by_pair(self) -> Places:
        return np.argsort(self.pair, kind="stable")

    @cached_property
    def _ends(self) -> Places:
        return np.searchsorted(self.pair[self._by_pair], np.arange(len(self.cost) + 1))

    def _carried(self, sums: Ints, owner: Places, place: Places, change: Ints, owners: int) -> Ints:
        """The change of the room per owner, given the `change` of the slots on some nodes, which have `sums` now."""
        for starts, size in self.floors:
            sums = np.add.reduceat(sums, starts)
            domain = np.searchsorted(starts, place, side="right") - 1
            pairs, which = np.unique(owner * len(starts) + domain, return_inverse=True)
            owner, place = np.divmod(pairs, len(starts))
            changed = sums[place] + np.bincount(which, change, len(pairs)).astype(np.int64)
            sums = sums // size * size
            change = changed // size * size - sums[place]
        return np.bincount(owner, change, owners).astype(np.int64)
