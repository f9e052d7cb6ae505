"""Who may be asked to make room for whom, how much of it, and what is said of those who may not.

Inside a team a gang makes room for one of strictly higher priority, as far as its own `preemption` and `minRuntime`
let it.
Across teams, what a team runs beyond its guarantee goes back to the team whose guarantee it is, whatever the priorities
and whatever protects it: the gangs that rank last run on what is borrowed.
Both orders are strict, so that no gang takes back what it gave.
"""

from collections import Counter
from collections.abc import Callable, Collection
from dataclasses import dataclass, field
from datetime import datetime
from functools import cached_property
from typing import NamedTuple

from trainpush.model.gang import Gang
from trainpush.model.workload import UNKNOWN_PRIORITY, Job, Key, Preemption
from trainpush.planner.diagnostics.causes import Cause
from trainpush.planner.places import GangAllocation
from trainpush.planner.quota import QuotaUsage
from trainpush.planner.running import RunningGangs


class Rank(NamedTuple):
    """What decides who ranks below a gang that needs room."""

    team: str
    is_within_guarantee: bool
    """Whether it stays within what its team is guaranteed."""
    priority: int
    preempts: bool = True
    """Whether its PriorityClass lets it take places from its own team."""


class Preemptor(NamedTuple):
    """A gang in its turn, for which others may have to make room."""

    job: Job
    gang: Gang
    rank: Rank


class Eligible(NamedTuple):
    """How much may be taken from a running gang."""

    most: Preemption
    cause: Cause | None
    """Why it makes no room, or not enough; None where its rank says it all."""


@dataclass(eq=False)
class Eligibility:
    """The running gangs of a pool in this cycle, and what each may be asked for."""

    quota: QuotaUsage
    running: RunningGangs
    intact: Callable[[], Collection[GangAllocation]]
    """All of them that could be asked."""
    now: datetime
    _counted: dict[Rank, tuple[Counter[Cause], datetime | None]] = field(default_factory=dict, init=False)
    """What `ineligible` found."""

    def may_ask_any(self, rank: Rank) -> bool:
        """Whether somebody ranks below, so that it is worth while to look at each of them."""
        return any(self._is_below(namespace, priority, rank) for namespace, priority in self.running.ranks)

    def of(self, victim: GangAllocation, rank: Rank) -> Eligible:
        """How much of a gang may be taken for one with this rank; and what is said if that is not enough."""
        if not self._is_below(victim.key.namespace, victim.job.priority, rank):
            return Eligible(Preemption.NEVER, None)
        if self.quota.team_of(victim.key.namespace) == rank.team:
            if not rank.preempts:
                return Eligible(Preemption.NEVER, Cause.CLASS_NEVER_PREEMPTS)
            if cause := victim.protection(len(victim.nodes) - 1, self.now):
                return Eligible(Preemption.NEVER, cause)
            return Eligible(victim.job.preemption, Cause.VICTIMS_NOT_ENOUGH)
        if victim.job.key not in self._borrowers:
            return Eligible(Preemption.NEVER, Cause.WITHIN_GUARANTEES)
        return Eligible(Preemption.ALWAYS, Cause.VICTIMS_NOT_ENOUGH)

    def _is_below(self, namespace: str, priority: int, rank: Rank) -> bool:
        """Whether gangs of a namespace with this priority may be in question at all."""
        is_mate = self.quota.team_of(namespace) == rank.team
        return priority < rank.priority if is_mate else rank.is_within_guarantee

    def ineligible(self, rank: Rank) -> tuple[Counter[Cause], datetime | None]:
        """How many gangs make no room, by the cause; and when the first of them loses its protection.

        Of those that rank too high all are counted that have a place.
        """
        if rank not in self._counted:
            asked = self.intact() if self.may_ask_any(rank) else ()
            causes = [(self.of(gang, rank).cause, gang) for gang in asked]
            young = [gang for cause, gang in causes if cause is Cause.PROTECTED_BY_MIN_RUNTIME]
            until = min(filter(None, (gang.protected_until(self.now) for gang in young)), default=None)
            counts = Counter(cause for cause, _ in causes if cause)
            for (namespace, priority), gangs in self.running.ranks.items():
                if not self._is_below(namespace, priority, rank):
                    is_mate = self.quota.team_of(namespace) == rank.team
                    of_mates = Cause.PRIORITY_UNKNOWN if priority == UNKNOWN_PRIORITY else Cause.NOBODY_TO_PREEMPT
                    counts[of_mates if is_mate else Cause.BEYOND_GUARANTEE] += gangs
            self._counted[rank] = counts, until
        return self._counted[rank]

    @cached_property
    def _borrowers(self) -> frozenset[Key]:
        """The gangs of each team that rank last, as far as the team holds more than its guarantee.

        Rather those after which it still has its guarantee; one that is larger only where these leave some excess.
        """
        borrowers: set[Key] = set()
        excess: dict[str, Counter[str]] = {}
        order = sorted(self.intact(), key=lambda it: (it.job.priority, -it.place.held_since.timestamp(), it.job.key))
        for is_whole in (True, False):
            for it in order:
                team = self.quota.team_of(it.job.key.namespace)
                left = excess.setdefault(team, Counter(self.quota.borrowed(team)))
                held = {name: it.gang.requirements.request.get(name, 0) * len(it.nodes) for name in left}
                fits = all(amount <= left[name] for name, amount in held.items()) if is_whole else True
                if it.job.key not in borrowers and fits and any(left[name] > 0 and held[name] for name in held):
                    borrowers.add(it.job.key)
                    left.subtract(held)
        return frozenset(borrowers)
