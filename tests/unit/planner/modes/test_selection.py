"""Which node is taken, and which is not."""

from dataclasses import replace
from datetime import timedelta

import pytest

from support.build import NOW, a_quota
from support.switching_world import MINUTE, World, a_server, a_switch, a_trainer, help_for
from trainpush.model.gang import Slices
from trainpush.model.modes import Bounds, Mode, Switch, Switching, SwitchStep
from trainpush.model.records import Records
from trainpush.model.workload import Checkpoint, Job, Preemption, Refusal
from trainpush.planner.allocations import Allocations
from trainpush.planner.modes.cost import BlockReason, TakenNodes, block_reason
from trainpush.planner.modes.mode_switch import ModeDecision
from trainpush.planner.modes.nodes import node_states

TRAINING, INFERENCE, SHARED = a_switch(Mode.TRAINING), a_switch(Mode.INFERENCE), a_switch(Mode.SHARED)
POLICY = Switching(default=Mode.TRAINING, is_enforced=True, max_concurrent=9)


def all_of(switch: Switch, nodes: int) -> dict[str, Switch]:
    """The same annotation on every node."""
    return {f"n{number}": switch for number in range(1, nodes + 1)}


def chosen(decided: ModeDecision) -> dict[str, Mode]:
    """Nodes that begin to switch, and to what."""
    annotations = [(it.name, it.action.after) for it in decided.nodes]
    return {name: switch.to for name, switch in annotations if switch and not switch.is_resting}


def test_an_empty_node_goes_before_one_that_trains() -> None:
    """Nothing is lost then."""
    world = World.of(POLICY, a_trainer("job", "n1"), a_server(replicas=1), nodes=2, **all_of(TRAINING, 2))
    assert chosen(world.decide()) == {"n2": Mode.INFERENCE}


def test_extras_go_before_whole_gangs() -> None:
    """The elastic gang goes on, though it has run for longer."""
    elastic = a_trainer("a", "n1", "n2", sizes=(2, 1), age=900)
    world = World.of(POLICY, elastic, a_trainer("b", "n3", age=1), a_server(replicas=1), nodes=3, **all_of(TRAINING, 3))
    assert chosen(world.decide()) == {"n1": Mode.INFERENCE}


def test_a_node_is_spared_whose_job_nobody_understands() -> None:
    """It runs on whatever it is told, and would keep the node until the deadline; not once it is suspended."""
    world = World.of(POLICY, nodes=1, n1=TRAINING)
    stranded = replace(a_trainer("a", "n1"), request=Refusal("InvalidSpec", "what is this"))
    found = []
    for job in (stranded, replace(stranded, suspend=True)):
        states = node_states(world.pool, Allocations.of([job], []), Records(), {}, NOW)
        found.append(block_reason(states.nodes[0], Mode.INFERENCE, states, POLICY, TakenNodes()))
    assert found == [BlockReason.PROTECTED, None]


def test_the_least_lost_work_goes_first() -> None:
    """Accelerators times the seconds since it last saved."""
    old, young = a_trainer("a", "n1", age=900), a_trainer("b", "n2", age=300)
    world = World.of(POLICY, old, young, a_server(replicas=1), nodes=2, **all_of(TRAINING, 2))
    assert chosen(world.decide()) == {"n2": Mode.INFERENCE}
    saved = replace(old.recorded, checkpoint=Checkpoint(1, 7, "x", NOW - timedelta(seconds=10)))
    world.jobs[old.key] = replace(old, recorded=saved)
    assert chosen(world.decide()) == {"n1": Mode.INFERENCE}


def test_of_the_same_gang_more_nodes_cost_nothing() -> None:
    """It loses its work only once."""
    wide, other = a_trainer("a", "n1", "n2", age=50), a_trainer("b", "n3", age=150)
    world = World.of(POLICY, wide, other, a_server(replicas=2), nodes=3, **all_of(TRAINING, 3))
    assert chosen(world.decide()) == {"n1": Mode.INFERENCE, "n2": Mode.INFERENCE}


def test_shared_nodes_go_first() -> None:
    """Of two that are empty; nobody may rely on them."""
    policy = replace(POLICY, bounds={Mode.INFERENCE: Bounds(1)})
    world = World.of(policy, nodes=2, n1=TRAINING, n2=SHARED)
    assert chosen(world.decide())["n2"] is Mode.INFERENCE


def test_the_largest_free_domain_stays_whole() -> None:
    """Of two empty nodes the one in the rack with fewer empty ones."""
    world = World.of(POLICY, a_trainer("job", "n3"), a_server(replicas=1), nodes=5, **all_of(TRAINING, 5))
    for name, node in world.nodes.items():
        labels = {**node.labels, "example.com/rack": "r2" if name in {"n3", "n4"} else "r1"}
        world.nodes[name] = replace(node, labels=labels)
    assert chosen(world.decide()) == {"n4": Mode.INFERENCE}


@pytest.mark.parametrize(
    "job",
    [
        a_trainer("job", "n1", preemption=Preemption.NEVER),
        a_trainer("job", "n1", min_runtime=timedelta(minutes=5)),
        a_trainer("job", "n1", preemption=Preemption.BEYOND_MIN),
    ],
)
def test_protected_gangs_keep_their_nodes(job: Job) -> None:
    """The service hears why."""
    server = a_server(replicas=1)
    world = World.of(POLICY, job, server, nodes=1, n1=TRAINING)
    decided = world.decide()
    assert not chosen(decided)
    assert help_for(decided, server).message.endswith("1 node with gangs that may not be disturbed")


def test_training_never_takes_a_node_that_serves() -> None:
    """However long it waits."""
    world = World.of(POLICY, a_trainer(), a_server("svc", "n1"), nodes=1, n1=INFERENCE)
    assert not chosen(world.decide())


def test_training_gets_idle_nodes_back() -> None:
    """As soon as it needs them, and not before."""
    world = World.of(POLICY, nodes=2, **all_of(INFERENCE, 2))
    assert not chosen(world.decide())
    job = a_trainer()
    world.jobs[job.key] = job
    assert chosen(world.decide()) == {"n1": Mode.TRAINING}


def test_they_are_shared_again_where_that_is_the_default() -> None:
    """Beyond what training has at least."""
    policy = replace(POLICY, default=Mode.SHARED)
    world = World.of(policy, a_trainer(), nodes=1, n1=INFERENCE)
    assert chosen(world.decide()) == {"n1": Mode.SHARED}


def test_an_elastic_gang_grows_onto_idle_nodes() -> None:
    """By the largest legal size that there are nodes for."""
    job = a_trainer("job", "n1", sizes=(4, 2, 1))
    world = World.of(POLICY, job, nodes=3, n1=TRAINING, n2=INFERENCE, n3=INFERENCE)
    assert chosen(world.decide()) == {"n2": Mode.TRAINING}


def test_no_node_moves_for_workers_that_a_team_may_not_have() -> None:
    """It would be empty there."""
    job = a_trainer("job", "n1", sizes=(4, 2, 1))
    world = World.of(POLICY, job, nodes=2, n1=TRAINING, n2=INFERENCE)
    for gpus, moved in ((16, {"n2": Mode.TRAINING}), (15, {})):
        world.quotas = (a_quota("default", limit=gpus),)
        assert chosen(world.decide()) == moved


def test_no_node_moves_for_a_gang_that_would_not_fit_all_the_same() -> None:
    """All of it, or none."""
    world = World.of(POLICY, a_trainer("job", workers=3), nodes=2, **all_of(INFERENCE, 2))
    assert not chosen(world.decide())


def test_room_on_shared_nodes_counts_once() -> None:
    """Else a gang that fits nowhere makes them switch, again and again."""
    world = World.of(
        replace(POLICY, default=Mode.INFERENCE), a_trainer("job", workers=3), nodes=2, n1=SHARED, n2=INFERENCE
    )
    assert not chosen(world.decide()).keys() & {"n2"}
    assert Mode.TRAINING not in chosen(world.decide()).values()


def test_a_gang_gets_nodes_of_one_domain() -> None:
    """Where it requires that."""
    job = a_trainer("job", workers=2, required="rack")
    world = World.of(POLICY, job, nodes=4, **all_of(INFERENCE, 4))
    for name, rack in {"n1": "r1", "n2": "r2", "n3": "r3", "n4": "r3"}.items():
        node = world.nodes[name]
        world.nodes[name] = replace(node, labels={**node.labels, "example.com/rack": rack})
    assert chosen(world.decide()) == {"n3": Mode.TRAINING, "n4": Mode.TRAINING}


def test_small_replicas_share_one_node() -> None:
    """Two of four accelerators need no two nodes."""
    world = World.of(POLICY, a_server(replicas=2, gpus=4), nodes=3, **all_of(TRAINING, 3))
    assert chosen(world.decide()) == {"n1": Mode.INFERENCE}


def test_bounds_limit_what_demand_gets() -> None:
    """No more than the most, and the other mode keeps its least."""
    server = a_server(replicas=4)
    policy = replace(POLICY, bounds={Mode.INFERENCE: Bounds(0, 1)})
    assert len(chosen(World.of(policy, server, nodes=4, **all_of(TRAINING, 4)).decide())) == 1
    policy = replace(POLICY, bounds={Mode.TRAINING: Bounds(2)})
    assert len(chosen(World.of(policy, server, nodes=4, **all_of(TRAINING, 4)).decide())) == 2


def test_the_least_is_there_before_anybody_asks() -> None:
    """The calendar has it so."""
    world = World.of(replace(POLICY, bounds={Mode.INFERENCE: Bounds(2)}), nodes=4, **all_of(TRAINING, 4))
    assert chosen(world.decide()) == {"n1": Mode.INFERENCE, "n2": Mode.INFERENCE}


def test_a_node_whose_work_may_stay_is_not_drained() -> None:
    """A shared one that trains becomes one for training."""
    policy = replace(POLICY, default=Mode.SHARED, bounds={Mode.TRAINING: Bounds(1)})
    world = World.of(policy, a_trainer("job", "n1"), nodes=1)
    world.settle()
    assert world.steps("n1") == ["Planned", "Cordoned", "Flipping", "Warming", "Active"]
    assert next(iter(world.jobs.values())).recorded.placement


def test_what_is_above_the_most_leaves() -> None:
    """As far as it is idle; the rest is told."""
    policy = replace(POLICY, bounds={Mode.INFERENCE: Bounds(0, 0)})
    world = World.of(policy, nodes=2, n1=INFERENCE, n2=TRAINING)
    assert chosen(world.decide()) == {"n1": Mode.TRAINING}


def test_a_node_on_the_way_to_shared_will_do_for_replicas_too() -> None:
    """Else another node is chosen for them, the first is needed no more, and both begin anew for ever."""
    policy = replace(POLICY, default=Mode.SHARED, bounds={Mode.TRAINING: Bounds(0, 1)})
    leaving = a_switch(Mode.TRAINING, Mode.SHARED, step=SwitchStep.CORDONED, since=NOW)
    world = World.of(policy, a_server(replicas=1), nodes=2, n1=leaving, n2=TRAINING)
    world.settle()
    assert world.modes() == {"n1": Mode.SHARED, "n2": Mode.TRAINING}


def test_new_switches_wait_for_the_least_time_in_a_mode() -> None:
    """And for the cooldown after one that was aborted."""
    young = a_switch(Mode.TRAINING, since=NOW - 9 * MINUTE)
    world = World.of(POLICY, a_server(replicas=1), nodes=1, n1=young)
    decided = world.decide()
    assert not chosen(decided)
    assert decided.wake_at == NOW + MINUTE
    assert help_for(decided, next(iter(world.services.values()))).message.endswith("1 node changed too recently")
    world.step(60)
    assert chosen(world.decide())


def test_nodes_that_are_cordoned_or_not_ready_are_left_alone() -> None:
    """They count as Maintenance, and what is under way on them is given up."""
    begun = a_switch(Mode.TRAINING, Mode.INFERENCE, step=SwitchStep.DRAINING, since=NOW)
    world = World.of(POLICY, a_server(replicas=1), nodes=2, n1=begun, n2=TRAINING)
    world.nodes["n1"] = replace(world.nodes["n1"], cordoned=True)
    decided = world.decide()
    after = {it.name: it.action.after for it in decided.nodes}
    assert after["n1"]
    assert after["n1"].step is SwitchStep.ABORTED
    assert decided.summary
    assert decided.summary.counts == {Mode.MAINTENANCE: 1, Mode.TRAINING: 1}


def test_a_node_completes_a_slice() -> None:
    """Of racks of three the second one trains on one node only: three workers and one have no room for two pairs."""
    job = a_trainer(workers=4, slices=(Slices("rack", 2),))
    annotations = {**all_of(TRAINING, 4), "n5": INFERENCE, "n6": INFERENCE}
    world = World.of(POLICY, job, nodes=6, **annotations).in_racks(3)
    assert chosen(world.decide()) == {"n5": Mode.TRAINING}


def test_what_completes_no_slice_is_not_taken_instead_of_what_does() -> None:
    """Of two nodes one may go; the neighbour of the first one is taken, that of the second is free."""
    job, other = a_trainer("job", workers=2, slices=(Slices("rack", 2),)), a_trainer("other", "n1")
    annotations = {"n1": TRAINING, "n2": INFERENCE, "n3": INFERENCE, "n4": TRAINING}
    policy = replace(POLICY, bounds={Mode.INFERENCE: Bounds(1, None)})
    world = World.of(policy, job, other, nodes=4, **annotations).in_racks(2)
    assert chosen(world.decide()) == {"n3": Mode.TRAINING}


def test_nodes_do_not_change_where_somebody_before_would_take_the_room() -> None:
    """The first one could do with n3 and half of n4, but takes the better n1 and n2 as soon as they train."""
    half = a_trainer("half", "n4", gpus=4)
    first, second = a_trainer("one", workers=3, gpus=4, slices=(Slices("rack", 3),)), a_trainer("two", workers=2)
    annotations = {**all_of(INFERENCE, 3), "n4": TRAINING}
    policy = replace(POLICY, default=Mode.INFERENCE)
    world = World.of(policy, half, first, second, nodes=4, **annotations).in_racks(2)
    decided = world.decide()
    assert chosen(decided) == {"n3": Mode.TRAINING}
    assert help_for(decided, second).message.endswith("2 nodes that those before it would take")


def test_nodes_that_complete_no_slice_stay_as_they_are() -> None:
    """The first node that could be had is alone in its rack."""
    job = a_trainer(workers=2, slices=(Slices("rack", 2),))
    world = World.of(POLICY, job, nodes=5, **all_of(INFERENCE, 5)).in_racks(4)
    cordoned = replace(world.nodes["n4"], labels=world.nodes["n5"].labels, cordoned=True)
    world.nodes["n4"] = cordoned
    assert set(chosen(world.decide())) == {"n1", "n2"}


def test_a_gang_in_one_rack_grows_only_there() -> None:
    """A node of another rack would be of no use to it, though it is empty."""
    job = a_trainer("job", "n1", sizes=(2, 1), required="rack")
    annotations = {**all_of(INFERENCE, 3), "n1": TRAINING}
    world = World.of(POLICY, job, a_server("svc", "n2"), nodes=3, **annotations).in_racks(2)
    assert chosen(world.decide()) == {}
    world.services.clear()
    assert chosen(world.decide()) == {"n2": Mode.TRAINING}


def test_a_shared_node_on_which_somebody_counts_does_not_go_home() -> None:
    """The gang needs both: one node changes for it, and the shared one would be of no use to it in the default mode."""
    policy = replace(POLICY, default=Mode.INFERENCE)
    world = World.of(policy, a_trainer(workers=2), nodes=2, n1=INFERENCE, n2=SHARED)
    assert chosen(world.decide()) == {"n1": Mode.TRAINING}
    world.jobs.clear()
    assert chosen(world.decide()) == {"n2": Mode.INFERENCE}


def test_what_helps_one_gang_to_grow_may_not_help_another() -> None:
    """Each in its rack: of the nodes that could be had, one is in the second."""
    jobs = [a_trainer(name, node, sizes=(2, 1), required="rack") for name, node in (("a", "n1"), ("b", "n4"))]
    annotations = {**all_of(INFERENCE, 5), "n1": TRAINING, "n4": TRAINING}
    world = World.of(POLICY, *jobs, a_server("svc", "n2", "n3"), nodes=5, **annotations).in_racks(3)
    assert chosen(world.decide()) == {"n5": Mode.TRAINING}
