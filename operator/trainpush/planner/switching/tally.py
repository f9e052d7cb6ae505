"""How many nodes each mode has and will have, held against its bounds.

Both bounds are kept at every moment: a node that leaves a mode is not there any more, and may come back;
one that comes is not there yet, and may not be turned away.
"""

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field

from trainpush.model.modes import Mode, Step
from trainpush.planner.switching.bounds import Reach
from trainpush.planner.switching.calendar import BOUNDED
from trainpush.planner.switching.survey import LATE, Post


@dataclass(slots=True)
class Tally:
    """Usable nodes by their modes."""

    reach: Reach
    there: Counter[Mode] = field(default_factory=Counter)
    """Those that rest."""
    coming: Counter[Mode] = field(default_factory=Counter)
    """Those on their way, by what they will be."""
    leaving: Counter[Mode] = field(default_factory=Counter)
    """Those on their way that may come back, by what they are."""
    stuck: Counter[Mode] = field(default_factory=Counter)
    """Those that do not come on, by what they should be."""

    @classmethod
    def of(cls, reach: Reach, posts: Iterable[Post]) -> "Tally":
        """All nodes as they are."""
        made = cls(reach)
        for post in posts:
            if not post.is_usable:
                continue
            if post.is_resting:
                made.there[post.mode] += 1
                continue
            is_missed = post.step is Step.STUCK or post.lacking.is_late
            (made.stuck if is_missed else made.coming)[post.to] += 1
            # Who is on the way to maintenance is there no more: else nothing could take its place.
            if post.step not in LATE and post.to is not Mode.MAINTENANCE:
                made.leaving[post.mode] += 1
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
        return max(0, self.reach.least[mode] - self.held(mode)) if mode in BOUNDED else 0

    def excess(self, mode: Mode) -> int:
        """Nodes that `mode` will have beyond its most."""
        return max(0, self.held(mode) - self.reach.most[mode]) if mode in BOUNDED else 0

    def is_short(self, mode: Mode) -> bool:
        """Whether a mode has fewer nodes now than its least, because some leave it."""
        return mode in BOUNDED and self.leaving[mode] > 0 and self.there[mode] < self.reach.least[mode]

    def may_have(self, mode: Mode, more: int = 1) -> bool:
        """Whether a mode may get so many nodes more."""
        if mode not in BOUNDED:
            return True
        return self.held(mode) + self.stuck[mode] + self.leaving[mode] + more <= self.reach.most[mode]

    def may_lose(self, mode: Mode, fewer: int = 1) -> bool:
        """Whether a mode may give so many nodes."""
        return mode not in BOUNDED or self.there[mode] - fewer >= self.reach.least[mode]

    def may_come_back(self, mode: Mode, more: int = 1) -> bool:
        """Whether a mode may keep so many nodes that were about to leave it."""
        return mode not in BOUNDED or self.held(mode) + more <= self.reach.most[mode]

    def may_stay_away(self, mode: Mode, fewer: int = 1) -> bool:
        """Whether a mode can do without so many nodes that were about to come."""
        return mode not in BOUNDED or self.held(mode) - fewer >= self.reach.least[mode]
