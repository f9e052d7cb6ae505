"""Which nodes shall change their mode, and for whom, and how many nodes each mode has then.

Nothing is remembered from cycle to cycle. What is under way is chosen anew each time, before any other node;
what nobody chooses any more is given up.
"""

from collections import Counter
from collections.abc import Collection, Hashable, Iterable
from dataclasses import dataclass
from typing import Final

from trainpush.model.modes import Mode, Switching, SwitchStep
from trainpush.model.wording import count
from trainpush.planner.modes.bounds import BOUNDED, FeasibleBounds, ModeCounts
from trainpush.planner.modes.candidates import Candidates, Unit
from trainpush.planner.modes.cost import BlockReason, Cost
from trainpush.planner.modes.draft import resting
from trainpush.planner.modes.nodes import NodeState, NodeStates

PICKS_MAX: Final = 64
"""So many nodes that rest are chosen in one cycle; far more than may begin at once."""


@dataclass(frozen=True, slots=True)
class Pick:
    """A node that shall change its mode."""

    node: NodeState
    to: Mode
    why: str
    cost: Cost
    is_wish: bool = False


class Selection:
    """What is chosen so far, and how many nodes each mode has then."""

    def __init__(self, states: NodeStates, feasible: FeasibleBounds, switching: Switching) -> None:
        """Nothing is chosen yet."""
        self.picks: dict[str, Pick] = {}
        """By node, the most urgent first."""
        self.kept: set[str] = set()
        """Nodes under way that go on although nobody chose them."""
        self.unmet: list[str] = list(feasible.unmet)
        """What was asked for and is not so, in words."""
        self.pressed: set[Mode] = set()
        """Modes of which more nodes are wanted than are there."""
        self.counts = ModeCounts.of(feasible, states.nodes)
        self.states = states
        self.candidates = Candidates(states, switching)
        self.switching = switching
        self.default = switching.default
        self._new = 0
        """Nodes among the picks that rest."""

    @property
    def is_full(self) -> bool:
        """Whether no more is looked for in this cycle."""
        return self._new >= PICKS_MAX

    def goes_on(self, node: NodeState) -> bool:
        """Whether anybody still wants a node to change."""
        return node.name in self.picks or node.name in self.kept

    def under_way(self, steps: Collection[SwitchStep]) -> list[Unit]:
        """What is in one of these steps, of use, and neither chosen nor given up: in units, the latest first."""
        settled = self.picks.keys() | self.kept | self.candidates.doomed
        found: dict[Hashable, list[NodeState]] = {}
        for node in self.states.nodes:
            if node.step in steps and node.is_usable and node.name not in settled:
                found.setdefault((node.unit, node.to, node.wish), []).append(node)
        latest = sorted(found.values(), key=lambda unit: max((node.begun, node.name) for node in unit), reverse=True)
        return [tuple(unit) for unit in latest]

    def give_up(self, nodes: Iterable[NodeState]) -> None:
        """Nodes under way go back."""
        for node in nodes:
            self.candidates.give_up(node)
            if node.is_usable:
                self.counts.call_back(node.mode, node.to)

    def pick(self, node: NodeState, to: Mode, why: str, is_wish: bool = False) -> None:
        """Choose a node."""
        self.picks[node.name] = Pick(node, to, why, self.candidates.take(node, to), is_wish)
        if node.is_resting:
            self._new += 1
            self.counts.send(node.mode, to)

    def may(self, unit: Iterable[NodeState], to: Mode) -> bool:
        """Whether bounds let nodes change."""
        return self.may_beside(resting(unit), to, Counter(), Counter())

    def may_beside(self, leaving: Counter[Mode], to: Mode, gone: Counter[Mode], come: Counter[Mode]) -> bool:
        """Whether bounds let so many nodes of each mode change beside others, by the mode they leave and come to."""
        if not leaving:
            return True
        can_go = to not in leaving and all(self.counts.may_lose(mode, gone[mode] + n) for mode, n in leaving.items())
        return can_go and self.counts.may_have(to, come[to] + leaving.total())

    def raise_to_least(self, mode: Mode) -> None:
        """Choose nodes until `mode` has what it shall have at least; what is under way to it counts."""
        bound = f"at least {count(self.counts.feasible.least[mode], 'node')}"
        while self.counts.missing(mode) and not self.is_full:
            self.pressed.add(mode)
            units = (unit for unit in self.candidates.to(mode) if all(node.is_resting for node in unit))
            unit = next((unit for unit in units if self.may(unit, mode)), None)
            if unit is None:
                blocks = Counter(reason for _, reason in self.candidates.blocks(mode))
                self.unmet.append(f"{mode} has {self.counts.held(mode)} of {bound}{told(blocks)}")
                return
            for node in unit:
                self.pick(node, mode, f"{mode} has {bound}")

    def lower_to_most(self, mode: Mode) -> None:
        """Choose nodes that leave `mode` until it has no more than it may have."""
        bound = f"at most {count(self.counts.feasible.most[mode], 'node')}"
        while self.counts.excess(mode) and not self.is_full:
            unit, to = self._way_out(mode)
            if not unit:
                here = (node for node in self.states.nodes if node.mode is mode and node.is_resting and node.is_usable)
                blocks = Counter(self.candidates.reason(node, to) for node in here)
                self.unmet.append(f"{mode} has {self.counts.held(mode)} of {bound}{told(blocks)}")
                return
            for node in unit:
                self.pick(node, to, f"{mode} has {bound}")

    def _way_out(self, mode: Mode) -> tuple[Unit, Mode]:
        """What leaves `mode` best, and where to; nothing where nothing can."""
        for to in (self.home(mode), Mode.SHARED):
            for unit in self.candidates.to(to):
                here = tuple(node for node in unit if node.mode is mode)
                if here and all(node.is_resting for node in unit) and self.may(here, to):
                    return here, to
        return (), Mode.SHARED

    def home(self, former: Mode | None = None) -> Mode:
        """Where a node goes that `former` does not need: the default, else a mode that may have one more."""
        order = [self.default, *BOUNDED] if former else [self.default]
        return next((mode for mode in order if mode is not former and self.counts.may_have(mode)), Mode.SHARED)


def told(blocks: Counter[BlockReason]) -> str:
    """`; of the others: 3 nodes with replicas, 1 node changed too recently`; empty where there are none."""
    most_first = sorted(blocks.items(), key=lambda block: (-block[1], block[0]))
    parts = ", ".join(f"{count(number, 'node')} {words}" for words, number in most_first)
    return f"; of the others: {parts}" if parts else ""
