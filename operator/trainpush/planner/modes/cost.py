"""Which node to take: empty ones first, then those whose work can go on elsewhere, then those that lose least."""

import math
from collections import Counter
from collections.abc import Iterable, Sequence
from datetime import datetime
from enum import StrEnum
from typing import Final, NamedTuple

from trainpush.model.modes import Mode, Switching, SwitchStep
from trainpush.model.workload import Key
from trainpush.planner.modes.nodes import EARLY, HARMLESS, NodeState, NodeStates
from trainpush.planner.preemption import resizing

_ORDER: Final = {Mode.MAINTENANCE: 0, Mode.SHARED: 1}
"""Modes that are given away first."""

Rank = tuple[float, int, int, int, int, str]
"""Less comes first."""


class BlockReason(StrEnum):
    """Why a node is not taken for another mode, in words that follow a number of nodes."""

    UNUSABLE = "not ready, cordoned or unhealthy"
    WISHED = "wanted by people as they are"
    UNDER_WAY = "on their way to another mode"
    SERVING = "with replicas"
    ROLLING = "of a service that rolls out"
    PROTECTED = "with gangs that may not be disturbed"
    YOUNG = "changed too recently"
    FLOOR = "that their mode needs for its minimum"
    UNIT = "in units that cannot change as a whole"
    EARLIER = "that those before it would take"
    TOO_FEW = "that would not be enough together"


class Cost(NamedTuple):
    """What it costs to take a node; less comes first."""

    kind: int
    """0 where nothing has to go, 1 where every gang goes on with fewer workers, 2 where some gang goes."""
    lost: int
    """Accelerator-seconds that are done twice."""
    victims: tuple[Key, ...]


class TakenNodes:
    """Nodes that gangs lose in any case, and how many workers of each gang that makes."""

    def __init__(self, nodes: Iterable[NodeState] = ()) -> None:
        """These nodes."""
        self.names: set[str] = set()
        self.workers: Counter[Key] = Counter()
        for node in nodes:
            self.add(node)

    def copy(self) -> "TakenNodes":
        """The same nodes, to which more can be added."""
        made = TakenNodes()
        made.names, made.workers = set(self.names), self.workers.copy()
        return made

    def add(self, node: NodeState) -> None:
        """One node more, unless it is taken already."""
        if node.name not in self.names:
            self.names.add(node.name)
            self.workers.update(node.gangs)

    def discard(self, node: NodeState) -> None:
        """One node less, if it was taken."""
        if node.name in self.names:
            self.names.remove(node.name)
            self.workers.subtract(node.gangs)

    def left(self, key: Key, states: NodeStates, more: NodeState | None = None) -> int:
        """With how many workers a gang goes on that loses all these nodes, and one more."""
        gang, place = states.gangs[key].gang, states.gangs[key].place
        gone = self.workers[key] + (more.gangs[key] if more and more.name not in self.names else 0)
        return resizing.left_of(gang, len(place.nodes) - gone) if gone else len(place.nodes)


def block_reason(
    node: NodeState, to: Mode, states: NodeStates, switching: Switching, taken: TakenNodes
) -> BlockReason | None:
    """Why a node that people have no wish for does not change to `to`; None where it may."""
    if not node.is_usable:
        return BlockReason.UNUSABLE
    if node.wish:
        return BlockReason.WISHED
    if not node.is_resting and (node.step not in EARLY or node.to is not to):
        return BlockReason.UNDER_WAY
    # Others were told to go for the sake of the same change: it would be in vain.
    is_awaited = node.step is SwitchStep.CORDONED and any(it.step in EARLY - HARMLESS for it in states.mates(node))
    if node.is_resting or (node.step in HARMLESS and not is_awaited):
        is_young = young_until(node, states.now, switching)
        return _harm(node, to, states, taken) or (BlockReason.YOUNG if is_young else None)
    return None


def _harm(node: NodeState, to: Mode, states: NodeStates, taken: TakenNodes) -> BlockReason | None:
    if node.is_rolling:
        return BlockReason.ROLLING
    if node.suits(to):
        return None
    if node.services:
        return BlockReason.SERVING
    protections = (states.gangs[key].protection(taken.left(key, states, node), states.now) for key in node.gangs)
    return BlockReason.PROTECTED if node.is_foreign or any(protections) else None


def young_until(node: NodeState, now: datetime, switching: Switching) -> datetime | None:
    """Until when a node rests after its last switch; None where it may switch."""
    switch, pause = node.switch, switching.cooldown
    if switch is None or not switch.why or not switch.is_resting:
        return None  # it never switched: its annotation only says what it has always been
    if switch.step is SwitchStep.ACTIVE:
        pause = max(pause, switching.min_time_in_mode)
    return switch.since + pause if now < switch.since + pause else None


def cost(node: NodeState, to: Mode, states: NodeStates, taken: TakenNodes) -> Cost:
    """What it costs that one more node becomes `to` when those in `taken` are taken already."""
    if node.suits(to):
        return Cost(0, 0, ())
    kind, lost = 1, 0
    for key in node.gangs:
        gang, before = states.gangs[key], taken.left(key, states)
        if before == len(gang.place.nodes):
            lost += gang.lost(states.now)
        if before and not taken.left(key, states, node):
            kind = 2
    return Cost(kind, lost, (*node.gangs, *node.services))


def rank(nodes: Sequence[NodeState], price: Cost) -> Rank:
    """Orders what may change together: what is on its way first, the oldest of it before all."""
    first = nodes[0]
    begun = min(math.inf if node.is_resting else node.begun for node in nodes)
    return (begun, price.kind, price.lost, _ORDER.get(first.mode, len(_ORDER)), first.free_domain, first.name)
