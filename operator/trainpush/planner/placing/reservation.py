"""The place that a blocked gang waits for: where it lacks least."""

from trainpush.planner.placing.domain_capacity import DomainCapacity


def waiting_place(now: DomainCapacity, later: DomainCapacity, outermost: int, workers: int) -> dict[int, int] | None:
    """Workers by row in one domain of level `outermost` that has room for all `later`, most of it free `now`.

    None if there is no such domain. What is free now is used first; for the rest it waits where most is free beside it.
    """
    chances = [index for index, room in enumerate(later.capacity[outermost].tolist()) if room >= workers]
    if not chances:
        return None
    best = max(
        chances, key=lambda index: (int(now.capacity[outermost][index]), int(later.capacity[outermost][index]), -index)
    )
    return _share(now, later, outermost, best, workers)


def _share(now: DomainCapacity, later: DomainCapacity, level: int, index: int, workers: int) -> dict[int, int]:
    """Workers by row in a domain that has room for all `later`."""
    if level == now.tree.last:
        return {index: workers}
    first, behind = now.tree.inside(level, index, level + 1)
    free, room = now.capacity[level + 1][first:behind], later.capacity[level + 1][first:behind]
    by_row: dict[int, int] = {}
    order = (-free).argsort(kind="stable").tolist()
    shares = dict.fromkeys(order, 0)
    for source in (free, room):
        for child in order:
            more = min(workers, int(source[child]) - shares[child])
            shares[child] += more
            workers -= more
    for child, share in sorted(shares.items()):
        if share:
            by_row |= _share(now, later, level + 1, first + child, share)
    return by_row
