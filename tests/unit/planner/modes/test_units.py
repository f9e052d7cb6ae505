"""Racks that change their mode as a whole."""

from dataclasses import replace

from support.build import NOW
from support.switching_world import MINUTE, World, a_server, a_switch, a_trainer, help_for
from trainpush.model.modes import Bounds, Mode, Switch, Switching, SwitchStep

POLICY = Switching(default=Mode.TRAINING, is_enforced=True, unit="rack", max_concurrent=9)
TRAINING = a_switch(Mode.TRAINING)


def marks(nodes: int, switch: Switch = TRAINING) -> dict[str, Switch]:
    """The same annotation on every node."""
    return {f"n{number}": switch for number in range(1, nodes + 1)}


def begun(world: World) -> list[str]:
    """Nodes that begin to switch now."""
    return [it.name for it in world.decide().nodes if it.action.after and it.action.after.step is SwitchStep.PLANNED]


def test_one_replica_moves_a_whole_rack() -> None:
    """And no node of another one."""
    world = World.of(POLICY, a_server(replicas=1), nodes=4, **marks(4)).in_racks(2)
    world.settle()
    modes = world.modes()
    assert [modes[f"n{number}"] for number in range(1, 5)] == [Mode.INFERENCE] * 2 + [Mode.TRAINING] * 2


def test_the_rack_that_loses_least_goes() -> None:
    """All of its nodes count."""
    old, young = a_trainer("a", "n2", age=900), a_trainer("b", "n4", age=300)
    world = World.of(POLICY, old, young, a_server(replicas=1), nodes=4, **marks(4)).in_racks(2)
    assert begun(world) == ["n3", "n4"]


def test_a_gang_that_is_hit_twice_loses_its_work_once() -> None:
    """Two gangs on two nodes lose more than one gang on both."""
    wide, left, right = (
        a_trainer("w", "n1", "n2", age=300),
        a_trainer("l", "n3", age=200),
        a_trainer("r", "n4", age=450),
    )
    world = World.of(POLICY, wide, left, right, a_server(replicas=1), nodes=4, **marks(4)).in_racks(2)
    assert begun(world) == ["n1", "n2"]


def test_one_replica_keeps_its_rack() -> None:
    """The node beside it stays, though it is empty."""
    serving = marks(2, a_switch(Mode.INFERENCE))
    world = World.of(POLICY, a_server("svc", "n1"), a_trainer(workers=1), nodes=2, **serving).in_racks(2)
    assert begun(world) == []


def test_bounds_hold_for_the_whole_rack() -> None:
    """A rack of two is one too many; and who waits hears of it."""
    policy = replace(POLICY, bounds={Mode.INFERENCE: Bounds(0, 1)})
    server = a_server(replicas=1)
    world = World.of(policy, server, nodes=4, **marks(4)).in_racks(2)
    assert begun(world) == []
    assert not help_for(world.decide(), server).is_coming


def test_limits_count_racks() -> None:
    """One at a time; one an hour."""
    for policy in (replace(POLICY, max_concurrent=1), replace(POLICY, per_hour=1)):
        world = World.of(policy, a_server(replicas=4), nodes=4, **marks(4)).in_racks(2)
        assert begun(world) == ["n1", "n2"]
    world.settle()
    assert list(world.modes().values()).count(Mode.INFERENCE) == 2


def test_a_rack_turns_together() -> None:
    """The empty node waits until the other one is empty too; so either all of it changes or nothing."""
    world = World.of(POLICY, a_trainer("job", "n2", is_asked=True), a_server(replicas=1), nodes=2, **marks(2)).in_racks(
        2
    )
    world.settle()
    flips = {name: at for at, name, switch in world.diary if switch.step is SwitchStep.FLIPPING}
    drains = {name: at for at, name, switch in world.diary if switch.step is SwitchStep.DRAINING}
    assert flips["n1"] == flips["n2"]
    assert flips["n1"] > drains["n1"]


def test_who_was_left_behind_follows() -> None:
    """The operator may end between two writes."""
    half = {"n1": a_switch(Mode.TRAINING, Mode.INFERENCE, begun=NOW - MINUTE, since=NOW), "n2": TRAINING}
    world = World.of(replace(POLICY, max_concurrent=1), a_server(replicas=1), nodes=2, **half).in_racks(2)
    assert begun(world) == ["n2"]


def test_a_broken_node_does_not_keep_the_others() -> None:
    """It comes along once it is well."""
    world = World.of(POLICY, a_server(replicas=1), nodes=2, **marks(2)).in_racks(2)
    world.nodes["n2"] = replace(world.nodes["n2"], ready=False)
    assert begun(world) == ["n1"]


def test_people_move_single_nodes() -> None:
    """Maintenance of one node is no matter of its rack, which may switch without it."""
    world = World.of(POLICY, a_server(replicas=1), nodes=3, **marks(3)).in_racks(3)
    world.wishes = {"n2": Mode.MAINTENANCE}
    world.settle()
    assert world.modes() == {"n1": Mode.INFERENCE, "n2": Mode.MAINTENANCE, "n3": Mode.INFERENCE}


def test_a_rack_that_is_stuck_does_not_keep_another_one() -> None:
    """Not even where some of its nodes are empty by now: they wait for the rest."""
    stuck = a_switch(
        Mode.TRAINING, Mode.INFERENCE, step=SwitchStep.STUCK, begun=NOW - 60 * MINUTE, since=NOW - 9 * MINUTE
    )
    nodes = marks(4) | {"n1": stuck, "n2": stuck}
    policy = replace(POLICY, max_concurrent=1)
    world = World.of(policy, a_trainer("deaf", "n2"), a_server(replicas=1), nodes=4, **nodes).in_racks(2)
    assert begun(world) == ["n3", "n4"]
    settled = world.decide().summary
    assert settled
    assert settled.settled.message.startswith("n2: what runs there did not go in time; still there: default/deaf;")


def test_wishes_for_single_nodes_do_not_wait_for_each_other() -> None:
    """The empty one goes, whatever becomes of the other."""
    leaving = a_switch(Mode.TRAINING, Mode.MAINTENANCE, step=SwitchStep.DRAINING, begun=NOW - MINUTE, since=NOW)
    world = World.of(POLICY, a_trainer("job", "n2"), nodes=2, n1=leaving, n2=leaving).in_racks(2)
    world.wishes = {"n1": Mode.MAINTENANCE, "n2": Mode.MAINTENANCE}
    found = {it.name: it.action.after.step for it in world.decide().nodes if it.action.after}
    assert found == {"n1": SwitchStep.FLIPPING}


def test_a_wish_that_is_dropped_late_takes_nobody_along() -> None:
    """The gang on the rest of the rack goes on, and the node comes back to it."""
    world = World.of(POLICY, a_trainer("job", "n2", "n3"), nodes=3, **marks(3)).in_racks(3)
    world.wishes = {"n1": Mode.INFERENCE}
    while world.steps("n1")[-1:] != ["Flipping"]:
        world.step()
    world.wishes = {}
    world.settle()
    assert world.steps("n2") == world.steps("n3") == []


def test_a_node_on_its_way_to_maintenance_lends_its_rack_no_switch() -> None:
    """Neither a slot nor one of those in an hour."""
    world = World.of(replace(POLICY, per_hour=1), a_server(replicas=1), nodes=2, **marks(2)).in_racks(2)
    world.history = [("n9", NOW - MINUTE)]
    world.wishes = {"n1": Mode.MAINTENANCE}
    assert begun(world) == ["n1"]


def test_who_is_still_under_way_is_not_left_by_those_that_have_arrived() -> None:
    """Its last writes may have come too late."""
    then = NOW - MINUTE
    arrived = a_switch(Mode.INFERENCE, begun=then, since=NOW)
    late = a_switch(Mode.TRAINING, Mode.INFERENCE, step=SwitchStep.DRAINING, begun=then, since=then)
    world = World.of(POLICY, nodes=2, n1=arrived, n2=late).in_racks(2)
    world.settle()
    assert world.modes() == {"n1": Mode.INFERENCE, "n2": Mode.INFERENCE}


def test_what_has_begun_ends_although_many_nodes_are_lost() -> None:
    """Else the rest of the rack waits for it until it is stuck, which is trouble too."""
    ahead = a_switch(Mode.TRAINING, Mode.INFERENCE, step=SwitchStep.DRAINING, begun=NOW - MINUTE, since=NOW)
    behind = replace(ahead, step=SwitchStep.PLANNED)
    world = World.of(POLICY, a_server(replicas=1), nodes=6, **marks(6) | {"n1": ahead, "n2": behind}).in_racks(2)
    for name in ("n5", "n6"):
        world.nodes[name] = replace(world.nodes[name], ready=False)
    found = {it.name: it.action.after.step for it in world.decide().nodes if it.action.after}
    assert found == {"n2": SwitchStep.CORDONED}
