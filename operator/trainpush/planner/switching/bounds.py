"""How many nodes each mode shall have at least and at most, as far as the pool has so many."""

from collections.abc import Mapping
from dataclasses import dataclass

from trainpush.model.modes import Bounds, Mode
from trainpush.model.wording import count
from trainpush.planner.switching.calendar import BOUNDED


@dataclass(frozen=True, slots=True)
class Reach:
    """Bounds that can be kept with the nodes that there are."""

    least: Mapping[Mode, int]
    most: Mapping[Mode, int]
    limited: frozenset[Mode] = frozenset()
    """Modes of which the pool itself says how many nodes have them at most."""
    unmet: tuple[str, ...] = ()
    """What was asked for and cannot be, in words with numbers."""


def within(bounds: Mapping[Mode, Bounds], nodes: int) -> Reach:
    """The bounds that `nodes` nodes can keep: inference gets its least before training."""
    least: dict[Mode, int] = {}
    unmet = []
    for mode in BOUNDED:
        asked, left = bounds[mode].least, nodes - sum(least.values())
        least[mode] = min(asked, left)
        if asked > left:
            unmet.append(f"{mode} needs {count(asked, 'node')}, and {left} of {nodes} are left for it")
    most = {}
    for mode in BOUNDED:
        left = nodes - sum(least[other] for other in BOUNDED if other is not mode)
        limit = bounds[mode].most
        most[mode] = max(least[mode], left if limit is None else min(limit, left))
    limited = frozenset(mode for mode in BOUNDED if bounds[mode].most is not None)
    return Reach(least, most, limited, tuple(unmet))
