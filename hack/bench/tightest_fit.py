"""What places are measured against: the domain with least room that holds a gang, its roomiest parts filled first."""

from collections.abc import Sequence

Path = tuple[str, ...]


def tightest_fit(paths: Sequence[Path], slots: Sequence[int], workers: int) -> list[int] | None:
    """Workers per host, where host i lies in the domains `paths[i]` from the outside in; None if they do not fit.

    The search climbs from the hosts to the first level of which one domain holds all, takes the tightest one,
    and fills it level by level: the roomiest children first, the last one as tight as can be.
    """
    levels = len(paths[0]) + 1
    for depth in range(levels, -1, -1):
        rooms: dict[tuple[object, ...], int] = {}
        for i, fits in enumerate(slots):
            rooms[_domain(paths, i, depth)] = rooms.get(_domain(paths, i, depth), 0) + fits
        fitting = [name for name, room in rooms.items() if room >= workers]
        if fitting:
            tightest = min(fitting, key=lambda name: rooms[name])
            shares = [0] * len(slots)
            members = [i for i in range(len(slots)) if _domain(paths, i, depth) == tightest]
            _fill(paths, slots, members, depth, workers, shares)
            return shares
    return None


def _domain(paths: Sequence[Path], host: int, depth: int) -> tuple[object, ...]:
    return (*paths[host], host)[:depth]


def _fill(
    paths: Sequence[Path], slots: Sequence[int], members: Sequence[int], depth: int, workers: int, shares: list[int]
) -> None:
    if depth == len(paths[0]) + 1:
        shares[members[0]] = workers
        return
    children: dict[tuple[object, ...], list[int]] = {}
    for i in members:
        children.setdefault(_domain(paths, i, depth + 1), []).append(i)
    groups = sorted(children.values(), key=lambda group: -sum(slots[i] for i in group))
    while workers:
        fitting = [group for group in groups if sum(slots[i] for i in group) >= workers]
        group = min(fitting, key=lambda group: sum(slots[i] for i in group)) if fitting else groups[0]
        share = min(workers, sum(slots[i] for i in group))
        _fill(paths, slots, group, depth + 1, share, shares)
        groups.remove(group)
        workers -= share
