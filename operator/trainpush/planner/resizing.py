"""Gangs that leave nodes which change their mode, and gangs that grow where there is room.

Either is a new attempt of another legal size, which goes on from the last checkpoint.
"""

from collections.abc import Container
from datetime import timedelta
from typing import Final

from trainpush.model.reasons import Reason
from trainpush.model.workload import Eviction, Gang, Placement
from trainpush.planner.explaining.wording import count

COOLDOWN: Final = timedelta(minutes=5)
"""Least time from the start of an attempt until the gang grows, where its pool names none."""
_NAMED_MAX: Final = 8
"""Most nodes that are named one by one."""


def leaving(gang: Gang, place: Placement, nodes: Container[str], lost: int) -> Eviction | None:
    """What becomes of a gang that has to leave `nodes`, which loses so much work by it; None if it is on none of them.

    It goes on with as many of its workers as are elsewhere, if that is a legal size; else it looks for another place.
    """
    gone = sorted({node for node in place.nodes if node in nodes})
    if not gone:
        return None
    left = 0 if gang.slices else _largest(gang, sum(node not in nodes for node in place.nodes))
    more = f" and {len(gone) - _NAMED_MAX} more" if len(gone) > _NAMED_MAX else ""
    by = f"{'node' if len(gone) == 1 else 'nodes'} {', '.join(gone[:_NAMED_MAX])}{more}"
    becomes = f"goes on with {count(left, 'worker')}" if left else "looks for another place"
    return Eviction(by, Reason.MODE_SWITCH, f"{becomes}, since {by} will change the mode", left, lost)


def staying(place: Placement, nodes: Container[str], workers: int) -> tuple[str, ...]:
    """Where so many workers of a gang stay that leaves `nodes`, in the order of their ranks."""
    return tuple(node for node in place.nodes if node not in nodes)[:workers]


def growing(place: Placement, name: str, size: int, lost: int) -> Eviction:
    """What becomes of a gang that will have `size` workers; it is nobody's victim but its own."""
    message = f"goes on with {count(size, 'worker')} instead of {len(place.nodes)}, since there is room"
    return Eviction(name, Reason.RESIZED, message, size, lost)


def _largest(gang: Gang, most: int) -> int:
    return max((size for size in gang.sizes if size <= most), default=0)


def is_growth(place: Placement, eviction: Eviction) -> bool:
    """Whether it means more workers than there are."""
    return eviction.workers > len(place.nodes)


def may_grow(gang: Gang, place: Placement) -> bool:
    """Whether a gang has fewer workers than it could use."""
    return len(place.nodes) < max(gang.sizes, default=0)
