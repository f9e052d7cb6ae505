"""What is said of switches: in the status of the pool, and to those that wait for nodes."""

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Final

from trainpush.model.modes import Mode, Switch, SwitchStep
from trainpush.model.plan import Condition, FinishedSwitch, ModesSummary, PlannedSwitch, Verdict
from trainpush.model.reasons import Reason
from trainpush.model.wording import count, listed
from trainpush.planner.modes import state_machine
from trainpush.planner.modes.budget import Budget
from trainpush.planner.modes.cost import TakenNodes, cost
from trainpush.planner.modes.demand_matching import DemandResult
from trainpush.planner.modes.nodes import NodeState
from trainpush.planner.modes.selection import Selection, told
from trainpush.planner.places import Owner

_NAMED_MAX: Final = 4
"""Most nodes that are named one by one."""


@dataclass(frozen=True, slots=True)
class Help:
    """What switches do for one that waits."""

    is_coming: bool
    """Whether nodes change for it; else `reason` is why they do not."""
    reason: Reason
    message: str

    def on(self, verdict: Verdict) -> Verdict:
        """The verdict on one that waits, with this in it."""
        if self.is_coming:
            return replace(verdict, reason=self.reason, message=f"{verdict.message}; {self.message}")
        return replace(verdict, advice="; ".join(filter(None, (verdict.advice, self.message))))


@dataclass(frozen=True, slots=True)
class SwitchPlan:
    """All that was decided on the nodes of a pool."""

    nodes: Sequence[NodeState]
    """By name."""
    selection: Selection
    results: Mapping[Owner, DemandResult]
    """What demands led to."""
    budget: Budget
    switches: Mapping[str, Switch | None]
    """What each node is to bear."""

    @property
    def under_way(self) -> int:
        """How many nodes switch."""
        return sum(switch is not None and not switch.is_resting for switch in self.switches.values())


def summary(here: SwitchPlan) -> ModesSummary:
    """What the status of the pool shows."""
    modes = ((here.switches[node.name] or node).mode if node.is_usable else Mode.MAINTENANCE for node in here.nodes)
    return ModesSummary(
        counts=Counter(modes),
        switching=here.under_way,
        settled=_settled(here),
        planned=tuple(sorted(_planned(here), key=lambda planned: planned.node)),
        finished=tuple(_finished(here)),
    )


def _settled(here: SwitchPlan) -> Condition:
    """The worst thing first."""
    if hanging := _hanging(here):
        return hanging
    unmet, picks, refused = here.selection.unmet, here.selection.picks, here.budget.refused
    if here.budget.trouble and (refused or unmet):
        return Condition(False, Reason.FROZEN, f"no switch begins, since {here.budget.trouble}: bring them back")
    if unmet:
        return Condition(False, Reason.BOUNDS_NOT_MET, "; ".join(unmet))
    if picks and not here.selection.switching.is_enforced:
        plural = count(len(picks), "node")
        said = f"{plural} would change the mode, see status.plan; set spec.switching.policy to Enforce to let them"
        return Condition(False, Reason.DRY_RUN, said)
    if here.under_way or refused:
        more = f", {len(refused)} more will" if refused else ""
        said = f"{count(here.under_way, 'node')} on the way to another mode{more}{_waited_for(here)}"
        return Condition(False, Reason.SWITCHING, said)
    nodes = len(here.nodes)
    said = "the node has the mode that is" if nodes == 1 else f"all {count(nodes, 'node')} have the modes that are"
    return Condition(True, Reason.SETTLED, f"{said} wanted")


def _hanging(here: SwitchPlan) -> Condition | None:
    """Nodes that go no further."""
    switches = ((node, here.switches[node.name]) for node in here.nodes)
    stuck = [node for node, switch in switches if switch and switch.step is SwitchStep.STUCK]
    late = [node for node in here.nodes if node.lacking.is_late]
    parts = [*([_stuck(here, stuck)] if stuck else ()), *([_late(late)] if late else ())]
    return Condition(False, Reason.STUCK if stuck else Reason.NOT_READY_IN_TIME, "; ".join(parts)) if parts else None


def _stuck(here: SwitchPlan, stuck: Sequence[NodeState]) -> str:
    busy = [node for node in stuck if not node.suits(node.to)]
    # Who is empty waits for the rest of its unit.
    names = [node.name for node in busy or stuck]
    there = sorted({str(key) for node in busy for key in (*node.gangs, *node.services)})
    left = f"; still there: {listed(there, _NAMED_MAX)}" if there else ""
    is_forced = here.selection.switching.is_forced
    remedy = "" if is_forced else "; end them, or set spec.switching.onDeadline to Force"
    return f"{listed(names, _NAMED_MAX)}: what runs there did not go in time{left}{remedy}"


def _late(late: Sequence[NodeState]) -> str:
    said = [f"{node.name} does not get ready for {node.to}: {', '.join(node.lacking.what)}" for node in late]
    more = f"; {len(said) - _NAMED_MAX} more" if len(said) > _NAMED_MAX else ""
    return f"{'; '.join(said[:_NAMED_MAX])}{more}"


def _waited_for(here: SwitchPlan) -> str:
    """What nodes lack that get ready; those that have failed or are late are told before."""
    waiting = [node for node in here.nodes if node.step is SwitchStep.WARMING and node.lacking.what]
    return "".join(f"; {node.name} waits: {', '.join(node.lacking.what)}" for node in waiting[:_NAMED_MAX])


def _planned(here: SwitchPlan) -> Iterator[PlannedSwitch]:
    """What is under way, then what was chosen and has not begun."""
    for node in here.nodes:
        switch = here.switches[node.name]
        if switch and not switch.is_resting and not node.is_resting:
            price = cost(node, switch.to, here.selection.states, TakenNodes())
            victims = tuple(map(str, price.victims))
            yield PlannedSwitch(node.name, switch.mode, switch.to, switch.step, switch.why, victims, price.lost)
    for pick in here.selection.picks.values():
        if pick.node.is_resting:
            name, old, victims = pick.node.name, pick.node.mode, tuple(map(str, pick.cost.victims))
            yield PlannedSwitch(name, old, pick.to, SwitchStep.PLANNED, pick.why, victims, pick.cost.lost)


def _finished(here: SwitchPlan) -> Iterator[FinishedSwitch]:
    for node in here.nodes:
        before, after = node.switch, here.switches[node.name]
        if before and after and not before.is_resting and after.is_resting:
            now = here.selection.states.now
            yield FinishedSwitch(node.name, before.mode, before.to, before.begun, now, after.step)


def helps(here: SwitchPlan) -> dict[Owner, Help]:
    """What switches do for each that waits; nothing is said to those for whom there is room without any."""
    results = sorted(here.results.items())
    return {owner: _help(here, result) for owner, result in results if result.nodes or not result.is_met}


def _help(here: SwitchPlan, result: DemandResult) -> Help:
    coming = [name for name in result.nodes if name not in here.budget.refused]
    if coming and here.selection.switching.is_enforced:
        return Help(True, Reason.WAITING_FOR_MODE_SWITCH, _coming(here, coming))
    if result.nodes:
        return _held_up(here, result.nodes)
    if result.at_most is not None:
        most = count(result.at_most, "node")
        said = f"no more nodes change their mode for it: {most} at most may have it; raise max in spec.modes"
        return Help(False, Reason.MODE_AT_MAX, said + told(result.blocks))
    said = "no node changes its mode for it"
    return Help(False, Reason.NO_NODE_MAY_SWITCH, said + (told(result.blocks) or ": none would do"))


def _coming(here: SwitchPlan, nodes: Sequence[str]) -> str:
    """Which nodes, how far they are, and until when at most."""
    switching, now = here.selection.switching, here.selection.states.now
    switches = {name: switch for name in nodes if (switch := here.switches[name]) and not switch.is_resting}
    parts = [f"{name} ({switch.step})" for name, switch in switches.items()]
    verb = "changes its mode" if len(parts) == 1 else "change their modes"
    ends = (state_machine.latest_end(switch, switching, now) for switch in switches.values())
    last = max(ends, default=now)
    return f"{listed(parts, _NAMED_MAX)} {verb} for it, until {last:%Y-%m-%dT%H:%M:%SZ} at most"


def _held_up(here: SwitchPlan, nodes: Sequence[str]) -> Help:
    """Nodes were chosen, and none of them begins now."""
    named, switching, budget = listed(nodes, _NAMED_MAX), here.selection.switching, here.budget
    if not switching.is_enforced:
        said = f"{named} would change the mode for it, but spec.switching.policy of the GPUPool is DryRun"
        return Help(False, Reason.DRY_RUN, said)
    reason = budget.refused[nodes[0]]
    if reason is Reason.WAITING_FOR_MODE_SWITCH:
        said = f"{named} will change the mode for it when those before have: spec.switching.maxConcurrent"
        return Help(True, reason, said)
    if reason is Reason.FROZEN:
        return Help(False, reason, f"no node changes its mode for it, since {budget.trouble}")
    until = f" before {budget.wake_at:%Y-%m-%dT%H:%M:%SZ}" if budget.wake_at else ""
    said = f"no node changes its mode for it{until}: spec.switching.perHour ({switching.per_hour}) is used up"
    return Help(False, reason, said)
