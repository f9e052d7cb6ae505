"""The operator's own identity on a real API server, with the rights of its manifests."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from support.api import SERVICE_ACCOUNTS
from support.given_cluster import Cluster
from trainpush.kube import rights
from trainpush.kube.client import Client
from trainpush.kube.credentials import load
from trainpush.kube.resources import NAMESPACES, Resource

RBAC = "rbac.authorization.k8s.io"
KINDS = {
    "Namespace": NAMESPACES,
    "ServiceAccount": SERVICE_ACCOUNTS,
    "ClusterRole": Resource(RBAC, "v1", "clusterroles", "ClusterRole", namespaced=False),
    "ClusterRoleBinding": Resource(RBAC, "v1", "clusterrolebindings", "ClusterRoleBinding", namespaced=False),
    "Role": Resource(RBAC, "v1", "roles", "Role", namespaced=True),
    "RoleBinding": Resource(RBAC, "v1", "rolebindings", "RoleBinding", namespaced=True),
    "PriorityClass": Resource("scheduling.k8s.io", "v1", "priorityclasses", "PriorityClass", namespaced=False),
}


@asynccontextmanager
async def as_operator(cluster: Cluster, client: Client, namespace: str) -> AsyncIterator[Client]:
    """The operator in `namespace`, as soon as the authorizer knows its rights."""
    for body in rights.manifests(namespace, "operator"):
        await client.apply(KINDS[body["kind"]], body)
    async with Client(load(str(cluster.kubeconfig_for(namespace, "operator")))) as operator:
        await missing_becomes(operator, namespace, 0)
        yield operator


async def missing_becomes(operator: Client, namespace: str, count: int) -> list[str]:
    """Wait until the authorizer has heard of a change of roles, after which `count` verbs are missing."""
    async with asyncio.timeout(10):
        while True:
            lines = await rights.missing(operator, namespace)
            if len(lines) == count:
                return lines
