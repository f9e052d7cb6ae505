"""What somebody changed of an object that we made, and the patch that mends it."""

from collections.abc import Mapping, Sequence
from typing import Any, Final

_WHOLE: Final = ("selector", "matchLabels")
"""Maps of which every entry counts: one more finds other pods."""


def mending(found: Mapping[str, Any], wanted: Mapping[str, Any]) -> dict[str, Any]:
    """The JSON merge patch after which `found` says what `wanted` says in labels and spec; empty where it does.

    A merge patch and no server-side apply: that would leave ports that others put into the list, beside ours.
    """
    labels = _changes(found["metadata"].get("labels", {}), wanted["metadata"].get("labels", {}))
    spec = _changes(found.get("spec", {}), wanted.get("spec", {}))
    return {**({"metadata": {"labels": labels}} if labels else {}), **({"spec": spec} if spec else {})}


def _changes(found: Mapping[str, Any], wanted: Mapping[str, Any]) -> dict[str, Any]:
    """What we say nothing of stays, whoever said it."""
    changes: dict[str, Any] = {}
    for key, value in wanted.items():
        there = found.get(key)
        if isinstance(value, Mapping):
            inside = there or {}
            others = dict.fromkeys(inside.keys() - value.keys()) if key in _WHOLE else {}
            if inner := _changes(inside, value) | others:
                changes[key] = inner
        elif not _says(there, value):
            changes[key] = value
    return changes


def _says(found: Any, wanted: Any) -> bool:
    """Whether that is what is wanted, if perhaps with defaults that the API server filled in."""
    if isinstance(wanted, Mapping):
        return isinstance(found, Mapping) and all(_says(found.get(key), value) for key, value in wanted.items())
    if isinstance(wanted, Sequence) and not isinstance(wanted, str):
        return isinstance(found, Sequence) and len(found) == len(wanted) and all(map(_says, found, wanted))
    return bool(found == wanted)
