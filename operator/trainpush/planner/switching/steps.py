"""How far a node goes in this cycle: at most one step, which is written down before anything follows from it.

All that a step looks at is in the mark of the node and in what stands on it, so that any of them may be lost or
repeated, and whoever takes over goes on.
"""

from collections.abc import Iterable
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Final

from trainpush.model.modes import Mode, Step, Switch, Switching
from trainpush.planner.switching.survey import EARLY, Post

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
_TIMED: Final = frozenset({Step.NOTIFIED, Step.DRAINING})
"""Steps that may not last longer than the deadline."""


@dataclass(frozen=True, slots=True)
class Order:
    """What is wanted of a node under way."""

    is_needed: bool
    """Whether anybody still wants the other mode."""
    may_begin: bool
    """Whether one that is planned may be closed to new work, and one that is stuck may go on."""


def planned(post: Post, to: Mode, why: str, now: datetime) -> Switch:
    """The first step."""
    return Switch(post.mode, to, Step.PLANNED, now, now, why)


def initial(post: Post, now: datetime) -> Switch:
    """The mark of a node that has none, and stays what it is."""
    return Switch(post.mode, post.mode, Step.ACTIVE, now, now)


def advanced(post: Post, switch: Switch, order: Order, switching: Switching, now: datetime) -> Switch:
    """The next step of a node under way; the same where it has to wait."""
    if not order.is_needed and switch.step in {*EARLY, Step.STUCK}:
        why = f"kept: {switch.to} is not needed any more" if switching.is_enforced else "kept: nothing is enforced"
        return replace(switch, to=switch.mode, step=Step.ABORTED, since=now, why=why)
    if _is_done(post, switch, order):
        after = _next(post, switch)
        return replace(switch, step=after, since=now, mode=switch.to if after is Step.ACTIVE else switch.mode)
    if switch.step in _TIMED and now >= due(switch, switching):
        return replace(switch, step=Step.STUCK, since=now)
    return switch


def _next(post: Post, switch: Switch) -> Step:
    """The step after this one: nobody is told to go where everything may stay."""
    if switch.step is Step.CORDONED and not post.is_empty and post.suits(switch.to):
        return Step.FLIPPING
    return _ON[switch.step]


def _is_done(post: Post, switch: Switch, order: Order) -> bool:
    """Whether all is there that a step waits for."""
    match switch.step:
        case Step.PLANNED:
            return order.may_begin
        case Step.NOTIFIED:
            return post.is_told
        case Step.DRAINING | Step.FLIPPING:
            return post.suits(switch.to)
        case Step.STUCK:
            return post.suits(switch.to) and order.may_begin
        case Step.WARMING:
            return post.is_ready
        case _:
            return True


def due(switch: Switch, switching: Switching) -> datetime:
    """When a node is stuck that goes no further."""
    return switch.since + switching.drain_deadline


def wake_at(switches: Iterable[Switch], switching: Switching) -> datetime | None:
    """When the first deadline is over."""
    return min((due(it, switching) for it in switches if it.step in _TIMED), default=None)


def latest_end(switch: Switch, switching: Switching, now: datetime) -> datetime:
    """Until when a switch goes on at most, if it is not stuck then: a minute for all that is no draining."""
    drained = due(switch, switching) if switch.step in _TIMED else now + switching.drain_deadline
    return max(drained, now) + timedelta(minutes=1)
