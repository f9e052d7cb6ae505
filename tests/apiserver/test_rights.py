"""The roles against the real authorizer."""

from typing import Any

import pytest

from support.api import a_job
from support.given_cluster import Cluster
from support.operator_account import KINDS, missing_becomes
from trainpush.kube import rights
from trainpush.kube.client import Client, Exactly, Object
from trainpush.kube.credentials import load
from trainpush.kube.errors import Forbidden
from trainpush.kube.resources import (
    EVENTS,
    GPUPOOLS,
    LEASES,
    NODES,
    PODS,
    SERVICES,
    TRAINPUSHJOBS,
    Resource,
)


async def test_the_manifests_grant_what_is_missing_without_them(
    cluster: Cluster, client: Client, operator: Client, namespace: str
) -> None:
    """Nothing is missing with them; without, every verb is named with its reason."""
    assert await rights.missing(operator, namespace) == []
    async with Client(load(str(cluster.kubeconfig_for(namespace, "nobody")))) as nobody:
        lines = await rights.missing(nobody, namespace)
    assert len(lines) == sum(len(right.verbs) for right in (*rights.EVERYWHERE, *rights.AT_HOME))
    assert "may not create pods in all namespaces. To count what every pod takes" in "\n".join(lines)
    assert f"may not patch leases.coordination.k8s.io in namespace {namespace}." in "\n".join(lines)
    assert "may not watch nodes cluster-wide." in "\n".join(lines)
    assert "may not patch trainpushjobs/status.training.ai in all namespaces." in "\n".join(lines)


async def test_one_missing_verb_is_one_line(client: Client, operator: Client, namespace: str) -> None:
    """So that an administrator sees what to add."""
    rules: list[Any] = rights.cluster_role()["rules"]
    for rule in rules:
        if rule["resources"] == ["pods"]:
            rule["verbs"].remove("delete")
    await client.patch(KINDS["ClusterRole"], None, rights.NAME, {"rules": rules})
    try:
        (line,) = await missing_becomes(operator, namespace, 1)
        assert line.startswith("may not delete pods in all namespaces.")
    finally:
        await client.patch(KINDS["ClusterRole"], None, rights.NAME, {"rules": rights.cluster_role()["rules"]})


def a_pod(namespace: str, owner: Object) -> Object:
    """A pod that blocks the deletion of its owner."""
    reference = {
        "apiVersion": owner["apiVersion"],
        "kind": owner["kind"],
        "name": owner["metadata"]["name"],
        "uid": owner["metadata"]["uid"],
        "controller": True,
        "blockOwnerDeletion": True,
    }
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"namespace": namespace, "name": "p", "ownerReferences": [reference]},
        "spec": {"containers": [{"name": "c", "image": "i"}]},
    }


async def test_every_right_does_what_it_is_for(client: Client, operator: Client, namespace: str) -> None:
    """Each kind of request that the operator makes goes through under its own identity."""
    job = await client.create(TRAINPUSHJOBS, a_job(namespace, "j"))
    for resource in (TRAINPUSHJOBS, GPUPOOLS, NODES, PODS):
        _, version = await operator.list(resource)
        assert version
    version = job["metadata"]["resourceVersion"]
    await operator.patch_status(TRAINPUSHJOBS, namespace, "j", version, {"observedGeneration": 1})
    pod = await operator.create(PODS, a_pod(namespace, job))
    await operator.delete(PODS, Exactly(namespace, "p", pod["metadata"]["uid"]))
    service = {
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": {"namespace": namespace, "name": "s"},
        "spec": {"clusterIP": "None", "selector": {"a": "b"}},
    }
    await operator.apply(SERVICES, service)
    await operator.apply(SERVICES, service)
    assert (await operator.get(SERVICES, "s", namespace))["spec"]["clusterIP"] == "None"
    await operator.create(EVENTS, an_event(namespace))
    lease: Object = {
        "apiVersion": LEASES.api_version,
        "kind": "Lease",
        "metadata": {"namespace": namespace, "name": "l"},
        "spec": {},
    }
    await operator.create(LEASES, lease)
    await operator.patch(LEASES, namespace, "l", {"spec": {"holderIdentity": "me"}})


def an_event(namespace: str) -> Object:
    """An Event about nothing."""
    return {
        "apiVersion": EVENTS.api_version,
        "kind": "Event",
        "metadata": {"namespace": namespace, "name": "e"},
        "eventTime": "2026-01-01T00:00:00.000000Z",
        "reportingController": "training.ai/trainpush",
        "reportingInstance": "test",
        "action": "Test",
        "reason": "Test",
        "type": "Normal",
        "regarding": {"kind": "TrainPushJob", "namespace": namespace, "name": "j"},
    }


async def test_what_the_operator_may_not_do(client: Client, operator: Client, namespace: str) -> None:
    """Not even at home: make or delete nodes, read Secrets, act on other Leases, edit what users ask for."""
    secrets = Resource("", "v1", "secrets", "Secret", namespaced=True)
    with pytest.raises(Forbidden):
        await operator.list(secrets, namespace)
    with pytest.raises(Forbidden):
        await operator.create(NODES, {"apiVersion": "v1", "kind": "Node", "metadata": {"name": "any"}})
    with pytest.raises(Forbidden):
        await operator.delete(NODES, Exactly("", "any", "uid"))
    with pytest.raises(Forbidden):
        await operator.patch(TRAINPUSHJOBS, namespace, "any", {"spec": {"replicas": 2}})
    with pytest.raises(Forbidden):
        await operator.get(LEASES, "any", "kube-system")
