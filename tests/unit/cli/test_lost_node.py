"""A node died and its Node object is still there: what the operator would do next, asked of a snapshot."""

from typing import Any

import pytest

from support.manifests import GPU, job, pool
from support.snapshots import live, metadata, node, snapshot
from trainpush.api import names
from trainpush.cli.outlook import Outlook
from trainpush.cli.simulation import simulate
from trainpush.kube.client import Object

DEAD = "gpu-1-01"
AGO = "2026-01-01T09:00:00Z"
REMEDY = f"kubectl taint nodes {DEAD} node.kubernetes.io/out-of-service=nodeshutdown:NoExecute"
UNREACHABLE = {"key": "node.kubernetes.io/unreachable", "effect": "NoExecute"}


def dead(since: str | None = AGO, *taints: Object) -> Object:
    """A node of which nothing is heard, which its Ready condition may or may not say since when."""
    silent = node(DEAD, "r1", taints=[UNREACHABLE, *taints])
    ready = {"type": "Ready", "status": "Unknown"} | ({"lastTransitionTime": since} if since else {})
    return {**silent, "status": {**silent["status"], "conditions": [ready]}}


def hanging(attempt: int = 1, rank: int = 1, on: str = DEAD, **more: Any) -> Object:
    """A worker of the gang."""
    labels = {
        names.LABEL_MANAGED_BY: names.FIELD_MANAGER,
        names.LABEL_ATTEMPT: str(attempt),
        names.LABEL_RANK: str(rank),
    }
    owner = {"apiVersion": "training.ai/v1", "kind": "TrainPushJob", "name": "gang", "controller": True}
    owners = [{**owner, "uid": "uid-default-gang-TrainPushJob"}]
    meta = metadata(f"gang-worker-{rank}-a{attempt}", "default", labels=labels, ownerReferences=owners, **more)
    container = {"name": "worker", "image": "i", "resources": {"requests": {GPU: "8"}}}
    spec = {"nodeName": on, "containers": [container]}
    return {"apiVersion": "v1", "kind": "Pod", "metadata": meta, "spec": spec, "status": {"phase": "Running"}}


def gang(attempt: int, *on: str, level: str = "rack", **spec: Any) -> Object:
    """A gang of two in an attempt on these nodes."""
    condition = {"message": "", "lastTransitionTime": "2026-01-01T11:59:40Z"}
    status = {
        "attempt": attempt,
        "placement": {"level": level, "domain": "b1/r2", "nodes": list(on), "since": "2026-01-01T11:59:40Z"},
        "resolved": {
            "pool": "racks",
            "image": "i",
            "acceleratorResource": GPU,
            "processesPerWorker": 8,
            "worldSize": 16,
            "required": "rack",
        },
        "conditions": [{"type": "Placed", "status": "True", "reason": "Placed", **condition}],
    }
    return live(job("gang", 2, placement={"required": "rack"}, **spec)) | {"status": status}


def outlook(*things: Object, **of_pool: Any) -> Outlook:
    """What becomes of the gang in two racks of two nodes."""
    racks = [node("gpu-1-00", "r1"), node("gpu-2-00", "r2"), node("gpu-2-01", "r2")]
    answer = simulate(snapshot(*racks, *things, live(pool("racks", "fake", default=True, **of_pool))), [])
    return answer.outlooks["TrainPushJob", "default", "gang"]


@pytest.mark.parametrize("since", [AGO, None], ids=["long ago", "nobody knows since when"])
def test_a_gang_starts_elsewhere_though_its_old_pod_hangs(since: str | None) -> None:
    """And its message names the node, and what makes the pod go."""
    found = outlook(dead(since), gang(2, "gpu-2-00", "gpu-2-01"), hanging(deletionTimestamp=AGO))
    assert found.verdict.reason == "WaitingForPods"
    assert found.nodes == ("gpu-2-00", "gpu-2-01")
    assert DEAD in found.verdict.message
    assert REMEDY in found.verdict.message


def test_a_gang_whose_node_died_moves_at_once_with_all_its_workers() -> None:
    """One rack is required, so that all of it goes."""
    workers = hanging(rank=0, on="gpu-1-00"), hanging(rank=1)
    found = outlook(dead(), gang(1, "gpu-1-00", DEAD), *workers)
    assert found.verdict.reason == "Restarting"
    assert f"attempt 1 ended: node {DEAD} of worker 1 is lost" in found.verdict.message


def test_a_node_that_may_come_back_is_waited_for() -> None:
    """For as long as the pool says."""
    things = dead("2026-01-01T11:55:00Z"), gang(2, "gpu-2-00", "gpu-2-01"), hanging(deletionTimestamp=AGO)
    assert outlook(*things).verdict.reason == "WaitingForPods"
    patient = outlook(*things, lostNodes={"after": "10m"})
    assert patient.verdict.reason == "Restarting"
    assert "what runs there counts as ended from 2026-01-01T12:05:00Z on" in patient.verdict.message


def test_a_job_that_wants_its_node_back_waits_for_it() -> None:
    things = dead(), hanging(deletionTimestamp=AGO)
    found = outlook(*things, gang(2, "gpu-2-00", "gpu-2-01", failurePolicy={"lostNode": "Wait"}))
    assert found.verdict.reason == "Restarting"
    assert "spec.failurePolicy.lostNode says Wait" in found.verdict.message
    assert REMEDY in found.verdict.message


@pytest.mark.parametrize(
    "things",
    [(), (dead(AGO, {"key": "node.kubernetes.io/out-of-service", "value": "nodeshutdown", "effect": "NoExecute"}),)],
    ids=["deleted", "out of service"],
)
def test_a_node_that_is_given_up_needs_no_remedy(things: tuple[Object, ...]) -> None:
    """Even of a job that would wait for it, nor is it named any more."""
    waits = gang(2, "gpu-2-00", "gpu-2-01", failurePolicy={"lostNode": "Wait"})
    found = outlook(*things, waits, hanging(deletionTimestamp=AGO))
    assert found.verdict.reason == "WaitingForPods"
    assert "kubectl" not in found.verdict.message
