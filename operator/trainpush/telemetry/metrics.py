"""Every metric, in one class built on a given registry; labels only from closed sets, never a workload's name."""

from collections.abc import Callable, Iterable, Iterator, Mapping

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, disable_created_metrics
from prometheus_client.core import GaugeMetricFamily
from prometheus_client.registry import Collector

_SHORT = (0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10)
"""Buckets of a decision, in seconds."""
_LONG = (0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 300, 900, 3600, 4 * 3600, 24 * 3600)
"""Buckets of a wait, in seconds."""


class Metrics:
    """What the operator counts and times."""

    def __init__(self, registry: CollectorRegistry) -> None:
        """Register every metric on `registry`."""
        disable_created_metrics()  # type: ignore[no-untyped-call]
        self.registry = registry
        self.pool_accelerators = Gauge(
            "trainpush_pool_accelerators",
            "Accelerators of a pool, by what they do: used, free or unavailable.",
            ("pool", "state"),
            registry=registry,
        )
        self.pool_nodes = Gauge(
            "trainpush_pool_nodes",
            "Nodes of a pool with modes, by their mode; those that switch count by what they still are.",
            ("pool", "mode"),
            registry=registry,
        )
        self.gangs_waiting = Gauge(
            "trainpush_gangs_waiting",
            "Gangs that have no place, by reason; pool is empty where none takes them.",
            ("pool", "reason"),
            registry=registry,
        )
        self.gang_wait_seconds = Histogram(
            "trainpush_gang_wait_seconds",
            "Seconds from creation of a job to its first placement.",
            buckets=_LONG,
            registry=registry,
        )
        self.placement_duration_seconds = Histogram(
            "trainpush_placement_duration_seconds",
            "Seconds that planning took in a cycle that placed something.",
            buckets=_SHORT,
            registry=registry,
        )
        self.placement_domains = Counter(
            "trainpush_placement_domains",
            "Placements, by the innermost level of which one domain held the whole gang.",
            ("level",),
            registry=registry,
        )
        self.preemptions = Counter(
            "trainpush_preemptions",
            "Times that a gang lost its place, or some of its workers, to another, by why it had to.",
            ("pool", "reason"),
            registry=registry,
        )
        self.lost_accelerator_seconds = Counter(
            "trainpush_lost_accelerator_seconds",
            "Work that was lost so: accelerators times seconds.",
            ("pool", "reason"),
            registry=registry,
        )
        self.quota_used = Gauge(
            "trainpush_quota_used",
            "What a team of a pool's quotas holds of a resource, in units of that resource.",
            ("pool", "team", "resource"),
            registry=registry,
        )
        self.cycle_duration_seconds = Histogram(
            "trainpush_cycle_duration_seconds",
            "Seconds of each stage of a cycle: observe, plan, apply.",
            ("stage",),
            buckets=_SHORT,
            registry=registry,
        )
        self.cycle_errors = Counter(
            "trainpush_cycle_errors",
            "Cycles that ended in an unexpected error.",
            registry=registry,
        )
        self.api_writes = Counter(
            "trainpush_api_writes",
            "Successful writes to the API server.",
            ("kind", "verb"),
            registry=registry,
        )
        self.api_refusals = Counter(
            "trainpush_api_refusals",
            "Writes that the API server refused, by reason of its answer.",
            ("reason",),
            registry=registry,
        )
        self.worker_messages = Counter(
            "trainpush_worker_messages",
            "Messages of workers, by what they tell (report, saved) and by how they were answered: OK, or why not.",
            ("kind", "answer"),
            registry=registry,
        )
        self.drift = Counter(
            "trainpush_store_drift",
            "Objects that a resync found added, changed or gone without an event.",
            ("kind",),
            registry=registry,
        )
        self.kopf_restarts = Counter(
            "trainpush_kopf_restarts",
            "Times that kopf ended and was started again.",
            registry=registry,
        )
        self.is_leader = Gauge(
            "trainpush_is_leader",
            "1 while this replica may write.",
            registry=registry,
        )
        self.build_info = Gauge(
            "trainpush_build_info",
            "Always 1; the version is a label.",
            ("version",),
            registry=registry,
        )

    def watch_lags(self, lag_by_kind: Callable[[], Mapping[str, float]]) -> None:
        """Export the seconds since each watch stream was last heard, asked for at every scrape."""
        self.registry.register(_WatchLag(lag_by_kind))


class _WatchLag(Collector):
    def __init__(self, lag_by_kind: Callable[[], Mapping[str, float]]) -> None:
        self._lag_by_kind = lag_by_kind

    def collect(self) -> Iterator[GaugeMetricFamily]:
        """One sample per kind."""
        family = GaugeMetricFamily(
            "trainpush_watch_lag_seconds",
            "Seconds since a watch last delivered an event or a bookmark; the server sends one about every minute.",
            labels=["kind"],
        )
        for kind, seconds in self._lag_by_kind().items():
            family.add_metric([kind], seconds)
        yield family

    def describe(self) -> Iterable[GaugeMetricFamily]:
        """Nothing to ask before the first scrape."""
        return []
