"""Which nodes may change their mode for another one, the best first, in units that change together."""

from collections.abc import Iterable, Iterator
from operator import itemgetter

from trainpush.model.modes import Mode, Switching
from trainpush.planner.modes.cost import BlockReason, Cost, Rank, TakenNodes, block_reason, cost, rank
from trainpush.planner.modes.nodes import NodeState, NodeStates

Unit = tuple[NodeState, ...]
"""Nodes that change their mode together: those of one unit for which it would be a change."""


class Candidates:
    """The nodes that nobody has chosen yet, as they can be had beside those that are taken."""

    def __init__(self, states: NodeStates, switching: Switching) -> None:
        """All nodes; what is under way is taken already."""
        self.doomed: set[str] = set()
        """Nodes under way that have to go back."""
        self._states = states
        self._switching = switching
        self._gone: set[str] = set()
        """Nodes that were chosen."""
        self._taken = TakenNodes(node for node in states.nodes if not node.is_resting)
        self._ranks: dict[Mode, dict[int, tuple[Rank, Unit] | None]] = {}
        """Of each unit that was looked at; None where it may not change to that mode."""
        self._lists: dict[Mode, list[Unit]] = {}
        """Units that may change, in order; until something is taken that changes the costs of others."""
        self._others: dict[Mode, list[tuple[int, BlockReason]]] = {}
        self._judged: dict[tuple[str, Mode], BlockReason | None] = {}

    def to(self, mode: Mode) -> Iterator[Unit]:
        """What may change to `mode`, or to Shared for its sake; what is under way to it comes first."""
        if mode not in self._lists:
            ranks = self._ranks.setdefault(mode, {})
            ranks |= {unit: self._ranked(unit, mode) for unit in range(len(self._states.units)) if unit not in ranks}
            may_change = [ranked for unit in range(len(self._states.units)) if (ranked := ranks[unit])]
            self._lists[mode] = [unit for _, unit in sorted(may_change, key=itemgetter(0))]
        return (unit for unit in self._lists[mode] if not any(node.name in self._gone for node in unit))

    def block_reason(self, node: NodeState, to: Mode) -> BlockReason | None:
        """Why a node may not change to `to`, whatever the bounds say; None where it may."""
        if (node.name, to) not in self._judged:
            self._judged[node.name, to] = block_reason(node, to, self._states, self._switching, self._taken)
        return self._judged[node.name, to]

    def blocks(self, mode: Mode) -> list[tuple[int, BlockReason]]:
        """Why nodes that do not have `mode` do not change to it, by row."""
        if mode not in self._others:
            free = (node for node in self._states.nodes if node.name not in self._gone)
            others = (node for node in free if node.mode is not mode or not node.is_resting)
            self._others[mode] = [(node.row, self.reason(node, mode)) for node in others]
        return self._others[mode]

    def reason(self, node: NodeState, to: Mode) -> BlockReason:
        """Why a node does not change to `to`: what is on it, else the bounds, or that not all of its unit may."""
        beyond = BlockReason.FLOOR if len(self._states.units[node.unit]) == 1 else BlockReason.UNIT
        return self.block_reason(node, to) or beyond

    def may_join(self, drafted: Iterable[NodeState], unit: Unit, to: Mode) -> bool:
        """Whether what is on a unit lets it change beside nodes that are drafted for the same mode, too."""
        if all(node.suits(to) for node in unit):
            return True
        taken = self._taken.copy()
        for node in drafted:
            taken.add(node)
        for node in unit:
            if block_reason(node, to, self._states, self._switching, taken):
                return False
            taken.add(node)
        return True

    def take(self, node: NodeState, to: Mode) -> Cost:
        """Choose a node; what that costs beside those that were chosen before."""
        price = cost(node, to, self._states, self._taken)
        self._gone.add(node.name)
        self._taken.add(node)
        self._others.clear()
        if node.gangs:
            # To take more from the same gangs costs less now.
            self._lists.clear()
            touched = {name for key in node.gangs for name in self._states.gangs[key].place.nodes}
            for other in (other for other in self._states.nodes if other.name in touched):
                for mode in Mode:
                    self._judged.pop((other.name, mode), None)
                for ranks in self._ranks.values():
                    ranks.pop(other.unit, None)
        return price

    def give_up(self, node: NodeState) -> None:
        """A node under way has to go back."""
        self.doomed.add(node.name)
        self._taken.discard(node)
        self._judged.clear()

    def _ranked(self, unit: int, mode: Mode) -> tuple[Rank, Unit] | None:
        # Who is out of order, or where people want it, neither comes along nor keeps the others from it.
        mates = [node for node in self._states.units[unit] if node.follows]
        nodes = [node for node in mates if is_other(node, mode)]
        to = next((node.to for node in nodes if not node.is_resting), mode)
        # Who was left behind follows the others of its unit.
        ahead = (node for node in mates if not node.is_resting and node.name not in self.doomed)
        if any(node.to is not to and node.mode is not Mode.MAINTENANCE for node in ahead):
            return None
        if not nodes or any(node.name in self.doomed or self.block_reason(node, to) for node in nodes):
            return None
        price = self._price(nodes, to)
        return (rank(nodes, price), tuple(nodes)) if price else None

    def _price(self, nodes: list[NodeState], to: Mode) -> Cost | None:
        """What nodes cost together; None where some gang may not lose all of them."""
        if len(nodes) == 1:
            return cost(nodes[0], to, self._states, self._taken)
        taken, prices = self._taken.copy(), []
        for node in nodes:
            if block_reason(node, to, self._states, self._switching, taken):
                return None
            prices.append(cost(node, to, self._states, taken))
            taken.add(node)
        victims = dict.fromkeys(key for price in prices for key in price.victims)
        return Cost(max(price.kind for price in prices), sum(price.lost for price in prices), tuple(victims))


def is_other(node: NodeState, mode: Mode) -> bool:
    """Whether a node would have to change to be of use for `mode`, or is about to."""
    return node.mode is not mode if node.is_resting else node.to in {mode, Mode.SHARED}
