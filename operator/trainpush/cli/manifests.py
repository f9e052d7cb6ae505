"""What people ask about: manifests of our kinds, as if they were applied at the moment of a snapshot."""

import sys
import uuid
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from typing import Any, Final

from pydantic import ValidationError

from trainpush.api import names
from trainpush.api.base import InvalidObject, Resource, complaints
from trainpush.api.gpupool import GPUPool
from trainpush.api.inferenceservice import InferenceService
from trainpush.api.trainpushjob import TrainPushJob
from trainpush.cli.document import Document, Identity, identity, ordered, shown
from trainpush.cli.text import BadInput, documents, text_of
from trainpush.kube.client import Object

_MODELS: Final[Mapping[str, type[Resource]]] = {
    "TrainPushJob": TrainPushJob,
    "InferenceService": InferenceService,
    "GPUPool": GPUPool,
}
_TOP: Final = {"apiVersion", "kind", "metadata", "spec", "status"}


def read(paths: Iterable[str]) -> list[Object]:
    """The objects that the files ask for, with a name and a namespace, each of them sound.

    Raises:
        BadInput: something is wrong with them; one line with file, object and field.
    """
    made: dict[Identity, Object] = {}
    for path in paths:
        given = documents(text_of(path, sys.stdin), path)
        if not given:
            raise BadInput(f"{path}: holds no object")
        for number, document in enumerate(given, 1):
            where = f"{path}: document {number}" if len(given) > 1 else path
            manifest = _manifest(document, where)
            if identity(manifest) in made:
                raise BadInput(f"{where}: {shown(identity(manifest))}: is given twice")
            made[identity(manifest)] = manifest
    return list(made.values())


def applied(document: Document, manifests: Sequence[Object]) -> Document:
    """The cluster with these manifests, as if they were applied at its moment.

    A new object is younger than all others; one that is there keeps what it is and gets the new spec.

    Raises:
        BadInput: the API server would refuse the change.
    """
    items = {identity(item): item for item in document.items}
    for manifest in manifests:
        name = identity(manifest)
        items[name] = _edited(items[name], manifest) if name in items else _created(document, manifest)
    return replace(document, items=ordered(items.values()))


def _manifest(document: Any, where: str) -> Object:
    match document:
        case {"apiVersion": names.API_VERSION, "kind": str(kind)} if kind in _MODELS:
            pass
        case {"apiVersion": version, "kind": kind}:
            known = ", ".join(_MODELS)
            raise BadInput(f"{where}: {kind} of {version}: give {known} of {names.API_VERSION}")
        case _:
            raise BadInput(f"{where}: apiVersion or kind is missing")
    metadata = document.get("metadata")
    if not isinstance(metadata, dict) or not isinstance(metadata.get("name"), str) or not metadata["name"]:
        raise BadInput(f"{where}: metadata.name: must be the name of the {kind}")
    kept = {"name": metadata["name"]}
    if kind != "GPUPool":
        kept["namespace"] = metadata.get("namespace") or "default"
    made = {"apiVersion": names.API_VERSION, "kind": kind, "metadata": kept}
    if unknown := [key for key in document if key not in _TOP]:
        raise BadInput(f"{where}: {kind} {kept['name']}: {unknown[0]}: there is no such field")
    made |= {"spec": document["spec"]} if "spec" in document else {}
    try:
        # Stricter than the reader of stored objects: a misspelt field is a mistake, not a newer schema.
        _MODELS[kind].model_validate({key: made[key] for key in ("metadata", "spec") if key in made})
    except ValidationError as error:
        raise BadInput(f"{where}: {kind} {kept['name']}: {complaints(error)}") from None
    return made


def _created(document: Document, manifest: Object) -> Object:
    kind, namespace, name = identity(manifest)
    metadata = {
        **manifest["metadata"],
        "uid": str(uuid.uuid5(uuid.NAMESPACE_URL, f"{kind}/{namespace}/{name}")),
        "resourceVersion": "1",
        "generation": 1,
        "creationTimestamp": document.at.isoformat(),
    }
    return {**manifest, "metadata": metadata}


def _edited(old: Object, manifest: Object) -> Object:
    """The object with the new spec; as it was, where that says the same."""
    label, metadata = shown(identity(old)), old["metadata"]
    if metadata.get("deletionTimestamp"):
        raise BadInput(f"{label}: it is being deleted; ask again when it is gone")
    model = _MODELS[old["kind"]]
    made = {**old, "metadata": {**metadata, "generation": metadata.get("generation", 0) + 1}, "spec": manifest["spec"]}
    try:
        before, after = model.parse(old), model.parse(made)
    except InvalidObject:
        return made
    if _at(before, ".spec") == _at(after, ".spec"):
        return old
    if isinstance(before, TrainPushJob) and before.status.placement:
        for rule in TrainPushJob.rules:
            if rule.holds is None and _at(before, rule.field) != _at(after, rule.field):
                raise BadInput(f"{label}: {rule.field.removeprefix('.')}: {rule.message}")
    return made


def _at(thing: Any, path: str) -> object:
    for part in path.strip(".").split("."):
        thing = getattr(thing, part)
    return thing
