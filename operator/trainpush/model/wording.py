"""How amounts, counts and lists read in a sentence."""

from collections.abc import Sequence
from datetime import datetime
from typing import Final

from trainpush.model.gang import Gang
from trainpush.model.nodes import PODS, is_in_bytes

_HOUR: Final = 3600
"""In seconds."""
_IRREGULAR: Final = {"are": "is", "were": "was", "have": "has", "match": "matches"}
_BINARY: Final = (("Ei", 2**60), ("Pi", 2**50), ("Ti", 2**40), ("Gi", 2**30), ("Mi", 2**20), ("Ki", 2**10))


def count(number: int, thing: str) -> str:
    """`1 worker`, `2 workers`."""
    return f"{number} {thing}{'' if number == 1 else 's'}"


def share(part: int, whole: int, thing: str) -> str:
    """`0/1 worker`, `3/4 workers`."""
    return f"{part}/{count(whole, thing)}"


def verb(number: int, many: str) -> str:
    """What so many things do: `has` or `have`, `runs` or `run`."""
    return _IRREGULAR.get(many, f"{many}s") if number == 1 else many


def listed(names: Sequence[str], most: int) -> str:
    """`a, b, c and 2 more`: at most so many names, one by one."""
    more = f" and {len(names) - most} more" if len(names) > most else ""
    return ", ".join(names[:most]) + more


def named(thing: str, names: Sequence[str], most: int) -> str:
    """`node a`, `nodes a, b and 2 more`."""
    return f"{thing}{'' if len(names) == 1 else 's'} {listed(names, most)}"


def moment(at: datetime) -> str:
    """A time in UTC, in whole seconds, as statuses write it."""
    return f"{at:%Y-%m-%dT%H:%M:%SZ}"


def tally(parts: Sequence[tuple[int, str]]) -> str:
    """Counts and what they count, largest first: `9 cordoned, 2 not ready`; what counts nothing is left out."""
    shown = sorted((part for part in parts if part[0]), key=lambda part: (-part[0], part[1]))
    return ", ".join(f"{count} {what}" for count, what in shown)


def of_size(gang: Gang, workers: int) -> str:
    """`spec.replicas: 2`: what a job would say if fewer workers were to do."""
    field = gang.leeway.size_field
    return f"{workers} in {field}" if field.endswith("allowedReplicas") else f"{field}: {workers}"


def amount(resource: str, counted: int) -> str:
    """`8 nvidia.com/gpu`, `0.5 cpu`, `511.9Gi memory`, `1 pod`; bytes are rounded down to a tenth."""
    if resource == PODS:
        return count(counted // 1000, "pod")
    if is_in_bytes(resource):
        return f"{_bytes(counted, _BINARY)} {resource}"
    return f"{_decimal(counted)} {resource}"


def more_than(resource: str, larger: int, smaller: int) -> tuple[str, str]:
    """Two amounts in a unit small enough to tell them apart."""
    texts = amount(resource, larger), amount(resource, smaller)
    for first in range(len(_BINARY)) if is_in_bytes(resource) else ():
        if texts[0] != texts[1]:
            break
        texts = f"{_bytes(larger, _BINARY[first:])} {resource}", f"{_bytes(smaller, _BINARY[first:])} {resource}"
    return texts


def too_little(resource: str) -> str:
    """`too few pods are`, `too little memory is`."""
    return f"too few {resource} are" if resource == PODS or "/" in resource else f"too little {resource} is"


def work(accelerator_seconds: int) -> str:
    """`1.5 accelerator-hours`, `1 accelerator-second`."""
    if accelerator_seconds >= _HOUR:
        return f"{accelerator_seconds / _HOUR:.1f} accelerator-hours"
    return count(accelerator_seconds, "accelerator-second")


def _decimal(thousandths: int) -> str:
    whole, rest = divmod(thousandths, 1000)
    return f"{whole}.{rest:03}".rstrip("0").rstrip(".")


def _bytes(counted: int, units: Sequence[tuple[str, int]]) -> str:
    for unit, size in units:
        if counted >= size:
            return f"{10 * counted // size / 10:.1f}".removesuffix(".0") + unit
    return str(counted)
