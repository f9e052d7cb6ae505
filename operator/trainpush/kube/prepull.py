"""Pods that make nodes pull images, as read: which of the images are there, and what the kubelet says of the others."""

from datetime import UTC, datetime
from typing import Final

from trainpush.api import names
from trainpush.kube.decode import ContainerStatus, PodObject
from trainpush.kube.startup import UNDERWAY
from trainpush.model.modes import PrepullPod
from trainpush.render.prepull import position_of

TROUBLE_MAX: Final = 160
"""Longest trouble with an image that is kept, in characters."""
_PULLED: Final = {
    *("CreateContainerConfigError", "PreCreateHookError", "CreateContainerError", "PreStartHookError"),
    "RunContainerError",
}
"""Reasons that the kubelet comes to only with the image on the node; not every runtime keeps such a container."""
_LONG_AGO: Final = datetime.fromtimestamp(0, UTC)


def prepull_record(pod: PodObject) -> PrepullPod | None:
    """What counts of a pod that a GPUPool owns; None for one that pulls no images onto a node."""
    digest = pod.labels.get(names.LABEL_IMAGES)
    if digest is None or pod.node is None:
        return None
    statuses = {
        position: status
        for status in pod.status.container_statuses
        if (position := position_of(status.name)) is not None
    }
    return PrepullPod(
        name=pod.name,
        uid=pod.uid,
        node=pod.node,
        digest=digest,
        created=pod.metadata.creation_timestamp or _LONG_AGO,
        pulled=frozenset(position for position, status in statuses.items() if _is_pulled(status)),
        troubles={position: said for position, status in statuses.items() if (said := _trouble(status))},
        is_over=pod.is_over,
        deleting=pod.is_deleting,
    )


def _is_pulled(status: ContainerStatus) -> bool:
    waiting = status.state.waiting
    return bool(status.image_id) or (waiting is not None and waiting.reason in _PULLED)


def _trouble(status: ContainerStatus) -> str:
    waiting = status.state.waiting
    if _is_pulled(status) or waiting is None or waiting.reason in UNDERWAY:
        return ""
    return f"{waiting.reason}: {waiting.message}".strip(": ")[:TROUBLE_MAX]
