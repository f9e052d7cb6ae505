"""What room would be made for a gang by nodes that change their mode, before any of them is chosen."""

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from operator import itemgetter

import numpy as np

from trainpush.model.gang import Gang
from trainpush.model.modes import Mode
from trainpush.planner.feasibility.domains import Layout
from trainpush.planner.modes.candidates import Unit
from trainpush.planner.modes.projected_capacity import ProjectedCapacity


@dataclass(frozen=True, slots=True)
class Offer:
    """What would change its mode, and the room that it would make."""

    unit: Unit
    to: Mode
    slots: Mapping[int, int]
    """Workers for whom there would be room then, by row."""

    @property
    def resting(self) -> Counter[Mode]:
        """The nodes that are not under way yet, by their modes."""
        return Counter(node.mode for node in self.unit if node.is_resting)


@dataclass(slots=True)
class Draft:
    """Offers that might be taken together for one domain."""

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
        for row, room in offer.slots.items():
            if room > self._now[row]:
                gains[self._domain[row]] += room - self._now[row]
        return gains

    def needed(self, domain: int, draft: Draft) -> list[Offer]:
        """Of a draft that holds the gang in `domain` what must stay, its last offer too; nothing where it does not."""
        if self._most[domain] + draft.gained < self._workers or not self._holds(domain, draft.offers):
            return []
        offers = draft.offers
        for offer in offers[-2::-1]:
            fewer = [other for other in offers if other is not offer]
            if self._holds(domain, fewer):
                offers = fewer
        return offers

    def by_gain(self, offers: Iterable[Offer]) -> list[Offer]:
        """The same, those first that complete the most slices for each node that changes; none that complete nothing.

        Under bounds a node that completes none would keep away the one that does.
        """
        parts = _Parts(self._layout, self._now)
        together: dict[int, list[Offer]] = {}
        for offer in filter(parts.gain, offers):
            together.setdefault(parts.first(offer), []).append(offer)
        priced: list[tuple[float, Offer]] = []
        for members in together.values():
            price, bundle = 0.0, list[Offer]()
            for offer in sorted(members, key=parts.gain, reverse=True):
                bundle.append(offer)
                if completed := parts.add(offer):
                    price = max(price, sum(member.resting.total() for member in bundle) / completed)
                    priced += ((price, member) for member in bundle)
                    bundle = []
        return [offer for _, offer in sorted(priced, key=itemgetter(0))]

    def _holds(self, domain: int, offers: Iterable[Offer]) -> bool:
        """Whether a domain has room for the gang once this has changed."""
        slots = self._slots.copy()
        for offer in offers:
            slots[list(offer.slots)] = list(offer.slots.values())
        return self._layout.capacity(slots).item(domain) >= self._workers


class _Parts:
    """What the domains of the outermost slices hold, nodes where there are no slices, while offers are added."""

    def __init__(self, layout: Layout, now: list[int]) -> None:
        nodes, levels = np.arange(len(now)), layout.slice_starts
        self._size = layout.step if levels else 1
        self._part: list[int] = (np.searchsorted(levels[-1][0], nodes, side="right") if levels else nodes).tolist()
        self._now = now
        self._held = Counter[int]()
        for part, slots in zip(self._part, now, strict=True):
            self._held[part] += slots

    def first(self, offer: Offer) -> int:
        """The first of them to which an offer adds."""
        return self._part[min(offer.slots)]

    def gain(self, offer: Offer) -> int:
        """Workers for whom an offer makes room."""
        return sum(max(0, room - self._now[row]) for row, room in offer.slots.items())

    def add(self, offer: Offer) -> int:
        """Add an offer; how many more slices are whole by it."""
        completed = 0
        for row, room in offer.slots.items():
            part, gain = self._part[row], max(0, room - self._now[row])
            completed += (self._held[part] + gain) // self._size - self._held[part] // self._size
            self._held[part] += gain
        return completed
