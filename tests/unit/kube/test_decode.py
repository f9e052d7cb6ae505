"""What is kept of nodes and pods, and what kube-scheduler counts for a pod."""

import json
from typing import Any

import msgspec
import pytest

from trainpush.kube import decode

GPU = "nvidia.com/gpu"


def a_container(*, sidecar: bool = False, **requests: str) -> dict[str, Any]:
    """A container that requests this; `gpus` stands for the accelerator."""
    named = {GPU if name == "gpus" else name: amount for name, amount in requests.items()}
    container: dict[str, Any] = {"name": "c", "image": "i", "resources": {"requests": named, "limits": named}}
    return container | ({"restartPolicy": "Always"} if sidecar else {})


def a_pod(**spec: Any) -> dict[str, Any]:
    """A pod as the API server sends it."""
    meta = {"name": "p", "namespace": "ns", "uid": "u", "resourceVersion": "12", "managedFields": [{"manager": "m"}]}
    return {"kind": "Pod", "metadata": meta, "spec": {"containers": [], **spec}, "status": {"phase": "Pending"}}


def decoded(pod: dict[str, Any]) -> decode.PodObject:
    """Through the decoder."""
    return decode.pod(json.dumps(pod).encode())


REQUESTS = {
    "nothing is nothing": (a_pod(containers=[a_container()]), {}),
    "containers run together": (
        a_pod(containers=[a_container(cpu="1500m", gpus="2"), a_container(cpu="1", memory="1Ki")]),
        {"cpu": 2500, GPU: 2000, "memory": 1024},
    ),
    "init containers run before, one by one": (
        a_pod(containers=[a_container(cpu="2")], initContainers=[a_container(cpu="3"), a_container(cpu="1")]),
        {"cpu": 3000},
    ),
    "a sidecar runs beside the containers": (
        a_pod(containers=[a_container(cpu="2")], initContainers=[a_container(cpu="1", sidecar=True)]),
        {"cpu": 3000},
    ),
    "a sidecar runs beside later init containers only": (
        a_pod(
            containers=[a_container(cpu="1")],
            initContainers=[a_container(cpu="5"), a_container(cpu="1", sidecar=True), a_container(cpu="4500m")],
        ),
        {"cpu": 5500},
    ),
    "sidecars add up": (
        a_pod(initContainers=[a_container(memory="1k", sidecar=True), a_container(memory="2k", sidecar=True)]),
        {"memory": 3000},
    ),
    "the runtime's overhead comes on top": (
        a_pod(containers=[a_container(cpu="1")], overhead={"cpu": "250m", "memory": "1k"}),
        {"cpu": 1250, "memory": 1000},
    ),
    "requests of the whole pod replace those of its containers": (
        a_pod(containers=[a_container(cpu="1", gpus="1")], resources={"requests": {"cpu": "4"}}),
        {"cpu": 4000, GPU: 1000},
    ),
}


@pytest.mark.parametrize("case", REQUESTS)
def test_effective_requests(case: str) -> None:
    """As kube-scheduler counts them: bytes, and thousandths of all else."""
    pod, expected = REQUESTS[case]
    assert decoded(pod).requests == expected


def test_containers_are_not_kept() -> None:
    """Their memory is not needed once they are counted."""
    pod = decoded(a_pod(containers=[a_container(cpu="1")], initContainers=[a_container(cpu="1")]))
    assert (pod.spec.containers, pod.spec.init_containers) == ([], [])


def test_the_rest_of_a_pod() -> None:
    """Owner, state, conditions and the ends of containers."""
    pod = a_pod(nodeName="n1")
    pod["metadata"] |= {
        "labels": {"a": "b"},
        "deletionTimestamp": "2026-01-02T03:04:05Z",
        "deletionGracePeriodSeconds": 30,
        "ownerReferences": [
            {"apiVersion": "v1", "kind": "Other", "name": "o", "uid": "x"},
            {"apiVersion": "training.ai/v1", "kind": "TrainPushJob", "name": "j", "uid": "y", "controller": True},
        ],
    }
    pod["status"] = {
        "phase": "Failed",
        "reason": "Evicted",
        "conditions": [{"type": "DisruptionTarget", "status": "True", "reason": "EvictionByEvictionAPI"}],
        "containerStatuses": [
            {"name": "c", "ready": False, "state": {"terminated": {"exitCode": 137, "reason": "OOMKilled"}}},
            {"name": "d", "ready": False, "started": False, "state": {"waiting": {"reason": "ImagePullBackOff"}}},
        ],
    }
    found = decoded(pod)
    assert (found.namespace, found.name, found.uid, found.version) == ("ns", "p", "u", 12)
    assert (found.node, found.labels, found.is_deleting, found.is_over) == ("n1", {"a": "b"}, True, True)
    assert found.controller == decode.Owner("TrainPushJob", "j", "y", controller=True)
    assert found.condition("PodScheduled") is None
    disruption = found.condition("DisruptionTarget")
    assert disruption is not None
    assert (disruption.status, disruption.reason) == ("True", "EvictionByEvictionAPI")
    ended, waiting = found.status.container_statuses
    assert ended.state.terminated == decode.Terminated(exit_code=137, reason="OOMKilled")
    assert waiting.state.waiting == decode.Waiting(reason="ImagePullBackOff")


def a_node(**parts: Any) -> dict[str, Any]:
    """A node as the API server sends it."""
    return {"kind": "Node", "metadata": {"name": "n", "uid": "u", "resourceVersion": "9"}, **parts}


def test_a_node() -> None:
    """Labels, taints, cordon, allocatable and readiness."""
    body = a_node(
        spec={"unschedulable": True, "taints": [{"key": "k", "effect": "NoSchedule"}]},
        status={
            "allocatable": {GPU: "8", "cpu": "96"},
            "conditions": [{"type": "MemoryPressure", "status": "False"}, {"type": "Ready", "status": "True"}],
        },
    )
    node = decode.node(json.dumps(body).encode())
    assert (node.name, node.version, node.is_ready, node.is_deleting) == ("n", 9, True, False)
    assert node.spec == decode.NodeSpec(unschedulable=True, taints=[decode.Taint(key="k", effect="NoSchedule")])
    assert node.status.allocatable == {GPU: "8", "cpu": "96"}


@pytest.mark.parametrize("status", ["False", "Unknown"])
def test_a_node_that_is_not_heard_is_not_ready(status: str) -> None:
    """Unknown is what the node controller writes when the kubelet is silent."""
    body = a_node(status={"conditions": [{"type": "Ready", "status": status}]})
    assert not decode.node(json.dumps(body).encode()).is_ready


def test_a_node_that_just_registered() -> None:
    """Neither spec nor status."""
    assert not decode.node(json.dumps(a_node()).encode()).is_ready


MALFORMED: dict[str, Any] = {
    "no metadata": {"spec": {}},
    "a list for a map": a_pod() | {"metadata": []},
    "a resourceVersion that is no number": a_pod() | {"metadata": {"name": "p", "uid": "u", "resourceVersion": "x"}},
    "a quantity that is none": a_pod(containers=[a_container(cpu="many")]),
    "a string for a list": a_pod(containers="c"),
    "not an object": 3,
}


@pytest.mark.parametrize("case", MALFORMED)
def test_malformed_objects_raise_one_kind_of_error(case: str) -> None:
    """The reflector skips and counts what raises it."""
    with pytest.raises(msgspec.MsgspecError):
        decode.pod(json.dumps(MALFORMED[case]).encode())


def test_the_answer_to_a_create_converts() -> None:
    """A pod that was just made comes as parsed JSON."""
    assert msgspec.convert(a_pod(containers=[a_container(cpu="1")]), decode.PodObject).requests == {"cpu": 1000}
