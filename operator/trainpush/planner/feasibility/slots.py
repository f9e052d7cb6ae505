"""How many workers fit into what is free on a node. Nowhere else amounts are divided by amounts."""

from collections.abc import Sequence
from typing import Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from trainpush.model.gang import Requirements
from trainpush.model.nodes import AMOUNT_MAX, Amounts, NodeTable

Slots = NDArray[np.int64]
"""Workers that would fit, one entry per node in table order."""

SLOTS_MAX: Final = 2**20
"""More workers than any gang has, and still few enough to be added up over all nodes."""


class Asked(NamedTuple):
    """What a worker asks for of the resources that the nodes of a table have."""

    rows: list[int]
    """Positions of the resources in the table."""
    amounts: list[int]
    """Of each of them, at least 1."""


NOTHING_FITS: Final = Asked([], [])
"""Stands for a worker that asks for something that no node has, or for nothing."""


def asked_of(table: NodeTable, requirements: Requirements) -> Asked:
    """What a worker asks for; `NOTHING_FITS` if no node has some of it."""
    request = requirements.request
    rows = {name: row for row, name in enumerate(table.resources) if request.get(name)}
    if any(amount and name not in rows for name, amount in request.items()):
        return NOTHING_FITS
    return Asked(list(rows.values()), [min(request[name], AMOUNT_MAX + 1) for name in rows])


def slots(table: NodeTable, requirements: Requirements, used: Amounts) -> Slots:
    """Workers that fit into what is not `used`, whatever the filters say of the nodes."""
    asked = asked_of(table, requirements)
    if not asked.rows:
        return np.zeros(len(table.names), dtype=np.int64)
    return fits([table.allocatable[row] - used[row] for row in asked.rows], asked.amounts)


def fits(free: Sequence[NDArray[np.int64]] | Amounts, amounts: Sequence[int]) -> Slots:
    """Workers that fit into what is `free` of each resource, shape (resources, nodes), if each takes so much of it."""
    result: Slots = free[0] // amounts[0]
    for row in range(1, len(amounts)):
        np.minimum(result, free[row] // amounts[row], out=result)
    np.maximum(result, 0, out=result)
    return np.minimum(result, SLOTS_MAX, out=result)


def fits_one(free: Sequence[int], asked: Asked) -> int:
    """As `fits` for a single node, in plain numbers: arrays take longer to begin. `free` is of every resource."""
    most = SLOTS_MAX if asked.rows else 0
    for row, amount in zip(asked.rows, asked.amounts, strict=True):
        workers = free[row] // amount
        if workers < most:  # noqa: PLR1730 - calling `min` takes longer than all the rest
            most = workers
    return max(most, 0)


def column(table: NodeTable, amounts: Amounts, resource: str) -> NDArray[np.int64]:
    """The row of one resource, zeros where no node has it."""
    if resource not in table.resources:
        return np.zeros(amounts.shape[1], dtype=np.int64)
    row: NDArray[np.int64] = amounts[table.resources.index(resource)]
    return row
