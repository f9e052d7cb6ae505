"""What the status of the pool says, and what those hear who wait."""

from dataclasses import replace

from support.build import NOW
from support.switching_world import MINUTE, World, a_server, a_switch, a_trainer, help_for
from trainpush.model.modes import Bounds, Mode, Switching, SwitchStep
from trainpush.model.plan import Condition, PlannedSwitch, Verdict
from trainpush.model.reasons import Reason
from trainpush.planner.modes.mode_switch import ModeDecision

POLICY = Switching(default=Mode.TRAINING, is_enforced=True)
TRAINING = a_switch(Mode.TRAINING)
SERVER = a_server(replicas=1)


def settled(decided: ModeDecision) -> Condition:
    """Whether the nodes have the modes that are wanted."""
    assert decided.summary
    return decided.summary.settled


def test_a_dry_run_tells_what_it_would_do_and_what_it_would_cost() -> None:
    """And nothing happens."""
    world = World.of(replace(POLICY, is_enforced=False), a_trainer("job", "n1"), SERVER, nodes=1, n1=TRAINING)
    decided = world.decide()
    assert not decided.nodes
    assert decided.summary
    assert decided.summary.planned == (
        PlannedSwitch(
            *("n1", Mode.TRAINING, Mode.INFERENCE, SwitchStep.PLANNED, "service default/svc"),
            victims=("default/job",),
            lost=800,
        ),
    )
    assert settled(decided).reason == Reason.DRY_RUN
    assert help_for(decided, SERVER).reason == Reason.DRY_RUN


def test_what_is_under_way_is_told() -> None:
    """With how far it is."""
    way = a_switch(
        Mode.TRAINING, Mode.INFERENCE, step=SwitchStep.NOTIFIED, since=NOW - MINUTE, why="service default/svc"
    )
    decided = World.of(POLICY, a_trainer("job", "n1"), SERVER, nodes=1, n1=way).decide()
    assert decided.summary
    assert [(it.step, it.victims, it.lost) for it in decided.summary.planned] == [
        (SwitchStep.NOTIFIED, ("default/job",), 800)
    ]
    assert settled(decided) == Condition(False, Reason.SWITCHING, "1 node on the way to another mode")
    helping = help_for(decided, SERVER)
    assert helping.message == "n1 (Notified) changes its mode for it, until 2026-01-01T12:15:00Z at most"


def test_bounds_that_are_not_kept_are_told_with_what_is_in_the_way() -> None:
    """Nodes that serve are not taken."""
    policy = replace(POLICY, bounds={Mode.TRAINING: Bounds(2)})
    decided = World.of(policy, a_server("svc", "n1"), nodes=2, n1=a_switch(Mode.INFERENCE), n2=TRAINING).decide()
    said = "Training has 1 of at least 2 nodes; of the others: 1 node with replicas"
    assert settled(decided) == Condition(False, Reason.BOUNDS_NOT_MET, said)


def test_a_mode_at_its_most_is_told() -> None:
    """With the remedy."""
    policy = replace(POLICY, bounds={Mode.INFERENCE: Bounds(0, 0)})
    helping = help_for(World.of(policy, SERVER, nodes=1, n1=TRAINING).decide(), SERVER)
    assert (helping.is_coming, helping.reason) == (False, Reason.MODE_AT_MAX)
    assert "0 nodes at most may have it; raise max in spec.modes" in helping.message


def test_nodes_that_would_not_do_are_not_counted() -> None:
    """Whatever their mode."""
    service = a_server("svc", replicas=1, gpus=16)
    helping = help_for(World.of(POLICY, service, nodes=1, n1=TRAINING).decide(), service)
    assert helping.message == "no node changes its mode for it: none would do"


def test_a_verdict_carries_it() -> None:
    """As its reason where nodes come, else as advice."""
    verdict = Verdict(Reason.WAITING_FOR_CAPACITY, "no room", advice="use fewer workers")
    coming = help_for(World.of(POLICY, SERVER, nodes=1, n1=TRAINING).decide(), SERVER).on(verdict)
    assert coming.reason == Reason.WAITING_FOR_MODE_SWITCH
    assert coming.message.startswith("no room; n1 (Planned)")
    dry = World.of(replace(POLICY, is_enforced=False), SERVER, nodes=1, n1=TRAINING)
    refused = help_for(dry.decide(), SERVER).on(verdict)
    assert refused.reason == Reason.WAITING_FOR_CAPACITY
    assert refused.advice.startswith("use fewer workers; n1 would change the mode for it")


def test_a_pool_without_modes_has_nothing_to_say() -> None:
    """Its nodes are as they are."""
    world = World.of(POLICY, SERVER, nodes=1)
    world.switching = None  # type: ignore[assignment]
    assert world.decide() == ModeDecision()


def test_a_job_and_a_service_of_one_name_are_told_apart() -> None:
    """The service waits for a node that changes; for the job there is no more."""
    policy = replace(POLICY, bounds={Mode.TRAINING: Bounds(1, 1)})
    service, job = a_server("same", replicas=1), a_trainer("same", workers=3)
    decided = World.of(policy, service, job, nodes=2, n1=TRAINING, n2=TRAINING).decide()
    assert help_for(decided, service).is_coming
    assert not help_for(decided, job).is_coming
