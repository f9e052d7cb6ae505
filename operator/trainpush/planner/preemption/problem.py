"""What one search for victims looks at: the nodes that are open to a gang, its domains, and who holds what there."""

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from trainpush.model.gang import Gang
from trainpush.model.nodes import Amounts
from trainpush.planner.feasibility.domains import Layout
from trainpush.planner.feasibility.filters import NodeFilters
from trainpush.planner.feasibility.slots import asked_of, fits
from trainpush.planner.preemption.scenarios import Ints, Mask, SearchSpace


@dataclass(frozen=True)
class Entries:
    """What candidates hold, one entry per candidate and node, by node."""

    node: NDArray[np.intp]
    owner: NDArray[np.intp]
    """The candidate, by its position."""
    held: Amounts
    """Shape (resources, entries)."""
    candidates: int

    def of(self, candidate: int) -> tuple[NDArray[np.intp], Amounts]:
        """The nodes of one candidate, and what it holds there."""
        mine = self._by_owner[self._ends[candidate] : self._ends[candidate + 1]]
        return self.node[mine], self.held[:, mine]

    @cached_property
    def _by_owner(self) -> NDArray[np.intp]:
        return np.argsort(self.owner, kind="stable")

    @cached_property
    def _ends(self) -> NDArray[np.intp]:
        return np.searchsorted(self.owner[self._by_owner], np.arange(self.candidates + 1))


@dataclass(frozen=True, slots=True)
class Problem:
    """A pool in the eyes of one gang that does not fit."""

    layout: Layout
    workers: int
    asked: NDArray[np.intp]
    """Rows of the resources that it asks for."""
    request: tuple[int, ...]
    """Of these, per worker."""
    free: Ints
    """Shape (resources asked for, nodes)."""
    is_open: Mask
    """Per node: whether the gang may go there at all."""

    def slots(self, free: Ints) -> Ints:
        """Workers that fit, per node, whether it is open or not."""
        return fits(free, self.request)

    def capacity(self, slots: Ints) -> Ints:
        """Workers for whom each domain has room."""
        return self.layout.capacity(np.where(self.is_open, slots, 0))

    def search(self, entries: Entries, costs: Ints, now: Ints, allowed: Mask) -> "Search":
        """The search among the candidates that are `allowed`, where nodes have `now` slots."""
        use = np.flatnonzero(allowed[entries.owner] & self.is_open[entries.node])
        node, owner = entries.node[use], entries.owner[use]
        held = entries.held[np.ix_(self.asked, use)]
        then = self.free.copy()
        firsts = np.flatnonzero(np.diff(node, prepend=-1))
        if len(firsts):
            then[:, node[firsts]] += np.add.reduceat(held, firsts, axis=1)
        after = self.slots(then)
        whole = np.maximum.reduce([-(-held[r] // asked) for r, asked in enumerate(self.request)])
        most = np.minimum(whole, (after - now)[node])
        useful = np.flatnonzero(most)
        return Search(self, costs, now, after, node[useful], owner[useful], held[:, useful], most[useful])


@dataclass(frozen=True)
class Search:
    """The candidates that may be taken, those of no use aside, domain by domain."""

    problem: Problem
    costs: Ints
    now: Ints
    """Slots per node as it is."""
    after: Ints
    """Slots per node if all candidates were taken."""
    node: NDArray[np.intp]
    owner: NDArray[np.intp]
    held: Ints
    most: Ints
    """Per entry: the most slots that it frees, whoever else is taken."""

    def domains(self) -> Iterator[tuple[int, float]]:
        """Those in which all candidates together make room, each with a lower bound of the cost, cheapest first."""
        hopeful = np.flatnonzero(self.problem.capacity(self.after) >= self.problem.workers)
        if len(hopeful):
            bounds = self._bounds()[hopeful]
            for i in np.argsort(bounds, kind="stable").tolist():
                yield int(hopeful[i]), float(bounds[i])

    @cached_property
    def space(self) -> SearchSpace:
        """The same, as attempts at it want it."""
        starts, total = self.problem.layout.starts, len(self.costs)
        domain = np.searchsorted(starts, self.node, side="right") - 1
        known, pair = np.unique(domain * total + self.owner, return_inverse=True)
        of_domain, candidate = np.divmod(known, total)
        ends = np.arange(len(starts) + 1)
        return SearchSpace(
            request=self.problem.request,
            workers=self.problem.workers,
            free=np.where(self.problem.is_open, self.problem.free, -1),
            nodes=np.append(starts, len(self.now)),
            levels=self.problem.layout.slice_starts,
            pairs=np.searchsorted(of_domain, ends),
            candidate=candidate,
            cost=self.costs[candidate],
            entries=np.searchsorted(domain, ends),
            entry_node=self.node,
            entry_pair=pair,
            entry_held=self.held,
            entry_most=self.most,
        )

    def without_superfluous(self, domain: int, taken: Mask) -> list[int]:
        """The candidates of a choice, less those without which the gang fits into another domain."""
        space = self.space
        chosen = space.candidate[space.pairs[domain] : space.pairs[domain + 1]][taken]
        while True:
            gone = np.isin(space.candidate, chosen)
            shrunk = chosen
            for other in self._others_that_fit(domain, gone):
                span = slice(space.pairs[other], space.pairs[other + 1])
                left = space.candidate[span][space.scenarios([other]).pruned(gone[span])]
                if len(left) < len(chosen):
                    domain, shrunk = other, left
                    break
            if shrunk is chosen:
                return [int(one) for one in chosen]
            chosen = shrunk

    def _others_that_fit(self, domain: int, gone: Mask) -> list[int]:
        space = self.space
        reached = [i for i in np.flatnonzero(np.diff(space.pairs)).tolist() if i != domain]
        reached = [i for i in reached if gone[space.pairs[i] : space.pairs[i + 1]].any()]
        if not reached:
            return []
        together = space.scenarios(reached)
        picked = np.concatenate([gone[space.pairs[i] : space.pairs[i + 1]] for i in reached])
        fit = together.spare(picked) >= 0
        return [i for i, fits in zip(reached, fit.tolist(), strict=True) if fits]

    def _bounds(self) -> NDArray[np.float64]:
        """Per domain: the least that slots for all workers can cost, if victims could be taken in parts."""
        space, starts = self.space, self.problem.layout.starts
        weight = np.bincount(space.entry_pair, self.most)
        where, cost = np.repeat(np.arange(len(starts)), np.diff(space.pairs)), space.cost.astype(np.float64)
        order = np.lexsort((cost / weight, where))
        where, cost, weight = where[order], cost[order], weight[order]
        free = np.add.reduceat(np.where(self.problem.is_open, self.now, 0), starts)
        summed = np.cumsum(weight)
        first = np.searchsorted(where, where)
        before = summed - weight - (summed - weight)[first]
        part = np.clip((self.problem.workers - free)[where] - before, 0, weight) / weight
        bounds = np.bincount(where, part * cost, len(starts)) * (1 - 1e-9)
        least = np.full(len(bounds), np.inf)
        np.minimum.at(least, where, cost)
        result: NDArray[np.float64] = np.maximum(bounds, least)
        return result


def problem_for(layout: Layout, gang: Gang, filters: NodeFilters, used: Amounts) -> Problem | None:
    """The pool in the eyes of `gang`; None if it asks for what no node has."""
    table = filters.table
    rows, amounts = asked_of(table, gang.requirements)
    if not rows or not len(table.names):
        return None
    free = table.allocatable[rows] - used[rows]
    return Problem(layout, gang.workers, np.array(rows, dtype=np.intp), tuple(amounts), free, filters.usable)
