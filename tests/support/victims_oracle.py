"""Whom to evict, by trying everybody or by an integer program; shares no code with the planner's search."""

import itertools
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from math import inf
from typing import Any

import highspy

from trainpush.model.gang import Gang
from trainpush.model.nodes import NodeTable
from trainpush.planner.preemption.victims import Candidate


@dataclass(frozen=True)
class Question:
    """A pool, what is used of it, who needs room there, and who could be taken away."""

    table: NodeTable
    used: Sequence[Mapping[str, int]]
    """Per node."""
    closed: frozenset[int]
    """Nodes that the gang cannot use."""
    gang: Gang
    candidates: tuple[Candidate, ...]

    def fits(self, taken: Sequence[Candidate]) -> bool:
        """Whether the gang fits without those."""
        slots = [self._slots(row, taken) for row in range(len(self.table.names))]
        return any(self._room(domain, slots) >= self.gang.workers for domain in self.domains())

    def least(self) -> int | None:
        """The least work that must be lost, by trying all subsets; None if even all are too few."""
        fitting = (subset for subset in _subsets(self.candidates) if self.fits(subset))
        return min((sum(one.lost for one in subset) for subset in fitting), default=None)

    def domains(self) -> list[list[int]]:
        """The nodes of each domain that may hold the whole gang."""
        return self._split(self.gang.topology.required, range(len(self.table.names)))

    def _split(self, alias: str | None, rows: Sequence[int]) -> list[list[int]]:
        if alias is None:
            return [list(rows)]
        level = next(level for level in self.table.levels if level.alias == alias)
        ends = [*level.starts.tolist()[1:], len(self.table.names)]
        parts = [range(start, end) for start, end in zip(level.starts.tolist(), ends, strict=True)]
        return [inside for part in parts if (inside := [row for row in rows if row in part])]

    def _slots(self, row: int, taken: Sequence[Candidate]) -> int:
        if row in self.closed:
            return 0
        return max(
            0, min(self._free(row, name, taken) // amount for name, amount in self.gang.requirements.request.items())
        )

    def _free(self, row: int, name: str, taken: Sequence[Candidate]) -> int:
        whole = int(self.table.allocatable[self.table.resources.index(name), row])
        back = sum(one.nodes.get(row, 0) * one.request.get(name, 0) for one in taken)
        return whole - self.used[row].get(name, 0) + back

    def _room(self, rows: list[int], slots: Sequence[int], depth: int = 0) -> int:
        """Workers that fit on `rows` in whole slices of the levels from `depth` inwards."""
        if depth == len(self.gang.topology.slices):
            return sum(slots[row] for row in rows)
        part = self.gang.topology.slices[depth]
        inside = (self._room(domain, slots, depth + 1) for domain in self._split(part.level, rows))
        return sum(room // part.size * part.size for room in inside)

    def least_by_program(self, seconds: float) -> tuple[float, float]:
        """The least work that must be lost, and a lower bound of it, by an integer program; no slices."""
        best, bound = inf, inf
        for domain in self.domains():
            found, proven = self._program(domain, seconds)
            best, bound = min(best, found), min(bound, proven)
        return best, bound

    def _program(self, rows: list[int], seconds: float) -> tuple[float, float]:
        """Binary: who is taken. Integer: workers per node, for each resource within what is free then."""
        solver = highspy.Highs()  # type: ignore[no-untyped-call]
        solver.silent()
        for option, value in {"time_limit": seconds, "mip_rel_gap": 0.0, "random_seed": 0}.items():
            solver.setOptionValue(option, value)
        taken = {
            i: solver.addBinary(obj=one.lost) for i, one in enumerate(self.candidates) if set(one.nodes) & set(rows)
        }
        workers = []
        for row in rows:
            there = [i for i in taken if row in self.candidates[i].nodes]
            most = self._slots(row, [self.candidates[i] for i in there])
            if most:
                workers.append(solver.addIntegral(lb=0, ub=most))
                self._bind(solver, row, workers[-1], {i: taken[i] for i in there})
        if not workers:
            return inf, inf
        solver.addConstr(sum(workers) >= self.gang.workers)
        solver.run()
        if solver.getModelStatus() == highspy.HighsModelStatus.kInfeasible:
            return inf, inf
        info = solver.getInfo()
        return info.objective_function_value, info.mip_dual_bound

    def _bind(self, solver: highspy.Highs, row: int, workers: Any, taken: Mapping[int, Any]) -> None:
        """No more workers on a node than what is free there, and what the taken ones held, suffices for."""
        for name, amount in self.gang.requirements.request.items():
            held = {i: self.candidates[i].nodes[row] * self.candidates[i].request.get(name, 0) for i in taken}
            back = [held[i] / amount * taken[i] for i in taken if held[i]]
            free = self._free(row, name, ()) / amount + 1e-7
            solver.addConstr(workers - sum(back) <= free if back else workers <= max(0.0, free))


def _subsets(candidates: Sequence[Candidate]) -> Iterator[tuple[Candidate, ...]]:
    return itertools.chain.from_iterable(itertools.combinations(candidates, n) for n in range(len(candidates) + 1))
