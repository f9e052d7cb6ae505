"""The whole decision on the nodes of one pool: which change their mode, how far each goes, what work hears of it."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import TypeVar

from trainpush.model.modes import Mode, Switch, Switching, SwitchStep
from trainpush.model.plan import (
    AnnotateNode,
    Condition,
    Decision,
    EndPod,
    ModesSummary,
    NodeDecision,
    PoolAction,
    ServiceDecision,
    Stage,
)
from trainpush.model.snapshot import Pool, Snapshot
from trainpush.model.workload import Key
from trainpush.planner.allocations import Allocations, Owner
from trainpush.planner.modes import bounds, messages, prepull, state_machine
from trainpush.planner.modes.bounds import feasible
from trainpush.planner.modes.budget import Budget, budget_of
from trainpush.planner.modes.cost import young_until
from trainpush.planner.modes.demand import demands
from trainpush.planner.modes.messages import Help
from trainpush.planner.modes.nodes import BEFORE_FLIP, NodeState, NodeStates, node_states
from trainpush.planner.modes.projected_capacity import ProjectedCapacity
from trainpush.planner.modes.selection import Pick, Selection
from trainpush.planner.modes.selection_order import select
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
    stages: Mapping[Key, Decision],
    served: Iterable[ServiceDecision],
    now: datetime,
) -> ModeDecision:
    """What becomes of the nodes of a pool, once everybody had a turn."""
    pool = capacity.pool
    if pool.switching is None:
        return ModeDecision(actions=prepull.actions(pool, now))
    given = {decision.key: decision for decision in served}
    states = node_states(pool, allocations, stages, given, now)
    selection = _selection(capacity, pool.switching, states)
    select(selection, demands(pool, quota, allocations, stages, given))
    here = _Cycle(pool, pool.switching, selection, budget_of(pool, pool.switching, states.nodes, now), now)
    begun, refused = here.begun()
    after = here.annotations(begun)
    changed = sorted((node for node in states.nodes if after[node.name] != node.switch), key=lambda node: node.name)
    planned = messages.SwitchPlan(pool.switching, selection, here.budget, begun, refused, after, now)
    return ModeDecision(
        nodes=tuple(NodeDecision(it.name, AnnotateNode(it.name, it.switch, after[it.name])) for it in changed),
        summary=messages.summary(planned),
        help=messages.helps(planned),
        removals=here.removals(),
        actions=prepull.actions(pool, now),
        wake_at=here.wake_at(),
    )


def on_nodes(snapshot: Snapshot, decided: Iterable[ModeDecision]) -> Iterator[NodeDecision]:
    """The decisions on all nodes: those that bear annotations although no pool gives them a mode lose them."""
    yield from (NodeDecision(name, AnnotateNode(name, switch, None)) for name, switch in snapshot.orphans)
    yield from (node for decision in decided for node in decision.nodes)


def _selection(capacity: FreeCapacity, switching: Switching, states: NodeStates) -> Selection:
    # Whom people want in no mode that has bounds cannot help to keep them.
    elsewhere = {Mode.MAINTENANCE, Mode.SHARED}
    usable = sum(node.is_usable and node.wish not in elsewhere for node in states.nodes)
    reachable = feasible(bounds.bounds_at(switching, states.now), usable)
    # Nobody waits for a node that may never get ready.
    projected = ProjectedCapacity(capacity, (node for node in states.nodes if not node.lacking.is_late))
    return Selection(states, reachable, switching, projected)


@dataclass(frozen=True, slots=True)
class _Cycle:
    """What was chosen, on its way to what is written."""

    pool: Pool
    switching: Switching
    selection: Selection
    budget: Budget
    now: datetime

    def begun(self) -> tuple[list[Pick], dict[str, str]]:
        """Of the nodes that were chosen and rest, those that begin; and why the others do not, by node."""
        begun: list[Pick] = []
        refused = {}
        for pick in self.selection.picks.values():
            if pick.node.is_resting:
                if reason := self.budget.refusal(pick, begun):
                    refused[pick.node.name] = str(reason)
                else:
                    begun.append(pick)
        return begun, refused

    def annotations(self, begun: Iterable[Pick]) -> dict[str, Switch | None]:
        """What each node is to bear."""
        found: dict[str, Switch | None] = {}
        for node in self.selection.states.nodes:
            if node.switch is not None and not node.is_resting:
                found[node.name] = self._advanced(node, node.switch)
            elif node.switch is None and self._is_unmarked(node):
                found[node.name] = state_machine.initial(node, self.now)
            else:
                found[node.name] = self._kept(node.switch)
        for pick in begun if self.switching.is_enforced else ():
            switch = state_machine.planned(pick.node, pick.to, pick.why, self.now)
            found[pick.node.name] = self._kept(replace(switch, begun=self._begun(pick)))
        return found

    def _begun(self, pick: Pick) -> datetime:
        """When the unit of a node began that begins now: before it, where it was left behind."""
        unit = (
            node for node in self.selection.states.units[pick.node.unit] if node.to is pick.to and not node.is_resting
        )
        return min((node.switch.begun for node in unit if node.switch and not node.wish), default=self.now)

    def _kept(self, switch: Switch | None) -> Switch | None:
        """The annotation of a node that rests."""
        return state_machine.released(switch, self.switching) if switch and self.switching.is_enforced else switch

    def _advanced(self, node: NodeState, switch: Switch) -> Switch:
        return state_machine.advanced(node, switch, self._signals(node), self.switching, self.now)

    def _signals(self, node: NodeState) -> state_machine.Signals:
        is_needed = node.name in self.selection.picks or node.name in self.selection.kept
        mates = (it for it in self.selection.states.mates(node) if it.step in BEFORE_FLIP)
        is_clear = all(state_machine.is_clear(it) for it in (node, *mates))
        return state_machine.Signals(
            is_needed and self.switching.is_enforced, node.name in self.budget.allowed, is_clear
        )

    def _is_unmarked(self, node: NodeState) -> bool:
        """Whether a node lacks an annotation that keeps the wrong work away."""
        return self.switching.is_enforced and (node.mode is not Mode.SHARED or node.name in self.pool.labelled)

    def removals(self) -> dict[Owner, tuple[EndPod, ...]]:
        """Pods on nodes that are stuck, where what is left is ended."""
        found: dict[Owner, list[EndPod]] = {}
        for node in self.selection.states.nodes:
            if node.step is SwitchStep.STUCK and self.switching.is_forced and self._signals(node).is_needed:
                for owner, action in node.removals:
                    found.setdefault(owner, []).append(action)
        return {owner: tuple(actions) for owner, actions in found.items()}

    def wake_at(self) -> datetime | None:
        """When a deadline or a pause is over, or other bounds hold."""
        states = self.selection.states
        under_way = (node.switch for node in states.nodes if node.switch and not node.is_resting)
        due = [bounds.next_change(self.switching, self.now), state_machine.wake_at(under_way, self.switching, self.now)]
        due.append(prepull.wake_at(self.pool, self.now))
        if self.selection.pressed or self.selection.unmet:
            due += [young_until(node, self.now, self.switching) for node in states.nodes]
            due += [gang.protected_until(self.now) for gang in states.gangs.values()]
        if self.selection.picks:
            due.append(self.budget.wake_at)
        # Not at once: what is due now was decided just now.
        return min((max(it, self.now + timedelta(seconds=1)) for it in due if it), default=None)


Act = TypeVar("Act")


def on_job(decision: Decision, switched: ModeDecision) -> Decision:
    """The decision on a job: if it waits, with what switches do for it; and its pods on nodes whose time is over go."""
    owner = Owner(decision.key, is_service=False)
    helping, ends = switched.help.get(owner), switched.removals.get(owner)
    if helping and decision.stage is Stage.QUEUED:
        decision = replace(decision, verdict=helping.on(decision.verdict))
    return replace(decision, actions=(*_but_of(ends, decision.actions), *ends)) if ends else decision


def on_service(decision: ServiceDecision, switched: ModeDecision) -> ServiceDecision:
    """The decision on a service, likewise."""
    owner = Owner(decision.key, is_service=True)
    helping, ends = switched.help.get(owner), switched.removals.get(owner)
    if helping:
        condition = Condition(not helping.is_coming, helping.reason, helping.message)
        decision = replace(decision, verdict=helping.on(decision.verdict), scaling=condition)
    return replace(decision, actions=(*_but_of(ends, decision.actions), *ends)) if ends else decision


def _but_of(ends: Sequence[EndPod], actions: Sequence[Act]) -> list[Act]:
    """The actions that are not on pods which are ended anyway."""
    ended = {end.uid for end in ends}
    return [action for action in actions if getattr(action, "uid", "") not in ended]
