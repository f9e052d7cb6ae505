"""A real API server with our kinds, and the door that users come through."""

from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import closing, contextmanager

import pytest
from kubernetes.client import ApiClient
from kubernetes.config import new_client_from_config

from support.api import a_namespace, admin
from support.door import Door
from support.fault_proxy import FaultProxy
from support.given_cluster import OURS, Cluster, given, given_cluster
from support.operator_account import as_operator
from support.operator_process import ROOT
from testbed import LocalBed, held
from trainpush.kube.client import Client


@pytest.fixture(scope="session")
def cluster(required: Callable[[Callable[[], None]], None]) -> Iterator[Cluster]:
    """An API server that knows our kinds: of the given cluster, else of a bed without controllers."""
    kubeconfig = given()
    with given_cluster(kubeconfig) if kubeconfig else _a_bed(required) as cluster:
        cluster.kubectl("apply", "--server-side", "-f", str(ROOT / "crds"))
        cluster.kubectl("wait", "--for=condition=Established", "--timeout=30s", "-f", str(ROOT / "crds"))
        yield cluster


@contextmanager
def _a_bed(required: Callable[[Callable[[], None]], None]) -> Iterator[Cluster]:
    with held(LocalBed("test-api")) as bed:
        required(bed.up)
        yield bed


@pytest.fixture(scope="session")
def api(cluster: Cluster) -> Iterator[ApiClient]:
    """The administrator's connection, by the official client: none of our own code."""
    with new_client_from_config(str(cluster.kubeconfig)) as api:  # type: ignore[no-untyped-call]
        yield api


@pytest.fixture
def door(api: ApiClient) -> Iterator[Door]:
    """A namespace of its own for one test; it goes with the cluster."""
    metadata = {"generateName": "door-", "labels": OURS}
    made = Door(api, "").create({"apiVersion": "v1", "kind": "Namespace", "metadata": metadata})
    with closing(Door(api, made["metadata"]["name"])) as door:
        yield door


@pytest.fixture
async def client(cluster: Cluster) -> AsyncIterator[Client]:
    """The administrator, with nothing between it and the API server."""
    async with Client(admin(cluster)) as client:
        yield client


@pytest.fixture
async def namespace(client: Client) -> AsyncIterator[str]:
    """A namespace for one test."""
    async with a_namespace(client) as name:
        yield name


@pytest.fixture
async def operator(cluster: Cluster, client: Client, namespace: str) -> AsyncIterator[Client]:
    """The operator's identity in the namespace of the test, with the rights of its manifests."""
    async with as_operator(cluster, client, namespace) as operator:
        yield operator


@pytest.fixture
async def proxy(cluster: Cluster) -> AsyncIterator[FaultProxy]:
    """A network that breaks on demand."""
    async with FaultProxy(admin(cluster)) as proxy:
        yield proxy
