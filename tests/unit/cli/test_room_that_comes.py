"""Whoever deletes a job and applies it again waits for its own room, and evicts nobody."""

from typing import Any

import pytest

from support.manifests import GPU, job, pool
from support.snapshots import live, metadata, node, nodes, pod, priority, runs, snapshot
from trainpush.cli.outlook import What
from trainpush.cli.simulation import simulate
from trainpush.kube.client import Object

SOON, JUST_NOW, LONG_AGO = "2026-01-01T12:00:30Z", "2026-01-01T11:59:55Z", "2026-01-01T11:58:00Z"
RACKS = [*nodes(2), live(pool("racks", "fake", default=True)), priority("low", 1), priority("high", 100)]
COLLEAGUE = runs(job("colleague", scheduling={"priorityClassName": "low"}), "gpu-1-01")
MINE = job("mine", scheduling={"priorityClassName": "high"})


def what_becomes_different(*objects: Object) -> list[What]:
    """For others, when `mine` is applied."""
    asked = {**MINE, "metadata": {**MINE["metadata"], "namespace": "default"}}
    answer = simulate(snapshot(*RACKS, *COLLEAGUE, *objects), [asked])
    assert not answer.is_settled
    return [change.what for change in answer.changes]


def ends(made: Object, at: str) -> Object:
    """The pod while it is being deleted; `at` is when its grace period is over."""
    return {**made, "metadata": {**made["metadata"], "deletionTimestamp": at}}


def left_over() -> Object:
    """The pod of a job of the same name that is gone."""
    (_, worker) = runs(MINE, "gpu-1-00")
    (owner,) = worker["metadata"]["ownerReferences"]
    return {**worker, "metadata": {**worker["metadata"], "ownerReferences": [{**owner, "uid": "uid-gone"}]}}


@pytest.mark.parametrize(
    "objects",
    [
        [ends(left_over(), SOON)],
        [ends(left_over(), JUST_NOW)],
        [left_over()],
        [ends(pod("somebodys", "gpu-1-00"), SOON)],
        [ends(pod("one", "gpu-1-00", gpus=4), SOON), ends(pod("two", "gpu-1-00", gpus=4), JUST_NOW)],
    ],
    ids=["the owner is gone", "just over", "not told yet", "somebody's", "two of them"],
)
def test_nobody_is_evicted_for_room_that_comes(objects: list[Object]) -> None:
    assert what_becomes_different(*objects) == []


@pytest.mark.parametrize(
    "objects",
    [
        [ends(left_over(), LONG_AGO)],
        [ends(pod("somebodys", "gpu-1-00"), LONG_AGO)],
        [pod("somebodys", "gpu-1-00")],
        [ends(pod("one", "gpu-1-00", gpus=4), SOON), pod("two", "gpu-1-00", gpus=4)],
    ],
    ids=["it hangs", "somebody's hangs", "it stays", "half stays"],
)
def test_room_that_does_not_come_is_made(objects: list[Object]) -> None:
    assert what_becomes_different(*objects) == [What.EVICTED]


def test_room_that_comes_on_a_closed_node_is_none() -> None:
    """Nobody may go there."""
    closed = ends(pod("somebodys", "closed"), SOON)
    full = pod("other", "gpu-1-00")
    assert what_becomes_different(node("closed", "r1", unschedulable=True), closed, full) == [What.EVICTED]


def daemon(**more: Any) -> Object:
    """A DaemonSet of pods that are for nodes with these labels."""
    selector = more.pop("selector", {})
    made = {"apiVersion": "apps/v1", "kind": "DaemonSet", "metadata": metadata("agent", "others", **more)}
    return {**made, "spec": {"template": {"spec": {"nodeSelector": selector}}}}


def of(maker: Object, name: str, at: str = SOON) -> Object:
    """A pod of a DaemonSet, or of a node, that is being deleted."""
    owner = {"kind": maker["kind"], "name": maker["metadata"]["name"], "uid": maker["metadata"]["uid"]}
    return ends(pod(name, "gpu-1-00", ownerReferences=[{**owner, "controller": True}]), at)


@pytest.mark.parametrize(
    "objects",
    [[daemon(), of(daemon(), "agent-x")], [of(nodes(1)[0], "static-gpu-1-00")]],
    ids=["a daemon's", "the node's own"],
)
def test_room_that_is_taken_again_at_once_is_none(objects: list[Object]) -> None:
    """A DaemonSet that is rolled out puts its next pod on the very node, and a kubelet its static pods."""
    assert what_becomes_different(*objects) == [What.EVICTED]


@pytest.mark.parametrize(
    "objects",
    [
        [of(daemon(), "agent-x")],
        [daemon(deletionTimestamp=JUST_NOW), of(daemon(), "agent-x")],
        [daemon(selector={"nowhere": "true"}), of(daemon(), "agent-x")],
    ],
    ids=["it is gone", "it goes", "it is for other nodes by now"],
)
def test_what_no_daemon_takes_again_is_room(objects: list[Object]) -> None:
    assert what_becomes_different(*objects) == []


def test_a_limit_that_is_given_back_is_waited_for() -> None:
    """A job that is deleted in the foreground stays until its pods are gone; its team may have as much meanwhile."""
    limit = [{"name": "us", "namespaces": ["default"], "resources": {GPU: {"limit": 16}}}]
    racks = live(pool("racks", "fake", default=True, quotas=limit))
    (old, worker) = runs(job("old"), "gpu-1-00")
    old = {**old, "metadata": {**old["metadata"], "deletionTimestamp": JUST_NOW, "finalizers": ["foregroundDeletion"]}}
    asked = {**MINE, "metadata": {**MINE["metadata"], "namespace": "default"}}
    objects = [*nodes(2), racks, *RACKS[-2:], *COLLEAGUE]
    answer = simulate(snapshot(*objects, old, ends(worker, SOON)), [asked])
    assert not answer.changes
    assert answer.asked_about[0].verdict.cause == "PodsEnding"
    # Where it stays, somebody has to go.
    assert [it.what for it in simulate(snapshot(*objects, *runs(job("old"), "gpu-1-00")), [asked]).changes]
