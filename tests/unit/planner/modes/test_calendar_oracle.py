"""The oracle of the week's story, held against every course that there is on a few nodes."""

from collections.abc import Iterator, Sequence
from datetime import datetime, timedelta
from itertools import pairwise, product

import pytest
from hypothesis import given
from hypothesis import strategies as st

from support.build import NOW
from support.calendar_oracle import Course, Moment, Phase, Seen, breaches, course, fewest, settling, unasked
from support.switching_world import MINUTE, a_switch
from trainpush.model.modes import Mode, Switch, SwitchStep

GRACE = 2 * MINUTE
END = 12
"""Minutes that a tiny calendar lasts."""


def at(minute: int) -> datetime:
    return NOW + minute * MINUTE


def bounds(nodes: int) -> list[tuple[int, int]]:
    """All that can be kept by so many nodes."""
    return [(least, most) for least in range(nodes + 1) for most in range(least, nodes + 1)]


def by_trying(phases: Sequence[Phase], nodes: int, before: int) -> int:
    """Every node either serves or trains in every phase; the first `before` serve at the beginning."""
    states = list(product((False, True), repeat=nodes))
    start = tuple(number < before for number in range(nodes))
    ways = product(*([it for it in states if phase.floor <= sum(it) <= phase.ceiling] for phase in phases))
    return min(
        sum(a != b for one, two in pairwise((start, *way)) for a, b in zip(one, two, strict=True)) for way in ways
    )


@pytest.mark.parametrize(("nodes", "changes"), [(1, 4), (2, 3), (3, 2)])
def test_the_fewest_switches_are_the_fewest_of_all_that_there_could_be(nodes: int, changes: int) -> None:
    for chosen in product(bounds(nodes), repeat=changes):
        phases = [Phase(at(number), *pair) for number, pair in enumerate(chosen)]
        for before in range(nodes + 1):
            assert fewest(phases, nodes, before) == by_trying(phases, nodes, before), (chosen, before)


MINUTES = st.sets(st.integers(0, END - 1), min_size=1, max_size=4).map(sorted)
NODES = 3


@st.composite
def calendars(draw: st.DrawFn) -> list[Phase]:
    """Bounds that change at whole minutes."""
    return [Phase(at(minute), *draw(st.sampled_from(bounds(NODES)))) for minute in draw(MINUTES)]


@st.composite
def courses(draw: st.DrawFn) -> Course:
    """Nodes that change at whole minutes."""
    counts = [it for it in product(range(NODES + 1), repeat=4) if sum(it) == NODES]
    return Course([Moment(at(minute), *draw(st.sampled_from(counts))) for minute in draw(MINUTES)])


def kept_by_looking(found: Course, phases: Sequence[Phase], training_floor: int) -> bool:
    """Whether all is well at every minute, looked at one by one."""
    return all(
        now.training >= training_floor
        and all(least <= now.serving and now.serving + now.coming <= most for least, most in _bounds_at(phases, minute))
        for minute in range(END)
        if (now := _last(found.moments, minute))
    )


def _last(moments: Sequence[Moment], minute: int) -> Moment | None:
    return max((it for it in moments if it.at <= at(minute)), key=lambda it: it.at, default=None)


def _bounds_at(phases: Sequence[Phase], minute: int) -> Iterator[tuple[int, int]]:
    begun = [phase for phase in phases if phase.begin <= at(minute)]
    if not begun:
        return
    if at(minute) >= begun[-1].begin + GRACE:
        yield begun[-1].floor, begun[-1].ceiling
    elif len(begun) == 1:
        yield 0, begun[-1].ceiling
    else:
        yield min(it.floor for it in begun[-2:]), max(it.ceiling for it in begun[-2:])


@given(courses(), calendars(), st.integers(0, NODES))
def test_a_breach_is_told_if_and_only_if_there_is_one(found: Course, phases: list[Phase], floor: int) -> None:
    told = list(breaches(found, phases, floor, GRACE, at(END)))
    assert (not told) is kept_by_looking(found, phases, floor), told


def a_way(*steps: tuple[int, SwitchStep], begun: int, to: Mode = Mode.INFERENCE) -> Iterator[Seen]:
    """What is seen of node n on its way to a mode: each step and its minute."""
    old = Mode.TRAINING if to is Mode.INFERENCE else Mode.INFERENCE
    for minute, step in steps:
        mode = to if step is SwitchStep.ACTIVE else old
        wanted = old if step is SwitchStep.ABORTED else to
        why = "service team/s"
        switch: Switch = a_switch(mode, wanted, step=step, begun=at(begun), since=at(minute), why=why)
        yield Seen("n", mode, switch)


def test_a_course_follows_every_node() -> None:
    """Repetitions and the order in which they were heard change nothing."""
    there = list(a_way((1, SwitchStep.PLANNED), (2, SwitchStep.DRAINING), (4, SwitchStep.ACTIVE), begun=1))
    back = list(a_way((6, SwitchStep.PLANNED), (7, SwitchStep.ABORTED), begun=6, to=Mode.TRAINING))
    found = course([*back, *there, *there], nodes=2, least_time=3 * MINUTE)
    assert found.moments == [
        Moment(at(1), serving=0, training=1, coming=1, going=0),
        Moment(at(2), serving=0, training=1, coming=1, going=0),
        Moment(at(4), serving=1, training=1, coming=0, going=0),
        Moment(at(6), serving=0, training=1, coming=0, going=1),
        Moment(at(7), serving=1, training=1, coming=0, going=0),
    ]
    assert (found.began, found.done, found.aborted, found.hasty) == ([at(1), at(6)], 1, 1, 1)
    assert course([*there, *back], nodes=2, least_time=2 * MINUTE).hasty == 0


def test_how_long_it_took_and_what_nobody_asked_for() -> None:
    """Counted from the change of bounds before."""
    phases = [Phase(at(0), 0, 3), Phase(at(5), 1, 3)]
    moments = [Moment(at(minute), 1, 2, 0, 0) for minute in (1, 6, 8)]
    found = Course(moments, began=[at(1), at(3), at(6)])
    assert settling(found, phases, at(END)) == 3 * MINUTE
    assert unasked(found, phases, GRACE) == 1
    assert settling(Course(), phases, at(END)) == timedelta(0)
