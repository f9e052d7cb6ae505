"""What an explanation looks at: a gang that found no place, the nodes, and what is known of those around it."""

from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from trainpush.model.gang import Gang
from trainpush.model.nodes import AMOUNT_MAX, Amounts, NodeTable
from trainpush.planner.explaining.holders import Holdings, Shares, shares
from trainpush.planner.feasibility.domains import Layout
from trainpush.planner.feasibility.filters import NodeFilters
from trainpush.planner.feasibility.slots import Slots, column, slots


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
    filters: NodeFilters
    used: Amounts
    around: Circumstances

    @property
    def table(self) -> NodeTable:
        """The nodes."""
        return self.filters.table

    @cached_property
    def taken(self) -> Amounts:
        """What the gang may not have: used, or reserved for another."""
        if self.around.reserved is None:
            return self.used
        taken: Amounts = self.used + np.minimum(self.around.reserved, AMOUNT_MAX - 1)
        return taken

    @cached_property
    def slots(self) -> Slots:
        """Workers for which each node has room now, whether it is usable or not."""
        return slots(self.table, self.gang.requirements, self.taken)

    @cached_property
    def now(self) -> Slots:
        """Workers that each node takes now."""
        return np.where(self.filters.usable, self.slots, 0)

    @cached_property
    def free(self) -> NDArray[np.int64]:
        """Whole free accelerators of the usable nodes."""
        free = column(self.table, self.table.allocatable - self.taken, self.gang.requirements.accelerator) // 1000
        return np.where(self.filters.usable, np.maximum(free, 0), 0)

    @cached_property
    def shares(self) -> Shares:
        """Who holds the accelerators of the usable nodes."""
        accelerator = self.gang.requirements.accelerator
        return shares(self.table, self.used, self.around.held, accelerator, self.filters.usable)

    @cached_property
    def layout(self) -> Layout:
        """The domains of which one must hold the gang."""
        return Layout.of(self.table, self.gang.topology)

    def room(self, slots: Slots) -> int:
        """Most workers that one domain of the required level takes, slices whole."""
        return self.layout.largest(slots)

    def fits(self, slots: Slots) -> bool:
        """Whether the smallest legal size has room in `slots`."""
        return self.room(slots) >= self.gang.least

    def of(self, gang: Gang) -> "Situation":
        """The same around another gang that the same nodes hinder."""
        return replace(self, gang=gang)
