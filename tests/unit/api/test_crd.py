"""The generated definitions: up to date, described, bounded, and with the models' own defaults."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from support.tables import KINDS, full_status, good, plain
from trainpush.api.crd import HEADER, SIZE_MAX, crds, write
from trainpush.api.text import KEY_MAX

ROOT = Path(__file__).parents[3]
Schema = dict[str, Any]


def schemas() -> dict[str, Schema]:
    """The schema of each kind."""
    definitions = [yaml.safe_load(text) for text in crds().values()]
    return {
        definition["spec"]["names"]["kind"]: definition["spec"]["versions"][0]["schema"]["openAPIV3Schema"]
        for definition in definitions
    }


def nodes(schema: Schema, path: str = "") -> Iterator[tuple[str, Schema]]:
    """Every schema in a schema, with its path."""
    yield path, schema
    for name, field in schema.get("properties", {}).items():
        yield from nodes(field, f"{path}.{name}")
    for inner, sign in (("items", "[]"), ("additionalProperties", "[*]")):
        if inner in schema:
            yield from nodes(schema[inner], path + sign)


def own(schema: Schema) -> dict[str, Schema]:
    """What we declare ourselves, by path; not the metadata."""
    return {path: node for part in ("spec", "status") for path, node in nodes(schema["properties"][part], part)}


def paths(value: Any, path: str, schema: Schema) -> Iterator[str]:
    """Paths of the fields that are set in a value, written as in `nodes`."""
    yield path
    if isinstance(value, list):
        for entry in value:
            yield from paths(entry, f"{path}[]", schema["items"])
    elif isinstance(value, dict):
        for key, entry in value.items():
            if "properties" in schema:
                yield from paths(entry, f"{path}.{key}", schema["properties"][key])
            else:
                yield from paths(entry, f"{path}[*]", schema["additionalProperties"])


def with_defaults(value: Any, schema: Schema) -> Any:
    """What the API server makes of a value that says less than the schema."""
    if isinstance(value, list):
        return [with_defaults(entry, schema["items"]) for entry in value]
    if not isinstance(value, dict):
        return value
    if "properties" not in schema:
        return {name: with_defaults(entry, schema.get("additionalProperties", {})) for name, entry in value.items()}
    fields = schema["properties"]
    filled = {**{name: field["default"] for name, field in fields.items() if "default" in field}, **value}
    return {name: with_defaults(entry, fields[name]) for name, entry in filled.items()}


def test_the_committed_definitions_are_the_generated_ones(tmp_path: Path) -> None:
    """Byte by byte; `python -m trainpush crds` brings them up to date."""
    write(tmp_path)
    written = {path.name: path.read_bytes() for path in tmp_path.iterdir()}
    assert written == {path.name: path.read_bytes() for path in (ROOT / "crds").iterdir()}


def test_the_same_models_give_the_same_bytes() -> None:
    """Twice in a row, with the header that warns against editing, and small enough for `kubectl apply`."""
    assert crds() == crds()
    for text in crds().values():
        assert text.startswith(HEADER)
        assert len(text.encode()) < SIZE_MAX


def test_only_services_scale() -> None:
    """`kubectl scale` and autoscalers find the paths, and each of them is a field."""
    scales = {kind: subresources.get("scale") for kind, subresources in _subresources().items()}
    paths = scales.pop("InferenceService")
    assert paths
    assert set(scales.values()) == {None}
    fields = own(schemas()["InferenceService"])
    assert {kind: path.removeprefix(".") in fields for kind, path in paths.items()} == {
        "specReplicasPath": True,
        "statusReplicasPath": True,
        "labelSelectorPath": True,
    }


def _subresources() -> dict[str, Schema]:
    definitions = [yaml.safe_load(text)["spec"] for text in crds().values()]
    return {spec["names"]["kind"]: spec["versions"][0]["subresources"] for spec in definitions}


@pytest.mark.parametrize("kind", KINDS)
def test_every_field_is_described(kind: str) -> None:
    """`kubectl explain` has an answer to each, and it is a sentence."""
    described = {
        path: node.get("description", "") for path, node in own(schemas()[kind]).items() if "[" not in path[-3:]
    }
    assert [path for path, text in described.items() if not text.endswith((".", ":"))] == []


@pytest.mark.parametrize("kind", KINDS)
def test_every_string_list_and_map_is_bounded(kind: str) -> None:
    """Against abuse, and since the cost of CEL is estimated from the bounds."""
    bounds = {
        "string": {"maxLength", "enum", "format"},
        "array": {"maxItems"},
        "object": {"maxProperties", "properties"},
    }
    unbounded = [
        path
        for path, node in own(schemas()[kind]).items()
        if (wanted := bounds.get(node.get("type", "string"))) and not wanted & node.keys()
    ]
    assert unbounded == []


@pytest.mark.parametrize("kind", KINDS)
def test_no_status_is_too_large_to_be_written(kind: str) -> None:
    """With all its strings and lists as long as may be: etcd takes one and a half MiB of an object, with its spec."""
    assert longest(schemas()[kind]["properties"]["status"]) < 1_048_576


def longest(schema: Schema) -> int:
    """Characters of the longest value, roughly."""
    if "properties" in schema:
        return sum(len(name) + 4 + longest(field) for name, field in schema["properties"].items())
    if "items" in schema:
        return int(schema["maxItems"]) * longest(schema["items"])
    if "additionalProperties" in schema:
        return int(schema["maxProperties"]) * (KEY_MAX + longest(schema["additionalProperties"]))
    return int(schema.get("maxLength", max(map(len, schema.get("enum", [])), default=24)))


@pytest.mark.parametrize("name", good())
def test_the_schema_fills_in_what_the_model_fills_in(name: str) -> None:
    """An operator that reads an object from a test and one from the server must read the same."""
    manifest = good()[name]
    spec = schemas()[manifest["kind"]]["properties"]["spec"]
    filled = with_defaults(manifest["spec"], spec)
    assert plain(filled) == plain(KINDS[manifest["kind"]].parse(manifest).model_dump(by_alias=True)["spec"])


@pytest.mark.parametrize("kind", KINDS)
def test_a_status_has_no_defaults(kind: str) -> None:
    """What the operator did not write must stay absent, else each write would differ from what is read back."""
    assert [
        path for path, node in own(schemas()[kind]).items() if path.startswith("status") and "default" in node
    ] == []


@pytest.mark.parametrize("kind", KINDS)
def test_the_good_manifests_use_every_field(kind: str) -> None:
    """So that the real API server sees each of them."""
    schema = schemas()[kind]
    used = {
        path
        for manifest in good().values()
        if manifest["kind"] == kind
        for path in paths(manifest["spec"], "spec", schema["properties"]["spec"])
    }
    used |= set(paths(full_status(kind), "status", schema["properties"]["status"]))
    assert own(schema).keys() - used == set()
