"""What a cycle shows in metrics: pools, teams, what waits, what got a place, and what had to make room."""

from collections import Counter
from collections.abc import Iterable
from datetime import datetime

from trainpush.api.base import Metadata
from trainpush.controller.observe import Observation
from trainpush.kube.store import Store
from trainpush.model.modes import Mode
from trainpush.model.plan import Decision, Plan, PoolSummary
from trainpush.model.workload import Key, Recorded, Refusal
from trainpush.telemetry.metrics import Metrics


class Waiting:
    """The gangs that wait, by pool and reason, as they are shown."""

    def __init__(self, metrics: Metrics) -> None:
        """None waits."""
        self._gauge = metrics.gangs_waiting
        self._labels: dict[Key, tuple[str, str]] = {}
        self._counts: Counter[tuple[str, str]] = Counter()

    def count(self, seen: Observation, new: Iterable[Decision], gone: Iterable[Key]) -> None:
        """Count anew the jobs of which something `new` was decided, and not those that are `gone`."""
        changed = set()
        for key in gone:
            changed.add(self._drop(key))
        for decision in new:
            changed.add(self._drop(decision.key))
            if decision.record.placement is None and decision.record.outcome is None:
                labels = (_pool_of(seen, decision), decision.verdict.reason)
                self._labels[decision.key] = labels
                self._counts[labels] += 1
                changed.add(labels)
        for found in filter(None, changed):
            if self._counts[found]:
                self._gauge.labels(*found).set(self._counts[found])
            else:
                del self._counts[found]
                self._gauge.remove(*found)

    def forget(self) -> None:
        """None is shown any more."""
        self._gauge.clear()
        self._labels.clear()
        self._counts.clear()

    def _drop(self, key: Key) -> tuple[str, str] | None:
        labels = self._labels.pop(key, None)
        if labels:
            self._counts[labels] -= 1
        return labels


class Milestones:
    """Places that were found, and evictions that were carried out, counted once the status that says so stands."""

    def __init__(self, metrics: Metrics, store: Store) -> None:
        """None counted yet; what stands is looked up in `store`."""
        self._metrics = metrics
        self._store = store
        self._decided: dict[str, tuple[Decision, str]] = {}
        """By the uid of the job, with its pool."""

    def count(self, seen: Observation, new: Iterable[Decision], now: datetime) -> bool:
        """Take note of what is `new`, and count what stands by now; whether a place was found."""
        is_any_placed = False
        for decision in new:
            job = seen.jobs[decision.key]
            is_placed = _is_placed(decision, job.record, now)
            if is_placed or (job.record.eviction and decision.record.preemptions > job.record.preemptions):
                self._decided[job.metadata.uid] = decision, _pool_of(seen, decision)
            is_any_placed |= is_placed
        for uid, (decision, pool) in list(self._decided.items()):
            standing = self._store.jobs.get(uid)
            if standing and not _stands(decision.record, standing.record):
                continue
            del self._decided[uid]
            if standing:
                self._count(decision, pool, standing.metadata)
        return is_any_placed

    def _count(self, decision: Decision, pool: str, metadata: Metadata) -> None:
        metrics, place, done = self._metrics, decision.record.placement, decision.record.eviction
        if place:
            metrics.placement_domains.labels(place.level).inc()
            if decision.record.attempt == 1:
                metrics.gang_wait_seconds.observe(max(0.0, (place.since - metadata.created_at).total_seconds()))
        elif done:
            metrics.preemptions.labels(pool, done.reason).inc()
            metrics.lost_accelerator_seconds.labels(pool, done.reason).inc(done.lost)


def _is_placed(decision: Decision, before: Recorded, now: datetime) -> bool:
    """Whether a place was found `now`. A restart dates a place anew, and so does the loss of some workers."""
    place = decision.record.placement
    return place is not None and place.since == now and not before.placement


def _stands(decided: Recorded, found: Recorded) -> bool:
    if decided.placement:
        return found.placement is not None and found.placement.nodes == decided.placement.nodes
    return found.preemptions >= decided.preemptions


def measure(metrics: Metrics, decided: Plan) -> None:
    """What was `decided` of each pool."""
    metrics.pool_accelerators.clear()
    metrics.pool_nodes.clear()
    metrics.quota_used.clear()
    for pool in decided.pools:
        _measure_pool(metrics, pool)


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
