"""Accelerators that are linked to groups inside a host: how to take them without breaking a group."""

from math import gcd

import numpy as np
from numpy.typing import NDArray

from trainpush.model.gang import Requirements
from trainpush.model.nodes import Amounts
from trainpush.model.snapshot import Pool
from trainpush.planner.feasibility.slots import column


def whole_groups(pool: Pool, requirements: Requirements, taken: Amounts, nodes: NDArray[np.intp]) -> NDArray[np.int64]:
    """Of how many workers a node must get a multiple so that its linked accelerators stay in whole groups.

    One entry for each of `nodes`, of which `taken` is in use; 1 where nothing is linked, or a group is broken already.
    """
    table = pool.table
    linked = np.array([max(pool.linked.get(kind.product, 1), 1) for kind in table.kinds], dtype=np.int64)
    portions = np.array([size // gcd(size, requirements.accelerators) for size in linked.tolist()], dtype=np.int64)
    kind, accelerator = table.kind[nodes], requirements.accelerator
    free = column(table, table.allocatable, accelerator)[nodes] - column(table, taken, accelerator)
    result: NDArray[np.int64] = np.where(free // 1000 % linked[kind] == 0, portions[kind], 1)
    return result
