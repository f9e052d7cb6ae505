"""What is said of switches: in the status of the pool, and to those that wait for nodes."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Final

from trainpush.model.modes import Mode, Switch, Switching, SwitchStep
from trainpush.model.plan import Condition, FinishedSwitch, ModesSummary, PlannedSwitch, Verdict
from trainpush.model.reasons import Reason
from trainpush.model.wording import count, listed
from trainpush.planner.allocations import Owner
from trainpush.planner.modes import state_machine
from trainpush.planner.modes.budget import Budget
from trainpush.planner.modes.cost import TakenNodes, cost
from trainpush.planner.modes.nodes import NodeState
from trainpush.planner.modes.selection import DemandResult, Pick, Selection, told

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

    switching: Switching
    selection: Selection
    budget: Budget
    begun: Sequence[Pick]
    refused: Mapping[str, str]
    """Why nodes that were chosen do not begin, by node."""
    after: Mapping[str, Switch | None]
    """What each node is to bear."""
    now: datetime

    @property
    def nodes(self) -> tuple[NodeState, ...]:
        """All nodes."""
        return self.selection.states.nodes


def summary(here: SwitchPlan) -> ModesSummary:
    """What the status of the pool shows."""
    return ModesSummary(
        counts=Counter(_mode(node, here.after[node.name]) for node in here.nodes),
        switching=sum(switch is not None and not switch.is_resting for switch in here.after.values()),
        settled=_settled(here),
        planned=tuple(sorted(_planned(here), key=lambda it: it.node)),
        finished=tuple(_finished(here)),
    )


def _mode(node: NodeState, after: Switch | None) -> Mode:
    """What a node counts as once this cycle stands."""
    if not node.is_usable:
        return Mode.MAINTENANCE
    return after.mode if after else node.mode


def _planned(here: SwitchPlan) -> list[PlannedSwitch]:
    """What is under way, then what was chosen and has not begun."""
    found = []
    for node in here.nodes:
        switch = here.after[node.name]
        if switch and not switch.is_resting and not node.is_resting:
            price = cost(node, switch.to, here.selection.states, TakenNodes())
            names = tuple(map(str, price.victims))
            found.append(PlannedSwitch(node.name, switch.mode, switch.to, switch.step, switch.why, names, price.lost))
    for pick in here.selection.picks.values():
        if pick.node.is_resting:
            names = tuple(map(str, pick.cost.victims))
            name, old = pick.node.name, pick.node.mode
            found.append(PlannedSwitch(name, old, pick.to, SwitchStep.PLANNED, pick.why, names, pick.cost.lost))
    return found


def _finished(here: SwitchPlan) -> list[FinishedSwitch]:
    found = []
    for node in sorted(here.nodes, key=lambda it: it.name):
        before, after = node.switch, here.after[node.name]
        if before and after and not before.is_resting and after.is_resting:
            found.append(FinishedSwitch(node.name, before.mode, before.to, before.begun, here.now, after.step))
    return found


def _settled(here: SwitchPlan) -> Condition:
    """The worst thing first."""
    if hanging := _hanging(here):
        return hanging
    waiting = [
        pick for pick in here.selection.picks.values() if pick.node.is_resting and pick.node.name in here.refused
    ]
    if here.budget.trouble and (waiting or here.selection.unmet):
        return Condition(False, Reason.FROZEN, f"no switch begins, since {here.budget.trouble}: bring them back")
    if here.selection.unmet:
        return Condition(False, Reason.BOUNDS_NOT_MET, "; ".join(here.selection.unmet))
    if not here.switching.is_enforced and here.selection.picks:
        plural = count(len(here.selection.picks), "node")
        said = f"{plural} would change the mode, see status.plan; set spec.switching.policy to Enforce to let them"
        return Condition(False, Reason.DRY_RUN, said)
    under_way = sum(switch is not None and not switch.is_resting for switch in here.after.values())
    if under_way or waiting:
        more = f", {len(waiting)} more will" if waiting else ""
        said = f"{count(under_way, 'node')} on the way to another mode{more}{_waited_for(here)}"
        return Condition(False, Reason.SWITCHING, said)
    return Condition(True, Reason.SETTLED, f"all {count(len(here.nodes), 'node')} have the modes that are wanted")


def _hanging(here: SwitchPlan) -> Condition | None:
    """Nodes that go no further."""
    stuck = sorted(node.name for node in here.nodes if (it := here.after[node.name]) and it.step is SwitchStep.STUCK)
    late = sorted((node for node in here.nodes if node.lacking.is_late), key=lambda it: it.name)
    parts = [*([_stuck(here, stuck)] if stuck else ()), *([_late(late)] if late else ())]
    return Condition(False, Reason.STUCK if stuck else Reason.NOT_READY_IN_TIME, "; ".join(parts)) if parts else None


def _stuck(here: SwitchPlan, names: Sequence[str]) -> str:
    busy = [node for node in here.nodes if node.name in names and not node.suits(node.to)]
    # Who is empty waits for the rest of its unit.
    names = sorted(node.name for node in busy) or names
    there = sorted({str(key) for node in busy for key in (*node.gangs, *node.services)})
    left = f"; still there: {listed(there, _NAMED_MAX)}" if there else ""
    remedy = "" if here.switching.is_forced else "; end them, or set spec.switching.onDeadline to Force"
    return f"{listed(names, _NAMED_MAX)}: what runs there did not go in time{left}{remedy}"


def _waited_for(here: SwitchPlan) -> str:
    """What nodes lack that get ready; those that have failed or are late are told before."""
    found = sorted(
        (node for node in here.nodes if node.step is SwitchStep.WARMING and node.lacking.what), key=lambda it: it.name
    )
    return "".join(f"; {node.name} waits: {', '.join(node.lacking.what)}" for node in found[:_NAMED_MAX])


def _late(nodes: Sequence[NodeState]) -> str:
    said = [f"{node.name} does not get ready for {node.to}: {', '.join(node.lacking.what)}" for node in nodes]
    more = f"; {len(said) - _NAMED_MAX} more" if len(said) > _NAMED_MAX else ""
    return f"{'; '.join(said[:_NAMED_MAX])}{more}"


def helps(here: SwitchPlan) -> dict[Owner, Help]:
    """What switches do for each that waits; nothing is said to those for whom there is room without any."""
    return {
        owner: _help(here, answer)
        for owner, answer in sorted(here.selection.results.items())
        if answer.nodes or not answer.is_met
    }


def _help(here: SwitchPlan, answer: DemandResult) -> Help:
    coming = [name for name in answer.nodes if name not in here.refused]
    if coming and here.switching.is_enforced:
        return Help(True, Reason.WAITING_FOR_MODE_SWITCH, _coming(here, coming))
    if answer.nodes:
        return _held_up(here, answer.nodes)
    if answer.at_most is not None:
        most = count(answer.at_most, "node")
        said = f"no more nodes change their mode for it: {most} at most may have it; raise max in spec.modes"
        return Help(False, Reason.MODE_AT_MAX, said + told(answer.blocks))
    said = "no node changes its mode for it"
    return Help(False, Reason.NO_NODE_MAY_SWITCH, said + (told(answer.blocks) or ": none would do"))


def _held_up(here: SwitchPlan, nodes: Sequence[str]) -> Help:
    """Nodes were chosen, and none of them begins now."""
    if not here.switching.is_enforced:
        held = "would change the mode for it, but spec.switching.policy of the GPUPool is DryRun"
        said = f"{listed(nodes, _NAMED_MAX)} {held}"
        return Help(False, Reason.DRY_RUN, said)
    reason = Reason(here.refused[nodes[0]])
    if reason is Reason.WAITING_FOR_MODE_SWITCH:
        held = "will change the mode for it when those before have: spec.switching.maxConcurrent"
        said = f"{listed(nodes, _NAMED_MAX)} {held}"
        return Help(True, reason, said)
    if reason is Reason.FROZEN:
        return Help(False, reason, f"no node changes its mode for it, since {here.budget.trouble}")
    until = f" before {here.budget.wake_at:%Y-%m-%dT%H:%M:%SZ}" if here.budget.wake_at else ""
    said = f"no node changes its mode for it{until}: spec.switching.perHour ({here.switching.per_hour}) is used up"
    return Help(False, reason, said)


def _coming(here: SwitchPlan, nodes: Sequence[str]) -> str:
    """Which nodes, how far they are, and until when at most."""
    picks = {pick.node.name: pick for pick in here.begun}
    parts, ends = [], []
    for name in nodes:
        switch = here.after[name]
        if switch is None or (switch.is_resting and name not in picks):
            continue
        parts.append(f"{name} ({switch.step})")
        ends.append(state_machine.latest_end(switch, here.switching, here.now))
    last = max(ends, default=here.now)
    verb = "changes its mode" if len(parts) == 1 else "change their modes"
    return f"{listed(parts, _NAMED_MAX)} {verb} for it, until {last:%Y-%m-%dT%H:%M:%SZ} at most"
