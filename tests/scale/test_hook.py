"""A vendor's agent on a real cluster: told by a label with the new mode, and waited for; the test plays the agent."""

import json
from collections.abc import Callable, Iterator
from typing import Final

import pytest

from support.cluster import Objects, Space, a_pool, conditions, fake_nodes, says
from support.manifests import pool, racks
from testbed import Bed
from trainpush.kube.client import Object
from trainpush.kube.resources import GPUPOOLS, NODES

MODE: Final = "training.ai/mode"
SWITCH: Final = "training.ai/switch"
WISH: Final = "training.ai/wanted-mode"
MIG, STATE = "nvidia.com/mig.config", "nvidia.com/mig.config.state"
NODE: Final = "hooked-r1-0"
FAST: Final = {"policy": "Enforce", "minTimeInMode": "0s", "cooldown": "0s", "drainDeadline": "1h"}


def a_hooked(inference: str) -> Object:
    """A pool whose nodes train, and get another configuration when they serve."""
    hook = {"label": MIG, "stateLabel": STATE, "values": {"training": "all-disabled", "inference": inference}}
    return pool("hooked", "hooked", modes={"default": "Training"}, switching={**FAST, "hook": hook})


@pytest.fixture(autouse=True)
def _node(bed: Bed) -> Iterator[None]:
    """One node."""
    with fake_nodes(bed, racks("hooked", [1])):
        yield


async def say(space: Space, **labels: str | None) -> None:
    """Set labels of the node, as the vendor's agent or by hand; None removes one."""
    await space.client.patch(NODES, None, NODE, {"metadata": {"labels": labels}})


async def wish(space: Space, mode: str) -> None:
    """Ask for a mode of the node."""
    await space.client.patch(NODES, None, NODE, {"metadata": {"annotations": {WISH: mode}}})


def bears(value: str | None, state: str | None) -> Callable[[Objects], bool]:
    """A predicate: these are the vendor's labels of the node."""
    return lambda found: (labels(found).get(MIG), labels(found).get(STATE)) == (value, state)


def labels(found: Objects) -> dict[str, str]:
    return dict(found[NODE]["metadata"]["labels"])


def is_at(step: str) -> Callable[[Objects], bool]:
    """A predicate: how far the node has come."""
    return lambda found: switch(found).get("step") == step


def switch(found: Objects) -> Object:
    """The annotation of the node; empty where it has none."""
    annotation: Object = json.loads(found[NODE]["metadata"].get("annotations", {}).get(SWITCH, "{}"))
    return annotation


async def test_the_agent_is_told_with_the_mode_and_waited_for(space: Space) -> None:
    """What it said before is not believed, what is changed by hand is put right, and what fails is told at once."""
    with a_pool(space.bed, a_hooked("all-1g")):
        await space.until(NODES, is_at("Active"), "the node trains")
        await say(space, **{MIG: "all-disabled", STATE: "success"})
        await wish(space, "Inference")
        nodes = await space.until(NODES, bears("all-1g", None), "the agent is told, and has said nothing")
        assert labels(nodes)[MODE] == "Inference"
        await space.until(NODES, is_at("Warming"), "the node waits for it")
        await say(space, **{MIG: "all-disabled", STATE: "success"})
        await space.until(
            NODES, bears("all-1g", None), "the label is put right, what was said of the other one is gone"
        )
        await say(space, **{STATE: "failed"})
        late = says("ModeSettled", "False", "NotReadyInTime")
        told = await space.until(GPUPOOLS, lambda found: late(found["hooked"]), "the pool names the node")
        settled = conditions(told["hooked"])["ModeSettled"]
        assert settled["message"] == f"{NODE} does not get ready for Inference: {STATE} is failed"
        assert says("Degraded")(told["hooked"])
        await space.client.patch(
            GPUPOOLS, None, "hooked", {"spec": {"switching": a_hooked("all-1g.10gb")["spec"]["switching"]}}
        )
        await space.until(NODES, bears("all-1g.10gb", None), "the agent is told the value that was corrected")
        await say(space, **{STATE: "success"})
        await space.until(NODES, is_at("Active"), "the node serves")
        await space.until(GPUPOOLS, lambda found: says("ModeSettled")(found["hooked"]), "nothing is wrong any more")


async def test_a_hook_that_is_gone_leaves_the_label(space: Space) -> None:
    """It says how the node is configured; from then on it is its people's."""
    with a_pool(space.bed, a_hooked("all-1g.10gb")):
        await wish(space, "Inference")
        await space.until(NODES, is_at("Warming"), "the node waits")
        await say(space, **{STATE: "success"})
        nodes = await space.until(NODES, is_at("Active"), "the node serves")
        assert switch(nodes)["setting"]["value"] == "all-1g.10gb"
        await space.client.patch(GPUPOOLS, None, "hooked", {"spec": {"switching": {"hook": None}}})
        nodes = await space.until(
            NODES, lambda found: "setting" not in switch(found), "the annotation speaks of it no more"
        )
        assert bears("all-1g.10gb", "success")(nodes)
        await say(space, **{MIG: "mine"})
    nodes = await space.until(NODES, lambda found: not switch(found), "nothing of ours is left")
    assert bears("mine", "success")(nodes)
    assert MODE not in labels(nodes)
