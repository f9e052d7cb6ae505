"""Metrics: what is counted of a cycle, and when."""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import pytest
from prometheus_client import CollectorRegistry

from support.build import GPU, NOW, a_placement
from support.manifests import job, pool
from trainpush.controller.measure import Milestones, Waiting, measure
from trainpush.controller.observe import Observation, observe
from trainpush.kube.store import Store
from trainpush.model.modes import Mode
from trainpush.model.plan import Condition, Decision, ModesSummary, Plan, PoolSummary, Stage, TeamUse, Verdict
from trainpush.model.reasons import Reason
from trainpush.model.records import Records
from trainpush.model.workload import Eviction, Key, Recorded, Refusal
from trainpush.telemetry.metrics import Metrics

KEY = Key("team", "job")
PLACED = {"level": "host", "domain": "n1", "nodes": ["n1"], "since": "2026-01-01T11:00:00Z"}
EVICTION = {"by": "team/urgent", "reason": "Preempted", "message": "why", "workers": 0, "lost": 28_800}
WAITS = Decision(KEY, Recorded(attempt=1), Stage.QUEUED, Verdict(Reason.PREEMPTED, "why"))


def put(store: Store, status: Mapping[str, Any], version: int = 1) -> None:
    """The job with this status, as a watch would bring it."""
    made = job(KEY.name)
    identity = {"namespace": KEY.namespace, "uid": "uid", "creationTimestamp": "2026-01-01T11:59:00Z"}
    metadata = {**made["metadata"], **identity, "resourceVersion": str(version)}
    store.jobs.take({**made, "metadata": metadata, "status": status})


def a_store(status: Mapping[str, Any]) -> Store:
    """A pool, and a job with this status."""
    store, made = Store(), pool("pool", "any")
    store.pools.take({**made, "metadata": {**made["metadata"], "uid": "pool", "resourceVersion": "1"}})
    put(store, status)
    return store


def look(store: Store) -> Observation:
    return observe(store, lambda uid: "", "")


def decided(**changes: Any) -> Decision:
    """The decision on a job in its first attempt whose record says this too."""
    return replace(WAITS, record=replace(WAITS.record, **changes))


def a_plan(decision: Decision, *pools: PoolSummary) -> Plan:
    return Plan(decisions=Records([decision]), pools=pools, services=(), wake_at=None)


def value(metrics: Metrics, name: str, **labels: str) -> float | None:
    return metrics.registry.get_sample_value(f"trainpush_{name}", labels)


@pytest.mark.parametrize(
    ("before", "after", "expected"),
    [
        ({"preemptions": 0}, {"preemptions": 1}, (1, 3600)),
        ({"preemptions": 2}, {"preemptions": 3}, (1, 3600)),
        ({}, {"preemptions": 1}, (1, 3600)),
        ({"preemptions": 0}, {"preemptions": 0}, (None, None)),
        ({}, {}, (None, None)),
    ],
    ids=str,
)
def test_an_eviction_is_counted_once_its_status_stands(
    before: dict[str, int], after: dict[str, int], expected: tuple[float | None, float | None]
) -> None:
    """A write that was refused is decided and counted again later; the cost is what was lost in the end."""
    store = a_store({"placement": PLACED, "attempt": 1, "restarts": before, "eviction": EVICTION})
    seen, metrics = look(store), Metrics(CollectorRegistry())
    done = Eviction("team/urgent", Reason.PREEMPTED, "why", lost=3600, is_done=True)
    decision = decided(preemptions=before.get("preemptions", 0) + 1, eviction=done)
    milestones = Milestones(metrics, store)
    milestones.count(seen, [decision], NOW)
    put(store, {"restarts": after}, version=2)
    milestones.count(seen, [], NOW)
    milestones.count(seen, [], NOW)
    labels = {"pool": "pool", "reason": "Preempted"}
    assert value(metrics, "preemptions_total", **labels) == expected[0]
    assert value(metrics, "lost_accelerator_seconds_total", **labels) == expected[1]


def test_an_announcement_and_an_old_eviction_count_nothing() -> None:
    store = a_store({"placement": PLACED, "attempt": 1, "restarts": {"preemptions": 2}, "eviction": EVICTION})
    metrics = Metrics(CollectorRegistry())
    Milestones(metrics, store).count(look(store), [decided(preemptions=2)], NOW)
    assert value(metrics, "preemptions_total", pool="pool", reason="Preempted") is None


def test_what_waits_is_counted_by_reason() -> None:
    metrics = Metrics(CollectorRegistry())
    waiting, seen = Waiting(metrics), look(a_store({}))
    waiting.count(seen, [WAITS], [])
    waiting.count(seen, [WAITS], [])
    assert value(metrics, "gangs_waiting", pool="pool", reason="Preempted") == 1
    waiting.count(seen, [decided(placement=a_placement("n1"))], [])
    assert value(metrics, "gangs_waiting", pool="pool", reason="Preempted") is None
    waiting.count(seen, [WAITS], [])
    waiting.count(seen, [], [WAITS.key])
    assert value(metrics, "gangs_waiting", pool="pool", reason="Preempted") is None


def test_what_waits_is_forgotten_by_who_does_not_lead() -> None:
    metrics = Metrics(CollectorRegistry())
    waiting = Waiting(metrics)
    waiting.count(look(a_store({})), [WAITS], [])
    waiting.forget()
    assert value(metrics, "gangs_waiting", pool="pool", reason="Preempted") is None


def test_a_place_is_counted_once_it_stands_and_not_when_a_gang_starts_anew_there() -> None:
    """Though a gang that made room has a failure on record; and though it was decided twice."""
    decision = decided(placement=replace(a_placement("n1"), since=NOW), last=Refusal(Reason.PREEMPTED, "why"))
    metrics, anew = Metrics(CollectorRegistry()), a_store({"placement": PLACED})
    assert not Milestones(metrics, anew).count(look(anew), [decision], NOW)
    assert value(metrics, "placement_domains_total", level="host") is None
    store = a_store({})
    milestones, seen = Milestones(metrics, store), look(store)
    for _ in range(2):
        assert milestones.count(seen, [decision], NOW)
    assert value(metrics, "placement_domains_total", level="host") is None
    put(store, {"placement": PLACED}, version=2)
    for _ in range(2):
        milestones.count(look(store), [], NOW)
    assert value(metrics, "placement_domains_total", level="host") == 1
    assert value(metrics, "gang_wait_seconds_sum") == 60


def test_what_teams_hold_goes_with_their_quotas() -> None:
    """In accelerators; a team that is gone leaves no figure behind."""
    summary = PoolSummary("pool", 2, 2, 0, 0, 16, 16, 0, 0, {}, teams=(TeamUse("a", GPU, 16_000, 8_000, None),))
    metrics = Metrics(CollectorRegistry())
    measure(metrics, a_plan(WAITS, summary))
    assert value(metrics, "quota_used", pool="pool", team="a", resource=GPU) == 16
    measure(metrics, a_plan(WAITS, replace(summary, teams=())))
    assert value(metrics, "quota_used", pool="pool", team="a", resource=GPU) is None


def test_nodes_are_counted_by_mode_where_there_are_modes() -> None:
    """Every mode has a figure there; a pool without modes has none."""
    plain = PoolSummary("pool", 2, 2, 0, 0, 16, 16, 0, 0, {})
    modes = ModesSummary({Mode.TRAINING: 2}, 0, Condition(True, Reason.SETTLED, "all have"))
    metrics = Metrics(CollectorRegistry())
    measure(metrics, a_plan(WAITS, replace(plain, modes=modes)))
    assert value(metrics, "pool_nodes", pool="pool", mode="Training") == 2
    assert value(metrics, "pool_nodes", pool="pool", mode="Inference") == 0
    measure(metrics, a_plan(WAITS, plain))
    assert value(metrics, "pool_nodes", pool="pool", mode="Training") is None
