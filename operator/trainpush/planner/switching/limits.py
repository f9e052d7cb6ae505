"""What keeps switches from beginning, whoever wants them: how many at a time, how many an hour, and larger trouble."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

from trainpush.model.modes import Mode, Step, Switching
from trainpush.model.reasons import Reason
from trainpush.model.snapshot import Pool
from trainpush.planner.explaining.wording import count
from trainpush.planner.switching.choosing import Pick
from trainpush.planner.switching.survey import Post

_HOUR: Final = timedelta(hours=1)
_BAD: Final = 2
"""Fewer nodes that are stuck or not ready are no larger trouble."""


@dataclass(frozen=True, slots=True)
class Limits:
    """What may begin in this cycle."""

    slots: int
    """Nodes that may begin, or go on after they were stuck."""
    quota: int
    """Of these, so many may be such that people did not wish."""
    trouble: str
    """Why nothing begins, in words; empty where nothing is wrong."""
    allowed: frozenset[str]
    """Planned nodes that may go on."""
    wake_at: datetime | None
    """When `quota` grows."""

    def refusal(self, pick: Pick, begun: Sequence[Pick]) -> Reason | None:
        """Why a switch does not begin beside those that do; None where it may."""
        if self.trouble and not (pick.is_wish and pick.to is Mode.MAINTENANCE):
            return Reason.FROZEN
        if not pick.is_wish and sum(not it.is_wish for it in begun) >= self.quota:
            return Reason.SWITCHES_USED_UP
        return Reason.WAITING_FOR_MODE_SWITCH if len(begun) >= self.slots else None


def limits(pool: Pool, switching: Switching, posts: Sequence[Post], now: datetime) -> Limits:
    """The limits of a pool at this moment."""
    # Who was planned last waits: two that look at the same nodes at once may both plan the last one that is allowed.
    under_way = sorted((it for it in posts if _counts(it)), key=_seniority)
    trouble = _trouble(pool, posts)
    seniors = under_way[: switching.max_concurrent]
    slots = max(0, switching.max_concurrent - len(under_way))
    relieved = sorted((it for it in posts if it.step is Step.STUCK and it.suits(it.to)), key=_seniority)[:slots]
    going = {it.name for it in seniors if not trouble or it.wish is Mode.MAINTENANCE}
    recent = sorted(_begun(pool, now).elements())
    free = switching.per_hour - len(recent)
    return Limits(
        slots=slots - len(relieved),
        quota=max(0, free),
        trouble=trouble,
        allowed=frozenset(going | {it.name for it in relieved}),
        wake_at=recent[-switching.per_hour] + _HOUR if free <= 0 else None,
    )


def _counts(post: Post) -> bool:
    """Whether a node is under way; not one that is stuck, nor one that is lost and comes back when it may."""
    return not post.is_resting and post.step is not Step.STUCK and post.is_ready


def _seniority(post: Post) -> tuple[bool, float, str]:
    return (post.step is Step.PLANNED, post.begun, post.name)


def _begun(pool: Pool, now: datetime) -> Counter[datetime]:
    """When switches began within the last hour: of those that are over, and of the latest of each node."""
    marked = (it.begun for it in pool.switches.values() if it.why)
    return Counter(it for it in pool.history if it > now - _HOUR) | Counter(it for it in marked if it > now - _HOUR)


def _trouble(pool: Pool, posts: Sequence[Post]) -> str:
    lost = int((~pool.table.ready).sum())
    stuck = sum(post.step is Step.STUCK and post.to is not Mode.MAINTENANCE for post in posts)
    if lost >= _BAD and lost * 4 > len(posts):
        return f"{lost} of {count(len(posts), 'node')} are not ready"
    if stuck >= _BAD:
        return f"{count(stuck, 'node')} are stuck"
    return ""
