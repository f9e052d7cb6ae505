"""Pieces of tests that talk to a real API server."""

import uuid
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any, Final

from support.given_cluster import OURS, Cluster
from support.manifests import job
from trainpush.kube.client import Client, Exactly, Object
from trainpush.kube.credentials import Credentials, load
from trainpush.kube.resources import NAMESPACES, Resource

CONFIG_MAPS: Final = Resource("", "v1", "configmaps", "ConfigMap", namespaced=True)
SERVICE_ACCOUNTS: Final = Resource("", "v1", "serviceaccounts", "ServiceAccount", namespaced=True)
OF_CONTROLLERS: Final = "kube-root-ca.crt"
"""Name of the ConfigMap that a cluster with controllers puts into every namespace, sooner or later."""


def admin(cluster: Cluster) -> Credentials:
    """The administrator of the cluster."""
    return load(str(cluster.kubeconfig))


@asynccontextmanager
async def a_namespace(client: Client) -> AsyncIterator[str]:
    """A namespace of its own for one test, with the ServiceAccount that pods need; it goes with the cluster."""
    name = f"test-{uuid.uuid4().hex[:10]}"
    metadata = {"name": name, "labels": OURS}
    await client.create(NAMESPACES, {"apiVersion": "v1", "kind": "Namespace", "metadata": metadata})
    account = {"apiVersion": "v1", "kind": "ServiceAccount", "metadata": {"name": "default", "namespace": name}}
    await client.apply(SERVICE_ACCOUNTS, account)
    yield name


def a_config_map(namespace: str, name: str, **data: str) -> Object:
    """A small object that nobody else cares about."""
    metadata: dict[str, Any] = {"namespace": namespace, "name": name}
    return {"apiVersion": "v1", "kind": "ConfigMap", "metadata": metadata, "data": data}


def a_job(namespace: str, name: str) -> Object:
    """A job that no operator looks at."""
    made = job(name)
    return {**made, "metadata": {**made["metadata"], "namespace": namespace}}


def version_of(body: Object) -> str:
    """The resourceVersion of an object."""
    version: str = body["metadata"]["resourceVersion"]
    return version


def exactly(body: Object, resource_version: str | None = None) -> Exactly:
    """The target of a deletion."""
    meta = body["metadata"]
    return Exactly(meta.get("namespace"), meta["name"], meta["uid"], resource_version)
