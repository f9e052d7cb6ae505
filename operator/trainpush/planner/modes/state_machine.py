"""How far a node goes in this cycle: at most one step, which is written down before anything follows from it.

All that a step looks at is in the annotation of the node and in what stands on it, so that any of them may be lost or
repeated, and whoever takes over goes on.
"""

from collections.abc import Iterable
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Final

from trainpush.model.modes import TURNED, Setting, Switch, Switching, SwitchStep
from trainpush.planner.modes.nodes import BEFORE_FLIP, NodeState

_ON: Final = {
    SwitchStep.PLANNED: SwitchStep.CORDONED,
    SwitchStep.CORDONED: SwitchStep.NOTIFIED,
    SwitchStep.NOTIFIED: SwitchStep.DRAINING,
    SwitchStep.DRAINING: SwitchStep.FLIPPING,
    SwitchStep.STUCK: SwitchStep.FLIPPING,
    SwitchStep.FLIPPING: SwitchStep.WARMING,
    SwitchStep.WARMING: SwitchStep.ACTIVE,
}
"""What comes next."""
_DRAINED: Final = frozenset({SwitchStep.NOTIFIED, SwitchStep.DRAINING})
"""Steps that end at the deadline."""
_TIMED: Final = _DRAINED | {SwitchStep.WARMING}
"""Steps that should not last longer than the deadline."""
_MINUTE: Final = timedelta(minutes=1)


@dataclass(frozen=True, slots=True)
class Signals:
    """What is wanted of a node under way."""

    is_needed: bool
    """Whether anybody still wants the other mode."""
    may_begin: bool
    """Whether one that is planned may be closed to new work, and one that is stuck may go on."""
    is_clear: bool
    """Whether all of its unit that goes the same way could bear the new mode: they turn together."""


def advanced(node: NodeState, switch: Switch, signals: Signals, switching: Switching, now: datetime) -> Switch:
    """The next step of a node under way; the same where it has to wait."""
    switch = released(switch, switching)
    if switch.step in TURNED and (other := _corrected(node, switch, switching, now)):
        return other
    if not signals.is_needed and switch.step in BEFORE_FLIP:
        why = f"kept: the switch to {switch.to} was given up" if switching.is_enforced else "kept: nothing is enforced"
        return replace(switch, to=switch.mode, step=SwitchStep.ABORTED, since=now, why=why)
    if _is_done(node, switch, signals):
        # Nobody is told to go where everything may stay.
        is_flipping = switch.step is SwitchStep.CORDONED and _may_stay(node)
        after = SwitchStep.FLIPPING if is_flipping else _ON[switch.step]
        mode = switch.to if after is SwitchStep.ACTIVE else switch.mode
        setting = _setting(switch, switching) if after is SwitchStep.FLIPPING else switch.setting
        return replace(switch, step=after, since=now, mode=mode, setting=setting)
    if switch.step in _DRAINED and now >= _due(switch, switching):
        return replace(switch, step=SwitchStep.STUCK, since=now)
    return switch


def released(switch: Switch, switching: Switching) -> Switch:
    """The same annotation; labels that no hook speaks of any more are their people's again, and stay as they are.

    So whoever may write annotations of nodes does not get other labels written.
    """
    hook, setting = switching.hook, switch.setting
    if setting is None or (hook and (hook.label, hook.state_label) == (setting.label, setting.state_label)):
        return switch
    return replace(switch, setting=None)


def _corrected(node: NodeState, switch: Switch, switching: Switching, now: datetime) -> Switch | None:
    """The annotation of a node that turned, where it cannot go on as it is; None where it can."""
    if not node.suits(switch.to):
        # So it was never empty: somebody else wrote the annotation. What is there gets its time.
        return replace(switch, step=SwitchStep.CORDONED, since=now)
    if node.wish and node.wish is not switch.to and node.lacking.is_late:
        # It is empty and of no use as it is: people may have it as they like.
        return replace(switch, to=node.wish, step=SwitchStep.FLIPPING, since=now)
    if switch.setting != _setting(switch, switching):
        # Nothing runs there yet: another setting harms nobody, and may be the remedy.
        return replace(switch, setting=_setting(switch, switching), since=now)
    return None


def _setting(switch: Switch, switching: Switching) -> Setting | None:
    return switching.hook.setting(switch.to) if switching.hook else None


def _is_done(node: NodeState, switch: Switch, signals: Signals) -> bool:
    """Whether all is there that a step waits for."""
    there = {
        SwitchStep.PLANNED: signals.may_begin,
        SwitchStep.CORDONED: signals.is_clear or not _may_stay(node),
        SwitchStep.NOTIFIED: node.is_told,
        SwitchStep.DRAINING: signals.is_clear,
        SwitchStep.STUCK: signals.is_clear and signals.may_begin,
        SwitchStep.FLIPPING: node.suits(switch.to),
        SwitchStep.WARMING: not node.lacking.what,
    }
    return there[switch.step]


def is_clear(node: NodeState) -> bool:
    """Whether a node may bear its new mode as soon as the rest of its unit may."""
    is_told = node.step in {SwitchStep.DRAINING, SwitchStep.STUCK}
    return (is_told and node.suits(node.to)) or (node.step is SwitchStep.CORDONED and _may_stay(node))


def _may_stay(node: NodeState) -> bool:
    """Whether there is something on a node, and nothing that has to go."""
    return not node.is_empty and node.suits(node.to)


def _due(switch: Switch, switching: Switching) -> datetime:
    """When a node that drains is stuck, or one that warms is late."""
    return switch.since + switching.drain_deadline


def wake_at(switches: Iterable[Switch], switching: Switching, now: datetime) -> datetime | None:
    """When the first deadline is over."""
    ends = ((switch.step, _due(switch, switching)) for switch in switches if switch.step in _TIMED)
    return min((end for step, end in ends if step in _DRAINED or end > now), default=None)


def latest_end(switch: Switch, switching: Switching, now: datetime) -> datetime:
    """Until when a switch goes on at most, if nothing is wrong: a minute, where nothing else limits a step."""
    timed = _due(switch, switching) if switch.step in _TIMED else now + switching.drain_deadline
    is_slow = switch.step not in TURNED and (_setting(switch, switching) or switching.warm_images)
    return max(timed, now) + (switching.drain_deadline if is_slow else timedelta()) + _MINUTE
