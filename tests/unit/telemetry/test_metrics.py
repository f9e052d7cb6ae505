"""The table of metrics, and what a registry shows of it."""

from prometheus_client import CollectorRegistry

from trainpush.telemetry.metrics import TABLE, Metrics


def test_a_registry_shows_what_the_table_says() -> None:
    """The reference page is made from the table."""
    shown = [
        (family.name, family.type, family.documentation) for family in Metrics(CollectorRegistry()).registry.collect()
    ]
    assert shown == [(row.name, row.kind.__name__.lower(), row.meaning) for row in TABLE]


def test_a_metric_counts_on_its_own_registry() -> None:
    one, other = Metrics(CollectorRegistry()), Metrics(CollectorRegistry())
    one.api_writes.labels("Pod", "create").inc()
    labels = {"kind": "Pod", "verb": "create"}
    assert one.registry.get_sample_value("trainpush_api_writes_total", labels) == 1
    assert other.registry.get_sample_value("trainpush_api_writes_total", labels) is None
