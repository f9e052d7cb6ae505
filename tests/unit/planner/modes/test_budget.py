"""What keeps switches from beginning, and from going on."""

from dataclasses import replace
from datetime import timedelta

import pytest

from support.build import NOW
from support.switching_world import MINUTE, World, a_server, a_switch, a_trainer, help_for
from trainpush.model.modes import Mode, Switching, SwitchStep
from trainpush.model.plan import Condition
from trainpush.model.reasons import Reason
from trainpush.planner.modes.mode_switch import ModeDecision

POLICY = Switching(default=Mode.TRAINING, is_enforced=True, max_concurrent=2)
TRAINING = {f"n{number}": a_switch(Mode.TRAINING) for number in range(1, 9)}
SERVER = a_server(replicas=8)


def begun(decided: ModeDecision) -> list[str]:
    """Nodes that are planned now."""
    return [it.name for it in decided.nodes if it.action.after and it.action.after.step is SwitchStep.PLANNED]


def test_only_so_many_at_a_time() -> None:
    """The next begin when these are done."""
    world = World.of(POLICY, SERVER, nodes=8, **TRAINING)
    decided = world.step()
    assert begun(decided) == ["n1", "n2"]
    assert not begun(world.step())
    assert help_for(decided, SERVER).is_coming


def test_of_too_many_planned_ones_the_first_go_on() -> None:
    """Whoever took over in between may have planned some more."""
    annotations = {
        name: a_switch(Mode.TRAINING, Mode.INFERENCE, begun=NOW - timedelta(seconds=number), since=NOW)
        for number, name in enumerate(["n1", "n2", "n3"])
    }
    decided = World.of(POLICY, SERVER, nodes=3, **annotations).decide()
    assert [it.name for it in decided.nodes] == ["n2", "n3"]


def test_only_so_many_an_hour() -> None:
    """Who waits hears until when."""
    world = World.of(replace(POLICY, per_hour=3), SERVER, nodes=8, **TRAINING)
    world.history = [(f"n{age}", NOW - age * MINUTE) for age in (61, 50, 40, 30)]
    decided = world.decide()
    assert not begun(decided)
    helping = help_for(decided, SERVER)
    assert (helping.is_coming, helping.reason) == (False, Reason.SWITCHES_USED_UP)
    assert decided.wake_at == NOW + 10 * MINUTE
    world.history.pop()
    assert len(begun(world.decide())) == 1


def test_a_lost_history_is_read_from_the_marks() -> None:
    """Each node tells when its latest switch began."""
    young = a_switch(Mode.INFERENCE, begun=NOW - MINUTE, since=NOW)
    world = World.of(replace(POLICY, per_hour=1), SERVER, nodes=8, **{**TRAINING, "n1": young})
    assert not begun(world.decide())


@pytest.mark.parametrize(("lost", "is_trouble"), [(1, False), (2, False), (3, True)])
def test_nothing_begins_in_larger_trouble(lost: int, is_trouble: bool) -> None:
    """More than a quarter of the nodes, and at least two, are not ready."""
    world = World.of(POLICY, SERVER, nodes=8, **TRAINING)
    for number in range(lost):
        world.nodes[f"n{8 - number}"] = replace(world.nodes[f"n{8 - number}"], ready=False)
    decided = world.decide()
    assert bool(begun(decided)) is not is_trouble
    if is_trouble:
        assert decided.summary
        assert decided.summary.settled.reason == Reason.FROZEN
        assert help_for(decided, SERVER).message.endswith("since 3 of 8 nodes are not ready")


def test_nothing_begins_while_two_are_stuck() -> None:
    """Nor does what is only planned go on."""
    stuck = a_switch(Mode.TRAINING, Mode.INFERENCE, step=SwitchStep.STUCK, since=NOW)
    planned = a_switch(Mode.TRAINING, Mode.INFERENCE, begun=NOW, since=NOW)
    jobs = [a_trainer(f"j{number}", f"n{number}") for number in (1, 2)]
    world = World.of(POLICY, *jobs, SERVER, nodes=8, **{**TRAINING, "n1": stuck, "n2": stuck, "n3": planned})
    assert not world.decide().nodes


def test_a_node_of_a_service_that_rolls_out_is_left_alone() -> None:
    """Even if people want it otherwise."""
    service = a_server("svc", "n1")
    world = World.of(POLICY, service, nodes=1, n1=a_switch(Mode.INFERENCE))
    world.wishes = {"n1": Mode.TRAINING}
    assert begun(world.decide())
    place = service.places[0]
    world.services[service.key] = replace(
        service, replicas=2, places=(place, replace(place, serial=2, revision="other"))
    )
    decided = world.decide()
    assert not begun(decided)
    assert decided.summary
    said = "n1 does not become Training yet: a service on it rolls out"
    assert decided.summary.settled == Condition(False, Reason.BOUNDS_NOT_MET, said)
