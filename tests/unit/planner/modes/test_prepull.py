"""Images that a node pulls before it takes work: which pods are made for that, and what is waited for."""

from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from support.build import NOW
from support.switching_world import MINUTE, World, a_switch
from trainpush.model.actions import MakePrepullPod, PoolAction, RemovePrepullPod
from trainpush.model.modes import Mode, PrepullPod, Switching, SwitchStep, digest_of
from trainpush.model.plan import Condition
from trainpush.model.reasons import Reason
from trainpush.planner.modes import prepull
from trainpush.planner.modes.mode_switch import ModeDecision

IMAGES = ("triton:1", "train:2")
POLICY = Switching(default=Mode.TRAINING, is_enforced=True, warm_images=IMAGES)
REMOVE = RemovePrepullPod("warm-n1", "uid")


def a_prepull_pod(*pulled: int, node: str = "n1", **fields: Any) -> PrepullPod:
    """The pod of a node, which has pulled the images at these positions."""
    defaults: dict[str, Any] = {"digest": digest_of(IMAGES), "created": NOW, "pulled": frozenset(pulled)}
    return PrepullPod(f"warm-{node}", "uid", node, **defaults | fields)


def a_world(
    *there: PrepullPod, step: SwitchStep = SwitchStep.WARMING, to: Mode = Mode.INFERENCE, **policy: Any
) -> World:
    """One node at a step on its way, with such pods."""
    annotation = a_switch(Mode.TRAINING, to, step=step, since=NOW - MINUTE)
    world = World.of(replace(POLICY, **policy), nodes=1, n1=annotation)
    world.prepull_pods = list(there)
    return world


def actions(world: World) -> tuple[PoolAction, ...]:
    """What is done now."""
    return world.decide().actions


def settled(decided: ModeDecision) -> Condition:
    """What the pool says."""
    assert decided.summary
    return decided.summary.settled


def test_a_pod_is_made_when_the_node_stands_at_warming() -> None:
    """Not before that is written; and none while one is there."""
    assert not actions(a_world(step=SwitchStep.FLIPPING))
    assert actions(a_world()) == (MakePrepullPod("n1", IMAGES),)
    assert not actions(a_world(a_prepull_pod()))
    assert not actions(a_world(a_prepull_pod(), replace(a_prepull_pod(node="n1"), deleting=True)))


@pytest.mark.parametrize("fields", [{"to": Mode.MAINTENANCE}, {"warm_images": ()}], ids=str)
def test_no_pod_where_there_is_nothing_to_pull(fields: dict[str, Any]) -> None:
    """Such a node is ready at once."""
    decided = a_world(**fields).decide()
    assert not decided.actions
    assert [it.action.after.step for it in decided.nodes if it.action.after] == [SwitchStep.ACTIVE]


def test_no_pod_for_a_node_that_does_not_answer() -> None:
    """It would only be taken away again."""
    world = a_world()
    world.nodes["n1"] = replace(world.nodes["n1"], ready=False)
    assert not actions(world)


def test_all_images_are_waited_for() -> None:
    """Each is named with what the kubelet says, as long as it is missing."""
    slow = a_prepull_pod(1, troubles={0: "ImagePullBackOff: no such host"})
    decided = a_world(slow).decide()
    assert not decided.nodes
    said = "1 node on the way to another mode; n1 waits: image triton:1: ImagePullBackOff: no such host"
    assert settled(decided) == Condition(False, Reason.SWITCHING, said)
    late = a_world(slow)
    late.now += timedelta(minutes=14)
    said = "n1 does not get ready for Inference: image triton:1: ImagePullBackOff: no such host"
    assert settled(late.decide()) == Condition(False, Reason.NOT_READY_IN_TIME, said)
    assert [it.action.after.step for it in a_world(a_prepull_pod(0, 1)).decide().nodes if it.action.after] == [
        SwitchStep.ACTIVE
    ]


def test_a_refused_pod_is_told() -> None:
    """By the words of the API server."""
    pool = replace(a_world().pool, trouble="pods is forbidden")
    assert list(prepull.awaited(pool, "n1", pool.switches["n1"])) == [(image, "pods is forbidden") for image in IMAGES]


@pytest.mark.parametrize("step", [SwitchStep.ACTIVE, SwitchStep.ABORTED, SwitchStep.FLIPPING])
def test_a_pod_goes_when_its_node_does_not_warm(step: SwitchStep) -> None:
    """Once only."""
    world = a_world(
        a_prepull_pod(0, 1), step=step, to=Mode.TRAINING if step is not SwitchStep.FLIPPING else Mode.INFERENCE
    )
    assert actions(world) == (REMOVE,)
    world.prepull_pods = [replace(a_prepull_pod(0, 1), deleting=True)]
    assert not actions(world)


def test_pods_go_with_the_modes_and_with_their_node() -> None:
    """Whatever they were made for."""
    world = a_world(a_prepull_pod(node="gone"))
    assert RemovePrepullPod("warm-gone", "uid") in actions(world)
    bare = replace(a_world(a_prepull_pod()).pool, switching=None)
    assert prepull.actions(bare, NOW) == (REMOVE,)


def test_other_images_are_another_pod() -> None:
    """What the first one pulled counts for nothing."""
    world = a_world(a_prepull_pod(0, 1), warm_images=("triton:2",))
    assert actions(world) == (REMOVE, MakePrepullPod("n1", ("triton:2",)))
    assert not [it for it in world.decide().nodes if it.action.after and it.action.after.step is SwitchStep.ACTIVE]


def test_a_pod_that_ended_early_is_made_again_a_minute_after_it_began() -> None:
    """Such as one that was evicted, or that a kubelet turned away."""
    world = a_world(a_prepull_pod(0, is_over=True))
    decided = world.decide()
    assert (decided.actions, decided.wake_at) == ((), NOW + MINUTE)
    world.now += MINUTE
    assert actions(world) == (REMOVE,)
    world.prepull_pods = []
    assert actions(world) == (MakePrepullPod("n1", IMAGES),)


def test_a_pod_that_ended_with_all_images_has_done_its_part() -> None:
    """Its containers cannot start; that is as it should be."""
    world = a_world(a_prepull_pod(0, 1, is_over=True))
    world.now += timedelta(hours=1)
    decided = world.decide()
    assert not decided.actions
    assert [it.action.after.step for it in decided.nodes if it.action.after] == [SwitchStep.ACTIVE]
