"""Who finds a place once nodes have changed their mode: all that want one, in their order."""

from trainpush.planner.modes.demand import Demand
from trainpush.planner.modes.projected_capacity import ProjectedCapacity


class ProjectedPlacements:
    """The places that demands find, the first one first; each takes its place from those after it."""

    def __init__(self, capacity: ProjectedCapacity) -> None:
        """Nobody has a place yet."""
        self.capacity = capacity
        self.found: list[tuple[Demand, tuple[int, ...]]] = []
        """Those that find one, and the rows of their nodes."""
        self._in_vain: set[Demand] = set()

    def place(self, demand: Demand) -> bool:
        """Take the best place for somebody, if there is one; whether there is."""
        if demand in self._in_vain or self.capacity.is_cleared(demand.instead_of):
            return False
        self.capacity.release(demand.gangs[-1], demand.instead_of)
        assignment = next(filter(None, map(self.capacity.assign, demand.gangs)), None)
        if assignment is None:
            self.capacity.retake(demand.gangs[-1], demand.instead_of)
            self._in_vain.add(demand)
            return False
        self.found.append((demand, tuple(assignment.by_row)))
        return True
