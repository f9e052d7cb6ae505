"""Why a gang waits, in numbers."""

import numpy as np
from numpy.typing import NDArray

from trainpush.model.nodes import POOL, Amounts, NodeTable
from trainpush.model.plan import Verdict
from trainpush.model.reasons import Reason
from trainpush.model.workload import Gang
from trainpush.planner import capacity
from trainpush.planner.capacity import Hindrance
from trainpush.planner.placement import largest_room

_WORDS = {
    Hindrance.NOT_READY: "not ready",
    Hindrance.CORDONED: "cordoned",
    Hindrance.TAINTED: "with a taint that is not tolerated",
    Hindrance.OTHER_PRODUCT: "with another accelerator product",
    Hindrance.TOO_SMALL: "too small for a worker even when empty",
}


def waiting(gang: Gang, table: NodeTable, used: Amounts, blocked: NDArray[np.int8]) -> Verdict:
    """The verdict on a gang that found no place; reasons that no waiting can cure come first."""
    empty = np.where(capacity.may_ever_take(blocked), capacity.slots(table, gang, np.zeros_like(used)), 0)
    now = np.where(blocked == Hindrance.NONE, capacity.slots(table, gang, used), 0)
    per_worker = gang.accelerators_per_worker
    free = capacity.column(table, table.allocatable - used, gang.accelerator) // 1000
    free_usable = int(free[(blocked == Hindrance.NONE) & (free > 0)].sum())
    largest = largest_room(gang, table, now) * per_worker
    where = gang.required or POOL
    counts = _tally(gang, blocked, now)
    return Verdict(
        reason=_reason(gang, table, empty),
        message=(
            f"{int((now > 0).sum())}/{len(table.names)} nodes fit{': ' if counts else ''}{counts}; "
            f"{_workers(gang.workers)} need{'s' if gang.workers == 1 else ''} "
            f"{gang.accelerators} {gang.accelerator}, {free_usable} free, "
            f"room for {largest} in the largest {where}{_remedy(gang, table, empty)}"
        ),
        needed=gang.accelerators,
        free=free_usable,
        largest_free=largest,
    )


def _reason(gang: Gang, table: NodeTable, empty: NDArray[np.int64]) -> Reason:
    if not empty.any():
        return Reason.NO_MATCHING_NODES
    if int(empty.sum()) < gang.workers:
        return Reason.EXCEEDS_POOL
    if largest_room(gang, table, empty) < gang.workers:
        return Reason.TOPOLOGY_UNSATISFIABLE
    return Reason.WAITING_FOR_CAPACITY


def _remedy(gang: Gang, table: NodeTable, empty: NDArray[np.int64]) -> str:
    match _reason(gang, table, empty):
        case Reason.NO_MATCHING_NODES if not table.names:
            return f"; the pool has no nodes: give some the labels of spec.nodeSelector of GPUPool {gang.pool}"
        case Reason.NO_MATCHING_NODES:
            return "; ask for less per worker, other acceleratorProducts, or add a toleration"
        case Reason.EXCEEDS_POOL:
            return f"; the empty pool takes {_workers(int(empty.sum()))}: lower spec.replicas or add nodes"
        case Reason.TOPOLOGY_UNSATISFIABLE:
            most = largest_room(gang, table, empty)
            return f"; the largest empty {gang.required} takes {_workers(most)}: relax spec.placement.required"
        case _:
            return ""


def _workers(count: int) -> str:
    return f"{count} worker{'' if count == 1 else 's'}"


def _tally(gang: Gang, blocked: NDArray[np.int8], now: NDArray[np.int64]) -> str:
    parts = [(int((blocked == hindrance).sum()), words) for hindrance, words in _WORDS.items()]
    busy = int(((blocked == Hindrance.NONE) & (now == 0)).sum())
    parts.append((busy, f"without room for {gang.accelerators_per_worker} {gang.accelerator} and the rest of a worker"))
    return capacity.tally(parts)
