"""Whose turn it is: the order in which the waiting gangs of a pool look for a place.

First come those for whom room was made, and services that serve with fewer replicas than asked for. Then teams that
stay within their guarantee, then gangs that waited for very long, so that nothing starves, then the team with the
smaller dominant share of what is borrowed (weighted; as in Kueue's fair sharing).
Inside a team the higher priority comes first, then the older.
"""

from collections import defaultdict
from collections.abc import Iterable, Iterator
from datetime import datetime, timedelta
from enum import IntEnum
from typing import Final, NamedTuple

from trainpush.model.gang import Gang
from trainpush.model.serving import Service
from trainpush.model.workload import Job
from trainpush.planner.quota import QuotaUsage

AGEING: Final = timedelta(hours=6)
"""A gang that has waited for so long goes before others, whatever its priority; then it is left alone for `REWARD`."""
REWARD: Final = timedelta(hours=1)
"""Else those of higher priority that it passed would take its place back at once."""


class Precedence(IntEnum):
    """What comes before all order."""

    PROMISED = 0
    """Others made room for it."""
    SERVING = 1
    """A service that serves, with fewer replicas than asked for."""
    NONE = 2


class QueueEntry(NamedTuple):
    """A job or service that waits, and the least that would help it."""

    work: Job | Service
    gang: Gang
    """The gang of its smallest legal size; for a service one replica."""
    precedence: Precedence = Precedence.NONE


def queue_order(waiting: Iterable[QueueEntry], quota: QuotaUsage, now: datetime) -> Iterator[QueueEntry]:
    """One after the other; looks at `quota` anew for each, since the one before may have got a place."""
    lines: dict[str, list[QueueEntry]] = defaultdict(list)
    for entry in sorted(waiting, key=lambda entry: _rank(entry, now), reverse=True):
        lines[quota.team_of(entry.work.key.namespace)].append(entry)

    def sort_key(team: str) -> tuple[object, ...]:
        head = lines[team][-1]
        borrows = not quota.is_within_guarantee(head.work.key.namespace, head.gang)
        is_young = not is_aged(head.work, now)
        return (head.precedence, borrows, is_young, quota.dominant_share(team), _rank(head, now), team)

    # Where one team waits, nobody passes it.
    sort_keys = {team: sort_key(team) if len(lines) > 1 else () for team in lines}
    while sort_keys:
        team = min(sort_keys, key=sort_keys.__getitem__)
        quota.changed.clear()
        yield lines[team].pop()
        if not lines[team]:
            del lines[team], sort_keys[team]
        for name in (quota.changed | {team}) & lines.keys() if len(lines) > 1 else ():
            sort_keys[name] = sort_key(name)


def _rank(entry: QueueEntry, now: datetime) -> tuple[object, ...]:
    """Orders the waiting ones of a team."""
    work = entry.work
    return (entry.precedence, not is_aged(work, now), -work.priority, work.created_at, work.key, work.uid)


def is_aged(work: Job | Service, now: datetime) -> bool:
    """Whether it is a job that has waited so long that it goes first."""
    since = work.recorded.queued_at if isinstance(work, Job) else None
    return since is not None and now - since >= AGEING
