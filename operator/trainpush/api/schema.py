"""A pydantic JSON schema as the structural schema that Kubernetes takes; refuses what it cannot express.

Source: https://kubernetes.io/docs/tasks/extend-kubernetes/custom-resources/custom-resource-definitions/#specifying-a-structural-schema
"""

import re
from collections.abc import Mapping
from typing import Any, Final

from trainpush.api.base import VALIDATIONS

Schema = dict[str, Any]

_STRIPPED: Final = {"title", "examples", "$defs"}
_KEPT: Final = {
    *("type", "description", "default", "enum", "format", "pattern", "required", "items", "properties"),
    *("minLength", "maxLength", "minItems", "maxItems", "minProperties", "maxProperties"),
    *("minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum"),
    *("x-kubernetes-int-or-string", "x-kubernetes-list-type", "x-kubernetes-list-map-keys", VALIDATIONS),
}
_REFUSED: Final = {
    "oneOf": "a union; use optional members and a rule",
    "allOf": "an intersection; write one model",
    "discriminator": "a tagged union; use optional members and a rule",
    "prefixItems": "a tuple; use a model or a list",
    "patternProperties": "a map with patterned keys; use a Rule over the keys",
    "uniqueItems": "a set; use list[...] with Distinct()",
    "not": "a negation; use a Rule",
}
_BOUNDS: Final = {"string": "maxLength", "array": "maxItems", "object": "maxProperties"}
_NOT_RE2: Final = re.compile(r"\(\?[=!<]|\\[1-9]|\\Z|[*+?}]\+")
"""Look-around, back-references and possessive quantifiers: Python has them, RE2 has not."""


def structural(schema: Mapping[str, Any]) -> Schema:
    """The schema of one field or model with references written out, bounded and described throughout.

    Raises:
        TypeError: Kubernetes would refuse or silently drop a part of it; the text names the path and the remedy.
    """
    return _Converter(schema.get("$defs", {})).convert(schema, "", ())


def without_defaults(schema: Schema) -> Schema:
    """The same schema, which fills in nothing: for a status, where what was not written must stay absent."""
    kept = {key: value for key, value in schema.items() if key != "default"}
    if "properties" in kept:
        kept["properties"] = {name: without_defaults(field) for name, field in kept["properties"].items()}
    for inner in ("items", "additionalProperties"):
        if inner in kept:
            kept[inner] = without_defaults(kept[inner])
    return kept


class _Converter:
    """Walks one schema; `path` is for complaints, `inside` holds the models around the present one."""

    def __init__(self, definitions: Mapping[str, Any]) -> None:
        self._definitions = definitions

    def convert(self, schema: Mapping[str, Any], path: str, inside: tuple[str, ...]) -> Schema:
        """The structural schema of one field; `inside` are the models around it, so that a recursion is found."""
        flat, inside = self._flat(dict(schema), path, inside)
        _refuse_unknown(flat, path)
        result = {key: value for key, value in flat.items() if key in _KEPT}
        if "items" in flat:
            result["items"] = self.convert(flat["items"], f"{path}[]", inside)
        if "properties" in flat:
            fields = flat["properties"].items()
            result["properties"] = {name: self.convert(field, f"{path}.{name}", inside) for name, field in fields}
            for name, field in result["properties"].items():
                if "description" not in field:
                    raise _complaint(f"{path}.{name}", "has no docstring; it becomes the description in the CRD")
        elif isinstance(flat.get("additionalProperties"), dict):
            result["additionalProperties"] = self.convert(flat["additionalProperties"], f"{path}[*]", inside)
        _refuse_unbounded(result, path)
        return _with_own_default(result, path)

    def _flat(self, schema: Schema, path: str, inside: tuple[str, ...]) -> tuple[Schema, tuple[str, ...]]:
        """Write out references and optional values until none is left at this level."""
        while "$ref" in schema or "anyOf" in schema:
            if "anyOf" in schema:
                schema = _without_null(schema, path)
                continue
            name = schema.pop("$ref").removeprefix("#/$defs/")
            if name in inside:
                raise _complaint(path, f"{name} contains itself; Kubernetes has no recursive schemas")
            inside = (*inside, name)
            schema = _merged(self._definitions[name], schema)
        if "const" in schema:
            schema["enum"] = [schema.pop("const")]
        # OpenAPI v3.0 marks a bound as exclusive; JSON Schema 2020-12 gives it a number of its own.
        for exclusive, bound in (("exclusiveMinimum", "minimum"), ("exclusiveMaximum", "maximum")):
            if exclusive in schema:
                schema |= {bound: schema[exclusive], exclusive: True}
        return schema, inside


def _without_null(schema: Schema, path: str) -> Schema:
    options = [option for option in schema["anyOf"] if option != {"type": "null"}]
    if len(options) != 1:
        raise _complaint(path, "is a union; use optional members and a rule")
    return _merged(options[0], {key: value for key, value in schema.items() if key != "anyOf"})


def _merged(inner: Mapping[str, Any], outer: Mapping[str, Any]) -> Schema:
    """What a field says goes before what its type says; rules of both hold."""
    rules = [*inner.get(VALIDATIONS, []), *outer.get(VALIDATIONS, [])]
    return {**inner, **outer, **({VALIDATIONS: rules} if rules else {})}


def _refuse_unknown(schema: Schema, path: str) -> None:
    for key in schema.keys() - _KEPT - _STRIPPED - {"additionalProperties"}:
        raise _complaint(path, f"is {_REFUSED[key]}" if key in _REFUSED else f"uses {key}, which is not known here")
    for bound in (*_BOUNDS.values(), *(least.replace("max", "min") for least in _BOUNDS.values())):
        if bound in schema and bound[3:] != _BOUNDS.get(schema.get("type", "string"), "")[3:]:
            raise _complaint(path, f"has {bound}, which does not fit its type; put Field(...) before Rule")
    if schema.get("additionalProperties") is True:
        raise _complaint(path, "takes anything; give the values of the map a type")
    if "type" not in schema and "x-kubernetes-int-or-string" not in schema:
        raise _complaint(path, "has no type; Any cannot be structural")
    if schema.get("format") not in {None, "date-time"}:
        raise _complaint(path, f"has format {schema['format']}, which Kubernetes reads otherwise; use a Rule")
    if _NOT_RE2.search(schema.get("pattern", "")):
        raise _complaint(path, "has a pattern that RE2 cannot read; write it without look-around and back-references")


def _refuse_unbounded(schema: Schema, path: str) -> None:
    """Every string, list and map has a largest size: against abuse, and since CEL's cost is estimated from it."""
    kind = schema.get("type", "string")
    is_closed = "enum" in schema or "format" in schema or "properties" in schema
    bound = _BOUNDS.get(kind)
    if bound and not is_closed and bound not in schema:
        raise _complaint(path, f"has no {bound}; bound it with Field(max_length=...)")


def _with_own_default(schema: Schema, path: str) -> Schema:
    """Keep of a default only what the defaults of its members do not say already; drop one that says nothing."""
    if "default" not in schema:
        return schema
    default = _needed(schema["default"], schema)
    says_nothing = default in (None, "", []) or (default == {} and "properties" not in schema)
    if not says_nothing:
        return {**schema, "default": default}
    if path == "":
        raise _complaint(path, "has a default at the root")
    return {key: value for key, value in schema.items() if key != "default"}


def _needed(default: Any, schema: Schema) -> Any:
    if not isinstance(default, dict):
        return default
    fields = schema.get("properties", {})
    inner = {name: _needed(value, fields.get(name, {})) for name, value in default.items()}
    return {
        name: value
        for name, value in inner.items()
        if value not in (None, [], {}, "") and value != fields.get(name, {}).get("default")
    }


def _complaint(path: str, text: str) -> TypeError:
    return TypeError(f"{path or 'the object'} {text}")
