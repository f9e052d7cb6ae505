"""Who finds a place once nodes have changed their mode: all that want one, in their order."""

from collections.abc import Iterable, Sequence
from typing import NamedTuple

from trainpush.model.gang import Gang
from trainpush.model.modes import Mode
from trainpush.planner.modes.demand import Demand
from trainpush.planner.modes.nodes import NodeState
from trainpush.planner.modes.projected_capacity import ProjectedCapacity


class ProjectedPlacement(NamedTuple):
    """A place that somebody will have."""

    gang: Gang
    """In the size that finds one."""
    rows: tuple[int, ...]
    """Of its nodes."""


class ProjectedPlacements:
    """The places that demands find, the first one first; each takes its place from those after it."""

    def __init__(self, capacity: ProjectedCapacity) -> None:
        """Nobody has a place yet."""
        self.capacity = capacity
        self.found: dict[int, ProjectedPlacement] = {}
        """By the position of the demand."""
        self.rows: set[int] = set()
        """Nodes on which somebody has one."""
        self._in_vain: set[Demand] = set()
        """Those that found none; whoever asks for the same later finds none either."""

    def switch(self, nodes: Iterable[tuple[NodeState, Mode]]) -> None:
        """Nodes change as well; who has a place stays there."""
        for node, to in nodes:
            self.capacity.switch(node, to)
        self._in_vain.clear()

    def place(self, position: int, demand: Demand, gangs: Sequence[Gang]) -> bool:
        """Take the best place for the first of `gangs` that finds one; whether there is any."""
        if demand in self._in_vain or self.capacity.is_cleared(demand.instead_of):
            return False
        self.capacity.release(demand.gangs[-1], demand.instead_of)
        for gang in gangs:
            if assignment := self.capacity.assign(gang):
                self.found[position] = ProjectedPlacement(gang, tuple(assignment.by_row))
                self.rows.update(assignment.by_row)
                return True
        self.capacity.retake(demand.gangs[-1], demand.instead_of)
        self._in_vain.add(demand)
        return False
