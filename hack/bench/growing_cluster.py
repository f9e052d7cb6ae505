"""A cluster of 5,000 nodes with any number of running jobs, as the store of an operator knows it."""

from datetime import UTC, datetime, timedelta
from typing import Any, Final

import msgspec

from support.manifests import BLOCK, GPU, RACK, SET, TOLERATION, job, pool
from trainpush.api import names
from trainpush.kube.client import Object
from trainpush.kube.records import read_node, read_pod
from trainpush.kube.store import Kind, Seen, Store
from trainpush.render.children import worker_name

NODES: Final = 5_000
BEGUN: Final = datetime(2026, 1, 1, 12, 0, tzinfo=UTC)


class GrowingCluster:
    """What the API server would tell; every object gets a version of its own."""

    def __init__(self) -> None:
        """Nodes of 8 GPUs in racks of 16 and a pool over them."""
        self.store = Store()
        self._version = 0
        for number in range(NODES):
            self.node(number)
        self.store.pools.take(self._made(pool("pool", "bench", default=True), "pool"))

    def node(self, number: int, *, is_ready: bool = True) -> None:
        """A node that is new, or ready again, or not."""
        manifest = self.node_manifest(number, is_ready=is_ready)
        self.store.nodes.put(read_node(msgspec.json.encode(self._made(manifest, node_name(number)))))

    @staticmethod
    def node_manifest(number: int, *, is_ready: bool = True) -> Object:
        """One of the nodes."""
        labels = {SET: "bench", BLOCK: f"b{number // 256:02}", RACK: f"r{number // 16:03}"}
        return {
            "metadata": {"name": node_name(number), "labels": labels},
            "spec": {},
            "status": {
                "allocatable": {GPU: "8", "cpu": "96", "memory": "1Ti", "pods": "110"},
                "conditions": [{"type": "Ready", "status": "True" if is_ready else "False"}],
            },
        }

    def job(self, name: str, replicas: int = 1, gpus: int = 1, status: Object | None = None, **spec: Any) -> None:
        """A job with this status."""
        made = self._made(job(name, replicas, gpus, **spec), name, "default")
        self.store.jobs.take({**made, "status": status or {}})

    def run(self, name: str, node: str, **spec: Any) -> None:
        """A job of one GPU that runs there, and its pod."""
        self.pod(name, node)
        self.job(name, status=running(node), **spec)

    def pod(self, job_name: str, node: str, phase: str = "Running", message: str = "") -> None:
        """The pod of such a job."""
        name = worker_name(job_name, 0, 1)
        owner = {"kind": "TrainPushJob", "name": job_name, "uid": f"uid-{job_name}", "controller": True}
        manifest = {
            "metadata": {
                "name": name,
                "labels": {names.LABEL_RANK: "0", names.LABEL_ATTEMPT: "1"},
                "ownerReferences": [owner],
            },
            "spec": {
                "nodeName": node,
                "tolerations": [TOLERATION],
                "containers": [{"name": "worker", "resources": {"requests": {GPU: "1"}}}],
            },
            "status": {"phase": phase, "reason": message and "Noted", "message": message},
        }
        self.store.pods.put(read_pod(msgspec.json.encode(self._made(manifest, name, "default"))))

    def end(self, name: str) -> None:
        """The job and its pod are deleted."""
        self.store.pods.forget(f"uid-{worker_name(name, 0, 1)}")
        self.store.jobs.forget(f"uid-{name}")

    def write(self, kind: Kind[Any, Any], seen: Seen[Any, Any], status: Object) -> None:
        """An object with another status."""
        self._version += 1
        raw = msgspec.json.decode(seen.body)
        kind.take({**raw, "metadata": {**raw["metadata"], "resourceVersion": str(self._version)}, "status": status})

    def _made(self, manifest: Object, name: str, namespace: str = "") -> Object:
        self._version += 1
        metadata = {
            **manifest["metadata"],
            "namespace": namespace,
            "uid": f"uid-{name}",
            "resourceVersion": str(self._version),
            "generation": 1,
            "creationTimestamp": "2026-01-01T11:00:00Z",
        }
        return {**manifest, "metadata": metadata}


def node_name(number: int) -> str:
    """Name of a node by its number."""
    return f"node-{number:04}"


def running(node: str) -> Object:
    """The status of a job of one worker that has run there for an hour."""
    since = (BEGUN - timedelta(hours=1)).strftime("%Y-%m-%dT%H:%M:%SZ")
    held = [
        {"type": name, "status": "True", "reason": name, "message": "as the bench says", "lastTransitionTime": since}
        for name in ("Accepted", "Placed", "Running")
    ]
    resolved = {
        "pool": "pool",
        "image": "example.com/train:1",
        "acceleratorResource": GPU,
        "processesPerWorker": 1,
        "worldSize": 1,
        "tolerations": [TOLERATION],
        "preferred": "rack",
    }
    return {
        "conditions": held,
        "attempt": 1,
        "placement": {"level": "host", "domain": node, "nodes": [node], "since": since},
        "resolved": resolved,
    }
