"""What is kept free for gangs that wait, so that nobody passes them for ever."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Final, NamedTuple

import numpy as np

from trainpush.model.gang import Gang
from trainpush.model.nodes import Amounts
from trainpush.model.wording import listed
from trainpush.model.workload import Job
from trainpush.planner import ledger
from trainpush.planner.feasibility.filters import Mask
from trainpush.planner.placing.free_capacity import FreeCapacity
from trainpush.planner.quota import QuotaUsage

RESERVE_AFTER: Final = timedelta(minutes=10)
"""The first gang that has waited for so long gets a reservation: where it will go, nobody else may go any more."""
_NAMED_MAX: Final = 3
"""Most gangs that are named one by one."""


class Reservation(NamedTuple):
    """Room that is kept for a gang."""

    owner: str
    """Its namespace and name."""
    gang: Gang
    by_row: Mapping[int, int]
    """Workers by the position of the node in the table."""


@dataclass(eq=False)
class Reservations:
    """Room of a pool that is kept in this cycle, and limits of teams that are saved up.

    Of those that have waited long room is kept for the first, and for the first of those that could use none of the
    same nodes, and so on: one reservation for each part of the pool.
    """

    capacity: FreeCapacity
    quota: QuotaUsage
    now: datetime
    lasting: Callable[[], Amounts]
    """What nobody may expect to end."""
    _coming: list[Reservation] = field(default_factory=list, init=False)
    """Room that is about to come free."""
    _late: list[Reservation] = field(default_factory=list, init=False)
    """Room for those that have waited long, in the order of their turns."""
    _reach: dict[Gang, Mask] = field(default_factory=dict, init=False)
    """The nodes that a gang could use, whoever is there now."""
    _taken: Mask = field(init=False)
    """Those of all for whom such room is kept."""
    _without: set[Gang] = field(default_factory=set, init=False)
    """Gangs for which no room can be kept: there is none, or others that could use the same nodes were first."""
    _saving: set[tuple[str, str]] = field(default_factory=set, init=False)
    """Teams that keep what their limit of a resource leaves, for a gang that it has blocked for long."""

    def __post_init__(self) -> None:
        self._taken = np.zeros(len(self.capacity.pool.table.names), dtype=np.bool_)

    @property
    def late(self) -> int:
        """For how many that have waited long room is kept by now."""
        return len(self._late)

    def keep(self, job: Job, gang: Gang, by_row: Mapping[int, int]) -> None:
        """Room that is about to come free, and is as good as held."""
        self._hold(self._coming, job, gang, by_row)
        self.quota.reserve(job.key.namespace, gang)

    def keep_for_late(self, job: Job, gang: Gang) -> datetime | None:
        """Keep room for the first gang that has waited long, in its part of the pool; else when that would be due."""
        if gang in self._without:
            return None
        due = _due(job, self.now)
        is_first = not self._late or not (self._within_reach(gang) & self._taken).any()
        if is_first and self.now < due:
            return due
        assignment = self.capacity.to_reserve(gang, self.lasting()) if is_first else None
        if assignment:
            self._taken = self._taken | self._within_reach(gang)
            self._hold(self._late, job, gang, assignment.by_row)
        # The next one that is alike could use the same nodes.
        self._without.add(gang)
        return None

    def against(self, gang: Gang, late: int) -> tuple[Amounts, str]:
        """What is kept from `gang`, and for whom, as far as that could be on nodes for it.

        Of room for those that have waited long only that of the first `late` counts: its own, and what was kept
        after its turn, is not in its way.
        """
        reserved = self.capacity.reserved.copy()
        for it in self._late[late:]:
            ledger.give_back(self.capacity.pool.table, reserved, it.by_row, it.gang.requirements.request)
        usable = self.capacity.filters(gang).usable
        owners = (it.owner for it in (*self._coming, *self._late[:late]) if any(usable[row] for row in it.by_row))
        return reserved, listed(list(dict.fromkeys(owners)), _NAMED_MAX)

    def save_up(self, job: Job, gang: Gang, resource: str) -> None:
        """Charge the team for the first gang that its limit has blocked for long: else smaller ones always pass it.

        Not for one that would find no room either, whatever its team gives back.
        """
        team = self.quota.team_of(job.key.namespace)
        is_next = self.now >= _due(job, self.now) and (team, resource) not in self._saving
        if is_next and self._within_reach(gang).any():
            self._saving.add((team, resource))
            self.quota.reserve(job.key.namespace, gang)

    def _within_reach(self, gang: Gang) -> Mask:
        if gang not in self._reach:
            self._reach[gang] = self.capacity.within_reach(gang, self.lasting())
        return self._reach[gang]

    def _hold(self, among: list[Reservation], job: Job, gang: Gang, by_row: Mapping[int, int]) -> None:
        self.capacity.reserve(gang, by_row)
        among.append(Reservation(str(job.key), gang, by_row))


def _due(job: Job, now: datetime) -> datetime:
    """When a gang has waited long."""
    return (job.recorded.queued_at or now) + RESERVE_AFTER
