"""Manifests for real clusters: a test states what it is about, the rest has defaults."""

from collections.abc import Mapping, Sequence
from typing import Any, Final

from testbed import FakeNode
from trainpush.api.trainpushjob import Resolved
from trainpush.kube.client import Object

GPU: Final = "nvidia.com/gpu"
PRODUCT: Final = "NVIDIA-A100-SXM4-80GB"
SET: Final = "trainpush.test/set"
"""Label of fake nodes: nodes of one value belong together, and to no pool of another test."""
BLOCK: Final = "topology.example.com/block"
RACK: Final = "topology.example.com/rack"
TOLERATION: Final = {"key": "kwok.x-k8s.io/node", "operator": "Exists"}
"""Lets pods onto fake nodes."""
PLACED: Final[Object] = {
    "placement": {"level": "host", "domain": "n1", "nodes": ["n1"], "since": "2026-01-01T11:00:00Z"},
    "resolved": {
        "pool": "pool",
        "image": "example.com/train:1",
        "acceleratorResource": GPU,
        "processesPerWorker": 8,
        "worldSize": 8,
    },
}
"""In the status of a job that has its place on n1."""


def resolved(**fields: Any) -> Resolved:
    """What the defaults of a pool came to: for one worker of one accelerator, where nothing else is said."""
    defaults = {"pool": "pool", "image": "example.com/train:1", "accelerator_resource": GPU}
    return Resolved(**defaults | {"processes_per_worker": 1, "world_size": 1} | fields)


def racks(group: str, sizes: Sequence[int]) -> list[FakeNode]:
    """Nodes GROUP-rR-N of 8 GPUs: `sizes[0]` of them in rack r1, and so on; all in block b1."""
    return [
        FakeNode(
            name=f"{group}-r{rack}-{index}",
            labels={SET: group, BLOCK: "b1", RACK: f"r{rack}", "nvidia.com/gpu.product": PRODUCT},
        )
        for rack, size in enumerate(sizes, 1)
        for index in range(size)
    ]


def pool(name: str, group: str, **spec: Any) -> Object:
    """A GPUPool over the fake nodes of `group`, with an image and the levels block and rack."""
    defaults = {
        "nodeSelector": {SET: group},
        "tolerations": [TOLERATION],
        "topology": {"levels": [{"name": "block", "label": BLOCK}, {"name": "rack", "label": RACK}]},
        "defaults": {
            "training": {"image": "example.com/train:1", "preferred": "rack"},
            "inference": {"image": "example.com/triton:1"},
        },
    }
    return {
        "apiVersion": "training.ai/v1",
        "kind": "GPUPool",
        "metadata": {"name": name},
        "spec": {**defaults, **spec},
    }


def job(name: str, replicas: int = 1, gpus: int = 8, **spec: Any) -> Object:
    """A TrainPushJob of `replicas` workers with `gpus` GPUs each; to be created in a namespace."""
    resources = {"limits": {GPU: gpus}}
    return {
        "apiVersion": "training.ai/v1",
        "kind": "TrainPushJob",
        "metadata": {"name": name},
        "spec": {"replicas": replicas, "resources": resources, **spec},
    }


def service(name: str, replicas: int = 1, gpus: int = 1, **spec: Any) -> Object:
    """An InferenceService of `replicas` replicas with `gpus` GPUs each, of a given model; for a namespace."""
    return {
        "apiVersion": "training.ai/v1",
        "kind": "InferenceService",
        "metadata": {"name": name},
        "spec": {
            "model": {"name": name, "uri": f"pvc://models/{name}"},
            "replicas": replicas,
            "resources": {"limits": {GPU: gpus}},
            **spec,
        },
    }


def foreign_pod(name: str, node: str, gpus: int, labels: Mapping[str, str] | None = None) -> Object:
    """A pod of somebody else that holds GPUs on a fake node; bound from the start, as by another scheduler."""
    container = {"name": "other", "image": "example.com/other:1", "resources": {"limits": {GPU: gpus}}}
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": name, "labels": dict(labels or {})},
        "spec": {"nodeName": node, "tolerations": [TOLERATION], "containers": [container]},
    }
