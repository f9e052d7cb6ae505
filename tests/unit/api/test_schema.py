"""The way from a model to a structural schema: what is turned, and what is refused with a remedy."""

import re
from typing import Annotated, Any, Literal

import pytest
from pydantic import Field, create_model

from trainpush.api.base import ApiModel, Distinct, MapBy, Rule
from trainpush.api.schema import structural


class Leaf(ApiModel):
    """A leaf."""

    name: Annotated[str, Field(max_length=9)]
    """Its name."""
    size: Annotated[int, Field(gt=0, lt=9)] = 3
    """Its size."""


class Tree(ApiModel):
    """A tree."""

    leaf: Leaf | None = None
    """Maybe one."""


def field(kind: Any, default: Any = ...) -> dict[str, Any]:
    """The schema of a model's only field, which is of this type."""
    model = create_model("Model", __base__=ApiModel, it=(kind, Field(default, description="It.")))
    schema: dict[str, Any] = structural(model.model_json_schema())["properties"]["it"]
    return schema


LEAF = {
    "type": "object",
    "description": "It.",
    "properties": {
        "name": {"type": "string", "maxLength": 9, "description": "Its name."},
        "size": {
            "type": "integer",
            "default": 3,
            "minimum": 0,
            "exclusiveMinimum": True,
            "maximum": 9,
            "exclusiveMaximum": True,
            "description": "Its size.",
        },
    },
    "required": ["name"],
}
TURNED: dict[str, tuple[Any, Any, dict[str, Any]]] = {
    "a reference is written out": (Leaf, ..., LEAF),
    "an optional value just may be absent": (Leaf | None, None, LEAF),
    "a list of models is a map": (
        Annotated[list[Leaf], MapBy("name"), Field(max_length=2)],
        [],
        {
            "type": "array",
            "description": "It.",
            "maxItems": 2,
            "items": {**LEAF, "description": "A leaf."},
            "x-kubernetes-list-type": "map",
            "x-kubernetes-list-map-keys": ["name"],
        },
    ),
    "a single choice is an enum": (Literal["a"], ..., {"type": "string", "enum": ["a"], "description": "It."}),
    "a list of distinct strings is a set": (
        Annotated[list[Literal["a", "b"]], Distinct(), Field(max_length=2)],
        ["a"],
        {
            "type": "array",
            "description": "It.",
            "default": ["a"],
            "maxItems": 2,
            "items": {"type": "string", "enum": ["a", "b"]},
            "x-kubernetes-list-type": "set",
        },
    ),
    "a default says only what its members do not": (
        Leaf,
        Leaf(name="a"),
        {**LEAF, "default": {"name": "a"}},
    ),
    "a rule goes to its field": (
        Annotated[bool, Rule("self", "must be true", bool)],
        ...,
        {
            "type": "boolean",
            "description": "It.",
            "x-kubernetes-validations": [{"rule": "self", "message": "must be true"}],
        },
    ),
}


@pytest.mark.parametrize(("kind", "default", "want"), TURNED.values(), ids=TURNED.keys())
def test_turned(kind: Any, default: Any, want: dict[str, Any]) -> None:
    """What pydantic writes and Kubernetes would refuse or drop."""
    assert field(kind, default) == want


def test_a_default_that_says_nothing_but_turns_on_those_inside() -> None:
    """`{}` is kept where members have defaults of their own."""
    assert field(Tree, Tree())["default"] == {}


REFUSED: dict[str, tuple[Any, str]] = {
    "a union": (Annotated[str, Field(max_length=1)] | int, ".it is a union"),
    "a tagged union": (
        Annotated[Tree | Leaf, Field(union_mode="left_to_right")],
        ".it is a union",
    ),
    "a tuple": (tuple[int, int], ".it is a tuple; use a model or a list"),
    "a set": (Annotated[set[int], Field(max_length=3)], ".it is a set; use list[...] with Distinct()"),
    "anything": (Any, ".it has no type"),
    "a map of anything": (dict[str, Any], ".it takes anything"),
    "an unbounded string": (str, ".it has no maxLength"),
    "an unbounded list": (list[bool], ".it has no maxItems"),
    "an unbounded map": (dict[str, bool], ".it has no maxProperties"),
    "an unbounded string in a list": (Annotated[list[str], Field(max_length=3)], ".it[] has no maxLength"),
    "bytes": (Annotated[bytes, Field(max_length=3)], ".it has format binary"),
    "a map with patterned keys": (
        Annotated[dict[Annotated[str, Field(pattern="^a$")], bool], Field(max_length=3)],
        ".it is a map with patterned keys; use a Rule over the keys",
    ),
    "a bound that pydantic loses behind a rule": (
        Annotated[dict[str, bool], Field(max_length=3), Rule("true", "never"), Field(min_length=1)],
        ".it has minLength, which does not fit its type; put Field(...) before Rule",
    ),
    "a step": (Annotated[int, Field(multiple_of=2)], ".it uses multipleOf, which is not known here"),
}


@pytest.mark.parametrize(("kind", "says"), REFUSED.values(), ids=REFUSED.keys())
def test_refused(kind: Any, says: str) -> None:
    """Loudly, when the definitions are made, with the path and what to write instead."""
    with pytest.raises(TypeError, match=re.escape(says)):
        field(kind)


@pytest.mark.parametrize("pattern", ["^(?!a)", "(?<=a)b", r"(a)\1", "a++"])
def test_a_pattern_that_re2_cannot_read_is_refused(pattern: str) -> None:
    """Python's own engine could."""
    schema = {"type": "object", "properties": {"it": {"type": "string", "maxLength": 1, "pattern": pattern}}}
    with pytest.raises(TypeError, match=r"\.it has a pattern that RE2 cannot read"):
        structural(schema)


def test_a_model_that_contains_itself_is_refused() -> None:
    """Kubernetes would need an endless schema."""
    recursive = {"$defs": {"A": {"type": "object", "properties": {"a": {"$ref": "#/$defs/A"}}}}, "$ref": "#/$defs/A"}
    with pytest.raises(TypeError, match=r"\.a A contains itself"):
        structural(recursive)


def test_a_field_without_docstring_is_refused() -> None:
    """It would be without an explanation."""
    model = create_model("Model", __base__=ApiModel, it=(bool, False))
    with pytest.raises(TypeError, match=r"\.it has no docstring"):
        structural(model.model_json_schema())
