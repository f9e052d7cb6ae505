"""Who makes room for whom, and who does not. Stories over several cycles."""

from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from support.build import NOW, a_gang, a_job, a_pool, a_quota, running_job, three_racks
from support.competition import FOUR, ONE, decide, placed, with_quotas
from support.training_world import World
from trainpush.model.reasons import Reason
from trainpush.model.snapshot import Pool, Quota
from trainpush.model.workload import Eviction, FailedStarts, Key, Phase, Preemption, Recorded
from trainpush.planner.diagnostics.causes import Cause


def test_a_higher_priority_displaces_the_cheapest() -> None:
    """Told in one cycle, carried out in the next; its pods end before the other's begin, and it queues again."""
    world = World.of(
        FOUR,
        running_job("long", "r1-n0", "r1-n1", age=5000),
        running_job("short", "r1-n2", "r1-n3", age=50),
    )
    world.add(a_job("urgent", a_gang(workers=2), priority=10))
    world.settle()
    assert world.diary == [
        "short: told to make room for default/urgent",
        "short: Preempted, 0 workers left",
        "urgent: placed on r1-n2, r1-n3",
        "urgent: runs",
    ]
    assert set(world.places()) == {"long", "urgent"}
    assert world.jobs[next(k for k in world.jobs if k.name == "short")].recorded.preemptions == 1


def test_the_verdict_tells_who_makes_room_and_what_it_costs() -> None:
    """Names, and lost work."""
    decided = decide(FOUR, running_job("low", *(f"r1-n{i}" for i in range(4)), age=450), a_job("high", ONE, priority=1))
    assert decided["high"].verdict.reason == Reason.WAITING_FOR_PREEMPTION
    assert "default/low" in decided["high"].verdict.message
    assert decided["low"].record.eviction
    assert decided["low"].record.eviction.lost == 450 * 32


def test_extras_go_before_whole_gangs() -> None:
    """An elastic gang shrinks to a legal size and goes on."""
    world = World.of(
        FOUR,
        running_job("elastic", "r1-n0", "r1-n1", "r1-n2", age=9000, sizes=(3, 2, 1), preemption=Preemption.BEYOND_MIN),
        running_job("whole", "r1-n3", age=1),
    )
    world.add(a_job("urgent", ONE, priority=10))
    world.settle()
    assert world.places() == {"elastic": ("r1-n0", "r1-n1"), "urgent": ("r1-n2",), "whole": ("r1-n3",)}


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"preemption": Preemption.NEVER}, "preemption Never"),
        ({"min_runtime": timedelta(hours=1)}, "minRuntime"),
        ({"priority": 10}, "nobody"),
        ({"priority": 11}, "nobody"),
        ({"preemption": Preemption.BEYOND_MIN}, "smallest size"),
    ],
    ids=["never", "min runtime", "equal priority", "higher priority", "at its minimum"],
)
def test_who_makes_no_room(change: dict[str, Any], says: str) -> None:
    """And why, in the advice to the one that waits."""
    busy = replace(running_job("busy", *(f"r1-n{i}" for i in range(4))), **change)
    decided = decide(FOUR, busy, a_job("urgent", ONE, priority=10))
    assert decided["busy"].record.eviction is None
    assert says in decided["urgent"].verdict.advice


def test_a_class_that_never_preempts_takes_from_nobody() -> None:
    """Whole gangs and extras alike; the advice says so, and it goes first where room comes free."""
    low = running_job("low", "r1-n0", "r1-n1")
    extras = running_job("extras", "r1-n2", "r1-n3", sizes=(2, 1), preemption=Preemption.BEYOND_MIN)
    calm = a_job("calm", ONE, priority=10, preempts=False)
    decided = decide(FOUR, low, extras, calm)
    assert not any(decision.record.eviction for decision in decided.values())
    verdict = decided["calm"].verdict
    assert verdict.cause == Cause.CLASS_NEVER_PREEMPTS
    assert "2 gangs of lower priority" in verdict.advice
    decided = decide(a_pool(*three_racks(5)), low, extras, calm, a_job("older", ONE, age=50))
    assert placed(decided) == {"low", "extras", "calm"}


def test_a_class_that_never_preempts_gets_its_guarantee_back() -> None:
    """That is the team's right, whatever the priorities."""
    pool = with_quotas(a_quota("mine", guarantee=8))
    busy = running_job("busy", *(f"r1-n{i}" for i in range(4)))
    decided = decide(pool, busy, a_job("mine", ONE, namespace="mine", preempts=False))
    assert decided["busy"].record.eviction
    assert decided["busy"].record.eviction.reason == Reason.RECLAIMED


def test_a_gang_of_a_class_that_preempts_is_not_held_up_by_one_that_does_not() -> None:
    """Alike but for that, and behind it in the queue: it makes room for itself."""
    low = running_job("low", *(f"r1-n{i}" for i in range(4)))
    calm = a_job("calm", ONE, age=10, priority=10, preempts=False)
    decided = decide(FOUR, low, calm, a_job("urgent", ONE, priority=10))
    assert decided["low"].record.eviction
    assert decided["low"].record.eviction.by == "default/urgent"


def test_protection_ends_at_its_time() -> None:
    """The plan wakes up then."""
    busy = running_job("busy", *(f"r1-n{i}" for i in range(4)), age=100, min_runtime=timedelta(seconds=150))
    decided = decide(FOUR, busy, a_job("urgent", ONE, priority=10))
    assert decided["urgent"].wake_at == NOW + timedelta(seconds=50)


def test_a_team_gets_its_guarantee_back() -> None:
    """From whoever borrowed it, whatever the priorities; no more than that."""
    pool = with_quotas(a_quota("mine", guarantee=16))
    world = World.of(pool, *(running_job(f"b{i}", f"r1-n{i}", age=100 - i, priority=5) for i in range(4)))
    for i in range(4):
        world.add(a_job(f"mine{i}", ONE, namespace="mine"))
    world.settle()
    assert set(world.places()) == {"b0", "b1", "mine0", "mine1"}
    assert [line for line in world.diary if "Reclaimed" in line] == [
        "b2: Reclaimed, 0 workers left",
        "b3: Reclaimed, 0 workers left",
    ]


def test_of_equal_lost_work_the_lowest_priority_makes_room() -> None:
    """Else the other, which comes first by name, would take the room of the lower one in its turn."""
    pool = with_quotas(a_quota("mine", guarantee=16))
    world = World.of(
        pool,
        running_job("first", "r1-n0", "r1-n1", age=0, priority=10),
        running_job("low", "r1-n2", "r1-n3", age=0),
    )
    world.add(a_job("mine", a_gang(workers=2), namespace="mine"))
    world.settle()
    assert set(world.places()) == {"first", "mine"}
    assert world.jobs[Key("default", "first")].recorded.preemptions == 0


def test_nobody_takes_what_others_are_guaranteed() -> None:
    """A team within its guarantee is safe from all others, whatever their priority."""
    pool = with_quotas(a_quota("a", guarantee=32), a_quota("b", guarantee=0))
    busy = [running_job(f"a{i}", f"r1-n{i}", namespace="a") for i in range(4)]
    decided = decide(pool, *busy, a_job("b", ONE, namespace="b", priority=100))
    assert not any(decision.record.eviction for decision in decided.values())


def test_an_announcement_is_dropped_when_nobody_needs_it() -> None:
    """Another job ended in time: nothing is lost."""
    world = World.of(FOUR, running_job("low", *(f"r1-n{i}" for i in range(4))))
    world.add(a_job("urgent", ONE, priority=10))
    world.step()
    key = next(key for key in world.jobs if key.name == "urgent")
    del world.jobs[key]
    world.settle()
    assert world.diary == ["low: told to make room for default/urgent"]
    assert set(world.places()) == {"low"}


def test_room_that_is_made_goes_to_nobody_else() -> None:
    """While the victim's pods end, a later gang of the same priority does not slip in."""
    world = World.of(FOUR, running_job("low", *(f"r1-n{i}" for i in range(4))), lingers=5)
    world.add(a_job("urgent", a_gang(workers=4), priority=10))
    world.step()
    world.step()
    world.add(a_job("thief", ONE, priority=10))
    world.settle()
    assert set(world.places()) == {"urgent"}


def test_room_that_was_made_is_promised() -> None:
    """Another team, whose turn would come first, does not get what a gang gave up for one of its own team."""
    world = World.of(
        with_quotas(a_quota("a"), a_quota("b")),
        *(running_job(f"low{i}", f"r1-n{i}", namespace="a", age=100 - i) for i in range(4)),
    )
    for i in range(3):
        world.add(a_job(f"b{i}", ONE, namespace="b"))
    world.add(a_job("high", ONE, namespace="a", priority=9))
    world.settle()
    assert set(world.places()) == {"high", "low0", "low1", "low2"}


def test_a_victim_with_a_lost_node_is_left_alone() -> None:
    """How much of it is left is not certain: it is started anew anyway."""
    decided = decide(FOUR, running_job("v", "r1-n0", "r1-n1", "r1-n2", "gone"), a_job("high", a_gang(2), priority=9))
    assert decided["v"].record.eviction is None


def test_nobody_gives_up_anything_twice_for_pods_that_cannot_be_bound() -> None:
    """A gang whose last place was given back may use free room only."""
    recorded = Recorded(queued_at=NOW, failed_starts=FailedStarts(1, NOW - timedelta(minutes=1)))
    busy = running_job("busy", *(f"r1-n{i}" for i in range(4)))
    decided = decide(FOUR, busy, a_job("high", ONE, priority=9, recorded=recorded))
    assert decided["busy"].record.eviction is None


def test_nobody_is_displaced_where_room_is_about_to_come_free() -> None:
    """A job that is being deleted gives its place up by itself."""
    ending = running_job("ending", "r1-n0", deleting=True)
    decided = decide(FOUR, ending, running_job("low", "r1-n1", "r1-n2", "r1-n3"), a_job("high", ONE, priority=9))
    assert decided["low"].record.eviction is None


def test_a_large_elastic_gang_gives_no_more_than_needed() -> None:
    """Its extras and another gang make exactly the room: it goes on with the rest."""
    pool = a_pool(*three_racks(6))
    elastic = running_job("elastic", "r1-n0", "r1-n1", "r1-n2", "r1-n3", sizes=(4, 3, 2, 1))
    whole = running_job("whole", "r1-n4", "r1-n5")
    decided = decide(pool, elastic, whole, a_job("high", a_gang(5), priority=9))
    assert {name: told.workers for name in ("elastic", "whole") if (told := decided[name].record.eviction)} == {
        "elastic": 1,
        "whole": 0,
    }


def test_a_team_keeps_its_guarantee_when_it_gives_back() -> None:
    """Rather the gang that is exactly what it borrowed, though it is not the youngest."""
    pool = with_quotas(a_quota("x", guarantee=16), a_quota("g", guarantee=8))
    big = running_job("big", "r1-n0", "r1-n1", namespace="x", age=10)
    small = running_job("small", "r1-n2", namespace="x", age=100)
    other = running_job("other", "r1-n3", namespace="g", gpus=1, age=1000)
    decided = decide(pool, big, small, other, a_job("mine", a_gang(1, 7), namespace="g"))
    assert decided["big"].record.eviction is None


def test_what_is_borrowed_is_given_back_whatever_protects_it() -> None:
    """Never, and a least running time, hold inside the team."""
    pool = with_quotas(a_quota("mine", guarantee=8))
    busy = running_job(
        "busy", *(f"r1-n{i}" for i in range(4)), preemption=Preemption.NEVER, min_runtime=timedelta(days=7)
    )
    assert decide(pool, busy, a_job("mine", ONE, namespace="mine"))["busy"].record.eviction


def test_who_fails_meanwhile_is_not_evicted() -> None:
    """Its failure counts."""
    failed = running_job("v", *(f"r1-n{i}" for i in range(4)), max_restarts=0)
    told = Eviction("default/high", Reason.PREEMPTED, "makes room")
    workers = (replace(failed.workers[0], phase=Phase.FAILED), *failed.workers[1:])
    failed = replace(failed, workers=workers, recorded=replace(failed.recorded, eviction=told))
    decided = decide(FOUR, failed, a_job("high", ONE, priority=9))
    assert (decided["v"].record.failures, decided["v"].record.preemptions) == (1, 0)


def test_an_eviction_waits_until_all_victims_were_told() -> None:
    """The operator died between two statuses: the one that stands is not carried out alone."""
    told = Eviction("default/high", Reason.PREEMPTED, "makes room")
    first, second = (running_job(name, f"r1-n{2 * i}", f"r1-n{2 * i + 1}") for i, name in enumerate(["v1", "v2"]))
    first = replace(first, recorded=replace(first.recorded, eviction=told))
    decided = decide(FOUR, first, second, a_job("high", priority=9))
    assert [decided[name].record.preemptions for name in ("v1", "v2")] == [0, 0]
    assert all(decided[name].record.eviction for name in ("v1", "v2"))


def limited(*quotas: Quota, nodes: int = 8) -> Pool:
    """A rack with more room than the teams may have."""
    return replace(a_pool(*three_racks(nodes)), quotas=quotas)


def test_a_higher_priority_displaces_its_own_team_at_its_limit() -> None:
    """Though there is room: the one that loses least, and the place is given out when it is gone."""
    world = World.of(
        limited(a_quota("a", limit=16)),
        running_job("long", "r1-n0", namespace="a", age=5000),
        running_job("short", "r1-n1", namespace="a", age=50),
        running_job("other", "r1-n2", namespace="b", age=1),
    )
    world.add(a_job("urgent", ONE, namespace="a", priority=10))
    world.settle()
    assert set(world.places()) == {"long", "urgent", "other"}
    assert world.diary[:2] == ["short: told to make room for a/urgent", "short: Preempted, 0 workers left"]


@pytest.mark.parametrize(
    ("workers", "evicted"),
    [(1, {"l2"}), (2, {"l1", "l2"}), (3, {"l0", "l1", "l2"}), (4, set())],
)
def test_a_limit_is_made_up_for_by_as_few_as_will_do(workers: int, evicted: set[str]) -> None:
    """And a gang that is larger than the limit displaces nobody."""
    pool = limited(a_quota("a", limit=24))
    busy = [running_job(f"l{i}", f"r1-n{i}", namespace="a", age=100 - i) for i in range(3)]
    decided = decide(pool, *busy, a_job("urgent", a_gang(workers), namespace="a", priority=1))
    assert {name for name, decision in decided.items() if decision.record.eviction} == evicted


def test_what_is_left_of_the_limit_need_not_be_given_back() -> None:
    """Eight accelerators are missing, though sixteen are asked for; the larger gang would lose more."""
    pool = limited(a_quota("a", limit=32))
    small, large = running_job("small", "r1-n0", namespace="a"), running_job("large", "r1-n1", "r1-n2", namespace="a")
    decided = decide(pool, small, large, a_job("urgent", a_gang(2), namespace="a", priority=1))
    assert {name for name, decision in decided.items() if decision.record.eviction} == {"small"}


def test_room_and_limit_are_made_up_for_together() -> None:
    """In a full pool those go that make room, and none besides whose going changes nothing."""
    pool = limited(a_quota("a", limit=24), nodes=4)
    busy = [running_job(f"a{i}", f"r1-n{i}", namespace="a", age=100 - i) for i in range(3)]
    decided = decide(
        pool, *busy, running_job("b", "r1-n3", namespace="b"), a_job("urgent", a_gang(2), namespace="a", priority=1)
    )
    assert {name for name, decision in decided.items() if decision.record.eviction} == {"a1", "a2"}


def test_extras_go_first_for_a_limit_too_and_no_more_than_needed() -> None:
    """An elastic gang goes on with what is left."""
    elastic = running_job("e", "r1-n0", "r1-n1", "r1-n2", "r1-n3", namespace="a", sizes=(4, 3, 2, 1))
    decided = decide(limited(a_quota("a", limit=32)), elastic, a_job("urgent", ONE, namespace="a", priority=1))
    assert decided["e"].record.eviction
    assert decided["e"].record.eviction.workers == 3


@pytest.mark.parametrize(
    "change",
    [{"priority": 1}, {"preemption": Preemption.NEVER}, {"min_runtime": timedelta(hours=1)}, {"priority": 2}],
    ids=["alike", "never", "min runtime", "higher"],
)
def test_who_gives_nothing_back_of_a_limit(change: dict[str, Any]) -> None:
    """The same as else; and the verdict is that of the limit."""
    busy = replace(running_job("busy", "r1-n0", namespace="a"), **change)
    decided = decide(limited(a_quota("a", limit=8)), busy, a_job("urgent", ONE, namespace="a", priority=1))
    assert decided["busy"].record.eviction is None
    assert decided["urgent"].verdict.reason == Reason.WAITING_FOR_QUOTA
    is_protected = bool(busy.min_runtime)
    assert decided["urgent"].wake_at == (NOW + timedelta(hours=1, seconds=-100) if is_protected else None)


def test_who_did_not_start_keeps_no_other_from_what_the_limit_gives() -> None:
    """Nobody gives anything back for the first, whose pods could not start a moment ago; for its like they do."""
    failed = Recorded(queued_at=NOW, failed_starts=FailedStarts(1, NOW - timedelta(minutes=10)))
    first = a_job("first", ONE, namespace="a", priority=1, age=9, recorded=failed)
    alike = a_job("alike", ONE, namespace="a", priority=1)
    busy = running_job("busy", "r1-n0", namespace="a")
    decided = decide(limited(a_quota("a", limit=8)), busy, first, alike)
    assert decided["first"].verdict.reason == Reason.WAITING_FOR_QUOTA
    assert decided["busy"].record.eviction
    assert decided["busy"].record.eviction.by == "a/alike"


def test_another_team_gives_nothing_for_a_limit() -> None:
    """Whatever its priority."""
    busy = [running_job("b", "r1-n0", namespace="b"), running_job("a", "r1-n1", namespace="a", priority=5)]
    decided = decide(limited(a_quota("a", limit=8)), *busy, a_job("urgent", ONE, namespace="a", priority=5))
    assert not any(decision.record.eviction for decision in decided.values())


def test_two_that_are_urgent_displace_one_each() -> None:
    """What the first makes others give back is not counted for the second."""
    pool = limited(a_quota("a", limit=24))
    busy = [running_job(f"l{i}", f"r1-n{i}", namespace="a", age=100 - i) for i in range(3)]
    urgent = [a_job(f"u{i}", ONE, namespace="a", priority=1, age=10 - i) for i in range(2)]
    decided = decide(pool, *busy, *urgent)
    found = {name: told.by for name, decision in decided.items() if (told := decision.record.eviction)}
    assert found == {"l2": "a/u0", "l1": "a/u1"}


def test_a_least_running_time_does_not_begin_anew_with_a_restart() -> None:
    """Nor with another size: it counts from the first start of the place."""
    busy = running_job("busy", *(f"r1-n{i}" for i in range(4)), age=10, min_runtime=timedelta(minutes=10))
    place = busy.recorded.placement
    assert place
    for first, is_evicted in ((NOW - timedelta(minutes=11), True), (NOW - timedelta(minutes=9), False)):
        again = replace(busy, recorded=replace(busy.recorded, attempt=1, placement=replace(place, first_since=first)))
        decided = decide(FOUR, again, a_job("urgent", ONE, priority=10))
        assert bool(decided["busy"].record.eviction) is is_evicted
        assert decided["urgent"].wake_at == (None if is_evicted else first + timedelta(minutes=10))


ELASTIC = a_gang(4, sizes=(4, 3, 2, 1))


def test_an_elastic_gang_takes_no_more_than_it_may_keep() -> None:
    """What another team is guaranteed and waits for is not for its extras: it would have to give it back at once."""
    pool = with_quotas(a_quota("a", guarantee=16), a_quota("b", guarantee=16))
    decided = decide(pool, a_job("e", ELASTIC, namespace="a", age=9), a_job("b", a_gang(2), namespace="b"))
    places = {name: decision.record.placement for name, decision in decided.items()}
    assert {name: len(place.nodes) for name, place in places.items() if place} == {"e": 2, "b": 2}


@pytest.mark.parametrize(("waits", "workers"), [(0, 4), (1, 3), (2, 2)])
def test_an_elastic_gang_takes_what_nobody_else_does(waits: int, workers: int) -> None:
    """In the same cycle, and beyond its guarantee: its first start is as large as can be."""
    pool = with_quotas(a_quota("a", guarantee=8), a_quota("b", guarantee=24))
    others = [a_job(f"b{i}", ONE, namespace="b") for i in range(waits)]
    placement = decide(pool, a_job("e", ELASTIC, namespace="a", age=9), *others)["e"].record.placement
    assert placement
    assert len(placement.nodes) == workers


def test_who_gets_its_guarantee_back_leaves_the_others_theirs() -> None:
    """A whole gang goes for it, which was larger: an elastic one does not grow into what the other team may have."""
    world = World.of(
        with_quotas(a_quota("a", guarantee=16), a_quota("b", guarantee=16)),
        running_job("big", "r1-n0", "r1-n1", "r1-n2", "r1-n3", namespace="b"),
    )
    world.add(a_job("e", ELASTIC, namespace="a"))
    world.step()
    world.add(a_job("b", a_gang(2), namespace="b"))
    world.settle()
    assert {name: len(nodes) for name, nodes in world.places().items()} == {"e": 2, "b": 2}
    assert [line for line in world.diary if line.startswith("e:")] == ["e: placed on r1-n0, r1-n1", "e: runs"]


def test_inside_a_team_the_first_takes_as_much_as_it_can() -> None:
    """Nobody else has a right to it."""
    pool = with_quotas(a_quota("a", guarantee=8))
    decided = decide(pool, a_job("e", ELASTIC, namespace="a", age=9), a_job("later", ONE, namespace="a"))
    assert placed(decided) == {"e"}
