"""Racks that change their mode as a whole."""

from dataclasses import replace

from support.build import NOW
from support.switching_world import MINUTE, World, a_server, a_switch, a_trainer
from trainpush.model.modes import Bounds, Mode, Step, Switch, Switching

POLICY = Switching(default=Mode.TRAINING, is_enforced=True, unit="rack", max_concurrent=9)
TRAINING = a_switch(Mode.TRAINING)


def marks(nodes: int, switch: Switch = TRAINING) -> dict[str, Switch]:
    """The same mark on every node."""
    return {f"n{number}": switch for number in range(1, nodes + 1)}


def begun(world: World) -> list[str]:
    """Nodes that begin to switch now."""
    return [it.name for it in world.decide().nodes if it.act.after and it.act.after.step is Step.PLANNED]


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
    assert not world.decide().help[server.key].is_coming


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
    flips = {name: at for at, name, switch in world.diary if switch.step is Step.FLIPPING}
    drains = {name: at for at, name, switch in world.diary if switch.step is Step.DRAINING}
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
