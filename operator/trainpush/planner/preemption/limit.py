"""Which gangs of a team give enough of its limit back, for the least lost work: a knapsack, exact."""

from collections.abc import Sequence

import numpy as np

from trainpush.planner.preemption.victims import Candidate

NOTHING = 2**62
"""More than anything costs."""


def freed(candidates: Sequence[Candidate], resource: str) -> int:
    """What they hold of a resource together, in thousandths."""
    return sum(one.request.get(resource, 0) * sum(one.nodes.values()) for one in candidates)


def cheapest(candidates: Sequence[Candidate], resource: str, amount: int) -> tuple[Candidate, ...] | None:
    """Those that hold `amount` of a resource together, in thousandths, with the least lost work; None: all hold less.

    Of equal lost work as few as can be, then the first of `candidates`.
    """
    units = -(-amount // 1000)
    held = [freed([one], resource) // 1000 for one in candidates]
    if sum(held) < units:
        return None
    costs = np.full(units + 1, NOTHING, dtype=np.int64)
    costs[0] = 0
    is_taken = np.zeros((len(candidates), units + 1), dtype=np.bool_)
    reach = np.arange(units + 1)
    for i, one in enumerate(candidates):
        price = min(one.lost, NOTHING // (len(candidates) + 1) ** 2) * (len(candidates) + 1) + 1
        dearer = costs[np.maximum(reach - held[i], 0)] + price
        is_taken[i] = (dearer < costs) & (reach > 0)
        costs = np.where(is_taken[i], dearer, costs)
    chosen: list[Candidate] = []
    for i in reversed(range(len(candidates))):
        if is_taken[i, units]:
            chosen.append(candidates[i])
            units = max(units - held[i], 0)
    return tuple(reversed(chosen))
