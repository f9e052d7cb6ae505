"""Who gets nodes of another mode, and how a node comes to it."""

from dataclasses import replace

from support.build import NOW
from support.switching_world import FULL, SHORT, World, a_server, a_switch, a_trainer, books, help_for
from trainpush.model.modes import Mode, Switching, SwitchStep
from trainpush.model.nodes import node_table
from trainpush.model.plan import Condition, Decision, Stage, Verdict
from trainpush.model.reasons import Reason
from trainpush.model.records import Records
from trainpush.model.serving import Place, Service
from trainpush.planner.modes.demand import demands
from trainpush.planner.modes.mode_switch import decide
from trainpush.planner.placing.free_capacity import FreeCapacity

ENFORCED = Switching(default=Mode.TRAINING, is_enforced=True)


def test_a_node_goes_every_step() -> None:
    """From training to inference, each step written by itself."""
    world = World.of(ENFORCED, a_trainer("job", "n1"), a_server("svc", replicas=1), nodes=1, n1=a_switch(Mode.TRAINING))
    world.settle()
    steps = ["Planned", "Cordoned", "Notified", "Draining", "Flipping", "Warming", "Active"]
    assert world.steps("n1") == steps
    assert world.modes() == {"n1": Mode.INFERENCE}
    assert [place.node for place in next(iter(world.services.values())).places] == ["n1"]


def test_who_waits_hears_of_it() -> None:
    """Which node, how far it has come, until when."""
    server = a_server("svc", replicas=1)
    world = World.of(ENFORCED, server, nodes=1, n1=a_switch(Mode.TRAINING))
    help_ = help_for(world.step(), server)
    assert help_.is_coming
    assert help_.reason == Reason.WAITING_FOR_MODE_SWITCH
    assert help_.message.startswith("n1 (Planned) changes its mode for it, until 2026-01-01T12:")


def test_nothing_moves_without_need() -> None:
    """An idle pool stays what it is."""
    world = World.of(ENFORCED, a_trainer("job", "n1"), nodes=3, **{f"n{i}": a_switch(Mode.TRAINING) for i in (1, 2, 3)})
    decided = world.settle()
    assert not world.diary
    assert decided.summary
    assert decided.summary.settled.reason == Reason.SETTLED


def asked(world: World, service: Service, placed: Condition, *nodes: str) -> int:
    """How many replicas want a node, where the service has places on `nodes` and hears `placed` of the others."""
    served = world.served(FreeCapacity.at_rest(world.pool, world.pool.table.used), service)
    places = tuple(Place(number, "svc", node, NOW) for number, node in enumerate(nodes, 1))
    decision = replace(served, placed=placed, places=places)
    return len(demands(world.pool, *books(world.pool, services=[service]), Records(), {service.key: decision}))


def test_replicas_that_only_a_quota_keeps_away_want_no_node() -> None:
    """Nor those that have their place."""
    service = a_server(replicas=3)
    world = World.of(ENFORCED, service, nodes=2)
    assert asked(world, service, SHORT, "n1") == 2
    assert asked(world, service, Condition(False, Reason.WAITING_FOR_QUOTA, "no"), "n1") == 0
    assert asked(world, service, FULL, "n1") == 0


def test_a_replica_on_a_node_that_it_has_to_leave_is_missing() -> None:
    """It needs another first."""
    service = a_server(replicas=2)
    leaving = a_switch(Mode.INFERENCE, Mode.MAINTENANCE, step=SwitchStep.NOTIFIED)
    assert asked(World.of(ENFORCED, service, nodes=2, n1=leaving), service, SHORT, "n1", "n2") == 1


def test_a_release_that_may_miss_no_replica_wants_one_node_more() -> None:
    """Else it replaces one in its place."""
    service = a_server(replicas=1)
    world = World.of(ENFORCED, service, nodes=1)
    assert asked(world, replace(service, min_available=1), SHORT, "n1") == 1
    assert asked(world, service, SHORT, "n1") == 0


def test_a_gang_for_which_others_make_room_wants_no_node() -> None:
    """But nobody else may count on that room."""
    job = a_trainer()
    verdict = Verdict(Reason.WAITING_FOR_PREEMPTION, "others make room", position=1)
    stage = Decision(job.key, job.recorded, Stage.QUEUED, verdict)
    pool = World.of(ENFORCED, job).pool
    found = demands(pool, *books(pool, [job]), Records([stage]), {})
    assert [want.may_switch for want in found] == [False]


def test_room_that_comes_free_anyway_is_waited_for() -> None:
    """Pods that are ending make it: no node need change."""
    service = a_server("svc", replicas=1)
    world = World.of(ENFORCED, service, nodes=2, n1=a_switch(Mode.INFERENCE), n2=a_switch(Mode.TRAINING))
    full = world.pool.table.allocatable.copy()
    full[:, 1] = 0
    served = world.served(FreeCapacity.at_rest(world.pool, full), service)
    waiting = books(world.pool, services=[service])
    assert decide(FreeCapacity.at_rest(world.pool, full), *waiting, Records(), [served], NOW).nodes
    assert not decide(FreeCapacity(world.pool, full, full), *waiting, Records(), [served], NOW).nodes


def test_a_pool_without_nodes_is_settled() -> None:
    """With levels or without."""
    decided = World.of(ENFORCED, a_server(replicas=1), a_trainer(), nodes=0).decide()
    assert not decided.nodes
    assert decided.summary
    assert decided.summary.settled.reason == Reason.SETTLED
    table = node_table([], [], {})
    pool = replace(World.of(ENFORCED).pool, table=table)
    assert decide(FreeCapacity.at_rest(pool, table.used), *books(pool), Records(), [], NOW).summary
