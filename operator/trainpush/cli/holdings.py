"""What a snapshot holds: each kind that the operator lists, by its own readers, reduced to what they read."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final

import msgspec

from trainpush.api import names
from trainpush.api.base import Metadata
from trainpush.kube import decode
from trainpush.kube.children import read_export, read_owned, read_revision
from trainpush.kube.client import Object
from trainpush.kube.daemons import decode_daemon, read_daemon
from trainpush.kube.priorities import read_priority
from trainpush.kube.records import pod_row, read_node, read_pod
from trainpush.kube.resources import (
    BUDGETS,
    DAEMONSETS,
    GPUPOOLS,
    INFERENCESERVICES,
    JOBS,
    NODES,
    PODS,
    PRIORITYCLASSES,
    REVISIONS,
    SERVICES,
    TRAINPUSHJOBS,
    Resource,
)
from trainpush.kube.store import Store

OURS: Final = f"{names.LABEL_MANAGED_BY}={names.FIELD_MANAGER}"
_METADATA: Final = [field.alias or name for name, field in Metadata.model_fields.items()]

Body = bytes | msgspec.Raw
"""An object as JSON."""


@dataclass(frozen=True, slots=True)
class Holding:
    """One kind: what is kept of an object, and how the store takes it."""

    resource: Resource
    reduced: Callable[[Body], Object]
    """The same object with nothing but what `put` reads."""
    put: Callable[[Store, Body], object]
    """Raises `msgspec.MsgspecError` or `ValueError` when the object is malformed."""
    selector: str = ""
    """Which objects of the kind are asked for; empty means all."""


def _named(resource: Resource, found: msgspec.Struct) -> Object:
    plain: Object = msgspec.to_builtins(found)
    return {"apiVersion": resource.api_version, "kind": resource.kind, **plain}


def _node(body: Body) -> Object:
    found = decode.node(body)
    found.status.capacity = {name: amount for name, amount in found.status.capacity.items() if "/" in name}
    return _named(NODES, found)


def _pod(body: Body) -> Object:
    """What it takes stands in `spec.resources`; of a foreign pod, nothing else is kept than where it takes that."""
    found = decode.pod(body)
    requests = {name: _quantity(amount) for name, amount in found.requests.items()}
    if pod_row(found).ours is None:
        meta = found.metadata
        found = decode.PodObject(
            metadata=decode.PodMeta(meta.name, meta.uid, meta.resource_version, meta.namespace),
            spec=decode.PodSpec(found.spec.node_name),
            status=decode.PodStatus(found.status.phase),
        )
    plain = _named(PODS, found)
    plain.pop("requests", None)
    spec = {key: value for key, value in plain.get("spec", {}).items() if key not in {"resources", "overhead"}}
    return {**plain, "spec": {**spec, "resources": {"requests": requests}}}


def _quantity(thousandths: int) -> str:
    return f"{thousandths}m" if thousandths % 1000 else str(thousandths // 1000)


def _own(resource: Resource) -> Callable[[Body], Object]:
    def reduced(body: Body) -> Object:
        raw: Object = msgspec.json.decode(body)
        metadata: dict[str, Any] = {key: raw["metadata"][key] for key in _METADATA if key in raw["metadata"]}
        annotations = metadata.pop("annotations", None) or {}
        if ours := {key: text for key, text in annotations.items() if key.startswith(f"{names.GROUP}/")}:
            metadata["annotations"] = ours
        kept: Object = {key: raw[key] for key in ("spec", "status") if key in raw}
        return {"apiVersion": resource.api_version, "kind": resource.kind, "metadata": metadata, **kept}

    return reduced


def _job(body: Body) -> Object:
    return _named(JOBS, decode.job(body))


def _priority(body: Body) -> Object:
    return _named(PRIORITYCLASSES, decode.priority(body))


def _daemon(body: Body) -> Object:
    return _named(DAEMONSETS, decode_daemon(body))


def _revision(body: Body) -> Object:
    return _named(REVISIONS, decode.revision(body))


def _owned(resource: Resource) -> Callable[[Body], Object]:
    return lambda body: _named(resource, decode.owned(body))


HOLDINGS: Final = {
    holding.resource.kind: holding
    for holding in (
        Holding(NODES, _node, lambda store, body: store.nodes.put(read_node(body))),
        Holding(PODS, _pod, lambda store, body: store.pods.put(read_pod(body))),
        Holding(PRIORITYCLASSES, _priority, lambda store, body: store.priorities.put(read_priority(body))),
        Holding(DAEMONSETS, _daemon, lambda store, body: store.daemons.put(read_daemon(body))),
        Holding(GPUPOOLS, _own(GPUPOOLS), lambda store, body: store.pools.take(msgspec.json.decode(body))),
        Holding(TRAINPUSHJOBS, _own(TRAINPUSHJOBS), lambda store, body: store.jobs.take(msgspec.json.decode(body))),
        Holding(
            INFERENCESERVICES,
            _own(INFERENCESERVICES),
            lambda store, body: store.services.take(msgspec.json.decode(body)),
        ),
        Holding(JOBS, _job, lambda store, body: store.exports.put(read_export(body)), OURS),
        Holding(REVISIONS, _revision, lambda store, body: store.revisions.put(read_revision(body)), OURS),
        Holding(SERVICES, _owned(SERVICES), lambda store, body: store.endpoints.put(read_owned(body)), OURS),
        Holding(BUDGETS, _owned(BUDGETS), lambda store, body: store.budgets.put(read_owned(body)), OURS),
    )
}
"""By kind."""
GIVEN: Final = (TRAINPUSHJOBS.kind, INFERENCESERVICES.kind, GPUPOOLS.kind)
"""Kinds that users ask for."""
