"""Pods that are deleted by force on a real API server: only where their node is lost at that very moment."""

from collections.abc import AsyncIterator, Callable
from contextlib import suppress
from typing import Any

import pytest

from support.api import exactly
from support.given_cluster import refuse_given
from support.manifests import job
from trainpush.kube.actions import Actions
from trainpush.kube.client import Client, Object
from trainpush.kube.errors import NotFound
from trainpush.kube.resources import NODES, PODS
from trainpush.kube.store import Store
from trainpush.kube.tasks import JobTask
from trainpush.model.actions import ForgetPod
from trainpush.model.outage import OUT_OF_SERVICE
from trainpush.model.plan import Decision, Stage, Verdict
from trainpush.model.reasons import Reason
from trainpush.model.workload import Key, Recorded


@pytest.fixture
async def node(client: Client, required: Callable[[Callable[[], None]], None]) -> AsyncIterator[str]:
    """A node without a kubelet."""
    required(lambda: refuse_given("this test makes a Node"))
    metadata = {"generateName": "lost-"}
    made = await client.create(NODES, {"apiVersion": "v1", "kind": "Node", "metadata": metadata})
    yield made["metadata"]["name"]
    with suppress(NotFound):
        await client.delete(NODES, exactly(made))


async def a_pod(client: Client, namespace: str, node: str) -> Object:
    """A pod that is bound to a node."""
    spec: dict[str, Any] = {"nodeName": node, "containers": [{"name": "worker", "image": "example.com/train:1"}]}
    metadata = {"name": "job-worker-0-a1", "namespace": namespace}
    return await client.create(PODS, {"apiVersion": "v1", "kind": "Pod", "metadata": metadata, "spec": spec})


async def forget(client: Client, pod: Object, node: str) -> None:
    """What an operator does that takes the node for lost."""
    store, name, namespace = Store(), "job", pod["metadata"]["namespace"]
    identity = {"namespace": namespace, "uid": "job", "resourceVersion": "1"}
    store.jobs.take({**job(name), "metadata": {"name": name, **identity}})
    (seen,) = store.jobs
    decision = Decision(Key(namespace, name), Recorded(), Stage.QUEUED, Verdict(Reason.RESTARTING, ""))
    task = JobTask(seen, decision, resolved=None, stands=None, workers=1)

    async def nobody_asks(*_: object) -> str:
        return ""

    actions = Actions(client, store, nobody_asks)
    await actions.perform(task, ForgetPod(pod["metadata"]["name"], pod["metadata"]["uid"], node))


async def is_there(client: Client, pod: Object) -> bool:
    """Whether the API server knows it still."""
    try:
        await client.get(PODS, pod["metadata"]["name"], pod["metadata"]["namespace"])
    except NotFound:
        return False
    return True


async def test_a_pod_of_a_node_that_is_there_has_its_time(client: Client, namespace: str, node: str) -> None:
    """Whatever was known of the node a moment ago: the kubelet says when it has ended."""
    pod = await a_pod(client, namespace, node)
    await forget(client, pod, node)
    told = await client.get(PODS, pod["metadata"]["name"], namespace)
    assert told["metadata"]["deletionGracePeriodSeconds"] > 0


async def test_a_pod_of_a_node_that_is_out_of_service_is_forgotten(client: Client, namespace: str, node: str) -> None:
    pod = await a_pod(client, namespace, node)
    taint = {"key": OUT_OF_SERVICE, "value": "nodeshutdown", "effect": "NoExecute"}
    await client.patch(NODES, None, node, {"spec": {"taints": [taint]}})
    await forget(client, pod, node)
    assert not await is_there(client, pod)


async def test_a_pod_of_a_node_that_is_gone_is_forgotten(client: Client, namespace: str, node: str) -> None:
    """Also where it was told to end before."""
    pod = await a_pod(client, namespace, node)
    await client.delete(PODS, exactly(pod))
    await client.delete(NODES, exactly(await client.get(NODES, node)))
    assert await is_there(client, pod)
    await forget(client, pod, node)
    assert not await is_there(client, pod)
