"""Which nodes change their mode for those who want room: for each in its order no more than make enough of it.

Nodes are drafted domain by domain, the best first. Before they are chosen, all who want room take it anew as if they
had changed: nobody loses a place by it, or the nodes stay as they are.
"""

from collections import Counter, defaultdict
from collections.abc import Callable, Container, Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from typing import Final

from trainpush.model.gang import Gang, Requirements
from trainpush.model.modes import Mode
from trainpush.planner.feasibility.slots import Slots
from trainpush.planner.modes.cost import BlockReason
from trainpush.planner.modes.demand import Demand
from trainpush.planner.modes.draft import Draft, Offer, OfferedCapacity, resting
from trainpush.planner.modes.nodes import NodeState
from trainpush.planner.modes.projected_capacity import ProjectedCapacity
from trainpush.planner.modes.projected_placements import ProjectedPlacements
from trainpush.planner.modes.selection import Selection
from trainpush.planner.places import Owner

TURNS_MAX: Final = 64
"""So many times in one cycle everybody's turn is taken anew for the sake of nodes that are under way already."""
VAIN_MAX: Final = 16
"""After so many drafts in one cycle by which somebody would lose a place no more are made."""


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


class DemandMatching:
    """Those who want room so far, and the places that they will have."""

    def __init__(self, selection: Selection, projected: Callable[[], ProjectedCapacity]) -> None:
        """Nobody wants any yet. `projected` is the capacity as it will be with nothing chosen."""
        self._selection, self._projected = selection, projected
        self._line: list[Demand] = []
        """All that want room, in order."""
        self._turns, self._vain = 0, 0
        self._placements = self._after(())
        self._refused: dict[Demand, DemandResult] = {}
        """Those for which no node changes in this cycle, and so none for others that ask for the same."""
        self._fewest: dict[Demand, int] = {}
        """The fewest workers for whom nothing that may change makes room, and so nothing for more; by one of them."""
        self._blocks: dict[Requirements, Counter[BlockReason]] = {}
        """Why nodes do not change for such workers, as long as nothing more is chosen."""

    def meet(self, demand: Demand) -> None:
        """Find room for somebody: as things will be, else with more nodes."""
        self._line.append(demand)
        has_place = self._placements.place(len(self._line) - 1, demand, demand.gangs)
        if has_place or self._placements.capacity.is_cleared(demand.instead_of):
            return  # of those that are cleared each gets another size first
        if demand.may_switch:
            self._selection.pressed.add(demand.mode)
        may_try = not self._selection.is_full and self._vain < VAIN_MAX
        if demand.may_switch and may_try and demand not in self._refused and (refusal := self._make_room(demand)):
            self._refused[demand] = refusal

    def _make_room(self, demand: Demand) -> DemandResult | None:
        """Choose nodes for somebody, or say why there are none. Others who found nothing before take the room first."""
        alike, workers, last = demand.of_one_worker, demand.gangs[-1].workers, len(self._line) - 1
        in_vain: set[str] = set()
        while not self._selection.is_full and workers < self._fewest.get(alike, workers + 1):
            nodes = self._to_switch(demand, in_vain)
            if not nodes and not in_vain:
                self._fewest[alike] = workers
            if not nodes or self._vain == VAIN_MAX:
                break
            if self._turns >= TURNS_MAX and not any(node.is_resting for node, _ in nodes):
                self._let_go_on(nodes, demand)
            elif not self._choose(nodes, self._after(nodes)):
                self._vain += 1
                in_vain |= {node.name for node, _ in nodes}
            if last in self._placements.found:
                return None
        if in_vain:
            return DemandResult(is_met=False, blocks=Counter({BlockReason.EARLIER: len(in_vain)}))
        return self._refusal(demand)

    def _after(self, nodes: Iterable[tuple[NodeState, Mode]]) -> ProjectedPlacements:
        """Who would find a place if these nodes changed as well.

        Those who have one do not ask for more. Those who have none and may not switch, or only want to grow, do not ask
        before the last one: its nodes are not chosen for them.
        """
        self._turns += 1
        capacity = self._projected()
        for node, to in [*((pick.node, pick.to) for pick in self._selection.picks.values()), *nodes]:
            capacity.switch(node, to)
        later = ProjectedPlacements(capacity)
        for position, demand in enumerate(self._line):
            before = self._placements.found.get(position)
            is_last = position == len(self._line) - 1
            if before or is_last or (demand.may_switch and not demand.instead_of):
                later.place(position, demand, [before.gang] if before else demand.gangs)
        return later

    def _choose(self, nodes: Iterable[tuple[NodeState, Mode]], later: ProjectedPlacements) -> bool:
        """Choose nodes, each for the first that finds a place on it; none if somebody loses one or nobody finds one."""
        if not later.found.keys() > self._placements.found.keys():
            return False
        new = [position for position in later.found if position not in self._placements.found]
        for node, to in nodes:
            there = (position for position in new if node.row in later.found[position].rows)
            self._selection.pick(node, to, str(self._line[next(there, new[0])].owner))
        self._blocks.clear()
        self._placements = later
        return True

    def _let_go_on(self, nodes: Sequence[tuple[NodeState, Mode]], demand: Demand) -> None:
        """Choose nodes that are under way: nothing begins by it, and everybody's turn was taken often enough."""
        for node, to in nodes:
            self._selection.pick(node, to, str(demand.owner))
        self._blocks.clear()
        self._placements.switch(nodes)
        self._placements.place(len(self._line) - 1, demand, demand.gangs)

    def _to_switch(self, demand: Demand, in_vain: Container[str]) -> list[tuple[NodeState, Mode]]:
        """Nodes that would make enough room for the best that would do, and what they become; none where none would."""
        with self._placements.capacity.without(demand.gangs[-1], demand.instead_of):
            drafts = (self._offers(demand.mode, gang, in_vain) for gang in demand.gangs)
            offers = next(filter(None, drafts), [])
        return [(node, offer.to) for offer in offers for node in offer.unit]

    def _offers(self, mode: Mode, gang: Gang, in_vain: Container[str]) -> list[Offer]:
        """What makes enough room in one domain, and no more than that: of all domains that where the best nodes do."""
        capacity = OfferedCapacity(self._placements.capacity, gang)
        in_mode = self._placements.capacity.slots_in_mode(gang)
        rows = [node.row for unit in self._selection.candidates.to(mode) for node in unit]
        if not capacity.could_hold(rows, in_mode[1]):
            return []
        found, is_bounded = self._drafted(capacity, self._offered(mode, in_mode, in_vain))
        if is_bounded and not found:
            found, _ = self._drafted(capacity, capacity.by_gain(self._offered(mode, in_mode, in_vain)))
        return found

    def _drafted(self, capacity: OfferedCapacity, offers: Iterable[Offer]) -> tuple[list[Offer], bool]:
        """The first of `offers` that make enough room together, none where none do; and whether bounds kept any out."""
        drafts: defaultdict[int, Draft] = defaultdict(capacity.begun)
        is_bounded = False
        for offer in offers:
            for domain, gain in sorted(capacity.gains(offer).items()):
                draft = drafts[domain]
                if not self._selection.may_beside(offer.resting, offer.to, draft.gone, draft.come):
                    is_bounded = True
                    continue
                drafted = (node for other in draft.offers for node in other.unit)
                if self._selection.candidates.may_join(drafted, offer.unit, offer.to):
                    draft.add(offer, gain)
                    if needed := capacity.needed(domain, draft):
                        return needed, is_bounded
        return [], is_bounded

    def _offered(self, mode: Mode, in_mode: tuple[Slots, Slots], in_vain: Container[str]) -> Iterator[Offer]:
        """What may change for the sake of `mode`, the best first; not where somebody counts on a node as it is."""
        kept, emptied = (slots.tolist() for slots in in_mode)
        target, awaited = self._target(mode), self._placements.rows
        for unit in self._selection.candidates.to(mode):
            to = next((node.to for node in unit if not node.is_resting), target)
            nodes = tuple(node for node in unit if not node.is_resting or node.mode is not to)
            is_awaited = to is not Mode.SHARED and any(node.row in awaited for node in nodes)
            if not is_awaited and not any(node.name in in_vain for node in nodes):
                slots = {node.row: kept[node.row] if node.suits(to) else emptied[node.row] for node in nodes}
                yield Offer(nodes, to, slots, resting(nodes))

    def _target(self, mode: Mode) -> Mode:
        """What a node becomes for the sake of work: training gets back what is shared, where that is the default."""
        is_shared = mode is Mode.TRAINING and self._selection.default is Mode.SHARED
        return Mode.SHARED if is_shared and not self._selection.counts.missing(mode) else mode

    def _refusal(self, demand: Demand) -> DemandResult:
        counts, gang, to = self._selection.counts, demand.gangs[-1], self._target(demand.mode)
        if gang.requirements not in self._blocks:
            _, emptied = self._placements.capacity.slots_in_mode(gang)
            others = self._selection.candidates.blocks(demand.mode)
            blocks = Counter(self._reason(row, reason) for row, reason in others if emptied[row])
            self._blocks[gang.requirements] = blocks
        is_at_most = to in counts.feasible.limited and not counts.may_have(to)
        at_most = counts.feasible.most[to] if is_at_most else None
        return DemandResult(is_met=False, blocks=self._blocks[gang.requirements], at_most=at_most)

    def _reason(self, row: int, reason: BlockReason) -> BlockReason:
        """Why a node is not taken, where nothing on it is in the way."""
        node = self._selection.states.nodes[row]
        if reason not in {BlockReason.FLOOR, BlockReason.UNIT}:
            return reason
        if row in self._placements.rows:
            return BlockReason.EARLIER
        may_lose = self._selection.counts.may_lose(node.mode)
        return BlockReason.TOO_FEW if reason is BlockReason.FLOOR and may_lose else reason

    def results(self) -> dict[Owner, DemandResult]:
        """For each that wants room: the nodes of all its demands, and why the first of them that found none did not."""
        results: dict[Owner, DemandResult] = {}
        for position, demand in enumerate(self._line):
            before, found = results.get(demand.owner, DemandResult()), self._placements.found.get(position)
            if found:
                changing = (row for row in found.rows if row in self._placements.capacity.changing)
                names = {*before.nodes, *(self._selection.states.nodes[row].name for row in changing)}
                results[demand.owner] = replace(before, nodes=tuple(sorted(names)))
            elif before.is_met and (refusal := self._refused.get(demand)):
                results[demand.owner] = replace(refusal, nodes=before.nodes)
        return results

    def awaited(self) -> set[str]:
        """Nodes on which there is, or will be, room for somebody who could not use them in the default mode."""
        found = self._placements.found.items()
        strangers = (it.rows for position, it in found if self._line[position].mode is not self._selection.default)
        return {self._selection.states.nodes[row].name for rows in strangers for row in rows}
