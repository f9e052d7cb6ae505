"""Plans carried out: what goes wrong with one object is no affair of the others."""

import json
from dataclasses import replace

import pytest
from prometheus_client import CollectorRegistry

from support.build import NOW, a_placement
from support.manifests import job
from trainpush.kube.apply import RETRY_SECONDS, Applier, Later
from trainpush.kube.client import Object
from trainpush.kube.errors import Unavailable
from trainpush.kube.resources import EVENTS, Resource
from trainpush.kube.store import Store
from trainpush.kube.tasks import Change, JobTask, change_of_place
from trainpush.kube.turns import Turns
from trainpush.model.plan import Decision, Stage, Verdict
from trainpush.model.reasons import Reason
from trainpush.model.workload import Eviction, Key, Recorded
from trainpush.telemetry.metrics import Metrics

RUNS = Verdict(Reason.RUNNING, "why")
HERE = a_placement("n1")
TOLD = Eviction("team/urgent", Reason.PREEMPTED, "why")


def a_task(store: Store, name: str = "job", namespace: str = "team", version: int = 1) -> JobTask:
    """The decision that a job of the store has a place."""
    made = job(name)
    identity = {"namespace": namespace, "uid": f"{namespace}-{name}", "resourceVersion": str(version)}
    store.jobs.take({**made, "metadata": {**made["metadata"], **identity}})
    (seen,) = (it for it in store.jobs if it.metadata.uid == identity["uid"])
    decision = Decision(Key(namespace, name), Recorded(placement=a_placement("n1")), Stage.STARTING, RUNS)
    return JobTask(seen, decision, resolved=None, stands=None, workers=1)


def an_applier(store: Store, *, may_write: bool = True) -> Applier:
    """One that has nobody to write to."""
    return Applier(None, store, None, lambda: may_write, Metrics(CollectorRegistry()))  # type: ignore[arg-type]


class Told:
    """Takes Events, and nothing else."""

    def __init__(self) -> None:
        self.events: list[Object] = []

    async def create(self, resource: Resource, manifest: Object) -> None:
        assert resource is EVENTS
        self.events.append(manifest)


class Work:
    """What is to be done later, done when it is asked for."""

    def __init__(self) -> None:
        self._work: list[object] = []

    @property
    def later(self) -> Later:
        return self._work.append

    async def done(self) -> None:
        while self._work:
            await self._work.pop()  # type: ignore[misc]


async def test_a_status_that_the_schema_does_not_take_is_refused_and_tried_again_later() -> None:
    """The cycle goes on: it is as if the API server had refused it. One Event says so, since the status cannot."""
    store, work, clock, told = Store(), Work(), [0.0], Told()
    task = a_task(store)
    wrong = replace(task, decision=replace(task.decision, running=-1))
    metrics = Metrics(CollectorRegistry())
    applier = Applier(told, store, None, lambda: True, metrics, clock=lambda: clock[0])  # type: ignore[arg-type]
    refusals = []
    for clock[0] in (0.0, 1.0, RETRY_SECONDS):
        await applier.carry_out([wrong], NOW, work.later)
        await work.done()
        refusals.append(metrics.registry.get_sample_value("trainpush_api_refusals_total", {"reason": "Invalid"}))
    assert refusals == [1, 1, 2]
    assert {event["metadata"]["name"]: event["note"].partition(" (")[0] for event in told.events} == {
        told.events[0]["metadata"]["name"]: "its status could not be written: Invalid"
    }
    assert not store.assumed


async def test_what_is_larger_than_etcd_takes_is_told() -> None:
    """It answers as if it had failed; what comes again after a pause, such as that, is told of nothing else."""
    store, work = Store(), Work()
    task = a_task(store)

    class Failing(Told):
        def __init__(self, says: str) -> None:
            super().__init__()
            self._says = says

        async def patch_status(self, *_: object) -> None:
            raise Unavailable(500, "InternalError", self._says)

        async def get(self, *_: object) -> Object:
            found: Object = json.loads(task.seen.body)
            return found

    notes = []
    for says in ("etcdserver: request is too large", "etcdserver: request timed out"):
        client = Failing(says)
        applier = Applier(client, store, None, lambda: True, Metrics(CollectorRegistry()))  # type: ignore[arg-type]
        await applier.carry_out([task], NOW, work.later)
        await work.done()
        notes += [event["note"] for event in client.events]
    assert notes == ["its status could not be written: InternalError (500): etcdserver: request is too large"]


async def test_what_a_status_is_about_to_say_is_assumed_until_it_stands_or_will_not() -> None:
    """Here it may not be written at all: this replica does not lead."""
    store, work = Store(), Work()
    task = a_task(store)
    applier = an_applier(store, may_write=False)
    await applier.carry_out([task], NOW, work.later)
    uid = task.seen.metadata.uid
    assert store.assumed == {uid: task.decision.record}
    store.touched.clear()
    await work.done()
    assert (store.assumed, store.touched) == ({}, {uid})


async def test_nothing_is_carried_out_of_an_object_that_changed_meanwhile() -> None:
    """It is decided anew."""
    store, work = Store(), Work()
    task = a_task(store)
    applier = an_applier(store)
    await applier.carry_out([task], NOW, work.later)
    store.jobs.forget(task.seen.metadata.uid)
    await work.done()
    assert not applier.backlog


async def test_what_waits_counts_no_more_once_its_object_is_another() -> None:
    """It waits no longer either: whoever edits a job need not wait for the turn of what was decided before."""
    store, work = Store(), Work()
    task = a_task(store)
    applier = an_applier(store, may_write=False)
    await applier.carry_out([task], NOW, work.later)
    await applier.carry_out([a_task(store, version=2)], NOW, work.later)
    assert (applier.backlog, store.assumed) == (0, {})
    await work.done()


@pytest.mark.parametrize(
    ("before", "after", "change"),
    [
        (Recorded(), Recorded(attempt=1), Change.NONE),
        (Recorded(), Recorded(placement=HERE), Change.TAKES),
        (Recorded(placement=HERE), Recorded(placement=HERE, attempt=2), Change.NONE),
        (Recorded(placement=HERE), Recorded(), Change.NONE),
        (Recorded(placement=HERE), Recorded(placement=a_placement("n1", "n2")), Change.MOVES),
        (Recorded(placement=HERE), Recorded(placement=a_placement("n2")), Change.MOVES),
        (Recorded(placement=HERE), Recorded(placement=HERE, eviction=TOLD), Change.MOVES),
        (Recorded(placement=HERE, eviction=TOLD), Recorded(), Change.MOVES),
    ],
    ids=["attempt", "placed", "restarted", "given back", "grown", "moved", "told to make room", "made room"],
)
def test_what_a_status_does_to_a_place(before: Recorded, after: Recorded, change: Change) -> None:
    task = a_task(Store())
    seen, decision = replace(task.seen, record=before), replace(task.decision, record=after)
    assert change_of_place(replace(task, seen=seen, decision=decision)) is change


def test_each_namespace_has_its_turn_after_the_others() -> None:
    store, turns = Store(), Turns()
    for name in ("a", "b", "c"):
        turns.put(a_task(store, name, "many"), NOW)
    other, again = a_task(store, "z", "other"), a_task(store, "a", "many")
    turns.put(other, NOW)
    turns.put(again, NOW)
    assert len(turns) == 4
    taken = [turns.take()[0] for _ in range(4)]
    assert [task.seen.metadata.name for task in taken] == ["a", "z", "b", "c"]
    assert taken[0] is again
    assert not turns


def test_an_object_has_one_turn_at_a_time() -> None:
    """What comes meanwhile is not kept, but whoever has the turn is told."""
    store, turns = Store(), Turns()
    task = a_task(store)
    turns.put(task, NOW)
    turns.take()
    assert not turns.put(task, NOW)
    assert not turns
    assert turns.done(task.seen.metadata.uid)
    assert turns.put(task, NOW)
    turns.drop(task)
    assert not turns
