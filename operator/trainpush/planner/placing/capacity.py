"""How many workers each node could take, and why the others take none."""

from collections.abc import Mapping, Sequence
from enum import IntEnum
from math import gcd
from typing import Final

import numpy as np
from numpy.typing import NDArray

from trainpush.model.modes import MODE_KEY, SWITCHING_KEY
from trainpush.model.nodes import AMOUNT_MAX, Amounts, NodeKind, NodeTable, Taint
from trainpush.model.snapshot import Pool
from trainpush.model.workload import Gang

Slots = NDArray[np.int64]
"""Workers that would fit, one entry per node in table order."""


SLOTS_MAX: Final = 2**20
"""More workers than any gang has, and still few enough to be added up over all nodes."""


class Hindrance(IntEnum):
    """Why a node takes no worker, in the order in which the checks are made; the first one counts."""

    NONE = 0
    NOT_READY = 1
    CORDONED = 2
    SWITCHING = 3
    OTHER_MODE = 4
    TAINTED = 5
    OTHER_PRODUCT = 6
    TOO_SMALL = 7


OPEN: Final = int(Hindrance.NONE)
"""As a plain number: to compare an array with a member of an enum takes thirty times as long."""


def hindrances(table: NodeTable, gang: Gang) -> NDArray[np.int8]:
    """The first hindrance of each node, whatever runs there now."""
    whole = slots(table, gang, np.zeros_like(table.used))
    of_kinds = np.array([_of_kind(kind, gang) for kind in table.kinds], dtype=np.int8)
    result: NDArray[np.int8] = of_kinds[table.kind]
    result[(result == OPEN) & (whole == 0)] = Hindrance.TOO_SMALL
    result[table.cordoned] = Hindrance.CORDONED
    result[~table.ready] = Hindrance.NOT_READY
    return result


def slots(table: NodeTable, gang: Gang, used: Amounts) -> Slots:
    """Workers that fit into what is not `used`, hindrances aside."""
    asked = asked_of(table, gang)
    if not asked or not len(table.names):
        return np.zeros(len(table.names), dtype=np.int64)
    return fits(table.allocatable - used, asked)


def fits(free: Amounts, asked: Mapping[int, int]) -> Slots:
    """Workers that fit into what is `free`, shape (resources, nodes), if each takes so much, by row of `free`."""
    workers: Slots = (free[list(asked)] // np.array(list(asked.values()), dtype=np.int64)[:, None]).min(axis=0)
    return workers.clip(0, SLOTS_MAX)


def asked_of(table: NodeTable, gang: Gang) -> dict[int, int]:
    """What a worker asks for, by the position of the resource in the table; empty if no node has some of it."""
    if set(gang.request) - set(table.resources):
        return {}
    amounts = ((i, min(gang.request.get(name, 0), AMOUNT_MAX)) for i, name in enumerate(table.resources))
    return {i: amount for i, amount in amounts if amount > 0}


def whole_groups(pool: Pool, gang: Gang, taken: Amounts, nodes: NDArray[np.intp]) -> NDArray[np.int64]:
    """Of how many workers a node must get a multiple so that its linked accelerators stay in whole groups.

    One entry for each of `nodes`, of which `taken` is in use; 1 where nothing is linked, or a group is broken already.
    """
    table = pool.table
    linked = np.array([max(pool.linked.get(kind.product, 1), 1) for kind in table.kinds], dtype=np.int64)
    portions = np.array([size // gcd(size, gang.accelerators_per_worker) for size in linked.tolist()], dtype=np.int64)
    kind = table.kind[nodes]
    free = column(table, table.allocatable, gang.accelerator)[nodes] - column(table, taken, gang.accelerator)
    result: NDArray[np.int64] = np.where(free // 1000 % linked[kind] == 0, portions[kind], 1)
    return result


def _of_kind(kind: NodeKind, gang: Gang) -> Hindrance:
    repelling = {taint.key for taint in kind.taints if not is_tolerated(taint, gang)}
    if SWITCHING_KEY in repelling:
        return Hindrance.SWITCHING
    if MODE_KEY in repelling:
        return Hindrance.OTHER_MODE
    if repelling:
        return Hindrance.TAINTED
    if gang.products and kind.product not in gang.products:
        return Hindrance.OTHER_PRODUCT
    return Hindrance.NONE


def is_tolerated(taint: Taint, gang: Gang) -> bool:
    """Whether `taint` does not keep `gang` away; nothing goes to a node that switches, whatever it tolerates."""
    if taint.key == SWITCHING_KEY:
        return False
    if taint.key == MODE_KEY:
        return any(it.key == MODE_KEY and it.covers(taint) for it in gang.tolerations)
    return any(toleration.covers(taint) for toleration in gang.tolerations)


def column(table: NodeTable, amounts: Amounts, resource: str) -> Amounts:
    """The row of one resource, zeros where no node has it."""
    if resource not in table.resources:
        return np.zeros(amounts.shape[1], dtype=np.int64)
    row: Amounts = amounts[table.resources.index(resource)]
    return row


def sums(values: NDArray[np.int64], starts: NDArray[np.intp]) -> NDArray[np.int64]:
    """The sum of `values` over each domain that `starts` bounds."""
    if not len(starts):
        return np.zeros(0, dtype=np.int64)
    total: NDArray[np.int64] = np.add.reduceat(values, starts)
    return total


def tally(parts: Sequence[tuple[int, str]]) -> str:
    """Counts and what they count, largest first: `9 are cordoned, 2 are not ready`."""
    shown = sorted((part for part in parts if part[0]), key=lambda part: (-part[0], part[1]))
    return ", ".join(f"{count} {what}" for count, what in shown)
