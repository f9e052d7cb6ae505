"""Who makes room for whom: what is taken from the running gangs of one pool in this cycle.

Workers beyond the smallest legal size go first, then whole gangs; in either case those whose taking loses the least
work. Who may be asked at all, `eligibility` says.
"""

from collections.abc import Collection, Container, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from functools import cached_property
from typing import Final, NamedTuple

import numpy as np

from trainpush.model.gang import Gang
from trainpush.model.nodes import Amounts
from trainpush.model.reasons import Reason
from trainpush.model.wording import count, work
from trainpush.model.workload import Eviction, Key, Preemption
from trainpush.planner import ledger
from trainpush.planner.feasibility.domains import Layout
from trainpush.planner.feasibility.slots import slots
from trainpush.planner.lifecycle import has_begun
from trainpush.planner.places import GangAllocation
from trainpush.planner.placing.free_capacity import FreeCapacity
from trainpush.planner.preemption import limit
from trainpush.planner.preemption.eligibility import Eligibility, Preemptor, Rank
from trainpush.planner.preemption.scenarios import Mask
from trainpush.planner.preemption.victims import Candidate, Victims
from trainpush.planner.quota import QuotaUsage
from trainpush.planner.running import RunningGangs

SEARCHES: Final = 16
"""Gangs for which several victims are looked for in one cycle, which takes up to a tenth of a second each.

The others have their turn when room was made for these; what is announced begins the next cycle at once.
"""


class _Wanted(NamedTuple):
    """What victims have to make possible."""

    gang: Gang
    used: Amounts
    """By those that stay in any case, and by the victims."""
    beyond: int
    """What the team of the gang has to give back of its accelerators, in thousandths."""


@dataclass(eq=False)
class PreemptionPolicy:
    """What is taken from the running gangs of a pool in this cycle, and for whom."""

    capacity: FreeCapacity
    quota: QuotaUsage
    running: RunningGangs
    leaving: Container[Key]
    """Those of them that do not stay as they are in any case."""
    moved: Collection[Key]
    """Those that got another place since: nobody can have from them any more what they held before."""
    now: datetime
    wanted: dict[Key, Eviction] = field(default_factory=dict, init=False)
    """What is taken, by whose it is."""
    _searches: int = field(default=0, init=False)
    _reach: dict[Rank, tuple[Mask, Mask]] = field(default_factory=dict, init=False)

    def make_room(self, preemptor: Preemptor, beyond: int = 0) -> Mapping[str, Eviction]:
        """What must be taken, and from whom, so that the gang fits: noted as leaving; empty where nothing helps.

        `beyond` is what its own team has to give back first of its accelerators, in thousandths, to stay in its limit.
        """
        if self._searches >= SEARCHES or not self.eligibility.may_ask_any(preemptor.rank):
            return {}
        used = self.capacity.used + self.capacity.reserved - self._terminating
        for may in filter(np.any, self._may(preemptor.rank)):
            victims = self._victims.choose(preemptor.gang, used, self.capacity.filters(preemptor.gang), may)
            wanted = _Wanted(preemptor.gang, used, beyond)
            if victims is not None and (victims := self._in_limit(victims, wanted, may)) is not None:
                victims = self._trimmed(victims, wanted)
                self._searches += len(victims) > 1
                self._victims.take(victims)
                return {str(victim.key): self._take(victim, preemptor) for victim in victims}
        return {}

    def _may(self, rank: Rank) -> tuple[Mask, Mask]:
        """Whom a gang may ask, extras first, then whole gangs: worked out once for all that rank alike."""
        if rank not in self._reach:
            eligibility, victims = self.eligibility, self._victims
            most = {key: eligibility.of(it, rank).most for key, it in self._intact.items()}
            self._reach[rank] = (
                victims.among(lambda one: one.is_part and most[one.key] is not Preemption.NEVER),
                victims.among(
                    lambda one: most[one.key] is (Preemption.BEYOND_MIN if one.is_part else Preemption.ALWAYS)
                ),
            )
        extras, whole = self._reach[rank]
        if not self.moved:
            return extras, whole
        there = self._victims.among(lambda one: one.key not in self.moved)
        return extras & there, whole & there

    @cached_property
    def eligibility(self) -> Eligibility:
        """Who may be asked."""
        return Eligibility(self.quota, self.running, self._staying, self.now)

    @cached_property
    def _terminating(self) -> Amounts:
        """What was about to end before anything was taken: `make_room` reads it before it takes."""
        return self.capacity.terminating.copy()

    @cached_property
    def _intact(self) -> Mapping[Key, GangAllocation]:
        """Not a gang of which a node is gone, and that will be started anew: how much it holds is not certain.

        One that has not begun waits for the node, and holds the others.
        """
        rows = self.capacity.pool.table.rows
        staying = [it for it in self.running if it.key not in self.leaving]
        intact = {it.key: it for it in staying if all(node in rows for node in it.nodes)}
        waiting = (it for it in staying if it.key not in intact and not has_begun(it.job))
        kept = (replace(it, nodes=tuple(filter(rows.__contains__, it.nodes))) for it in waiting)
        return intact | {it.key: it for it in kept}

    def _staying(self) -> Collection[GangAllocation]:
        # Found out only if somebody asks: all that run are looked through for it.
        return self._intact.values()

    @cached_property
    def _victims(self) -> Victims:
        table = self.capacity.pool.table
        candidates = [
            Candidate(
                key=it.job.key,
                lost=it.cost(self.now),
                nodes=ledger.counts(nodes, table.rows),
                request=it.gang.requirements.request,
                priority=it.job.priority,
                is_part=is_part,
            )
            for it in self._intact.values()
            for nodes, is_part in ((it.nodes[it.gang.least :], True), (it.nodes, False))
            if nodes
        ]
        return Victims(table, candidates)

    def _in_limit(self, victims: tuple[Candidate, ...], wanted: _Wanted, may: Mask) -> tuple[Candidate, ...] | None:
        """The same, and as many more as bring the team into its limit, none superfluous; None if all do not."""
        resource = wanted.gang.requirements.accelerator
        lack = wanted.beyond - limit.freed(victims, resource)
        if lack <= 0:
            return victims
        more = limit.cheapest(self._victims.others(may, victims), resource, lack)
        if more is None:
            return None
        found = sorted([*victims, *more], key=lambda one: one.key)
        for one in sorted(found, key=lambda one: (-one.lost, one.key)):
            fewer = [other for other in found if other is not one]
            if self._is_enough(wanted, fewer):
                found = fewer
        return tuple(found)

    def _trimmed(self, victims: tuple[Candidate, ...], wanted: _Wanted) -> tuple[Candidate, ...]:
        """The same with elastic gangs left as large as will do: they were to shrink to their smallest size, or go."""
        rows = self.capacity.pool.table.rows
        for i, victim in enumerate(victims):
            it = self._intact[victim.key]
            left = len(it.nodes) - sum(victim.nodes.values())
            for size in it.gang.sizes:
                if left < size < len(it.nodes):
                    part = replace(victim, nodes=ledger.counts(it.nodes[size:], rows))
                    trimmed = (*victims[:i], part, *victims[i + 1 :])
                    if self._is_enough(wanted, trimmed):
                        victims = trimmed
                        break
        return victims

    def _is_enough(self, wanted: _Wanted, victims: Sequence[Candidate]) -> bool:
        """Whether there is room for the gang, and its team in its limit, once `victims` and others before are gone."""
        table, gang, gone = self.capacity.pool.table, wanted.gang, self._victims.leaving.copy()
        if limit.freed(victims, gang.requirements.accelerator) < wanted.beyond:
            return False
        for victim in victims:
            ledger.take(table, gone, victim.nodes, victim.request)
        free = slots(table, gang.requirements, wanted.used - gone) * self.capacity.filters(gang).usable
        return Layout.of(table, gang.topology).largest(free) >= gang.workers

    def _take(self, victim: Candidate, preemptor: Preemptor) -> Eviction:
        self.capacity.mark_terminating(victim.nodes, victim.request)
        it = self._intact[victim.key]
        self.quota.give_back(victim.key.namespace, it.gang, sum(victim.nodes.values()))
        lost, left = it.lost(self.now), len(it.nodes) - sum(victim.nodes.values())
        if self.quota.team_of(it.job.key.namespace) == preemptor.rank.team:
            reason, right = Reason.PREEMPTED, f"priority {preemptor.job.priority} is above {it.job.priority}"
        else:
            reason, right = Reason.RECLAIMED, "what its team is guaranteed was borrowed"
        becomes = f"goes on with {count(left, 'worker')}" if left else "makes room"
        message = f"{becomes} for {preemptor.job.key}: {right}; {work(lost)} since the last checkpoint"
        self.wanted[victim.key] = Eviction(str(preemptor.job.key), reason, message, left, lost)
        return self.wanted[victim.key]
