"""What a snapshot holds: each kind that the operator lists, by its own readers, reduced to what they read."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final

import msgspec

from trainpush.api import names
from trainpush.api.base import Metadata
from trainpush.kube import decode, decode_children
from trainpush.kube.children import read_budget, read_endpoint, read_export, read_revision, read_slice
from trainpush.kube.client import Object
from trainpush.kube.daemons import decode_daemon, read_daemon
from trainpush.kube.priorities import read_priority
from trainpush.kube.records import pod_row, read_node, read_pod
from trainpush.kube.resources import (
    BUDGETS,
    DAEMONSETS,
    ENDPOINTSLICES,
    GPUPOOLS,
    INFERENCESERVICES,
    JOBS,
    NODES,
    OURS,
    PODS,
    PRIORITYCLASSES,
    REVISIONS,
    SERVICES,
    SERVING,
    TRAINPUSHJOBS,
    Resource,
)
from trainpush.kube.store import Store
from trainpush.model.nodes import is_in_bytes

_METADATA: Final = [field.alias or name for name, field in Metadata.model_fields.items()]

Body = bytes | msgspec.Raw
"""An object as JSON."""


@dataclass(frozen=True, slots=True)
class Holding:
    """One kind: what is kept of an object, and how the store takes it."""

    resource: Resource
    kept: Callable[[Body], object]
    """What is kept of an object beside its kind: a record or JSON values."""
    put: Callable[[Store, Body], object]
    """Raises `msgspec.MsgspecError` or `ValueError` when the object is malformed."""
    selector: str = ""
    """Which objects of the kind are asked for; empty means all."""

    def reduced(self, body: Body) -> Object:
        """The same object with nothing but what `put` reads."""
        plain: Object = msgspec.to_builtins(self.kept(body))
        return {"apiVersion": self.resource.api_version, "kind": self.resource.kind, **plain}


def _node(body: Body) -> decode.NodeObject:
    node = decode.node(body)
    node.status.capacity = {name: amount for name, amount in node.status.capacity.items() if "/" in name}
    return node


def _pod(body: Body) -> Object:
    """What it takes stands in `spec.resources`; of a foreign pod, only where, until when and of whom is kept beside."""
    pod = decode.pod(body)
    requests = {name: _quantity(name, amount) for name, amount in pod.requests.items()}
    row, meta = pod_row(pod), pod.metadata
    if row.ours is None:
        pod = decode.PodObject(
            metadata=decode.PodMeta(
                meta.name,
                meta.uid,
                meta.resource_version,
                meta.namespace,
                owner_references=[owner for owner in meta.owner_references if owner.uid == row.maker],
                deletion_timestamp=meta.deletion_timestamp,
            ),
            spec=decode.PodSpec(pod.spec.node_name),
            status=decode.PodStatus(pod.status.phase),
        )
    plain: Object = msgspec.to_builtins(pod)
    plain.pop("requests", None)
    spec = {key: value for key, value in plain.get("spec", {}).items() if key not in {"resources", "overhead"}}
    return {**plain, "spec": {**spec, "resources": {"requests": requests}}}


def _quantity(resource: str, counted: int) -> str:
    """As Kubernetes writes an amount that was counted."""
    if is_in_bytes(resource):
        return str(counted)
    return f"{counted}m" if counted % 1000 else str(counted // 1000)


def _own(body: Body) -> Object:
    """Of our own kinds all that is asked for and was decided; of their metadata, what is read."""
    raw: Object = msgspec.json.decode(body)
    metadata: dict[str, Any] = {key: raw["metadata"][key] for key in _METADATA if key in raw["metadata"]}
    annotations = metadata.pop("annotations", None) or {}
    if ours := {key: text for key, text in annotations.items() if key.startswith(f"{names.GROUP}/")}:
        metadata["annotations"] = ours
    return {"metadata": metadata, **{key: raw[key] for key in ("spec", "status") if key in raw}}


HOLDINGS: Final = {
    holding.resource.kind: holding
    for holding in (
        Holding(NODES, _node, lambda store, body: store.nodes.put(read_node(body))),
        Holding(PODS, _pod, lambda store, body: store.pods.put(read_pod(body))),
        Holding(PRIORITYCLASSES, decode.priority, lambda store, body: store.priorities.put(read_priority(body))),
        Holding(DAEMONSETS, decode_daemon, lambda store, body: store.daemons.put(read_daemon(body))),
        Holding(GPUPOOLS, _own, lambda store, body: store.pools.take(msgspec.json.decode(body))),
        Holding(TRAINPUSHJOBS, _own, lambda store, body: store.jobs.take(msgspec.json.decode(body))),
        Holding(INFERENCESERVICES, _own, lambda store, body: store.services.take(msgspec.json.decode(body))),
        Holding(JOBS, decode_children.job, lambda store, body: store.exports.put(read_export(body)), OURS),
        Holding(
            REVISIONS, decode_children.revision, lambda store, body: store.revisions.put(read_revision(body)), OURS
        ),
        Holding(SERVICES, decode_children.service, lambda store, body: store.endpoints.put(read_endpoint(body)), OURS),
        Holding(
            ENDPOINTSLICES,
            decode_children.endpoint_slice,
            lambda store, body: store.slices.put(read_slice(body)),
            SERVING,
        ),
        Holding(BUDGETS, decode_children.budget, lambda store, body: store.budgets.put(read_budget(body)), OURS),
    )
}
"""By kind."""
GIVEN: Final = (TRAINPUSHJOBS.kind, INFERENCESERVICES.kind, GPUPOOLS.kind)
"""Kinds that users ask for."""
