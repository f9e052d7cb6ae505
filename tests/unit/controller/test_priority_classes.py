"""What a PriorityClass that is deleted, and made anew, does to those who are there, cycle after cycle."""

import json
from typing import Any, Final

import pytest

from support.manifests import GPU, job, pool, service
from support.snapshots import AT, live, nodes, snapshot
from trainpush.api.trainpushjob import TrainPushJob
from trainpush.controller.changes import Changes
from trainpush.controller.observe import Observer
from trainpush.kube.client import Object
from trainpush.kube.priorities import PriorityRow
from trainpush.kube.records import OwnerId, PodRow
from trainpush.kube.store import Kind
from trainpush.kube.table import Row
from trainpush.model.workload import UNKNOWN_PRIORITY, Phase, Worker
from trainpush.planner.plan import plan

HIGH: Final = PriorityRow("high", 100)
OTHER: Final = PriorityRow("other", 5)


class Cluster:
    """A store whose statuses are written as the operator would, and whose pods run as soon as a gang has its place."""

    def __init__(self, *classes: PriorityRow) -> None:
        """A pool of one node."""
        self.store = snapshot(*nodes(1), live(pool("racks", "fake", default=True))).store()
        self.observer = Observer(self.store, lambda _: "", "example.com/proxy:1")
        self.version = 100
        for row in classes:
            self.have(row)

    def have(self, row: PriorityRow) -> None:
        """A class is made."""
        self.version += 1
        self.store.priorities.put(Row(f"{row.name}-{self.version}", self.version, row))

    def delete(self, name: str) -> None:
        """A class is deleted."""
        for uid in list(self.store.priorities.uids):
            row = self.store.priorities.get(uid)
            if row and row.name == name:
                self.store.priorities.forget(uid)

    def put(self, manifest: Object, status: Object | None = None) -> None:
        """An object is made, or edited; what stands in its status stays unless another one is given."""
        kind: Kind[Any, Any] = self.store.services if manifest["kind"] == "InferenceService" else self.store.jobs
        made = live(manifest)
        seen = kind.get(made["metadata"]["uid"])
        stands = dict(seen.status) if seen and status is None else status or {}
        made["metadata"]["resourceVersion"] = str(self.bumped())
        kind.take({**made, "status": stands})

    def bumped(self) -> int:
        """A later version."""
        self.version += 1
        return self.version

    def cycle(self) -> None:
        """One cycle of the operator: what is decided stands in the statuses afterwards."""
        seen = self.observer.observe()
        for task in Changes().tasks(seen, plan(seen.snapshot, AT)):
            if task.resource.kind != "GPUPool":
                body = json.loads(task.seen.body)
                body["metadata"]["resourceVersion"] = str(self.bumped())
                self.store.own_kinds[task.resource].take({**body, "status": task.status(AT)})

    def has_pod(self, of: str) -> None:
        """The only worker of a job runs."""
        held = {GPU: 8000, "pods": 1000}
        worker = Worker(f"{of}-worker-0-a1", of, 1, 0, Phase.RUNNING, "gpu-1-00", request=held)
        owner = OwnerId(self.job(of).uid, "default")
        self.store.pods.put(Row(of, self.bumped(), PodRow("gpu-1-00", True, held, owner, worker)))

    def job(self, name: str) -> TrainPushJob:
        """A job as it stands."""
        return next(seen.found for seen in self.store.jobs if seen.found and seen.found.name == name)

    def priority(self, name: str) -> int:
        """What a job counts as."""
        found = self.observer.observe().snapshot.jobs
        return next(it.priority for it in found if it.key.name == name)

    def is_evicted(self, name: str) -> bool:
        """Whether something is taken from a job."""
        status = self.job(name).status
        return status.eviction is not None or status.restarts.preemptions > 0


def classed(name: str, of: str | None) -> Object:
    """A job of one worker that needs the whole node."""
    return job(name, scheduling={"priorityClassName": of} if of else {})


def running(*classes: PriorityRow, of: str | None = "high") -> Cluster:
    """A gang of a class that has its place, and one of priority 5 that waits for it."""
    cluster = Cluster(*classes, OTHER)
    cluster.put(classed("prod", of))
    cluster.cycle()
    assert cluster.job("prod").status.placement
    cluster.put(classed("dev", "other"))
    cluster.cycle()
    assert not cluster.is_evicted("prod")
    return cluster


def test_a_gang_keeps_what_it_started_with_while_its_class_is_gone() -> None:
    """It would count as 0 else, and be evicted for the other within two cycles."""
    cluster = running(HIGH)
    cluster.delete("high")
    for _ in range(4):
        cluster.cycle()
    assert not cluster.is_evicted("prod")
    assert cluster.priority("prod") == 100


def test_a_gang_of_the_default_class_keeps_what_it_started_with() -> None:
    """Though its spec names none."""
    cluster = running(PriorityRow("usual", 100, is_default=True), of=None)
    cluster.delete("usual")
    for _ in range(4):
        cluster.cycle()
    assert not cluster.is_evicted("prod")
    assert cluster.job("prod").status.resolved.priority.value == 100  # type: ignore[union-attr]


@pytest.mark.parametrize(("value", "is_evicted"), [(1, True), (5, False), (50, False)])
def test_a_class_that_is_made_anew_counts(value: int, is_evicted: bool) -> None:
    """With its new value, also for what runs."""
    cluster = running(HIGH)
    cluster.delete("high")
    cluster.cycle()
    cluster.have(PriorityRow("high", value))
    for _ in range(2):
        cluster.cycle()
    assert cluster.priority("prod") == value
    assert cluster.is_evicted("prod") is is_evicted


@pytest.mark.parametrize("is_gone", [False, True])
def test_an_edit_of_the_name_counts_at_once(is_gone: bool) -> None:
    """Whether the class that it named before is there still or not."""
    cluster = running(HIGH, PriorityRow("low", 1))
    if is_gone:
        cluster.delete("high")
        cluster.cycle()
    cluster.put(classed("prod", "low"))
    for _ in range(2):
        cluster.cycle()
    assert cluster.is_evicted("prod")


def test_no_name_counts_at_once() -> None:
    """As priority 0 where there is no default class."""
    cluster = running(HIGH)
    cluster.delete("high")
    cluster.cycle()
    cluster.put(classed("prod", None))
    assert cluster.priority("prod") == 0


def test_nobody_gains_by_a_name_of_no_class() -> None:
    """A gang of low priority cannot protect itself by a slip of the pen."""
    cluster = Cluster(PriorityRow("low", 1), OTHER)
    cluster.put(classed("prod", "low"))
    cluster.cycle()
    cluster.put(classed("prod", "lwo"))
    assert cluster.priority("prod") == 1
    cluster.put(classed("dev", "other"))
    for _ in range(2):
        cluster.cycle()
    assert cluster.is_evicted("prod")


def test_who_waits_keeps_its_place_in_the_queue() -> None:
    """A class that is gone for a moment costs nobody the time that it has waited."""
    cluster = Cluster(HIGH, OTHER)
    cluster.put(classed("other", "high"))
    cluster.cycle()
    cluster.put(classed("waits", "high"))
    cluster.cycle()
    before = cluster.job("waits").status
    assert before.queued_at
    cluster.delete("high")
    cluster.cycle()
    after = cluster.job("waits").status
    assert (after.queued_at, after.phase) == (before.queued_at, before.phase)
    cluster.put(classed("waits", "hihg"))
    cluster.cycle()
    assert cluster.job("waits").status.phase == "Refused"


def test_a_class_that_spares_others_stays_one_when_it_is_gone() -> None:
    """Else its gangs would begin to take places by its deletion."""
    calm = PriorityRow("calm", 100, preempts=False)
    cluster = Cluster(calm, OTHER)
    cluster.put(classed("runs", "other"))
    cluster.cycle()
    cluster.put(classed("calm", "calm"))
    cluster.cycle()
    cluster.delete("calm")
    for _ in range(3):
        cluster.cycle()
    assert not cluster.is_evicted("runs")
    assert cluster.job("calm").status.verdict.cause == "ClassNeverPreempts"  # type: ignore[union-attr]


def test_a_lost_status_costs_no_gang_its_place_though_its_class_is_gone() -> None:
    """It goes on where its pods are, and nobody displaces it of whom nobody knows how urgent it is."""
    cluster = running(HIGH)
    cluster.has_pod("prod")
    cluster.delete("high")
    cluster.put(classed("prod", "high"), status={})
    for _ in range(3):
        cluster.cycle()
    status = cluster.job("prod").status
    assert status.placement
    assert status.placement.nodes == ["gpu-1-00"]
    assert not cluster.is_evicted("prod")
    assert cluster.priority("prod") == UNKNOWN_PRIORITY
    verdict = cluster.job("dev").status.verdict
    assert verdict
    assert verdict.cause == "PriorityUnknown"
    assert verdict.advice.endswith(
        "nobody makes room: 1 gang of its own team, of a priority that nobody knows, since its PriorityClass is gone"
    )


def test_a_service_keeps_its_turn_while_its_class_is_gone() -> None:
    """Whether it serves already or not."""
    cluster = Cluster(HIGH)
    named: Any = {"scheduling": {"priorityClassName": "high"}}
    cluster.put(service("answers", **named))
    cluster.cycle()
    cluster.delete("high")
    cluster.cycle()
    (found,) = cluster.observer.observe().snapshot.services
    assert found.priority == 100
    assert isinstance(found.request, str)
