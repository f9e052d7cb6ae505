"""Raw objects as the API server sends them, and snapshots of them: a test states what it is about."""

import json
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any, Final

from support.manifests import BLOCK, GPU, PRODUCT, RACK, SET
from trainpush.api import names
from trainpush.cli.document import Document, ordered
from trainpush.cli.holdings import HOLDINGS
from trainpush.kube.client import Object
from trainpush.model.modes import Mode, Switch, SwitchStep
from trainpush.render.modes import node_patch

AT: Final = datetime(2026, 1, 1, 12, 0, tzinfo=UTC)
PROXY: Final = "example.com/proxy:1"


def metadata(name: str, namespace: str = "", **more: Any) -> Object:
    """What the API server adds to every object."""
    made: Object = {
        "name": name,
        "uid": f"uid-{namespace}-{name}",
        "resourceVersion": "7",
        "creationTimestamp": "2026-01-01T11:00:00Z",
        "generation": 1,
        "managedFields": [{"manager": "m"}],
        **more,
    }
    return made | ({"namespace": namespace} if namespace else {})


def live(manifest: Object, **more: Any) -> Object:
    """A manifest of one of our kinds as it stands in the cluster."""
    namespace = "" if manifest["kind"] == "GPUPool" else "default"
    made = metadata(manifest["metadata"]["name"], namespace, **more)
    return {**manifest, "metadata": {**made, "uid": f"{made['uid']}-{manifest['kind']}"}}


def node(name: str, rack: str, *, gpus: int = 8, group: str = "fake", **spec: Any) -> Object:
    """A ready node of a rack in block b1."""
    labels = {SET: group, BLOCK: "b1", RACK: rack, "nvidia.com/gpu.product": PRODUCT}
    return {
        "apiVersion": "v1",
        "kind": "Node",
        "metadata": metadata(name, labels=labels, annotations={"secret": "token"}),
        "spec": spec,
        "status": {
            "allocatable": {GPU: str(gpus), "cpu": "63500m", "memory": "1Ti", "pods": "110"},
            "conditions": [{"type": "Ready", "status": "True", "lastHeartbeatTime": "2026-01-01T11:59:59Z"}],
            "images": [{"names": ["example.com/secret:1"], "sizeBytes": 5}],
        },
    }


def nodes(*sizes: int) -> list[Object]:
    """Racks r1, r2, … with so many nodes of 8 GPUs."""
    return [node(f"gpu-{rack}-{i:02}", f"r{rack}") for rack, size in enumerate(sizes, 1) for i in range(size)]


def trains(made: Object) -> Object:
    """The node as one of training for long."""
    since = datetime(2026, 1, 1, 1, 0, tzinfo=UTC)
    patch = node_patch(made, Switch(Mode.TRAINING, Mode.TRAINING, SwitchStep.ACTIVE, since, since))
    parts = {part: {**made["metadata"][part], **patch["metadata"][part]} for part in ("annotations", "labels")}
    return {**made, "metadata": {**made["metadata"], **parts}, "spec": {**made["spec"], **patch["spec"]}}


def priority(name: str, value: int) -> Object:
    """A PriorityClass."""
    kind = {"apiVersion": "scheduling.k8s.io/v1", "kind": "PriorityClass"}
    return {**kind, "metadata": metadata(name), "value": value}


def pod(name: str, on: str, gpus: int = 8, **more: Any) -> Object:
    """A running pod of somebody."""
    container = {
        "name": "c",
        "image": "example.com/secret:1",
        "env": [{"name": "TOKEN", "value": "secret"}],
        "resources": {"requests": {GPU: str(gpus), "cpu": "1500m"}, "limits": {GPU: str(gpus)}},
    }
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": metadata(name, "others", **more),
        "spec": {"nodeName": on, "containers": [container]},
        "status": {"phase": "Running"},
    }


def large(made: Object, **allocatable: str) -> Object:
    """The node with other amounts: `ephemeral_storage` stands for ephemeral-storage."""
    amounts = {name.replace("_", "-"): amount for name, amount in allocatable.items()}
    return {**made, "status": {**made["status"], "allocatable": {**made["status"]["allocatable"], **amounts}}}


def runs(manifest: Object, *on: str, pool: str = "racks", since: str = "2026-01-01T11:00:00Z") -> list[Object]:
    """A job that runs `on` one node for each of its workers, in its first attempt, and its pods."""
    job = live(manifest)
    namespace, name, uid = (job["metadata"][key] for key in ("namespace", "name", "uid"))
    limits = manifest["spec"]["resources"]["limits"]
    status = {
        "attempt": 1,
        "placement": {"level": "block", "domain": "b1", "nodes": list(on), "since": since},
        "resolved": {
            "pool": pool,
            "image": "example.com/train:1",
            "acceleratorResource": GPU,
            "processesPerWorker": limits[GPU],
            "worldSize": limits[GPU] * len(on),
        },
        "conditions": [
            {"type": "Running", "status": "True", "reason": "Running", "message": "", "lastTransitionTime": since}
        ],
    }
    owner = {"kind": job["kind"], "name": name, "uid": uid, "controller": True}
    pods = [
        {
            "apiVersion": "v1",
            "kind": "Pod",
            "metadata": metadata(
                f"{name}-worker-{rank}-a1",
                namespace,
                ownerReferences=[owner],
                labels={
                    names.LABEL_MANAGED_BY: names.FIELD_MANAGER,
                    names.LABEL_JOB_UID: uid,
                    names.LABEL_ATTEMPT: "1",
                    names.LABEL_RANK: str(rank),
                },
            ),
            "spec": {"nodeName": node, "containers": [{"name": "worker", "resources": {"requests": _texts(limits)}}]},
            "status": {"phase": "Running"},
        }
        for rank, node in enumerate(on)
    ]
    return [{**job, "status": status}, *pods]


def _texts(amounts: Object) -> Object:
    return {name: str(amount) for name, amount in amounts.items()}


def snapshot(*objects: Object) -> Document:
    """What `trainpush snapshot` keeps of these objects."""
    reduced = [HOLDINGS[thing["kind"]].reduced(json.dumps(thing).encode()) for thing in objects]
    return Document(AT, PROXY, ordered(reduced), "snapshot.json")


def a_list(items: Sequence[Object], **annotations: str) -> Object:
    """A snapshot as a file holds it."""
    notes = {
        names.ANNOTATION_FORMAT: "1",
        names.ANNOTATION_AT: "2026-01-01T12:00:00Z",
        names.ANNOTATION_VERSION: "0.1.0",
        names.ANNOTATION_PROXY_IMAGE: PROXY,
        **{f"{names.GROUP}/{name}": text for name, text in annotations.items()},
    }
    return {"apiVersion": "v1", "kind": "List", "metadata": {"annotations": notes}, "items": list(items)}
