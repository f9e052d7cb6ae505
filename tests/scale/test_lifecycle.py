"""One job from its first pod to its end, with everything that people and clusters do to it meanwhile."""

import asyncio
import json
from collections import Counter
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from functools import partial
from typing import Final

import pytest

from support.cluster import Objects, Space, a_pool, conditions, fake_nodes, is_empty, nodes_of, says
from support.manifests import GPU, foreign_pod, job, pool, racks
from testbed import Bed
from trainpush.kube import rights
from trainpush.kube.client import Object
from trainpush.kube.errors import Invalid
from trainpush.kube.resources import EVENTS, GPUPOOLS, PODS, SERVICES, TRAINPUSHJOBS

NODES: Final = racks("lifecycle", [3, 3])


@pytest.fixture(scope="module", autouse=True)
def _racks(bed: Bed) -> Iterator[None]:
    """Two racks of three nodes in a default pool."""
    with fake_nodes(bed, NODES), a_pool(bed, pool("main", "lifecycle", default=True)):
        yield


@contextmanager
def no_priority_class(bed: Bed) -> Iterator[Callable[[], None]]:
    """A cluster in which the API server refuses our pods; the function puts the class back."""
    manifest = json.dumps(rights.priority_class())

    def put_back() -> None:
        bed.kubectl("apply", "-f", "-", stdin=manifest)

    bed.kubectl("delete", "-f", "-", stdin=manifest)
    try:
        yield put_back
    finally:
        put_back()


def names(attempt: int, workers: int = 2) -> list[str]:
    """Names of the pods of one attempt."""
    return [f"job-worker-{rank}-a{attempt}" for rank in range(workers)]


def restarts(seen: Object) -> tuple[int, int]:
    """Restarts after failures, and those that were nobody's fault."""
    counts = seen["status"]["restarts"]
    return counts["failures"], counts["infrastructure"]


def runs(attempt: int) -> Callable[[Object], bool]:
    """A predicate: every worker of this attempt runs."""
    return lambda seen: seen["status"]["attempt"] == attempt and says("Running")(seen)


async def test_suspend_and_resume(space: Space) -> None:
    """Suspended, a job gives up its pods and its place; resumed, it begins a new attempt."""
    await space.create(job("job", 2))
    await space.job("job", runs(1), "runs")
    await space.edit("job", suspend=True)
    seen = await space.job("job", says("Placed", "False", "Suspended"), "is suspended")
    assert "placement" not in seen["status"]
    assert says("Ready")(seen)
    await space.until(PODS, is_empty, "no pod left")
    await space.edit("job", suspend=False)
    seen = await space.job("job", runs(2), "runs again")
    assert sorted(await space.pods()) == names(2)
    assert restarts(seen) == (0, 0)


async def test_a_failed_worker_restarts_the_gang(space: Space) -> None:
    """On the same nodes, as the next attempt, and the failed pod stays for its logs."""
    await space.create(job("job", 2))
    first = await space.job("job", runs(1), "runs")
    await space.end("job-worker-1-a1", 3, "CUDA error")
    seen = await space.job("job", runs(2), "runs again")
    assert nodes_of(seen) == nodes_of(first)
    assert restarts(seen) == (1, 0)
    assert seen["status"]["lastFailure"] == {
        "reason": "Restarting",
        "message": "attempt 1 ended: worker 1 failed: exit code 3 (Error): CUDA error",
    }
    assert sorted(await space.pods()) == ["job-worker-0-a2", "job-worker-1-a1", "job-worker-1-a2"]


async def test_a_job_that_fails_too_often_has_failed(space: Space) -> None:
    """Beyond maxRestarts nothing is started any more, and the place is free for others."""
    await space.create(job("job", 3, failurePolicy={"maxRestarts": 1}))
    for attempt in (1, 2):
        await space.job("job", runs(attempt), f"runs, attempt {attempt}")
        await space.end(f"job-worker-0-a{attempt}", 1)
    seen = await space.job("job", says("Failed", "True", "MaxRestartsExceeded"), "has failed")
    assert conditions(seen)["Failed"]["message"] == "attempt 2: worker 0 failed: exit code 1 (Error)"
    assert says("Stalled")(seen)
    await space.until(PODS, lambda pods: not any(pod["status"]["phase"] == "Running" for pod in pods.values()), "ended")
    await space.create(job("next", 6))
    await space.job("next", says("Running"), "runs")


async def test_a_deleted_pod_is_nobodys_fault(space: Space) -> None:
    """A worker that somebody deletes restarts the gang and does not count against maxRestarts."""
    await space.create(job("job", 2, failurePolicy={"maxRestarts": 0}))
    await space.job("job", runs(1), "runs")
    await space.delete(PODS, "job-worker-0-a1")
    seen = await space.job("job", runs(2), "runs again")
    assert restarts(seen) == (0, 1)
    assert says("Failed", "False")(seen)


async def test_a_job_completes(space: Space) -> None:
    """When every worker has ended with success; what the program reported stands in the status."""
    await space.create(job("job", 2))
    await space.job("job", runs(1), "runs")
    await space.end("job-worker-0-a1", 0, '{"step": 200, "metrics": {"accuracy": 0.98}}')
    await space.end("job-worker-1-a1", 0)
    seen = await space.job("job", says("TrainingComplete"), "is complete")
    assert says("Ready")(seen)
    progress = seen["status"]["progress"]
    assert {**progress, "at": ""} == {"attempt": 1, "at": "", "step": 200, "metrics": {"accuracy": "0.98"}}
    assert sorted(await space.pods()) == names(1)

    def tell_its_story(found: Objects) -> bool:
        ours = [event for event in found.values() if event["regarding"]["kind"] == "TrainPushJob"]
        return sorted(event["reason"] for event in ours) == ["Completed", "Placed", "Running"]

    await space.until(EVENTS, tell_its_story, "its Events are written")


async def test_a_drained_node_is_left(space: Space) -> None:
    """Eviction is nobody's fault; the gang begins anew on nodes that are open, whole."""
    await space.create(job("job", 2, failurePolicy={"maxRestarts": 0}))
    first = await space.job("job", runs(1), "runs")
    node = nodes_of(first)[0]
    try:
        space.bed.kubectl("drain", node, "--delete-emptydir-data", "--timeout=60s")
        seen = await space.job(
            "job", lambda seen: says("Running")(seen) and node not in nodes_of(seen), "runs elsewhere"
        )
        assert restarts(seen) == (0, 1)
        assert len(set(nodes_of(seen))) == 2
    finally:
        await space.cordon(node, on=False)


async def test_a_job_keeps_what_it_began_with(space: Space) -> None:
    """Neither an edit of its pool nor its deletion touches a job that has a place, not even when it restarts."""
    with fake_nodes(space.bed, racks("passing", [2])), a_pool(space.bed, pool("passing", "passing")):
        await space.create(job("job", 2, placement={"pool": "passing"}, failurePolicy={"maxRestarts": 2}))
        first = await space.job("job", runs(1), "runs")
        image = {"spec": {"defaults": {"training": {"image": "example.com/train:2"}}}}
        await space.client.patch(GPUPOOLS, None, "passing", image)
        await space.end("job-worker-0-a1", 1)
        await space.job("job", runs(2), "runs again")
        space.bed.kubectl("delete", "gpupool", "passing")
        await space.end("job-worker-0-a2", 1)
        seen = await space.job("job", runs(3), "runs without its pool")
        assert nodes_of(seen) == nodes_of(first)
        pods = await space.pods()
        assert {pod["spec"]["containers"][0]["image"] for pod in pods.values()} == {"example.com/train:1"}
        await space.clear()


async def test_many_gangs_at_once(space: Space) -> None:
    """20 gangs for a pool that holds 6 of them: each is whole, no GPU is given twice, and all come to their turn."""
    await asyncio.gather(*(space.create(job(f"job-{i}", 2, 4)) for i in range(20)))
    done: set[str] = set()
    while len(done) < 20:
        want = min(6, 20 - len(done))
        jobs = await space.until(TRAINPUSHJOBS, partial(_so_many_run, want), f"{want} run")
        pods = [pod for pod in (await space.pods()).values() if pod["status"]["phase"] == "Running"]
        assert len(pods) == 2 * want
        assert max(Counter(pod["spec"]["nodeName"] for pod in pods).values()) <= 2
        name = _running(jobs)[0]
        for rank in range(2):
            await space.end(f"{name}-worker-{rank}-a1", 0)
        await space.job(name, says("TrainingComplete"), "is complete")
        done.add(name)


def _so_many_run(count: int, jobs: Objects) -> bool:
    return len(_running(jobs)) == count


def _running(jobs: Objects) -> list[str]:
    return [name for name, seen in jobs.items() if says("Running")(seen)]


async def test_a_refused_pod_is_told_and_made_later(space: Space) -> None:
    """Without the priority class no pod can be made: the status says so, and once it is there the job runs."""
    with no_priority_class(space.bed) as put_back:
        await space.create(job("job", 2))
        seen = await space.job("job", says("Ready", "False", "ApplyFailed"), "says what is wrong")
        assert "no PriorityClass with name trainpush was found" in conditions(seen)["Ready"]["message"]
        put_back()
        await space.job("job", runs(1), "runs")


async def test_a_place_without_pods_follows_a_cordon(space: Space) -> None:
    """A node that is closed between placement and binding is given up for another one."""
    with no_priority_class(space.bed):
        await space.create(job("job", 2))
        first = await space.job("job", says("Ready", "False", "ApplyFailed"), "is placed and cannot start")
    try:
        await space.cordon(nodes_of(first)[0])
        seen = await space.job("job", runs(2), "runs elsewhere")
        assert not set(nodes_of(seen)) & {nodes_of(first)[0]}
        assert restarts(seen) == (0, 0)
    finally:
        await space.cordon(nodes_of(first)[0], on=False)


async def test_a_pod_that_cannot_be_bound_is_told(space: Space) -> None:
    """What kube-scheduler says of an unbound pod stands in the status; once it is bound the job runs."""
    volumes = [{"name": "data", "persistentVolumeClaim": {"claimName": "missing"}}]
    await space.create(job("job", 2, worker={"image": "example.com/train:1", "volumes": volumes}))

    def says_so(seen: Object) -> bool:
        return 'persistentvolumeclaim "missing" not found' in seen["status"]["verdict"]["message"]

    seen = await space.job("job", says_so, "says what is wrong")
    assert seen["status"]["verdict"]["reason"] == "WaitingForPods"
    for manifest in _volume(space.name):
        space.bed.kubectl("create", "-f", "-", stdin=json.dumps(manifest))
    try:
        await space.job("job", runs(1), "runs")
    finally:
        space.bed.kubectl("delete", "persistentvolume", space.name, "--wait=false")


def _volume(namespace: str) -> list[Object]:
    size = {"storage": "1Gi"}
    shared = {"accessModes": ["ReadWriteMany"], "storageClassName": ""}
    claim = {**shared, "resources": {"requests": size}, "volumeName": namespace}
    volume = {**shared, "capacity": size, "hostPath": {"path": f"/nowhere/{namespace}"}}
    return [
        {"apiVersion": "v1", "kind": "PersistentVolume", "metadata": {"name": namespace}, "spec": volume},
        {
            "apiVersion": "v1",
            "kind": "PersistentVolumeClaim",
            "metadata": {"name": "missing", "namespace": namespace},
            "spec": claim,
        },
    ]


@pytest.mark.parametrize("kind", ["Pod", "Service"])
async def test_a_name_that_somebody_else_has(space: Space, kind: str) -> None:
    """An object of somebody else with a name of ours is left alone, and the status asks to rename it."""
    taken = foreign_pod("job-worker-1-a1", "lifecycle-r1-0", gpus=1) if kind == "Pod" else _service("job-workers")
    made = await space.create(taken)
    name = made["metadata"]["name"]
    await space.create(job("job", 2))
    seen = await space.job("job", says("Ready", "False", "ApplyFailed"), "says what is wrong")
    told = conditions(seen)["Ready"]["message"]
    assert (
        f"{kind} {space.name}/{name} exists and belongs to somebody else: delete it, or choose another metadata.name"
        in told
    )
    resource = PODS if kind == "Pod" else SERVICES
    if kind == "Service":
        assert not await space.pods(), "workers that could not find each other"
    now = await space.client.get(resource, name, space.name)
    assert (now["metadata"]["uid"], now["spec"]) == (made["metadata"]["uid"], now["spec"] | made["spec"])
    assert "ownerReferences" not in now["metadata"]
    await space.delete(resource, name)
    await space.job("job", runs(1), "runs")


async def test_a_job_of_the_same_name(space: Space) -> None:
    """Deleted and made anew at once, a job waits for what is left of the old one, then runs."""
    await space.create(job("job", 2))
    old = await space.job("job", runs(1), "runs")
    await space.delete(TRAINPUSHJOBS, "job")
    await space.create(job("job", 2))

    def is_new(seen: Object) -> bool:
        return seen["metadata"]["uid"] != old["metadata"]["uid"] and runs(1)(seen)

    new = await space.job("job", is_new, "runs anew", seconds=60)
    owners = [pod["metadata"]["ownerReferences"][0]["uid"] for pod in (await space.pods()).values()]
    assert owners == [new["metadata"]["uid"]] * 2


def _service(name: str) -> Object:
    spec = {"selector": {"app": "other"}, "ports": [{"name": "http", "port": 80, "protocol": "TCP", "targetPort": 80}]}
    return {"apiVersion": "v1", "kind": "Service", "metadata": {"name": name}, "spec": spec}


FROZEN: Final = {
    "replicas": 3,
    "resources": {"limits": {GPU: 4}},
    "worker": {"image": "example.com/train:2"},
    "strategy": {"type": "FSDP"},
    "placement": {"required": "rack"},
    "checkpoint": {"gracePeriod": "5s"},
}


async def test_what_a_placed_job_may_not_change(space: Space) -> None:
    """The API server refuses it with the way out; suspended and without a place, all of it may change."""
    await space.create(job("job", 2))
    await space.job("job", runs(1), "runs")
    for field, value in FROZEN.items():
        with pytest.raises(Invalid) as refused:
            await space.edit("job", **{field: value})
        assert f"spec.{field}" in str(refused.value)
        assert "set spec.suspend to true, wait until status.placement is gone" in str(refused.value)
    await space.edit("job", suspend=True, failurePolicy={"maxRestarts": 5})
    await space.job("job", lambda seen: not nodes_of(seen), "has no place")
    await space.edit("job", suspend=False, **FROZEN)
    await space.job("job", runs(2), "runs as edited")
    pods = await space.until(PODS, lambda pods: sorted(pods) == names(2, 3), "three workers are there")
    assert {pod["spec"]["containers"][0]["image"] for pod in pods.values()} == {"example.com/train:2"}
    assert {pod["spec"]["terminationGracePeriodSeconds"] for pod in pods.values()} == {15}


async def queued(space: Space) -> None:
    """More workers than the pool holds."""
    await space.create(job("job", 7))
    await space.job("job", says("Placed", "False", "ExceedsPool"), "waits")


async def placed_without_pods(space: Space) -> None:
    """Decided and written down, but no pod could be made."""
    await space.create(job("job", 2))
    await space.job("job", says("Ready", "False", "ApplyFailed"), "is placed")


async def starting(space: Space) -> None:
    """Pods are there and not bound."""
    volumes = [{"name": "data", "persistentVolumeClaim": {"claimName": "missing"}}]
    await space.create(job("job", 2, worker={"image": "example.com/train:1", "volumes": volumes}))
    await space.until(PODS, lambda pods: len(pods) == 2, "two pods are there")


async def running(space: Space) -> None:
    """Every worker runs."""
    await space.create(job("job", 2))
    await space.job("job", runs(1), "runs")


async def restarting(space: Space) -> None:
    """Failed for the second time, and in the pause before the next attempt."""
    await running(space)
    await space.end("job-worker-0-a1", 1)
    await space.job("job", runs(2), "runs again")
    await space.end("job-worker-0-a2", 1)
    await space.job("job", lambda seen: seen["status"]["attempt"] == 3, "is about to restart")


async def complete(space: Space) -> None:
    """Over, with its finished pods kept."""
    await running(space)
    for name in names(1):
        await space.end(name, 0)
    await space.job("job", says("TrainingComplete"), "is complete")


PHASES: Final = (queued, placed_without_pods, starting, running, restarting, complete)


@pytest.mark.parametrize("phase", PHASES, ids=lambda phase: phase.__name__)
async def test_a_deleted_job_leaves_nothing(space: Space, phase: Callable[[Space], Awaitable[None]]) -> None:
    """Whenever it is deleted: no pod and no Service is left after its grace period and 60 s, and its place is free."""
    if phase is placed_without_pods:
        with no_priority_class(space.bed):
            await phase(space)
            await _delete_and_look(space)
    else:
        await phase(space)
        await _delete_and_look(space)
    await space.create(job("next", 6))
    await space.job("next", says("Running"), "runs where the deleted job was")


async def _delete_and_look(space: Space) -> None:
    await space.delete(TRAINPUSHJOBS, "job")

    def none_of_it(found: Objects) -> bool:
        return not any(name.startswith("job-") for name in found)

    await space.until(PODS, none_of_it, "no pod left", seconds=90)
    await space.until(SERVICES, none_of_it, "no Service left", seconds=90)
