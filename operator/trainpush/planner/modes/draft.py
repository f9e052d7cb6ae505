"""What room would be made for a gang by nodes that change their mode, before any of them is chosen."""

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from operator import itemgetter

import numpy as np

from trainpush.model.gang import Gang
from trainpush.model.modes import Mode
from trainpush.planner.feasibility.domains import in_slices
from trainpush.planner.feasibility.slots import Slots
from trainpush.planner.modes.candidates import Unit
from trainpush.planner.modes.nodes import NodeState
from trainpush.planner.modes.projected_capacity import ProjectedCapacity


@dataclass(frozen=True, slots=True)
class Offer:
    """What would change its mode, and the room that it would make."""

    unit: Unit
    to: Mode
    slots: Mapping[int, int]
    """Workers for whom there would be room then, by row."""
    resting: Counter[Mode]
    """The nodes that are not under way yet, by their modes."""


def resting(unit: Iterable[NodeState]) -> Counter[Mode]:
    """The nodes that are not under way, by their modes."""
    return Counter(node.mode for node in unit if node.is_resting)


@dataclass(slots=True)
class Draft:
    """Offers that might be taken together for one domain."""

    slots: Slots
    """Workers for whom each node would have room with it."""
    offers: list[Offer] = field(default_factory=list)
    gone: Counter[Mode] = field(default_factory=Counter)
    """Nodes that each mode would lose by it."""
    come: Counter[Mode] = field(default_factory=Counter)
    """Nodes that each mode would get by it."""
    gained: int = 0
    """Workers for whom room comes with it, in slices that may be torn."""

    def add(self, offer: Offer, gained: int) -> None:
        """One offer more."""
        self.offers.append(offer)
        self.slots[list(offer.slots)] = list(offer.slots.values())
        self.gone.update(offer.resting)
        self.come[offer.to] += offer.resting.total()
        self.gained += gained


class OfferedCapacity:
    """How many workers of a gang each domain holds, and how offers would add to it."""

    def __init__(self, projected: ProjectedCapacity, gang: Gang) -> None:
        """As it will be with all that is chosen so far."""
        self._slots, self._layout = projected.slots(gang), projected.layout(gang.topology)
        self._workers = gang.workers
        self._now: list[int] = self._slots.tolist()
        self._domain: list[int] = projected.domains(gang).tolist()
        # Slices may be torn.
        self._most = np.bincount(projected.domains(gang), self._slots).astype(np.int64).tolist()

    def gains(self, offer: Offer) -> Counter[int]:
        """For how many workers more there would be room, by domain; only domains in which there are any."""
        gains = Counter[int]()
        for row, gain in self._gains_by_row(offer).items():
            gains[self._domain[row]] += gain
        return gains

    def _gains_by_row(self, offer: Offer) -> dict[int, int]:
        return {row: room - self._now[row] for row, room in offer.slots.items() if room > self._now[row]}

    def could_hold(self, rows: Sequence[int], slots: Slots) -> bool:
        """Whether any domain would hold the gang if all of these nodes had as much room as `slots` says."""
        most = self._slots.copy()
        most[rows] = np.maximum(most[rows], slots[rows])
        return self._layout.largest(most) >= self._workers

    def begun(self) -> Draft:
        """A draft without any offer."""
        return Draft(self._slots.copy())

    def needed(self, domain: int, draft: Draft) -> list[Offer]:
        """Of a draft that holds the gang in `domain` what must stay, its last offer too; nothing where it does not."""
        if self._most[domain] + draft.gained < self._workers or not self._holds(domain, draft.slots):
            return []
        slots, needed = draft.slots.copy(), draft.offers[-1:]
        for offer in draft.offers[-2::-1]:
            rows = list(offer.slots)
            slots[rows] = self._slots[rows]
            if not self._holds(domain, slots):
                slots[rows] = draft.slots[rows]
                needed.insert(0, offer)
        return needed

    def by_gain(self, offers: Iterable[Offer]) -> list[Offer]:
        """The same, those first that add the most whole slices for each node that changes; none that add nothing.

        Under bounds a node that completes no slice would keep away the one that does. In a domain of slices the nodes
        that have most room come first, whatever they cost.
        """
        levels, slots = self._layout.slice_levels, self._slots.copy()
        held = int(in_slices(slots, levels).sum())
        priced: list[tuple[float, Offer]] = []
        for members in self._by_part(offers):
            price, bundle = 0.0, list[Offer]()
            for offer in members:
                bundle.append(offer)
                rows = list(offer.slots)
                slots[rows] = np.maximum(slots[rows], list(offer.slots.values()))
                before, held = held, int(in_slices(slots, levels).sum())
                if held > before:
                    price = max(price, sum(member.resting.total() for member in bundle) / (held - before))
                    priced += ((price, member) for member in bundle)
                    bundle = []
        return [offer for _, offer in sorted(priced, key=itemgetter(0))]

    def _by_part(self, offers: Iterable[Offer]) -> Iterable[list[Offer]]:
        """By the domain of the outermost slices, or the node, in which each makes room first; the most room first."""
        starts, parts = self._layout.slice_starts, defaultdict[int, list[tuple[int, Offer]]](list)
        for offer in offers:
            if gains := self._gains_by_row(offer):
                first = min(gains)
                part = int(np.searchsorted(starts[-1][0], first, side="right")) if starts else first
                parts[part].append((-sum(gains.values()), offer))
        return ([offer for _, offer in sorted(members, key=itemgetter(0))] for members in parts.values())

    def _holds(self, domain: int, slots: Slots) -> bool:
        return self._layout.capacity(slots).item(domain) >= self._workers
