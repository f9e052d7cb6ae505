"""Who gets what when not all can: order, quotas, reservations, and who makes room. Stories over several cycles."""

from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from support.build import NOW, a_cluster, a_gang, a_job, a_node, a_pool, a_quota, running_job, three_racks
from support.serving_world import REPLICA, a_service
from support.training_world import World
from trainpush.model.plan import Decision
from trainpush.model.reasons import Reason
from trainpush.model.serving import Place, Replica, Revision
from trainpush.model.snapshot import Pool, Quota
from trainpush.model.workload import Eviction, Job, Phase, Preemption, Recorded, Refusal
from trainpush.planner.plan import plan

FOUR = a_pool(*three_racks(4))
ONE = a_gang(workers=1)


def decide(pool: Pool, *jobs: Job) -> dict[str, Decision]:
    """What one cycle decides, by name."""
    return {decision.key.name: decision for decision in plan(a_cluster(*jobs, pool=pool), NOW).decisions}


def placed(decided: dict[str, Decision]) -> set[str]:
    """Who has a place."""
    return {name for name, decision in decided.items() if decision.placement}


def with_quotas(*quotas: Quota) -> Pool:
    """Four nodes of eight GPUs, shared by teams."""
    return replace(FOUR, quotas=quotas)


def test_higher_priority_goes_first() -> None:
    """Though it came last."""
    old, new = a_job("old", age=60), a_job("new", priority=10)
    assert placed(decide(FOUR, old, new)) == {"new"}


def test_inside_a_priority_the_older_goes_first() -> None:
    """First come, first served."""
    assert placed(decide(FOUR, a_job("a", age=1), a_job("b", age=2))) == {"b"}


def test_who_waited_very_long_goes_before_higher_priority() -> None:
    """So that nothing starves."""
    day = timedelta(days=1).total_seconds()
    assert placed(decide(FOUR, a_job("old", age=day), a_job("new", priority=10))) == {"old"}


def test_who_goes_first_by_age_is_left_alone_for_an_hour() -> None:
    """Else the higher priority that it passed would take the place back at once; then it waits its time again."""
    world = World.of(FOUR, a_job("old", age=timedelta(days=1).total_seconds()), a_job("new", priority=10))
    world.settle()
    assert set(world.places()) == {"old"}
    world.now += timedelta(hours=1)
    world.settle()
    assert set(world.places()) == {"new"}
    assert world.diary == [
        "old: placed on r1-n0, r1-n1, r1-n2, r1-n3",
        "old: runs",
        "old: told to make room for default/new",
        "old: Preempted, 0 workers left",
        "new: placed on r1-n0, r1-n1, r1-n2, r1-n3",
        "new: runs",
    ]


def test_places_in_the_queue_are_told() -> None:
    """Counted from the first that found no place."""
    jobs = [a_job("big", a_gang(workers=9), age=9), *(a_job(f"j{i}", age=5 - i) for i in range(3))]
    decided = decide(FOUR, *jobs)
    assert {name: decision.verdict.position for name, decision in decided.items()} == {
        "big": 1,
        "j0": 0,
        "j1": 2,
        "j2": 3,
    }


def test_a_long_blocked_gang_keeps_its_room() -> None:
    """Nothing may be placed any more where it will go: a later small one waits behind it."""
    busy = running_job("busy", "r1-n0")
    blocked, small = a_job("blocked", age=3600), a_job("small", ONE)
    decided = decide(FOUR, busy, blocked, small)
    assert placed(decided) == {"busy"}
    assert decided["small"].verdict.reason == Reason.BEHIND_HIGHER_PRIORITY
    assert "default/blocked" in decided["small"].verdict.message


def test_who_does_not_get_in_the_way_passes() -> None:
    """The blocked gang needs a rack; what is elsewhere is free for others."""
    pool = a_pool(*three_racks(4, 1))
    busy = running_job("busy", "r1-n0")
    decided = decide(pool, busy, a_job("blocked", a_gang(required="rack"), age=3600), a_job("small", ONE))
    assert decided["small"].placement
    assert decided["small"].placement.nodes == ("r2-n0",)


def test_a_gang_that_was_blocked_a_moment_ago_holds_nobody_up() -> None:
    """Room is kept only after a while; until then what fits passes."""
    decided = decide(FOUR, running_job("busy", "r1-n0"), a_job("blocked", age=5), a_job("small", ONE))
    assert placed(decided) == {"busy", "small"}
    assert decided["blocked"].wake_at == NOW + timedelta(minutes=10) - timedelta(seconds=5)


def test_a_team_stays_below_its_limit() -> None:
    """What would take it beyond waits, in numbers; others pass."""
    pool = with_quotas(a_quota("team", limit=16))
    first, second = (a_job(name, a_gang(workers=2), 9 - i, namespace="team") for i, name in enumerate(["a", "b"]))
    other = a_job("other", ONE)
    decided = decide(pool, first, second, other)
    assert placed(decided) == {"a", "other"}
    assert decided["b"].verdict.reason == Reason.WAITING_FOR_QUOTA
    assert "16" in decided["b"].verdict.message


def test_more_than_the_limit_can_never_run() -> None:
    """And says so, with the remedy."""
    decided = decide(with_quotas(a_quota("team", limit=8)), a_job("a", namespace="team"))
    assert decided["a"].verdict.reason == Reason.EXCEEDS_QUOTA_LIMIT


def test_a_guarantee_goes_first() -> None:
    """A gang within its team's guarantee is placed before one that borrows, whatever their ages and priorities."""
    pool = with_quotas(a_quota("poor", guarantee=32))
    rich, poor = a_job("rich", age=99, priority=5), a_job("poor", namespace="poor")
    assert placed(decide(pool, rich, poor)) == {"poor"}


def test_borrowers_get_parts_by_weight() -> None:
    """Of 32 GPUs the team with weight 3 gets three times as much."""
    pool = with_quotas(a_quota("heavy", weight=3), a_quota("light"))
    jobs = [a_job(f"{team}{i}", ONE, age=i, namespace=team) for team in ("heavy", "light") for i in range(8)]
    names = placed(decide(pool, *jobs))
    assert sum(name.startswith("heavy") for name in names) == 3
    assert sum(name.startswith("light") for name in names) == 1


def test_elastic_gangs_start_at_the_largest_size_that_fits() -> None:
    """Three of four nodes are free: the largest legal size up to three is two."""
    elastic = a_job("elastic", a_gang(workers=4, sizes=(4, 2, 1)))
    decided = decide(FOUR, running_job("busy", "r1-n0"), elastic)
    assert decided["elastic"].placement
    assert len(decided["elastic"].placement.nodes) == 2


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
    assert decided["low"].eviction
    assert decided["low"].eviction.lost == 450 * 32


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
    assert decided["busy"].eviction is None
    assert says in decided["urgent"].verdict.advice


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


def test_nobody_takes_what_others_are_guaranteed() -> None:
    """A team within its guarantee is safe from all others, whatever their priority."""
    pool = with_quotas(a_quota("a", guarantee=32), a_quota("b", guarantee=0))
    busy = [running_job(f"a{i}", f"r1-n{i}", namespace="a") for i in range(4)]
    decided = decide(pool, *busy, a_job("b", ONE, namespace="b", priority=100))
    assert not any(decision.eviction for decision in decided.values())


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


def test_holes_are_mended_in_place() -> None:
    """Two of four nodes are lost before the pods were made: the ranks on the others stay where they are."""
    nodes = [*three_racks(4, 2)[:1], a_node("r1-n1", rack="r1", ready=False), *three_racks(4, 2)[2:]]
    nodes[2] = a_node("r1-n2", rack="r1", cordoned=True)
    place = running_job("job", "r1-n0", "r1-n1", "r1-n2", "r1-n3")
    job = replace(place, workers=(), recorded=replace(place.recorded, has_run=False))
    found = decide(a_pool(*nodes), job)["job"].placement
    assert found
    assert found.nodes == ("r1-n0", "r2-n0", "r2-n1", "r1-n3")


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
    assert decided["v"].eviction is None


def test_nobody_gives_up_anything_twice_for_pods_that_cannot_be_bound() -> None:
    """A gang whose last place was given back may use free room only."""
    recorded = Recorded(queued_at=NOW, last=Refusal(Reason.BIND_TIMEOUT, "no such volume"))
    busy = running_job("busy", *(f"r1-n{i}" for i in range(4)))
    decided = decide(FOUR, busy, a_job("high", ONE, priority=9, recorded=recorded))
    assert decided["busy"].eviction is None


def test_no_room_is_kept_where_it_will_never_be() -> None:
    """A gang that makes room for nobody stands in the way: others may use what is free."""
    busy = running_job("busy", "r1-n0", preemption=Preemption.NEVER)
    decided = decide(FOUR, busy, a_job("blocked", age=3600), a_job("small", ONE))
    assert placed(decided) == {"busy", "small"}


def test_a_guarantee_goes_before_age() -> None:
    """Who waited very long goes before those who borrow, not before who is within its guarantee."""
    day = timedelta(days=1).total_seconds()
    decided = decide(with_quotas(a_quota("mine", guarantee=32)), a_job("old", age=day), a_job("new", namespace="mine"))
    assert placed(decided) == {"new"}


def test_time_spent_suspended_is_no_waiting() -> None:
    """Nobody gets ahead by it."""
    job = a_job("job", age=timedelta(days=1).total_seconds(), suspend=True)
    assert decide(FOUR, job)["job"].queued_at is None


def test_a_limit_holds_up_who_came_first_only_so_long() -> None:
    """A gang that its team's limit has blocked for long gets what is left of it before smaller ones."""
    pool = with_quotas(a_quota("team", limit=24))
    busy = running_job("busy", "r1-n0", "r1-n1", namespace="team")
    blocked = a_job("blocked", a_gang(2), age=3600, namespace="team")
    decided = decide(pool, busy, blocked, a_job("small", ONE, namespace="team"))
    assert placed(decided) == {"busy"}


def test_nobody_is_displaced_where_room_is_about_to_come_free() -> None:
    """A job that is being deleted gives its place up by itself."""
    ending = running_job("ending", "r1-n0", deleting=True)
    decided = decide(FOUR, ending, running_job("low", "r1-n1", "r1-n2", "r1-n3"), a_job("high", ONE, priority=9))
    assert decided["low"].eviction is None


def test_a_large_elastic_gang_gives_no_more_than_needed() -> None:
    """Its extras and another gang make exactly the room: it goes on with the rest."""
    pool = a_pool(*three_racks(6))
    elastic = running_job("elastic", "r1-n0", "r1-n1", "r1-n2", "r1-n3", sizes=(4, 3, 2, 1))
    whole = running_job("whole", "r1-n4", "r1-n5")
    decided = decide(pool, elastic, whole, a_job("high", a_gang(5), priority=9))
    assert {name: told.workers for name in ("elastic", "whole") if (told := decided[name].eviction)} == {
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
    assert decided["big"].eviction is None


def test_what_is_borrowed_is_given_back_whatever_protects_it() -> None:
    """Never, and a least running time, hold inside the team."""
    pool = with_quotas(a_quota("mine", guarantee=8))
    busy = running_job(
        "busy", *(f"r1-n{i}" for i in range(4)), preemption=Preemption.NEVER, min_runtime=timedelta(days=7)
    )
    assert decide(pool, busy, a_job("mine", ONE, namespace="mine"))["busy"].eviction


def test_who_fails_meanwhile_is_not_evicted() -> None:
    """Its failure counts."""
    failed = running_job("v", *(f"r1-n{i}" for i in range(4)), max_restarts=0)
    told = Eviction("default/high", Reason.PREEMPTED, "makes room")
    workers = (replace(failed.workers[0], phase=Phase.FAILED), *failed.workers[1:])
    failed = replace(failed, workers=workers, recorded=replace(failed.recorded, eviction=told))
    decided = decide(FOUR, failed, a_job("high", ONE, priority=9))
    assert (decided["v"].failures, decided["v"].preemptions) == (1, 0)


def test_an_eviction_waits_until_all_victims_were_told() -> None:
    """The operator died between two statuses: the one that stands is not carried out alone."""
    told = Eviction("default/high", Reason.PREEMPTED, "makes room")
    first, second = (running_job(name, f"r1-n{2 * i}", f"r1-n{2 * i + 1}") for i, name in enumerate(["v1", "v2"]))
    first = replace(first, recorded=replace(first.recorded, eviction=told))
    decided = decide(FOUR, first, second, a_job("high", priority=9))
    assert [decided[name].preemptions for name in ("v1", "v2")] == [0, 0]
    assert all(decided[name].eviction for name in ("v1", "v2"))


def test_an_elastic_gang_whose_status_is_lost_goes_on() -> None:
    """With as many workers as it has, if that is a legal size."""
    job = running_job("job", "r1-n0", "r1-n1", sizes=(4, 2, 1))
    lost = replace(job, request=a_gang(4, sizes=(4, 2, 1)), recorded=Recorded())
    found = decide(FOUR, lost)["job"]
    assert found.placement
    assert found.placement.nodes == ("r1-n0", "r1-n1")
    assert not found.acts


def test_a_service_that_serves_with_too_few_goes_first() -> None:
    """Where it gave up a replica to roll in place, no job that waits gets the room."""
    service = a_service(
        replicas=2,
        stable="svc-1",
        revisions=(Revision("svc-1", "uid-svc-1", 1, REPLICA),),
        places=(Place(1, "svc-1", "r1-n0", NOW),),
        pods=(Replica("svc-1-1", "uid", 1, "svc-1", "r1-n0", Phase.RUNNING, ready=True, request=REPLICA.request),),
    )
    pool = a_pool(*three_racks(1))
    snapshot = replace(a_cluster(a_job("old", a_gang(1, 4), age=3600, priority=9), pool=pool), services=(service,))
    decided = plan(snapshot, NOW)
    assert [place.node for place in decided.services[0].places] == ["r1-n0", "r1-n0"]
    assert decided.decisions[0].placement is None
