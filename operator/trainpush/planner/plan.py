"""The whole decision of one cycle: (snapshot, now) -> Plan.

Same snapshot, same plan, whatever the order of its parts. Gangs are placed first come, first served;
one that does not fit lets later ones pass.
"""

from dataclasses import dataclass, field, replace
from datetime import datetime

import numpy as np
from numpy.typing import NDArray

from trainpush.model.nodes import Amounts
from trainpush.model.plan import Decision, Plan, Verdict
from trainpush.model.reasons import Reason
from trainpush.model.snapshot import Pool, Snapshot
from trainpush.model.workload import Gang, Job, Placement, Refusal
from trainpush.planner import capacity, ledger, lifecycle, pools, verdicts
from trainpush.planner.capacity import Hindrance
from trainpush.planner.placement import site_for


@dataclass(frozen=True, slots=True)
class _Ground:
    """A pool while gangs are being placed in it; `used` grows with every placement."""

    pool: Pool
    used: Amounts
    blocked: dict[tuple[object, ...], NDArray[np.int8]] = field(default_factory=dict)
    """Hindrances of the nodes, per kind of worker."""

    def hindrances(self, gang: Gang) -> NDArray[np.int8]:
        """As `capacity.hindrances`, worked out once per kind of worker."""
        kind = (gang.products, gang.tolerations, tuple(sorted(gang.request.items())))
        if kind not in self.blocked:
            self.blocked[kind] = capacity.hindrances(self.pool.table, gang)
        return self.blocked[kind]


def plan(snapshot: Snapshot, now: datetime) -> Plan:
    """What should happen next. `now` decides on time-outs and delays only."""
    jobs = [job for job in snapshot.jobs if not job.deleting]
    grounds = {pool.name: _Ground(pool, ledger.used_amounts(pool.table, snapshot.jobs)) for pool in snapshot.pools}
    by_age = sorted(jobs, key=lambda job: (job.created_at, job.key))
    decisions = sorted((_decide(job, grounds, now) for job in by_age), key=lambda decision: decision.key)
    return Plan(
        decisions=tuple(decisions),
        pools=tuple(pools.summary(ground.pool, ground.used) for ground in grounds.values()),
        wake_at=min((d.wake_at for d in decisions if d.wake_at), default=None),
    )


def _decide(job: Job, grounds: dict[str, _Ground], now: datetime) -> Decision:
    refusal = job.request if isinstance(job.request, Refusal) and not job.recorded.outcome else None
    return replace(_stage(job, grounds, now), refusal=refusal)


def _stage(job: Job, grounds: dict[str, _Ground], now: datetime) -> Decision:
    if job.recorded.outcome:
        return lifecycle.ended(job)
    if job.suspend and not lifecycle.has_succeeded(job):
        return lifecycle.suspended(job)
    match job.request:
        case Refusal() as refusal:
            return lifecycle.stranded(job, refusal) if job.recorded.placement else lifecycle.refused(job, refusal)
        case Gang() as gang:
            return _decide_gang(job, gang, grounds, now)


def _decide_gang(job: Job, gang: Gang, grounds: dict[str, _Ground], now: datetime) -> Decision:
    placement = job.recorded.placement
    if placement and not _lost_ground(job, gang, placement, grounds):
        return lifecycle.holding(job, gang, placement, now)
    if job.recorded.hold_until and now < job.recorded.hold_until:
        last = job.recorded.last or Refusal(Reason.BIND_TIMEOUT, "")
        return lifecycle.queued(job, Verdict(last.reason, last.message), job.recorded.hold_until)
    return _find_place(job, gang, grounds[gang.pool], now)


def _lost_ground(job: Job, gang: Gang, placement: Placement, grounds: dict[str, _Ground]) -> bool:
    """Whether an attempt that has no pod yet was given a node that takes no pods any more."""
    if any(worker.attempt == job.recorded.attempt for worker in job.workers) or job.recorded.has_run:
        return False
    if gang.pool not in grounds:
        return False
    ground = grounds[gang.pool]
    blocked = dict(zip(ground.pool.table.names, ground.hindrances(gang).tolist(), strict=True))
    return any(blocked.get(node, Hindrance.NOT_READY) != Hindrance.NONE for node in placement.nodes)


def _find_place(job: Job, gang: Gang, ground: _Ground, now: datetime) -> Decision:
    table = ground.pool.table
    if job.recorded.placement:
        ledger.give_back(table, ground.used, gang, job.recorded.placement)
    blocked = ground.hindrances(gang)
    slots = np.where(blocked == Hindrance.NONE, capacity.slots(table, gang, ground.used), 0)
    site = site_for(gang, table, slots)
    if site is None:
        return lifecycle.queued(job, verdicts.waiting(gang, table, ground.used, blocked))
    ledger.take(table, ground.used, dict(enumerate(site.counts.tolist())), gang.request)
    placement = Placement(nodes=site.nodes(table), level=site.level, domain=site.domain, since=now)
    return lifecycle.placed(job, gang, placement)
