"""What would happen, asked of a real API server: read only, and the same from a file as from the live cluster."""

import asyncio
import json
from collections.abc import AsyncIterator
from dataclasses import dataclass, replace
from pathlib import Path

import pytest
import yaml

from support.given_cluster import OURS, Cluster
from support.manifests import BLOCK, GPU, RACK, SET, job, pool
from trainpush.api import names
from trainpush.cli import document
from trainpush.cli.commands import WAITS, write_answer, write_snapshot
from trainpush.cli.document import Document
from trainpush.cli.holdings import HOLDINGS
from trainpush.cli.simulation import simulate
from trainpush.cli.text import BadInput, text_of
from trainpush.controller.observe import observe
from trainpush.controller.settings import Settings
from trainpush.kube.client import Client, Exactly, Object, Written
from trainpush.kube.resources import GPUPOOLS, NODES, PODS, REVISIONS, TRAINPUSHJOBS, Resource
from trainpush.kube.store import Store
from trainpush.planner.plan import plan

RBAC = "rbac.authorization.k8s.io"
ROLES = Resource(RBAC, "v1", "clusterroles", "ClusterRole", namespaced=False)
BINDINGS = Resource(RBAC, "v1", "clusterrolebindings", "ClusterRoleBinding", namespaced=False)


@dataclass(frozen=True)
class Field:
    """Some nodes in a cluster, of a pool of their own, and somebody who may list and do nothing else."""

    settings: Settings
    namespace: str
    folder: Path
    written: list[Written]
    """What was written by whoever asked: nothing, ever."""

    async def snapshot(self) -> Document:
        """Taken by the command, and read back."""
        path = str(self.folder / "snapshot.json")
        await asyncio.to_thread(write_snapshot, self.settings, path, self.written.append)
        return document.read(text_of(path, None), path)

    async def simulate(self, *manifests: Object, snapshot: str | None = None) -> int:
        """The exit status of the command."""
        path = self.folder / "manifests.yaml"
        path.write_text(yaml.safe_dump_all(manifests))
        files = [str(path)] if manifests else []
        return await asyncio.to_thread(write_answer, self.settings, files, snapshot, "json", self.written.append)

    def job(self, name: str, replicas: int) -> Object:
        """A job for this pool."""
        made = job(name, replicas, placement={"pool": self.namespace})
        return {**made, "metadata": {"name": name, "namespace": self.namespace}}


@pytest.fixture
async def field(cluster: Cluster, client: Client, namespace: str, tmp_path: Path) -> AsyncIterator[Field]:
    """Four nodes in two racks, one of them taken by a foreign pod."""
    made = [await client.create(NODES, a_node(f"{namespace}-{i}", namespace, f"r{i // 2}")) for i in range(4)]
    # No controller is there that would take away the taint of new nodes.
    tolerations = [{"key": "node.kubernetes.io/not-ready", "operator": "Exists"}]
    made.append(await client.create(GPUPOOLS, pool(namespace, namespace, tolerations=tolerations)))
    made += [await client.create(resource, body) for resource, body in a_reader(namespace)]
    await client.create(PODS, a_pod(namespace, f"{namespace}-0"))
    kubeconfig = cluster.kubeconfig_for(namespace, "reader")
    yield Field(Settings(kubeconfig=str(kubeconfig)), namespace, tmp_path, [])
    kinds = {resource.kind: resource for resource in (NODES, GPUPOOLS, ROLES, BINDINGS)}
    for thing in made:
        meta = thing["metadata"]
        await client.delete(kinds[thing["kind"]], Exactly(None, meta["name"], meta["uid"]))


def a_node(name: str, group: str, rack: str) -> Object:
    """A ready node of 8 GPUs."""
    status = {
        "allocatable": {GPU: "8", "cpu": "64", "pods": "110"},
        "capacity": {GPU: "8", "cpu": "64", "pods": "110"},
        "conditions": [{"type": "Ready", "status": "True"}],
    }
    labels = {SET: group, BLOCK: "b1", RACK: rack}
    return {"apiVersion": "v1", "kind": "Node", "metadata": {"name": name, "labels": labels}, "status": status}


def a_pod(namespace: str, on: str) -> Object:
    """A foreign pod that holds a whole node, with things that are nobody's business."""
    container = {
        "name": "c",
        "image": "example.com/other:1",
        "env": [{"name": "TOKEN", "value": "hush"}],
        "resources": {"limits": {GPU: "8"}},
    }
    spec = {"nodeName": on, "containers": [container], "tolerations": [{"operator": "Exists"}]}
    return {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "other", "namespace": namespace}, "spec": spec}


def a_reader(namespace: str) -> list[tuple[Resource, Object]]:
    """A role that may list what a snapshot holds, and no more."""
    held = [holding.resource for holding in HOLDINGS.values()]
    rules = [{"apiGroups": [it.group], "resources": [it.plural], "verbs": ["list"]} for it in held]
    metadata = {"name": namespace, "labels": OURS}
    reader = {"kind": "ServiceAccount", "name": "reader", "namespace": namespace}
    reference = {"apiGroup": RBAC, "kind": "ClusterRole", "name": namespace}
    version = ROLES.api_version
    return [
        (ROLES, {"apiVersion": version, "kind": "ClusterRole", "metadata": metadata, "rules": rules}),
        (
            BINDINGS,
            {
                "apiVersion": version,
                "kind": "ClusterRoleBinding",
                "metadata": metadata,
                "subjects": [reader],
                "roleRef": reference,
            },
        ),
    ]


async def live_store(client: Client) -> Store:
    """What an operator knows of the cluster now, from whole objects."""
    store = Store()
    for holding in HOLDINGS.values():
        query = {"labelSelector": holding.selector} if holding.selector else {}
        async for page in client.pages(holding.resource, query=query):
            for body in page.items:
                holding.put(store, body)
    return store


async def test_the_plan_of_a_snapshot_is_that_of_the_live_store(client: Client, field: Field) -> None:
    """To the last number; what is not decided on is not in the file."""
    await client.create(TRAINPUSHJOBS, field.job("fits", 2))
    await client.create(TRAINPUSHJOBS, field.job("waits", 4))
    found = await field.snapshot()
    live = observe(await live_store(client), lambda _: "", found.proxy_image)
    stored = observe(found.store(), lambda _: "", found.proxy_image)
    assert plan(stored.snapshot, found.at) == plan(live.snapshot, found.at)
    mine = {d.key.name: d for d in plan(stored.snapshot, found.at).decisions if d.key.namespace == field.namespace}
    assert mine["fits"].record.placement
    assert not mine["waits"].record.placement
    assert "hush" not in found.written()
    assert not field.written


async def test_a_live_answer_is_that_of_a_snapshot(field: Field, capsys: pytest.CaptureFixture[str]) -> None:
    """Which the exit status tells too; a reader without any other right is enough."""
    found = await field.snapshot()
    assert await field.simulate(field.job("mine", 3)) == 0
    live = json.loads(capsys.readouterr().out)
    assert await field.simulate(field.job("mine", 3), snapshot=found.source) == 0
    stored = json.loads(capsys.readouterr().out)
    assert {**live, "at": "", "source": ""} == {**stored, "at": "", "source": ""}
    assert sorted(live["decisions"][0]["nodes"]) == [f"{field.namespace}-{i}" for i in (1, 2, 3)]
    assert await field.simulate(field.job("mine", 4)) == WAITS
    assert not field.written


async def test_what_the_operator_cannot_read_is_left_out(
    client: Client, field: Field, capsys: pytest.CaptureFixture[str]
) -> None:
    """A revision of somebody else that bears our label is no reason to fail."""
    revision: Object = {
        "apiVersion": REVISIONS.api_version,
        "kind": "ControllerRevision",
        "metadata": {
            "name": "odd",
            "namespace": field.namespace,
            "labels": {names.LABEL_MANAGED_BY: names.FIELD_MANAGER},
        },
        "revision": 1,
        "data": {"a": 1},
    }
    await client.create(REVISIONS, revision)
    found = await field.snapshot()
    assert "odd" not in {item["metadata"]["name"] for item in found.items}
    assert f"left out, as the operator does: kubeconfig {field.settings.kubeconfig}: Co" in capsys.readouterr().err


async def test_the_order_of_a_file_does_not_matter(client: Client, field: Field) -> None:
    """Whoever wrote it."""
    await client.create(TRAINPUSHJOBS, field.job("fits", 2))
    found = await field.snapshot()
    assert simulate(replace(found, items=found.items[::-1]), []) == simulate(found, [])


async def test_who_may_not_list_is_told_what(cluster: Cluster, field: Field) -> None:
    """In one line."""
    nobody = Settings(kubeconfig=str(cluster.kubeconfig_for(field.namespace, "nobody")))
    with pytest.raises(BadInput, match="you may not list nodes everywhere") as refusal:
        await asyncio.to_thread(write_snapshot, nobody, None)
    assert "\n" not in str(refusal.value)
