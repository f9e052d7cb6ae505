"""How many nodes a mode has at a moment: the pool's own bounds, or those of the windows that are open then.

A window begins and ends when the clocks of its zone say so. Of a time that comes twice in a night the first counts;
one that does not come at all counts as much later as the clocks jump.
"""

from collections.abc import Iterator, Mapping
from datetime import UTC, date, datetime, time, timedelta
from typing import Final

from trainpush.model.modes import Bounds, Mode, Switching, Window

BOUNDED: Final = (Mode.INFERENCE, Mode.TRAINING)
"""Modes that have bounds, in the order in which they get their least: users wait, training can."""
_DAY: Final = timedelta(days=1)
_WEEK: Final = 8
"""Days after which every window has begun and ended once."""


def bounds_at(switching: Switching, now: datetime) -> Mapping[Mode, Bounds]:
    """The bounds that hold at `now`, for each mode that has some."""
    found = {mode: switching.bounds.get(mode, Bounds()) for mode in BOUNDED}
    for window in switching.windows:
        if is_open(window, now):
            found |= {mode: bounds for mode, bounds in window.bounds.items() if mode in BOUNDED}
    return found


def is_open(window: Window, now: datetime) -> bool:
    """Whether the bounds of a window hold at `now`."""
    today = now.astimezone(window.zone).date()
    return any(begin <= now.astimezone(UTC) < end for begin, end in _openings(window, today - 2 * _DAY, 3))


def next_change(switching: Switching, now: datetime) -> datetime | None:
    """When a window opens or closes next; None where there is none."""
    moment = now.astimezone(UTC)
    changes = (
        change
        for window in switching.windows
        for opening in _openings(window, now.astimezone(window.zone).date() - 2 * _DAY, _WEEK + 2)
        for change in opening
        if change > moment
    )
    return min(changes, default=None)


def _openings(window: Window, first: date, days: int) -> Iterator[tuple[datetime, datetime]]:
    """From when until when a window is open that begins on one of `days` days from `first` on."""
    for day in (first + number * _DAY for number in range(days)):
        if day.weekday() in window.days:
            last = day if window.begin < window.end else day + _DAY
            yield _moment(window, day, window.begin), _moment(window, last, window.end)


def _moment(window: Window, day: date, clock: time) -> datetime:
    return datetime.combine(day, clock, tzinfo=window.zone).astimezone(UTC)
