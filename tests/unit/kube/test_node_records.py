"""What a node says of its mode, its driver and its health."""

import json
from datetime import UTC, datetime
from typing import Any

import pytest

from trainpush.kube.daemons import read_daemon
from trainpush.kube.records import read_node
from trainpush.model.modes import Mode, SwitchStep
from trainpush.model.nodes import Node
from trainpush.model.outage import Outage

SWITCH = {
    "mode": "Training",
    "to": "Inference",
    "step": "Draining",
    "why": "the calendar",
    "begun": "2026-01-01T00:00:00Z",
    "since": "2026-01-01T00:01:00Z",
}
TAINTS = [
    {"key": "training.ai/mode", "value": "Training", "effect": "NoSchedule"},
    {"key": "training.ai/switching", "value": "Inference", "effect": "NoSchedule"},
]
MARKED: dict[str, Any] = {
    "annotations": {"training.ai/switch": json.dumps(SWITCH), "kubeadm.alpha.kubernetes.io/cri-socket": "x"},
    "labels": {"training.ai/mode": "Training"},
    "spec": {"taints": TAINTS},
}


def a_node(
    annotations: dict[str, str] | None = None,
    labels: dict[str, str] | None = None,
    spec: dict[str, Any] | None = None,
    **status: Any,
) -> Node:
    """A node as read."""
    metadata = {"name": "n1", "uid": "u", "resourceVersion": "7", "labels": labels or {}}
    metadata |= {"annotations": annotations} if annotations else {}
    return read_node(json.dumps({"metadata": metadata, "spec": spec or {}, "status": status}).encode()).value


def test_a_node_that_switches() -> None:
    """The annotation is the truth, and here label and taints follow from it."""
    node = a_node(**MARKED)
    assert node.switch is not None
    assert (node.switch.mode, node.switch.to, node.switch.step) == (Mode.TRAINING, Mode.INFERENCE, SwitchStep.DRAINING)
    assert (node.is_marked, node.is_spoiled) == (True, False)


@pytest.mark.parametrize(
    "change",
    [{"labels": {}}, {"labels": {"training.ai/mode": "Inference"}}, {"spec": {}}, {"spec": {"taints": TAINTS[:1]}}],
    ids=str,
)
def test_what_was_changed_by_hand_is_noticed(change: dict[str, Any]) -> None:
    """The annotation still counts."""
    node = a_node(**MARKED | change)
    assert node.switch is not None
    assert node.is_spoiled


@pytest.mark.parametrize(
    ("fields", "is_marked"),
    [
        ({}, False),
        ({"annotations": {"training.ai/switch": "{"}}, True),
        ({"labels": {"training.ai/mode": "Training"}}, True),
        ({"spec": {"taints": TAINTS[1:]}}, True),
        ({"spec": {"taints": [{"key": "training.ai/mode", "value": "x", "effect": "NoExecute"}]}}, True),
        ({"annotations": {"training.ai/wanted-mode": "Inference"}}, False),
    ],
    ids=str,
)
def test_marks_without_a_sound_annotation(fields: dict[str, Any], is_marked: bool) -> None:
    """They say nothing, but are there."""
    node = a_node(**fields)
    assert (node.switch, node.is_marked) == (None, is_marked)


@pytest.mark.parametrize(("said", "wish"), [("Maintenance", Mode.MAINTENANCE), ("maintenance", None), ("", None)])
def test_what_people_want_of_a_node(said: str, wish: Mode | None) -> None:
    """One of the modes, in their spelling."""
    assert a_node(annotations={"training.ai/wanted-mode": said}).wish is wish


@pytest.mark.parametrize(
    ("state", "cordoned"),
    [
        *(("", False), ("upgrade-done", False), ("upgrade-failed", False)),
        *(("upgrade-required", True), ("cordon-required", True), ("pod-restart-required", True), ("new-state", True)),
    ],
)
def test_a_node_whose_driver_is_being_upgraded_counts_as_cordoned(state: str, cordoned: bool) -> None:
    """The GPU operator drains it then, and cordons it only for a part of that time."""
    assert a_node(labels={"nvidia.com/gpu-driver-upgrade-state": state}).cordoned == cordoned
    assert a_node(spec={"unschedulable": True}, labels={"nvidia.com/gpu-driver-upgrade-state": state}).cordoned


@pytest.mark.parametrize(
    ("capacity", "allocatable", "unhealthy"),
    [
        ({"nvidia.com/gpu": "8", "cpu": "96"}, {"nvidia.com/gpu": "8", "cpu": "95"}, False),
        ({"nvidia.com/gpu": "8"}, {"nvidia.com/gpu": "7"}, True),
        ({"nvidia.com/gpu": "8"}, {}, True),
        ({"nvidia.com/gpu": "0"}, {}, False),
        ({"nvidia.com/gpu": "8"}, {"nvidia.com/gpu": "8000m"}, False),
        ({}, {"nvidia.com/gpu": "8"}, False),
    ],
    ids=str,
)
def test_a_node_with_a_device_that_fails(
    capacity: dict[str, str], allocatable: dict[str, str], unhealthy: bool
) -> None:
    """A device plugin takes it from what is allocatable; the kubelet keeps processors for itself on every node."""
    assert a_node(capacity=capacity, allocatable=allocatable).unhealthy == unhealthy


def test_a_daemon_set() -> None:
    """Where it runs, and whether it comes back there."""
    pod = {"nodeSelector": {"gpu": "true"}, "tolerations": [{"key": "nvidia.com/gpu", "operator": "Exists"}]}
    metadata = {"name": "plugin", "namespace": "gpu-operator", "uid": "u", "resourceVersion": "7"}
    daemon: dict[str, Any] = {"metadata": metadata, "spec": {"template": {"spec": pod}}}
    row = read_daemon(json.dumps(daemon).encode())
    assert (row.uid, row.version, row.value.name) == ("u", 7, "gpu-operator/plugin")
    assert (row.value.selector, row.value.is_repelled) == ({"gpu": "true"}, True)
    pod["tolerations"] = [{"operator": "Exists"}]
    assert not read_daemon(json.dumps(daemon).encode()).value.is_repelled


SINCE = datetime(2026, 1, 1, 12, 0, tzinfo=UTC)
READY: dict[str, Any] = {"type": "Ready", "lastTransitionTime": "2026-01-01T12:00:00Z"}
OUT_OF_SERVICE = {"key": "node.kubernetes.io/out-of-service", "value": "nodeshutdown", "effect": "NoExecute"}


@pytest.mark.parametrize("status", ["False", "Unknown"])
def test_a_node_is_silent_from_when_it_was_not_ready(status: str) -> None:
    """Whether its kubelet says so, or is not heard."""
    silent = a_node(conditions=[{"type": "MemoryPressure", "status": "False"}, READY | {"status": status}])
    assert (silent.ready, silent.outage) == (False, Outage("n1", SINCE))
    assert a_node(conditions=[READY | {"status": "True"}]).outage is None


def test_a_node_that_never_was_ready_is_silent_since_it_is_there() -> None:
    """Whether nothing was said of it yet, or nobody said when."""
    for status in ({}, {"conditions": [{"type": "Ready", "status": "Unknown"}]}):
        metadata = {"name": "n1", "uid": "u", "resourceVersion": "7", "creationTimestamp": "2026-01-01T12:00:00Z"}
        assert read_node(json.dumps({"metadata": metadata, "status": status}).encode()).value.outage == Outage(
            "n1", SINCE
        )


@pytest.mark.parametrize("status", ["True", "Unknown"])
def test_a_node_that_people_call_out_of_service_is_not_waited_for(status: str) -> None:
    assert a_node(spec={"taints": [OUT_OF_SERVICE]}, conditions=[READY | {"status": status}]).outage == Outage("n1")


def test_a_node_that_is_about_to_be_deleted_is_heard() -> None:
    """Whatever drains it may take its time; only nothing new comes there."""
    metadata = {"name": "n1", "uid": "u", "resourceVersion": "7", "deletionTimestamp": "2026-01-01T12:00:00Z"}
    status = {"conditions": [READY | {"status": "True"}]}
    node = read_node(json.dumps({"metadata": metadata, "status": status}).encode()).value
    assert (node.ready, node.outage) == (False, None)
