"""What keeps switches from beginning, whoever wants them: how many at a time, how many an hour, and larger trouble."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Final

from trainpush.model.modes import Mode, SwitchStep
from trainpush.model.nodes import HOST
from trainpush.model.reasons import Reason
from trainpush.model.snapshot import Pool
from trainpush.model.wording import count
from trainpush.planner.modes.nodes import BEFORE_FLIP, NodeState
from trainpush.planner.modes.selection import Pick, Selection

_HOUR: Final = timedelta(hours=1)
_TOLD: Final = BEFORE_FLIP - {SwitchStep.PLANNED}
"""Steps in which the rest of a unit waits for what is on a node."""
_BAD: Final = 2
"""Fewer nodes that are stuck, late or not ready are no larger trouble."""


@dataclass(slots=True)
class Budget:
    """What may begin in this cycle, and what does."""

    under_way: frozenset[int]
    """Units that have begun; the rest of their nodes may follow."""
    slots: int
    """Units that may begin, or go on after they were stuck."""
    quota: int
    """Of these, so many may be such that people did not wish."""
    trouble: str
    """Why nothing begins, in words; empty where nothing is wrong."""
    allowed: frozenset[str]
    """Planned nodes that may go on."""
    wake_at: datetime | None
    """When `quota` grows."""

    begun: list[Pick] = field(default_factory=list)
    """Nodes that begin to switch."""
    refused: dict[str, Reason] = field(default_factory=dict)
    """Why others that were chosen do not, by node."""

    def begin(self, pick: Pick) -> None:
        """Let a node begin, or note why it does not."""
        if reason := self._refusal(pick):
            self.refused[pick.node.name] = reason
        else:
            self.begun.append(pick)

    def _refusal(self, pick: Pick) -> Reason | None:
        if self.trouble and not (pick.is_wish and pick.to is Mode.MAINTENANCE):
            return Reason.FROZEN
        new = {it.node.unit: it.is_wish for it in self.begun if it.node.unit not in self.under_way}
        if pick.node.unit in self.under_way or new.get(pick.node.unit) is pick.is_wish:
            return None
        if not pick.is_wish and sum(not is_wish for is_wish in new.values()) >= self.quota:
            return Reason.SWITCHES_USED_UP
        return Reason.WAITING_FOR_MODE_SWITCH if len(new) >= self.slots else None


def budget_of(pool: Pool, selection: Selection) -> Budget:
    """What a pool lets begin at this moment, and which of the chosen nodes that rest do."""
    nodes, switching = selection.states.nodes, selection.switching
    # Who was planned last waits: two that look at the same nodes at once may both plan the last one that is allowed.
    late = {node.name: node.unit for node in nodes if node.lacking.is_late}
    # One that is stuck does not count, nor one that is lost and comes back when it may.
    going = (node for node in nodes if node.is_ready and not node.is_resting and node.step is not SwitchStep.STUCK)
    counted = sorted((node for node in going if node.name not in late), key=_seniority)
    under_way = list(dict.fromkeys(node.unit for node in counted))
    trouble = _trouble(pool, nodes, late.values(), "node" if switching.unit == HOST else "unit")
    seniors = set(under_way[: switching.max_concurrent])
    slots = max(0, switching.max_concurrent - len(under_way))
    stuck = sorted((node for node in nodes if node.step is SwitchStep.STUCK and node.suits(node.to)), key=_seniority)
    held = {node.unit for node in nodes if node.step in _TOLD and not node.suits(node.to)}
    relieved = list(dict.fromkeys(node.unit for node in stuck if node.unit not in held.union(under_way)))[:slots]
    # What has begun ends, so that no node waits for the rest of its unit for ever.
    begun = {node.unit for node in counted if node.step is not SwitchStep.PLANNED and not node.wish}
    calm = (node for node in counted if not trouble or node.wish is Mode.MAINTENANCE or node.unit in begun)
    allowed = {node.name for node in calm if node.unit in seniors}
    recent = _begun(pool, nodes, selection.states.now)
    free = switching.per_hour - len(recent)
    budget = Budget(
        under_way=frozenset(node.unit for node in counted if not node.wish),
        slots=slots - len(relieved),
        quota=max(0, free),
        trouble=trouble,
        allowed=frozenset(allowed | {node.name for node in stuck if node.unit in seniors.union(relieved)}),
        wake_at=recent[-switching.per_hour] + _HOUR if free <= 0 else None,
    )
    for pick in selection.picks.values():
        if pick.node.is_resting:
            budget.begin(pick)
    return budget


def _seniority(node: NodeState) -> tuple[bool, float, str]:
    return (node.step is SwitchStep.PLANNED, node.begun, node.name)


def _begun(pool: Pool, nodes: Sequence[NodeState], now: datetime) -> list[datetime]:
    """When units began to switch within the last hour: those that are over, and the latest of each, in order."""
    unit_of = {node.name: node.unit for node in nodes}
    latest = ((name, switch.begun) for name, switch in pool.switches.items() if switch.why)
    times = {(unit_of.get(name), at) for name, at in (*pool.history, *latest) if at > now - _HOUR}
    return sorted(at for _, at in times)


def _trouble(pool: Pool, nodes: Sequence[NodeState], late: Collection[int], thing: str) -> str:
    """What is wrong at large, where the units `late`, each a `thing`, do not get ready for their new mode."""
    lost = int((~pool.table.ready).sum())
    stuck = {node.unit for node in nodes if node.step is SwitchStep.STUCK and node.to is not Mode.MAINTENANCE}
    if lost >= _BAD and lost * 4 > len(nodes):
        return f"{lost} of {count(len(nodes), 'node')} are not ready"
    if len(stuck.union(late)) >= _BAD:
        return f"{count(len(stuck.union(late)), thing)} are stuck{' or do not get ready' if late else ''}"
    return ""
