"""Which nodes shall change their mode, and for whom: wishes of people, bounds, then whoever waits.

Nothing is remembered from cycle to cycle. What is under way is chosen anew each time, before any other node;
what nobody chooses any more is given up.
"""

from collections import Counter, defaultdict
from collections.abc import Callable, Collection, Hashable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Final

from trainpush.model.gang import Gang, Requirements
from trainpush.model.modes import Mode, Switching, SwitchStep
from trainpush.model.wording import count
from trainpush.planner.allocations import Owner
from trainpush.planner.modes.bounds import BOUNDED, FeasibleBounds, ModeCounts
from trainpush.planner.modes.candidates import Candidates, Unit
from trainpush.planner.modes.cost import BlockReason, Cost
from trainpush.planner.modes.demand import Demand
from trainpush.planner.modes.draft import Draft, Offer, OfferedCapacity
from trainpush.planner.modes.nodes import NodeState, NodeStates
from trainpush.planner.modes.projected_capacity import ProjectedCapacity
from trainpush.planner.modes.projected_placements import ProjectedPlacements

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


@dataclass(frozen=True, slots=True)
class DemandResult:
    """What a demand led to."""

    nodes: tuple[str, ...] = ()
    """Nodes that change for it; none where there is room already, or where nothing helps."""
    is_met: bool = True
    blocks: Counter[BlockReason] = field(default_factory=Counter)
    """Why other nodes that would do are not taken, and how many of them."""
    at_most: int | None = None
    """What the mode has at most, where that is in the way."""


class Selection:
    """What is chosen so far, and how many nodes each mode has then."""

    def __init__(
        self,
        states: NodeStates,
        feasible: FeasibleBounds,
        switching: Switching,
        projected: Callable[[], ProjectedCapacity],
    ) -> None:
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
        self._projected = projected
        """As it will be with nothing chosen, before anybody takes room."""
        self._line: list[Demand] = []
        """All that want room, in order."""
        self._refused: dict[Demand, DemandResult] = {}
        """Those for which no node changes, and so none for others that are alike."""
        self._blocks: dict[Requirements, Counter[BlockReason]] = {}
        """Why nodes do not change for such workers, as long as nothing more is chosen."""

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
        self._blocks.clear()

    @cached_property
    def _placements(self) -> ProjectedPlacements:
        """Who finds a place with what is chosen so far."""
        return self._after(())

    def may(self, unit: Sequence[NodeState], to: Mode) -> bool:
        """Whether bounds let nodes change."""
        return self._may_join(Draft(), Offer(tuple(unit), to, {}))

    def _may_join(self, draft: Draft, offer: Offer) -> bool:
        """Whether bounds let nodes change beside those of a draft."""
        new, to = offer.resting, offer.to
        if not new:
            return True
        can_go = to not in new and all(self.counts.may_lose(mode, draft.gone[mode] + n) for mode, n in new.items())
        return can_go and self.counts.may_have(to, draft.come[to] + new.total())

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

    def meet(self, demand: Demand) -> None:
        """Find room for somebody: as things will be, else with more nodes.

        All before it have the first say in the room that these make: some would wait else, others have a better place.
        """
        has_place = self._placements.place(demand)
        self._line.append(demand)
        if has_place or self._placements.capacity.is_cleared(demand.instead_of):
            return  # of those that are cleared each gets another size first
        if demand.may_switch:
            self.pressed.add(demand.mode)
        if not demand.may_switch or self.is_full or demand in self._refused:
            return
        while nodes := self._to_switch(demand):
            later = self._after(nodes)
            if len(later.found) <= len(self._placements.found):
                self._refused[demand] = DemandResult(is_met=False, blocks=Counter({BlockReason.EARLIER: len(nodes)}))
                return
            for node, to in nodes:
                self.pick(node, to, str(demand.owner))
            self._placements = later
            if later.found[-1][0] is demand:
                return
        self._refused[demand] = self._refusal(demand)

    def _after(self, nodes: Iterable[tuple[NodeState, Mode]]) -> ProjectedPlacements:
        """Who would find a place if these nodes changed as well."""
        capacity = self._projected()
        for node, to in [*((pick.node, pick.to) for pick in self.picks.values()), *nodes]:
            capacity.switch(node, to)
        later = ProjectedPlacements(capacity)
        for demand in self._line:
            later.place(demand)
        return later

    def _to_switch(self, demand: Demand) -> list[tuple[NodeState, Mode]]:
        """Nodes that would make enough room for the best that would do, and what they become; none where none would."""
        with self._placements.capacity.without(demand.gangs[-1], demand.instead_of):
            offers = next(filter(None, (self._offers(demand.mode, gang) for gang in demand.gangs)), [])
        return [(node, offer.to) for offer in offers for node in offer.unit]

    def _offers(self, mode: Mode, gang: Gang) -> list[Offer]:
        """What makes enough room in one domain, and no more than that: of all domains that where the best nodes do."""
        capacity = OfferedCapacity(self._placements.capacity, gang)
        found, is_bounded = self._drafted(capacity, self._offered(mode, gang))
        if is_bounded and not found:
            found, _ = self._drafted(capacity, capacity.by_gain(self._offered(mode, gang)))
        return found

    def _drafted(self, capacity: OfferedCapacity, offers: Iterable[Offer]) -> tuple[list[Offer], bool]:
        """The first of `offers` that make enough room together, none where none do; and whether bounds kept any out."""
        drafts: defaultdict[int, Draft] = defaultdict(Draft)
        is_bounded = False
        for offer in offers:
            for domain, gain in sorted(capacity.gains(offer).items()):
                draft = drafts[domain]
                if not self._may_join(draft, offer):
                    is_bounded = True
                    continue
                draft.add(offer, gain)
                if needed := capacity.needed(domain, draft):
                    return needed, is_bounded
        return [], is_bounded

    def _offered(self, mode: Mode, gang: Gang) -> Iterator[Offer]:
        """What may change for the sake of `mode`, the best first: what it would be, and its room for workers then."""
        kept, emptied = (slots.tolist() for slots in self._placements.capacity.slots_in_mode(gang))
        for unit in self.candidates.to(mode):
            to = next((node.to for node in unit if not node.is_resting), self._target(mode))
            nodes = tuple(node for node in unit if not node.is_resting or node.mode is not to)
            slots = {node.row: kept[node.row] if node.suits(to) else emptied[node.row] for node in nodes}
            yield Offer(nodes, to, slots)

    def _target(self, mode: Mode) -> Mode:
        """What a node becomes for the sake of work: training gets back what is shared, where that is the default."""
        is_shared = mode is Mode.TRAINING and self.default is Mode.SHARED
        return Mode.SHARED if is_shared and not self.counts.missing(mode) else mode

    def _refusal(self, demand: Demand) -> DemandResult:
        gang, to = demand.gangs[-1], self._target(demand.mode)
        if gang.requirements not in self._blocks:
            _, emptied = self._placements.capacity.slots_in_mode(gang)
            blocks = Counter(reason for row, reason in self.candidates.blocks(demand.mode) if emptied[row])
            self._blocks[gang.requirements] = blocks
        is_full = to in self.counts.feasible.limited and not self.counts.may_have(to)
        at_most = self.counts.feasible.most[to] if is_full else None
        return DemandResult(is_met=False, blocks=self._blocks[gang.requirements], at_most=at_most)

    @cached_property
    def results(self) -> dict[Owner, DemandResult]:
        """For each that wants room: what all its demands led to, and why the first of them found none."""
        changing: dict[Owner, set[str]] = {}
        for demand, rows in self._placements.found:
            names = (self.states.nodes[row].name for row in rows if row in self._placements.capacity.changing)
            changing.setdefault(demand.owner, set()).update(names)
        results = {owner: DemandResult(tuple(sorted(names))) for owner, names in changing.items()}
        placed = {id(demand) for demand, _ in self._placements.found}
        for demand in (demand for demand in self._line if id(demand) not in placed):
            before, refusal = results.get(demand.owner, DemandResult()), self._refused.get(demand)
            if refusal and before.is_met:
                results[demand.owner] = replace(refusal, nodes=before.nodes)
        return results

    @cached_property
    def awaited(self) -> set[str]:
        """Nodes on which there is, or will be, room for somebody who could not use them in the default mode."""
        strangers = (rows for demand, rows in self._placements.found if demand.mode is not self.default)
        return {self.states.nodes[row].name for rows in strangers for row in rows}


def told(blocks: Counter[BlockReason]) -> str:
    """`; of the others: 3 nodes with replicas, 1 node changed too recently`; empty where there are none."""
    most_first = sorted(blocks.items(), key=lambda block: (-block[1], block[0]))
    parts = ", ".join(f"{count(number, 'node')} {words}" for words, number in most_first)
    return f"; of the others: {parts}" if parts else ""
