"""What an explanation looks at: a gang that found no place, the nodes, and what is known of those around it."""

from dataclasses import dataclass, replace
from functools import cached_property
from typing import Final

import numpy as np
from numpy.typing import NDArray

from trainpush.model.modes import MODE_KEY, SWITCHING_KEY
from trainpush.model.nodes import AMOUNT_MAX, Amounts, NodeTable
from trainpush.model.workload import Gang
from trainpush.planner.explaining.fitting import room
from trainpush.planner.explaining.holders import Holdings, Shares, shares
from trainpush.planner.placing import capacity
from trainpush.planner.placing.capacity import OPEN, Slots

Mask = NDArray[np.bool_]

_PASSING: Final = frozenset({MODE_KEY, SWITCHING_KEY})
"""Keys of taints that come and go with a node's mode."""


@dataclass(frozen=True, slots=True)
class Circumstances:
    """What an explanation may say beside bare numbers; amounts have shape (resources, nodes), thousandths."""

    reserved: Amounts | None = None
    """Kept free for a gang before this one; not part of what is used."""
    reserved_for: str = ""
    """Namespace and name of that gang."""
    leaving: Amounts | None = None
    """The part of what is used that pods hold that are ending."""
    held: Holdings | None = None
    """What our own jobs and services hold; the rest of what is used counts as other pods'."""


@dataclass(frozen=True)
class Situation:
    """A gang and the nodes of its pool; what is `used` leaves out what is reserved for others."""

    gang: Gang
    table: NodeTable
    used: Amounts
    blocked: NDArray[np.int8]
    around: Circumstances

    @cached_property
    def taken(self) -> Amounts:
        """What the gang may not have: used, or reserved for another."""
        if self.around.reserved is None:
            return self.used
        taken: Amounts = self.used + np.minimum(self.around.reserved, AMOUNT_MAX - 1)
        return taken

    @cached_property
    def usable(self) -> Mask:
        """Nodes that take pods now, and are large enough."""
        usable: Mask = self.blocked == OPEN
        return usable

    @cached_property
    def in_mode(self) -> Mask:
        """Nodes whose mode is one for the gang, and does not change."""
        return self.of_kinds(
            [
                all(capacity.is_tolerated(it, self.gang) for it in kind.taints if it.key in _PASSING)
                for kind in self.table.kinds
            ]
        )

    @cached_property
    def passing(self) -> Mask:
        """Nodes that take pods now, whatever their kind."""
        passing: Mask = self.table.ready & ~self.table.cordoned & self.in_mode
        return passing

    @cached_property
    def tolerated(self) -> Mask:
        """Nodes without a taint that keeps the gang away; those of modes, which change, do not count."""
        return self.of_kinds([not self.untolerated(kind) for kind in range(len(self.table.kinds))])

    @cached_property
    def allowed(self) -> Mask:
        """Nodes with a product that the gang allows."""
        products = self.gang.products
        return self.of_kinds([not products or kind.product in products for kind in self.table.kinds])

    @cached_property
    def willing(self) -> Mask:
        """Nodes that would do if they were ready, uncordoned, of the right mode, large enough and empty."""
        return self.tolerated & self.allowed

    @cached_property
    def whole(self) -> Slots:
        """Workers that each node would take if it were empty."""
        return capacity.slots(self.table, self.gang, np.zeros_like(self.used))

    @cached_property
    def slots(self) -> Slots:
        """Workers for which each node has room now, whether it is usable or not."""
        return capacity.slots(self.table, self.gang, self.taken)

    @cached_property
    def now(self) -> Slots:
        """Workers that each node takes now."""
        return np.where(self.usable, self.slots, 0)

    @cached_property
    def free(self) -> NDArray[np.int64]:
        """Whole free accelerators of the usable nodes."""
        free = capacity.column(self.table, self.table.allocatable - self.taken, self.gang.accelerator) // 1000
        return np.where(self.usable, np.maximum(free, 0), 0)

    @cached_property
    def shares(self) -> Shares:
        """Who holds the accelerators of the usable nodes."""
        return shares(self.table, self.used, self.around.held, self.gang.accelerator, self.usable)

    def room(self, slots: Slots) -> int:
        """Most workers that one domain of the required level takes, slices whole."""
        return room(self.gang, self.table, slots)

    def fits(self, slots: Slots) -> bool:
        """Whether the smallest legal size has room in `slots`."""
        return self.room(slots) >= self.gang.least

    def of(self, gang: Gang) -> "Situation":
        """The same around another gang that the same nodes hinder."""
        return replace(self, gang=gang)

    def untolerated(self, kind: int) -> list[str]:
        """The taints of a kind of nodes that keep the gang away, as kubectl writes them; without those of modes."""
        return [
            f"{taint.key}={taint.value}:{taint.effect}" if taint.value else f"{taint.key}:{taint.effect}"
            for taint in self.table.kinds[kind].taints
            if taint.key not in _PASSING and not capacity.is_tolerated(taint, self.gang)
        ]

    def of_kinds(self, values: list[bool]) -> Mask:
        """One value per kind of nodes, spread over the nodes."""
        spread: Mask = np.array(values, dtype=np.bool_)[self.table.kind]
        return spread
