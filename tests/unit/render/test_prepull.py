"""The pod that pulls images, as it is made and as it is read again."""

import json
from typing import Any

import pytest

from support.manifests import pool
from trainpush.api import names
from trainpush.api.gpupool import GPUPool
from trainpush.kube.records import OwnerId, read_node, read_pod
from trainpush.kube.store import Store
from trainpush.model.actions import MakePrepullPod
from trainpush.model.fleet import PoolSelector
from trainpush.model.modes import PrepullPod, digest_of
from trainpush.render.prepull import position_of, prepull_pod, prepull_pod_name

IMAGES = ("triton:1", "train:2")
MADE = GPUPool.parse({**pool("a100", "a"), "metadata": {"name": "a100", "uid": "pool", "resourceVersion": "1"}})
ACTION = MakePrepullPod("node-1.example", IMAGES)


def read(namespace: str = "home", **status: Any) -> PrepullPod:
    """The pod as read, with this status."""
    found = body(namespace, **status)
    row = read_pod(found).value
    assert isinstance(row.ours, PrepullPod)
    assert row.owner == OwnerId("pool", namespace)
    return row.ours


def body(namespace: str = "home", **status: Any) -> bytes:
    """The pod as the API server sends it."""
    made = prepull_pod(MADE, namespace, ACTION)
    made["metadata"] |= {"uid": namespace, "resourceVersion": "7", "creationTimestamp": "2026-01-01T00:00:00Z"}
    return json.dumps({**made, "status": status}).encode()


def test_it_runs_nothing_and_takes_next_to_nothing() -> None:
    """No accelerator, no token, no right; on its node whatever our taints say."""
    made = prepull_pod(MADE, "home", ACTION)
    spec = made["spec"]
    assert (spec["nodeName"], spec["restartPolicy"]) == ("node-1.example", "Never")
    assert spec["automountServiceAccountToken"] is False
    assert [it["image"] for it in spec["containers"]] == list(IMAGES)
    for container in spec["containers"]:
        assert container["imagePullPolicy"] == "IfNotPresent"
        assert container["resources"]["requests"].keys() == {"cpu", "memory"}
        assert container["securityContext"]["capabilities"] == {"drop": ["ALL"]}
    keys = {it["key"] for it in spec["tolerations"]}
    assert {names.LABEL_MODE, names.LABEL_SWITCHING} < keys
    owner = made["metadata"]["ownerReferences"][0]
    assert (owner["kind"], owner["uid"], owner["controller"]) == ("GPUPool", "pool", True)
    assert made["metadata"]["namespace"] == "home"


def test_its_name_tells_nodes_and_images_apart() -> None:
    """Made twice, it is the same."""
    others = [MakePrepullPod("node-2.example", IMAGES), MakePrepullPod("node-1.example", IMAGES[::-1]), ACTION]
    assert len({prepull_pod_name("a100", it) for it in others}) == 3
    assert prepull_pod(MADE, "home", ACTION) == prepull_pod(MADE, "home", ACTION)
    assert len(prepull_pod_name("p" * 63, ACTION)) <= 253


def a_status(position: int, image_id: str = "", **state: Any) -> dict[str, Any]:
    """What the kubelet says of a container."""
    return {"name": f"image-{position}", "imageID": image_id, "state": state, "ready": False, "image": "any"}


def test_an_image_is_there_whether_its_container_could_start_or_not() -> None:
    """The kubelet names the image that it made the container from."""
    start_error = {"exitCode": 128, "reason": "StartError", "message": "no such file"}
    pulling = {"reason": "ContainerCreating"}
    refused = {"reason": "ErrImagePull", "message": "x" * 400}
    found = read(
        phase="Pending",
        containerStatuses=[a_status(1, waiting=refused), a_status(0, "sha256:1", terminated=start_error)],
    )
    assert (found.node, found.digest, found.is_over) == ("node-1.example", digest_of(IMAGES), False)
    assert found.pulled == {0}
    assert found.troubles.keys() == {1}
    assert found.troubles[1].startswith("ErrImagePull: xxx")
    assert len(found.troubles[1]) <= 160
    assert read(phase="Pending", containerStatuses=[a_status(0, waiting=pulling)]).troubles == {}
    assert read(phase="Failed", reason="Evicted").is_over
    # CRI-O looks for the command when it creates the container, and keeps none.
    created = read(phase="Pending", containerStatuses=[a_status(0, waiting={"reason": "CreateContainerError"})])
    assert created.pulled == {0}
    assert not created.troubles


@pytest.mark.parametrize(
    ("container", "position"),
    [("image-0", 0), ("image-15", 15), ("image-", None), ("image", None), ("3", None), ("image-x", None)],
)
def test_which_image_a_container_is_for(container: str, position: int | None) -> None:
    """By its name; sidecars that others inject have none."""
    assert position_of(container) == position


def test_it_keeps_no_work_away() -> None:
    """What others claim to be such a pod in a namespace of theirs counts as any pod."""
    store = Store(home="home")
    store.fleet.divide([PoolSelector("p", {}, ())])
    node = {
        "metadata": {"name": ACTION.node, "uid": "n", "resourceVersion": "1"},
        "status": {"allocatable": {"pods": "9"}},
    }
    store.nodes.put(read_node(json.dumps(node).encode()))
    store.pods.put(read_pod(body()))
    assert store.fleet.table("p").used.sum() == 0
    assert [it.name for it in store.prepull_pods.of(OwnerId("pool", "home"))] == [prepull_pod_name("a100", ACTION)]
    store.pods.forget("home")
    assert not store.prepull_pods.of(OwnerId("pool", "home"))
    store.pods.put(read_pod(body("elsewhere")))
    assert store.fleet.table("p").used.sum() > 0
    assert not store.prepull_pods.of(OwnerId("pool", "home"))
