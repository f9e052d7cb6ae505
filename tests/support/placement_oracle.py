"""What the best place is, found without the planner: by trying all of them, by a solver, and by a table of costs."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import highspy
import numpy as np
from numpy.typing import NDArray

Path = tuple[str, ...]
"""The domains of a host from the outside in, the pool and the host itself left out."""


@dataclass(frozen=True)
class Host:
    """One host: where it is, how many workers fit, and of how many it gets a multiple if linked groups stay whole."""

    path: Path
    slots: int
    group: int = 1


@dataclass(frozen=True)
class Question:
    """A gang that needs a place."""

    hosts: Sequence[Host]
    workers: int
    slices: Mapping[int, int]
    """Size of the slices by the number of the level: 0 is the pool, then the levels of the paths, last the host."""
    required: int = 0
    """Number of the level of which one domain must hold all."""

    @property
    def levels(self) -> int:
        """How many levels there are, with pool and host."""
        return len(self.hosts[0].path) + 2

    def domain(self, index: int, level: int) -> tuple[object, ...]:
        """The domain of a host at a level."""
        return (*self.hosts[index].path, index)[:level]

    def rooms(self, slots: Sequence[int], level: int) -> dict[tuple[object, ...], int]:
        """Workers that fit each domain of a level; whole slices only."""
        inner: dict[tuple[object, ...], int] = {}
        if level == self.levels - 1:
            inner = {self.domain(i, level): fits for i, fits in enumerate(slots)}
        else:
            for name, room in self.rooms(slots, level + 1).items():
                inner[name[:level]] = inner.get(name[:level], 0) + room
        size = self.slices.get(level, 1)
        return {name: room - room % size for name, room in inner.items()}

    def span(self, shares: Sequence[int]) -> tuple[int, ...]:
        """Domains that get workers, per level."""
        return tuple(
            len({self.domain(i, level) for i, share in enumerate(shares) if share}) for level in range(self.levels)
        )

    def broken(self, shares: Sequence[int]) -> int:
        """Hosts whose linked groups are broken."""
        return sum(share % host.group > 0 for host, share in zip(self.hosts, shares, strict=True))

    def left(self, shares: Sequence[int]) -> tuple[int, ...]:
        """The largest gang that fits one domain afterwards, per level."""
        slots = [host.slots - share for host, share in zip(self.hosts, shares, strict=True)]
        return tuple(max(self.rooms(slots, level).values()) for level in range(self.levels))

    def is_allowed(self, shares: Sequence[int]) -> bool:
        """Whether slices, capacity and the required level are kept."""
        if sum(shares) != self.workers or self.span(shares)[self.required] != 1:
            return False
        if any(share > host.slots for host, share in zip(self.hosts, shares, strict=True)):
            return False
        for level, size in self.slices.items():
            taken: dict[tuple[object, ...], int] = {}
            for i, share in enumerate(shares):
                taken[self.domain(i, level)] = taken.get(self.domain(i, level), 0) + share
            if any(workers % size for workers in taken.values()):
                return False
        return True

    def every_place(self) -> Iterator[list[int]]:
        """Every way to share the workers out that is allowed."""
        return (shares for shares in self._shares(0, self.workers) if self.is_allowed(shares))

    def _shares(self, first: int, workers: int) -> Iterator[list[int]]:
        if first == len(self.hosts):
            if not workers:
                yield []
            return
        for share in range(min(workers, self.hosts[first].slots) + 1):
            for others in self._shares(first + 1, workers - share):
                yield [share, *others]

    def tightness(self, shares: Sequence[int]) -> tuple[int, ...]:
        """Room, before, in the innermost domain that holds all and in those around it."""
        slots = [host.slots for host in self.hosts]
        anchor = next(i for i, share in enumerate(shares) if share)
        single = [level for level, domains in enumerate(self.span(shares)) if domains == 1]
        return tuple(self.rooms(slots, level)[self.domain(anchor, level)] for level in reversed(single))


def fewest_by_solver(question: Question) -> tuple[int, ...] | None:
    """The least span, per level below the pool, as HiGHS finds it; None if there is no place."""
    model = highspy.Highs()  # type: ignore[no-untyped-call]
    model.setOptionValue("output_flag", False)
    model.setOptionValue("mip_rel_gap", 0.0)
    base = question.workers + 1
    shares = [model.addIntegral(0, host.slots) for host in question.hosts]
    inside: dict[tuple[int, tuple[object, ...]], list[int]] = {}
    for i in range(len(shares)):
        for level in range(1, question.levels):
            inside.setdefault((level, question.domain(i, level)), []).append(i)
    uses = {key: model.addBinary(obj=base ** (question.levels - 1 - key[0])) for key in inside}
    model.addConstr(sum(shares) == question.workers)
    for (level, name), members in inside.items():
        total = sum(shares[i] for i in members)
        room = sum(question.hosts[i].slots for i in members)
        model.addConstr(total <= min(room, question.workers) * uses[level, name])
        if level in question.slices:
            model.addConstr(total == question.slices[level] * model.addIntegral(0, question.workers))
    if question.required:
        model.addConstr(sum(use for (level, _), use in uses.items() if level == question.required) <= 1)
    model.minimize()
    if model.getModelStatus() != highspy.HighsModelStatus.kOptimal:
        return None
    values = {key: round(model.val(use)) for key, use in uses.items()}
    return tuple(sum(value for (at, _), value in values.items() if at == level) for level in range(1, question.levels))


def fewest_by_table(question: Question) -> tuple[int, ...] | None:
    """The least span, per level below the pool, from a table of costs per domain; None if there is no place."""
    base = question.workers + 1
    never = np.iinfo(np.int64).max // 4
    tables: dict[tuple[object, ...], NDArray[np.int64]] = {}
    best = never
    for level in range(question.levels - 1, -1, -1):
        merged: dict[tuple[object, ...], NDArray[np.int64]] = {}
        if level == question.levels - 1:
            for i, host in enumerate(question.hosts):
                merged[question.domain(i, level)] = np.zeros(min(host.slots, question.workers) + 1, dtype=np.int64)
        for name, table in tables.items():
            known = merged.get(name[:level])
            merged[name[:level]] = table if known is None else _merged(known, table, base, never)
        for table in merged.values():
            table[1:] += base ** (question.levels - 1 - level) if level else 0
            table[np.arange(len(table)) % question.slices.get(level, 1) > 0] = never
            table[table > never] = never
            if level >= question.required and len(table) == base:
                best = min(best, int(table[-1]) + _outer(question.levels, level, base))
        tables = merged
    if best >= never:
        return None
    return tuple(best // base ** (question.levels - 1 - level) % base for level in range(1, question.levels))


def _outer(levels: int, level: int, base: int) -> int:
    """What the one domain of each level between the pool and `level` costs."""
    return sum(base ** (levels - 1 - outer) for outer in range(1, level))


def _merged(first: NDArray[np.int64], second: NDArray[np.int64], base: int, never: int) -> NDArray[np.int64]:
    merged = np.full(min(len(first) + len(second) - 1, base), never, dtype=np.int64)
    short, long = sorted((first, second), key=len)
    for share, cost in enumerate(short.tolist()):
        into = merged[share : share + len(long)]
        np.minimum(into, long[: len(into)] + cost, out=into)
    return merged
