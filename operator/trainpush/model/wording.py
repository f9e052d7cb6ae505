"""How amounts, counts and lists read in a sentence."""

from collections.abc import Sequence
from datetime import datetime
from typing import Final

from trainpush.model.gang import Gang
from trainpush.model.nodes import is_in_bytes

_BINARY: Final = (("Ei", 2**60), ("Pi", 2**50), ("Ti", 2**40), ("Gi", 2**30), ("Mi", 2**20), ("Ki", 2**10))


def count(number: int, thing: str) -> str:
    """`1 worker`, `2 workers`."""
    return f"{number} {thing}{'' if number == 1 else 's'}"


def listed(names: Sequence[str], most: int) -> str:
    """`a, b, c and 2 more`: at most so many names, one by one."""
    more = f" and {len(names) - most} more" if len(names) > most else ""
    return ", ".join(names[:most]) + more


def moment(at: datetime) -> str:
    """A time in UTC, in whole seconds, as statuses write it."""
    return f"{at:%Y-%m-%dT%H:%M:%SZ}"


def tally(parts: Sequence[tuple[int, str]]) -> str:
    """Counts and what they count, largest first: `9 cordoned, 2 not ready`; what counts nothing is left out."""
    shown = sorted((part for part in parts if part[0]), key=lambda part: (-part[0], part[1]))
    return ", ".join(f"{count} {what}" for count, what in shown)


def field_of_size(gang: Gang) -> str:
    """The field of a job that says how few workers will do."""
    return "spec.elastic.minReplicas" if gang.sizes else "spec.replicas"


def amount(resource: str, counted: int) -> str:
    """`8 nvidia.com/gpu`, `0.5 cpu`, `511.9Gi memory`; bytes are rounded down to a tenth."""
    return f"{_quantity(resource, counted)} {resource}"


def _quantity(resource: str, counted: int) -> str:
    if not is_in_bytes(resource):
        return f"{counted / 1000:.3f}".rstrip("0").rstrip(".")
    for unit, size in _BINARY:
        if counted >= size:
            return f"{10 * counted // size / 10:.1f}".removesuffix(".0") + unit
    return str(counted)
