"""What a node with its new mode waits for, and what is said when it waits for too long."""

from dataclasses import replace

import pytest

from support.build import GPU, NOW
from support.switching_world import MINUTE, World, a_server, a_switch, a_trainer, help_for
from trainpush.model.modes import Bounds, Hook, Mode, Setting, Switch, Switching, SwitchStep
from trainpush.model.nodes import Node
from trainpush.model.plan import Condition
from trainpush.model.reasons import Reason

MIG, STATE = "nvidia.com/mig.config", "nvidia.com/mig.config.state"
HOOK = Hook(MIG, {Mode.TRAINING: "whole", Mode.INFERENCE: "sliced"}, STATE)
POLICY = Switching(default=Mode.TRAINING, is_enforced=True, hook=HOOK)
SLICED, WHOLE = Setting(MIG, "sliced", STATE), Setting(MIG, "whole", STATE)


def warming(*states: str, policy: Switching = POLICY, age: int = 1, to: Mode = Mode.INFERENCE) -> World:
    """Nodes n1, … that have turned to `to` so many minutes ago, of which the agent says so; empty for nothing."""
    annotation = a_switch(Mode.TRAINING, to, step=SwitchStep.WARMING, since=NOW - age * MINUTE)
    annotation = replace(annotation, setting=policy.hook.setting(to) if policy.hook else None)
    world = World.of(policy, nodes=len(states), **{f"n{number}": annotation for number, _ in enumerate(states, 1)})
    for (name, node), state in zip(list(world.nodes.items()), states, strict=True):
        world.nodes[name] = labelled(node, **({STATE: state} if state else {}))
    return world


def labelled(node: Node, **labels: str) -> Node:
    """A node with more labels."""
    return replace(node, labels={**node.labels, **labels})


def annotation(world: World) -> Switch | None:
    """What is written on the only node; None where it waits."""
    nodes = world.decide().nodes
    return nodes[0].action.after if nodes else None


def settled(world: World) -> Condition:
    """Whether the nodes have the modes that are wanted."""
    summary = world.decide().summary
    assert summary
    return summary.settled


def test_the_label_comes_with_the_mode_and_stays() -> None:
    """Up to Draining it is the old one, then the new one; the agent is waited for."""
    world = World.of(POLICY, a_server(replicas=1), nodes=1, n1=replace(a_switch(Mode.TRAINING), setting=WHOLE))
    world.nodes["n1"] = labelled(world.nodes["n1"], **{STATE: "success"})
    for _ in range(10):
        world.step()
    assert world.steps("n1") == ["Planned", "Cordoned", "Notified", "Draining", "Flipping", "Warming"]
    assert [it.setting for _, _, it in world.diary] == [WHOLE] * 4 + [SLICED] * 2
    assert STATE not in world.nodes["n1"].labels
    world.nodes["n1"] = labelled(world.nodes["n1"], **{STATE: "success"})
    world.step()
    last = world.diary[-1][2]
    assert (last.mode, last.step, last.setting) == (Mode.INFERENCE, SwitchStep.ACTIVE, SLICED)


@pytest.mark.parametrize("state", ["", "pending", "rebooting", "failed", "Success"])
def test_only_done_is_done(state: str) -> None:
    """Whatever else the agent says."""
    assert annotation(warming(state)) is None


def test_what_was_said_of_another_value_is_not_believed() -> None:
    """Somebody changed the label by hand, and the agent was fast."""
    world = warming("success")
    world.nodes["n1"] = labelled(world.nodes["n1"], **{MIG: "whole"})
    assert annotation(world) is None


def test_an_aborted_switch_never_touched_the_label() -> None:
    """Its annotation says what it said."""
    way = a_switch(Mode.TRAINING, Mode.INFERENCE, step=SwitchStep.DRAINING, since=NOW - MINUTE)
    found = annotation(World.of(POLICY, nodes=1, n1=replace(way, setting=WHOLE)))
    assert found
    assert (found.step, found.setting) == (SwitchStep.ABORTED, WHOLE)


def test_a_mode_without_a_value_leaves_the_label_alone() -> None:
    """And nobody is waited for."""
    world = warming("", to=Mode.SHARED)
    found = annotation(world)
    assert found
    assert (found.step, found.setting) == (SwitchStep.ACTIVE, None)


@pytest.mark.parametrize(
    ("value", "steps"),
    [
        (None, ["Planned", "Cordoned", "Flipping", "Warming", "Active"]),
        ("whole", ["Planned", "Cordoned", "Flipping", "Warming", "Active"]),
        ("sliced", ["Planned", "Cordoned", "Notified", "Draining", "Flipping", "Warming", "Active"]),
    ],
)
def test_nothing_stays_on_accelerators_that_are_configured_anew(value: str | None, steps: list[str]) -> None:
    """Though the new mode would let it: a training on a node that becomes Shared."""
    hook = replace(HOOK, values={Mode.TRAINING: "whole", **({Mode.SHARED: value} if value else {})})
    world = World.of(replace(POLICY, hook=hook), a_trainer("job", "n1"), nodes=1)
    resting = replace(a_switch(Mode.TRAINING), setting=WHOLE)
    world.nodes["n1"] = labelled(replace(world.nodes["n1"], switch=resting), **{MIG: "whole", STATE: "success"})
    world.wishes = {"n1": Mode.SHARED}
    for _ in range(12):
        world.step()
        if world.steps("n1")[-1] == "Warming":
            world.nodes["n1"] = labelled(world.nodes["n1"], **{STATE: "success"})
    assert world.steps("n1") == steps


def test_a_hook_that_is_gone_speaks_of_no_node() -> None:
    """Those at rest are let go, those that warm wait no longer; the label itself stays."""
    resting = World.of(replace(POLICY, hook=None), nodes=1, n1=replace(a_switch(Mode.TRAINING), setting=WHOLE))
    found = annotation(resting)
    assert found == a_switch(Mode.TRAINING)
    resting.step()
    assert resting.nodes["n1"].labels.get(MIG) == "whole"
    assert not resting.step().nodes
    waiting = warming("failed")
    waiting.switching = replace(POLICY, hook=None)
    waiting.settle()
    assert waiting.steps("n1") == ["Active"]


def test_another_value_is_the_remedy_while_nothing_runs() -> None:
    """A node at rest keeps what it has: work runs on it."""
    world = warming("failed", age=60)
    world.switching = replace(POLICY, hook=replace(HOOK, values={Mode.INFERENCE: "halved"}))
    found = annotation(world)
    assert found
    assert (found.step, found.since, found.setting) == (SwitchStep.WARMING, NOW, replace(SLICED, value="halved"))
    world.nodes["n1"] = replace(world.nodes["n1"], switch=replace(a_switch(Mode.INFERENCE), setting=SLICED))
    assert settled(world).holds
    assert annotation(world) is None


def test_accelerators_must_be_there_when_the_agent_is_done() -> None:
    """The device plugin tells of them a moment later; a node in maintenance need not offer any."""
    world = warming("success", age=20)
    world.nodes["n1"] = replace(world.nodes["n1"], allocatable={"pods": 110_000, GPU: 0})
    assert (
        settled(world).message == "n1 does not get ready for Inference: it offers nothing of spec.acceleratorResources"
    )
    world.nodes["n1"] = replace(world.nodes["n1"], unhealthy=True)
    assert "not all of its accelerators are healthy" in settled(world).message
    hook = replace(HOOK, values={Mode.MAINTENANCE: "off"})
    laid_up = warming("success", to=Mode.MAINTENANCE, policy=replace(POLICY, hook=hook))
    laid_up.nodes["n1"] = replace(laid_up.nodes["n1"], allocatable={})
    found = annotation(laid_up)
    assert found
    assert found.step is SwitchStep.ACTIVE


def test_what_does_not_get_ready_in_time_is_told_and_goes_on() -> None:
    """With what is missing; at the deadline the operator looks again by itself."""
    early = warming("pending", age=14).decide()
    assert early.wake_at == NOW + MINUTE
    world = warming("pending", age=15)
    assert settled(world) == Condition(
        False, Reason.NOT_READY_IN_TIME, f"n1 does not get ready for Inference: {STATE} is pending"
    )
    assert world.decide().wake_at is None
    world.nodes["n1"] = labelled(world.nodes["n1"], **{STATE: "success"})
    world.settle()
    assert world.steps("n1")[0] == "Active"


def test_what_has_failed_is_told_at_once() -> None:
    """Waiting does not help."""
    said = f"n1 does not get ready for Inference: {STATE} is failed"
    assert settled(warming("failed", age=0)) == Condition(False, Reason.NOT_READY_IN_TIME, said)


def test_nothing_is_said_of_a_broken_node_that_goes_to_maintenance() -> None:
    """That is where it belongs."""
    world = warming("", to=Mode.MAINTENANCE, age=600)
    world.nodes["n1"] = replace(world.nodes["n1"], unhealthy=True)
    assert settled(world).reason == Reason.SWITCHING


def test_nothing_begins_while_two_do_not_get_ready() -> None:
    """One of them holds up nobody: it is as if it were stuck."""
    service = a_server(replicas=8)
    for states, begins in ((["failed", "success", "success"], True), (["failed", "failed", "success"], False)):
        world = warming(*states, policy=replace(POLICY, max_concurrent=1))
        world.nodes["n3"] = replace(world.nodes["n3"], switch=replace(a_switch(Mode.TRAINING), setting=WHOLE))
        world.nodes["n2"] = world.nodes["n2"] if not begins else replace(world.nodes["n3"], name="n2")
        world.services[service.key] = service
        planned = [
            it.name for it in world.decide().nodes if it.action.after and it.action.after.step is SwitchStep.PLANNED
        ]
        assert bool(planned) is begins


def test_who_waits_hears_that_a_hook_takes_its_time() -> None:
    """The deadline counts for draining and for warming."""
    way = a_switch(Mode.TRAINING, Mode.INFERENCE, step=SwitchStep.NOTIFIED, since=NOW)
    service = a_server(replicas=1)
    help_ = help_for(World.of(POLICY, service, nodes=1, n1=way).decide(), service)
    assert help_.message.endswith("until 2026-01-01T12:31:00Z at most")


@pytest.mark.parametrize("least", [0, 1])
def test_nobody_waits_for_a_node_that_is_late(least: int) -> None:
    """Another one is taken, for who waits and for what a mode has at least."""
    policy = replace(POLICY, bounds={Mode.INFERENCE: Bounds(least)})
    late = a_switch(Mode.TRAINING, Mode.INFERENCE, step=SwitchStep.WARMING, since=NOW - 60 * MINUTE, setting=SLICED)
    server = a_server(replicas=1 - least)
    world = World.of(policy, server, nodes=2, n1=late, n2=a_switch(Mode.TRAINING))
    planned = [it.name for it in world.decide().nodes if it.action.after and it.action.after.step is SwitchStep.PLANNED]
    assert planned == ["n2"]


def test_people_may_take_back_a_node_that_is_late() -> None:
    """It is empty; with the configuration of the mode that they want."""
    world = warming("failed")
    world.wishes = {"n1": Mode.TRAINING}
    found = annotation(world)
    assert found
    assert (found.to, found.step) == (Mode.TRAINING, SwitchStep.FLIPPING)
    world.step()
    world.step()
    assert world.diary[-1][2].setting == WHOLE
