"""Fake nodes: Node objects kept Ready by kwok, on which pods reach Running at once and run nothing."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from . import accounts, builds, processes
from .report import BedError, step

if TYPE_CHECKING:
    from .bed import Bed

TAINT = {"key": "kwok.x-k8s.io/node", "value": "fake", "effect": "NoSchedule"}
MARK = {"training.ai/testbed": "fake"}
STAGES = (
    "node/fast/node-initialize.yaml",
    "node/heartbeat-with-lease/node-heartbeat-with-lease.yaml",
    "pod/fast/pod-ready.yaml",
    "pod/fast/pod-complete.yaml",
    "pod/fast/pod-delete.yaml",
)


@dataclass(frozen=True)
class FakeNode:
    """One fake node; `resources` become its capacity and all of it is allocatable."""

    name: str
    labels: Mapping[str, str] = field(default_factory=dict)
    resources: Mapping[str, str | int] = field(
        default_factory=lambda: {"nvidia.com/gpu": 8, "cpu": 96, "memory": "1Ti", "pods": 110}
    )


def layout(count: int, racks: int) -> list[FakeNode]:
    """Return `count` nodes of 8 GPUs named fake-RACK-INDEX, dealt out evenly over racks r1 to rN of one block."""
    if racks < 1:
        raise BedError("fake nodes need at least one rack: give --racks 1 or more")
    return [_standard_node(rack=index % racks + 1, index=index // racks) for index in range(count)]


def start(bed: "Bed") -> None:
    """Start kwok, which plays the kubelet for every node of `add`."""
    command: list[str | Path] = [
        builds.binary("kwok"),
        f"--kubeconfig={accounts.client_kubeconfig(bed, 'testbed:kwok', ['system:masters', 'testbed:kwok'])}",
        f"--config={Path(__file__).parent / 'kwok.yaml'}",
        f"--config={_stages()}",
        "--v=WARN",
    ]
    if not processes.is_running(bed.folder, "kwok", command):
        step("starting kwok")
        processes.stop(bed.folder, "kwok")
        _forget_leases(bed)
        processes.start(bed.folder, "kwok", command)


def add(bed: "Bed", nodes: Sequence[FakeNode]) -> None:
    """Create nodes and wait until they are Ready; one that exists keeps its resources and gets its labels again."""
    if not nodes:
        return
    step(f"adding {len(nodes)} fake nodes")
    manifests = {"apiVersion": "v1", "kind": "List", "items": [_manifest(node) for node in nodes]}
    bed.kubectl("apply", "--server-side", "--field-manager=testbed", "-f", "-", stdin=json.dumps(manifests))
    names = [node.name for node in nodes]

    def all_ready() -> bool:
        found = readiness(bed)
        return all(found[name][1] for name in names)

    processes.wait_until(f"{len(nodes)} fake nodes", all_ready, 30 + len(nodes) / 10, bed.folder, "kwok")


def readiness(bed: "Bed") -> dict[str, tuple[str, bool]]:
    """All nodes of the bed by name: their kind (label training.ai/testbed, fake or real) and whether they are Ready."""
    nodes = json.loads(bed.kubectl("get", "nodes", "-o", "json", "--request-timeout=10s"))["items"]
    return {
        node["metadata"]["name"]: (
            node["metadata"].get("labels", {}).get("training.ai/testbed", "other"),
            any(
                state["type"] == "Ready" and state["status"] == "True" for state in node["status"].get("conditions", [])
            ),
        )
        for node in nodes
    }


def _standard_node(rack: int, index: int) -> FakeNode:
    labels = {
        "topology.example.com/block": "b1",
        "topology.example.com/rack": f"r{rack}",
        "nvidia.com/gpu.product": "NVIDIA-A100-SXM4-80GB",
    }
    return FakeNode(name=f"fake-{rack}-{index}", labels=labels)


def _manifest(node: FakeNode) -> dict[str, object]:
    resources = {name: str(amount) for name, amount in node.resources.items()}
    return {
        "apiVersion": "v1",
        "kind": "Node",
        "metadata": {
            "name": node.name,
            "labels": {"kubernetes.io/hostname": node.name, **MARK, **node.labels},
            "annotations": {"kwok.x-k8s.io/node": "fake"},
        },
        "spec": {"taints": [TAINT]},
        "status": {"capacity": resources, "allocatable": resources},
    }


def _forget_leases(bed: "Bed") -> None:
    """Delete the leases of fake nodes: a new kwok would wait for the old one's to run out before it takes over."""
    selector = ",".join(f"{key}={value}" for key, value in MARK.items())
    names = bed.kubectl("get", "nodes", "-l", selector, "-o", "jsonpath={.items[*].metadata.name}").split()
    if names:
        bed.kubectl("delete", "leases", "--namespace=kube-node-lease", "--ignore-not-found", "--wait=false", *names)


def _stages() -> Path:
    """Return one file with the stages of kwok's own module that we use, made at the first call."""
    target = builds.folder() / "stages.yaml"
    if not target.exists():
        source = builds.module_source("sigs.k8s.io/kwok") / "kustomize" / "stage"
        partial = target.with_suffix(".new")
        partial.write_text("---\n".join((source / stage).read_text() for stage in STAGES))
        partial.replace(target)
    return target
