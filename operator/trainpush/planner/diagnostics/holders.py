"""Who holds what on the nodes of a pool, in columns, so that it is asked in one pass for any set of nodes."""

from bisect import bisect_left
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from trainpush.model.nodes import AMOUNT_MAX, Amounts, NodeTable
from trainpush.model.plan import Holder

OTHER_PODS: Final = "other pods"
"""Name of all holders that are no job or service of ours."""
MANY: Final = 50
"""Up to so many holders are mended one by one, more of them together."""
_SHOWN: Final = 5


@dataclass(frozen=True, slots=True)
class Holding:
    """What one job or service holds: so many workers of `request` each on the rows of the table."""

    name: str
    """Namespace and name."""
    request: Mapping[str, int]
    """Per worker or replica, as `counted`."""
    by_row: Mapping[int, int]
    is_service: bool = False


class HolderId(NamedTuple):
    """Who holds something; a job and a service may bear the same name."""

    name: str
    """Namespace and name."""
    is_service: bool


class Entries(NamedTuple):
    """What one holder has on the nodes of a pool."""

    rows: tuple[int, ...]
    amounts: tuple[tuple[int, ...], ...]
    """Of each row by resource, as `counted`."""


@dataclass(frozen=True, slots=True)
class Holdings:
    """All that our own hold of a pool: the entries of one holder after those of the other."""

    holders: Sequence[HolderId]
    """In order; each has an entry at least."""
    is_service: NDArray[np.bool_]
    starts: NDArray[np.intp]
    """The first entry of each holder."""
    row: NDArray[np.intp]
    amounts: Amounts
    """Shape (resources, entries)."""

    def held(self, table: NodeTable, accelerator: str, nodes: NDArray[np.bool_]) -> NDArray[np.int64]:
        """How many of `accelerator` each holder has on `nodes`."""
        if accelerator not in table.resources or not len(self.starts):
            return np.zeros(len(self.holders), dtype=np.int64)
        line = table.resources.index(accelerator)
        there = np.minimum(self.amounts[line], table.allocatable[line, self.row]) // 1000
        held: NDArray[np.int64] = np.add.reduceat(np.where(nodes[self.row], there, 0), self.starts)
        return held


class HoldingBook:
    """Who holds what of a pool, mended where somebody holds something else."""

    def __init__(self, table: NodeTable) -> None:
        """Nobody holds anything of these nodes."""
        self.rows, self.resources = table.rows, table.resources
        self._entries: dict[HolderId, Entries] = {}
        self._changed: dict[HolderId, Entries] = {}
        """What the columns do not say yet."""
        self._columns = _columns({}, len(table.resources))

    def put(self, holder: HolderId, held: Iterable[Holding]) -> None:
        """Take what somebody holds now, and nothing else."""
        entries = _entries(held, self.resources)
        if entries.rows or holder in self._entries or holder in self._changed:
            self._changed[holder] = entries

    def columns(self, more: Iterable[Holding] = ()) -> Holdings:
        """The columns of what is held, and of some `more`."""
        if self._changed:
            self._columns = self._mended(self._columns, self._changed)
            for holder, entries in self._changed.items():
                if entries.rows:
                    self._entries[holder] = entries
                else:
                    self._entries.pop(holder, None)
            self._changed = {}
        beside: dict[HolderId, list[Holding]] = {}
        for holding in more:
            beside.setdefault(HolderId(holding.name, holding.is_service), []).append(holding)
        if not beside:
            return self._columns
        added = {it: _joined(self._entries.get(it), _entries(held, self.resources)) for it, held in beside.items()}
        return self._mended(self._columns, added)

    def _mended(self, columns: Holdings, changed: Mapping[HolderId, Entries]) -> Holdings:
        if len(changed) > MANY:
            return _columns({**self._entries, **changed}, len(self.resources))
        for holder, entries in changed.items():
            columns = _with(columns, holder, entries)
        return columns


def holdings(table: NodeTable, held: Iterable[Holding]) -> Holdings:
    """The columns of what is `held`; the holdings of one name count together."""
    return HoldingBook(table).columns(held)


def _entries(held: Iterable[Holding], resources: Sequence[str]) -> Entries:
    rows: list[int] = []
    amounts: list[tuple[int, ...]] = []
    for holding in held:
        each = [holding.request.get(name, 0) for name in resources]
        for row, workers in holding.by_row.items():
            rows.append(row)
            amounts.append(tuple(min(amount * workers, AMOUNT_MAX) for amount in each))
    return Entries(tuple(rows), tuple(amounts))


def _joined(some: Entries | None, more: Entries) -> Entries:
    return Entries(some.rows + more.rows, some.amounts + more.amounts) if some else more


def _columns(entries: Mapping[HolderId, Entries], resources: int) -> Holdings:
    found = sorted((holder, of) for holder, of in entries.items() if of.rows)
    amounts = [line for _, of in found for line in of.amounts]
    sizes = np.array([len(of.rows) for _, of in found], dtype=np.intp)
    return Holdings(
        holders=[holder for holder, _ in found],
        is_service=np.array([holder.is_service for holder, _ in found], dtype=np.bool_),
        starts=np.cumsum(sizes) - sizes,
        row=np.array([row for _, of in found for row in of.rows], dtype=np.intp),
        amounts=np.array(amounts, dtype=np.int64).reshape(len(amounts), resources).T.copy(),
    )


def _with(columns: Holdings, holder: HolderId, entries: Entries) -> Holdings:
    """The columns where one holder has these entries, and no others."""
    place = bisect_left(columns.holders, holder)
    is_known = place < len(columns.holders) and columns.holders[place] == holder
    is_there = bool(entries.rows)
    after = place + is_known
    begin = int(columns.starts[place]) if place < len(columns.starts) else len(columns.row)
    end = int(columns.starts[after]) if after < len(columns.starts) else len(columns.row)
    new = np.array(entries.amounts, dtype=np.int64).reshape(len(entries.rows), len(columns.amounts)).T
    row = np.array(entries.rows, dtype=np.intp)
    later = columns.starts[after:] + len(entries.rows) - (end - begin)
    kept = columns.is_service
    return Holdings(
        holders=[*columns.holders[:place], *[holder] * is_there, *columns.holders[after:]],
        is_service=np.concatenate([kept[:place], np.array([holder.is_service] * is_there, np.bool_), kept[after:]]),
        starts=np.concatenate([columns.starts[:place], np.array([begin] * is_there, np.intp), later]),
        row=np.concatenate([columns.row[:begin], row, columns.row[end:]]),
        amounts=np.concatenate([columns.amounts[:, :begin], new, columns.amounts[:, end:]], axis=1),
    )


@dataclass(frozen=True, slots=True)
class Shares:
    """Who holds the accelerators of some nodes; counts are accelerators."""

    largest: tuple[Holder, ...]
    """At most five, the largest first, then by name."""
    jobs: int
    services: int
    other_pods: int


def shares(table: NodeTable, used: Amounts, known: Holdings | None, resource: str, nodes: NDArray[np.bool_]) -> Shares:
    """Who holds `resource` on `nodes`, where `used` is all that is taken there."""
    if resource not in table.resources:
        return Shares((), 0, 0, 0)
    index = table.resources.index(resource)
    taken = int((np.minimum(used[index], table.allocatable[index])[nodes] // 1000).sum())
    held = known.held(table, resource, nodes) if known else np.zeros(0, dtype=np.int64)
    services = int(held[known.is_service].sum()) if known else 0
    jobs = int(held.sum()) - services
    others = max(taken - jobs - services, 0)
    holders = [Holder(known.holders[i].name, int(held[i])) for i in _largest(held)] if known else []
    holders.append(Holder(OTHER_PODS, others))
    shown = sorted(holders, key=lambda holder: (-holder.accelerators, holder.name))[:_SHOWN]
    return Shares(tuple(holder for holder in shown if holder.accelerators), jobs, services, others)


def _largest(held: NDArray[np.int64]) -> list[int]:
    """The positions of the largest ones, of equal ones the first."""
    if len(held) <= _SHOWN:
        return list(range(len(held)))
    least = np.partition(held, -_SHOWN)[-_SHOWN]
    above = np.flatnonzero(held > least).tolist()
    return [*above, *np.flatnonzero(held == least)[: _SHOWN - len(above)].tolist()]
