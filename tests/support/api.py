"""Pieces of tests that talk to a real API server."""

import uuid
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any, Final

from testbed import Bed
from trainpush.kube.client import Client, Exactly, Object
from trainpush.kube.credentials import Credentials, load
from trainpush.kube.resources import NAMESPACES, Resource

CONFIG_MAPS: Final = Resource("", "v1", "configmaps", "ConfigMap", namespaced=True)
SERVICE_ACCOUNTS: Final = Resource("", "v1", "serviceaccounts", "ServiceAccount", namespaced=True)


def admin(bed: Bed) -> Credentials:
    """The administrator of the bed, by client certificate."""
    return load(str(bed.kubeconfig))


@asynccontextmanager
async def a_namespace(client: Client) -> AsyncIterator[str]:
    """A namespace of its own for one test, with the ServiceAccount that pods need. Nobody collects its objects."""
    name = f"test-{uuid.uuid4().hex[:10]}"
    await client.create(NAMESPACES, {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name}})
    account = {"apiVersion": "v1", "kind": "ServiceAccount", "metadata": {"name": "default", "namespace": name}}
    await client.apply(SERVICE_ACCOUNTS, account)
    yield name


def a_config_map(namespace: str, name: str, **data: str) -> Object:
    """A small object that nobody else cares about."""
    metadata: dict[str, Any] = {"namespace": namespace, "name": name}
    return {"apiVersion": "v1", "kind": "ConfigMap", "metadata": metadata, "data": data}


def version_of(body: Object) -> str:
    """The resourceVersion of an object."""
    version: str = body["metadata"]["resourceVersion"]
    return version


def exactly(body: Object, resource_version: str | None = None) -> Exactly:
    """The target of a deletion."""
    meta = body["metadata"]
    return Exactly(meta.get("namespace"), meta["name"], meta["uid"], resource_version)
