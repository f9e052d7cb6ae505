"""Who gets what when not all can: order, quotas, ages and reservations."""

from dataclasses import replace
from datetime import timedelta

from support.build import NOW, a_cluster, a_gang, a_job, a_node, a_pool, a_quota, running_job, three_racks
from support.competition import FOUR, ONE, decide, placed, with_quotas
from support.serving_world import REPLICA, a_service
from support.training_world import World
from trainpush.model.reasons import Reason
from trainpush.model.serving import Place, Replica, Revision
from trainpush.model.workload import Phase, Preemption, Recorded
from trainpush.planner.plan import plan


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
    assert decided["small"].record.placement
    assert decided["small"].record.placement.nodes == ("r2-n0",)


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


def test_a_limit_is_told_as_it_is_in_each_turn() -> None:
    """Gangs alike are told the same as long as nobody of their team gets a place between them."""
    pool, big = with_quotas(a_quota("team", limit=24)), a_gang(workers=3)
    line = [("first", big), ("alike", big), ("small", ONE), ("last", big)]
    waiting = [a_job(name, gang, age=9 - i, namespace="team") for i, (name, gang) in enumerate(line)]
    decided = decide(pool, running_job("busy", "r1-n0", namespace="team"), *waiting)
    assert placed(decided) == {"busy", "small"}
    told = {name: decided[name].verdict for name in ("first", "alike", "last")}
    assert told["alike"] == told["first"].at(2)
    assert [said.message.partition(" and uses ")[2][:3] for said in told.values()] == ["8 n", "8 n", "16 "]


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
    assert decided["elastic"].record.placement
    assert len(decided["elastic"].record.placement.nodes) == 2


def test_holes_are_mended_in_place() -> None:
    """Two of four nodes are lost before the pods were made: the ranks on the others stay where they are."""
    nodes = [*three_racks(4, 2)[:1], a_node("r1-n1", rack="r1", ready=False), *three_racks(4, 2)[2:]]
    nodes[2] = a_node("r1-n2", rack="r1", cordoned=True)
    place = running_job("job", "r1-n0", "r1-n1", "r1-n2", "r1-n3")
    job = replace(place, workers=(), recorded=replace(place.recorded, has_run=False))
    found = decide(a_pool(*nodes), job)["job"].record.placement
    assert found
    assert found.nodes == ("r1-n0", "r2-n0", "r2-n1", "r1-n3")


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
    assert decide(FOUR, job)["job"].record.queued_at is None


def test_a_limit_holds_up_who_came_first_only_so_long() -> None:
    """A gang that its team's limit has blocked for long gets what is left of it before smaller ones."""
    pool = with_quotas(a_quota("team", limit=24))
    busy = running_job("busy", "r1-n0", "r1-n1", namespace="team")
    blocked = a_job("blocked", a_gang(2), age=3600, namespace="team")
    decided = decide(pool, busy, blocked, a_job("small", ONE, namespace="team"))
    assert placed(decided) == {"busy"}


def test_an_elastic_gang_whose_status_is_lost_goes_on() -> None:
    """With as many workers as it has, if that is a legal size; it is in the queue no more."""
    job = running_job("job", "r1-n0", "r1-n1", sizes=(4, 2, 1))
    lost = replace(job, request=a_gang(4, sizes=(4, 2, 1)), recorded=Recorded(queued_at=NOW))
    found = decide(FOUR, lost)["job"]
    assert found.record.placement
    assert found.record.placement.nodes == ("r1-n0", "r1-n1")
    assert found.record.queued_at is None
    assert not found.actions


def test_a_service_that_serves_with_too_few_goes_first() -> None:
    """Where it gave up a replica to roll in place, no job that waits gets the room."""
    service = a_service(
        replicas=2,
        stable="svc-1",
        revisions=(Revision("svc-1", "uid-svc-1", 1, REPLICA),),
        places=(Place(1, "svc-1", "r1-n0", NOW),),
        pods=(
            Replica(
                "svc-1-1", "uid", 1, "svc-1", "r1-n0", Phase.RUNNING, ready=True, request=REPLICA.requirements.request
            ),
        ),
    )
    pool = a_pool(*three_racks(1))
    snapshot = replace(a_cluster(a_job("old", a_gang(1, 4), age=3600, priority=9), pool=pool), services=(service,))
    decided = plan(snapshot, NOW)
    assert [place.node for place in decided.services[0].places] == ["r1-n0", "r1-n0"]
    assert decided.decisions[0].record.placement is None


def test_what_is_about_to_be_taken_still_counts_against_the_limit() -> None:
    """The team holds it until it is gone, and perhaps it is never taken."""
    pool = with_quotas(a_quota("mine", guarantee=24), a_quota("theirs", limit=8))
    over = running_job("over", "r1-n0", "r1-n1", namespace="theirs")
    rest = running_job("rest", "r1-n2", gpus=4, namespace="mine")
    small = a_job("small", a_gang(workers=1, gpus=4), namespace="theirs")
    decided = decide(pool, over, rest, a_job("mine", a_gang(workers=2), namespace="mine"), small)
    assert decided["over"].record.eviction
    assert decided["small"].record.placement is None


def test_what_a_team_saves_up_for_is_not_yet_borrowed() -> None:
    """A gang within its guarantee stays, though another of its team waits at the limit."""
    pool = with_quotas(a_quota("a", guarantee=32, limit=32), a_quota("b", guarantee=16))
    runs = running_job("runs", *(f"r1-n{i}" for i in range(4)), namespace="a")
    waits = a_job("waits", a_gang(workers=4), namespace="a", age=1000)
    decided = decide(pool, runs, waits, a_job("owed", ONE, namespace="b", age=10))
    assert decided["runs"].record.eviction is None
