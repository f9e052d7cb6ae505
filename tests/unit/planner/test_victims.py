"""Whom to evict: least lost work, nobody too many, all domains considered."""

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import pytest

from support.build import GPU, a_gang, a_pool, three_racks
from trainpush.model.gang import Gang, Slices
from trainpush.model.nodes import PODS, Amounts, NodeTable
from trainpush.model.workload import Key
from trainpush.planner import ledger
from trainpush.planner.feasibility.filters import NodeFilters
from trainpush.planner.preemption.victims import Candidate, Victims


def a_candidate(name: str, lost: int, *rows: int, gpus: int = 8) -> Candidate:
    """A gang with a worker of 8 GPUs on each of the nodes `rows`."""
    nodes = {row: rows.count(row) for row in rows}
    return Candidate(Key("default", name), lost, nodes, {GPU: gpus * 1000, PODS: 1000})


def held(table: NodeTable, candidates: Sequence[Candidate]) -> Amounts:
    """What others use, and the candidates."""
    used = table.used.copy()
    for one in candidates:
        ledger.take(table, used, one.nodes, one.request)
    return used


def names(choice: Sequence[Candidate] | None) -> list[str] | None:
    """Who was chosen."""
    return None if choice is None else [victim.key.name for victim in choice]


def chosen(gang: Gang, *candidates: Candidate, racks: Sequence[int] = (4, 4), others: str = "") -> list[str] | None:
    """Who is chosen in racks of so many nodes, where `others` hold whole nodes."""
    table = a_pool(*three_racks(*racks), used=dict.fromkeys(others.split(), 8)).table
    victims = Victims(table, candidates)
    everybody = victims.among(lambda _: True)
    return names(victims.choose(gang, held(table, candidates), NodeFilters(table, gang.requirements), everybody))


def test_nobody_goes_where_there_is_room() -> None:
    """An empty choice is not the same as none."""
    assert chosen(a_gang(3), a_candidate("a", 1, 0), racks=(4,)) == []


def test_the_one_with_less_lost_work_goes() -> None:
    """Both would do."""
    assert chosen(a_gang(1), a_candidate("dear", 9, 0), a_candidate("cheap", 5, 1), racks=(2,)) == ["cheap"]


def test_two_cheap_ones_go_before_a_dear_one() -> None:
    """5 + 6 < 20."""
    found = chosen(a_gang(2), a_candidate("dear", 20, 0, 1), a_candidate("b", 5, 2), a_candidate("c", 6, 3), racks=(4,))
    assert found == ["b", "c"]


def test_of_equally_cheap_choices_the_one_with_fewest_victims_wins() -> None:
    """Nothing is lost either way."""
    found = chosen(a_gang(2), a_candidate("a", 0, 0), a_candidate("b", 0, 1), a_candidate("c", 0, 2, 3), racks=(4,))
    assert found == ["c"]


def test_of_equal_ones_the_first_by_name_goes() -> None:
    """Whatever order they come in."""
    assert chosen(a_gang(1), a_candidate("b", 3, 1), a_candidate("a", 3, 0), racks=(2,)) == ["a"]


def test_a_cheap_one_that_does_not_help_stays() -> None:
    """Its node is half of another's, who stays."""
    half, other, whole = (
        a_candidate("half", 1, 0, gpus=4),
        a_candidate("other", 50, 0, gpus=4),
        a_candidate("whole", 9, 1),
    )
    assert chosen(a_gang(1), half, other, whole, racks=(2,)) == ["whole"]


def test_two_halves_make_a_whole() -> None:
    """Together they are cheaper than the one that would do alone."""
    half, other, whole = (
        a_candidate("half", 1, 0, gpus=4),
        a_candidate("other", 5, 0, gpus=4),
        a_candidate("whole", 9, 1),
    )
    assert chosen(a_gang(1), half, other, whole, racks=(2,)) == ["half", "other"]


def test_all_domains_are_considered() -> None:
    """The cheapest of all, a, does not help in the cheapest rack, which is the second."""
    found = chosen(
        a_gang(2, required="rack"),
        a_candidate("a", 1, 0),
        a_candidate("b", 30, 1),
        a_candidate("c", 5, 2),
        a_candidate("d", 6, 3),
        racks=(2, 2),
    )
    assert found == ["c", "d"]


def test_slices_must_be_whole() -> None:
    """Two nodes are free in the first rack: a third one there is no slice, nor is one in the second."""
    candidates = a_candidate("a", 1, 0), a_candidate("b", 1, 3), a_candidate("c", 10, 4, 5)
    assert chosen(a_gang(4), *candidates, racks=(3, 3)) == ["a", "b"]
    assert chosen(a_gang(4, slices=(Slices("rack", 2),)), *candidates, racks=(3, 3)) == ["c"]


def test_if_all_of_them_are_too_few_nobody_goes() -> None:
    """Five nodes are asked for, and others hold one of five."""
    assert chosen(a_gang(5), a_candidate("a", 1, 0, 1), racks=(5,), others="r1-n4") is None


def test_a_node_that_is_closed_to_the_gang_frees_nothing() -> None:
    """The cheaper victim sits on a cordoned node."""
    nodes = three_racks(2)
    table = a_pool(replace(nodes[0], cordoned=True), nodes[1]).table
    candidates = [a_candidate("a", 1, 0), a_candidate("b", 9, 1)]
    victims = Victims(table, candidates)
    filters = NodeFilters(table, a_gang(1).requirements)
    found = victims.choose(a_gang(1), held(table, candidates), filters, victims.among(lambda _: True))
    assert names(found) == ["b"]


def test_a_resource_that_no_node_has_frees_nobody() -> None:
    """No victim could help."""
    gang = a_gang(1, request={"example.com/rare": 1000})
    assert chosen(gang, a_candidate("a", 1, 0), racks=(1,)) is None


def test_absurd_amounts_are_survived() -> None:
    """Numbers beyond what is counted, in what is held and in what is lost."""
    greedy = Candidate(Key("default", "greedy"), 10**40, {0: 1}, {GPU: 10**40, PODS: 1000})
    assert chosen(a_gang(1), greedy, racks=(1,)) in (["greedy"], None)


def test_who_was_taken_is_not_taken_again_and_its_room_counts() -> None:
    """The next gang finds the rest of the room first, then needs another victim."""
    table = a_pool(*three_racks(3)).table
    candidates = [a_candidate("a", 1, 0, 1), a_candidate("b", 2, 2)]
    victims = Victims(table, candidates)
    gang, used, everybody = a_gang(1), held(table, candidates), victims.among(lambda _: True)
    seen = []
    for row in (0, 1, 2):
        choice = victims.choose(gang, used, NodeFilters(table, gang.requirements), everybody)
        assert choice is not None
        seen.append(names(choice))
        victims.take(choice)
        ledger.take(table, used, {row: 1}, gang.requirements.request)
    assert seen == [["a"], [], ["b"]]
    assert victims.choose(gang, used, NodeFilters(table, gang.requirements), everybody) is None
    assert np.array_equal(victims.leaving, held(table, candidates))


def test_a_key_is_taken_once() -> None:
    """The extras of a gang, and the whole of it, are alternatives."""
    table = a_pool(*three_racks(2)).table
    extras, whole = a_candidate("elastic", 1, 1), a_candidate("elastic", 9, 0, 1)
    victims = Victims(table, [whole, extras])
    gang, used = a_gang(1), held(table, [whole])
    choice = victims.choose(
        gang, used, NodeFilters(table, gang.requirements), victims.among(lambda one: len(one.nodes) == 1)
    )
    assert choice == (extras,)
    victims.take(choice)
    ledger.take(table, used, {1: 1}, gang.requirements.request)
    assert victims.choose(gang, used, NodeFilters(table, gang.requirements), victims.among(lambda _: True)) is None


@pytest.mark.parametrize("required", [None, "rack"])
def test_a_pool_without_nodes_has_no_victims(required: str | None) -> None:
    """No crash."""
    table = a_pool().table
    victims = Victims(table, [])
    gang = a_gang(1, required=required)
    assert (
        victims.choose(gang, table.used, NodeFilters(table, gang.requirements), victims.among(lambda _: True)) is None
    )
