"""One pool while a cycle gives out its places: who gets one, for whom room is made, and what is kept free for whom."""

from collections.abc import Collection, Mapping
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from functools import cached_property
from typing import Final

import numpy as np

from trainpush.model.gang import Gang
from trainpush.model.modes import Step
from trainpush.model.nodes import Amounts
from trainpush.model.plan import Decision, Verdict
from trainpush.model.reasons import Reason
from trainpush.model.snapshot import Pool
from trainpush.model.workload import Eviction, Job, Key, Placement, Preemption
from trainpush.planner import ledger, lifecycle
from trainpush.planner.allocations import Allocation, Allocations, GangAllocation
from trainpush.planner.diagnostics import verdicts
from trainpush.planner.diagnostics.causes import Cause
from trainpush.planner.diagnostics.diagnosis import Circumstances
from trainpush.planner.diagnostics.holders import Holding, Holdings, holdings
from trainpush.planner.feasibility.filters import OPEN
from trainpush.planner.placing.free_capacity import FreeCapacity
from trainpush.planner.placing.placement import Assignment, domain_of
from trainpush.planner.preemption import resizing
from trainpush.planner.preemption.eligibility import Preemptor, Rank
from trainpush.planner.preemption.policy import PreemptionPolicy
from trainpush.planner.queue import REWARD, is_aged
from trainpush.planner.quota import QuotaUsage

RESERVE_AFTER: Final = timedelta(minutes=10)
"""The first gang that has waited for so long gets a reservation: where it will go, nobody else may go any more."""

_PASSING: Final = {
    Reason.WAITING_FOR_CAPACITY,
    Reason.WAITING_FOR_PREEMPTION,
    Reason.BEHIND_HIGHER_PRIORITY,
    Reason.WAITING_FOR_QUOTA,
}
"""Why a gang waits that will have its turn; all other reasons need somebody to change something."""


@dataclass(frozen=True, slots=True)
class _Blocked:
    """A gang for which there was no room in its turn."""

    preemptor: Preemptor
    position: int
    """In the queue, from 1."""
    wake_at: datetime | None


class PoolCycle:
    """Everything that the gangs and replicas of one pool compete for in this cycle."""

    def __init__(self, pool: Pool, jobs: Collection[Job], allocations: Allocations, now: datetime) -> None:
        """As it is before anybody gets a place."""
        self._jobs, self._allocations, self._now = jobs, allocations, now
        self.capacity = FreeCapacity(pool, *allocations.amounts(pool.table))
        self.quota = QuotaUsage(pool, allocations.held)
        self.wake_at: datetime | None = None
        """When a gang may grow for which there is room already."""
        self._waiters = 0
        self._has_line = False
        """Whether somebody waits whom room would help."""
        self._blocked: list[_Blocked] = []
        self._kept_for = ""
        """The first of those for whom room is kept."""
        self._has_reservation = False
        self._saving: set[str] = set()
        """Teams that keep what their limit leaves for a gang that it has blocked for long."""
        self._new: list[Holding] = []
        """What was given out in this cycle."""
        self._dead_ends: set[tuple[object, ...]] = set()
        """Gangs, by what they are like, for which there will be no room: there is ever less, but for what is freed."""

    @cached_property
    def preemption(self) -> PreemptionPolicy:
        """Who makes room."""
        others = [it for it in self._running if it.job.key not in self.leaving]
        return PreemptionPolicy(self.capacity, self.quota, others, self._now)

    @cached_property
    def leaving(self) -> Mapping[Key, Eviction]:
        """What becomes of the gangs that have to leave nodes which change their mode."""
        found = {}
        for it in self._running:
            eviction = resizing.leaving(it.gang, it.place, self._left_nodes, it.lost(self._now))
            if eviction:
                found[it.job.key] = eviction
        return found

    def wanted(self) -> dict[Key, Eviction]:
        """What is to be taken from gangs, or given to them, once all had their turns."""
        return {**self._growing(), **self.preemption.wanted, **self.leaving}

    def _growing(self) -> dict[Key, Eviction]:
        """What becomes of the gangs that may have more workers: nothing while anybody waits for room."""
        found: dict[Key, Eviction] = {}
        if self._has_line:
            return found
        for it in self._running:
            is_taken = it.job.key in self.preemption.wanted or it.job.key in self.leaving
            if is_taken or not resizing.may_grow(it.job, it.gang, it.place):
                continue
            size, due = self._size_instead(it), self._grows_at(it.place)
            if size > len(it.nodes) and self._now >= due:
                found[it.job.key] = resizing.growing(it.place, str(it.job.key), size, it.lost(self._now))
            elif size > len(it.nodes):
                self.wake_at = min(filter(None, (self.wake_at, due)))
        return found

    def _size_instead(self, it: GangAllocation) -> int:
        """The largest size that a running gang could have."""
        namespace, workers = it.job.key.namespace, len(it.nodes)
        self.quota.charge(namespace, it.gang, -workers)
        gang = self._within_limit(namespace, it.gang.of_size(max(it.gang.sizes)))
        self.quota.charge(namespace, it.gang, workers)
        return self.capacity.largest_instead(gang, it.nodes)

    def _grows_at(self, place: Placement) -> datetime:
        """From when on a gang may be given more workers."""
        switching = self.capacity.pool.switching
        return place.since + (switching.cooldown if switching else resizing.COOLDOWN)

    def resized(self, job: Job, gang: Gang, place: Placement, eviction: Eviction) -> Decision:
        """The gang with as many workers as its eviction says: fewer where they are, or more wherever there is room."""
        if resizing.is_growth(place, eviction):
            self.capacity.release(gang, place.nodes)
            size = self.capacity.largest(gang.of_size(eviction.workers))
            assignment = self.capacity.assign(gang.of_size(size)) if size else None
            nodes = assignment.nodes(self.capacity.pool.table) if assignment else ()
        else:
            nodes = resizing.staying(gang, place, self._left_nodes, eviction.workers)
        if not nodes:
            return lifecycle.evicted(job, eviction)
        level, domain = domain_of(gang, self.capacity.pool.table, nodes)
        return lifecycle.resized(
            job, replace(place, nodes=nodes, level=level, domain=domain, since=self._now), eviction
        )

    def is_forced(self, job: Job) -> bool:
        """Whether a gang is on a node where what is left is ended: its program is waited for no more."""
        switching, place = self.capacity.pool.switching, job.recorded.placement
        if place is None or switching is None or not switching.is_forced:
            return False
        steps = (self.capacity.pool.switches[node].step for node in set(place.nodes) & self._left_nodes)
        return Step.STUCK in steps

    @cached_property
    def _left_nodes(self) -> frozenset[str]:
        """Nodes from which everything has to go."""
        return frozenset(node for node, switch in self.capacity.pool.switches.items() if switch.is_leaving)

    def stands(self, job: Job, gang: Gang, placement: Placement) -> bool:
        """Whether a place will still do: one that has no pod yet is lost with a node that takes no pods any more."""
        if job.recorded.has_run or any(worker.attempt == job.recorded.attempt for worker in job.workers):
            return True
        return all(self.capacity.filter_reason(gang, node) == OPEN for node in set(placement.nodes))

    def seek(self, job: Job, gang: Gang) -> Decision | None:
        """A place for a gang that has none, or whose place will not do any more; None if `explained` has to say why."""
        namespace = job.key.namespace
        if job.recorded.placement and (mended := self._mended(job, gang, job.recorded.placement)):
            return mended
        least = gang.of_size(gang.least)
        if resource := self.quota.over_limit(namespace, least):
            verdict = self._over_limit(namespace, least, resource)
            self._save_up(job, least, verdict)
            return self._waiting(job, verdict)
        size = self.capacity.largest(self._within_limit(namespace, gang))
        assignment = self.capacity.assign(gang.of_size(size)) if size else None
        if assignment:
            return self._placed(job, gang.of_size(size), assignment.nodes(self.capacity.pool.table))
        return self._make_room(job, least)

    def _mended(self, job: Job, gang: Gang, former: Placement) -> Decision | None:
        """Replace the nodes that will not do, or give the whole place back."""
        self._dead_ends.clear()
        self.quota.charge(job.key.namespace, gang, -len(former.nodes))
        is_lost = {node: self.capacity.filter_reason(gang, node) != OPEN for node in former.nodes}
        self.capacity.release(gang, [node for node in former.nodes if is_lost[node]])
        if nodes := self.capacity.replace_lost(gang, former.nodes):
            return self._placed(job, gang, nodes)
        self.capacity.release(gang, [node for node in former.nodes if not is_lost[node]])
        return None

    def assign(self, service: Key, gang: Gang) -> Assignment | None:
        """The best place for a replica, which is taken and charged; None if there is none, or its team may not."""
        assignment = None if self.quota.over_limit(service.namespace, gang) else self.capacity.assign(gang)
        if assignment:
            self.quota.charge(service.namespace, gang, gang.workers)
            self._new.append(Holding(str(service), gang.requirements.request, assignment.by_row, is_service=True))
        return assignment

    def refusal(self, namespace: str, gang: Gang) -> Verdict:
        """Why `assign` found no place."""
        if resource := self.quota.over_limit(namespace, gang):
            return self._over_limit(namespace, gang, resource)
        return self._explain(gang, self._held)

    def _placed(self, job: Job, gang: Gang, nodes: tuple[str, ...]) -> Decision:
        self.quota.charge(job.key.namespace, gang, gang.workers)
        table = self.capacity.pool.table
        self._new.append(Holding(str(job.key), gang.requirements.request, ledger.counts(nodes, table.rows)))
        level, domain = domain_of(gang, table, nodes)
        former = job.recorded.placement
        protected_until = self._now + REWARD if is_aged(job, self._now) and not former else None
        return lifecycle.placed(job, gang, Placement(nodes, level, domain, self._now, protected_until))

    def _waiting(self, job: Job, verdict: Verdict, wake_at: datetime | None = None) -> Decision:
        self._waiters += 1
        return self._queued(job, replace(verdict, position=self._waiters), wake_at)

    def _queued(self, job: Job, verdict: Verdict, wake_at: datetime | None) -> Decision:
        """Time in the queue counts only while waiting can help."""
        is_passing = verdict.reason in _PASSING
        self._has_line |= is_passing
        queued_at = (job.recorded.queued_at or self._now) if is_passing else None
        return lifecycle.queued(job, verdict, wake_at, queued_at)

    def explained(self) -> dict[Key, Decision]:
        """What becomes of those that found no place, once all had their turns: only then is known what is left."""
        if not self._blocked:
            return {}
        found, known = {}, dict[Gang, Verdict]()
        held = holdings(self.capacity.pool.table, [*self._holdings, *self._new])
        for blocked in self._blocked:
            gang, wake_at = blocked.preemptor.gang, blocked.wake_at
            if gang not in known:
                known[gang] = self._explain(gang, held)
            verdict = known[gang]
            if verdict.reason in {Reason.WAITING_FOR_CAPACITY, Reason.BEHIND_HIGHER_PRIORITY}:
                ineligible, until = self.preemption.ineligible(blocked.preemptor.rank)
                verdict = verdicts.not_preempted(verdict, ineligible, until)
                wake_at = min((time for time in (until, wake_at) if time), default=None)
            job = blocked.preemptor.job
            found[job.key] = self._queued(job, replace(verdict, position=blocked.position), wake_at)
        return found

    def _make_room(self, job: Job, gang: Gang) -> Decision | None:
        """It gets no place now; what will be room for it is kept for it."""
        is_within_guarantee = self.quota.is_within_guarantee(job.key.namespace, gang)
        rank = Rank(self.quota.team_of(job.key.namespace), is_within_guarantee, job.priority)
        preemptor = Preemptor(job, gang, rank)
        kind = gang, rank
        if kind not in self._dead_ends:
            if assignment := self.capacity.after_terminations(gang):
                self._keep(job, gang, assignment)
                return self._waiting(job, self._ending(job, gang))
            if not _was_unbound(job):
                if taken := self.preemption.make_room(preemptor):
                    self._dead_ends.clear()
                    if assignment := self.capacity.after_terminations(gang):
                        self._keep(job, gang, assignment)
                    return self._waiting(job, verdicts.preempting(verdicts.needing(gang), taken, is_announced=True))
                self._dead_ends.add(kind)
        wake_at = self._reserve(job, gang)
        self._waiters += 1
        self._blocked.append(_Blocked(preemptor, self._waiters, wake_at))
        return None

    def _save_up(self, job: Job, gang: Gang, verdict: Verdict) -> None:
        """Charge the team for the first gang that its limit has blocked for long: else smaller ones always pass it."""
        team = self.quota.team_of(job.key.namespace)
        is_late = self._now >= (job.recorded.queued_at or self._now) + RESERVE_AFTER
        if is_late and verdict.reason == Reason.WAITING_FOR_QUOTA and team not in self._saving:
            self._saving.add(team)
            self.quota.charge(job.key.namespace, gang, gang.workers)

    def _keep(self, job: Job, gang: Gang, assignment: Assignment) -> None:
        """Room that is about to come free, and is as good as held."""
        self._hold(job, gang, assignment)
        self.quota.charge(job.key.namespace, gang, gang.workers)

    def _reserve(self, job: Job, gang: Gang) -> datetime | None:
        """Keep room for the first gang that has waited long; else when that would be due."""
        if self._has_reservation:
            return None
        due = (job.recorded.queued_at or self._now) + RESERVE_AFTER
        if self._now < due:
            return due
        if assignment := self.capacity.to_reserve(gang, self._lasting):
            self._has_reservation = True
            self._hold(job, gang, assignment)
        return None

    def _hold(self, job: Job, gang: Gang, assignment: Assignment) -> None:
        self.capacity.reserve(gang, assignment)
        self._kept_for = self._kept_for or str(job.key)

    def _explain(self, gang: Gang, held: Holdings) -> Verdict:
        """Why a gang finds no room."""
        capacity = self.capacity
        around = Circumstances(capacity.reserved, self._kept_for, capacity.terminating, held)
        return verdicts.waiting(gang, capacity.filters(gang), capacity.used, around)

    def _ending(self, job: Job, gang: Gang) -> Verdict:
        """There will be room when pods have ended; said is whose, where they end for its sake."""
        verdict = verdicts.needing(gang)
        giving_way = {
            str(other.key): told
            for other in self._jobs
            if (told := other.recorded.eviction) and told.is_done and told.by == str(job.key)
        }
        if not giving_way:
            message = f"{verdict.message}; there is room as soon as pods have ended that are ending"
            return replace(verdict, message=message, cause=Cause.PODS_ENDING)
        return verdicts.preempting(verdict, giving_way, is_announced=False)

    @cached_property
    def _lasting(self) -> Amounts:
        """What nobody may expect to end: what services hold, and gangs that make no room for anybody."""
        table, lasting = self.capacity.pool.table, np.zeros_like(self.capacity.used)
        never = {str(it.job.key) for it in self._running if it.job.preemption is Preemption.NEVER}
        for holding in self._holdings:
            if holding.is_service or holding.name in never:
                ledger.take(table, lasting, holding.by_row, holding.request)
        return lasting

    @cached_property
    def _held(self) -> Holdings:
        return holdings(self.capacity.pool.table, self._holdings)

    @cached_property
    def _holdings(self) -> list[Holding]:
        """What our own jobs and services held before."""
        replicas = [held for held in self._allocations.held if held.owner.is_service]
        return [self._holding(it) for it in (*self._running, *replicas)]

    def _holding(self, held: Allocation) -> Holding:
        by_row = ledger.counts(held.nodes, self.capacity.pool.table.rows)
        return Holding(str(held.owner.key), held.gang.requirements.request, by_row, held.owner.is_service)

    @cached_property
    def _running(self) -> list[GangAllocation]:
        """The gangs that have a place here, and keep it unless others need it more."""
        return [
            it
            for it in self._allocations.gangs
            if it.gang.pool == self.capacity.pool.name
            and not (it.is_leaving or lifecycle.has_succeeded(it.job))
            and self.stands(it.job, it.gang, it.place)
        ]

    def _within_limit(self, namespace: str, gang: Gang) -> Gang:
        """The gang without the sizes that its team may not have."""
        most = self.quota.most(namespace, gang)
        if most is None or not gang.sizes:
            return gang
        sizes = tuple(size for size in gang.sizes if size <= most)
        return replace(gang, sizes=sizes, workers=sizes[0])

    def _over_limit(self, namespace: str, gang: Gang, resource: str) -> Verdict:
        team = self.quota.team_of(namespace)
        limit = self.quota.share(team, resource).limit or 0
        return verdicts.quota(gang, team, resource, self.quota.used(team)[resource], limit)


def _was_unbound(job: Job) -> bool:
    """Whether the pods of its last place could not be bound: for such a gang nobody need give up anything again."""
    return job.recorded.last is not None and job.recorded.last.reason == Reason.BIND_TIMEOUT
