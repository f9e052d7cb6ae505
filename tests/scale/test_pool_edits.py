"""Pools that ask for what cannot be, or go away in the middle of it: no node is left unusable."""

import json
from collections.abc import Iterator
from typing import Any, Final

import pytest

from support.cluster import Objects, Space, a_pool, conditions, fake_nodes, says
from support.manifests import job, pool, racks
from testbed import Bed
from trainpush.kube.client import Object
from trainpush.kube.resources import GPUPOOLS, NODES, PODS

MODE: Final = "training.ai/mode"
SWITCH: Final = "training.ai/switch"
FAST: Final = {"policy": "Enforce", "minTimeInMode": "0s", "cooldown": "0s"}
HOLD: Final = "example.com/hold"


def a_split(name: str = "edited", **modes: Any) -> Object:
    """A pool on the three nodes, which train by default."""
    return pool(name, "edited", modes={"default": "Training", **modes}, switching=FAST)


@pytest.fixture(autouse=True)
def _nodes(bed: Bed) -> Iterator[None]:
    """One rack of three nodes."""
    with fake_nodes(bed, racks("edited", [3])):
        yield


def ours(nodes: Objects) -> list[Object]:
    return [node for name, node in sorted(nodes.items()) if name.startswith("edited-")]


def marks(node: Object) -> dict[str, str]:
    """The step, the label, and our taints; empty for a node that bears nothing of ours."""
    switch = json.loads(node["metadata"].get("annotations", {}).get(SWITCH, "{}"))
    taints = {t["key"]: t.get("value", "") for t in node["spec"].get("taints", []) if t["key"].startswith("training.")}
    label = node["metadata"]["labels"].get(MODE)
    return {**taints, **({"label": label} if label else {}), **({"step": switch["step"]} if switch else {})}


def settled(pools: Objects, name: str = "edited") -> Object:
    return conditions(pools[name]).get("ModeSettled", {})


async def test_a_calendar_that_cannot_be_met_is_told_with_numbers(space: Space) -> None:
    """Inference gets its least, training what is left; nothing flaps, and work goes on."""
    window = {"name": "always", "from": "00:00", "to": "00:00", "timeZone": "Asia/Tokyo", "inference": {"min": 2}}
    with a_pool(space.bed, a_split(training={"min": 2}, schedule=[window])):

        def is_told(found: Objects) -> bool:
            counts = found["edited"].get("status", {}).get("modes", {})
            is_unmet = settled(found).get("reason") == "BoundsNotMet"
            return is_unmet and (counts.get("inference"), counts.get("training")) == (2, 1)

        told = await space.until(GPUPOOLS, is_told, "the pool says what is missing")
        assert "Training needs 2 nodes, and 1 of 3" in settled(told)["message"]
        await space.create(job("one", 1, placement={"pool": "edited"}))
        await space.job("one", says("Running"), "runs on what is left")
        await space.clear()


async def test_a_younger_pool_touches_no_node_of_an_older_one(space: Space) -> None:
    """Though it asks for other modes of the same nodes; it says whose they are."""
    with a_pool(space.bed, a_split()):
        await space.until(NODES, lambda found: all(marks(n).get("label") == "Training" for n in ours(found)), "train")
        with a_pool(space.bed, a_split("younger", inference={"min": 3})):

            def is_told(found: Objects) -> bool:
                return "younger" in found and says("NodesFound", "False", "OverlappingPools")(found["younger"])

            await space.until(GPUPOOLS, is_told, "it says that an older pool has its nodes")
            nodes, _ = await space.client.list(NODES)
            found = [marks(node) for node in nodes if node["metadata"]["name"].startswith("edited-")]
            assert found == [{MODE: "Training", "label": "Training", "step": "Active"}] * 3


async def test_a_pool_that_is_deleted_in_the_middle_of_a_switch_leaves_its_nodes_usable(space: Space) -> None:
    """What runs goes on, no node bears an annotation, and the next pool has them all."""
    with a_pool(space.bed, a_split()):
        await space.create(job("stays", 2, placement={"pool": "edited"}, scheduling={"preemption": "Never"}))
        await space.job("stays", says("Running"), "runs")
        await space.create(job("goes", 1, placement={"pool": "edited"}))
        await space.job("goes", says("Running"), "runs")
        before = await space.pods()
        held = next(name for name in before if name.startswith("goes-"))
        await space.client.patch(PODS, space.name, held, {"metadata": {"finalizers": [HOLD]}})
        wanted = {"spec": {"modes": {"inference": {"min": 1}}}}
        await space.client.patch(GPUPOOLS, None, "edited", wanted)
        await space.until(
            NODES, lambda found: any(marks(n).get("step") == "Draining" for n in ours(found)), "a node drains"
        )
    await space.until(NODES, lambda found: not any(map(marks, ours(found))), "no node bears an annotation")
    await space.client.patch(PODS, space.name, held, {"metadata": {"finalizers": None}})
    now = await space.pods()
    stayed = [name for name in before if name.startswith("stays-")]
    assert [now[name]["metadata"]["uid"] for name in stayed] == [before[name]["metadata"]["uid"] for name in stayed]
    with a_pool(space.bed, pool("edited", "edited")):
        await space.job("goes", says("Running"), "runs again")
        assert (await space.job("stays", says("Running"), "runs"))["status"]["attempt"] == 1
        await space.clear()
