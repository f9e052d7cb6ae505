"""How many nodes each mode shall have at a moment, can have, and has.

The bounds are the pool's own, or those of the windows that are open. A window is open while the clocks of its zone say
so. Of a time that comes twice in a night the first counts. A time that clocks skip is over when they have jumped: a
window that begins then is late, one that ends then is short, and where one ends as another begins, they still do.
A window of which nothing would be left is open as much later as clocks jump, for as long as it should be.
So every window is open once on each of its days.

Both bounds are kept at every moment: a node that leaves a mode is not there any more, and may come back;
one that comes is not there yet, and may not be turned away.
"""

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from typing import Final

from trainpush.model.modes import Bounds, Mode, Switching, SwitchStep, Window
from trainpush.model.wording import count, verb
from trainpush.planner.modes.nodes import LATE, NodeState

BOUNDED: Final = (Mode.INFERENCE, Mode.TRAINING)
"""Modes that have bounds, in the order in which they get their least: users wait, training can."""
_DAY: Final = timedelta(days=1)
_MINUTE: Final = timedelta(minutes=1)
_WEEK: Final = 8
"""Days after which every window has begun and ended once."""


def bounds_at(switching: Switching, now: datetime) -> Mapping[Mode, Bounds]:
    """The bounds that hold at `now`, for each mode that has some."""
    bounds = {mode: switching.bounds.get(mode, Bounds()) for mode in BOUNDED}
    for window in switching.windows:
        if is_open(window, now):
            bounds |= {mode: window.bounds[mode] for mode in BOUNDED if mode in window.bounds}
    return bounds


def is_open(window: Window, now: datetime) -> bool:
    """Whether the bounds of a window hold at `now`."""
    today = now.astimezone(window.zone).date()
    return any(begin <= now.astimezone(UTC) < end for begin, end in _openings(window, today - 2 * _DAY, 3))


def next_change(switching: Switching, now: datetime) -> datetime | None:
    """When a window opens or closes next; None where there is none."""
    openings = (
        opening
        for window in switching.windows
        for opening in _openings(window, now.astimezone(window.zone).date() - 2 * _DAY, _WEEK + 2)
    )
    return min((change for opening in openings for change in opening if change > now), default=None)


def _openings(window: Window, first: date, days: int) -> Iterator[tuple[datetime, datetime]]:
    """From when until when a window is open that begins on one of `days` days from `first` on."""
    for day in (first + number * _DAY for number in range(days)):
        if day.weekday() in window.days:
            last = day if window.begin < window.end else day + _DAY
            opens = datetime.combine(day, window.begin, tzinfo=window.zone)
            yield _opening(opens, datetime.combine(last, window.end, tzinfo=window.zone))


def _opening(begin: datetime, end: datetime) -> tuple[datetime, datetime]:
    """The moments at which clocks have come to `begin` and `end`; later ones where they have come to both at once."""
    opens, closes = _reached(begin), _reached(end)
    if opens < closes:
        return opens, closes
    late = begin.astimezone(UTC)
    return late, late + (end - begin)


def _reached(clock: datetime) -> datetime:
    """When clocks first show a time, or have jumped over it, to the minute."""
    # As if they had jumped already, and as if they never did: of a time that they skip this is the later one.
    moment, late = clock.replace(fold=1).astimezone(UTC), clock.astimezone(UTC)
    if moment >= late:
        return late
    after = late.astimezone(clock.tzinfo).utcoffset()
    while moment.astimezone(clock.tzinfo).utcoffset() != after:
        moment += _MINUTE
    return moment


@dataclass(frozen=True, slots=True)
class FeasibleBounds:
    """Bounds that can be kept with the nodes that there are."""

    least: Mapping[Mode, int]
    most: Mapping[Mode, int]
    limited: frozenset[Mode] = frozenset()
    """Modes of which the pool itself says how many nodes have them at most."""
    unmet: tuple[str, ...] = ()
    """What was asked for and cannot be, in words with numbers."""


def feasible(bounds: Mapping[Mode, Bounds], nodes: int) -> FeasibleBounds:
    """The bounds that `nodes` nodes can keep: inference gets its least before training."""
    least: dict[Mode, int] = {}
    unmet = []
    for mode in BOUNDED:
        asked, left = bounds[mode].least, nodes - sum(least.values())
        least[mode] = min(asked, left)
        if asked > left:
            unmet.append(f"{mode} needs {count(asked, 'node')}, and {left} of {nodes} {verb(left, 'are')} left for it")
    most = {}
    for mode in BOUNDED:
        left = nodes - sum(least[other] for other in BOUNDED if other is not mode)
        limit = bounds[mode].most
        most[mode] = max(least[mode], left if limit is None else min(limit, left))
    limited = frozenset(mode for mode in BOUNDED if bounds[mode].most is not None)
    return FeasibleBounds(least, most, limited, tuple(unmet))


@dataclass(slots=True)
class ModeCounts:
    """Usable nodes by their modes."""

    feasible: FeasibleBounds
    there: Counter[Mode] = field(default_factory=Counter)
    """Those that rest."""
    coming: Counter[Mode] = field(default_factory=Counter)
    """Those on their way, by what they will be."""
    leaving: Counter[Mode] = field(default_factory=Counter)
    """Those on their way that may come back, by what they are."""
    stuck: Counter[Mode] = field(default_factory=Counter)
    """Those that do not come on, by what they should be."""

    @classmethod
    def of(cls, feasible: FeasibleBounds, nodes: Iterable[NodeState]) -> "ModeCounts":
        """All nodes as they are."""
        made = cls(feasible)
        for node in nodes:
            if not node.is_usable:
                continue
            if node.is_resting:
                made.there[node.mode] += 1
                continue
            is_missed = node.step is SwitchStep.STUCK or node.lacking.is_late
            (made.stuck if is_missed else made.coming)[node.to] += 1
            # Who is on the way to maintenance is there no more: else nothing could take its place.
            if node.step not in LATE and node.to is not Mode.MAINTENANCE:
                made.leaving[node.mode] += 1
        return made

    def send(self, old: Mode, new: Mode) -> None:
        """A node begins to change."""
        self.there[old] -= 1
        self.leaving[old] += 1
        self.coming[new] += 1

    def call_back(self, old: Mode, new: Mode) -> None:
        """A node that was about to become `new` stays what it is."""
        self.there[old] += 1
        self.leaving[old] -= 1
        self.coming[new] -= 1

    def held(self, mode: Mode) -> int:
        """Nodes that a mode will have."""
        return self.there[mode] + self.coming[mode]

    def missing(self, mode: Mode) -> int:
        """Nodes that `mode` will lack to its least."""
        return max(0, self.feasible.least[mode] - self.held(mode)) if mode in BOUNDED else 0

    def excess(self, mode: Mode) -> int:
        """Nodes that `mode` will have beyond its most."""
        return max(0, self.held(mode) - self.feasible.most[mode]) if mode in BOUNDED else 0

    def is_short(self, mode: Mode) -> bool:
        """Whether a mode has fewer nodes now than its least, because some leave it."""
        return mode in BOUNDED and self.leaving[mode] > 0 and self.there[mode] < self.feasible.least[mode]

    def may_have(self, mode: Mode, more: int = 1) -> bool:
        """Whether a mode may get so many nodes more."""
        if mode not in BOUNDED:
            return True
        return self.held(mode) + self.stuck[mode] + self.leaving[mode] + more <= self.feasible.most[mode]

    def may_lose(self, mode: Mode, fewer: int = 1) -> bool:
        """Whether a mode may give so many nodes."""
        return mode not in BOUNDED or self.there[mode] - fewer >= self.feasible.least[mode]

    def may_come_back(self, mode: Mode, more: int = 1) -> bool:
        """Whether a mode may keep so many nodes that were about to leave it."""
        return mode not in BOUNDED or self.held(mode) + more <= self.feasible.most[mode]

    def may_stay_away(self, mode: Mode, fewer: int = 1) -> bool:
        """Whether a mode can do without so many nodes that were about to come."""
        return mode not in BOUNDED or self.held(mode) - fewer >= self.feasible.least[mode]
