"""Which hosts of one rack take how many workers: fewest hosts, fewest broken groups, the largest host left whole."""

from bisect import bisect_left, bisect_right
from collections.abc import Mapping, Sequence
from itertools import accumulate
from operator import neg
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from trainpush.planner.placing.domain_capacity import DomainCapacity
from trainpush.planner.placing.min_plus import NEVER, Combined

FEW: Final = 64
"""Up to so many hosts are ranked in lists, more of them in arrays: calls cost more than entries."""
FEW_RACKS: Final = 8
"""Of more racks those that are filled are looked at together."""


def hosts_in(domains: DomainCapacity, racks: Mapping[int, int]) -> dict[int, int]:
    """Workers by row on the hosts of racks, each of which has room for so many."""
    level, room, by_row = domains.tree.last - 1, domains.capacity[-1], {}
    if len(racks) > FEW_RACKS:
        whole = domains.unrounded[level]
        full = [rack for rack, workers in racks.items() if workers == whole.item(rack)]
        rows, _ = domains.tree.children(level, np.array(full, dtype=np.intp), level + 1)
        rows = rows[room[rows] > 0]
        by_row = dict(zip(rows.tolist(), room[rows].tolist(), strict=True))
        racks = {rack: workers for rack, workers in racks.items() if workers < whole.item(rack)}
    for rack, workers in racks.items():
        by_row |= hosts_of(domains, rack, workers)
    return by_row


def hosts_of(domains: DomainCapacity, rack: int, workers: int) -> dict[int, int]:
    """Workers by row on the hosts of a rack that has room for all."""
    level = domains.tree.last - 1
    first, behind = domains.tree.starts[level].item(rack), domains.tree.ends[level].item(rack)
    room = domains.capacity[-1][first:behind]
    if workers == domains.unrounded[level].item(rack):
        taken = {host: share for host, share in enumerate(room.tolist()) if share}
    elif domains.groups is None or (domains.groups[first:behind] == 1).all():
        taken = pick(room, workers)
    else:
        taken = pick_linked(room, domains.groups[first:behind], domains.sizes[-1], workers)
    return {first + host: share for host, share in taken.items()}


def pick(room: NDArray[np.int64], workers: int) -> dict[int, int]:
    """Workers by host where nothing is linked; as much as can be is left on the host that then has most room.

    Hosts are looked at from the roomiest down. Of all runs of the fewest hosts that hold the workers the last one
    leaves the roomiest host whole, if any choice does. If none does, every choice takes the roomiest host and fills
    all but `spare` of what it takes: then one host further down may be left whole in exchange for the next one.
    """
    ranked, reach = _ranked(room)
    if ranked[0] == 1:  # a worker takes a whole host
        return dict.fromkeys(room.nonzero()[0][:workers].tolist(), 1)
    count = bisect_left(reach, workers) + 1
    start = _last_run(reach, count, workers)
    chosen = list(range(start, start + count))
    if start == 0 and count < len(ranked):
        spare = reach[count - 1] - workers
        left = bisect_left(ranked, -spare - ranked[count], key=neg)
        chosen = [place for place in range(count + 1) if place != min(left, count)]
    full = [int(ranked[place]) for place in chosen[:-1]]
    rest = workers - sum(full)
    last = int(ranked[bisect_right(ranked, -rest, key=neg) - 1])
    return _by_name(room.tolist(), [*full, last], rest)


def _ranked(room: NDArray[np.int64]) -> tuple[Sequence[int], Sequence[int]]:
    """What the hosts have room for, from the roomiest down, and the running sums."""
    if len(room) <= FEW:
        ranked = sorted(room.tolist(), reverse=True)
        return ranked, list(accumulate(ranked))
    falling: Any = -np.sort(-room)
    return falling, falling.cumsum()


def _last_run(reach: Sequence[int], count: int, workers: int) -> int:
    """Where the last run of so many hosts begins that holds the workers; the first one does."""

    def lacking(start: int) -> int:
        return workers - reach[start + count - 1] + (reach[start - 1] if start else 0)

    return bisect_right(range(len(reach) - count + 1), 0, key=lacking) - 1


def _by_name(room: list[int], sizes: list[int], rest: int) -> dict[int, int]:
    """Workers by host: those with room for `sizes`, of equal ones the first; full, but the last gets `rest`.

    Sizes fall.
    """
    by_host: dict[int, int] = {}
    host, before = -1, 0
    for size in sizes:
        host = room.index(size, host + 1 if size == before else 0)
        by_host[host] = before = size
    by_host[host] = rest
    return by_host


def pick_linked(room: NDArray[np.int64], groups: NDArray[np.int64], size: int, workers: int) -> dict[int, int]:
    """As `pick`, where host i breaks a linked group if it gets no multiple of `groups[i]` workers.

    `size`: every host takes a multiple of it. Each kind of host in turn is the one that is to be left the roomiest.
    """
    takes = np.arange(min(int(room.max()), workers) + 1)
    tables = (takes > 0) * (len(room) + 1) + (takes % groups[:, None] > 0)
    tables[(takes > room[:, None]) | (takes % size > 0)] = NEVER
    best: tuple[int, dict[int, int]] | None = None
    seen: set[tuple[int, int]] = set()
    for host in (-room).argsort(kind="stable").tolist():
        kind = (int(room[host]), int(groups[host]))
        if kind in seen or (best and best[0] >= kind[0]):
            continue
        seen.add(kind)
        others = tables.copy()
        others[host, 1:] = NEVER
        combined = Combined(others, np.zeros(len(others), dtype=np.intp), workers + 1)
        share = int((combined.costs[0, workers - takes] + tables[host]).argmin())
        if best is None or kind[0] - share > best[0]:
            shares = combined.shares(np.array([0]), np.array([workers - share]))
            by_host = dict(zip(*map(np.ndarray.tolist, shares), strict=True)) | {host: share}
            best = kind[0] - share, {host: taken for host, taken in by_host.items() if taken}
    return best[1] if best else {}
