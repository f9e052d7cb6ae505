"""From what a kubelet writes of a pod to what becomes of its job: whose fault an end was, and whether it was one."""

import json
from typing import Any, Final

import pytest

from support import snapshots
from support.build import NOW
from support.manifests import PLACED, job, pool
from trainpush.controller.observe import observe
from trainpush.kube.records import read_node, read_pod
from trainpush.kube.store import Store
from trainpush.model.actions import MakeExport, RemoveWorker
from trainpush.model.plan import Decision, Stage
from trainpush.model.workload import Outcome
from trainpush.planner.plan import plan

Status = dict[str, Any]
PUSH: Final = {"export": {"uri": "pvc://models/m", "command": ["true"]}, "target": {"inferenceService": "svc"}}
RUNS: Final[Status] = {"state": {"running": {"startedAt": "2026-01-01T11:00:00Z"}}}


def ended(code: int) -> Status:
    """The status of a container that has ended."""
    reason = "Error" if code else "Completed"
    return {"state": {"terminated": {"exitCode": code, "reason": reason, "message": ""}}}


def unseen() -> Status:
    """The status of a container of which a node that was started anew knows nothing more."""
    return {"state": {"terminated": {"exitCode": 255, "reason": "Unknown", "message": ""}}}


def a_pod(phase: str, sidecar: Status | None = None, /, *, rank: int = 0, worker: Status, **more: Any) -> Status:
    """The pod of a rank as the API server sends it; with a second container where there is a status of one."""
    owner = {"apiVersion": "training.ai/v1", "kind": "TrainPushJob", "name": "job", "uid": "job", "controller": True}
    labels = {"training.ai/worker-rank": str(rank), "training.ai/attempt": "1"}
    metadata = {"name": f"job-worker-{rank}-a1", "namespace": "team", "uid": f"w{rank}", "resourceVersion": "7"}
    deleted = {"deletionTimestamp": more.pop("deleted")} if "deleted" in more else {}
    states = [{"name": "worker", **worker}, *([{"name": "mesh-proxy", **sidecar}] if sidecar else [])]
    return {
        "metadata": {**metadata, "labels": labels, "ownerReferences": [owner], **deleted},
        "spec": {"nodeName": "n1"},
        "status": {"phase": phase, "containerStatuses": states, **more},
    }


def decided(*pods: Status, ranks: int = 1, **status: Any) -> Decision:
    """What becomes of a job that runs on n1, has no failure to spare, and exports its model in the end."""
    store = Store()
    place = {**PLACED["placement"], "nodes": ["n1"] * ranks}
    running = {"type": "Running", "status": "True", "reason": "Running", "message": "", "observedGeneration": 1}
    conditions = [{**running, "lastTransitionTime": "2026-01-01T11:00:00Z"}]
    spec = {"push": PUSH, "failurePolicy": {"maxRestarts": 0}}
    manifest = job("job", replicas=ranks, gpus=1, **spec)
    identity = {"uid": "job", "resourceVersion": "1", "creationTimestamp": "2026-01-01T11:00:00Z", "namespace": "team"}
    here = {**PLACED, "placement": place, "attempt": 1, "conditions": conditions, **status}
    store.pools.take(snapshots.live(pool("pool", "fake")))
    store.nodes.put(read_node(json.dumps(snapshots.node("n1", "r1")).encode()))
    store.jobs.take({**manifest, "metadata": {**manifest["metadata"], **identity}, "status": here})
    for pod in pods:
        store.pods.put(read_pod(json.dumps(pod).encode()))
    seen = observe(store, lambda uid: "", "example.com/haproxy:1").snapshot
    return plan(seen, NOW).decisions[0]


def disruption(reason: str, message: str) -> Status:
    """The condition of a pod that the cluster ends."""
    return {"conditions": [{"type": "DisruptionTarget", "status": "True", "reason": reason, "message": message}]}


SHUTDOWN: Final[Status] = {
    "reason": "Terminated",
    "message": "Pod was terminated in response to imminent node shutdown.",
    **disruption("TerminationByKubelet", "Pod was terminated in response to imminent node shutdown."),
}
SCRATCH: Final[Status] = {
    "reason": "Evicted",
    "message": 'Usage of EmptyDir volume "scratch" exceeds the limit "10Mi". ',
}
LOW: Final = "The node was low on resource: memory. Threshold quantity: 100Mi, available: 40Mi. "
SUCCESSES: Final = {
    "an ordinary end": a_pod("Succeeded", worker=ended(0)),
    "in a mesh": a_pod("Running", RUNS, worker=ended(0)),
    "beside a sidecar that failed": a_pod("Failed", ended(1), worker=ended(0)),
}
FAILURES: Final = {
    "an ordinary failure": (a_pod("Failed", worker=ended(3)), "exit code 3"),
    "in a mesh": (a_pod("Running", RUNS, worker=ended(3)), "exit code 3"),
    "beside a sidecar that ended well": (a_pod("Failed", ended(0), worker=ended(3)), "exit code 3"),
    "a full scratch volume": (a_pod("Failed", worker=ended(137), **SCRATCH), "Evicted: Usage of EmptyDir volume"),
    "a full scratch volume, and a polite program": (a_pod("Succeeded", worker=ended(0), **SCRATCH), "Evicted: Usage"),
}
INTERRUPTIONS: Final = {
    "a node that shuts down, and a polite program": a_pod("Succeeded", worker=ended(0), **SHUTDOWN),
    "a node that shuts down": a_pod("Failed", worker=ended(143), **SHUTDOWN),
    "a node that was started anew": a_pod("Failed", worker=unseen()),
    "a node that is short of memory": a_pod("Failed", worker=ended(0), reason="Evicted", message=LOW),
    "a drained node, and a polite program": a_pod(
        "Succeeded", worker=ended(0), deleted="2026-01-01T12:00:00Z", **disruption("EvictionByEvictionAPI", "drained")
    ),
    "in a mesh": a_pod("Running", RUNS, worker=ended(0), **disruption("EvictionByEvictionAPI", "drained")),
    "somebody deletes it": a_pod("Running", worker=ended(143), deleted="2026-01-01T12:00:00Z"),
}


@pytest.mark.parametrize("pod", SUCCESSES.values(), ids=SUCCESSES.keys())
def test_a_training_that_is_done_is_complete_and_holds_nothing(pod: Status) -> None:
    """What a sidecar keeps alive is deleted; everything else stays for its logs."""
    done = decided(pod)
    assert (done.stage, done.record.outcome) == (Stage.COMPLETE, Outcome.COMPLETE)
    complete = {"type": "TrainingComplete", "status": "True", "reason": "Completed", "message": ""}
    times = {"observedGeneration": 1, "lastTransitionTime": "2026-01-01T12:00:00Z"}
    after = decided(pod, conditions=[{**complete, **times}])
    assert MakeExport() in after.actions
    assert any(isinstance(it, RemoveWorker) for it in after.actions) == (pod["status"]["phase"] == "Running")


@pytest.mark.parametrize(("pod", "said"), FAILURES.values(), ids=FAILURES.keys())
def test_a_worker_that_fails_by_its_own_fault_is_not_started_for_ever(pod: Status, said: str) -> None:
    failed = decided(pod)
    assert (failed.stage, failed.record.outcome) == (Stage.FAILED, Outcome.FAILED)
    assert said in failed.verdict.message


@pytest.mark.parametrize("pod", INTERRUPTIONS.values(), ids=INTERRUPTIONS.keys())
def test_a_worker_that_is_interrupted_begins_anew_and_exports_nothing(pod: Status) -> None:
    begins = decided(pod)
    assert (begins.stage, begins.record.attempt, begins.record.outcome) == (Stage.RESTARTING, 2, None)
    assert (begins.record.failures, begins.record.infrastructure) == (0, 1)
    assert MakeExport() not in begins.actions


def test_one_rank_that_is_interrupted_is_noticed_while_the_others_go_on() -> None:
    busy = a_pod("Running", worker=RUNS)
    assert decided(busy, a_pod("Succeeded", rank=1, worker=ended(0), **SHUTDOWN), ranks=2).record.attempt == 2


def test_the_pod_of_a_finished_rank_may_vanish() -> None:
    """What its status says is enough."""
    busy = a_pod("Running", worker=RUNS)
    finished = decided(busy, a_pod("Succeeded", rank=1, worker=ended(0)), ranks=2)
    assert (finished.stage, finished.record.completed) == (Stage.RUNNING, (1,))
    assert decided(busy, ranks=2, completedRanks=[1]).stage is Stage.RUNNING
    assert decided(a_pod("Succeeded", worker=ended(0)), ranks=2, completedRanks=[1]).stage is Stage.COMPLETE
    assert decided(busy, ranks=2).stage is Stage.RESTARTING
