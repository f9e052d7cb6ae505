"""A snapshot as a file: one `v1` List of reduced objects, in the same order whatever order they came in."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Annotated, Any, Final

import msgspec
from pydantic import ValidationError

import trainpush
from trainpush.api import names
from trainpush.api.base import complaints
from trainpush.api.quantity import milli
from trainpush.cli.holdings import GIVEN, HOLDINGS
from trainpush.cli.text import BadInput, documents, one_line
from trainpush.kube.client import Object
from trainpush.kube.store import Store

FORMAT: Final = "1"
"""Version of the file's form; a file of another one is refused."""
_MAY_HOLD_AMOUNTS: Final = {"allocatable", "requests", "overhead"}

Identity = tuple[str, str, str]
"""Kind, namespace (empty for what has none) and name."""


@dataclass(frozen=True, slots=True)
class Document:
    """A cluster at one moment, as raw objects."""

    at: datetime
    proxy_image: str
    """The operator's setting, which goes into revisions that are made now."""
    items: tuple[Object, ...]
    """By identity."""
    source: str
    """Where it comes from, for messages."""

    def store(self) -> Store:
        """What the operator would know.

        Raises:
            BadInput: an item is malformed.
        """
        store = Store()
        for item in self.items:
            fill(store, item, self.source)
        return store

    def written(self) -> str:
        """The file."""
        annotations = {
            names.ANNOTATION_FORMAT: FORMAT,
            names.ANNOTATION_AT: self.at.astimezone(UTC).isoformat().replace("+00:00", "Z"),
            names.ANNOTATION_VERSION: trainpush.__version__,
            names.ANNOTATION_PROXY_IMAGE: self.proxy_image,
        }
        found = {"apiVersion": "v1", "kind": "List", "metadata": {"annotations": annotations}, "items": self.items}
        return msgspec.json.format(msgspec.json.encode(found, order="sorted"), indent=2).decode() + "\n"


class _Annotations(
    msgspec.Struct,
    rename={
        "form": names.ANNOTATION_FORMAT,
        "at": names.ANNOTATION_AT,
        "proxy_image": names.ANNOTATION_PROXY_IMAGE,
    },
):
    form: str
    at: Annotated[datetime, msgspec.Meta(tz=True)]
    proxy_image: Annotated[str, msgspec.Meta(min_length=1)]


class _ListMeta(msgspec.Struct):
    annotations: _Annotations


class _Head(msgspec.Struct):
    metadata: _ListMeta
    items: list[Any]


class _ItemMeta(msgspec.Struct, rename="camel"):
    name: Annotated[str, msgspec.Meta(min_length=1)]
    uid: Annotated[str, msgspec.Meta(min_length=1)]
    resource_version: Annotated[str, msgspec.Meta(pattern="^[0-9]+$")]
    namespace: str = ""
    creation_timestamp: Annotated[datetime, msgspec.Meta(tz=True)] | None = None


class _Item(msgspec.Struct, rename="camel"):
    api_version: str
    kind: str
    metadata: _ItemMeta
    status: dict[str, Any] | None = None


def ordered(items: Iterable[Object]) -> tuple[Object, ...]:
    """Objects by identity."""
    return tuple(sorted(items, key=identity))


def identity(item: Mapping[str, Any]) -> Identity:
    """What tells an object from all others of a moment."""
    metadata = item["metadata"]
    return item["kind"], metadata.get("namespace", ""), metadata["name"]


def shown(found: Identity) -> str:
    """As messages name it: `Pod default/worker-0`."""
    kind, namespace, name = found
    return f"{kind} {namespace}/{name}" if namespace else f"{kind} {name}"


def read(text: str, source: str) -> Document:
    """The snapshot that a file holds, whole.

    Raises:
        BadInput: something is wrong with it; one line with file, item and field.
    """
    found = documents(text, source)
    if len(found) != 1 or not isinstance(found[0], dict) or found[0].get("kind") != "List":
        raise BadInput(f"{source}: must be one v1 List, as `trainpush snapshot` writes it")
    try:
        head = msgspec.convert(found[0], _Head)
    except msgspec.ValidationError as error:
        raise BadInput(f"{source}: {one_line(error)}") from None
    notes = head.metadata.annotations
    if notes.form != FORMAT:
        raise BadInput(f"{source}: {names.ANNOTATION_FORMAT}: this program reads version {FORMAT}, not {notes.form!r}")
    for number, item in enumerate(head.items):
        _check(item, source, number)
    _distinct(head.items, source)
    return Document(notes.at, notes.proxy_image, ordered(head.items), source)


def fill(store: Store, item: Object, source: str) -> None:
    """Let the operator's reader take one item that has an identity.

    Raises:
        BadInput: it is malformed.
    """
    try:
        HOLDINGS[item["kind"]].put(store, msgspec.json.encode(item))
    except ValidationError as error:
        # Only metadata: what is wrong elsewhere, the operator keeps with the reason.
        raise BadInput(f"{source}: {shown(identity(item))}: metadata.{complaints(error)}") from None
    except (msgspec.MsgspecError, ValueError) as error:
        fault = _amount_fault(item, "") or one_line(error)
        raise BadInput(f"{source}: {shown(identity(item))}: {fault}") from None


def _check(item: Any, source: str, number: int) -> None:
    """Refuse an item that cannot be told from others, or that the operator does not read."""
    where = f"{source}: {_name(item, number)}"
    try:
        found = msgspec.convert(item, _Item)
    except msgspec.ValidationError as error:
        raise BadInput(f"{where}: {one_line(error)}") from None
    holding = HOLDINGS.get(found.kind)
    if holding is None or holding.resource.api_version != found.api_version:
        known = ", ".join(HOLDINGS)
        raise BadInput(f"{where}: {found.kind} of {found.api_version} is no kind of a snapshot; it holds {known}")
    if holding.resource.namespaced and not found.metadata.namespace:
        raise BadInput(f"{where}: metadata.namespace: missing")
    if found.metadata.namespace and not holding.resource.namespaced:
        raise BadInput(f"{where}: metadata.namespace: a {found.kind} is in none")
    if found.kind in GIVEN and found.metadata.creation_timestamp is None:
        raise BadInput(f"{where}: metadata.creationTimestamp: missing")


def _distinct(items: Iterable[Object], source: str) -> None:
    names_seen: set[Identity] = set()
    uids: dict[str, Identity] = {}
    for item in items:
        name, uid = identity(item), item["metadata"]["uid"]
        if name in names_seen:
            raise BadInput(f"{source}: {shown(name)}: comes twice")
        if uid in uids:
            raise BadInput(f"{source}: {shown(name)}: metadata.uid: {shown(uids[uid])} has the same")
        names_seen.add(name)
        uids[uid] = name


def _name(item: Any, number: int) -> str:
    """An item by its name, if it has one; else by its index."""
    match item:
        case {"kind": str(kind), "metadata": {"namespace": str(namespace), "name": str(name)}}:
            return shown((kind, namespace, name))
        case {"kind": str(kind), "metadata": {"name": str(name)}}:
            return shown((kind, "", name))
        case _:
            return f"items[{number}]"


def _amount_fault(value: object, path: str) -> str:
    """The path of the first amount that is none, and what it is."""
    match value:
        case dict():
            for key, inner in value.items():
                here = f"{path}.{key}".lstrip(".")
                if fault := _amounts(inner, here) if key in _MAY_HOLD_AMOUNTS else _amount_fault(inner, here):
                    return fault
        case list():
            for number, inner in enumerate(value):
                if fault := _amount_fault(inner, f"{path}[{number}]"):
                    return fault
        case _:
            pass
    return ""


def _amounts(found: object, path: str) -> str:
    for name, amount in found.items() if isinstance(found, dict) else ():
        try:
            milli(amount)
        except ValueError as error:
            return f"{path}[{name}]: {error}"
        if not isinstance(amount, str):
            return f"{path}[{name}]: Expected str, got {type(amount).__name__}"
    return ""
