"""What is shared out between parts costs the least, as trying every way shows."""

from collections.abc import Sequence
from itertools import product

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from trainpush.planner.placing.min_plus import NEVER, Chosen, Combined

costs = st.lists(st.one_of(st.integers(0, 9), st.just(NEVER)), min_size=1, max_size=4)
"""Of one part, by what it takes."""


def padded(tables: Sequence[Sequence[int]], width: int) -> np.ndarray[tuple[int, int], np.dtype[np.int64]]:
    """The same tables side by side."""
    return np.array([[*table, *[NEVER] * width][:width] for table in tables], dtype=np.int64)


@given(st.lists(st.lists(costs, min_size=1, max_size=5), min_size=1, max_size=3), st.integers(1, 8))
def test_all_parts_share_at_the_least_cost(owners: list[list[list[int]]], width: int) -> None:
    """For every owner and every amount; the shares that are told add up, and cost what was said."""
    tables = [table for parts in owners for table in parts]
    owner = np.repeat(np.arange(len(owners)), [len(parts) for parts in owners])
    combined = Combined(padded(tables, 4), owner, width)
    for index, parts in enumerate(owners):
        for taken in range(width):
            ways = [way for way in product(*map(range, map(len, parts))) if sum(way) == taken]
            least = min((sum(map(list.__getitem__, parts, way)) for way in ways), default=NEVER)
            assert combined.costs[index, taken] == min(least, NEVER)
            if least < NEVER:
                found, shares = combined.shares(np.array([index]), np.array([taken]))
                assert shares.sum() == taken
                assert sorted(found.tolist()) == np.flatnonzero(owner == index).tolist()
                assert sum(tables[part][share] for part, share in zip(found, shares, strict=True)) == least


@given(st.data())
def test_those_are_chosen_that_cost_least(data: st.DataObject) -> None:
    """Of every owner as many parts, which leave unused what is to be left and roomier ones do not use."""
    count = data.draw(st.integers(1, 3))
    parts = [data.draw(st.integers(count, 5)) for _ in range(data.draw(st.integers(1, 2)))]
    owner = np.repeat(np.arange(len(parts)), parts)
    room = np.array([data.draw(st.integers(1, 5)) for _ in owner])
    tables = [[data.draw(st.integers(0, 9)) for _ in range(most + 1)] for most in room.tolist()]
    roomiest = np.array([sorted(room[owner == i].tolist(), reverse=True)[:count] for i in range(len(parts))])
    spare = np.array([data.draw(st.integers(0, int(roomiest[i, -1]))) for i in range(len(parts))])
    chosen = Chosen(padded(tables, int(spare.max()) + 1), room, owner, roomiest, spare)
    for index in range(len(parts)):
        workers = int(roomiest[index].sum() - spare[index])
        of_owner = [[None, *range(most + 1)] for most in room[owner == index].tolist()]
        first = int(np.flatnonzero(owner == index)[0])
        least = NEVER
        for way in product(*of_owner):
            used = [(first + i, unused) for i, unused in enumerate(way) if unused is not None]
            if len(used) == count and sum(room[part] - unused for part, unused in used) == workers:
                least = min(least, sum(tables[part][unused] for part, unused in used))
        assert chosen.costs[index] == least
        found, unused = chosen.shares(index)
        assert len(set(found.tolist())) == count
        assert (room[found] - unused).sum() == workers
        assert sum(tables[part][left] for part, left in zip(found, unused, strict=True)) == least
