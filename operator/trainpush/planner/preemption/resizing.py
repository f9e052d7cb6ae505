"""Gangs that leave nodes which change their mode, and gangs that grow where there is room.

Either is a new attempt of another legal size, which goes on from the last checkpoint.
"""

from collections.abc import Container
from datetime import timedelta
from typing import Final

from trainpush.model.gang import Gang
from trainpush.model.reasons import Reason
from trainpush.model.wording import count, listed
from trainpush.model.workload import Eviction, Job, Placement
from trainpush.planner import reports

COOLDOWN: Final = timedelta(minutes=5)
"""Least time from the start of an attempt until the gang grows, where its pool names none."""
_NAMED_MAX: Final = 8
"""Most nodes that are named one by one."""
_BY_MAX: Final = 512
"""Longest text that status takes: names of nodes may have 253 characters each."""


def leaving(gang: Gang, place: Placement, nodes: Container[str], lost: int) -> Eviction | None:
    """What becomes of a gang that has to leave `nodes`, which loses so much work by it; None if it is on none of them.

    It goes on with as many of its workers as are elsewhere, if that is a legal size; else it looks for another place.
    """
    gone = sorted({node for node in place.nodes if node in nodes})
    if not gone:
        return None
    left = left_of(gang, sum(node not in nodes for node in place.nodes))
    by = f"{'node' if len(gone) == 1 else 'nodes'} {listed(gone, _NAMED_MAX)}"[:_BY_MAX]
    becomes = f"goes on with {count(left, 'worker')}" if left else "looks for another place"
    return Eviction(by, Reason.MODE_SWITCH, f"{becomes}, since {by} will change the mode", left, lost)


def staying(gang: Gang, place: Placement, nodes: Container[str], workers: int) -> tuple[str, ...]:
    """Where a gang stays that leaves `nodes`, in the order of its ranks; empty where no legal size is left.

    With so many workers, or fewer where more nodes have to be left by now than when it was told.
    """
    left = tuple(node for node in place.nodes if node not in nodes)
    size = min(workers, len(left))
    return left[: left_of(gang, size) if len(left) < len(place.nodes) else _largest(gang, size)]


def left_of(gang: Gang, there: int) -> int:
    """With how many workers a gang goes on that has lost some, where so many are there still; 0: with none.

    What is left of slices may be no slices any more.
    """
    return 0 if gang.topology.slices else _largest(gang, there)


def growing(place: Placement, name: str, size: int, lost: int) -> Eviction:
    """What becomes of a gang that will have `size` workers; it is nobody's victim but its own."""
    message = f"goes on with {count(size, 'worker')} instead of {len(place.nodes)}, since there is room"
    return Eviction(name, Reason.RESIZED, message, size, lost)


def _largest(gang: Gang, most: int) -> int:
    return max((size for size in gang.sizes if size <= most), default=0)


def is_growth(place: Placement, eviction: Eviction) -> bool:
    """Whether it means more workers than there are."""
    return eviction.workers > len(place.nodes)


def may_grow(job: Job, gang: Gang, place: Placement) -> bool:
    """Whether a gang that runs has fewer workers than it could use, and its program will not lose its work by it."""
    return job.recorded.has_run and len(place.nodes) < max(gang.sizes, default=0) and is_growth_wanted(job)


def is_growth_wanted(job: Job) -> bool:
    """Whether a new attempt with more workers would be welcome.

    A program that is to be asked for checkpoints must report: nobody needs its growth so much as what it has done.
    """
    return not job.is_asked or reports.can_be_asked(job)
