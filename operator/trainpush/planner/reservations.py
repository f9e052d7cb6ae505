"""What is kept free for gangs that wait, so that nobody passes them for ever."""

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Final

from trainpush.model.gang import Gang
from trainpush.model.nodes import Amounts
from trainpush.model.workload import Job
from trainpush.planner.placing.free_capacity import FreeCapacity
from trainpush.planner.placing.placement import Assignment
from trainpush.planner.quota import QuotaUsage

RESERVE_AFTER: Final = timedelta(minutes=10)
"""The first gang that has waited for so long gets a reservation: where it will go, nobody else may go any more."""


@dataclass(eq=False)
class Reservations:
    """Room of a pool that is kept in this cycle, and limits of teams that are saved up."""

    capacity: FreeCapacity
    quota: QuotaUsage
    now: datetime
    first: str = field(default="", init=False)
    """Namespace and name of the first for whom room is kept."""
    _has_late: bool = field(default=False, init=False)
    """Whether room is kept for one that has waited long."""
    _saving: set[str] = field(default_factory=set, init=False)
    """Teams that keep what their limit leaves for a gang that it has blocked for long."""

    def keep(self, job: Job, gang: Gang, assignment: Assignment) -> None:
        """Room that is about to come free, and is as good as held."""
        self._hold(job, gang, assignment)
        self.quota.charge(job.key.namespace, gang, gang.workers)

    def keep_for_late(self, job: Job, gang: Gang, lasting: Callable[[], Amounts]) -> datetime | None:
        """Keep room for the first gang that has waited long; else when that would be due.

        `lasting` is what nobody may expect to end.
        """
        if self._has_late:
            return None
        due = _due(job, self.now)
        if self.now < due:
            return due
        if assignment := self.capacity.to_reserve(gang, lasting()):
            self._has_late = True
            self._hold(job, gang, assignment)
        return None

    def save_up(self, job: Job, gang: Gang) -> None:
        """Charge the team for the first gang that its limit has blocked for long: else smaller ones always pass it."""
        team = self.quota.team_of(job.key.namespace)
        if self.now >= _due(job, self.now) and team not in self._saving:
            self._saving.add(team)
            self.quota.charge(job.key.namespace, gang, gang.workers)

    def _hold(self, job: Job, gang: Gang, assignment: Assignment) -> None:
        self.capacity.reserve(gang, assignment)
        self.first = self.first or str(job.key)


def _due(job: Job, now: datetime) -> datetime:
    """When a gang has waited long."""
    return (job.recorded.queued_at or now) + RESERVE_AFTER
