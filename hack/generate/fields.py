"""One page per kind: its columns, every field of its schema, and every rule, from the CustomResourceDefinition."""

import json
from collections.abc import Iterator
from typing import Any

import yaml

from trainpush.api import crd, names
from trainpush.api.base import VALIDATIONS

from .markdown import code, page, table

Schema = dict[str, Any]
_HEADS = ("field", "type", "default", "limits", "what it is")


def field_pages() -> dict[str, str]:
    """Page by name, such as `trainpushjob`."""
    definitions = [yaml.safe_load(text) for text in crd.crds().values()]
    return {definition["spec"]["names"]["singular"]: _page(definition["spec"]) for definition in definitions}


def _page(definition: Schema) -> str:
    version, naming = definition["versions"][0], definition["names"]
    schema = version["schema"]["openAPIV3Schema"]
    short = "".join(f" (short: `{name}`)" for name in naming.get("shortNames", []))
    columns = ", ".join(map(_column, version["additionalPrinterColumns"]))
    scope = "It lives in a namespace." if definition["scope"] == "Namespaced" else "It belongs to the whole cluster."
    rules = [f"* {code(path)} {text}" for path, text in _rules("", schema) if not path.startswith("status")]
    return page(
        f"{naming['kind']} ({names.API_VERSION})",
        f"{schema['description']} {scope}",
        f"`kubectl get {naming['singular']}`{short} shows: {columns}.",
        *(part for name in ("spec", "status") for part in _section(name, schema)),
        "## Rules",
        "The API server refuses an object that breaks one of these.",
        "\n".join(rules),
    )


def _column(column: Schema) -> str:
    return str(column["name"]) + (" (-o wide)" if column.get("priority") else "")


def _section(name: str, schema: Schema) -> tuple[str, str, str]:
    part = schema["properties"][name]
    return f"## {name}", part["description"], table(_HEADS, _rows(name, part))


def _rows(path: str, schema: Schema) -> Iterator[tuple[str, ...]]:
    for name, field in sorted(schema.get("properties", {}).items()):
        inner = f"{path}.{name}"
        needed = "required" if name in schema.get("required", []) else ""
        yield (
            code(inner),
            _type(field),
            code(json.dumps(field["default"], sort_keys=True)) if "default" in field else "",
            ", ".join(filter(None, [needed, *_limits(field)])),
            field["description"],
        )
        yield from _rows(f"{inner}[]" if field.get("type") == "array" else inner, field.get("items", field))


def _type(schema: Schema) -> str:
    if schema.get("x-kubernetes-int-or-string"):
        return "integer or string"
    if schema["type"] == "array":
        return f"list of {_type(schema['items'])}"
    if "additionalProperties" in schema:
        return f"map to {_type(schema['additionalProperties'])}"
    return str(schema.get("format", schema["type"]))


def _limits(schema: Schema) -> Iterator[str]:
    if "enum" in schema:
        yield "one of " + ", ".join(json.dumps(value) if value == "" else str(value) for value in schema["enum"])
    for low, high, what in (
        ("minimum", "maximum", ""),
        ("minLength", "maxLength", " characters"),
        ("minItems", "maxItems", " entries"),
        ("minProperties", "maxProperties", " entries"),
    ):
        if low in schema and high in schema:
            yield f"{schema[low]} to {schema[high]}{what}"
        elif low in schema:
            yield f"at least {schema[low]}{what}"
        elif high in schema:
            yield f"at most {schema[high]}{what}"
    if schema.get("x-kubernetes-list-type") == "set":
        yield "no repetition"
    for key in schema.get("x-kubernetes-list-map-keys", []):
        yield f"one entry per {key}"


def _rules(path: str, schema: Schema) -> Iterator[tuple[str, str]]:
    """Path and message of every rule; the messages are written to be read after the path."""
    for rule in schema.get(VALIDATIONS, []):
        yield f"{path}{rule.get('fieldPath', '')}".removeprefix("."), rule["message"]
    for name, field in sorted(schema.get("properties", {}).items()):
        yield from _rules(f"{path}.{name}", field)
    if "items" in schema:
        yield from _rules(f"{path}[]", schema["items"])
    if isinstance(schema.get("additionalProperties"), dict):
        yield from _rules(f"{path}[*]", schema["additionalProperties"])
