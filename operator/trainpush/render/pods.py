"""What all pods of trainpush have in common: who owns them, where they may go, and what they may not do."""

from collections.abc import Iterable
from typing import Any, Final

from trainpush.api import names
from trainpush.api.base import Resource, plain
from trainpush.api.pod import SecurityContext
from trainpush.api.revision import PROXY_REQUESTS

Manifest = dict[str, Any]

PRIORITY_CLASS: Final = "trainpush"
"""Priority class of every pod; it never preempts, since kube-scheduler knows nothing of checkpoints."""
SHARED_MEMORY: Final = "trainpush-shared-memory"
"""Name of the volume for /dev/shm."""
NO_ACCELERATOR: Final = {"name": "NVIDIA_VISIBLE_DEVICES", "value": "void"}
"""Variable of a container that gets no accelerator: many images say `all`, and would see those of others."""
OWN_RESOURCES: Final = {"requests": PROXY_REQUESTS, "limits": {"cpu": "1", "memory": "256Mi"}}
"""What a container that trainpush adds is given: where a ResourceQuota wants limits, it wants them of each."""


def confined() -> Manifest:
    """What the spec of every pod begins with: it reaches neither the API server nor anything by surprise."""
    return {"priorityClassName": PRIORITY_CLASS, "automountServiceAccountToken": False, "enableServiceLinks": False}


def common_labels(app: str, component: str, instance: str) -> dict[str, str]:
    """What every child bears: of which `app` of ours it is, as what, and the name of its owner."""
    return {
        names.LABEL_MANAGED_BY: names.FIELD_MANAGER,
        names.LABEL_APP: app,
        names.LABEL_COMPONENT: component,
        names.LABEL_INSTANCE: instance,
    }


def child_metadata(parent: Resource, name: str, labels: dict[str, str]) -> Manifest:
    """The metadata of an object in the namespace of `parent` that goes with it."""
    return {"name": name, "namespace": parent.namespace, "labels": labels, "ownerReferences": [owner(parent)]}


def owner(resource: Resource) -> Manifest:
    """The reference by which a child of `resource` goes with it."""
    return {
        "apiVersion": names.API_VERSION,
        "kind": type(resource).__name__,
        "name": resource.name,
        "uid": resource.uid,
        "controller": True,
        "blockOwnerDeletion": True,
    }


def on_nodes(nodes: Iterable[str]) -> Manifest:
    """An affinity for these nodes and no others."""
    return {"nodeAffinity": {"requiredDuringSchedulingIgnoredDuringExecution": {"nodeSelectorTerms": _terms(nodes)}}}


def near_nodes(nodes: Iterable[str]) -> Manifest:
    """An affinity for these nodes, as long as they are there."""
    wishes = [{"weight": 100, "preference": term} for term in _terms(nodes)]
    return {"nodeAffinity": {"preferredDuringSchedulingIgnoredDuringExecution": wishes}}


def _terms(nodes: Iterable[str]) -> list[Manifest]:
    # The API takes one name in each term, and any one of the terms will do.
    return [{"matchFields": [{"key": "metadata.name", "operator": "In", "values": [node]}]} for node in nodes]


def pod_security(wanted: SecurityContext | None) -> Manifest:
    """The security context of a pod: as whom it runs, if that was asked for."""
    asked = plain(wanted) if wanted else {}
    kept: Manifest = {key: asked[key] for key in ("runAsUser", "runAsGroup", "runAsNonRoot", "fsGroup") if key in asked}
    # A user who is named is never root; many namespaces want that said.
    named = {"runAsNonRoot": True} if "runAsUser" in asked else {}
    return {**named, **kept, "seccompProfile": {"type": "RuntimeDefault"}}


def container_security(read_only: bool) -> Manifest:
    """The security context of a container, whose own files it may write unless `read_only`."""
    return {
        "allowPrivilegeEscalation": False,
        "capabilities": {"drop": ["ALL"]},
        "readOnlyRootFilesystem": read_only,
    }


def memory_volume(size: str | int) -> Manifest:
    """The volume for /dev/shm."""
    return {"name": SHARED_MEMORY, "emptyDir": {"medium": "Memory", "sizeLimit": size}}


def memory_mount() -> Manifest:
    """Where it appears."""
    return {"name": SHARED_MEMORY, "mountPath": "/dev/shm"}  # noqa: S108 - the pod's own
