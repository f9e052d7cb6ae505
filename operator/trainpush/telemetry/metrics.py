"""Every metric, in one table made real on a given registry; labels only from closed sets, never a workload's name."""

from typing import Any, Final, Generic, TypeVar

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, disable_created_metrics
from prometheus_client.metrics import MetricWrapperBase

_SHORT: Final = (0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10)
"""Buckets of a decision, in seconds."""
_LONG: Final = (0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 300, 900, 3600, 4 * 3600, 24 * 3600)
"""Buckets of a wait, in seconds."""

M = TypeVar("M", bound=MetricWrapperBase)


class Metric(Generic[M]):
    """One row of the table; on an instance of `Metrics` it is the metric itself."""

    def __init__(self, kind: type[M], meaning: str, *labels: str, **more: Any) -> None:
        """What the metric means and is told apart by; `more` as prometheus_client takes it."""
        self.kind, self.meaning, self.labels, self._more = kind, meaning, labels, more

    def __set_name__(self, owner: type, name: str) -> None:
        self.name = f"trainpush_{name}"

    def __get__(self, metrics: "Metrics", owner: type) -> M:
        metric: M = metrics.registered[self.name]
        return metric

    def register(self, registry: CollectorRegistry) -> M:
        """The metric on `registry`."""
        return self.kind(self.name, self.meaning, self.labels, registry=registry, **self._more)


class Metrics:
    """What the operator counts and times; each metric is exported as `trainpush_` and the name that it has here."""

    pool_accelerators = Metric(
        Gauge, "Accelerators of a pool, by what they do: used, free or unavailable.", "pool", "state"
    )
    pool_nodes = Metric(
        Gauge,
        "Nodes of a pool with modes, by their mode; those that switch count by what they still are.",
        *("pool", "mode"),
    )
    gangs_waiting = Metric(
        Gauge, "Gangs that have no place, by reason; pool is empty where none takes them.", "pool", "reason"
    )
    gang_wait_seconds = Metric(Histogram, "Seconds from creation of a job to its first placement.", buckets=_LONG)
    placement_duration_seconds = Metric(
        Histogram, "Seconds that planning took in a cycle that placed something.", buckets=_SHORT
    )
    placement_domains = Metric(
        Counter, "Placements, by the innermost level of which one domain held the whole gang.", "level"
    )
    preemptions = Metric(
        Counter,
        "Times that a gang lost its place, or some of its workers, to another, by why it had to.",
        *("pool", "reason"),
    )
    lost_accelerator_seconds = Metric(Counter, "Work that was lost so: accelerators times seconds.", "pool", "reason")
    quota_used = Metric(
        Gauge,
        "What a team of a pool's quotas holds of a resource, in units of that resource.",
        *("pool", "team", "resource"),
    )
    cycle_duration_seconds = Metric(
        Histogram, "Seconds of each stage of a cycle: observe, plan, apply.", "stage", buckets=_SHORT
    )
    cycle_errors = Metric(Counter, "Cycles that ended in an unexpected error.")
    api_writes = Metric(Counter, "Successful writes to the API server.", "kind", "verb")
    api_refusals = Metric(Counter, "Writes that the API server refused, by reason of its answer.", "reason")
    worker_messages = Metric(
        Counter,
        "Messages of workers, by what they tell (report, saved) and by how they were answered: OK, or why not.",
        *("kind", "answer"),
    )
    store_drift = Metric(Counter, "Objects that a resync found added, changed or gone without an event.", "kind")
    kopf_restarts = Metric(Counter, "Times that kopf ended and was started again.")
    is_leader = Metric(Gauge, "1 while this replica may write.")
    build_info = Metric(Gauge, "Always 1; the version is a label.", "version")
    watch_lag_seconds = Metric(
        Gauge,
        "Seconds since a watch last delivered an event or a bookmark; the server sends one a minute, first after two.",
        "kind",
    )

    def __init__(self, registry: CollectorRegistry) -> None:
        """Register every metric on `registry`."""
        disable_created_metrics()  # type: ignore[no-untyped-call]
        self.registry = registry
        self.registered: dict[str, Any] = {row.name: row.register(registry) for row in TABLE}


TABLE: Final[list[Metric[Any]]] = [row for row in vars(Metrics).values() if isinstance(row, Metric)]
"""Every row, in the order in which `/metrics` shows them."""
