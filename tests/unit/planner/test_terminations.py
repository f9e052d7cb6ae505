"""Room that comes by itself is waited for; a pod that hangs is not."""

from dataclasses import replace
from datetime import datetime, timedelta

import pytest

from support.build import (
    GPU,
    NOW,
    a_cluster,
    a_gang,
    a_job,
    a_node,
    a_pool,
    a_quota,
    a_worker,
    running_job,
)
from trainpush.model.nodes import PODS, Ending
from trainpush.model.plan import Decision, Plan
from trainpush.model.serving import Place, Replica, Revision, Service
from trainpush.model.snapshot import Pool, Snapshot
from trainpush.model.workload import Eviction, Job, Key, Recorded
from trainpush.planner.diagnostics.causes import Cause
from trainpush.planner.memory import Memory
from trainpush.planner.plan import plan
from trainpush.planner.terminations import SOON

ONE = a_gang(1)
SECONDS = timedelta(seconds=1)
FULL = {GPU: 8000, PODS: 1000}


def two_nodes(ends_at: datetime | None = NOW + 30 * SECONDS, *, is_ending: bool = True) -> Pool:
    """On n0 a pod of somebody that is ending; n1 is for others."""
    pool = a_pool(a_node("n0"), a_node("n1"), used={"n0": 8})
    return replace(pool, ending=(Ending("n0", FULL, ends_at),) if is_ending else ())


HIGH = a_job("high", ONE, priority=9)
LOW = running_job("low", "n1")


def of(decided: Plan, name: str) -> Decision:
    """What was decided of one job."""
    return next(it for it in decided.decisions if it.key.name == name)


def decide(*jobs: Job, pool: Pool, now: datetime = NOW, memory: Memory | None = None) -> Plan:
    """One cycle."""
    return plan(a_cluster(*jobs, pool=pool), now, memory)


@pytest.mark.parametrize(
    ("seconds", "is_coming"), [(30, True), (0, True), (-59, True), (-60, False), (3660, True), (3661, False)]
)
def test_others_are_evicted_only_where_the_room_does_not_come_soon(seconds: int, is_coming: bool) -> None:
    """From 60 s after its grace period on a pod hangs; and nobody waits longer than any job of ours may take."""
    decided = decide(HIGH, LOW, pool=two_nodes(NOW + seconds * SECONDS))
    assert (of(decided, "low").record.eviction is None) == is_coming
    cause = Cause.PODS_ENDING if is_coming else Cause.PREEMPTION_ANNOUNCED
    assert of(decided, "high").verdict.cause == cause


def test_a_pod_whose_owner_is_gone_is_about_to_end() -> None:
    """The garbage collector has not told it yet."""
    assert of(decide(HIGH, LOW, pool=two_nodes(None)), "low").record.eviction is None


def test_a_pod_that_stays_is_not_waited_for() -> None:
    assert of(decide(HIGH, LOW, pool=two_nodes(is_ending=False)), "low").record.eviction is not None


def test_room_that_is_coming_is_kept_for_the_first() -> None:
    """The second evicts somebody, as if the first had its place."""
    decided = decide(HIGH, a_job("next", ONE, priority=8), LOW, pool=two_nodes())
    assert of(decided, "high").verdict.cause == Cause.PODS_ENDING
    assert of(decided, "low").record.eviction == replace(
        of(decided, "low").record.eviction or Eviction("", "", ""), by="default/next"
    )


def test_a_gang_evicts_only_what_is_lacking_beside_the_room_that_comes() -> None:
    pool = a_pool(*(a_node(f"n{i}") for i in range(4)), used={"n0": 8})
    pool = replace(pool, ending=(Ending("n0", FULL, NOW),))
    low = [running_job(f"low{i}", f"n{i}", age=100 + i) for i in range(1, 4)]
    decided = decide(a_job("high", a_gang(2), priority=9), *low, pool=pool)
    assert [it.key.name for it in decided.decisions if it.record.eviction] == ["low1"]


def test_only_the_pod_that_hangs_is_not_waited_for() -> None:
    """Of two on one node."""
    half = {GPU: 4000, PODS: 1000}
    pool = replace(
        two_nodes(), ending=(Ending("n0", half, NOW - 100 * SECONDS), Ending("n0", half, NOW + 10 * SECONDS))
    )
    assert of(decide(a_job("high", a_gang(1, 4), priority=9), LOW, pool=pool), "low").record.eviction is None
    assert of(decide(HIGH, LOW, pool=pool), "low").record.eviction is not None


def evicted(ends_at: datetime | None) -> Job:
    """A gang that made room on n0 for `high` just now, and whose pod has not ended yet."""
    told = Eviction("default/high", "Preempted", "makes room", is_done=True)
    pod = a_worker(0, node="n0", deleting=ends_at is not None, ends_at=ends_at, request=FULL)
    return a_job("victim", ONE, workers=(pod,), recorded=Recorded(attempt=1, eviction=told, queued_at=NOW))


def test_another_victim_is_chosen_when_the_pod_of_the_first_hangs() -> None:
    """60 s after its grace period, at the moment that the plan names."""
    pool, ends_at, memory = a_pool(a_node("n0"), a_node("n1")), NOW + 20 * SECONDS, Memory()
    seen = a_cluster(HIGH, LOW, evicted(ends_at), pool=pool)
    waits = plan(seen, NOW, memory)
    assert of(waits, "high").verdict.cause == Cause.VICTIMS_ENDING
    assert of(waits, "low").record.eviction is None
    assert waits.wake_at == ends_at + 60 * SECONDS
    still = plan(seen, ends_at + 59 * SECONDS, memory)
    assert of(still, "low").record.eviction is None
    told = of(plan(seen, ends_at + 60 * SECONDS, memory), "low").record.eviction
    assert told
    assert told.by == "default/high"


def test_a_victim_that_was_not_told_to_end_yet_is_waited_for() -> None:
    """As long as if it had been told at once: its deletion may be refused."""
    pool, victim = a_pool(a_node("n0"), a_node("n1")), evicted(None)
    seen = decide(HIGH, LOW, victim, pool=pool)
    assert of(seen, "low").record.eviction is None
    hangs_at = NOW + victim.grace + 60 * SECONDS
    assert seen.wake_at == hangs_at
    assert of(decide(HIGH, LOW, victim, pool=pool, now=hangs_at), "low").record.eviction is not None


@pytest.mark.parametrize("leaves", [{"deleting": True}, {"suspend": True}])
def test_a_gang_that_is_told_to_go_and_hangs_is_not_waited_for(leaves: dict[str, bool]) -> None:
    """Deleted in the foreground, it keeps its place until its pods are gone."""
    going = running_job("going", "n0", **leaves)
    for seconds, is_coming in ((-59, True), (-60, False)):
        (pod,) = going.workers
        hangs = replace(going, workers=(replace(pod, deleting=True, ends_at=NOW + seconds * SECONDS),))
        decided = decide(HIGH, LOW, hangs, pool=a_pool(a_node("n0"), a_node("n1")))
        assert (of(decided, "low").record.eviction is None) == is_coming


def test_the_replicas_of_a_service_that_is_deleted_make_room() -> None:
    """However it was deleted."""
    pod = Replica("s-1", "uid-s-1", 1, "s-1", "n0", deleting=True, ends_at=NOW + 30 * SECONDS, request=FULL)
    service = Service(
        Key("default", "s"),
        "uid-s",
        NOW,
        "s-1",
        deleting=True,
        places=(Place(1, "s-1", "n0", NOW),),
        revisions=(Revision("s-1", "uid-s-1", number=1, gang=ONE),),
        pods=(pod,),
    )
    seen = Snapshot(pools=(a_pool(a_node("n0"), a_node("n1")),), jobs=(HIGH, LOW), services=(service,))
    assert of(plan(seen, NOW), "high").verdict.cause == Cause.PODS_ENDING
    assert of(plan(seen, NOW + 90 * SECONDS), "low").record.eviction is not None


@pytest.mark.parametrize("leaves", [{"deleting": True}, {"suspend": True}])
def test_what_a_gang_that_leaves_has_left_is_free(leaves: dict[str, bool]) -> None:
    """One of its two pods hangs for long; where the other one was somebody begins, and nobody waits for it."""
    going = running_job("going", "n0", "n1", **leaves)
    hangs = replace(going.workers[1], deleting=True, ends_at=NOW - 999 * SECONDS)
    pool = a_pool(a_node("n0"), a_node("n1"))
    placement = of(decide(HIGH, replace(going, workers=(hangs,)), pool=pool), "high").record.placement
    assert placement
    assert placement.nodes == ("n0",)


def test_what_is_being_made_for_a_gang_that_leaves_is_not_free() -> None:
    """Its pods may appear at any moment."""
    going = replace(running_job("going", "n0", deleting=True), workers=(), is_under_way=True)
    assert of(decide(HIGH, going, pool=a_pool(a_node("n0"))), "high").record.placement is None
    done = replace(going, is_under_way=False)
    assert of(decide(HIGH, done, pool=a_pool(a_node("n0"))), "high").record.placement


def test_a_replica_of_a_service_that_is_deleted_leaves_its_place_when_it_is_gone() -> None:
    """Though another one of the service hangs."""
    pod = Replica("s-1", "uid-s-1", 1, "s-1", "n0", deleting=True, ends_at=NOW - 999 * SECONDS, request=FULL)
    places = (Place(1, "s-1", "n0", NOW), Place(2, "s-1", "n1", NOW))
    revisions = (Revision("s-1", "uid-s-1", number=1, gang=ONE),)
    key = Key("default", "s")
    service = Service(key, "uid-s", NOW, "s-1", deleting=True, places=places, revisions=revisions, pods=(pod,))
    seen = Snapshot(pools=(a_pool(a_node("n0"), a_node("n1")),), jobs=(HIGH,), services=(service,))
    placement = of(plan(seen, NOW), "high").record.placement
    assert placement
    assert placement.nodes == ("n1",)


def test_what_a_team_gives_back_by_itself_is_not_taken_from_its_others() -> None:
    """With the gang that leaves it holds more than its guarantee, and without it no more: another team's gang goes."""
    quotas = (a_quota("a", guarantee=8), a_quota("b", guarantee=16))
    pool = replace(a_pool(*(a_node(f"n{i}") for i in range(3))), quotas=quotas)
    leaves = running_job("leaves", "n0", namespace="a", deleting=True)
    stays = running_job("stays", "n1", namespace="a", age=1)
    other = running_job("other", "n2", namespace="c", age=9000)
    decided = decide(a_job("high", a_gang(2), namespace="b"), leaves, stays, other, pool=pool)
    assert [it.key.name for it in decided.decisions if it.record.eviction] == ["other"]


def test_it_is_looked_again_when_room_that_comes_late_is_soon() -> None:
    """Whoever waits then needs nobody to make room."""
    pool = two_nodes(NOW + timedelta(hours=3))
    assert decide(pool=pool).wake_at == NOW + timedelta(hours=3) - SOON
