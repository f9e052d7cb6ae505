"""Who makes room for whom: what is taken from the running gangs of one pool in this cycle.

Inside a team a gang makes room for one of strictly higher priority, as far as its own `preemption` and `minRuntime`
let it.
Across teams, what a team runs beyond its guarantee goes back to the team whose guarantee it is, whatever the priorities
and whatever protects it: the gangs that rank last run on what is borrowed.
Both orders are strict, so that no gang takes back what it gave. Workers beyond the smallest legal size go first,
then whole gangs; in either case those whose taking loses the least work.
"""

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from functools import cached_property
from typing import Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from trainpush.model.gang import Gang
from trainpush.model.nodes import Amounts
from trainpush.model.reasons import Reason
from trainpush.model.wording import count
from trainpush.model.workload import Eviction, Job, Key, Preemption
from trainpush.planner import ledger
from trainpush.planner.accounts import Accounts
from trainpush.planner.allocations import GangAllocation
from trainpush.planner.diagnostics.causes import Cause
from trainpush.planner.feasibility.domains import Layout
from trainpush.planner.feasibility.slots import slots
from trainpush.planner.placing.ground import Ground
from trainpush.planner.preemption.victims import Candidate, Victims, VictimSet

SEARCHES: Final = 16
"""Gangs for which several victims are looked for in one cycle, which takes up to a tenth of a second each.

The others have their turn when room was made for these; what is announced begins the next cycle at once.
"""
Mask = NDArray[np.bool_]


@dataclass(frozen=True, slots=True)
class Preemptor:
    """A gang in its turn, for which others may have to make room."""

    job: Job
    gang: Gang
    team: str
    is_owed: bool
    """Whether it stays within what its team is guaranteed."""

    @property
    def kind(self) -> tuple[object, ...]:
        """What decides who ranks below."""
        return (self.team, self.is_owed, self.job.priority)


class Eligibility(NamedTuple):
    """How much may be taken from a running gang."""

    most: Preemption
    cause: Cause | None
    """Why it makes no room, or not enough; None where its rank says it all."""


class Evictions:
    """What is taken from the running gangs of a pool in this cycle, and for whom."""

    def __init__(self, ground: Ground, accounts: Accounts, running: Iterable[GangAllocation], now: datetime) -> None:
        """Nobody has to make room yet."""
        self.wanted: dict[Key, Eviction] = {}
        self._ground = ground
        self._accounts = accounts
        # A gang that has lost a node, and so will be started anew, is left alone: how much it holds is not certain.
        self._running = {it.job.key: it for it in running if set(it.nodes) <= ground.pool.table.rows.keys()}
        self._now = now
        self._ending = ground.leaving.copy()
        self._searches = 0
        self._reach: dict[tuple[object, ...], tuple[Mask, Mask]] = {}
        self._spared: dict[tuple[object, ...], tuple[Mapping[Cause, int], datetime | None]] = {}

    def make_room(self, preemptor: Preemptor) -> Mapping[str, Eviction]:
        """What must be taken, and from whom, so that the gang fits: noted as leaving; empty where nothing helps."""
        if self._searches >= SEARCHES:
            return {}
        used = self._ground.used + self._ground.reserved - self._ending
        for may in filter(np.any, self._may(preemptor)):
            choice = self._victims.choose(preemptor.gang, used, self._ground.filters(preemptor.gang), may)
            if choice:
                choice = self._trimmed(choice, preemptor.gang, used)
                self._searches += len(choice.victims) > 1
                self._victims.take(choice)
                return {str(victim.key): self._take(victim, preemptor) for victim in choice.victims}
        return {}

    def _trimmed(self, choice: VictimSet, gang: Gang, used: Amounts) -> VictimSet:
        """The same with elastic gangs left as large as will do: they were to shrink to their smallest size, or go."""
        victims = list(choice.victims)
        for i, victim in enumerate(victims):
            it = self._running[victim.key]
            left = len(it.nodes) - sum(victim.nodes.values())
            for size in it.gang.sizes:
                if left < size < len(it.nodes):
                    part = replace(victim, nodes=self._rows(it.nodes[size:]))
                    if self._fits(gang, used, [*victims[:i], part, *victims[i + 1 :]]):
                        victims[i] = part
                        break
        return VictimSet(tuple(victims))

    def _fits(self, gang: Gang, used: Amounts, victims: Iterable[Candidate]) -> bool:
        """Whether there is room for `gang` once `victims`, and those that were taken before, are gone."""
        table, gone = self._ground.pool.table, self._victims.leaving.copy()
        for victim in victims:
            ledger.take(table, gone, victim.nodes, victim.request)
        free = slots(table, gang.requirements, used - gone) * self._ground.filters(gang).usable
        return Layout.of(table, gang.topology).largest(free) >= gang.workers

    def _rows(self, nodes: Iterable[str]) -> Mapping[int, int]:
        return ledger.counts(nodes, self._ground.pool.table.rows)

    def spared(self, preemptor: Preemptor) -> tuple[Mapping[Cause, int], datetime | None]:
        """How many gangs make no room, by the cause; and when the first of them loses its protection."""
        if preemptor.kind not in self._spared:
            causes = [(self._eligibility(it, preemptor).cause, it) for it in self._running.values()]
            young = [it for cause, it in causes if cause is Cause.PROTECTED_BY_MIN_RUNTIME]
            times = [until for it in young if (until := it.protected_until(self._now))]
            self._spared[preemptor.kind] = Counter(cause for cause, _ in causes if cause), min(times, default=None)
        return self._spared[preemptor.kind]

    def _may(self, preemptor: Preemptor) -> tuple[Mask, Mask]:
        """Whom the gang may ask, extras first, then whole gangs: worked out once for all that are alike in this."""
        if preemptor.kind not in self._reach:
            allowed = {key: self._eligibility(it, preemptor).most for key, it in self._running.items()}
            extras = self._victims.among(lambda one: self._is_part(one) and allowed[one.key] is not Preemption.NEVER)
            wholes = self._victims.among(
                lambda one: allowed[one.key] is (Preemption.BEYOND_MIN if self._is_part(one) else Preemption.ALWAYS)
            )
            self._reach[preemptor.kind] = extras, wholes
        return self._reach[preemptor.kind]

    def _eligibility(self, it: GangAllocation, preemptor: Preemptor) -> Eligibility:
        """How much of a gang may be taken for the sake of another; and what is said of it if that was not enough."""
        if not self._ranks_below(it, preemptor):
            is_guaranteed = preemptor.is_owed and self._team(it) != preemptor.team
            return Eligibility(Preemption.NEVER, Cause.WITHIN_GUARANTEES if is_guaranteed else None)
        if self._team(it) != preemptor.team:
            return Eligibility(Preemption.ALWAYS, Cause.VICTIMS_NOT_ENOUGH)
        if cause := it.protection(len(it.nodes) - 1, self._now):
            return Eligibility(Preemption.NEVER, cause)
        return Eligibility(it.job.preemption, Cause.VICTIMS_NOT_ENOUGH)

    def _team(self, it: GangAllocation) -> str:
        return self._accounts.team_of(it.job.key.namespace)

    def _ranks_below(self, it: GangAllocation, preemptor: Preemptor) -> bool:
        if self._team(it) == preemptor.team:
            return it.job.priority < preemptor.job.priority
        return preemptor.is_owed and it.job.key in self._borrowers

    @cached_property
    def _borrowers(self) -> frozenset[Key]:
        """The gangs of each team that rank last, as far as the team holds more than its guarantee.

        Rather those after which it still has its guarantee; one that is larger only where these leave some excess.
        """
        found: set[Key] = set()
        excess: dict[str, Counter[str]] = {}
        order = sorted(
            self._running.values(), key=lambda it: (it.job.priority, -it.place.since.timestamp(), it.job.key)
        )
        for is_whole in (True, False):
            for it in order:
                left = excess.setdefault(self._team(it), Counter(self._accounts.borrowed(self._team(it))))
                held = {name: it.gang.requirements.request.get(name, 0) * len(it.nodes) for name in left}
                fits = all(amount <= left[name] for name, amount in held.items()) if is_whole else True
                if it.job.key not in found and fits and any(left[name] > 0 and held[name] for name in held):
                    found.add(it.job.key)
                    left.subtract(held)
        return frozenset(found)

    @cached_property
    def _victims(self) -> Victims:
        parts = (
            (it, nodes) for it in self._running.values() for nodes in (it.nodes[it.gang.least :], it.nodes) if nodes
        )
        return Victims(
            self._ground.pool.table,
            [
                Candidate(it.job.key, self._cost(it), self._rows(nodes), it.gang.requirements.request, it.job.priority)
                for it, nodes in parts
            ],
        )

    def _cost(self, it: GangAllocation) -> int:
        """What is lost if something is taken from it: nothing from one that was asked, so that it is taken at last."""
        told = it.job.recorded.eviction
        return 0 if told and told.asked_at and not told.is_done else it.lost(self._now)

    def _is_part(self, one: Candidate) -> bool:
        """Whether it stands for the extras of a gang."""
        return sum(one.nodes.values()) < len(self._running[one.key].place.nodes)

    def _take(self, victim: Candidate, preemptor: Preemptor) -> Eviction:
        it = self._running[victim.key]
        lost = it.lost(self._now)
        left = len(it.nodes) - sum(victim.nodes.values())
        self._ground.depart(victim.nodes, victim.request)
        if self._team(it) == preemptor.team:
            reason, right = Reason.PREEMPTED, f"priority {preemptor.job.priority} is above {it.job.priority}"
        else:
            reason, right = Reason.RECLAIMED, "what its team is guaranteed was borrowed"
        message = (
            f"{self._how(left)} for {preemptor.job.key}: {right}; {lost} accelerator-seconds since the last checkpoint"
        )
        eviction = Eviction(str(preemptor.job.key), reason, message, left, lost)
        self.wanted[victim.key] = eviction
        return eviction

    @staticmethod
    def _how(left: int) -> str:
        return f"goes on with {count(left, 'worker')}" if left else "makes room"
