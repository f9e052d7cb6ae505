"""One pool while a cycle gives out its places: to place, await terminations, preempt, reserve, or wait."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime
from functools import cached_property
from typing import Final

from trainpush.model.gang import Gang
from trainpush.model.nodes import Amounts
from trainpush.model.plan import Decision, Stage, Verdict
from trainpush.model.reasons import Reason
from trainpush.model.workload import Eviction, Job, Key, Placement, Preemption
from trainpush.planner import ledger, lifecycle, retries
from trainpush.planner.allocations import Allocations, holding
from trainpush.planner.diagnostics import verdicts
from trainpush.planner.diagnostics.diagnosis import Circumstances
from trainpush.planner.diagnostics.holders import Holding, Holdings
from trainpush.planner.feasibility.filters import OPEN, FilterReason
from trainpush.planner.places import Allocation, GangAllocation
from trainpush.planner.placing.free_capacity import FreeCapacity
from trainpush.planner.placing.placement import Assignment, domain_of, torn
from trainpush.planner.preemption.eligibility import Preemptor, Rank
from trainpush.planner.preemption.policy import PreemptionPolicy
from trainpush.planner.preemption.resizing import Resizing
from trainpush.planner.queue import REWARD, is_aged
from trainpush.planner.quota import QuotaUsage
from trainpush.planner.reservations import Reservations
from trainpush.planner.running import RunningGangs
from trainpush.planner.turns import Alike, Blocked, Coming, HeldUp, Standing

_GIVEN_AWAY: Final = frozenset({FilterReason.SWITCHING, FilterReason.OTHER_MODE})
"""Why a node does not come back to a gang that waits for it."""


@dataclass(eq=False)
class PoolCycle:
    """Everything that the gangs and replicas of one pool compete for in this cycle."""

    capacity: FreeCapacity
    quota: QuotaUsage
    allocations: Allocations
    """Who holds what before anybody gets a place."""
    now: datetime
    claimants: set[str] = field(default_factory=set, init=False)
    """Teams of which a gang waits for what they are guaranteed."""
    _assigned: list[Holding] = field(default_factory=list, init=False)
    """What was given out in this cycle."""
    _moved: set[Key] = field(default_factory=set, init=False)
    """Gangs that could have kept what was left of their place, and got another one."""
    _dead_ends: set[tuple[Gang, Rank]] = field(default_factory=set, init=False)
    """Gangs for which there will be no room: there is ever less, but for what is freed."""
    _held_up: dict[Alike, HeldUp] = field(default_factory=dict, init=False)
    """What was said to gangs over a limit for which their own team can give nothing back: many wait for the same."""
    _spent: set[tuple[Gang, Rank]] = field(default_factory=set, init=False)
    """Gangs for which their own team can give nothing back of its limit."""
    _modest: list[tuple[Job, Gang, Decision]] = field(default_factory=list, init=False)
    """Elastic gangs that were placed and may get more."""
    _waiting: int = field(default=0, init=False)
    """How many had their turn and wait."""
    _is_room_wanted: bool = field(default=False, init=False)
    """Whether a gang or a replica had its turn and waits for room."""
    _is_hopeful: bool = field(default=False, init=False)
    """Whether room would help one of them."""
    _blocked: list[Blocked] = field(default_factory=list, init=False)

    def keeps(self, job: Job, gang: Gang, placement: Placement) -> bool:
        """Whether a place will still do.

        One that has no pod yet is lost with a node that takes no pods any more, and where it is not what the gang
        asked for any more, since labels have changed.
        """
        if lifecycle.has_begun(job):
            return True
        are_open = all(self.capacity.filter_reason(gang, node) == OPEN for node in set(placement.nodes))
        return are_open and not self._torn(gang, placement)

    def held(self, job: Job, gang: Gang, placement: Placement) -> Decision:
        """What becomes of a gang that keeps its place, which is told by the labels that its nodes have now."""
        table = self.capacity.pool.table
        if all(node in table.rows for node in placement.nodes):
            level, domain = domain_of(gang, table, placement.nodes)
            if (level, domain, None) != (placement.level, placement.domain, placement.kept_until):
                placement = replace(placement, level=level, domain=domain, kept_until=None)
                job = replace(job, recorded=replace(job.recorded, placement=placement))
        decision = lifecycle.holding(job, gang, placement, self.now)
        goes_on = decision.record.placement and not decision.record.outcome
        if goes_on and (said := self._torn(gang, placement)):
            message = f"{decision.verdict.message}; {said}; its next attempt seeks another place"
            return replace(decision, verdict=replace(decision.verdict, message=message))
        return decision

    def _torn(self, gang: Gang, placement: Placement) -> str:
        """What it asked for of its place and does not have any more."""
        rows = self.capacity.pool.table.rows
        there = {rank: rows[node] for rank, node in enumerate(placement.nodes) if node in rows}
        return torn(gang, self.capacity.pool.table, there) if gang.topology.required or gang.topology.slices else ""

    def place(self, job: Job, gang: Gang) -> Decision | None:
        """A place for a gang that has none, or whose place will not do any more; None if `explained` has to say why."""
        former = job.recorded.placement
        if former is None:
            return self._sought(job, gang)
        until = self._kept_until(gang, former)
        kept = replace(former, kept_until=until)
        if until and job.key in self.preemption.wanted:
            return self._kept(job, gang, kept)  # as it is: others count on what it gives back
        found = self._replaced(job, gang, former)
        found = found or (self._rescued(job, gang, kept) if until else self._sought(job, gang))
        if until and found and found.stage is not Stage.QUEUED:
            self._moved.add(job.key)
        return found

    def _sought(self, job: Job, gang: Gang) -> Decision | None:
        """A place for a gang that has none; None if `explained` has to say why there is none."""
        team = self.quota.team_of(job.key.namespace)
        alike = Alike(gang, team, job.priority, job.preempts, retries.is_retry(job, self.now), self.quota.charges[team])
        if told := self._held_up.get(alike):
            return self._at_limit(job, told)
        preemptor = self._preemptor(job, gang)
        resource = self.quota.over_limit(job.key.namespace, preemptor.gang)
        if resource and self.capacity.could_hold(preemptor.gang):
            return self._beyond_limit(preemptor, resource, alike)
        if (preemptor.gang, preemptor.rank) in self._dead_ends:
            self._block(preemptor)
            return None
        if placed := self._placed_anew(preemptor, gang):
            return placed
        if coming := self._coming(preemptor):
            return self._awaits(preemptor, coming)
        self._block(preemptor)
        return None

    def _preemptor(self, job: Job, gang: Gang) -> Preemptor:
        """A gang of its smallest legal size, and what it has a right to."""
        namespace, least = job.key.namespace, gang.of_size(gang.least)
        is_within = self.quota.is_within_guarantee(namespace, least)
        return Preemptor(job, least, Rank(self.quota.team_of(namespace), is_within, job.priority, job.preempts))

    def _placed_anew(self, preemptor: Preemptor, gang: Gang) -> Decision | None:
        """The largest of its sizes for which there is room, as far as its team may have it now."""
        (job, _, rank), namespace = preemptor, preemptor.job.key.namespace
        allowed = self.quota.within_limit(namespace, gang)
        is_claimed = rank.is_within_guarantee and bool(self.claimants - {rank.team})
        kept = self.quota.within_guarantee(namespace, allowed) if is_claimed else allowed
        elsewhere = retries.elsewhere(job, kept, self.now)
        placed = (elsewhere and self._placed_in(job, gang, elsewhere)) or self._placed_in(job, gang, kept)
        if placed and not elsewhere and len(kept.sizes) < len(allowed.sizes):
            self._modest.append((job, gang, placed))
        return placed

    def _awaits(self, preemptor: Preemptor, coming: Coming) -> Decision:
        """It gets no place now; what will be room for it is kept for it."""
        job, gang, _ = preemptor
        if coming.assignment:
            self.reservations.keep(job, gang, coming.assignment.by_row)
        self._is_room_wanted = True
        return self._joined(job, coming.verdict)

    def enlarged(self) -> dict[Key, Decision]:
        """Gangs that left to other teams what these are guaranteed, with what is left now that all had their turns."""
        return {job.key: self._enlarged(job, gang, placed) for job, gang, placed in self._modest}

    def _enlarged(self, job: Job, gang: Gang, placed: Decision) -> Decision:
        namespace, nodes = job.key.namespace, placed.record.placement.nodes if placed.record.placement else ()
        self.quota.charge(namespace, gang, -len(nodes))
        allowed = self.quota.within_limit(namespace, gang)
        if self.capacity.largest_instead(allowed, nodes) > len(nodes):
            self.capacity.release(gang, nodes)
            self._assigned = [it for it in self._assigned if it.is_service or it.name != str(job.key)]
            return self._placed_in(job, gang, allowed) or placed
        self.quota.charge(namespace, gang, len(nodes))
        return placed

    def _placed_in(self, job: Job, gang: Gang, allowed: Gang) -> Decision | None:
        """The gang in the largest of the `allowed` sizes for which there is room."""
        size = self.capacity.largest(allowed)
        assignment = self.capacity.assign(allowed.of_size(size)) if size else None
        return self._placed(job, gang.of_size(size), assignment.nodes(self.capacity.pool.table)) if assignment else None

    def _kept_until(self, gang: Gang, former: Placement) -> datetime | None:
        """Until when what is left of a place is kept; None where nothing is, or nothing may come back."""
        reasons = {self.capacity.filter_reason(gang, node) for node in former.nodes}
        latest = (self.now + self.capacity.pool.keep_place).replace(microsecond=0)
        until = min(former.kept_until or latest, latest)
        may_return = OPEN in reasons and reasons.isdisjoint(_GIVEN_AWAY) and not self._torn(gang, former)
        return until if self.now < until and may_return else None

    def _rescued(self, job: Job, gang: Gang, former: Placement) -> Decision:
        """A whole other place; or it keeps what is left of the one that it gave back a moment ago, and waits."""
        preemptor, coming = self._preemptor(job, gang), None
        if not self.quota.over_limit(job.key.namespace, preemptor.gang):
            with self.capacity.unreserved(gang, former.nodes):
                if placed := self._placed_anew(preemptor, gang):
                    return placed
                coming = self._coming(preemptor)
        self.capacity.retake(gang, former.nodes)
        self.quota.charge(job.key.namespace, gang, len(former.nodes))
        if coming and coming.assignment:
            has = ledger.counts(former.nodes, self.capacity.pool.table.rows)
            lacks = {row: more for row, of in coming.assignment.by_row.items() if (more := of - has.get(row, 0)) > 0}
            self.reservations.keep(job, gang.of_size(sum(lacks.values())), lacks)
        return self._kept(job, gang, former, coming.verdict if coming else None)

    def _kept(self, job: Job, gang: Gang, former: Placement, verdict: Verdict | None = None) -> Decision:
        """It waits for nodes that it lost, and keeps the others for a while."""
        reasons = {node: self.capacity.filter_reason(gang, node) for node in former.nodes}
        lost = {node: reason for node, reason in reasons.items() if reason != OPEN}
        self._waiting += 1
        self._is_hopeful = self._is_room_wanted = True
        verdict = verdict or verdicts.place_kept(gang, lost, former.kept_until or self.now)
        return lifecycle.waiting_in_place(job, former, verdict.at(self._waiting), former.kept_until)

    def _replaced(self, job: Job, gang: Gang, former: Placement) -> Decision | None:
        """Replace the nodes that will not do, or give the whole place back."""
        self._dead_ends.clear()
        self.quota.charge(job.key.namespace, gang, -len(former.nodes))
        is_lost = {node: self.capacity.filter_reason(gang, node) != OPEN for node in former.nodes}
        self.capacity.release(gang, [node for node in former.nodes if is_lost[node]])
        if nodes := self.capacity.replace_lost(gang, former.nodes):
            return self._placed(job, gang, nodes)
        self.capacity.release(gang, [node for node in former.nodes if not is_lost[node]])
        return None

    def _placed(self, job: Job, gang: Gang, nodes: tuple[str, ...]) -> Decision:
        self._give(job.key, gang, nodes)
        level, domain = domain_of(gang, self.capacity.pool.table, nodes)
        is_rewarded = is_aged(job, self.now) and not job.recorded.placement
        protected_until = self.now + REWARD if is_rewarded else None
        return lifecycle.placed(job, gang, Placement(nodes, level, domain, self.now, protected_until))

    def _coming(self, preemptor: Preemptor) -> Coming | None:
        """Room that a gang without a place will have, since others end or make room for it; None if nobody does."""
        job, gang, rank = preemptor
        if assignment := self.capacity.after_terminations(gang):
            if for_it := self._carried_out.get(str(job.key)):
                return Coming(assignment, verdicts.preempting(gang, for_it, is_announced=False))
            return Coming(assignment, verdicts.awaiting_terminations(gang))
        if not retries.is_retry(job, self.now):
            if coming := self._preempted(preemptor):
                return coming
            self._dead_ends.add((gang, rank))
        return None

    def _beyond_limit(self, preemptor: Preemptor, resource: str, alike: Alike) -> Decision:
        """Its team may not have so much more, unless others of its own team give it back."""
        (job, gang, rank), namespace = preemptor, preemptor.job.key.namespace
        told = HeldUp(gang, resource, self._over_limit(namespace, gang, resource), None)
        is_passing = told.verdict.reason == Reason.WAITING_FOR_QUOTA
        if is_passing:
            if (gang, rank) not in self._spent and not retries.is_retry(job, self.now):
                if coming := self._preempted(preemptor, self.quota.beyond_limit(namespace, gang, resource)):
                    return self._awaits(preemptor, coming)
                self._spent.add((gang, rank))
            spared, until = self.preemption.eligibility.ineligible(rank)
            if spared:
                told = HeldUp(gang, resource, self._not_preempted(told.verdict, job, rank), until)
        if not is_passing or (gang, rank) in self._spent:
            self._held_up[alike] = told
        return self._at_limit(job, told)

    def _at_limit(self, job: Job, told: HeldUp) -> Decision:
        if told.verdict.reason == Reason.WAITING_FOR_QUOTA:
            self.reservations.save_up(job, told.gang, told.resource)
        return self._joined(job, told.verdict, told.wake_at)

    def _preempted(self, preemptor: Preemptor, beyond: int = 0) -> Coming | None:
        """Others make room for it, if some can; of its own team at least so many thousandths `beyond` its limit."""
        gang = preemptor.gang
        taken = self.preemption.make_room(preemptor, beyond)
        if not taken:
            return None
        self._dead_ends.clear()
        self._spent.clear()
        self._held_up.clear()
        return Coming(self.capacity.after_terminations(gang), verdicts.preempting(gang, taken, is_announced=True))

    def _block(self, preemptor: Preemptor) -> None:
        """There is no room for it, and `explained` will say why."""
        standing = self._standing()
        wake_at = self.reservations.keep_for_late(preemptor.job, preemptor.gang)
        self._waiting += 1
        self._is_room_wanted = True
        self._blocked.append(Blocked(preemptor, self._waiting, standing, wake_at))

    def _standing(self) -> Standing:
        """Of whoever has its turn now."""
        return Standing(self.reservations.late, is_behind=self._is_room_wanted or bool(self._assigned))

    @cached_property
    def _carried_out(self) -> Mapping[str, Mapping[str, Eviction]]:
        return self.allocations.carried_out()

    def explained(self) -> dict[Key, Decision]:
        """What becomes of those that found no place, once all had their turns: only then is known what is left."""
        if not self._blocked:
            return {}
        held = self._holdings(self._assigned)
        decisions, known = {}, dict[tuple[Gang, Standing], Verdict]()
        told: dict[tuple[Gang, Standing, Rank, bool], Verdict] = {}
        for (job, gang, rank), position, standing, due in self._blocked:
            if (gang, standing) not in known:
                known[gang, standing] = self._why(gang, standing, held)
            verdict, wake_at = known[gang, standing], due
            if verdict.reason in {Reason.WAITING_FOR_CAPACITY, Reason.BEHIND_HIGHER_PRIORITY}:
                _, until = self.preemption.eligibility.ineligible(rank)
                case = gang, standing, rank, retries.is_retry(job, self.now)
                if case not in told:
                    told[case] = self._not_preempted(verdict, job, rank)
                verdict, wake_at = told[case], min(filter(None, (until, due)), default=None)
            self._is_hopeful |= lifecycle.is_hopeful(verdict)
            decisions[job.key] = lifecycle.waiting(job, verdict.at(position), self.now, wake_at)
        return decisions

    def _joined(self, job: Job, verdict: Verdict, wake_at: datetime | None = None) -> Decision:
        """One more waits, of whom is known why."""
        self._waiting += 1
        self._is_hopeful |= lifecycle.is_hopeful(verdict)
        return lifecycle.waiting(job, verdict.at(self._waiting), self.now, wake_at)

    def assign(self, service: Key, gang: Gang) -> Assignment | None:
        """The best place for a replica, which is taken and charged; None if there is none, or its team may not."""
        assignment = None if self.quota.over_limit(service.namespace, gang) else self.capacity.assign(gang)
        if assignment:
            self._give(service, gang, assignment.nodes(self.capacity.pool.table), is_service=True)
        return assignment

    def _give(self, key: Key, gang: Gang, nodes: Iterable[str], *, is_service: bool = False) -> None:
        self.quota.charge(key.namespace, gang, gang.workers)
        given = Allocation(key, is_service, gang, tuple(nodes), is_leaving=False)
        self._assigned.append(holding(given, self.capacity.pool.table.rows))

    def refusal(self, namespace: str, gang: Gang) -> Verdict:
        """Why `assign` found no place."""
        if resource := self.quota.over_limit(namespace, gang):
            return self._over_limit(namespace, gang, resource)
        standing = self._standing()
        self._is_room_wanted = True
        return self._why(gang, standing, self._holdings())

    def _why(self, gang: Gang, standing: Standing, held: Holdings) -> Verdict:
        """Why a gang finds no room."""
        capacity, kept = self.capacity, self.reservations.against(gang, standing.late)
        around = Circumstances(*kept, capacity.terminating, held, standing.is_behind)
        return verdicts.waiting(gang, capacity.filters(gang), capacity.used, around)

    def wanted(self) -> dict[Key, Eviction]:
        """What is to be taken from gangs, or given to them, once all had their turns; none grows while others wait."""
        taken = {**self.preemption.wanted, **self.resizing.leaving}
        return taken if self._is_hopeful else {**self.resizing.growing(taken), **taken}

    @cached_property
    def _lasting(self) -> Amounts:
        """What nobody may expect to end: what services hold, and gangs that make no room for anybody."""
        lasting, table = self.allocations.lasting(self.capacity.pool), self.capacity.pool.table
        for it in self._running.placed:
            if it.job.preemption is Preemption.NEVER:
                ledger.take(table, lasting, ledger.counts(it.nodes, table.rows), it.gang.requirements.request)
        return lasting

    def _holdings(self, more: Iterable[Holding] = ()) -> Holdings:
        """What our own jobs and services hold, and `more` that was given out."""
        rows = self.capacity.pool.table.rows
        placed = (holding(it, rows) for it in self._running.placed if it.key not in self._moved)
        return self.allocations.book_of(self.capacity.pool).columns([*placed, *more])

    @cached_property
    def _running(self) -> RunningGangs:
        """The gangs that have a place here, and keep it unless others need it more."""
        return RunningGangs(self.allocations, self.capacity.pool.name, self._has)

    def _has(self, it: GangAllocation) -> bool:
        """Whether a gang keeps its place, or what is left of it for a while."""
        return self.keeps(it.job, it.gang, it.place) or self._kept_until(it.gang, it.place) is not None

    @cached_property
    def resizing(self) -> Resizing:
        """Who changes the size though nobody preempts it."""
        return Resizing(self.capacity, self.quota, self._running, self.now)

    @cached_property
    def preemption(self) -> PreemptionPolicy:
        """What is taken from those that stay as they are."""
        return PreemptionPolicy(self.capacity, self.quota, self._running, self.resizing.leaving, self._moved, self.now)

    @cached_property
    def reservations(self) -> Reservations:
        """What is kept for those that wait."""
        return Reservations(self.capacity, self.quota, self.now, lambda: self._lasting)

    def _not_preempted(self, verdict: Verdict, job: Job, rank: Rank) -> Verdict:
        """The same with why nobody makes room for a gang of this rank."""
        if retries.is_retry(job, self.now):
            return verdicts.not_asked(verdict)
        return verdicts.not_preempted(verdict, *self.preemption.eligibility.ineligible(rank))

    def _over_limit(self, namespace: str, gang: Gang, resource: str) -> Verdict:
        team = self.quota.team_of(namespace)
        limit, used = self.quota.share(team, resource).limit or 0, self.quota.used(team, resource)
        return verdicts.quota(gang, team, resource, limit, used, self.quota.reserved(team, resource))
