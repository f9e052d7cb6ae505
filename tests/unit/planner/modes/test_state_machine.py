"""How far a node goes: what each step waits for, and when there is a way back."""

from dataclasses import replace

import pytest

from support.build import NOW
from support.switching_world import MINUTE, World, a_server, a_switch, a_trainer
from trainpush.model.actions import EndPod
from trainpush.model.modes import Mode, Switching, SwitchStep
from trainpush.model.workload import Eviction, Job, Phase, Worker
from trainpush.planner.places import Owner

POLICY = Switching(default=Mode.TRAINING, is_enforced=True)
EARLY = [SwitchStep.PLANNED, SwitchStep.CORDONED, SwitchStep.NOTIFIED, SwitchStep.DRAINING, SwitchStep.STUCK]


def on_its_way(step: SwitchStep, *work: Job, policy: Switching = POLICY, age: int = 1) -> World:
    """A node that is wanted for a replica, and has been at `step` for so many minutes."""
    annotation = a_switch(Mode.TRAINING, Mode.INFERENCE, step=step, since=NOW - age * MINUTE)
    return World.of(policy, *work, a_server(replicas=1), nodes=1, n1=annotation)


def after(world: World) -> SwitchStep | None:
    """The step that is written; None where the node waits."""
    decided = world.decide()
    annotations = [it.action.after for it in decided.nodes]
    return annotations[0].step if annotations and annotations[0] else None


@pytest.mark.parametrize(
    ("step", "then"),
    [
        (SwitchStep.PLANNED, SwitchStep.CORDONED),
        (SwitchStep.CORDONED, SwitchStep.NOTIFIED),
        (SwitchStep.NOTIFIED, SwitchStep.DRAINING),
        (SwitchStep.DRAINING, SwitchStep.FLIPPING),
        (SwitchStep.STUCK, SwitchStep.FLIPPING),
        (SwitchStep.FLIPPING, SwitchStep.WARMING),
        (SwitchStep.WARMING, SwitchStep.ACTIVE),
    ],
)
def test_an_empty_node_waits_for_nothing(step: SwitchStep, then: SwitchStep) -> None:
    """But it takes every step."""
    assert after(on_its_way(step)) is then


def test_it_has_its_new_mode_at_the_end() -> None:
    """And tells what it was."""
    decided = on_its_way(SwitchStep.WARMING).decide()
    annotation = decided.nodes[0].action.after
    assert annotation
    assert (annotation.mode, annotation.to, annotation.since) == (Mode.INFERENCE, Mode.INFERENCE, NOW)
    assert decided.summary
    finished = decided.summary.finished[0]
    assert (finished.old, finished.new, finished.outcome) == (Mode.TRAINING, Mode.INFERENCE, SwitchStep.ACTIVE)


def test_everybody_is_told_before_it_drains() -> None:
    """An eviction stands in the status of every gang there."""
    job = a_trainer("job", "n1")
    assert after(on_its_way(SwitchStep.NOTIFIED, job)) is None
    told = replace(job.recorded, eviction=Eviction("node n1", "ModeSwitch", "goes"))
    assert after(on_its_way(SwitchStep.NOTIFIED, replace(job, recorded=told))) is SwitchStep.DRAINING


def test_it_drains_until_the_last_pod_is_gone() -> None:
    """Also of a job that has no place there any more."""
    pod = Worker("job-0", "uid-0", 1, 0, Phase.RUNNING, "n1", deleting=True)
    going = replace(a_trainer(), workers=(pod,))
    assert after(on_its_way(SwitchStep.DRAINING, going)) is None
    assert (
        after(on_its_way(SwitchStep.DRAINING, replace(going, workers=(replace(pod, phase=Phase.FAILED),))))
        is SwitchStep.FLIPPING
    )


@pytest.mark.parametrize("step", [SwitchStep.NOTIFIED, SwitchStep.DRAINING])
def test_it_is_stuck_at_the_deadline(step: SwitchStep) -> None:
    """And told so, with who is still there."""
    world = on_its_way(step, a_trainer("job", "n1"), age=15)
    decided = world.decide()
    assert after(world) is SwitchStep.STUCK
    assert decided.summary
    assert decided.summary.settled.message.startswith(
        "n1: what runs there did not go in time; still there: default/job"
    )
    assert on_its_way(step, a_trainer("job", "n1"), age=14).decide().wake_at == NOW + MINUTE


def test_what_is_stuck_is_ended_where_that_is_wanted() -> None:
    """Only then, and only pods of ours."""
    pod = Worker("job-0", "uid-0", 1, 0, Phase.RUNNING, "n1")
    job = replace(a_trainer("job", "n1"), workers=(pod,))
    assert not on_its_way(SwitchStep.STUCK, job).decide().removals
    forced = on_its_way(SwitchStep.STUCK, job, policy=replace(POLICY, is_forced=True)).decide()
    assert forced.removals == {Owner(job.key, is_service=False): (EndPod("job-0", "uid-0"),)}


@pytest.mark.parametrize("step", EARLY)
def test_it_goes_back_when_nobody_needs_it(step: SwitchStep) -> None:
    """Whatever has been given way comes back by itself."""
    world = on_its_way(step, a_trainer("job", "n1"))
    world.services.clear()
    annotation = world.decide().nodes[0].action.after
    assert annotation
    assert (annotation.mode, annotation.to, annotation.step) == (Mode.TRAINING, Mode.TRAINING, SwitchStep.ABORTED)


@pytest.mark.parametrize("step", [*EARLY, SwitchStep.STUCK])
def test_one_that_is_lost_on_its_way_goes_back(step: SwitchStep) -> None:
    """Whoever waits for it gets another one; what hangs there is told of by its own job."""
    world = on_its_way(step, a_trainer("job", "n1"), age=20)
    world.nodes["n1"] = replace(world.nodes["n1"], ready=False)
    assert after(world) is SwitchStep.ABORTED


@pytest.mark.parametrize("step", [SwitchStep.FLIPPING, SwitchStep.WARMING])
def test_an_empty_node_goes_on_all_the_same(step: SwitchStep) -> None:
    """There is nothing to be saved any more."""
    world = on_its_way(step)
    world.services.clear()
    assert after(world) not in {None, SwitchStep.ABORTED}


def test_it_warms_until_it_is_ready_and_healthy() -> None:
    """However long that takes."""
    world = on_its_way(SwitchStep.WARMING, age=600)
    world.nodes["n1"] = replace(world.nodes["n1"], unhealthy=True)
    assert after(world) is None
    world.nodes["n1"] = replace(world.nodes["n1"], unhealthy=False, ready=False)
    assert after(world) is None


@pytest.mark.parametrize("step", EARLY)
def test_a_dry_run_ends_what_is_under_way(step: SwitchStep) -> None:
    """No node is left unusable when the policy changes."""
    assert after(on_its_way(step, policy=replace(POLICY, is_enforced=False))) is SwitchStep.ABORTED


@pytest.mark.parametrize("step", [SwitchStep.FLIPPING, SwitchStep.WARMING])
def test_a_dry_run_leaves_no_node_half_way(step: SwitchStep) -> None:
    """What is empty already gets its new mode, and keeps its mark."""
    world = on_its_way(step, policy=replace(POLICY, is_enforced=False))
    world.services.clear()
    world.settle()
    assert (world.modes(), world.steps("n1")[-1]) == ({"n1": Mode.INFERENCE}, "Active")


@pytest.mark.parametrize("step", [SwitchStep.FLIPPING, SwitchStep.WARMING])
def test_a_node_that_is_not_empty_has_not_turned(step: SwitchStep) -> None:
    """Whatever somebody wrote there by hand: what runs on it is told, or stays where nobody needs the node."""
    job = a_trainer("job", "n1")
    assert after(on_its_way(step, job)) is SwitchStep.CORDONED
    world = on_its_way(step, job)
    world.services.clear()
    world.settle()
    assert (world.modes(), world.steps("n1")[-1]) == ({"n1": Mode.TRAINING}, "Aborted")


def test_a_gang_that_came_meanwhile_and_is_protected_stays() -> None:
    """Nothing was told to anybody before the node was cordoned."""
    job = a_trainer("job", "n1", min_runtime=10 * MINUTE)
    assert after(on_its_way(SwitchStep.CORDONED, job)) is SwitchStep.ABORTED
    assert after(on_its_way(SwitchStep.DRAINING, job)) is None


def test_another_node_takes_the_place_of_one_that_is_stuck() -> None:
    """And the one that is stuck goes back when that has helped."""
    stuck = a_switch(Mode.TRAINING, Mode.INFERENCE, step=SwitchStep.STUCK, since=NOW - MINUTE)
    pod = Worker("job-0", "uid-0", 1, 0, Phase.RUNNING, "n1")
    job = replace(a_trainer("job"), workers=(pod,))
    world = World.of(POLICY, job, a_server(replicas=1), nodes=2, n1=stuck, n2=a_switch(Mode.TRAINING))
    world.step()
    assert world.steps("n2") == ["Planned"]
    world.settle()
    assert world.modes() == {"n1": Mode.TRAINING, "n2": Mode.INFERENCE}


def test_nodes_get_a_mark_where_their_default_keeps_others_away() -> None:
    """Shared ones need none."""
    world = World.of(POLICY, nodes=1)
    annotation = world.decide().nodes[0].action.after
    assert annotation
    assert (annotation.mode, annotation.step) == (Mode.TRAINING, SwitchStep.ACTIVE)
    assert not World.of(replace(POLICY, default=Mode.SHARED), nodes=1).decide().nodes
    assert not World.of(replace(POLICY, is_enforced=False), nodes=1).decide().nodes
