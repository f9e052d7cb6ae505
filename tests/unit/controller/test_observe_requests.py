"""What observing makes of requests: priorities, quotas and what else a spec or a class of the cluster says."""

from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from support.build import NOW
from support.manifests import GPU, PLACED, job, pool, service
from trainpush.controller.observe import Observer, observe
from trainpush.kube.children import ExportRow
from trainpush.kube.priorities import PriorityRow
from trainpush.kube.records import Exporter, OwnerId, PodRow
from trainpush.kube.store import Kind, Store
from trainpush.kube.table import Row
from trainpush.model.gang import Gang
from trainpush.model.nodes import Node
from trainpush.model.outage import Outage
from trainpush.model.reasons import Reason
from trainpush.model.snapshot import Pool, Quota, Share, Snapshot
from trainpush.model.workload import UNKNOWN_PRIORITY, ExportState, Phase, Preemption, Refusal, Worker

HIGH = PriorityRow("high", 100)


def take(kind: Kind[Any, Any], manifest: dict[str, Any], **more: Any) -> None:
    """An object as a watch would bring it."""
    identity = {"namespace": "team", "uid": manifest["metadata"]["name"], "resourceVersion": "1"}
    metadata = {**manifest["metadata"], **identity, "creationTimestamp": "2026-01-01T11:59:00Z", **more}
    kind.take({**manifest, "metadata": metadata})


def a_store(*classes: PriorityRow, **of_pool: Any) -> Store:
    """A pool and some priority classes."""
    store = Store()
    take(store.pools, pool("pool", "any", **of_pool))
    for row in classes:
        store.priorities.put(Row(row.name, 1, row))
    return store


def seen(store: Store) -> Snapshot:
    """What the planner gets."""
    return observe(store, lambda uid: "", "example.com/haproxy:1").snapshot


def test_priorities_come_from_the_classes() -> None:
    """Of jobs and services alike; without a name, the lowest of the global defaults counts."""
    store = a_store(HIGH, PriorityRow("a", 50, is_default=True), PriorityRow("b", 20, is_default=True))
    take(store.jobs, job("named", scheduling={"priorityClassName": "high"}))
    take(store.jobs, job("unnamed"))
    take(store.services, service("named", scheduling={"priorityClassName": "high"}))
    take(store.services, service("unnamed"))
    found = seen(store)
    assert [(entry.key.name, entry.priority) for entry in found.jobs] == [("named", 100), ("unnamed", 20)]
    assert [(entry.key.name, entry.priority) for entry in found.services] == [("named", 100), ("unnamed", 20)]


def test_a_class_that_changes_is_a_reason_to_look_again() -> None:
    """And counts at once, also for what runs."""
    store = a_store(HIGH)
    take(store.jobs, job("job", scheduling={"priorityClassName": "high"}))
    store.dirty.clear()
    store.priorities.put(Row(HIGH.name, 2, PriorityRow("high", 7)))
    assert store.dirty.is_set()
    assert seen(store).jobs[0].priority == 7


def test_a_class_that_is_not_there_refuses_what_does_not_run() -> None:
    """What runs goes on, and nobody displaces a gang of which nobody knows any more how urgent it is."""
    store = a_store(PriorityRow("usual", 3, is_default=True))
    orphan: dict[str, Any] = {"scheduling": {"priorityClassName": "gone"}}
    take(store.jobs, job("queued", **orphan))
    take(store.jobs, {**job("runs", **orphan), "status": PLACED})
    take(store.services, service("new", **orphan))
    take(store.services, service("serves", **orphan), annotations={"training.ai/stable-revision": "serves-1"})
    found = seen(store)
    queued, runs = (entry.request for entry in found.jobs)
    new, serves = (entry.request for entry in found.services)
    assert isinstance(queued, Refusal)
    assert queued.reason == Reason.INVALID_SPEC
    assert 'there is no PriorityClass "gone"' in queued.message
    assert new == queued
    assert isinstance(runs, Gang)
    assert isinstance(serves, str)
    assert [(entry.priority, entry.preempts) for entry in found.jobs][1] == (UNKNOWN_PRIORITY, False)


def test_what_a_job_lets_others_take() -> None:
    """A job that cannot be read gives nothing."""
    store = a_store()
    take(store.jobs, job("elastic", elastic={"minReplicas": 1}, scheduling={"minRuntime": "10m"}))
    take(store.jobs, job("plain"))
    take(store.jobs, job("unreadable", replicas=0))
    assert [(entry.preemption, entry.min_runtime) for entry in seen(store).jobs] == [
        (Preemption.BEYOND_MIN, timedelta(minutes=10)),
        (Preemption.ALWAYS, timedelta(0)),
        (Preemption.NEVER, timedelta(0)),
    ]


def test_what_a_pool_says_of_teams_and_capacity() -> None:
    """As the planner reads it."""
    found = seen(
        a_store(
            quotas=[{"name": "a", "namespaces": ["team"], "resources": {GPU: {"guarantee": 8}}}],
            capacityPreference=["spot", "reserved"],
            linkedAccelerators=[{"product": "A100", "size": 2}],
            lostNodes={"keepPlace": "3m"},
        )
    ).pools[0]
    assert found.quotas == (Quota("a", frozenset({"team"}), {GPU: Share(guarantee=8000)}),)
    assert found.capacity_preference == ("spot", "reserved")
    assert found.linked == {"A100": 2}
    assert found.keep_place == timedelta(minutes=3)
    assert seen(a_store()).pools[0].keep_place == Pool("p", (), found.table).keep_place


def test_what_a_pod_left_is_seen_though_it_is_gone() -> None:
    """Both in one batch of the watch, with no cycle between them."""
    store = a_store()
    take(store.jobs, job("job"))
    left = Worker(name="w", uid="w", attempt=1, rank=0, phase=Phase.FAILED, report={"step": 7})
    store.pods.put(Row("w", 1, PodRow("n", is_live=False, requests={}, owner=OwnerId("job", "team"), ours=left)))
    store.pods.forget("w", 2)
    assert [(found.workers, found.left) for found in seen(store).jobs] == [((), left)]


def test_what_was_touched_is_looked_at_again_after_a_look_that_failed() -> None:
    """Nothing of it is lost."""
    store = a_store()
    take(store.jobs, job("job"))
    faults = [RuntimeError("any")]

    def trouble_of(uid: str) -> str:
        if faults:
            raise faults.pop()
        return ""

    observer = Observer(store, trouble_of, "example.com/haproxy:1")
    with pytest.raises(RuntimeError):
        observer.observe()
    assert [it.key.name for it in observer.observe().snapshot.jobs] == ["job"]
    assert not store.touched


def on_nodes(store: Store, owner: str, *names: str) -> None:
    """A worker of `owner` on each of these nodes."""
    for rank, name in enumerate(names):
        worker = Worker(f"w{rank}", f"w{rank}", 1, rank, Phase.RUNNING, name)
        row = PodRow(name, is_live=True, requests={}, owner=OwnerId(owner, "team"), ours=worker)
        store.pods.put(Row(worker.uid, 1, row))


@pytest.mark.parametrize(
    ("policy", "patience"), [({}, timedelta(minutes=5)), ({"failurePolicy": {"lostNode": "Wait"}}, None)], ids=str
)
def test_how_long_a_silent_node_is_waited_for(policy: dict[str, Any], patience: timedelta | None) -> None:
    """As the pool says, unless the job has its own mind; one that is gone is nobody's to wait for."""
    store = a_store(lostNodes={"after": "5m"})
    take(store.jobs, job("job", 3, **policy))
    store.nodes.put(Row("well", 1, Node("well", {}, {})))
    store.nodes.put(Row("silent", 1, Node("silent", {}, {}, ready=False, outage=Outage("silent", NOW))))
    on_nodes(store, "job", "well", "silent", "gone")
    well, silent, gone = seen(store).jobs[0].workers
    assert (well.outage, silent.outage) == (None, Outage("silent", NOW, patience))
    assert gone.outage is not None
    assert gone.outage.is_final


def test_an_export_knows_of_its_silent_node() -> None:
    """Until its pod has ended; and whoever exports is told when the node falls silent."""
    store = a_store()
    take(store.jobs, job("job"))
    store.exports.put(
        Row("export", 1, ExportRow("export", OwnerId("export", "team"), OwnerId("job", "team"), ExportState.ACTIVE))
    )
    row = PodRow("n", is_live=True, requests={}, owner=OwnerId("export", "team"), ours=Exporter("pod", "pod", node="n"))
    store.pods.put(Row("pod", 1, row))
    store.nodes.put(Row("n", 1, Node("n", {}, {})))
    store.touched.clear()
    store.nodes.put(Row("n", 2, Node("n", {}, {}, ready=False, outage=Outage("n", NOW))))
    assert store.touched == {"job"}
    (found,) = seen(store).jobs[0].exports
    assert found.outage == Outage("n", NOW)
    store.pods.put(Row("pod", 2, replace(row, is_live=False, ours=Exporter("pod", "pod"))))
    store.touched.add("job")
    (found,) = seen(store).jobs[0].exports
    assert found.outage is None


def test_a_pool_that_becomes_impatient_is_heard_at_once() -> None:
    """By the jobs whose node is silent already."""
    store = a_store()
    take(store.jobs, job("job"))
    store.nodes.put(Row("silent", 1, Node("silent", {}, {}, ready=False, outage=Outage("silent", NOW))))
    on_nodes(store, "job", "silent")
    observer = Observer(store, lambda _: "", "example.com/haproxy:1")
    (before,) = observer.observe().snapshot.jobs
    take(store.pools, pool("pool", "any", lostNodes={"after": "10s"}), resourceVersion="2")
    (after,) = observer.observe().snapshot.jobs
    found = [job.workers[0].outage for job in (before, after)]
    assert [it.patience for it in found if it] == [timedelta(minutes=2), timedelta(seconds=10)]
