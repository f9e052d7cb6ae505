"""Replicas: how they come, how a revision follows another, and what never happens on the way."""

from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from support.build import NOW, a_cluster, a_gang, a_job, a_node, a_pool
from support.serving_world import World, a_service
from trainpush.model.actions import (
    AnnotateStable,
    ForgetPod,
    MakeEndpoint,
    MakeReplica,
    MakeRevision,
    MakeRevisionEndpoint,
    ReadEvents,
    RemoveReplica,
)
from trainpush.model.modes import MODE_KEY, SWITCHING_KEY, Hook, Mode, Switch, Switching, SwitchStep
from trainpush.model.nodes import Taint
from trainpush.model.outage import Outage
from trainpush.model.plan import ServiceDecision
from trainpush.model.reasons import Reason
from trainpush.model.snapshot import Snapshot
from trainpush.model.workload import Phase, Refusal
from trainpush.planner.diagnostics.causes import Cause
from trainpush.planner.plan import plan

TWO_NODES = a_pool(a_node("n1"), a_node("n2"))
"""Room for four replicas of four GPUs."""


def test_a_place_is_written_before_its_pod_is_made() -> None:
    """First the revision, then the place, then the pod."""
    world = World(TWO_NODES)
    assert world.step().actions[0] == MakeRevision("svc-1", 1)
    second = world.step()
    assert [place.serial for place in second.places] == [1]
    assert not any(isinstance(action, MakeReplica) for action in second.actions)
    assert MakeReplica(second.places[0]) in world.step().actions


def test_at_rest_there_is_nothing_to_do() -> None:
    """A plan carried out and made again is empty."""
    world = World(TWO_NODES, a_service(replicas=3))
    decision = world.settle()
    assert (decision.actions, decision.wake_at) == ((), None)
    assert world.serving == {"svc-1": 3}
    assert decision.available.holds
    assert decision.progressing.reason == Reason.ROLLED_OUT
    assert world.service.stable == "svc-1"


def test_services_that_were_edited_are_made_again_and_nothing_else_happens() -> None:
    """That of all revisions and that of one, whose pods are there; the next plan is empty."""
    world = World(TWO_NODES, a_service(replicas=2))
    world.settle()
    edited = replace(world.service.revisions[0], has_endpoint=False)
    never_served = replace(edited, name="svc-0", number=0)
    world.service = replace(world.service, has_endpoint=False, revisions=(never_served, edited))
    assert world.step().actions == (MakeEndpoint(), MakeRevisionEndpoint("svc-1"))
    assert world.step().actions == ()


@pytest.mark.parametrize(("seconds", "trouble", "serial"), [(60, "why", 1), (150, "why", 2), (150, "", 1)])
def test_a_replica_whose_pod_is_refused_gets_another_number(seconds: int, trouble: str, serial: int) -> None:
    """A pod of a service of the same name that is gone may hang under the old one, on a node that died with it."""
    world = World(TWO_NODES)
    world.step()
    world.step()
    world.service = replace(world.service, trouble=trouble)
    world.now += timedelta(seconds=seconds)
    assert [place.serial for place in world.step().places] == [serial]


def test_replicas_that_the_service_does_not_find_are_not_available() -> None:
    """Whatever their pods say; they stay, since nothing is wrong with them."""
    world = World(TWO_NODES, a_service(replicas=2))
    world.settle()
    world.service = replace(world.service, pods=tuple(replace(pod, is_found=False) for pod in world.service.pods))
    decision = world.step()
    assert not decision.available.holds
    assert decision.available.message == (
        "0 of 2 replicas get requests, at least 1 should; the Service does not find 2 that are ready"
    )
    assert decision.verdict.reason == Reason.MINIMUM_REPLICAS_UNAVAILABLE
    assert (decision.ready, decision.actions, len(decision.places), decision.stable) == (0, (), 2, "svc-1")
    one = replace(world.service.pods[0], is_found=True)
    world.service = replace(world.service, pods=(one, *world.service.pods[1:]))
    assert world.step().available.holds


def test_a_replica_takes_over_only_when_the_service_finds_it() -> None:
    """An old one does not go before: else nobody would answer for a moment."""
    world = World(TWO_NODES, a_service())
    world.settle()
    world.roll_to("svc-2")
    for _ in range(8):
        world.step()
        pods = tuple(replace(pod, is_found=pod.revision == "svc-1") for pod in world.service.pods)
        world.service = replace(world.service, pods=pods)
    assert world.serving == {"svc-1": 1, "svc-2": 1}
    world.service = replace(world.service, pods=tuple(replace(pod, is_found=True) for pod in world.service.pods))
    world.settle()
    assert world.serving == {"svc-2": 1}


def test_a_new_revision_comes_one_by_one_with_one_spare() -> None:
    """Never fewer than asked for get requests, never more than one more is there."""
    world = World(TWO_NODES, a_service(replicas=3))
    world.settle()
    world.ready.clear()
    world.roll_to("svc-2")
    decision = world.settle()
    assert world.serving == {"svc-2": 3}
    assert min(world.ready) >= 3
    assert decision.stable == "svc-2"


def test_a_revision_that_never_loads_changes_nothing_for_clients() -> None:
    """The old one goes on, and status says what is wrong."""
    world = World(TWO_NODES, a_service(replicas=2), loads=lambda revision: revision != "svc-2")
    world.settle()
    world.ready.clear()
    world.roll_to("svc-2")
    decision = world.settle()
    assert world.serving == {"svc-1": 2}
    assert min(world.ready) == 2
    assert (decision.stable, decision.wanted) == ("svc-1", "svc-2")
    assert not decision.progressing.holds
    assert decision.progressing.reason == Reason.MODEL_LOAD_FAILED
    assert "svc-1 keeps serving" in decision.progressing.message


@pytest.mark.parametrize(("left", "next_one"), [("n1", "n2"), ("n2", "n3"), ("n3", "n1"), ("gone", "n1")])
def test_a_replica_that_was_not_bound_goes_on_to_the_next_node(left: str, next_one: str) -> None:
    """A claim that one node mounts: each node has its turn, and none twice before."""
    world = World(a_pool(*(a_node(f"n{i}") for i in (1, 2, 3))))
    world.settle()
    (place,), (pod,) = world.service.places, world.service.pods
    unbound = replace(pod, node=None, phase=Phase.PENDING, loaded=False, answered=False, ready=False)
    world.service = replace(world.service, places=(replace(place, node=left),), pods=(unbound,))
    world.now += timedelta(seconds=120)
    (place,) = world.step().places
    assert place.node == next_one


def hindered(world: World, **fields: Any) -> None:
    """From now on the node of its only replica cannot start it; its place was given just now."""
    (place,), (pod,) = world.service.places, world.service.pods
    stuck = replace(pod, phase=Phase.PENDING, loaded=False, answered=False, ready=False, is_hindered=True, **fields)
    world.service = replace(world.service, places=(replace(place, since=world.now),), pods=(stuck,))


def decided(world: World, seconds: float) -> ServiceDecision:
    """The decision so long after its place was given, carried out by nobody."""
    (place,) = world.service.places
    snapshot = Snapshot(pools=(world.pool,), jobs=(), services=(world.service,))
    return plan(snapshot, place.since + timedelta(seconds=seconds)).services[0]


def test_a_replica_that_its_node_cannot_start_goes_on_to_the_next_node() -> None:
    """After five minutes: accelerators are not held for it, and the other node may do better."""
    world = World(TWO_NODES)
    world.settle()
    hindered(world)
    (before,), (after,) = decided(world, 299).places, decided(world, 300).places
    assert (before, after.node) == (world.service.places[0], "n2")
    assert decided(world, 299).wake_at == before.since + timedelta(minutes=5)
    slow = replace(world.service.pods[0], is_hindered=False)
    world.service = replace(world.service, pods=(slow,))
    assert decided(world, 3600).places == (before,)


def test_events_are_read_of_a_replica_whose_pod_does_not_say_why_it_does_not_start() -> None:
    """As of a worker: not at once, and a few times only."""
    world = World(TWO_NODES)
    world.settle()
    hindered(world, is_unexplained=True)
    question = ReadEvents(world.service.pods[0].uid)
    assert question not in decided(world, 19).actions
    assert decided(world, 1).wake_at == world.now + timedelta(seconds=20)
    assert question in decided(world, 20).actions
    hindered(world, is_unexplained=True, asked=1)
    assert question not in decided(world, 149).actions
    assert question in decided(world, 150).actions


def test_what_the_start_of_a_replica_waits_for_is_said() -> None:
    """Nothing is wrong: the model is only being checked."""
    world = World(TWO_NODES)
    world.settle()
    world.service = replace(
        world.service,
        stable="",
        pods=tuple(
            replace(pod, phase=Phase.PENDING, loaded=False, answered=False, ready=False, starting="pulls an image")
            for pod in world.service.pods
        ),
    )
    decision = world.step()
    for said in (decision.loaded, decision.progressing):
        assert said.message.endswith(": pulls an image")
    assert decision.verdict.message.endswith(": pulls an image")
    assert (decision.loaded.reason, decision.progressing.holds) == (Reason.MODEL_LOADING, True)


def test_what_follows_a_broken_revision_takes_its_place() -> None:
    """Its replica goes at once."""
    world = World(TWO_NODES, a_service(replicas=2), loads=lambda revision: revision != "svc-2")
    world.settle()
    world.roll_to("svc-2")
    world.settle()
    world.roll_to("svc-3")
    world.settle()
    assert world.serving == {"svc-3": 2}
    assert {pod.revision for pod in world.service.pods} == {"svc-3"}


def test_a_broken_first_revision_can_be_mended() -> None:
    """Also where there is no spare accelerator for a second replica."""
    world = World(a_pool(a_node("n1", gpus=4)), loads=lambda revision: revision != "svc-1")
    world.settle()
    world.roll_to("svc-2")
    world.settle()
    assert world.serving == {"svc-2": 1}


def test_without_a_spare_accelerator_a_replica_is_replaced_in_place() -> None:
    """As long as minAvailable others serve."""
    world = World(a_pool(a_node("n1")), a_service(replicas=2, min_available=1))
    world.settle()
    world.ready.clear()
    world.roll_to("svc-2")
    world.settle()
    assert world.serving == {"svc-2": 2}
    assert min(world.ready) == 1


def test_without_a_spare_accelerator_and_nothing_to_give_it_waits() -> None:
    """And says what could be done."""
    world = World(a_pool(a_node("n1", gpus=4)), a_service(min_available=1))
    world.settle()
    world.roll_to("svc-2")
    decision = world.settle()
    assert world.serving == {"svc-1": 1}
    assert decision.progressing.reason == Reason.WAITING_FOR_CAPACITY
    assert "lower spec.minAvailable" in decision.progressing.message


@pytest.mark.parametrize(
    "left",
    [
        {"cordoned": True},
        {"taints": (Taint(MODE_KEY, "Training", "NoSchedule"),)},
        {"taints": (Taint(SWITCHING_KEY, "Training", "NoSchedule"),)},
    ],
    ids=str,
)
def test_a_node_that_is_closed_is_left_without_a_gap(left: dict[str, Any]) -> None:
    """The replacement comes first; whether people closed it, or it changes its mode."""
    world = World(TWO_NODES, a_service(replicas=1))
    world.settle()
    node = world.service.places[0].node
    world.pool = a_pool(*(a_node(name, **(left if name == node else {})) for name in ("n1", "n2")))
    world.ready.clear()
    world.settle()
    assert [place.node for place in world.service.places] == [{"n1": "n2", "n2": "n1"}[node]]
    assert min(world.ready) >= 1


def silent(world: World, node: str, outage: Outage) -> None:
    """From now on nothing is heard of a node."""
    world.pool = a_pool(*(a_node(name, ready=name != node) for name in ("n1", "n2")))
    pods = (replace(pod, outage=outage) if pod.node == node else pod for pod in world.service.pods)
    world.service = replace(world.service, pods=tuple(pods))


@pytest.mark.parametrize(
    ("outage", "action"),
    [(Outage("n1", NOW, timedelta(0)), RemoveReplica), (Outage("n1"), ForgetPod)],
    ids=["silent too long", "gone or out of service"],
)
def test_replicas_that_are_cut_off_are_replaced_all_at_once(outage: Outage, action: type) -> None:
    """However few may be there beyond those asked for; only those of a node that is no more are forgotten."""
    world = World(TWO_NODES, a_service(replicas=2), lingers=99)
    world.settle()
    assert {place.node for place in world.service.places} == {"n1"}
    silent(world, "n1", outage)
    decision = world.step()
    assert [place.node for place in decision.places] == ["n2", "n2"]
    acts = (*decision.actions, *world.step().actions)
    gone = {(type(act), act.name) for act in acts if isinstance(act, RemoveReplica | ForgetPod)}
    assert gone == {(action, "svc-1-1"), (action, "svc-1-2")}


def test_a_silent_node_is_told_of_until_its_replicas_are_elsewhere() -> None:
    """They are replaced one by one meanwhile, as those of a node that is closed."""
    world = World(TWO_NODES, a_service(replicas=2))
    world.settle()
    outage = Outage("n1", world.now, timedelta(minutes=2))
    silent(world, "n1", outage)
    decision = world.step()
    assert [place.node for place in decision.places] == ["n1", "n1", "n2"]
    assert "node n1 has not been ready since" in decision.verdict.message
    assert decision.wake_at == outage.lost_at


def test_a_service_without_room_elsewhere_names_the_node_and_the_remedy() -> None:
    """Its replica counts as ended, and no other finds a place."""
    world = World(TWO_NODES, a_service(replicas=1))
    world.settle()
    silent(world, "n1", Outage("n1", world.now, timedelta(0)))
    world.pool = a_pool(a_node("n1", ready=False))
    decision = world.step()
    assert (decision.places, decision.available.holds) == ((), False)
    assert "kubectl taint nodes n1 node.kubernetes.io/out-of-service=nodeshutdown" in decision.verdict.message


def test_what_serves_stays_on_a_node_that_will_serve_only() -> None:
    """Else it would be rolled away, which in turn holds the switch back, for ever."""
    world = World(TWO_NODES, a_service(replicas=1))
    world.settle()
    node = world.service.places[0].node
    shut = (Taint(SWITCHING_KEY, "Inference", "NoSchedule"),)
    pool = a_pool(*(a_node(name, taints=shut if name == node else ()) for name in ("n1", "n2")))
    world.pool = replace(pool, switches={node: Switch(Mode.SHARED, Mode.INFERENCE, SwitchStep.CORDONED, NOW, NOW)})
    world.settle()
    assert [place.node for place in world.service.places] == [node]
    # But for accelerators that are configured otherwise then.
    hook = Hook("a.com/b", {Mode.INFERENCE: "sliced"}, "a.com/c")
    world.pool = replace(world.pool, switching=Switching(hook=hook))
    world.settle()
    assert [place.node for place in world.service.places] == [{"n1": "n2", "n2": "n1"}[node]]


def test_a_lost_stable_replica_comes_back_while_the_new_revision_is_broken() -> None:
    """What served before keeps serving."""
    world = World(TWO_NODES, loads=lambda revision: revision != "svc-2")
    world.settle()
    world.roll_to("svc-2")
    world.settle()
    stable = next(pod for pod in world.service.pods if pod.revision == "svc-1")
    world.service = replace(world.service, pods=tuple(p for p in world.service.pods if p != stable), places=tuple(
        place for place in world.service.places if place.serial != stable.serial))  # fmt: skip
    world.settle()
    assert world.serving == {"svc-1": 1}


def test_scaling_down_keeps_those_that_serve() -> None:
    """And removes the youngest."""
    world = World(TWO_NODES, a_service(replicas=3))
    world.settle()
    world.service = replace(world.service, replicas=1)
    world.settle()
    assert [place.serial for place in world.service.places] == [1]
    world.service = replace(world.service, replicas=0)
    world.settle()
    assert world.service.pods == ()


def test_a_lost_status_is_read_back_from_the_pods() -> None:
    """No pod is made or removed for it, and the stable revision stands in an annotation."""
    world = World(TWO_NODES, a_service(replicas=2))
    world.settle()
    before = {(place.serial, place.node) for place in world.service.places}
    world.service = replace(world.service, places=(), is_new=True)
    decision = world.step()
    assert {(place.serial, place.node) for place in decision.places} == before
    assert not any(isinstance(action, MakeReplica | RemoveReplica | AnnotateStable) for action in decision.actions)


def test_a_lost_status_gives_no_place_to_a_replica_that_has_ended() -> None:
    """What it held may be given to another in the same cycle."""
    world = World(a_pool(a_node("n1")), a_service(replicas=2))
    world.settle()
    first, second = world.service.pods
    pods = (replace(first, phase=Phase.SUCCEEDED), second)
    world.service = replace(world.service, places=(), is_new=True, pods=pods)
    assert [place.serial for place in world.step().places] == [2, 3]


def test_a_lost_status_promises_nobody_the_room_of_what_serves() -> None:
    """It is not about to come free."""
    world = World(a_pool(a_node("n1")), a_service(replicas=2))
    world.settle()
    lost = replace(world.service, places=(), is_new=True)
    decided = plan(replace(a_cluster(a_job(gang=a_gang(workers=1)), pool=world.pool), services=(lost,)), NOW)
    assert decided.decisions[0].verdict.cause == Cause.HELD_BY_SERVICES


def test_an_unreadable_spec_touches_nothing_that_serves() -> None:
    """It is only told."""
    world = World(TWO_NODES, a_service(replicas=2))
    world.settle()
    world.service = replace(world.service, request=Refusal(Reason.INVALID_SPEC, "spec.model: no"))
    decision = world.settle()
    assert world.serving == {"svc-1": 2}
    assert decision.refusal == Refusal(Reason.INVALID_SPEC, "spec.model: no")


def test_a_service_without_a_release_waits_for_its_job() -> None:
    """And names it."""
    decision = World(TWO_NODES, a_service(None, follows="digits")).step()
    assert decision.verdict.reason == Reason.WAITING_FOR_MODEL
    assert "digits" in decision.verdict.message
    assert decision.places == ()


def test_old_revisions_are_forgotten_beyond_the_history() -> None:
    """Ten are kept beside the one that serves."""
    world = World(TWO_NODES)
    for number in range(1, 15):
        world.roll_to(f"svc-{number}")
        world.settle()
    assert [revision.number for revision in world.service.revisions] == list(range(4, 15))


def test_going_back_gives_the_old_revision_a_new_number() -> None:
    """Nothing is recorded twice."""
    world = World(TWO_NODES)
    for name in ("svc-1", "svc-2", "svc-1"):
        world.roll_to(name)
        world.settle()
    assert [(r.name, r.number) for r in world.service.revisions] == [("svc-2", 2), ("svc-1", 3)]
    assert world.serving == {"svc-1": 1}


def test_jobs_and_replicas_share_one_ledger() -> None:
    """The older one has the accelerators."""
    service = World(a_pool(a_node("n1")), a_service(replicas=2)).service
    job = a_job(age=10)
    snapshot = replace(a_cluster(job, pool=a_pool(a_node("n1"))), services=(service,))
    assert isinstance(snapshot, Snapshot)
    decided = plan(snapshot, NOW)
    assert decided.decisions[0].record.placement is None
    world = World(a_pool(a_node("n1")), a_service(replicas=2))
    world.settle()
    both = replace(a_cluster(a_job(gang=None, age=-10), pool=world.pool), services=(world.service,))
    assert plan(both, NOW).decisions[0].verdict.reason in {Reason.EXCEEDS_POOL, Reason.WAITING_FOR_CAPACITY}
    assert plan(both, NOW).pools[0].used == 8


def test_nothing_that_serves_is_given_up_where_that_makes_no_room() -> None:
    """Every node cordoned, no pool any more, or a demand that no node can meet."""
    world = World(TWO_NODES, a_service(replicas=4))
    world.settle()
    world.ready.clear()
    world.pool = a_pool(*(a_node(name, cordoned=True) for name in ("n1", "n2")))
    world.settle()
    world.pool = a_pool(a_node("n1"), a_node("n2"), name="another")
    world.settle()
    world.pool = TWO_NODES
    world.gang = a_gang(workers=1, gpus=16)
    world.roll_to("svc-2")
    world.settle()
    assert min(world.ready) == 4


def test_a_node_that_blinks_loses_no_replica() -> None:
    """Where there is no other node, its server is still there when it comes back."""
    world = World(a_pool(a_node("n1")))
    world.settle()
    before = world.service.pods
    world.pool = a_pool(a_node("n1", ready=False))
    world.settle()
    world.pool = a_pool(a_node("n1"))
    world.settle()
    assert world.service.pods == before


def test_a_spec_that_cannot_be_read_books_nothing_more() -> None:
    """Whatever its nodes do meanwhile."""
    world = World(TWO_NODES, a_service(replicas=1))
    world.settle()
    places = world.service.places
    request = Refusal(Reason.INVALID_SPEC, "spec.probe.request: no")
    world.service = replace(world.service, request=request, is_readable=False, replicas=len(places))
    world.pool = a_pool(*(a_node(name, cordoned=True) for name in ("n1", "n2")), a_node("n3"))
    decision = world.settle()
    assert (decision.places, decision.actions) == (places, ())


def test_a_pod_that_its_node_turns_away_is_not_replaced_at_once() -> None:
    """But after a pause, however often."""
    world = World(TWO_NODES)
    for _ in range(4):
        world.step()
    made = set()
    for _ in range(100):
        turned_away = tuple(replace(pod, phase=Phase.FAILED, ready=False, loaded=False) for pod in world.service.pods)
        world.service = replace(world.service, pods=turned_away)
        world.step()
        made |= {pod.serial for pod in world.service.pods}
    assert 2 <= len(made) <= 5


def test_a_pod_that_cannot_be_made_keeps_nobody_awake() -> None:
    """It is tried again when the API server may think otherwise, not twenty times a second."""
    world = World(TWO_NODES)
    world.step()
    place = world.step().places[0]
    late = place.since + timedelta(minutes=10)
    decided = plan(Snapshot(pools=(world.pool,), jobs=(), services=(world.service,)), late).services[0]
    assert MakeReplica(place) in decided.actions
    assert decided.wake_at is None


def test_what_serves_a_revision_that_is_gone_serves_until_others_do() -> None:
    """A ControllerRevision that somebody deleted, or that this version cannot read."""
    world = World(TWO_NODES, a_service(replicas=2))
    world.settle()
    world.ready.clear()
    world.service = replace(world.service, revisions=())
    world.settle()
    assert min(world.ready) >= 2
    assert world.serving == {"svc-1": 2}


def test_the_stable_replica_of_a_lost_node_is_placed_anew_while_the_new_revision_is_broken() -> None:
    """There are nodes enough."""
    pool = a_pool(*(a_node(f"n{i}") for i in range(3)))
    world = World(pool, loads=lambda revision: revision != "svc-2")
    world.settle()
    world.roll_to("svc-2")
    world.settle()
    stable = next(place for place in world.service.places if place.revision == "svc-1")
    world.pool = a_pool(*(a_node(f"n{i}", ready=f"n{i}" != stable.node) for i in range(3)))
    pods = tuple(replace(p, ready=p.ready and p.node != stable.node) for p in world.service.pods)
    world.service = replace(world.service, pods=pods)
    decision = world.step()
    assert [place.revision for place in decision.places if place.node != stable.node].count("svc-1") == 1


@given(
    st.integers(1, 4),
    st.integers(0, 4),
    st.integers(1, 3),
    st.sets(st.sampled_from(["svc-2", "svc-3"])),
    st.lists(st.integers(0, 6), min_size=2, max_size=2),
)
def test_no_roll_ever_serves_with_fewer_than_it_may(
    replicas: int, min_available: int, nodes: int, broken: set[str], pauses: list[int]
) -> None:
    """Whatever loads, whatever the room, whenever the next revision comes."""
    pool = a_pool(*(a_node(f"n{i}") for i in range(nodes)))
    service = a_service(replicas=replicas, min_available=min_available)
    world = World(pool, service, loads=lambda revision: revision not in broken)
    world.settle(200)
    world.ready.clear()
    placed = min(replicas, 2 * nodes)
    for name, pause in zip(("svc-2", "svc-3"), pauses, strict=True):
        world.roll_to(name)
        for _ in range(pause):
            world.step()
    world.settle(200)
    assert min(world.ready) >= min(min_available, placed)
    assert len(world.service.pods) <= min(replicas + 1, 2 * nodes)
    if "svc-3" not in broken and (min_available < placed or placed < 2 * nodes):
        assert world.serving == {"svc-3": placed}
