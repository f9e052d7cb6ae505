"""Images that nodes pull before they take work, on a real cluster; the test plays the kubelet of a fake node."""

import json
from collections.abc import Iterator
from typing import Any, Final

import pytest

from support.cluster import Objects, Space, a_pool, conditions, fake_nodes, says
from support.manifests import pool, racks
from support.operator_process import NAMESPACE
from testbed import Bed
from trainpush.kube.client import Object
from trainpush.kube.resources import GPUPOOLS, NODES, PODS

SWITCH: Final = "training.ai/switch"
WISH: Final = "training.ai/wanted-mode"
NODE: Final = "warm-r1-0"
IMAGES: Final = ["example.com/triton:1", "example.com/train:1"]
FAST: Final = {"policy": "Enforce", "minTimeInMode": "0s", "cooldown": "0s", "drainDeadline": "1h"}


def a_warmed(images: list[str]) -> Object:
    """A pool whose nodes pull images before they take work."""
    return pool("warmed", "warm", modes={"default": "Training"}, switching={**FAST, "warmImages": images})


@pytest.fixture(autouse=True)
def _node(bed: Bed) -> Iterator[None]:
    """One node."""
    with fake_nodes(bed, racks("warm", [1])):
        yield


@pytest.fixture
def home(space: Space) -> Space:
    """The operator's own namespace."""
    return Space(space.bed, space.client, NAMESPACE)


def prepull_pods(found: Objects) -> list[Object]:
    """The pods that pull."""
    return [pod for pod in found.values() if "training.ai/warm-images" in pod["metadata"].get("labels", {})]


def step(found: Objects) -> str:
    """How far the node has come."""
    annotation = json.loads(found[NODE]["metadata"].get("annotations", {}).get(SWITCH, "{}"))
    return str(annotation.get("step"))


async def pulls(home: Space, *statuses: dict[str, Any]) -> None:
    """What the kubelet says of the containers of the one pod; after what fake kubelets say."""

    def is_alone(found: Objects) -> bool:
        return [pod["status"]["phase"] for pod in prepull_pods(found)] == ["Running"]

    pods = await home.until(PODS, is_alone, "there is one pod that pulls")
    metadata = prepull_pods(pods)[0]["metadata"]
    told = [
        {"image": "any", "imageID": "", "name": f"image-{position}", "ready": False, "restartCount": 0, **status}
        for position, status in enumerate(statuses)
    ]
    home.bed.kubectl(
        *("patch", "pod", metadata["name"], "--namespace", NAMESPACE, "--subresource=status", "--type=merge"),
        *("--patch", json.dumps({"status": {"containerStatuses": told}})),
    )


PULLED: Final = {"imageID": "sha256:1", "state": {"terminated": {"exitCode": 128, "reason": "StartError"}}}
REFUSED: Final = {"state": {"waiting": {"reason": "ImagePullBackOff", "message": "no such host"}}}


async def test_a_node_takes_work_when_all_images_are_there(space: Space, home: Space) -> None:
    """What cannot be pulled is told with image and node; a corrected list makes another pod; the last one goes."""
    with a_pool(space.bed, a_warmed([IMAGES[0], "example.com/trian:1"])):
        await space.until(NODES, lambda found: step(found) == "Active", "the node trains")
        await space.client.patch(NODES, None, NODE, {"metadata": {"annotations": {WISH: "Inference"}}})
        await pulls(home, PULLED, REFUSED)
        said = f"{NODE} waits: image example.com/trian:1: ImagePullBackOff: no such host"

        def is_told(found: Objects) -> bool:
            return said in conditions(found["warmed"])["ModeSettled"]["message"]

        await space.until(GPUPOOLS, is_told, "the pool names image and node")
        before = prepull_pods(await home.until(PODS, prepull_pods, "a pod pulls"))[0]["metadata"]["name"]
        edited = a_warmed(IMAGES)["spec"]["switching"]
        await space.client.patch(GPUPOOLS, None, "warmed", {"spec": {"switching": edited}})

        def is_another(found: Objects) -> bool:
            return [pod["metadata"]["name"] for pod in prepull_pods(found)] not in ([], [before])

        await home.until(PODS, is_another, "another pod pulls")
        await pulls(home, PULLED, PULLED)
        await space.until(NODES, lambda found: step(found) == "Active", "the node serves")
        await space.until(GPUPOOLS, lambda found: says("ModeSettled")(found["warmed"]), "all is well")
        await home.until(PODS, lambda found: not prepull_pods(found), "the pod is gone")


async def test_a_pool_that_goes_takes_its_pods_with_it(space: Space, home: Space) -> None:
    """However far they are."""
    with a_pool(space.bed, a_warmed(IMAGES)):
        await space.client.patch(NODES, None, NODE, {"metadata": {"annotations": {WISH: "Inference"}}})
        pods = await home.until(PODS, prepull_pods, "a pod pulls")
        assert prepull_pods(pods)[0]["spec"]["nodeName"] == NODE
    await home.until(PODS, lambda found: not prepull_pods(found), "it is gone")
