"""The pod that makes a node pull images before it takes work: a container for each, which need not be able to run."""

from hashlib import sha256
from typing import Final

from trainpush.api import names
from trainpush.api.base import plain
from trainpush.api.gpupool import GPUPool
from trainpush.model.actions import MakePrepullPod
from trainpush.model.modes import digest_of
from trainpush.render.pods import NO_ACCELERATOR, Manifest, common_labels, confined, container_security, owner

_CONTAINER: Final = "image-"
_NOBODY: Final = 65534
"""As whom it would run: a number, since the kubelet refuses to begin with an image whose user it must look up."""
_COMMAND: Final = ["/trainpush-pulls-only"]
"""In no image: the container ends at once, without a line of the image having run."""


def prepull_pod_name(pool: str, action: MakePrepullPod) -> str:
    """Name of the pod: the same for the same images on the same node."""
    what = f"{action.node}/{digest_of(action.images)}"
    return f"{pool}-warm-{sha256(what.encode()).hexdigest()[:10]}"


def position_of(container: str) -> int | None:
    """Which image of the list a container is for."""
    number = container.removeprefix(_CONTAINER)
    return int(number) if number.isascii() and number.isdecimal() and number != container else None


def prepull_pod(pool: GPUPool, namespace: str, action: MakePrepullPod) -> Manifest:
    """The pod, bound to its node at once: it takes next to nothing, and may run where people keep work away."""
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {
            "name": prepull_pod_name(pool.name, action),
            "namespace": namespace,
            "labels": {
                **common_labels("trainpush-pool", "prepull", pool.name),
                names.LABEL_POOL: pool.name,
                names.LABEL_IMAGES: digest_of(action.images),
            },
            # Nobody has to wait for it when the pool goes.
            "ownerReferences": [{**owner(pool), "blockOwnerDeletion": False}],
        },
        "spec": {
            **confined(),
            "nodeName": action.node,
            "restartPolicy": "Never",
            "terminationGracePeriodSeconds": 1,
            "tolerations": [
                *map(plain, pool.spec.tolerations),
                {"key": names.LABEL_MODE, "operator": "Exists"},
                {"key": names.LABEL_SWITCHING, "operator": "Exists"},
            ],
            "securityContext": {
                "runAsNonRoot": True,
                "runAsUser": _NOBODY,
                "runAsGroup": _NOBODY,
                "seccompProfile": {"type": "RuntimeDefault"},
            },
            "containers": [_container(position, image) for position, image in enumerate(action.images)],
        },
    }


def _container(position: int, image: str) -> Manifest:
    return {
        "name": f"{_CONTAINER}{position}",
        "image": image,
        "imagePullPolicy": "IfNotPresent",
        "command": _COMMAND,
        "env": [NO_ACCELERATOR],
        "resources": {"requests": {"cpu": "1m", "memory": "1Mi"}, "limits": {"cpu": "100m", "memory": "32Mi"}},
        "securityContext": container_security(read_only=True),
    }
