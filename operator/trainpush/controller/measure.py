"""What a cycle shows in metrics: pools, teams, what waits, what got a place, and what had to make room."""

from datetime import datetime

from trainpush.controller.observe import Observation
from trainpush.kube.store import Store
from trainpush.model.modes import Mode
from trainpush.model.plan import Decision, Plan, PoolSummary
from trainpush.model.workload import Refusal
from trainpush.telemetry.metrics import Metrics


def measure(metrics: Metrics, seen: Observation, decided: Plan, seconds: float, now: datetime) -> None:
    """What was `decided` at `now`, which took so many `seconds`."""
    metrics.pool_accelerators.clear()
    metrics.pool_nodes.clear()
    metrics.quota_used.clear()
    for pool in decided.pools:
        _measure_pool(metrics, pool)
    metrics.gangs_waiting.clear()
    for decision in decided.decisions:
        if decision.record.placement is None and decision.record.outcome is None:
            metrics.gangs_waiting.labels(_pool_of(seen, decision), decision.verdict.reason).inc()
    placed = [
        (decision, place)
        for decision in decided.decisions
        # A restart dates a place anew, and so does the loss of some workers.
        if (place := decision.record.placement) and place.since == now and not seen.jobs[decision.key].record.placement
    ]
    if placed:
        metrics.placement_duration_seconds.observe(seconds)
    for decision, place in placed:
        metrics.placement_domains.labels(place.level).inc()
        if decision.record.attempt == 1:
            waited = now - seen.jobs[decision.key].metadata.created_at
            metrics.gang_wait_seconds.observe(max(0.0, waited.total_seconds()))


def count_evictions(metrics: Metrics, seen: Observation, decided: Plan, store: Store) -> None:
    """Count what was announced before and is carried out now, where the status that says so stands in `store`.

    What does not stand yet is decided again, and counted then.
    """
    announced = {job.key: (job.recorded.preemptions, job.recorded.eviction) for job in seen.snapshot.jobs}
    standing = {job.metadata.uid: job.record.preemptions for job in store.jobs}
    for decision in decided.decisions:
        preemptions, eviction = announced[decision.key]
        stands = standing.get(seen.jobs[decision.key].metadata.uid) == decision.record.preemptions
        done = decision.record.eviction
        if eviction and done and stands and decision.record.preemptions > preemptions:
            labels = (_pool_of(seen, decision), done.reason)
            metrics.preemptions.labels(*labels).inc()
            metrics.lost_accelerator_seconds.labels(*labels).inc(done.lost)


def _measure_pool(metrics: Metrics, pool: PoolSummary) -> None:
    for state, count in (("used", pool.used), ("free", pool.free), ("unavailable", pool.unavailable)):
        metrics.pool_accelerators.labels(pool.name, state).set(count)
    if pool.modes:
        for mode in Mode:
            metrics.pool_nodes.labels(pool.name, mode).set(pool.modes.counts.get(mode, 0))
    for use in pool.teams:
        metrics.quota_used.labels(pool.name, use.team, use.resource).set(use.used / 1000)


def _pool_of(seen: Observation, decision: Decision) -> str:
    admission = seen.admissions[decision.key]
    return "" if isinstance(admission, Refusal) else admission.gang.pool
