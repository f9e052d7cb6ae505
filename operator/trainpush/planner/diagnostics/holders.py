"""Who holds what on the nodes of a pool, in columns, so that it is asked in one pass for any set of nodes."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from trainpush.model.nodes import Amounts, NodeTable
from trainpush.model.plan import Holder

OTHER_PODS: Final = "other pods"
"""Name of all holders that are no job or service of ours."""
_SHOWN: Final = 5
_ASKED_MAX: Final = 2**50
"""More than this of a resource, in thousandths, no worker holds; products with counts of workers stay in range."""


@dataclass(frozen=True, slots=True)
class Holding:
    """What one job or service holds: so many workers of `request` each on the rows of the table."""

    name: str
    """Namespace and name."""
    request: Mapping[str, int]
    """Per worker or replica, in thousandths."""
    by_row: Mapping[int, int]
    is_service: bool = False


@dataclass(frozen=True, slots=True)
class Holdings:
    """All that our own hold of a pool; entry i says that `owner[i]` holds `amounts[:, i]` on node `row[i]`."""

    names: tuple[str, ...]
    """In order."""
    is_service: NDArray[np.bool_]
    owner: NDArray[np.intp]
    row: NDArray[np.intp]
    amounts: Amounts
    """Shape (resources, entries), thousandths."""

    def held(self, table: NodeTable, resource: str, nodes: NDArray[np.bool_]) -> NDArray[np.int64]:
        """How much of `resource` each owner holds on `nodes`, in thousandths."""
        held = np.zeros(len(self.names), dtype=np.int64)
        if resource in table.resources and len(self.owner):
            here = nodes[self.row]
            np.add.at(held, self.owner[here], self.amounts[table.resources.index(resource), here])
        return held


def holdings(table: NodeTable, held: Iterable[Holding]) -> Holdings:
    """The columns of what is `held`; the holdings of one name count together."""
    ordered = sorted(held, key=lambda holding: (holding.name, holding.is_service))
    owners = list(dict.fromkeys((holding.name, holding.is_service) for holding in ordered))
    numbers = {owner: number for number, owner in enumerate(owners)}
    sizes = [len(holding.by_row) for holding in ordered]
    row = np.array([row for holding in ordered for row in holding.by_row], dtype=np.intp)
    workers = np.array([count for holding in ordered for count in holding.by_row.values()], dtype=np.int64)
    # By resource: a list for each holding would be many.
    asked = [[min(holding.request.get(name, 0), _ASKED_MAX) for holding in ordered] for name in table.resources]
    requests = np.array(asked, dtype=np.int64).reshape(len(table.resources), len(ordered))
    return Holdings(
        names=tuple(name for name, _ in owners),
        is_service=np.array([is_service for _, is_service in owners], dtype=np.bool_),
        owner=np.repeat(np.array([numbers[one.name, one.is_service] for one in ordered], dtype=np.intp), sizes),
        row=row,
        amounts=np.minimum(np.repeat(requests, sizes, axis=1) * workers, table.allocatable[:, row]),
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
    taken = int(np.minimum(used[index], table.allocatable[index])[nodes].sum())
    held = known.held(table, resource, nodes) if known else np.zeros(0, dtype=np.int64)
    services = int(held[known.is_service].sum()) if known else 0
    jobs = int(held.sum()) - services
    others = max(taken - jobs - services, 0) // 1000
    largest = np.argsort(-(held // 1000), kind="stable")[:_SHOWN].tolist()
    holders = [Holder(known.names[i], int(held[i]) // 1000) for i in largest] if known else []
    holders.append(Holder(OTHER_PODS, others))
    shown = sorted(holders, key=lambda holder: (-holder.accelerators, holder.name))[:_SHOWN]
    return Shares(tuple(holder for holder in shown if holder.accelerators), jobs // 1000, services // 1000, others)
