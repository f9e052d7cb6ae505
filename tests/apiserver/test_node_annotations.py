"""Nodes marked on a real API server: nothing of others is changed, and nothing is written on an outdated view."""

import asyncio
from collections.abc import AsyncIterator, Coroutine
from dataclasses import replace
from typing import Any

import pytest
from prometheus_client import CollectorRegistry

from support.api import exactly
from support.build import NOW
from support.fault_proxy import FaultProxy, answering, is_write
from trainpush.kube.client import Client, Object
from trainpush.kube.errors import Conflict
from trainpush.kube.node_annotations import NodeAnnotator
from trainpush.kube.resources import NODES
from trainpush.kube.store import Store
from trainpush.model.modes import Mode, Switch, SwitchStep
from trainpush.model.plan import AnnotateNode, NodeDecision
from trainpush.render.modes import node_patch
from trainpush.telemetry.metrics import Metrics

FOREIGN = [
    {"key": "example.com/gone", "effect": "NoExecute", "timeAdded": "2026-01-01T00:00:00Z"},
    {"key": "nvidia.com/gpu", "value": "present", "effect": "NoSchedule"},
]
NEW = {"key": "new", "effect": "NoSchedule"}
AT_REST = Switch(Mode.TRAINING, Mode.TRAINING, SwitchStep.ACTIVE, NOW, NOW)
LEAVING = replace(AT_REST, to=Mode.INFERENCE, step=SwitchStep.CORDONED, why="job team/a waits")
"""The first step of a way, and where it leads."""


def an_annotator(client: Client, *, may_write: bool = True) -> NodeAnnotator:
    """One with a store of its own."""
    return NodeAnnotator(client, Store(), lambda: may_write, Metrics(CollectorRegistry()))


@pytest.fixture
async def node(client: Client) -> AsyncIterator[str]:
    """A node with taints, labels and annotations of others."""
    metadata = {"generateName": "marked-", "labels": {"pool": "x"}, "annotations": {"other": "kept"}}
    body = {"apiVersion": "v1", "kind": "Node", "metadata": metadata}
    made = await client.create(NODES, body)
    # The API server gives a new node a taint.
    await client.patch(NODES, None, made["metadata"]["name"], {"spec": {"taints": FOREIGN}})
    yield made["metadata"]["name"]
    left = await client.get(NODES, made["metadata"]["name"])
    await client.delete(NODES, exactly(left))


async def on(client: Client, name: str) -> tuple[dict[str, str], dict[str, str], list[dict[str, str]]]:
    """Annotations, labels and taints of a node."""
    found = await client.get(NODES, name)
    metadata = found["metadata"]
    return metadata["annotations"], metadata["labels"], found["spec"]["taints"]


async def test_marks_come_and_go_and_leave_everything_else(client: Client, node: str) -> None:
    """From nothing to a mode, on its way to another, and back to nothing: as if nobody had been there."""
    before = await on(client, node)
    annotator = an_annotator(client)
    await annotator.annotate(AnnotateNode(node, None, AT_REST))
    annotations, labels, taints = await on(client, node)
    assert (annotations["other"], labels["pool"], labels["training.ai/mode"]) == ("kept", "x", "Training")
    assert [*FOREIGN, {"key": "training.ai/mode", "value": "Training", "effect": "NoSchedule"}] == taints
    await annotator.annotate(AnnotateNode(node, AT_REST, LEAVING))
    annotations, labels, taints = await on(client, node)
    assert '"step":"Cordoned"' in annotations["training.ai/switch"]
    assert {taint["key"]: taint.get("value") for taint in taints[2:]} == {
        "training.ai/mode": "Training",
        "training.ai/switching": "Inference",
    }
    await annotator.annotate(AnnotateNode(node, LEAVING, None))
    assert await on(client, node) == before


async def test_a_mark_that_is_another_by_now_is_left_alone(client: Client, node: str) -> None:
    """What was decided on is gone; the store learns what is there instead."""
    store = Store()
    annotator = NodeAnnotator(client, store, lambda: True, Metrics(CollectorRegistry()))
    await annotator.annotate(AnnotateNode(node, None, AT_REST))
    stood = await client.get(NODES, node)
    await annotator.annotate(AnnotateNode(node, None, LEAVING))
    await annotator.annotate(AnnotateNode(node, LEAVING, None))
    assert await client.get(NODES, node) == stood
    assert [found.switch for found in store.nodes] == [AT_REST]


@pytest.mark.parametrize(
    "spoilt",
    [
        {"metadata": {"labels": {"training.ai/mode": "Inference"}}},
        {"metadata": {"labels": {"training.ai/mode": None}}},
        {"spec": {"taints": FOREIGN}},
        {"spec": {"taints": [*FOREIGN, {"key": "training.ai/mode", "value": "Training", "effect": "NoExecute"}]}},
    ],
    ids=str,
)
async def test_what_was_changed_by_hand_is_repaired(client: Client, node: str, spoilt: Object) -> None:
    """Label and taints follow from the annotation; where they do already, nothing is written."""
    annotator = an_annotator(client)
    await annotator.annotate(AnnotateNode(node, None, AT_REST))
    sound = await on(client, node)
    await client.patch(NODES, None, node, spoilt)
    await annotator.annotate(AnnotateNode(node, AT_REST, AT_REST))
    assert await on(client, node) == sound
    stood = await client.get(NODES, node)
    await annotator.annotate(AnnotateNode(node, AT_REST, AT_REST))
    assert await client.get(NODES, node) == stood


async def test_a_broken_annotation_is_replaced(client: Client, node: str) -> None:
    """It counts as none."""
    await client.patch(NODES, None, node, {"metadata": {"annotations": {"training.ai/switch": "{"}}})
    await an_annotator(client).annotate(AnnotateNode(node, None, AT_REST))
    assert '"mode":"Training"' in (await on(client, node))[0]["training.ai/switch"]


async def test_nothing_is_written_by_whoever_does_not_lead(client: Client, node: str) -> None:
    """It may have lost the Lease a moment ago."""
    before = await on(client, node)
    await an_annotator(client, may_write=False).annotate(AnnotateNode(node, None, AT_REST))
    assert await on(client, node) == before


async def test_a_taint_that_came_meanwhile_is_not_lost(client: Client, node: str) -> None:
    """A patch that was made before somebody tainted the node is refused; the next one keeps the taint."""
    patch = node_patch(await client.get(NODES, node), AT_REST)
    await client.patch(NODES, None, node, {"spec": {"taints": [*FOREIGN, NEW]}})
    with pytest.raises(Conflict):
        await client.patch(NODES, None, node, patch)
    await an_annotator(client).annotate(AnnotateNode(node, None, AT_REST))
    taints = (await on(client, node))[2]
    assert [taint["key"] for taint in taints] == ["example.com/gone", "nvidia.com/gpu", "new", "training.ai/mode"]


async def test_a_node_that_was_made_anew_is_another_one(client: Client, node: str) -> None:
    """Under the same name, between reading and writing."""
    found = await client.get(NODES, node)
    await client.delete(NODES, exactly(found))
    await client.create(NODES, {"apiVersion": "v1", "kind": "Node", "metadata": {"name": node}})
    with pytest.raises(Conflict):
        await client.patch(NODES, None, node, node_patch(found, AT_REST))


async def test_a_refused_node_waits(proxy: FaultProxy, node: str) -> None:
    """The API server says no once: that node is left alone for a while, and then marked."""
    now = [100.0]
    async with Client(proxy.credentials) as shaken:
        store = Store()
        annotator = NodeAnnotator(shaken, store, lambda: True, Metrics(CollectorRegistry()), clock=lambda: now[0])
        decision = NodeDecision(node, AnnotateNode(node, None, AT_REST))
        proxy.fail(is_write, answering(403))
        assert await begun(annotator, decision) is None
        assert store.dirty.is_set()
        assert await begun(annotator, decision) == 15.0
        now[0] += 15.0
        assert await begun(annotator, decision, decision) is None
        assert [found.switch for found in store.nodes if found.name == node] == [AT_REST]


async def begun(annotator: NodeAnnotator, *decisions: NodeDecision) -> float | None:
    """What a cycle is told, once all is done."""
    work: list[Coroutine[Any, Any, None]] = []
    wait = annotator.begin(decisions, work.append)
    await asyncio.gather(*work)
    return wait
