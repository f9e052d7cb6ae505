"""DaemonSets as read: which of them make their pods anew, and which would not come back on a node with a mode."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

import msgspec

from trainpush.kube.decode import Meta, Part
from trainpush.kube.table import Row
from trainpush.model.nodes import Toleration
from trainpush.render.modes import is_repelled


class _Toleration(Part):
    key: str = ""
    operator: str = "Equal"
    value: str = ""
    effect: str = ""


class _Pod(Part):
    node_selector: dict[str, str] = {}
    tolerations: list[_Toleration] = []


class _Template(Part):
    spec: _Pod = msgspec.field(default_factory=_Pod)


class _Spec(Part):
    template: _Template = msgspec.field(default_factory=_Template)


class DaemonObject(Part):
    """A DaemonSet as the API server sends it."""

    metadata: Meta
    spec: _Spec = msgspec.field(default_factory=_Spec)


@dataclass(frozen=True, slots=True)
class DaemonRow:
    """A DaemonSet."""

    name: str
    """Namespace and name."""
    selector: Mapping[str, str]
    """Labels of the nodes on which its pods run."""
    is_repelled: bool
    """Whether it does not tolerate the taints of modes."""
    is_deleting: bool = False
    """Whether it makes no pods any more."""


decode_daemon: Final = msgspec.json.Decoder(DaemonObject).decode
"""Decodes a DaemonSet from bytes, and raises `msgspec.MsgspecError` where that is malformed."""


def read_daemon(body: bytes | msgspec.Raw) -> Row[DaemonRow]:
    """A DaemonSet, from the bytes of the API server.

    Raises:
        msgspec.MsgspecError: it is malformed.
    """
    daemon = decode_daemon(body)
    meta, pod = daemon.metadata, daemon.spec.template.spec
    tolerations = [Toleration(part.key, part.operator, part.value, part.effect) for part in pod.tolerations]
    is_deleting = meta.deletion_timestamp is not None
    row = DaemonRow(f"{meta.namespace}/{meta.name}", pod.node_selector, is_repelled(tolerations), is_deleting)
    return Row(meta.uid, int(meta.resource_version), row)
