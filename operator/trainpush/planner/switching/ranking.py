"""Which node to take: empty ones first, then those whose work can go on elsewhere, then those that lose least."""

import math
from collections import Counter
from collections.abc import Iterable, Sequence
from datetime import datetime
from enum import StrEnum
from typing import Final, NamedTuple

from trainpush.model.modes import Mode, Step, Switching
from trainpush.model.workload import Key
from trainpush.planner import resizing
from trainpush.planner.switching.survey import EARLY, HARMLESS, Post, Survey

_ORDER: Final = {Mode.MAINTENANCE: 0, Mode.SHARED: 1}
"""Modes that are given away first."""


Rank = tuple[float, int, int, int, int, str]
"""Less comes first."""


class Block(StrEnum):
    """Why a node is not taken for another mode, in words that follow a number of nodes."""

    UNUSABLE = "not ready, cordoned or unhealthy"
    WISHED = "wanted by people as they are"
    UNDER_WAY = "on their way to another mode"
    SERVING = "with replicas"
    ROLLING = "of a service that rolls out"
    PROTECTED = "with gangs that may not be disturbed"
    YOUNG = "changed too recently"
    FLOOR = "that their mode needs for its minimum"
    UNIT = "in units that cannot change as a whole"


class Cost(NamedTuple):
    """What it costs to take a node; less comes first."""

    kind: int
    """0 where nothing has to go, 1 where every gang goes on with fewer workers, 2 where some gang goes."""
    lost: int
    """Accelerator-seconds that are done twice."""
    victims: tuple[Key, ...]


class Taken:
    """Nodes that gangs lose in any case, and how many workers of each gang that makes."""

    def __init__(self, posts: Iterable[Post] = ()) -> None:
        """These nodes."""
        self.names: set[str] = set()
        self.workers: Counter[Key] = Counter()
        for post in posts:
            self.add(post)

    def copy(self) -> "Taken":
        """The same nodes, to which more can be added."""
        made = Taken()
        made.names, made.workers = set(self.names), self.workers.copy()
        return made

    def add(self, post: Post) -> None:
        """One node more, unless it is taken already."""
        if post.name not in self.names:
            self.names.add(post.name)
            self.workers.update(post.gangs)

    def discard(self, post: Post) -> None:
        """One node less, if it was taken."""
        if post.name in self.names:
            self.names.remove(post.name)
            self.workers.subtract(post.gangs)

    def before(self, key: Key, survey: Survey) -> int:
        """With how many workers a gang goes on that loses all these nodes."""
        return _left(survey, key, self.workers[key])

    def after(self, key: Key, survey: Survey, post: Post) -> int:
        """The same if it loses one more."""
        more = 0 if post.name in self.names else post.gangs[key]
        return _left(survey, key, self.workers[key] + more)


def block(post: Post, to: Mode, survey: Survey, switching: Switching, taken: Taken) -> Block | None:
    """Why a node that people have no wish for does not change to `to`; None where it may."""
    if not post.is_usable:
        return Block.UNUSABLE
    if post.wish:
        return Block.WISHED
    if not post.is_resting and (post.step not in EARLY or post.to is not to):
        return Block.UNDER_WAY
    if post.is_resting or (post.step in HARMLESS and not _is_awaited(post, survey)):
        return _harm(post, to, survey, taken) or (Block.YOUNG if young_until(post, survey.now, switching) else None)
    return None


def _is_awaited(post: Post, survey: Survey) -> bool:
    """Whether others were told to go for the sake of the same change, so that it would be in vain."""
    return post.step is Step.CORDONED and any(it.step in EARLY - HARMLESS for it in survey.mates(post))


def _harm(post: Post, to: Mode, survey: Survey, taken: Taken) -> Block | None:
    if post.is_rolling:
        return Block.ROLLING
    if post.suits(to):
        return None
    if post.services:
        return Block.SERVING
    if post.is_foreign:
        return Block.PROTECTED
    for key in post.gangs:
        if survey.gangs[key].protection(taken.after(key, survey, post), survey.now):
            return Block.PROTECTED
    return None


def young_until(post: Post, now: datetime, switching: Switching) -> datetime | None:
    """Until when a node rests after its last switch; None where it may switch."""
    switch = post.switch
    if switch is None or not switch.why or not switch.is_resting:
        return None  # it never switched: its mark only says what it has always been
    pause = switching.cooldown
    if switch.step is Step.ACTIVE:
        pause = max(pause, switching.min_time_in_mode)
    until = switch.since + pause
    return until if now < until else None


def cost(post: Post, to: Mode, survey: Survey, taken: Taken) -> Cost:
    """What it costs that one more node becomes `to` when those in `taken` are taken already."""
    if post.suits(to):
        return Cost(0, 0, ())
    kind, lost = 1, 0
    for key in post.gangs:
        gang, before = survey.gangs[key], taken.before(key, survey)
        if before == len(gang.place.nodes):
            lost += gang.lost(survey.now)
        if before and not taken.after(key, survey, post):
            kind = 2
    return Cost(kind, lost, (*post.gangs, *post.services))


def _left(survey: Survey, key: Key, gone: int) -> int:
    """With how many workers a gang goes on that loses so many."""
    gang, left = survey.gangs[key].gang, len(survey.gangs[key].place.nodes) - gone
    return resizing.left_of(gang, left) if gone else left


def rank(posts: Sequence[Post], price: Cost) -> Rank:
    """Orders what may change together: what is on its way first, the oldest of it before all."""
    first = posts[0]
    begun = min(math.inf if post.is_resting else post.begun for post in posts)
    return (begun, price.kind, price.lost, _ORDER.get(first.mode, len(_ORDER)), first.free_domain, first.name)
