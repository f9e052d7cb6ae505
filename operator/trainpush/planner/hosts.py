"""Which hosts of one rack take how many workers: fewest hosts, fewest broken groups, the largest host left whole."""

import numpy as np
from numpy.typing import NDArray

from trainpush.planner.rooms import Indices, Rooms
from trainpush.planner.shares import NEVER, cheapest, merged


def hosts_of(rooms: Rooms, rack: int, workers: int) -> dict[int, int]:
    """Workers by row on the hosts of a rack that has room for all."""
    level = rooms.tree.last - 1
    first, behind = int(rooms.tree.starts[level][rack]), int(rooms.tree.ends[level][rack])
    room = rooms.room[-1][first:behind]
    if workers == int(room.sum()):
        taken = {host: share for host, share in enumerate(room.tolist()) if share}
    elif rooms.groups is None or (rooms.groups[first:behind] == 1).all():
        taken = pick(room, workers)
    else:
        taken = pick_linked(room, rooms.groups[first:behind], rooms.sizes[-1], workers)
    return {first + host: share for host, share in taken.items()}


def pick(room: NDArray[np.int64], workers: int) -> dict[int, int]:
    """Workers by host where nothing is linked; as much as can be is left on the host that then has most room.

    Hosts are looked at from the roomiest down. Of all runs of the fewest hosts that hold the workers the last one
    leaves the roomiest host whole, if any choice does. If none does, every choice takes the roomiest host and fills
    all but `spare` of what it takes: then one host further down may be left whole in exchange for the next one.
    """
    falling = -room
    order = falling.argsort(kind="stable")
    falling = falling[order]
    ranked = -falling
    reach = ranked.cumsum()
    count = int(reach.searchsorted(workers)) + 1
    held = reach[count - 1 :].copy()
    held[1:] -= reach[:-count]
    start = int(np.count_nonzero(held >= workers)) - 1
    chosen = list(range(start, start + count))
    if start == 0 and count < len(room):
        spare = reach.item(count - 1) - workers
        left = int(falling.searchsorted(-spare - ranked.item(count)))
        chosen = [place for place in range(count + 1) if place != min(left, count)]
    full = [ranked.item(place) for place in chosen[:-1]]
    rest = workers - sum(full)
    last = ranked.item(int(falling.searchsorted(-rest, side="right")) - 1)
    return _by_name(order, falling, [*full, last], rest)


def _by_name(order: Indices, falling: NDArray[np.int64], sizes: list[int], rest: int) -> dict[int, int]:
    """Workers by host: those with room for `sizes`, of equal ones the first; full, but the last gets `rest`."""
    next_of: dict[int, int] = {}
    hosts = []
    for size in sizes:
        place = next_of.get(size)
        if place is None:
            place = int(falling.searchsorted(-size))
        next_of[size] = place + 1
        hosts.append(order.item(place))
    return dict(zip(hosts, [*sizes[:-1], rest], strict=True))


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
        others = np.delete(tables, host, axis=0)
        rest = merged(others, np.zeros(len(others), dtype=np.intp), 1, workers)[0, workers - takes]
        share = int((rest + tables[host]).argmin())
        if best is None or kind[0] - share > best[0]:
            found = cheapest(others, workers - share) if share < workers else {}
            shares = {other + (other >= host): taken for other, taken in found.items()}
            best = kind[0] - share, shares | ({host: share} if share else {})
    return best[1] if best else {}
