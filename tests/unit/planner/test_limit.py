"""Which gangs give enough of a limit back: held against every choice that there is."""

from itertools import combinations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from support.build import GPU
from trainpush.model.workload import Key
from trainpush.planner.preemption.limit import cheapest, freed
from trainpush.planner.preemption.victims import Candidate


def candidates(*held: tuple[int, int]) -> list[Candidate]:
    """One for each pair of workers of 8 GPUs, and lost work."""
    return [Candidate(Key("a", f"c{i}"), lost, {0: n}, {GPU: 8000}) for i, (n, lost) in enumerate(held)]


@given(st.lists(st.tuples(st.integers(1, 4), st.integers(0, 50)), max_size=7), st.integers(1, 100))
def test_no_choice_is_cheaper(held: list[tuple[int, int]], gpus: int) -> None:
    """Least lost work, then the fewest; None only where all together hold too little."""
    found, among = cheapest(candidates(*held), GPU, gpus * 1000), candidates(*held)
    ways = [way for size in range(len(among) + 1) for way in combinations(among, size)]
    enough = [way for way in ways if freed(way, GPU) >= gpus * 1000]
    if not enough:
        assert found is None
        return
    assert found is not None
    assert freed(found, GPU) >= gpus * 1000
    best = min((sum(one.lost for one in way), len(way)) for way in enough)
    assert (sum(one.lost for one in found), len(found)) == best


@pytest.mark.parametrize(("gpus", "names"), [(8, ["c0"]), (9, ["c0", "c1"]), (24, ["c0", "c1", "c2"])])
def test_of_equal_ones_the_first(gpus: int, names: list[str]) -> None:
    """So that it does not matter in which order they came."""
    assert [one.key.name for one in cheapest(candidates((1, 5), (1, 5), (1, 5)), GPU, gpus * 1000) or ()] == names
