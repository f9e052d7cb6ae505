"""Nodes change for those who want room, and nobody who had some before loses it."""

from collections.abc import Mapping
from dataclasses import replace
from functools import partial

from support.build import GPU
from support.switching_world import World, a_server, a_switch, a_trainer, books
from trainpush.model.gang import Gang, Slices
from trainpush.model.modes import Bounds, Hook, Mode, Switching, SwitchStep
from trainpush.model.records import Records
from trainpush.model.serving import Service
from trainpush.model.workload import Job, Preemption
from trainpush.planner.modes.bounds import bounds_at, feasible
from trainpush.planner.modes.cost import BlockReason
from trainpush.planner.modes.demand import Demand
from trainpush.planner.modes.demand_matching import DemandResult
from trainpush.planner.modes.nodes import node_states
from trainpush.planner.modes.projected_capacity import ProjectedCapacity
from trainpush.planner.modes.selection import Selection
from trainpush.planner.modes.selection_order import select
from trainpush.planner.places import Owner
from trainpush.planner.placing.free_capacity import FreeCapacity

TRAINING, INFERENCE, SHARED = (a_switch(mode) for mode in (Mode.TRAINING, Mode.INFERENCE, Mode.SHARED))
POLICY = Switching(default=Mode.INFERENCE, is_enforced=True)


def wanted(work: Job | Service, *, may_switch: bool = True) -> Demand:
    """Room for a gang that waits, or for one replica."""
    if isinstance(work, Service):
        return Demand(Mode.INFERENCE, Owner(work.key, is_service=True), (work.revisions[0].gang,))
    assert isinstance(work.request, Gang)
    place = work.recorded.placement
    sizes = [size for size in work.request.sizes if place and size > len(place.nodes)] or [work.request.least]
    gangs, instead_of = tuple(map(work.request.of_size, sizes)), place.nodes if place else ()
    return Demand(Mode.TRAINING, Owner(work.key, is_service=False), gangs, may_switch, instead_of)


def matched(world: World, *demands: Demand) -> tuple[dict[str, str], Mapping[Owner, DemandResult]]:
    """The nodes that are chosen, and why; and what the demands led to."""
    pool, jobs, services = world.pool, list(world.jobs.values()), list(world.services.values())
    _, allocations = books(pool, jobs, services)
    capacity = FreeCapacity.at_rest(pool, allocations.used(pool))
    states = node_states(pool, allocations, Records(), {}, world.now)
    selection = Selection(states, feasible(bounds_at(world.switching, world.now), len(states.nodes)), world.switching)
    results = select(selection, partial(ProjectedCapacity, capacity, states.nodes), demands)
    return {name: pick.why for name, pick in selection.picks.items()}, results


def with_gpus(world: World, **gpus: int) -> World:
    """The same with nodes of other sizes."""
    for name, count in gpus.items():
        node = world.nodes[name]
        world.nodes[name] = replace(node, allocatable={**node.allocatable, GPU: count * 1000})
    return world


def test_a_node_on_which_somebody_counts_stays_as_it_is() -> None:
    """Not even two jobs that would find a place take that of the service."""
    service, jobs = a_server(gpus=4), [a_trainer("two", gpus=2), a_trainer("one", gpus=1)]
    world = World.of(POLICY, nodes=1, n1=INFERENCE)
    picks, results = matched(world, wanted(service), *map(wanted, jobs))
    assert picks == {}
    assert not any(results[wanted(job).owner].is_met for job in jobs)


def test_another_node_changes_instead() -> None:
    """The service finds room on the first node only, the job on either."""
    job = a_trainer(gpus=2)
    world = with_gpus(World.of(POLICY, nodes=2, n1=INFERENCE, n2=INFERENCE), n2=2)
    picks, _ = matched(world, wanted(a_server(gpus=4)), wanted(job))
    assert picks == {"n2": "job default/job"}


def test_nodes_do_not_change_for_those_to_whom_room_was_promised() -> None:
    """Each of these would take the node that is meant for the last one."""
    promised, last = [a_trainer(f"promised{i}") for i in range(3)], a_trainer("last")
    world = World.of(POLICY, nodes=6, **{f"n{i}": INFERENCE for i in range(1, 7)})
    picks, _ = matched(world, *(wanted(job, may_switch=False) for job in promised), wanted(last))
    assert list(picks.values()) == ["job default/last"]


def test_a_gang_that_grows_already_does_not_take_the_node_of_the_next_one() -> None:
    """There is room for one of them, and a node that may change for the other."""
    jobs = [a_trainer(f"job{i}", f"n{i}", sizes=(3, 2, 1)) for i in (1, 2)]
    world = World.of(POLICY, *jobs, nodes=4, n1=TRAINING, n2=TRAINING, n3=TRAINING, n4=INFERENCE)
    picks, results = matched(world, *map(wanted, jobs))
    assert picks == {"n4": "job default/job2"}
    assert all(result.is_met for result in results.values())


def test_slices_inside_of_others_must_be_whole() -> None:
    """The first node takes one worker, and so no pair; the bound lets two nodes go."""
    job = a_trainer(workers=4, gpus=4, required="rack", slices=(Slices("rack", 4), Slices("host", 2)))
    policy = replace(POLICY, bounds={Mode.INFERENCE: Bounds(1, None)})
    world = with_gpus(World.of(policy, nodes=3, **{f"n{i}": INFERENCE for i in (1, 2, 3)}).in_racks(3), n1=4)
    picks, _ = matched(world, wanted(job))
    assert sorted(picks) == ["n2", "n3"]


def test_torn_slices_inside_of_others_count_for_nothing() -> None:
    """The second node completes four workers of the first rack, but not two on a host; the bound lets two nodes go."""
    job = a_trainer(workers=4, gpus=2, slices=(Slices("rack", 4), Slices("host", 2)))
    policy = replace(POLICY, bounds={Mode.INFERENCE: Bounds(1, None)})
    modes = {"n1": TRAINING, "n2": INFERENCE, "n3": TRAINING, "n4": INFERENCE, "n5": INFERENCE, "n6": TRAINING}
    world = with_gpus(World.of(policy, nodes=6, **modes).in_racks(3), n1=6, n2=2, n3=0, n4=4, n5=4, n6=0)
    picks, _ = matched(world, wanted(job))
    assert sorted(picks) == ["n4", "n5"]


def test_nodes_of_one_draft_leave_a_gang_what_is_protected() -> None:
    """Each node alone could be spared. To bring them into training resets them, so that the gang has to leave."""
    hook = Hook("mig", {Mode.TRAINING: "whole", Mode.SHARED: "split"}, "state")
    policy = replace(POLICY, default=Mode.TRAINING, hook=hook)
    runs = a_trainer("runs", "n1", "n2", "n3", sizes=(3, 2), preemption=Preemption.BEYOND_MIN)
    world = World.of(policy, runs, nodes=3, n1=SHARED, n2=SHARED, n3=SHARED)
    assert list(matched(world, wanted(a_trainer("one")))[0]) == ["n1"]
    assert not matched(world, wanted(a_trainer("two", workers=2)))[0]


def test_a_node_that_follows_its_unit_is_counted_on_by_nobody() -> None:
    """The other node of its rack trains already, as far as that goes."""
    policy = replace(POLICY, unit="rack")
    turning = a_switch(Mode.INFERENCE, Mode.TRAINING, step=SwitchStep.FLIPPING)
    picks, results = matched(World.of(policy, nodes=2, n1=turning, n2=INFERENCE).in_racks(2), wanted(a_server()))
    assert list(picks) == ["n2"]
    assert [result.is_met for result in results.values()] == [False]


def test_other_nodes_are_drafted_where_the_first_would_be_taken_by_somebody_else() -> None:
    """The promised one would move onto n5, which completes a slice beside n4; n1 completes one beside n3."""
    promised = a_trainer("promised", gpus=4)
    job = a_trainer(workers=4, gpus=4, slices=(Slices("rack", 2),))
    modes = {"n1": INFERENCE, "n2": TRAINING, "n3": TRAINING, "n4": INFERENCE, "n5": INFERENCE}
    world = with_gpus(World.of(POLICY, nodes=5, **modes).in_racks(3), n2=4, n4=4)
    picks, results = matched(world, wanted(promised, may_switch=False), wanted(job))
    assert list(picks) == ["n1"]
    assert all(result.is_met for result in results.values())


def test_too_few_nodes_are_not_said_to_be_needed_by_their_mode() -> None:
    """There is no minimum."""
    job = a_trainer(workers=4)
    _, results = matched(World.of(POLICY, nodes=2, n1=INFERENCE, n2=INFERENCE), wanted(job))
    assert results[wanted(job).owner].blocks == {BlockReason.TOO_FEW: 2}


def test_what_many_want_in_vain_is_drafted_a_few_times_only() -> None:
    """Each of these gangs would open nodes that the first one likes better; each draft takes everybody's turn anew."""
    half = a_trainer("half", "n4", gpus=4)
    first = a_trainer("first", workers=3, gpus=4, slices=(Slices("rack", 3),))
    others = [a_trainer(f"other{i}", workers=2, products=frozenset({"", f"p{i}"})) for i in range(40)]
    world = World.of(POLICY, half, nodes=4, n1=INFERENCE, n2=INFERENCE, n3=INFERENCE, n4=TRAINING).in_racks(2)
    picks, results = matched(world, wanted(first), *map(wanted, others))
    assert list(picks) == ["n3"]
    refused = [result for result in results.values() if not result.is_met]
    assert [list(result.blocks) for result in refused] == [[BlockReason.EARLIER]] * 16
