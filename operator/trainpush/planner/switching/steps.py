"""How far a node goes in this cycle: at most one step, which is written down before anything follows from it.

All that a step looks at is in the mark of the node and in what stands on it, so that any of them may be lost or
repeated, and whoever takes over goes on.
"""

from collections.abc import Iterable
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Final

from trainpush.model.modes import TURNED, Mode, Setting, Step, Switch, Switching
from trainpush.planner.switching.survey import BEFORE_FLIP, Post

_ON: Final = {
    Step.PLANNED: Step.CORDONED,
    Step.CORDONED: Step.NOTIFIED,
    Step.NOTIFIED: Step.DRAINING,
    Step.DRAINING: Step.FLIPPING,
    Step.STUCK: Step.FLIPPING,
    Step.FLIPPING: Step.WARMING,
    Step.WARMING: Step.ACTIVE,
}
"""What comes next."""
_DRAINED: Final = frozenset({Step.NOTIFIED, Step.DRAINING})
"""Steps that end at the deadline."""
_TIMED: Final = _DRAINED | {Step.WARMING}
"""Steps that should not last longer than the deadline."""
_MINUTE: Final = timedelta(minutes=1)


@dataclass(frozen=True, slots=True)
class Order:
    """What is wanted of a node under way."""

    is_needed: bool
    """Whether anybody still wants the other mode."""
    may_begin: bool
    """Whether one that is planned may be closed to new work, and one that is stuck may go on."""
    is_clear: bool
    """Whether all of its unit that goes the same way could bear the new mode: they turn together."""


def planned(post: Post, to: Mode, why: str, now: datetime) -> Switch:
    """The first step."""
    return Switch(post.mode, to, Step.PLANNED, now, now, why, post.switch.setting if post.switch else None)


def initial(post: Post, now: datetime) -> Switch:
    """The mark of a node that has none, and stays what it is."""
    return Switch(post.mode, post.mode, Step.ACTIVE, now, now)


def advanced(post: Post, switch: Switch, order: Order, switching: Switching, now: datetime) -> Switch:
    """The next step of a node under way; the same where it has to wait."""
    switch = released(switch, switching)
    if switch.step in TURNED and (other := _corrected(post, switch, switching, now)):
        return other
    if not order.is_needed and switch.step in BEFORE_FLIP:
        why = f"kept: the switch to {switch.to} was given up" if switching.is_enforced else "kept: nothing is enforced"
        return replace(switch, to=switch.mode, step=Step.ABORTED, since=now, why=why)
    if _is_done(post, switch, order):
        return _stepped(switch, _next(post, switch), switching, now)
    if switch.step in _DRAINED and now >= due(switch, switching):
        return replace(switch, step=Step.STUCK, since=now)
    return switch


def _corrected(post: Post, switch: Switch, switching: Switching, now: datetime) -> Switch | None:
    """The mark of a node that turned, where it cannot go on as it is; None where it can."""
    if not post.suits(switch.to):
        # So it was never empty: somebody else wrote the mark. What is there gets its time.
        return replace(switch, step=Step.CORDONED, since=now)
    if post.wish and post.wish is not switch.to and post.lacking.is_late:
        # It is empty and of no use as it is: people may have it as they like.
        return replace(switch, to=post.wish, step=Step.FLIPPING, since=now)
    if switch.setting != _setting(switch, switching):
        # Nothing runs there yet: another setting harms nobody, and may be the remedy.
        return replace(switch, setting=_setting(switch, switching), since=now)
    return None


def released(switch: Switch, switching: Switching) -> Switch:
    """The same mark; labels that no hook speaks of any more are their people's again, and stay as they are.

    So whoever may write annotations of nodes does not get other labels written.
    """
    hook, setting = switching.hook, switch.setting
    if setting is None or (hook and (hook.label, hook.state_label) == (setting.label, setting.state_label)):
        return switch
    return replace(switch, setting=None)


def _setting(switch: Switch, switching: Switching) -> Setting | None:
    return switching.hook.setting(switch.to) if switching.hook else None


def _stepped(switch: Switch, after: Step, switching: Switching, now: datetime) -> Switch:
    """The mark of a node that has come to `after`."""
    mode = switch.to if after is Step.ACTIVE else switch.mode
    setting = _setting(switch, switching) if after is Step.FLIPPING else switch.setting
    return replace(switch, step=after, since=now, mode=mode, setting=setting)


def _next(post: Post, switch: Switch) -> Step:
    """The step after this one: nobody is told to go where everything may stay."""
    return Step.FLIPPING if switch.step is Step.CORDONED and _may_stay(post) else _ON[switch.step]


def is_clear(post: Post) -> bool:
    """Whether a node may bear its new mode as soon as the rest of its unit may."""
    is_there = post.step in {Step.DRAINING, Step.STUCK} or (post.step is Step.CORDONED and _may_stay(post))
    return is_there and post.suits(post.to)


def _may_stay(post: Post) -> bool:
    """Whether there is something on a node, and nothing that has to go."""
    return not post.is_empty and post.suits(post.to)


def _is_done(post: Post, switch: Switch, order: Order) -> bool:
    """Whether all is there that a step waits for."""
    there = {
        Step.PLANNED: order.may_begin,
        Step.CORDONED: order.is_clear or not _may_stay(post),
        Step.NOTIFIED: post.is_told,
        Step.DRAINING: order.is_clear,
        Step.STUCK: order.is_clear and order.may_begin,
        Step.FLIPPING: post.suits(switch.to),
        Step.WARMING: not post.lacking.what,
    }
    return there[switch.step]


def due(switch: Switch, switching: Switching) -> datetime:
    """When a node that drains is stuck, or one that warms is late."""
    return switch.since + switching.drain_deadline


def wake_at(switches: Iterable[Switch], switching: Switching, now: datetime) -> datetime | None:
    """When the first deadline is over."""
    ends = ((it, due(it, switching)) for it in switches if it.step in _TIMED)
    return min((end for it, end in ends if it.step in _DRAINED or end > now), default=None)


def latest_end(switch: Switch, switching: Switching, now: datetime) -> datetime:
    """Until when a switch goes on at most, if nothing is wrong: a minute, where nothing else limits a step."""
    timed = due(switch, switching) if switch.step in _TIMED else now + switching.drain_deadline
    is_slow = switch.step not in TURNED and (_setting(switch, switching) or switching.warm_images)
    return max(timed, now) + (switching.drain_deadline if is_slow else timedelta()) + _MINUTE
