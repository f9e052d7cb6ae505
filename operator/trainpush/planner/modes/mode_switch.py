"""The whole decision on the nodes of one pool: which change their mode, how far each goes, what work hears of it."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from functools import partial
from typing import TypeVar

from trainpush.model.actions import EndPod, PoolAction
from trainpush.model.modes import Mode, Switch, SwitchStep
from trainpush.model.plan import AnnotateNode, Condition, Decision, ModesSummary, NodeDecision, ServiceDecision, Stage
from trainpush.model.records import Records
from trainpush.model.snapshot import Pool, Snapshot
from trainpush.planner.allocations import Allocations
from trainpush.planner.modes import bounds, messages, prepull, state_machine
from trainpush.planner.modes.bounds import feasible
from trainpush.planner.modes.budget import Budget, budget_of
from trainpush.planner.modes.cost import young_until
from trainpush.planner.modes.demand import demands
from trainpush.planner.modes.messages import Help, SwitchPlan
from trainpush.planner.modes.nodes import BEFORE_FLIP, NodeState, node_states
from trainpush.planner.modes.projected_capacity import ProjectedCapacity
from trainpush.planner.modes.selection import Selection
from trainpush.planner.modes.selection_order import select
from trainpush.planner.places import Owner
from trainpush.planner.placing.free_capacity import FreeCapacity
from trainpush.planner.quota import QuotaUsage


@dataclass(frozen=True, slots=True)
class ModeDecision:
    """What becomes of the nodes of a pool, and what that means for those that wait."""

    nodes: tuple[NodeDecision, ...] = ()
    """Those of which something changes, by name."""
    summary: ModesSummary | None = None
    help: Mapping[Owner, Help] = field(default_factory=dict)
    """What switches do for jobs and services that wait, or why they do nothing."""
    removals: Mapping[Owner, tuple[EndPod, ...]] = field(default_factory=dict)
    """Pods that are ended at once: they are on nodes whose time is over, in a pool that says Force."""
    actions: tuple[PoolAction, ...] = ()
    """For images that nodes pull."""
    wake_at: datetime | None = None
    """When to look again although nothing changed."""


def decide(
    capacity: FreeCapacity,
    quota: QuotaUsage,
    allocations: Allocations,
    stages: Records[Decision],
    served: Iterable[ServiceDecision],
    now: datetime,
) -> ModeDecision:
    """What becomes of the nodes of a pool, once everybody had a turn."""
    pool, switching = capacity.pool, capacity.pool.switching
    if switching is None:
        return ModeDecision(actions=prepull.actions(pool, now))
    given = {decision.key: decision for decision in served}
    states = node_states(pool, allocations, stages, given, now)
    # A node that people want in a mode without bounds cannot help to keep them.
    usable = sum(node.is_usable and node.wish not in {Mode.MAINTENANCE, Mode.SHARED} for node in states.nodes)
    # Nobody waits for a node that may never get ready.
    projected = partial(ProjectedCapacity, capacity, [node for node in states.nodes if not node.lacking.is_late])
    selection = Selection(states, feasible(bounds.bounds_at(switching, now), usable), switching)
    results = select(selection, projected, demands(pool, quota, allocations, stages, given))
    budget = budget_of(pool, selection)
    switches = _annotations(pool, selection, budget)
    planned = SwitchPlan(sorted(states.nodes, key=lambda node: node.name), selection, results, budget, switches)
    changed = ((node.name, node.switch) for node in planned.nodes if switches[node.name] != node.switch)
    return ModeDecision(
        nodes=tuple(NodeDecision(name, AnnotateNode(name, before, switches[name])) for name, before in changed),
        summary=messages.summary(planned),
        help=messages.helps(planned),
        removals=_removals(selection),
        actions=prepull.actions(pool, now),
        wake_at=_wake_at(pool, selection, budget),
    )


def _annotations(pool: Pool, selection: Selection, budget: Budget) -> dict[str, Switch | None]:
    """What each node is to bear."""
    switching, now = selection.switching, selection.states.now
    switches: dict[str, Switch | None] = {}
    for node in selection.states.nodes:
        switch = node.switch
        if switch and not switch.is_resting:
            switch = state_machine.advanced(node, switch, _signals(selection, budget, node), switching, now)
        elif switch and switching.is_enforced:
            switch = state_machine.released(switch, switching)
        elif switching.is_enforced and (node.mode is not Mode.SHARED or node.name in pool.labelled):
            # Without an annotation nothing keeps the wrong work away.
            switch = Switch(node.mode, node.mode, SwitchStep.ACTIVE, now, now)
        switches[node.name] = switch
    for pick in budget.begun if switching.is_enforced else ():
        node, before = pick.node, switches[pick.node.name]
        ahead = (it for it in selection.states.units[node.unit] if it.to is pick.to and not it.is_resting)
        # One that was left behind began when its unit did.
        begun = min((it.switch.begun for it in ahead if it.switch and not it.wish), default=now)
        setting = before.setting if before else None
        switches[node.name] = Switch(node.mode, pick.to, SwitchStep.PLANNED, begun, now, pick.why, setting)
    return switches


def _signals(selection: Selection, budget: Budget, node: NodeState) -> state_machine.Signals:
    mates = (mate for mate in selection.states.mates(node) if mate.step in BEFORE_FLIP)
    return state_machine.Signals(
        is_needed=selection.switching.is_enforced and selection.goes_on(node),
        may_begin=node.name in budget.allowed,
        is_clear=all(map(state_machine.is_clear, (node, *mates))),
    )


def _removals(selection: Selection) -> dict[Owner, tuple[EndPod, ...]]:
    """Pods on nodes that are stuck, where what is left is ended."""
    removals: dict[Owner, tuple[EndPod, ...]] = {}
    if selection.switching.is_forced and selection.switching.is_enforced:
        for node in selection.states.nodes:
            for owner, end in node.removals if node.step is SwitchStep.STUCK and selection.goes_on(node) else ():
                removals[owner] = (*removals.get(owner, ()), end)
    return removals


def _wake_at(pool: Pool, selection: Selection, budget: Budget) -> datetime | None:
    """When a deadline or a pause is over, or other bounds hold."""
    states, switching, now = selection.states, selection.switching, selection.states.now
    under_way = (node.switch for node in states.nodes if node.switch and not node.is_resting)
    due = [bounds.next_change(switching, now), state_machine.wake_at(under_way, switching, now)]
    due.append(prepull.wake_at(pool, now))
    if selection.pressed or selection.unmet:
        due += [young_until(node, now, switching) for node in states.nodes]
        due += [gang.protected_until(now) for gang in states.gangs.values()]
    if selection.picks:
        due.append(budget.wake_at)
    # Not at once: what is due now was decided just now.
    return min((max(moment, now + timedelta(seconds=1)) for moment in due if moment), default=None)


Act = TypeVar("Act")


def on_jobs(decisions: Records[Decision], switched: ModeDecision) -> list[Decision]:
    """The decisions on those jobs that are concerned by what becomes of the nodes."""
    owners = switched.help.keys() | switched.removals.keys()
    concerned = (decisions.get(owner.key) for owner in owners if not owner.is_service)
    return [_on_job(decision, switched) for decision in concerned if decision]


def _on_job(decision: Decision, switched: ModeDecision) -> Decision:
    """If it waits, with what switches do for it; and its pods on nodes whose time is over go."""
    owner = Owner(decision.key, is_service=False)
    helping, ends = switched.help.get(owner), switched.removals.get(owner)
    if helping and decision.stage is Stage.QUEUED:
        decision = replace(decision, verdict=helping.on(decision.verdict))
    return replace(decision, actions=_ending(decision.actions, ends)) if ends else decision


def on_service(decision: ServiceDecision, switched: ModeDecision) -> ServiceDecision:
    """The decision on a service, likewise."""
    owner = Owner(decision.key, is_service=True)
    helping, ends = switched.help.get(owner), switched.removals.get(owner)
    if helping:
        condition = Condition(not helping.is_coming, helping.reason, helping.message)
        decision = replace(decision, verdict=helping.on(decision.verdict), scaling=condition)
    return replace(decision, actions=_ending(decision.actions, ends)) if ends else decision


def _ending(actions: Sequence[Act], ends: Sequence[EndPod]) -> tuple[Act | EndPod, ...]:
    """These ends, and the actions that are not on pods which are ended anyway."""
    ended = {end.uid for end in ends}
    return (*(action for action in actions if getattr(action, "uid", "") not in ended), *ends)


def on_nodes(snapshot: Snapshot, decided: Iterable[ModeDecision]) -> Iterator[NodeDecision]:
    """The decisions on all nodes: those that bear annotations although no pool gives them a mode lose them."""
    yield from (NodeDecision(name, AnnotateNode(name, switch, None)) for name, switch in snapshot.orphans)
    yield from (node for decision in decided for node in decision.nodes)
