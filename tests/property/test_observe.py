"""Who looks again and again sees what somebody sees who looks for the first time."""

from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any, Final

from hypothesis import given
from hypothesis import strategies as st

from support.manifests import GPU, PLACED, job, pool, service
from trainpush.controller.observe import Observation, Observer, observe
from trainpush.kube.children import BudgetRow, EndpointRow, ExportRow, SliceRow
from trainpush.kube.priorities import PriorityRow
from trainpush.kube.records import Exporter, OwnerId, PodRow
from trainpush.kube.store import Kind, Store
from trainpush.kube.table import Row
from trainpush.model.serving import Replica
from trainpush.model.workload import Checkpoint, ExportState, Heard, Phase, Recorded, Worker

IMAGE: Final = "example.com/proxy:1"
PUSH: Final = {
    "export": {"uri": "pvc://models/m", "command": ["true"]},
    "target": {"inferenceService": "svc"},
}
PUSHED: Final = {"digest": "sha256:" + "0" * 64, "uri": "pvc://models/m/x", "exportJob": "x"}
TAKEN: Final = {GPU: 1000}
AT_WORK: Final = {"attempt": 1, **PLACED}


class Cluster:
    """A store that is told of whatever may happen; each time in a later version."""

    def __init__(self, draw: Callable[[st.SearchStrategy[Any]], Any]) -> None:
        """Nothing there."""
        self.draw = draw
        self.store = Store()
        self.version = 0
        self.troubles: dict[str, str] = {}
        self.events = (
            *(self.a_job, self.a_job, self.a_service, self.a_pool, self.a_class, self.a_worker, self.a_replica),
            *(self.an_export, self.an_exporter, self.a_child, self.a_slice, self.a_word, self.a_trouble),
            *(self.an_assumption, self.something_goes),
        )

    def take(self, kind: Kind[Any, Any], manifest: dict[str, Any], uid: str, status: Any, **more: Any) -> None:
        self.version += 1
        identity = {"namespace": "team", "uid": uid, "resourceVersion": str(self.version), **more}
        metadata = {**manifest["metadata"], **identity, "creationTimestamp": "2026-01-01T11:00:00Z"}
        kind.take({**manifest, "metadata": metadata, "status": status})

    def pick(self, *choices: Any) -> Any:
        return self.draw(st.sampled_from(choices))

    def a_job(self) -> None:
        suspended, classed = {"suspend": True}, {"scheduling": {"priorityClassName": "high"}}
        spec = self.pick({"push": PUSH}, {"push": PUSH}, {}, suspended, {"replicas": 0}, {"replicas": 2}, classed)
        status = self.pick({**AT_WORK, "push": PUSHED}, AT_WORK, {})
        name = self.pick("a", "a", "b")
        # Of one name there may be a later one.
        self.take(self.store.jobs, job(name, **spec), f"job-{name}-{self.pick(1, 1, 1, 2)}", status)

    def a_service(self) -> None:
        follows = {"name": "m", "from": {"trainPushJob": self.pick("a", "a", "b")}}
        model = self.pick(follows, follows, {"name": "m", "uri": "pvc://m/x"})
        place = {"serial": 1, "revision": "r", "node": "n1", "since": "2026-01-01T11:00:00Z"}
        status = self.pick({}, {"placements": [place]})
        notes = {"annotations": self.pick({}, {"training.ai/stable-revision": "r"})}
        self.take(self.store.services, service("svc", model=model), "svc", status, **notes)

    def a_pool(self) -> None:
        name = self.pick("pool", "other")
        spec = self.pick({}, {"default": True}, {"nodeSelector": {"x": "y"}}, {"nodeSelector": 7})
        self.take(self.store.pools, pool(name, "any", **spec), name, {}, namespace="")

    def a_class(self) -> None:
        self.version += 1
        value, is_default = self.pick(1, 2), self.pick(True, False)
        self.store.priorities.put(
            Row("high", self.version, PriorityRow("high", value, is_default=is_default, preempts=is_default))
        )

    def a_worker(self) -> None:
        of = self.pick("job-a-1", "job-b-1")
        report = self.pick({}, {"step": 3})
        worker = Worker("w", f"worker-of-{of}", 1, 0, self.pick(*Phase), "n1", report=report, request=TAKEN)
        self.pod(worker.uid, OwnerId(of, "team"), worker)

    def a_replica(self) -> None:
        self.pod(
            "replica",
            OwnerId("svc", "team"),
            Replica("r-1", "replica", 1, "r", "n1", ready=self.pick(True, False), request=TAKEN),
        )

    def an_exporter(self) -> None:
        self.pod("exporter", OwnerId("export", "team"), Exporter("exporter", "exporter", message=self.pick("", "why")))

    def pod(self, uid: str, owner: OwnerId, ours: Any) -> None:
        self.version += 1
        # The pod of a worker or replica goes on for as long as that does.
        is_live = not isinstance(ours, Worker | Replica) or ours.is_live
        row = PodRow("n1", is_live=is_live, requests=TAKEN, owner=owner, ours=ours)
        self.store.pods.put(Row(uid, self.version, row))

    def an_export(self) -> None:
        self.version += 1
        state, owner = self.pick(*ExportState), OwnerId(self.pick("job-a-1", "job-b-1"), "team")
        row = ExportRow("x", OwnerId("export", "team"), owner, state, self.pick("", "why"))
        self.store.exports.put(Row("export", self.version, row))

    def a_child(self) -> None:
        self.version += 1
        name, owner = self.pick("svc", "x", "a-workers"), OwnerId(self.pick("svc", "svc", "job-a-1"), "team")
        self.store.budgets.put(Row("child", self.version, BudgetRow(name, owner, self.pick(None, 1))))
        intact = self.pick(True, False)
        self.store.endpoints.put(Row("child", self.version, EndpointRow(name, "child", owner, is_intact=intact)))

    def a_slice(self) -> None:
        self.version += 1
        ready = self.pick(frozenset[str](), frozenset(["replica"]))
        self.store.slices.put(Row("slice", self.version, SliceRow("slice", OwnerId("child", "team"), ready)))

    def a_word(self) -> None:
        at = datetime(2026, 1, 1, 12, tzinfo=UTC)
        saved = Checkpoint(1, self.draw(st.integers(1, 99)), "x", at)
        self.store.reports.put(f"worker-of-{self.pick('job-a-1', 'job-b-1')}", Heard(1, at, 1, saved=saved))

    def a_trouble(self) -> None:
        uid = self.pick("job-a-1", "svc")
        self.troubles[uid] = self.pick("", "refused")
        self.store.touch(uid)

    def an_assumption(self) -> None:
        uid = self.pick("job-a-1", "job-b-1")
        happen = self.pick(self.store.settle, self.store.begin, self.store.end, None)
        if happen:
            happen(uid)
        else:
            self.store.assume(uid, Recorded(attempt=self.pick(1, 2)))

    def something_goes(self) -> None:
        store = self.store
        for table in self.pick(
            (store.jobs,), (store.services,), (store.pools,), (store.pods, store.exports), (store.endpoints,)
        ):
            uids = table.uids
            if uids:
                table.forget(self.pick(*uids))


@given(st.data())
def test_a_later_look_sees_what_a_first_one_sees(data: st.DataObject) -> None:
    """Whatever happened between two looks."""
    cluster = Cluster(data.draw)
    observer = Observer(cluster.store, lambda uid: cluster.troubles.get(uid, ""), IMAGE)
    for _ in range(2):
        for event in cluster.events:
            event()
    for _ in range(data.draw(st.integers(1, 8))):
        for _ in range(data.draw(st.sampled_from([1, 1, 3]))):
            cluster.pick(*cluster.events)()
        again = observer.observe()
        first = observe(cluster.store, lambda uid: cluster.troubles.get(uid, ""), IMAGE)
        assert told(again) == told(first)


def told(seen: Observation) -> Any:
    """All that a look says."""
    return (
        (list(seen.snapshot.jobs), list(seen.snapshot.services), [it.name for it in seen.snapshot.pools]),
        (
            dict(seen.admissions),
            dict(seen.asked),
            dict(seen.priorities),
            dict(seen.jobs),
            dict(seen.services),
            dict(seen.pools),
        ),
    )
