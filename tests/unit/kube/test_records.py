"""Pods of ours as they are kept: what a replica or an export says, and what nobody can pretend."""

import json
from typing import Any

import pytest

from trainpush.kube.records import PodRow, read_node, read_pod
from trainpush.kube.table import Row, Table
from trainpush.model.serving import Replica

DIGEST = "sha256:" + "a" * 64


def a_pod(name: str, kind: str, labels: dict[str, str], **status: Any) -> PodRow:
    """A pod that an object of `kind` controls."""
    owner = {"apiVersion": "x/v1", "kind": kind, "name": "svc", "uid": "owner", "controller": True}
    metadata = {"name": name, "namespace": "ns", "uid": "u", "resourceVersion": "7"}
    metadata |= {"labels": labels, "ownerReferences": [owner]}  # type: ignore[dict-item]
    pod = {"metadata": metadata, "spec": {"nodeName": "n1", "containers": []}, "status": {"phase": "Running", **status}}
    return read_pod(json.dumps(pod).encode()).value


def a_replica(name: str = "svc-1234abcd-3", serial: str = "3", **status: Any) -> Replica | None:
    """The record of a replica's pod; None if it is not taken for one."""
    row = a_pod(
        name, "InferenceService", {"training.ai/revision": "svc-1234abcd", "training.ai/replica": serial}, **status
    )
    assert row.ours is None or isinstance(row.ours, Replica)
    return row.ours


@pytest.mark.parametrize(
    ("labels", "capacity"),
    [
        ({"karpenter.sh/capacity-type": "reserved"}, "reserved"),
        ({"karpenter.sh/capacity-type": "on-demand"}, "on-demand"),
        ({"karpenter.sh/capacity-type": "spot"}, "spot"),
        ({"eks.amazonaws.com/capacityType": "CAPACITY_BLOCK"}, "reserved"),
        ({"eks.amazonaws.com/capacityType": "ON_DEMAND"}, "on-demand"),
        ({"eks.amazonaws.com/capacityType": "SPOT"}, "spot"),
        ({"cloud.google.com/gke-spot": "true"}, "spot"),
        ({"kubernetes.azure.com/scalesetpriority": "spot"}, "spot"),
        ({"karpenter.sh/capacity-type": "spot", "eks.amazonaws.com/capacityType": "ON_DEMAND"}, "spot"),
        ({"karpenter.sh/capacity-type": "borrowed"}, ""),
        ({"cloud.google.com/gke-spot": "false"}, ""),
        ({}, ""),
    ],
)
def test_the_kind_of_capacity_is_read_from_the_labels_of_a_node(labels: dict[str, str], capacity: str) -> None:
    """As the clouds and Karpenter write them; whatever else they say is no kind that we know."""
    node = {"metadata": {"name": "n1", "uid": "u", "resourceVersion": "7", "labels": labels}, "spec": {}, "status": {}}
    assert read_node(json.dumps(node).encode()).value.capacity_type == capacity


def container(name: str, **state: Any) -> dict[str, Any]:
    """The status of a container."""
    return {"name": name, "ready": False, "state": state}


def ended(code: int, message: str = "") -> dict[str, Any]:
    """How a container ended."""
    return {"terminated": {"exitCode": code, "reason": "Error" if code else "Completed", "message": message}}


def test_a_replica_is_known_by_its_whole_name() -> None:
    """Anybody may claim an owner, but not the name of another pod, nor a number without end."""
    assert a_replica() is not None
    assert a_replica(serial="4") is None
    assert a_replica(name=f"svc-1234abcd-{10**30}", serial=str(10**30)) is None


def test_what_a_replica_has_reached() -> None:
    """Loaded, answered, ready: three conditions."""
    conditions = [
        {"type": "ContainersReady", "status": "True"},
        {"type": "training.ai/answered", "status": "False", "message": "answered 400"},
    ]
    found = a_replica(conditions=conditions, podIP="10.0.0.7")
    assert found is not None
    assert (found.loaded, found.answered, found.ready) == (True, False, False)
    assert (found.address, found.message) == ("10.0.0.7", "answered 400")


def test_a_server_that_is_started_again_still_says_why_it_ended() -> None:
    """Its last error about the model, not the last line of what follows."""
    words = "E1121 12:00:00.1 1 model.cc:9] failed to load 'digits': no such layer\nE1121 12:00:01.2 1 main.cc:3] bye\n"
    again = {"name": "server", "ready": False, "state": {"running": {}}, "lastState": ended(1, words)}
    found = a_replica(initContainerStatuses=[container("model", **ended(0)), again])
    assert found is not None
    assert found.message == "server: exit code 1 (Error): failed to load 'digits': no such layer"


def test_a_container_that_begins_is_no_trouble() -> None:
    """It waits as it should, and says for what."""
    waits = container("proxy", waiting={"reason": "PodInitializing"})
    checks = container("model", running={"startedAt": "2026-01-01T12:00:00Z"})
    found = a_replica(phase="Pending", initContainerStatuses=[checks], containerStatuses=[waits])
    assert found is not None
    assert (found.message, found.starting) == ("", "init container model runs since 2026-01-01T12:00:00Z")


def test_what_the_kubelet_ended_says_so() -> None:
    """However the containers took it."""
    why = {"phase": "Failed", "reason": "Evicted", "message": "The node was low on resource: memory."}
    found = a_replica(**why, initContainerStatuses=[container("server", **ended(137))])
    assert found is not None
    assert found.message == "Evicted: The node was low on resource: memory."


@pytest.mark.parametrize(
    ("statuses", "is_hindered"),
    [
        ([container("model", waiting={"reason": "ErrImagePull"})], True),
        ([container("model", **ended(0)), container("server", waiting={"reason": "InvalidImageName"})], True),
        ([container("model", waiting={"reason": "CrashLoopBackOff"}) | {"lastState": ended(1)}], False),
        ([container("model", **ended(1))], False),
        ([container("model", running={"startedAt": "2026-01-01T12:00:00Z"})], False),
        ([container("server", waiting={"reason": "ErrImagePull"}) | {"lastState": ended(0)}], False),
    ],
    ids=["image", "name of an image", "crashes", "fails", "works", "ran before"],
)
def test_a_replica_is_hindered_where_its_node_never_could_start_it(
    statuses: list[dict[str, Any]], is_hindered: bool
) -> None:
    """What its program does is another matter: the kubelet goes on trying."""
    found = a_replica(phase="Pending", initContainerStatuses=statuses)
    assert found is not None
    assert found.is_hindered is is_hindered


def test_a_replica_whose_volumes_are_not_mounted_does_not_tell_why() -> None:
    found = a_replica(phase="Pending", conditions=[{"type": "PodReadyToStartContainers", "status": "False"}],
        initContainerStatuses=[container("model", waiting={"reason": "PodInitializing"})])  # fmt: skip
    assert found is not None
    assert (found.is_hindered, found.is_unexplained) == (True, True)


def exported(*statuses: dict[str, Any], init: list[dict[str, Any]] | None = None) -> Any:
    """The record of an export's pod."""
    labels = {"training.ai/push-of": "job-uid"}
    return a_pod(
        "job-export-1-x", "Job", labels, containerStatuses=list(statuses), initContainerStatuses=init or []
    ).ours


def test_only_the_last_step_of_an_export_is_believed() -> None:
    """The user's program may leave any message."""
    told = json.dumps({"digest": DIGEST})
    assert exported(container("publish", **ended(0, told))).digest == DIGEST
    assert exported(container("publish", running={}), init=[container("export", **ended(0, told))]).digest == ""
    assert exported(container("publish", **ended(1, told))).digest == ""
    assert exported(container("publish", **ended(0, json.dumps({"digest": "latest"})))).digest == ""


def test_an_export_that_failed_says_which_step_and_why() -> None:
    """As its last words."""
    found = exported(container("publish", waiting={"reason": "PodInitializing"}), init=[
        container("export", **ended(4, "no weights found\n"))])  # fmt: skip
    assert found.message == "export: exit code 4 (Error): no weights found"


@pytest.mark.parametrize("code", [0, 1])
def test_an_export_that_a_container_of_others_keeps_is_to_be_ended(code: int) -> None:
    """Nobody else ends such a pod, and a Job waits for it for ever; a native sidecar its kubelet ends."""
    done, mesh = container("publish", **ended(code)), container("mesh", running={})
    assert exported(done, mesh).must_be_ended
    assert not exported(container("publish", running={}), mesh).must_be_ended
    assert not exported(done, container("mesh", **ended(0))).must_be_ended
    assert not exported(done, init=[container("clean", running={})]).must_be_ended


def test_what_a_selector_lost_may_come_back() -> None:
    """A watch calls an object gone whose labels changed; what was deleted does not come back by a late event."""
    table: Table[str] = Table(lambda before, after: None)
    table.put(Row("u", 5, "there"))
    table.drop(Row("u", 8, "there"))
    assert not table.put(Row("u", 7, "late"))
    assert table.put(Row("u", 9, "back"))
    table.forget("u")
    assert not table.put(Row("u", 10, "ghost"))
