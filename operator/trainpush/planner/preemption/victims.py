"""Whom to evict, so that a gang fits that does not: those whose lost work is least, never one more than needed.

All domains in which the gang could be are considered: those where even all candidates together make no room are
left out at once, and the others are searched in the order of a lower bound, until none can be cheaper.
"""

from collections import defaultdict
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from trainpush.model.gang import Gang, Topology
from trainpush.model.nodes import AMOUNT_MAX, Amounts, NodeTable
from trainpush.model.workload import Key
from trainpush.planner import ledger
from trainpush.planner.feasibility.domains import Layout
from trainpush.planner.feasibility.filters import NodeFilters
from trainpush.planner.preemption.min_cost import cheapest
from trainpush.planner.preemption.problem import Entries, Problem, problem_for
from trainpush.planner.preemption.scenarios import Ints, Mask

NO_LIMIT = 2**62
"""More than any cost."""
GLANCES = 8
"""So many of the cheapest are looked at one by one before all are looked at together."""


@dataclass(frozen=True, slots=True)
class Candidate:
    """A running gang that may be taken away, or those workers of an elastic one that it can do without."""

    key: Key
    lost: int
    """Work that is lost with it, in accelerator-seconds; at least 0."""
    nodes: Mapping[int, int]
    """Workers that are taken away, by the row of their node in the table."""
    request: Mapping[str, int]
    """Per worker, as `counted`."""
    priority: int = 0
    """Of equal lost work, the lower goes first: the higher would take its place back from the other."""
    is_part: bool = False
    """Whether it stands for the workers that an elastic gang can do without."""


class Victims:
    """The candidates of one pool during one cycle; those that were taken leave, and their room counts as free."""

    def __init__(self, table: NodeTable, candidates: Iterable[Candidate]) -> None:
        """`candidates` in any order; two of the same key are alternatives: no call may be allowed both of them."""
        self.candidates = tuple(
            sorted(candidates, key=lambda one: (one.lost, one.priority, one.key, sorted(one.nodes.items())))
        )
        """Least lost work first, then lowest priority, then by key."""
        self.leaving: Amounts = np.zeros_like(table.used)
        """What comes free when all that were taken are gone; shape (resources, nodes)."""
        self._table = table
        self._taken = np.zeros(len(self.candidates), dtype=np.bool_)
        self._places: dict[Key, list[int]] = defaultdict(list)
        for i, candidate in enumerate(self.candidates):
            self._places[candidate.key].append(i)
        # Lost work first, then one for each victim, in a number of which a sum over all is in range.
        each = len(self.candidates) + 1
        costs = [min(candidate.lost, NO_LIMIT // each**2) * each + 1 for candidate in self.candidates]
        self._costs = np.array(costs, dtype=np.int64)
        self._entries = _entries(table, self.candidates)
        self._layouts: dict[Topology, Layout] = {}

    def among(self, may: Callable[[Candidate], bool]) -> Mask:
        """Who may be taken, as `choose` wants to be told: one entry per candidate, in the order of `candidates`."""
        return np.fromiter(map(may, self.candidates), dtype=np.bool_, count=len(self.candidates))

    def others(self, may: Mask, than: Collection[Candidate]) -> list[Candidate]:
        """Those that `may` be taken, were not taken yet, and are of other gangs `than` these; cheapest first."""
        keys = {one.key for one in than}
        free = np.flatnonzero(may & ~self._taken).tolist()
        return [self.candidates[i] for i in free if self.candidates[i].key not in keys]

    def choose(self, gang: Gang, used: Amounts, filters: NodeFilters, may: Mask) -> tuple[Candidate, ...] | None:
        """Whom of those that `may` be taken to evict so that `gang` fits, by key; None if even all make no room.

        `used` is all that is held, also by those that were taken before; nodes that `filters` turn away count for
        nothing. Nobody where it fits as it is; else least lost work, then fewest victims, then their order: exactly so
        where no victims share nodes or few candidates are near, else nearly so. No victim is superfluous: without any
        one of them nothing fits.
        """
        if gang.topology not in self._layouts:
            self._layouts[gang.topology] = Layout.of(self._table, gang.topology)
        problem = problem_for(self._layouts[gang.topology], gang, filters, used - self.leaving)
        if problem is None:
            return None
        now = problem.slots(problem.free)
        if (problem.capacity(now) >= gang.workers).any():
            return ()
        allowed = may & ~self._taken
        alone = self._cheapest_alone(problem, now, allowed)
        if alone is not None:
            return (self.candidates[alone],)
        search = problem.search(self._entries, self._costs, now, allowed)
        best = cheapest(search.space, search.domains())
        if best.domain < 0:
            return None
        victims = (self.candidates[i] for i in search.without_superfluous(best.domain, best.taken))
        return tuple(sorted(victims, key=lambda victim: victim.key))

    def _cheapest_alone(self, problem: Problem, now: Ints, allowed: Mask) -> int | None:
        """The cheapest candidate that could be of any use, if it makes room alone: then nothing is cheaper."""
        for one in np.flatnonzero(allowed)[:GLANCES].tolist():
            rows, held = self._entries.of(one)
            if not problem.is_open[rows].any():
                continue
            there = now.copy()
            there[rows] = problem.slots(problem.free[:, rows] + held[problem.asked])
            return one if (problem.capacity(there) >= problem.workers).any() else None
        return None

    def take(self, victims: Iterable[Candidate]) -> None:
        """Evict `victims`: they are no candidates any more, nor others of their key; their room counts as free."""
        for victim in victims:
            self._taken[self._places[victim.key]] = True
            ledger.take(self._table, self.leaving, victim.nodes, victim.request)


def _entries(table: NodeTable, candidates: Sequence[Candidate]) -> Entries:
    """What each candidate gives back on each of its nodes."""
    held = [(row, i, workers) for i, one in enumerate(candidates) for row, workers in one.nodes.items() if workers]
    node, owner, workers = np.array(sorted(held), dtype=np.intp).reshape(-1, 3).T
    request = [[min(one.request.get(name, 0), AMOUNT_MAX) for one in candidates] for name in table.resources]
    each = np.array(request, dtype=np.int64).reshape(len(table.resources), len(candidates))[:, owner]
    return Entries(node, owner, np.minimum(each, AMOUNT_MAX // workers) * workers, len(candidates))
