"""What the store counts on nodes comes out the same in whatever order it hears of things."""

import itertools
from collections.abc import Callable
from dataclasses import replace
from datetime import datetime, timedelta

from support.build import NOW
from support.manifests import job
from trainpush.kube.client import Object
from trainpush.kube.records import OwnerId, PodRow
from trainpush.kube.store import Store
from trainpush.kube.table import Row
from trainpush.model.fleet import PoolSelector
from trainpush.model.nodes import Node
from trainpush.model.outage import Outage
from trainpush.model.serving import Replica
from trainpush.model.workload import Phase, Worker

ASKED = {"pods": 1000}
JOB = {"metadata": {"name": "j", "namespace": "ns", "uid": "job", "resourceVersion": "1"}, "spec": {}}
SERVICE = {"metadata": {"name": "s", "namespace": "ns", "uid": "service", "resourceVersion": "1"}, "spec": {}}


def a_worker(uid: str, owner: str) -> Row[PodRow]:
    """A running worker on node n."""
    worker = Worker(name=uid, uid=uid, attempt=1, rank=0, phase=Phase.RUNNING, node="n", request=ASKED)
    return Row(uid, 1, PodRow("n", is_live=True, requests=ASKED, owner=OwnerId(owner, "ns"), ours=worker))


def one_that_ended(uid: str, attempt: int = 1, rank: int = 0, **report: object) -> Row[PodRow]:
    """A worker of the job that left a termination message."""
    worker = Worker(name=uid, uid=uid, attempt=attempt, rank=rank, phase=Phase.FAILED, node="n", report=report)
    return Row(uid, 2, PodRow("n", is_live=False, requests=ASKED, owner=OwnerId("job", "ns"), ours=worker))


def a_replica(uid: str, owner: str) -> Row[PodRow]:
    """A running replica on node n."""
    pod = Replica(name=uid, uid=uid, serial=1, revision="r", phase=Phase.RUNNING, node="n", request=ASKED)
    return Row(uid, 1, PodRow("n", is_live=True, requests=ASKED, owner=OwnerId(owner, "ns"), ours=pod))


def a_manifest(name: str, replicas: int = 1) -> Object:
    """A job of that name as the API server sends it; the name is its uid too."""
    made = job(name, replicas)
    return {**made, "metadata": {"name": name, "namespace": "ns", "uid": name, "resourceVersion": "1"}}


def pods_taken(store: Store) -> int:
    """How many pods count as taken on node n."""
    store.fleet.divide([PoolSelector("p", {}, ())])
    return int(store.fleet.table("p").used.sum()) // 1000


def ending(store: Store) -> list[datetime | None]:
    """When the pods on node n end that nobody answers for."""
    store.fleet.divide([PoolSelector("p", {}, ())])
    return [pod.ends_at for pod in store.fleet.ending("p")]


def test_pods_whose_owner_is_unknown_count_as_foreign_ones_do() -> None:
    """Whichever is heard of first: the node, the pods, or what they belong to. But they are about to end."""
    events: list[Callable[[Store], object]] = [
        lambda store: store.nodes.put(Row("n", 1, Node("n", {}, {"pods": 110_000}))),
        lambda store: store.jobs.take(JOB),
        lambda store: store.services.take(SERVICE),
        lambda store: store.pods.put(a_worker("w", "job")),
        lambda store: store.pods.put(a_replica("r", "service")),
        lambda store: store.pods.put(a_worker("orphan", "nobody")),
        lambda store: store.pods.put(Row("f", 1, PodRow("n", is_live=True, requests=ASKED))),
        lambda store: store.pods.put(Row("g", 1, PodRow("n", is_live=True, requests=ASKED, ends_at=NOW))),
    ]
    for order in itertools.islice(itertools.permutations(events), 0, None, 71):
        store = Store()
        for event in order:
            event(store)
        assert (pods_taken(store), ending(store)) == (3, [None, NOW])
        store.jobs.forget("job")
        store.services.forget("service")
        assert (pods_taken(store), ending(store)) == (5, [None, None, None, NOW])
        for uid in ("w", "r", "orphan", "f", "g"):
            store.pods.forget(uid)
        assert (pods_taken(store), ending(store)) == (0, [])


def test_a_node_that_went_and_came_back_under_its_name() -> None:
    """Another uid, and what is taken on it stays."""
    store = Store()
    store.pods.put(Row("f", 1, PodRow("n", is_live=True, requests=ASKED)))
    store.nodes.put(Row("first", 1, Node("n", {}, {"pods": 110_000})))
    assert pods_taken(store) == 1
    store.nodes.forget("first")
    assert pods_taken(store) == 0
    store.nodes.put(Row("second", 2, Node("n", {}, {"pods": 110_000})))
    assert pods_taken(store) == 1


def test_what_a_pod_left_outlives_it() -> None:
    """Its end and its deletion may come together, before anybody looked; of several the lowest rank's counts."""
    store, owner = Store(), OwnerId("job", "ns")
    store.jobs.take(JOB)
    for uid, attempt, rank, step in (("a", 1, 0, 10), ("b", 2, 1, 30), ("c", 2, 0, 20), ("d", 2, 1, 31)):
        store.pods.put(Row(uid, 1, a_worker(uid, "job").value))
        store.pods.put(one_that_ended(uid, attempt, rank, step=step))
        store.pods.forget(uid)
    assert store.last_words[owner].report == {"step": 20}
    store.pods.put(a_worker("silent", "job"))
    store.pods.forget("silent")
    assert store.last_words[owner].report == {"step": 20}
    store.jobs.forget("job")
    store.pods.put(one_that_ended("late"))
    store.pods.forget("late")
    assert store.last_words == {}


def test_whose_pods_are_on_a_node_hears_of_its_silence() -> None:
    """And of its return and its end; of nothing else that happens to it, nor what is elsewhere."""
    well = Node("n", {}, {})
    silent = replace(well, ready=False, outage=Outage("n", NOW))
    store = Store()
    for row in (a_worker("w", "job"), a_replica("r", "service")):
        store.pods.put(row)
    store.pods.put(Row("elsewhere", 1, replace(a_worker("elsewhere", "other").value, node="m")))
    store.nodes.put(Row("n", 1, well))
    for version, (node, is_told) in enumerate(
        [(replace(well, cordoned=True), False), (silent, True), (replace(silent, cordoned=True), False), (well, True)],
        2,
    ):
        store.touched.clear()
        store.nodes.put(Row("n", version, node))
        assert store.touched == ({"job", "service"} if is_told else set())
    store.touched.clear()
    store.nodes.forget("n")
    assert store.touched == {"job", "service"}


def test_a_node_that_comes_and_goes_without_being_ready_is_silent_all_the_while() -> None:
    """A kubelet that is started again and again says that it is not ready, and then nothing: each time since now."""
    store, minute = Store(), timedelta(minutes=1)

    def since(version: int, node: Node) -> datetime | None:
        store.nodes.put(Row("n", version, node))
        outage = store.fleet.outage_of("n")
        return outage.since if outage else None

    def silent(at: datetime) -> Node:
        return Node("n", {}, {}, ready=False, outage=Outage("n", at))

    assert [since(minutes, silent(NOW + minutes * minute)) for minutes in range(1, 4)] == [NOW + minute] * 3
    assert since(4, Node("n", {}, {})) is None
    assert since(5, silent(NOW + 5 * minute)) == NOW + 5 * minute
    store.nodes.forget("n")
    store.nodes.put(Row("another", 6, silent(NOW + 6 * minute)))
    assert store.fleet.outage_of("n") == Outage("n", NOW + 6 * minute)


def test_what_many_ask_for_is_read_once() -> None:
    """Their names and statuses are their own; and what is wrong is told of each with its path."""
    store = Store()
    for name in ("a", "b", "Bad"):
        store.jobs.take(a_manifest(name))
    one, other = store.jobs.get("a"), store.jobs.get("b")
    assert one
    assert one.found
    assert other
    assert other.found
    assert one.found.spec is other.found.spec
    assert (one.found.name, other.found.name) == ("a", "b")
    assert [seen.fault.partition(":")[0] for seen in store.jobs] == ["", "", ".metadata.name"]
    store.jobs.take(a_manifest("c", replicas=0))
    assert [seen.fault.partition(":")[0] for seen in store.jobs][3] == "spec.replicas"
