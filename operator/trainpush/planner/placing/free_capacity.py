"""A pool while a cycle places work in it: what is free shrinks with every decision."""

from collections import Counter
from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from functools import cached_property
from math import gcd
from typing import Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from trainpush.model.gang import Gang, Requirements, Topology
from trainpush.model.nodes import Amounts
from trainpush.model.snapshot import Pool
from trainpush.planner import ledger
from trainpush.planner.feasibility.domains import Indices, Layout
from trainpush.planner.feasibility.filters import OPEN, FilterReason, Mask, NodeFilters
from trainpush.planner.feasibility.slots import Asked, asked_of, column, fits, fits_one, slots
from trainpush.planner.placing.domain_capacity import DomainCapacity, DomainTree, slice_sizes
from trainpush.planner.placing.placement import Assignment, assignment_in, assignment_of, depths
from trainpush.planner.placing.replacing import replacements
from trainpush.planner.placing.reservation import waiting_place

FEW: Final = 24
"""Up to so many changed nodes are counted anew one by one, more of them together: calls cost more than entries."""

SHAPES: Final = 64
"""The counts of so many shapes are kept: each takes some 50 bytes a node."""


class _Shape(NamedTuple):
    """What decides how many workers each node and domain holds: gangs of one shape are counted once."""

    requirements: Requirements
    topology: Topology
    tier: int
    """How much of the capacity preference is used."""
    is_later: bool
    """Whether what is terminating counts as gone."""


@dataclass(slots=True)
class _Counted:
    """How many workers of one shape each domain holds."""

    asked: Asked
    may_take: Mask
    """Nodes that the filters let pass, of capacity that will do."""
    domains: DomainCapacity
    seen: int
    """How many of all changes are accounted for."""


@dataclass(eq=False)
class FreeCapacity:
    """A pool and what is `used` of it, which grows with every placement; amounts as in its table.

    Whatever changes goes through a method: what was counted before is mended, not counted anew.
    """

    pool: Pool
    used: Amounts
    """To be read only; without what is reserved."""
    terminating: Amounts
    """What of it is about to end; to be read only."""
    _filters: dict[Requirements, NodeFilters] = field(default_factory=dict, init=False)
    _counted: dict[_Shape, _Counted] = field(default_factory=dict, init=False)
    _changed: list[int] = field(default_factory=list, init=False)
    _free: dict[int, list[int]] = field(default_factory=dict, init=False)
    _possible: dict[Gang, bool] = field(default_factory=dict, init=False)
    """What `could_hold` found."""

    @classmethod
    def at_rest(cls, pool: Pool, used: Amounts) -> "FreeCapacity":
        """The capacity of a pool in which nothing is about to end."""
        return cls(pool, used, np.zeros_like(used))

    @cached_property
    def reserved(self) -> Amounts:
        """What is held for gangs that wait; to be read only."""
        return np.zeros_like(self.used)

    def filters(self, gang: Gang) -> NodeFilters:
        """What the filters say of each node to a worker of `gang`."""
        found = self._filters.get(gang.requirements)
        if found is None:
            found = self._filters[gang.requirements] = NodeFilters(self.pool.table, gang.requirements)
        return found

    def filter_reason(self, gang: Gang, node: str) -> FilterReason:
        """Why `node` takes no worker of `gang`; a node that is not there is not ready."""
        row = self.pool.table.rows.get(node)
        return FilterReason.NOT_READY if row is None else FilterReason(self.filters(gang).reasons.item(row))

    def assign(self, gang: Gang) -> Assignment | None:
        """The best place for `gang`, which is taken from now on; None if there is none."""
        assignment = self._best(gang)
        if assignment is not None:
            self._take(self.used, assignment.by_row, gang)
        return assignment

    def reserve(self, gang: Gang, by_row: Mapping[int, int]) -> None:
        """Keep room for so many workers of `gang`: nobody else finds any there, but it does not count as used."""
        self._take(self.reserved, by_row, gang)

    def release(self, gang: Gang, nodes: Sequence[str]) -> None:
        """Free what one worker on each of `nodes` held."""
        by_row = ledger.counts(nodes, self.pool.table.rows)
        ledger.give_back(self.pool.table, self.used, by_row, gang.requirements.request)
        self._note(by_row)

    def retake(self, gang: Gang, nodes: Sequence[str]) -> None:
        """Take what one worker holds on each of `nodes`, whether it is free or not."""
        self._take(self.used, ledger.counts(nodes, self.pool.table.rows), gang)

    def mark_terminating(self, by_row: Mapping[int, int], request: Mapping[str, int]) -> None:
        """Note that so many workers more are about to end."""
        ledger.take(self.pool.table, self.terminating, by_row, request)
        self._note(by_row)

    def largest(self, gang: Gang) -> int:
        """The largest legal size of `gang` for which there is a place now; 0 if there is none."""
        outermost = self._outermost(gang)
        most = self._domains(gang, self._widest).most(outermost)
        return next((size for size in gang.sizes or (gang.workers,) if size <= most), 0)

    def could_hold(self, gang: Gang) -> bool:
        """Whether the pool would hold `gang` if nobody else were there, and all nodes of the right kinds were open."""
        if gang not in self._possible:
            filters = self.filters(gang)
            most = Layout.of(self.pool.table, gang.topology).largest(filters.whole * filters.willing)
            self._possible[gang] = most >= gang.workers
        return self._possible[gang]

    def would_fit(self, gang: Gang, former: Gang, node: str) -> bool:
        """Whether `gang` would find a place if one worker of `former` left `node`."""
        with self.without(former, [node]):
            return self.largest(replace(gang, sizes=())) > 0

    def largest_instead(self, gang: Gang, nodes: Sequence[str]) -> int:
        """As `largest`, if one worker of `gang` left each of `nodes`."""
        with self.without(gang, nodes):
            return self.largest(gang)

    @contextmanager
    def without(self, gang: Gang, nodes: Sequence[str]) -> Iterator[None]:
        """The capacity for a moment as if one worker of `gang` had left each of `nodes`."""
        with self._put_back(self.used, nodes):
            self.release(gang, nodes)
            yield

    @contextmanager
    def unreserved(self, gang: Gang, nodes: Sequence[str]) -> Iterator[None]:
        """The capacity for a moment as if nothing were reserved of what one worker of `gang` has on each of `nodes`.

        What is reserved there is for when the gang has left.
        """
        by_row = ledger.counts(nodes, self.pool.table.rows)
        with self._put_back(self.reserved, nodes) as rows:
            ledger.give_back(self.pool.table, self.reserved, by_row, gang.requirements.request)
            self.reserved[:, rows] = np.maximum(self.reserved[:, rows], 0)
            self._note(rows)
            yield

    @contextmanager
    def _put_back(self, amounts: Amounts, nodes: Sequence[str]) -> Iterator[list[int]]:
        """The rows of `nodes`, whose `amounts` are afterwards as they were."""
        rows = sorted(ledger.counts(nodes, self.pool.table.rows))
        before = amounts[:, rows].copy()
        yield rows
        amounts[:, rows] = before
        self._note(rows)

    def after_terminations(self, gang: Gang) -> Assignment | None:
        """The best place for `gang` if what is terminating were gone already; nothing is taken."""
        return self._best(gang, is_later=True)

    def within_reach(self, gang: Gang, lasting: Amounts) -> Mask:
        """Nodes that could be part of a place for `gang` if all of ours were gone but what is `lasting`."""
        domains, outermost = self._beside(self.pool.table.used + lasting, gang, self._widest), self._outermost(gang)
        is_enough = domains.capacity[outermost] >= gang.workers
        within: Mask = (domains.slots > 0) & is_enough[self._tree.domain[outermost]]
        return within

    def to_reserve(self, gang: Gang, lasting: Amounts) -> Assignment | None:
        """Where `gang` lacks least if all of ours were gone but what is `lasting` or reserved; nothing is taken."""
        table = self.pool.table
        later = self._beside(table.used + lasting + self.reserved, gang, self._widest)
        by_row = waiting_place(self._domains(gang, self._widest), later, self._outermost(gang), gang.workers)
        return None if by_row is None else assignment_of(table, self._tree, depths(gang, table), by_row)

    def replace_lost(self, gang: Gang, nodes: Sequence[str]) -> tuple[str, ...] | None:
        """The places of `gang` by rank where those on a node that a filter turns away, or without a node, are replaced.

        `nodes` are its places by rank. Before, the caller gives back what it held on such nodes (`release` with one
        name per lost worker), and nothing else. What replaces them is taken; None, and nothing taken, if nothing can.
        """
        lost = [rank for rank, node in enumerate(nodes) if self.filter_reason(gang, node) != OPEN]
        table = self.pool.table
        new = replacements(gang, table, self._domains(gang, self._widest), nodes, lost)
        if new is None:
            return None
        self._take(self.used, Counter(new.values()), gang)
        return tuple(table.names[new[rank]] if rank in new else node for rank, node in enumerate(nodes))

    @cached_property
    def _tree(self) -> DomainTree:
        return DomainTree(self.pool.table)

    @cached_property
    def _tiers(self) -> list[NDArray[np.bool_]]:
        """The nodes that will do when only so much of the capacity preference is used, the best kinds only at first."""
        order = {name: rank for rank, name in enumerate(self.pool.capacity_preference)}
        ranks = np.array([order.get(kind.capacity_type, len(order)) for kind in self.pool.table.kinds], dtype=np.intp)
        of_nodes = ranks[self.pool.table.kind]
        return [of_nodes <= rank for rank in sorted(set(of_nodes.tolist()))] or [np.ones(0, dtype=np.bool_)]

    @property
    def _widest(self) -> int:
        """The tier in which nodes of every capacity type will do."""
        return len(self._tiers) - 1

    def _outermost(self, gang: Gang) -> int:
        """The level of which one domain must hold the gang."""
        return self.pool.table.depth(gang.topology.required)

    def _best(self, gang: Gang, is_later: bool = False) -> Assignment | None:
        """The best place on as few kinds of capacity as will do."""
        for tier in range(len(self._tiers)):
            assignment = assignment_in(gang, self.pool.table, self._domains(gang, tier, is_later))
            if assignment is not None:
                return assignment
        return None

    def _take(self, amounts: Amounts, by_row: Mapping[int, int], gang: Gang) -> None:
        ledger.take(self.pool.table, amounts, by_row, gang.requirements.request)
        self._note(by_row)

    def _note(self, rows: Collection[int]) -> None:
        """Remember that something changed there."""
        self._changed += rows
        for row in rows:
            self._free.pop(row, None)

    def _domains(self, gang: Gang, tier: int, is_later: bool = False) -> DomainCapacity:
        """How many workers of `gang` each domain holds now, or will hold when what is terminating is gone."""
        shape = _Shape(gang.requirements, gang.topology, tier, is_later)
        counted = self._counted.get(shape)
        if counted is None:
            if len(self._counted) == SHAPES:
                del self._counted[next(iter(self._counted))]
            counted = self._counted[shape] = self._count(gang, tier, is_later)
        elif counted.seen < len(self._changed):
            self._recount(shape, counted, self._changed[counted.seen :])
            counted.seen = len(self._changed)
        return counted.domains

    def _count(self, gang: Gang, tier: int, is_later: bool) -> _Counted:
        taken = self.used + self.reserved
        domains = self._beside(taken - self.terminating if is_later else taken, gang, tier)
        asked = asked_of(self.pool.table, gang.requirements)
        return _Counted(asked, self._may_take(gang, tier), domains, len(self._changed))

    def _may_take(self, gang: Gang, tier: int) -> Mask:
        may_take: Mask = self._admits(gang) & self._tiers[tier]
        return may_take

    def _admits(self, gang: Gang) -> Mask:
        """Nodes that take workers of `gang`, as far as there is something free on them."""
        return self.filters(gang).open

    def _beside(self, taken: Amounts, gang: Gang, tier: int) -> DomainCapacity:
        """How many workers of `gang` each domain holds beside what is `taken`."""
        table, tree, groups = self.pool.table, self._tree, None
        if self.pool.linked:
            every = np.arange(len(table.names))
            # Else no number of workers can break a group.
            if (self._whole_groups(gang.requirements, np.zeros_like(taken), every) > 1).any():
                groups = self._whole_groups(gang.requirements, taken, every)
        free = np.where(self._may_take(gang, tier), slots(table, gang.requirements, taken), 0)
        return DomainCapacity(tree, free, slice_sizes(gang, table), groups)

    def _recount(self, shape: _Shape, counted: _Counted, changed: list[int]) -> None:
        """Count anew what fits the nodes that changed."""
        if not counted.asked.rows:  # what no node has does not fit anywhere, whatever changes
            return
        table, domains, may_take = self.pool.table, counted.domains, counted.may_take
        different = set(changed)
        if len(different) <= FEW:
            few = [row for row in sorted(different) if may_take.item(row)]
            domains.put({row: self._fits(row, counted.asked, shape.is_later) for row in few})
        else:
            rows = np.fromiter(different, dtype=np.intp, count=len(different))
            rows = np.sort(rows[may_take[rows]])
            free = table.allocatable[:, rows] - self._taken_at(rows, shape.is_later)
            domains.put_all(rows, fits(free[counted.asked.rows], counted.asked.amounts))
        if domains.groups is not None:
            rows = np.array(sorted(different))
            taken = self._taken_at(rows, shape.is_later)
            domains.groups[rows] = self._whole_groups(shape.requirements, taken, rows)

    def _taken_at(self, rows: Indices, is_later: bool) -> Amounts:
        taken: Amounts = self.used[:, rows] + self.reserved[:, rows]
        return taken - self.terminating[:, rows] if is_later else taken

    def _fits(self, row: int, asked: Asked, is_later: bool) -> int:
        """Workers that fit one node."""
        free = self._free.get(row)
        if free is None:
            allocatable, used, reserved = self.pool.table.allocatable, self.used, self.reserved
            free = self._free[row] = [
                allocatable.item(i, row) - used.item(i, row) - reserved.item(i, row) for i in range(len(used))
            ]
        if is_later:
            free = [amount + self.terminating.item(i, row) for i, amount in enumerate(free)]
        return fits_one(free, asked)

    def _whole_groups(self, requirements: Requirements, taken: Amounts, nodes: NDArray[np.intp]) -> NDArray[np.int64]:
        """Of how many workers a node must get a multiple so that its linked accelerators stay in whole groups.

        One entry for each of `nodes`, of which `taken` is in use; 1 where nothing is linked, or a group is broken.
        """
        table = self.pool.table
        linked = np.array([max(self.pool.linked.get(kind.product, 1), 1) for kind in table.kinds], dtype=np.int64)
        portions = np.array([size // gcd(size, requirements.accelerators) for size in linked.tolist()], dtype=np.int64)
        kind, accelerator = table.kind[nodes], requirements.accelerator
        free = column(table, table.allocatable, accelerator)[nodes] - column(table, taken, accelerator)
        groups: NDArray[np.int64] = np.where(free // 1000 % linked[kind] == 0, portions[kind], 1)
        return groups
