"""What people want of single nodes."""

from dataclasses import replace

from support.build import NOW
from support.switching_world import World, a_server, a_switch, a_trainer
from trainpush.model.modes import Bounds, Mode, Switching, SwitchStep
from trainpush.model.plan import AnnotateNode, NodeDecision
from trainpush.model.snapshot import Snapshot
from trainpush.model.workload import Preemption
from trainpush.planner.modes.mode_switch import on_nodes

POLICY = Switching(default=Mode.TRAINING, is_enforced=True)
TRAINING = a_switch(Mode.TRAINING)


def test_a_wish_needs_no_demand_nor_least_time() -> None:
    """Nor does it spare a gang that nobody else may disturb."""
    job = a_trainer("job", "n1", preemption=Preemption.NEVER)
    world = World.of(POLICY, job, nodes=2, n1=a_switch(Mode.TRAINING, since=NOW), n2=TRAINING)
    world.wishes = {"n1": Mode.INFERENCE}
    world.settle()
    assert world.modes() == {"n1": Mode.INFERENCE, "n2": Mode.TRAINING}


def test_a_node_stays_as_people_want_it() -> None:
    """As long as they do."""
    world = World.of(POLICY, a_server(replicas=1), nodes=1, n1=TRAINING)
    world.wishes = {"n1": Mode.TRAINING}
    assert not world.decide().nodes
    world.wishes = {}
    assert world.decide().nodes


def test_bounds_hold_for_people_too() -> None:
    """They hear it."""
    world = World.of(replace(POLICY, bounds={Mode.TRAINING: Bounds(2)}), nodes=2, n1=TRAINING, n2=TRAINING)
    world.wishes = {"n1": Mode.INFERENCE}
    decided = world.decide()
    assert not decided.nodes
    assert decided.summary
    said = "n1 does not become Inference as people want: the bounds do not let it"
    assert decided.summary.settled.message == said


def test_maintenance_may_break_bounds_and_comes_home() -> None:
    """A broken machine serves nobody."""
    policy = replace(POLICY, bounds={Mode.TRAINING: Bounds(2)})
    world = World.of(policy, a_trainer("job", "n1"), nodes=2, n1=TRAINING, n2=TRAINING)
    world.wishes = {"n1": Mode.MAINTENANCE}
    world.settle()
    assert world.modes() == {"n1": Mode.MAINTENANCE, "n2": Mode.TRAINING}
    decided = world.decide()
    assert decided.summary
    assert decided.summary.settled.message == "Training needs 2 nodes, and 1 of 1 is left for it"
    world.wishes = {}
    world.settle()
    assert world.modes() == {"n1": Mode.TRAINING, "n2": Mode.TRAINING}


def test_maintenance_begins_in_larger_trouble() -> None:
    """That is when it is needed."""
    world = World.of(POLICY, nodes=4, **{f"n{i}": TRAINING for i in range(1, 5)})
    for name in ("n3", "n4"):
        world.nodes[name] = replace(world.nodes[name], ready=False)
    world.wishes = {"n1": Mode.MAINTENANCE, "n2": Mode.INFERENCE}
    assert [it.name for it in world.decide().nodes] == ["n1"]


def test_another_wish_in_the_middle_turns_it_back() -> None:
    """It goes home first."""
    way = a_switch(Mode.TRAINING, Mode.INFERENCE, step=SwitchStep.DRAINING, since=NOW)
    world = World.of(POLICY, a_trainer("job", "n1"), a_server(replicas=1), nodes=1, n1=way)
    world.wishes = {"n1": Mode.TRAINING}
    annotation = world.decide().nodes[0].action.after
    assert annotation
    assert annotation.step is SwitchStep.ABORTED


def test_replicas_of_a_node_that_people_want_elsewhere_get_another() -> None:
    """Before, not after: users wait for nothing."""
    world = World.of(POLICY, a_server("svc", "n1"), nodes=2, n1=a_switch(Mode.INFERENCE), n2=TRAINING)
    world.wishes = {"n1": Mode.MAINTENANCE}
    world.settle()
    assert world.modes() == {"n1": Mode.MAINTENANCE, "n2": Mode.INFERENCE}


def test_orphans_lose_their_marks() -> None:
    """Nodes that no pool has any more."""
    snapshot = Snapshot(pools=(), jobs=(), orphans=(("n1", TRAINING), ("n2", None)))
    wanted = [
        NodeDecision("n1", AnnotateNode("n1", TRAINING, None)),
        NodeDecision("n2", AnnotateNode("n2", None, None)),
    ]
    assert list(on_nodes(snapshot, [])) == wanted


def test_maintenance_gives_way_to_what_takes_its_place() -> None:
    """Though the mode that it leaves has as many nodes as it may: what serves there needs another one."""
    policy = replace(POLICY, bounds={Mode.INFERENCE: Bounds(0, 1)})
    service = a_server("svc", "n1", replicas=1)
    world = World.of(policy, service, nodes=2, n1=a_switch(Mode.INFERENCE), n2=TRAINING)
    world.wishes = {"n1": Mode.MAINTENANCE}
    world.settle()
    assert world.modes() == {"n1": Mode.MAINTENANCE, "n2": Mode.INFERENCE}
