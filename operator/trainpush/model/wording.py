"""How amounts, counts and lists read in a sentence."""

from collections.abc import Sequence
from datetime import datetime
from typing import Final

from trainpush.model.gang import Gang

_BINARY: Final = (("Ti", 2**40), ("Gi", 2**30), ("Mi", 2**20), ("Ki", 2**10))
_IN_BYTES: Final = ("memory", "ephemeral-storage", "hugepages-")


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


def amount(resource: str, thousandths: int) -> str:
    """`8 nvidia.com/gpu`, `0.5 cpu`, `511.9Gi memory`; bytes are rounded down to a tenth."""
    return f"{_quantity(resource, thousandths)} {resource}"


def _quantity(resource: str, thousandths: int) -> str:
    if not resource.startswith(_IN_BYTES):
        return f"{thousandths / 1000:.3f}".rstrip("0").rstrip(".")
    for unit, size in _BINARY:
        if thousandths >= 1000 * size:
            return f"{thousandths // (100 * size) / 10:.1f}".removesuffix(".0") + unit
    return str(thousandths // 1000)
