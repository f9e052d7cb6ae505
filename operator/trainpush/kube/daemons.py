"""DaemonSets as read: which of them would not come back on a node with a mode."""

from collections.abc import Mapping
from dataclasses import dataclass

import msgspec

from trainpush.kube.decode import Meta
from trainpush.kube.table import Row
from trainpush.model.nodes import Toleration
from trainpush.render.modes import is_repelled


class _Part(msgspec.Struct, rename="camel", gc=False, omit_defaults=True):
    """A piece of an object."""


class TolerationPart(_Part):
    """A toleration of a pod."""

    key: str = ""
    operator: str = "Equal"
    value: str = ""
    effect: str = ""


class PodPart(_Part):
    """Where the pods of a DaemonSet may run."""

    node_selector: dict[str, str] = {}
    tolerations: list[TolerationPart] = []


class TemplatePart(_Part):
    """What the pods of a DaemonSet are made from."""

    spec: PodPart = msgspec.field(default_factory=PodPart)


class SpecPart(_Part):
    """The wanted state of a DaemonSet."""

    template: TemplatePart = msgspec.field(default_factory=TemplatePart)


class DaemonObject(_Part):
    """A DaemonSet as the API server sends it."""

    metadata: Meta
    spec: SpecPart = msgspec.field(default_factory=SpecPart)


_decoder = msgspec.json.Decoder(DaemonObject)


@dataclass(frozen=True, slots=True)
class DaemonRow:
    """A DaemonSet."""

    name: str
    """Namespace and name."""
    selector: Mapping[str, str]
    """Labels of the nodes on which its pods run."""
    is_repelled: bool
    """Whether it does not tolerate the taints of modes."""


def decode_daemon(body: bytes | msgspec.Raw) -> DaemonObject:
    """Decode a DaemonSet.

    Raises:
        msgspec.MsgspecError: it is malformed.
    """
    return _decoder.decode(body)


def read_daemon(body: bytes | msgspec.Raw) -> Row[DaemonRow]:
    """A DaemonSet, from the bytes of the API server.

    Raises:
        msgspec.MsgspecError: it is malformed.
    """
    found = decode_daemon(body)
    meta, pod = found.metadata, found.spec.template.spec
    tolerations = [Toleration(it.key, it.operator, it.value, it.effect) for it in pod.tolerations]
    row = DaemonRow(f"{meta.namespace}/{meta.name}", pod.node_selector, is_repelled(tolerations))
    return Row(meta.uid, int(meta.resource_version), row)
