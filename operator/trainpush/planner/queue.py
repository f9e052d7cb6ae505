"""Whose turn it is: the order in which the waiting gangs of a pool look for a place.

First come those for whom room was made, and services that serve with fewer replicas than asked for. Then teams that
stay within their guarantee, then gangs that waited for very long, so that nothing starves, then the team with the
smaller dominant share of what is borrowed (weighted; as in Kueue's fair sharing).
Inside a team the higher priority comes first, then the older.
"""

from collections import defaultdict
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import IntEnum
from typing import Final

from trainpush.model.gang import Gang
from trainpush.model.serving import Service
from trainpush.model.workload import Job
from trainpush.planner.accounts import Accounts

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


@dataclass(frozen=True, slots=True)
class Turn:
    """A job or service that waits, and the least that would help it."""

    work: Job | Service
    gang: Gang
    """The gang of its smallest legal size; for a service one replica."""
    precedence: Precedence = Precedence.NONE

    def rank(self, now: datetime) -> tuple[object, ...]:
        """Orders the waiting ones of a team."""
        work = self.work
        return (self.precedence, not self.is_aged(now), -work.priority, work.created_at, work.key, work.uid)

    def is_aged(self, now: datetime) -> bool:
        """Whether it has waited too long."""
        return isinstance(self.work, Job) and is_aged(self.work, now)


def is_aged(job: Job, now: datetime) -> bool:
    """Whether a job has waited so long that it goes first."""
    since = job.recorded.queued_at
    return since is not None and now - since >= AGEING


def turns(waiting: Iterable[Turn], accounts: Accounts, now: datetime) -> Iterator[Turn]:
    """One after the other; looks at `accounts` anew for each, since the one before may have got a place."""
    lines: dict[str, list[Turn]] = defaultdict(list)
    for turn in waiting:
        lines[accounts.team_of(turn.work.key.namespace)].append(turn)
    for line in lines.values():
        line.sort(key=lambda turn: turn.rank(now), reverse=True)
    standings = {team: _standing(team, line[-1], accounts, now) for team, line in lines.items()}
    while standings:
        team = min(standings, key=standings.__getitem__)
        accounts.changed.clear()
        yield lines[team].pop()
        if not lines[team]:
            del lines[team], standings[team]
        for name in (accounts.changed | {team}) & lines.keys():
            standings[name] = _standing(name, lines[name][-1], accounts, now)


def _standing(team: str, head: Turn, accounts: Accounts, now: datetime) -> tuple[object, ...]:
    is_owed = accounts.is_owed(head.work.key.namespace, head.gang)
    return (head.precedence, not is_owed, not head.is_aged(now), accounts.standing(team), head.rank(now), team)
