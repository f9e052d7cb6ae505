"""How to share workers between parts at the least cost: cost tables, combined by (min,+) convolution.

A cost table says for 0, 1, 2, … workers what it costs that a part takes so many; `NEVER` where it cannot.
Shape (parts, workers + 1).
"""

from typing import Final

import numpy as np
from numpy.lib.stride_tricks import as_strided
from numpy.typing import NDArray

Costs = NDArray[np.int64]

NEVER: Final = 2**61
"""More than any cost, and still small enough to be added."""
SMALL: Final = 2_000
"""Tables with no more entries are combined in one step rather than one per worker: calls cost more than entries."""


def cheapest(tables: Costs, workers: int) -> dict[int, int]:
    """How many of `workers` each part takes at the least total cost; parts that take none are left out."""
    layers = [tables]
    while len(layers[-1]) > 1:
        first, second = layers[-1][::2], layers[-1][1::2]
        wide = widened(first, min(2 * (first.shape[1] - 1), workers))
        wide[: len(second)] = _plus(wide[: len(second)], second)
        layers.append(wide)
    shares = {0: workers}
    for layer in layers[-2::-1]:
        halves = [_halves(layer, 2 * pair, share) for pair, share in shares.items()]
        shares = {part: share for half in halves for part, share in half.items() if share}
    return shares


def _halves(tables: Costs, part: int, workers: int) -> dict[int, int]:
    """How a part and the next one, if there is one, share so many workers; the second takes as many as it may."""
    if part + 1 == len(tables):
        return {part: workers}
    most = tables.shape[1] - 1
    second = np.arange(max(workers - most, 0), min(workers, most) + 1)[::-1]
    costs = tables[part, workers - second] + tables[part + 1, second]
    share = int(second[costs.argmin()])
    return {part: workers - share, part + 1: share}


def merged(tables: Costs, owner: NDArray[np.intp], owners: int, workers: int) -> Costs:
    """The tables of `owners`, of what each owns together, for up to `workers`; `owner` per table, ascending."""
    tables = tables[:, : workers + 1]
    while len(tables):
        rank = np.arange(len(owner)) - owner.searchsorted(owner)
        second = np.flatnonzero(rank % 2)
        if not len(second):
            break
        wide = widened(tables, min(2 * (tables.shape[1] - 1), workers))
        wide[second - 1] = _plus(wide[second - 1], tables[second])
        tables, owner = np.delete(wide, second, axis=0), np.delete(owner, second)
    result = widened(np.zeros((owners, 1), dtype=np.int64), workers)
    result[owner, : tables.shape[1]] = tables
    return result


def widened(tables: Costs, workers: int) -> Costs:
    """The same tables for up to `workers`."""
    wide = np.full((len(tables), workers + 1), NEVER, dtype=np.int64)
    wide[:, : tables.shape[1]] = tables[:, : workers + 1]
    return wide


def _plus(costs: Costs, parts: Costs) -> Costs:
    """The cheapest ways to share any number between what has `costs` and one more part, row by row."""
    parts = parts[:, : costs.shape[1]]
    result: Costs
    if costs.size > SMALL:
        result = costs + parts[:, :1]
        for share in range(1, parts.shape[1]):
            into = result[:, share:]
            np.minimum(into, costs[:, :-share] + parts[:, share : share + 1], out=into)
    else:
        rows, more = parts.shape
        padded = np.concatenate([np.full((rows, more - 1), NEVER, dtype=np.int64), costs], axis=1)
        windows = as_strided(padded, (*costs.shape, more), (*padded.strides, padded.itemsize))
        result = (windows + parts[:, None, ::-1]).min(axis=2)
    np.minimum(result, NEVER, out=result)
    return result
