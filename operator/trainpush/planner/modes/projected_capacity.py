"""A pool as it would be if some nodes had another mode: where those that wait would find room."""

from collections.abc import Iterable, Sequence

import numpy as np
from numpy.typing import NDArray

from trainpush.model.gang import Gang, Topology
from trainpush.model.modes import Mode
from trainpush.planner.feasibility.domains import Layout
from trainpush.planner.feasibility.filters import Mask, is_welcome
from trainpush.planner.feasibility.slots import Slots, slots
from trainpush.planner.modes.nodes import LATE, NodeState
from trainpush.planner.placing.free_capacity import FreeCapacity


class ProjectedCapacity(FreeCapacity):
    """What is free on each node when all that is under way has happened, and what was added to it."""

    def __init__(self, capacity: FreeCapacity, nodes: Iterable[NodeState]) -> None:
        """As it is once pods that are ending have ended, and nodes that are empty have their new mode."""
        super().__init__(capacity.pool, capacity.used - capacity.terminating, np.zeros_like(capacity.used))
        self._open = {mode: np.zeros(len(capacity.pool.table.names), dtype=np.bool_) for mode in Mode}
        self._cleared: set[int] = set()
        """Nodes from which everything has to go."""
        self._layouts: dict[Topology, Layout] = {}
        self.changing: set[int] = set()
        """Nodes that are open for their next mode only, by row."""
        for node in nodes:
            if node.is_usable and (node.is_resting or node.step in LATE):
                self._open[node.to][node.row] = True
                if not node.is_resting:
                    self.changing.add(node.row)

    def switch(self, node: NodeState, to: Mode) -> None:
        """A node gets another mode; what may not stay goes, and everything with it."""
        if not node.suits(to):
            self.used[:, node.row] = self.pool.table.used[:, node.row]
            self._cleared.add(node.row)
            self._note([node.row])
        for mode, nodes in self._open.items():
            nodes[node.row] = mode is to
        self.changing.add(node.row)
        self._counted.clear()

    def slots(self, gang: Gang) -> Slots:
        """Workers for which each node has room; to be read only."""
        return self._domains(gang, self._widest).slots

    def slots_in_mode(self, gang: Gang) -> tuple[Slots, Slots]:
        """Workers for which each node would have room in the right mode: as it is, and if all of ours went."""
        table, requirements, willing = self.pool.table, gang.requirements, self.filters(gang).willing
        return slots(table, requirements, self.used) * willing, slots(table, requirements, table.used) * willing

    def layout(self, topology: Topology) -> Layout:
        """The domains of which one must hold a gang."""
        if topology not in self._layouts:
            self._layouts[topology] = Layout.of(self.pool.table, topology)
        return self._layouts[topology]

    def domains(self, gang: Gang) -> NDArray[np.intp]:
        """Which domain of its required level each node is in, as the position of that domain."""
        return self._tree.domain[self._outermost(gang)]

    def is_cleared(self, nodes: Sequence[str]) -> bool:
        """Whether everything has to go from some of `nodes`."""
        rows = self.pool.table.rows
        return any(rows.get(node) in self._cleared for node in nodes)

    def _admits(self, gang: Gang) -> Mask:
        """Nodes that will have a mode for `gang`."""
        welcome = [nodes for mode, nodes in self._open.items() if is_welcome(mode, gang.requirements)]
        admitted: Mask = self.filters(gang).willing & np.logical_or.reduce(welcome)
        return admitted
