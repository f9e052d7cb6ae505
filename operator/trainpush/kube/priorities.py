"""PriorityClasses as read: which work goes before which."""

from dataclasses import dataclass

import msgspec

from trainpush.kube import decode
from trainpush.kube.table import Row


@dataclass(frozen=True, slots=True)
class PriorityRow:
    """A PriorityClass."""

    name: str
    value: int
    """Larger goes first."""
    is_default: bool = False
    """Whether it counts for work that names none."""
    preempts: bool = True
    """Whether its work takes places from work of lower priority."""


def read_priority(body: bytes | msgspec.Raw) -> Row[PriorityRow]:
    """A PriorityClass, from the bytes of the API server.

    Raises:
        msgspec.MsgspecError: it is malformed.
    """
    found = decode.priority(body)
    row = PriorityRow(found.name, found.value, found.global_default, found.preemption_policy != "Never")
    return Row(found.uid, found.version, row)
