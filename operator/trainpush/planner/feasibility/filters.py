"""Which nodes take a worker at all, whatever is free on them, and why the others do not.

The filters are asked one after the other; the first that turns a node away is the reason that is told.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from enum import IntEnum
from functools import cached_property
from typing import Final

import numpy as np
from numpy.typing import NDArray

from trainpush.model.gang import Requirements
from trainpush.model.modes import MODE_KEY, SWITCHING_KEY, Mode
from trainpush.model.nodes import NodeTable, Taint
from trainpush.model.outage import OUT_OF_SERVICE
from trainpush.planner.feasibility.slots import Slots, slots

Mask = NDArray[np.bool_]
"""One entry per node, in table order."""


class FilterReason(IntEnum):
    """Why a node takes no worker, in the order in which the filters are asked."""

    NONE = 0
    NOT_READY = 1
    PRESSED = 2
    CORDONED = 3
    SWITCHING = 4
    OTHER_MODE = 5
    TAINTED = 6
    OTHER_PRODUCT = 7
    TOO_SMALL = 8


WORDS: Final = {
    FilterReason.NOT_READY: "not ready",
    FilterReason.PRESSED: "under pressure",
    FilterReason.CORDONED: "cordoned",
    FilterReason.SWITCHING: "changing mode",
    FilterReason.OTHER_MODE: "in another mode",
    FilterReason.TAINTED: "with a taint that is not tolerated",
    FilterReason.OTHER_PRODUCT: "with another accelerator product",
    FilterReason.TOO_SMALL: "too small for a worker even when empty",
}
"""What is said of so many nodes."""
PASSING: Final = frozenset(
    {FilterReason.NOT_READY, FilterReason.CORDONED, FilterReason.SWITCHING, FilterReason.OTHER_MODE}
)
"""Reasons that come and go with the state of a node; the others are of its kind."""
OPEN: Final = int(FilterReason.NONE)
"""As a plain number: to compare an array with a member of an enum takes thirty times as long."""
_CLOSED: Final = frozenset({SWITCHING_KEY, OUT_OF_SERVICE})
"""Keys of taints that nobody tolerates."""
_STATES: Final = {
    SWITCHING_KEY: FilterReason.SWITCHING,
    MODE_KEY: FilterReason.OTHER_MODE,
    OUT_OF_SERVICE: FilterReason.NOT_READY,
    "node.cloudprovider.kubernetes.io/uninitialized": FilterReason.NOT_READY,
    "node.kubernetes.io/not-ready": FilterReason.NOT_READY,
    "node.kubernetes.io/unreachable": FilterReason.NOT_READY,
    "node.kubernetes.io/network-unavailable": FilterReason.NOT_READY,
    "node.kubernetes.io/memory-pressure": FilterReason.PRESSED,
    "node.kubernetes.io/disk-pressure": FilterReason.PRESSED,
    "node.kubernetes.io/pid-pressure": FilterReason.PRESSED,
}
"""By the key of a taint that tells what state a node is in, not of what kind it is: it passes."""


@dataclass(frozen=True)
class NodeFilters:
    """What the filters say of the nodes of a pool to workers that are alike; each part is worked out once."""

    table: NodeTable
    requirements: Requirements

    @cached_property
    def reasons(self) -> NDArray[np.int8]:
        """The first reason of each node."""
        table = self.table
        of_kinds = np.array([min(reasons, default=OPEN) for reasons in self._of_kinds], dtype=np.int8)
        result: NDArray[np.int8] = of_kinds[table.kind]
        result[(result == OPEN) & (self.whole == 0)] = FilterReason.TOO_SMALL
        result[table.cordoned] = FilterReason.CORDONED
        result[~(table.ready & self._passes(FilterReason.NOT_READY))] = FilterReason.NOT_READY
        return result

    @cached_property
    def open(self) -> Mask:
        """Nodes that every filter lets pass and the worker does not avoid, whether they are large enough or not."""
        open_: Mask = self.ready & ~self.table.cordoned & self.of_kinds(not found for found in self._of_kinds)
        if avoided := [row for node in self.requirements.avoided if (row := self.table.rows.get(node)) is not None]:
            open_[avoided] = False
        return open_

    @cached_property
    def usable(self) -> Mask:
        """Nodes that every filter lets pass."""
        usable: Mask = self.reasons == OPEN
        return usable

    @cached_property
    def whole(self) -> Slots:
        """Workers that each node would take if it were empty, whatever the other filters say."""
        return slots(self.table, self.requirements, np.zeros_like(self.table.used))

    @cached_property
    def ready(self) -> Mask:
        """Nodes that are ready and under no pressure."""
        ready: Mask = self.table.ready & self._passes(FilterReason.NOT_READY, FilterReason.PRESSED)
        return ready

    @cached_property
    def tolerated(self) -> Mask:
        """Nodes without a taint that keeps the worker away; those of states, which pass, do not count."""
        return self._passes(FilterReason.TAINTED)

    @cached_property
    def allowed(self) -> Mask:
        """Nodes with a product that the worker allows."""
        return self._passes(FilterReason.OTHER_PRODUCT)

    @cached_property
    def willing(self) -> Mask:
        """Nodes that would do if they were ready, uncordoned, of the right mode, large enough and empty."""
        return self._passes(FilterReason.TAINTED, FilterReason.OTHER_PRODUCT)

    @cached_property
    def in_mode(self) -> Mask:
        """Nodes whose mode is one for the worker, and does not change."""
        return self._passes(FilterReason.SWITCHING, FilterReason.OTHER_MODE)

    @cached_property
    def passing(self) -> Mask:
        """Nodes that take pods now, whatever their kind."""
        passing: Mask = self.ready & ~self.table.cordoned & self.in_mode
        return passing

    def _passes(self, *reasons: FilterReason) -> Mask:
        """Nodes of kinds that none of these filters turns away."""
        return self.of_kinds(reasons_of.isdisjoint(reasons) for reasons_of in self._of_kinds)

    def of_kinds(self, values: Iterable[bool]) -> Mask:
        """One value per kind of nodes, spread over the nodes."""
        spread: Mask = np.array(list(values), dtype=np.bool_)[self.table.kind]
        return spread

    def untolerated(self, kind: int) -> list[str]:
        """The taints of a kind of nodes that keep the worker away, as kubectl writes them; without those of states."""
        return [
            f"{taint.key}={taint.value}:{taint.effect}" if taint.value else f"{taint.key}:{taint.effect}"
            for taint in self.table.kinds[kind].taints
            if taint.key not in _STATES and not is_tolerated(taint, self.requirements)
        ]

    @cached_property
    def _of_kinds(self) -> list[set[FilterReason]]:
        """Every reason that lies in what a node has in common with many others."""
        of_kinds = []
        for kind in self.table.kinds:
            repelling = (taint for taint in kind.taints if not is_tolerated(taint, self.requirements))
            reasons = {_STATES.get(taint.key, FilterReason.TAINTED) for taint in repelling}
            if self.requirements.products and kind.product not in self.requirements.products:
                reasons.add(FilterReason.OTHER_PRODUCT)
            of_kinds.append(reasons)
        return of_kinds


def is_tolerated(taint: Taint, requirements: Requirements) -> bool:
    """Whether `taint` does not keep a worker away.

    Nothing goes to a node that switches, nor to one where pods count as ended, whatever it tolerates.
    """
    if taint.key in _CLOSED:
        return False
    # A blanket toleration of a user's pod does not open every mode.
    tolerations = (it for it in requirements.tolerations if it.key == MODE_KEY or taint.key != MODE_KEY)
    return any(toleration.covers(taint) for toleration in tolerations)


def is_welcome(mode: Mode, requirements: Requirements) -> bool:
    """Whether a worker may go to nodes that rest in `mode`."""
    return mode is Mode.SHARED or is_tolerated(Taint(MODE_KEY, mode, "NoSchedule"), requirements)
