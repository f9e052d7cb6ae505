"""A worker's pod that has not started: what it waits for, and whether its node is hindered."""

import json
from typing import Any

import pytest

from trainpush.kube.records import read_pod
from trainpush.model.workload import Worker

CREATING: dict[str, Any] = {"waiting": {"reason": "ContainerCreating"}}
INITIALIZING: dict[str, Any] = {"waiting": {"reason": "PodInitializing"}}
RUNS: dict[str, Any] = {"running": {"startedAt": "2026-01-01T12:00:00Z"}}
NO_SANDBOX = [{"type": "PodReadyToStartContainers", "status": "False"}]
SANDBOX = [{"type": "PodReadyToStartContainers", "status": "True"}]


def a_worker(node: str | None = "n1", **status: Any) -> Worker:
    """The record of a pod of rank 0; pending, unless `status` says otherwise."""
    owner = {"apiVersion": "x/v1", "kind": "TrainPushJob", "name": "job", "uid": "owner", "controller": True}
    labels = {"training.ai/rank": "0", "training.ai/attempt": "1"}
    metadata = {"name": "job-worker-0-a1", "namespace": "ns", "uid": "u", "resourceVersion": "7"}
    metadata |= {"labels": labels, "ownerReferences": [owner]}  # type: ignore[dict-item]
    spec = {"nodeName": node, "containers": []} if node else {"containers": []}
    found = read_pod(json.dumps({"metadata": metadata, "spec": spec, "status": {"phase": "Pending"} | status}).encode())
    assert isinstance(found.value.ours, Worker)
    return found.value.ours


def container(name: str = "worker", **state: Any) -> dict[str, Any]:
    """The status of a container."""
    return {"name": name, "ready": state.pop("ready", False), "state": state}


def again(name: str, code: int, message: str, **state: Any) -> dict[str, Any]:
    """The status of a container that ended and is to be started again."""
    return container(name, **state) | {"lastState": ended(code, message)}


def ended(code: int, message: str = "") -> dict[str, Any]:
    """How a container ended."""
    return {"terminated": {"exitCode": code, "reason": "Error" if code else "Completed", "message": message}}


@pytest.mark.parametrize(
    ("status", "said"),
    [
        ({}, "its node has not taken it up"),
        ({"containerStatuses": [container(**CREATING)], "conditions": NO_SANDBOX}, "its volumes are not mounted"),
        (
            {"containerStatuses": [container(waiting={"reason": "ImagePullBackOff", "message": "no such tag"})]},
            "container worker: ImagePullBackOff: no such tag",
        ),
        (
            {"containerStatuses": [container(waiting={"reason": "CreateContainerConfigError", "message": "no wandb"})]},
            "container worker: CreateContainerConfigError: no wandb",
        ),
        (
            {"containerStatuses": [container("proxy", waiting={"reason": "ErrImagePull"}), container(**CREATING)]},
            "container proxy: ErrImagePull",
        ),
        (
            {
                "initContainerStatuses": [container("agent", waiting={"reason": "CrashLoopBackOff", "message": "10s"})],
                "containerStatuses": [container(**INITIALIZING)],
                "conditions": SANDBOX,
            },
            "init container agent: CrashLoopBackOff: 10s",
        ),
        (
            {
                "initContainerStatuses": [
                    again(
                        "agent", 7, "no role here\n", waiting={"reason": "CrashLoopBackOff", "message": "back-off 10s"}
                    )
                ],
                "containerStatuses": [container(**INITIALIZING)],
                "conditions": SANDBOX,
            },
            "init container agent: CrashLoopBackOff: exit code 7 (Error): no role here",
        ),
        (
            {
                "initContainerStatuses": [container("agent", **ended(137))],
                "containerStatuses": [container(**INITIALIZING)],
                "conditions": SANDBOX,
            },
            "init container agent: exit code 137 (Error)",
        ),
    ],
    ids=str,
)
def test_what_hinders_a_start_is_said(status: dict[str, Any], said: str) -> None:
    """By the container, or the step before any."""
    worker = a_worker(**status)
    assert worker.is_hindered
    assert said in worker.message


@pytest.mark.parametrize(
    ("status", "said"),
    [
        ({"containerStatuses": [container(**CREATING)], "conditions": SANDBOX}, "pulls the image of container worker"),
        (
            {
                "initContainerStatuses": [container("agent", **INITIALIZING)],
                "containerStatuses": [container(**INITIALIZING)],
                "conditions": SANDBOX,
            },
            "pulls the image of init container agent",
        ),
        (
            {
                "initContainerStatuses": [container("agent", **RUNS), container("copy", **INITIALIZING)],
                "containerStatuses": [container(**INITIALIZING)],
                "conditions": SANDBOX,
            },
            "init container agent runs since 2026-01-01T12:00:00Z",
        ),
        (
            {
                "initContainerStatuses": [container("mesh", ready=True, **RUNS)],
                "containerStatuses": [container(**INITIALIZING)],
                "conditions": SANDBOX,
            },
            "pulls the image of container worker",
        ),
    ],
    ids=str,
)
def test_what_takes_its_time_is_said_and_is_no_hindrance(status: dict[str, Any], said: str) -> None:
    """Images are large, and a sidecar that runs keeps nobody waiting."""
    worker = a_worker(**status)
    assert not worker.is_hindered
    assert said in worker.message


@pytest.mark.parametrize(
    ("status", "is_unexplained"),
    [
        ({"containerStatuses": [container(**CREATING)], "conditions": NO_SANDBOX}, True),
        ({}, True),
        ({"containerStatuses": [container(waiting={"reason": "ErrImagePull"})], "conditions": SANDBOX}, False),
        ({"containerStatuses": [container(**CREATING)], "conditions": SANDBOX}, False),
    ],
    ids=["volumes or network", "nothing", "image", "pulls"],
)
def test_only_events_tell_of_volumes_and_networks(status: dict[str, Any], is_unexplained: bool) -> None:
    """Of images and configurations the status does."""
    assert a_worker(**status).is_unexplained is is_unexplained


def test_a_pod_that_is_not_bound_says_what_the_scheduler_says() -> None:
    """No node hinders it yet."""
    refused = {"type": "PodScheduled", "status": "False", "reason": "Unschedulable", "message": "0/4 nodes"}
    worker = a_worker(node=None, conditions=[refused])
    assert (worker.message, worker.is_hindered) == ("Unschedulable: 0/4 nodes", False)


def test_a_pod_that_an_init_container_ended_says_which_and_how() -> None:
    """Whoever put it there: the worker's own container never ran."""
    worker = a_worker(
        phase="Failed",
        initContainerStatuses=[container("first", **ended(0)), container("agent", **ended(7, "no role here\n"))],
        containerStatuses=[container(**INITIALIZING)],
    )
    assert worker.message == "init container agent: exit code 7 (Error): no role here"


def test_an_eviction_says_more_than_the_init_container_that_it_ended() -> None:
    """The kubelet's own reason goes first."""
    worker = a_worker(
        phase="Failed", reason="Evicted", message="disk pressure", initContainerStatuses=[container("a", **ended(137))]
    )
    assert worker.message == "Evicted: disk pressure"
