"""What binds: the one cause for which a gang found no place, hopeless ones first.

Each question takes one more thing for granted: that nodes may be changed, that the pool is empty, that all nodes
are open, that nobody is before the gang. The first that is answered with no is the cause.
"""

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Final

import numpy as np
from numpy.typing import NDArray

from trainpush.model.gang import Gang
from trainpush.model.nodes import AMOUNT_MAX, POOL, Amounts, NodeTable
from trainpush.model.reasons import Reason
from trainpush.model.wording import amount, count, listed, more_than, tally, too_little, verb
from trainpush.planner.diagnostics.causes import TAKEN, TOO_LITTLE, Cause
from trainpush.planner.diagnostics.holders import Holdings, Shares, shares
from trainpush.planner.feasibility.domains import Layout, sums
from trainpush.planner.feasibility.filters import WORDS, Mask, NodeFilters
from trainpush.planner.feasibility.slots import Slots, column, slots

_ORDER: Final = ("cpu", "memory", "pods", "ephemeral-storage")
HOPELESS: Final = frozenset({Reason.NO_MATCHING_NODES, Reason.EXCEEDS_POOL, Reason.TOPOLOGY_UNSATISFIABLE})
"""Reasons that no waiting can cure."""
_PRODUCTS_MAX: Final = 4
"""Products that a message names; it counts the others."""


@dataclass(frozen=True, slots=True)
class Circumstances:
    """What an explanation may say beside bare numbers; amounts have shape (resources, nodes)."""

    reserved: Amounts | None = None
    """Kept free for gangs before this one; not part of what is used."""
    reserved_for: str = ""
    """Namespaces and names of those gangs."""
    leaving: Amounts | None = None
    """The part of what is used that pods hold that are ending."""
    held: Holdings | None = None
    """What our own jobs and services hold; the rest of what is used counts as other pods'."""
    is_behind: bool = False
    """Whether others have their turn before this one, and would have more room if there were any."""


@dataclass(frozen=True, slots=True)
class Situation:
    """A gang and the nodes of its pool, measured once: every verdict says all of it."""

    gang: Gang
    filters: NodeFilters
    used: Amounts
    """Without what is reserved for others."""
    around: Circumstances
    taken: Amounts
    """What the gang may not have: used, or reserved for another."""
    slots: Slots
    """Workers for whom each node has room now, whether it is usable or not."""
    now: Slots
    """Workers that each node takes now."""
    empty: Slots
    """Workers that each node would take if it were open and empty; none where it is of a kind that will not do."""
    free: NDArray[np.int64]
    """Whole free accelerators of the usable nodes."""
    layout: Layout
    """The domains of which one must hold the gang."""
    largest: int
    """Workers that the largest of them takes now."""
    shares: Shares
    """Who holds the accelerators of the usable nodes."""

    @classmethod
    def of(cls, gang: Gang, filters: NodeFilters, used: Amounts, around: Circumstances) -> "Situation":
        """`used` leaves out what is reserved for others."""
        table, requirements, usable = filters.table, gang.requirements, filters.usable
        empty = filters.whole * filters.willing
        taken = used if around.reserved is None else used + np.minimum(around.reserved, AMOUNT_MAX - 1)
        room = slots(table, requirements, taken)
        now, layout = np.where(usable, room, 0), Layout.of(table, gang.topology)
        largest = layout.largest(now)
        free = column(table, table.allocatable - taken, requirements.accelerator) // 1000
        return cls(
            gang=gang,
            filters=filters,
            used=used,
            around=around,
            taken=taken,
            slots=room,
            now=now,
            empty=empty,
            free=np.where(usable, np.maximum(free, 0), 0),
            layout=layout,
            largest=largest,
            shares=shares(table, used, around.held, requirements.accelerator, usable),
        )

    @property
    def table(self) -> NodeTable:
        """The nodes."""
        return self.filters.table

    @property
    def kept(self) -> int:
        """Whole accelerators of the usable nodes that would be free too, but for what is reserved for others."""
        requirements, usable = self.gang.requirements, self.filters.usable
        free = column(self.table, self.table.allocatable - self.used, requirements.accelerator) // 1000
        return int(np.maximum(free, 0)[usable].sum() - self.free.sum())

    def fits(self, slots: Slots) -> bool:
        """Whether the smallest legal size has room in `slots`."""
        return self.layout.largest(slots) >= self.gang.least


@dataclass(frozen=True, slots=True)
class Finding:
    """A cause, the reason that it comes under, and what is to be said beside the numbers."""

    cause: Cause
    reason: Reason
    words: str = ""


def finding(here: Situation) -> Finding:
    """Why the gang of `here` finds no place."""
    return _nowhere(here) or _never(here) or _closed(here) or _behind(here) or _taken(here)


def _nowhere(here: Situation) -> Finding | None:
    """No node could ever take a single worker."""
    gang, table = here.gang, here.table
    if not table.names:
        words = f"the pool has no nodes: give some the labels of spec.nodeSelector of GPUPool {gang.pool}"
        return Finding(Cause.POOL_EMPTY, Reason.NO_MATCHING_NODES, words)
    if here.empty.any():
        return None
    for resource in asked(here):
        if not column(table, table.allocatable, resource).any():
            cause = Cause.NO_ACCELERATORS if resource == gang.requirements.accelerator else Cause.NO_SUCH_RESOURCE
            return Finding(cause, Reason.NO_MATCHING_NODES, f"no node has any {resource}")
    return _too_small(here) if here.filters.willing.any() else _unwilling(here)


def asked(here: Situation) -> list[str]:
    """What a worker asks for: accelerators first, then the usual resources, then by name."""
    first = (here.gang.requirements.accelerator, *_ORDER)
    names = [name for name, amount in here.gang.requirements.request.items() if amount > 0]
    return sorted(names, key=lambda name: (first.index(name) if name in first else len(first), name))


def _unwilling(here: Situation) -> Finding:
    """Every node is of a kind that will not do."""
    if here.filters.allowed.any():
        nodes, taint = common_taint(here, here.filters.allowed)
        words = f"{count(nodes, 'node')} with the taint {taint}: tolerate it"
        return Finding(Cause.ALL_TAINTED, Reason.NO_MATCHING_NODES, words)
    if there := sorted({kind.product for kind in here.table.kinds} - {""}):
        words = f"the nodes have {listed(there, _PRODUCTS_MAX)}: allow more in spec.placement.acceleratorProducts"
        return Finding(Cause.OTHER_PRODUCT, Reason.NO_MATCHING_NODES, words)
    words = "no node has a label that tells its product: drop acceleratorProducts, or run feature discovery"
    return Finding(Cause.PRODUCT_UNKNOWN, Reason.NO_MATCHING_NODES, words)


def common_taint(here: Situation, among: Mask) -> tuple[int, str]:
    """The taint that alone keeps the gang away from most nodes, else one of the most frequent, and on how many."""
    kinds = np.bincount(here.table.kind[among], minlength=len(here.table.kinds)).tolist()
    alone: Counter[str] = Counter()
    beside: Counter[str] = Counter()
    for kind, nodes in enumerate(kinds):
        taints = here.filters.untolerated(kind) if nodes else []
        for taint in dict.fromkeys(taints):
            (alone if len(taints) == 1 else beside)[taint] += nodes
    counts = alone or beside
    taint = min(counts, key=lambda name: (-counts[name], name))
    return counts[taint], taint


def _too_small(here: Situation) -> Finding:
    """Every node of a kind that will do is too small for a worker."""
    requirements, table = here.gang.requirements, here.table
    there = {name: column(table, table.allocatable, name)[here.filters.willing] for name in asked(here)}
    for resource, amounts in there.items():
        needed, largest = requirements.request[resource], int(amounts.max())
        if largest < needed:
            has = "is counted to have" if largest == AMOUNT_MAX else "has"
            more, most = more_than(resource, needed, largest)
            words = f"a worker needs {more}, the largest node {has} {most}"
            is_accelerator = resource == requirements.accelerator
            other = Cause.TOO_FEW_ACCELERATORS_PER_NODE if is_accelerator else Cause.TOO_LITTLE_ELSE_PER_NODE
            return Finding(TOO_LITTLE.get(resource, other), Reason.NO_MATCHING_NODES, words)
    short = [name for name, amounts in there.items() if (amounts < requirements.request[name]).any()]
    words = f"no node has enough of {' and '.join(short)} at once"
    return Finding(Cause.TOO_LITTLE_TOGETHER, Reason.NO_MATCHING_NODES, words)


def _never(here: Situation) -> Finding | None:
    """The gang would not fit even if all nodes that will do were open and empty."""
    empty = here.empty
    if here.fits(empty):
        return None
    gang, total = here.gang, int(empty.sum())
    reason = Reason.EXCEEDS_POOL if total < gang.least else Reason.TOPOLOGY_UNSATISFIABLE
    if here.fits(here.filters.whole * here.filters.allowed):
        return Finding(Cause.EXCEEDS_WITHOUT_TAINTED, reason, _without_tainted(here))
    if here.fits(here.filters.whole * here.filters.tolerated):
        nodes = int((here.filters.tolerated & ~here.filters.allowed).sum())
        words = f"it would fit with {count(nodes, 'node')} more that {verb(nodes, 'have')} another product: allow more"
        return Finding(Cause.EXCEEDS_WITHOUT_PRODUCTS, reason, words)
    if reason is Reason.EXCEEDS_POOL:
        lower = f"lower {gang.leeway.size_field} or " if total >= gang.step else ""
        words = f"the empty pool takes {count(total, 'worker')}{_each(here)}: {lower}add nodes"
        return Finding(Cause.EXCEEDS_POOL, reason, words)
    without_slices = int(sums(empty, here.layout.starts).max(initial=0))
    if without_slices < gang.least:
        required, most_workers = gang.topology.required, count(without_slices, "worker")
        words = f"the largest empty {required} takes {most_workers}{_each(here)}: relax {gang.leeway.required_field}"
        return Finding(Cause.REQUIRED_TOO_SMALL, reason, words)
    return _slices_never(here, empty)


def _without_tainted(here: Situation) -> str:
    """With which taints tolerated it would fit."""
    filters = here.filters
    tainted = filters.allowed & ~filters.tolerated
    nodes, taint = common_taint(here, tainted)
    which = f"the taint {taint}: tolerate it"
    if not here.fits(filters.whole * (filters.willing | tainted & only_with(here, taint))):
        nodes, which = int(tainted.sum()), "taints: tolerate all of them"
    return f"it would fit with {count(nodes, 'node')} more that {verb(nodes, 'have')} {which}"


def only_with(here: Situation, taint: str) -> Mask:
    """Nodes that no other taint than this keeps the gang away from."""
    kinds = range(len(here.table.kinds))
    return here.filters.of_kinds(set(here.filters.untolerated(kind)) == {taint} for kind in kinds)


def turned_away(here: Situation) -> str:
    """How many nodes each filter turns away, and how many pass that are too full; empty where there are none."""
    filters, requirements = here.filters, here.gang.requirements
    parts = [(int((filters.reasons == reason).sum()), words) for reason, words in WORDS.items()]
    busy = int((filters.usable & (here.now == 0)).sum())
    worker = f"{requirements.accelerators} {requirements.accelerator} and the rest of a worker"
    return tally([*parts, (busy, f"without room for {worker}")])


def _slices_never(here: Situation, empty: Slots) -> Finding:
    for layer in reversed(here.gang.topology.slices):
        starts = here.table.levels[here.table.depth(layer.level)].starts
        largest = int(sums(empty, starts).max(initial=0))
        if largest < layer.size:
            words = f"a slice has {count(layer.size, 'worker')}, the largest empty {layer.level} takes {largest}"
            return Finding(Cause.SLICE_TOO_LARGE, Reason.TOPOLOGY_UNSATISFIABLE, words)
    where = f"the largest empty {here.gang.topology.required or POOL}"
    words = f"in whole slices {where} takes {count(here.layout.largest(empty), 'worker')}: use smaller slices"
    return Finding(Cause.SLICES_TOO_MANY, Reason.TOPOLOGY_UNSATISFIABLE, words)


def _closed(here: Situation) -> Finding | None:
    """The gang would fit into the empty pool, but for nodes in another mode, not ready or cordoned."""
    if here.fits(here.filters.whole * here.filters.usable):
        return None
    if in_other_mode := _in_other_mode(here):
        return in_other_mode
    table, ready = here.table, here.filters.ready
    fit = here.filters.willing & here.filters.in_mode & (here.filters.whole > 0)
    lost, cordoned = int((fit & ~ready).sum()), int((fit & ready & table.cordoned).sum())
    back = f"{count(lost, 'node')} came back"
    opened = f"{count(cordoned, 'cordoned node')} {verb(cordoned, 'were')} opened"
    if not (fit & here.filters.usable).any():
        cause = Cause.NO_NODE_USABLE if lost and cordoned else Cause.NO_NODE_READY if lost else Cause.NO_NODE_OPEN
        return Finding(cause, Reason.WAITING_FOR_CAPACITY, "no node that would do is ready and uncordoned")
    if here.fits(here.filters.whole * (fit & ~table.cordoned)):
        return Finding(Cause.NODES_NOT_READY, Reason.WAITING_FOR_CAPACITY, f"it could fit if {back}")
    if here.fits(here.filters.whole * (fit & ready)):
        return Finding(Cause.NODES_CORDONED, Reason.WAITING_FOR_CAPACITY, f"it could fit if {opened}")
    return Finding(Cause.NODES_CLOSED, Reason.WAITING_FOR_CAPACITY, f"it could fit only if {back} and {opened}")


def _in_other_mode(here: Situation) -> Finding | None:
    """It would fit if nodes changed their mode; or not without that, whatever else is done."""
    fit = here.filters.willing & (here.filters.whole > 0)
    is_enough = here.fits(here.filters.whole * (fit & here.filters.ready & ~here.table.cordoned))
    if not is_enough and here.fits(here.filters.whole * (fit & here.filters.in_mode)):
        return None
    nodes = int((fit & ~here.filters.in_mode).sum())
    words = f"{count(nodes, 'node')} in another mode {verb(nodes, 'were')} in one for it"
    more = "" if is_enough else ", and others were ready and uncordoned"
    return Finding(Cause.NODES_IN_OTHER_MODE, Reason.WAITING_FOR_CAPACITY, f"it could fit if {words}{more}")


def _behind(here: Situation) -> Finding | None:
    """The gang would fit, but for what is reserved, or has not ended yet."""
    if here.largest >= here.gang.least:
        return Finding(Cause.ROOM_NOW, Reason.WAITING_FOR_CAPACITY)
    around = here.around
    if around.reserved is not None and here.fits(_left(here, here.used)):
        words = f"it would fit, but for the room that is kept for {around.reserved_for}"
        return Finding(Cause.ROOM_RESERVED, Reason.BEHIND_HIGHER_PRIORITY, words)
    if around.leaving is not None and here.fits(_left(here, here.taken - around.leaving)):
        return Finding(Cause.PODS_ENDING, Reason.WAITING_FOR_CAPACITY, "it fits as soon as pods have ended")
    return None


def _left(here: Situation, used: Amounts) -> Slots:
    return slots(here.table, here.gang.requirements, used) * here.filters.usable


def _taken(here: Situation) -> Finding:
    """Others hold too much, or hold it in the wrong places."""
    gang, per_worker = here.gang, here.gang.requirements.accelerators
    if int(here.free.sum()) < gang.least * per_worker:
        return Finding(_main_holder(here), Reason.WAITING_FOR_CAPACITY)
    if int(here.now.sum()) >= gang.least:
        return _torn(here)
    if per_worker and int((here.free // per_worker).sum()) < gang.least:
        hosts = int(((here.free > 0) & (here.free < per_worker)).sum())
        words = f"{count(hosts, 'node')} {verb(hosts, 'have')} fewer free than the {per_worker} of a worker"
        return Finding(Cause.FRAGMENTED, Reason.WAITING_FOR_CAPACITY, words)
    resource = _binding_resource(here, here.filters.usable, here.taken)
    needed = amount(resource, gang.requirements.request[resource])
    words = f"{too_little(resource)} free beside the accelerators: a worker needs {needed}"
    return Finding(TAKEN.get(resource, Cause.ELSE_TAKEN), Reason.WAITING_FOR_CAPACITY, words)


def _main_holder(here: Situation) -> Cause:
    """Which kind of holders has most; jobs first where they have alike."""
    held = here.shares
    most = max(held.jobs, held.services, held.other_pods)
    if held.jobs == most:
        return Cause.HELD_BY_JOBS
    return Cause.HELD_BY_SERVICES if held.services == most else Cause.HELD_BY_OTHER_PODS


def _torn(here: Situation) -> Finding:
    """Room for enough workers, but scattered."""
    by_domain = sums(here.now, here.layout.starts)
    if by_domain.max(initial=0) < here.gang.least:
        places = int((by_domain > 0).sum())
        words = f"the room is scattered over {count(places, 'domain')} of the level {here.gang.topology.required}"
        return Finding(Cause.SCATTERED, Reason.WAITING_FOR_CAPACITY, words)
    layers = ", ".join(f"{layer.size} per {layer.level}" for layer in here.gang.topology.slices)
    words = f"in whole slices ({layers}) only {count(here.largest, 'worker')} would fit"
    return Finding(Cause.SLICES_BROKEN, Reason.WAITING_FOR_CAPACITY, words)


def _each(here: Situation) -> str:
    """` of 3Ti memory`: what of a worker is too much for the empty pool, where its accelerators are not."""
    nodes, nothing, request = here.filters.willing, np.zeros_like(here.used), here.gang.requirements.request
    if not here.fits(_beside_accelerators(here, {}, nothing) * nodes):
        return ""
    resource = _binding_resource(here, nodes, nothing)
    return f" of {amount(resource, request[resource])}"


def _binding_resource(here: Situation, nodes: Mask, used: Amounts) -> str:
    """The resource, but the accelerators, that leaves least room beside them on `nodes`; the usual ones first."""
    request, accelerator = here.gang.requirements.request, here.gang.requirements.accelerator

    def workers_beside(resource: str) -> int:
        return int((_beside_accelerators(here, {resource: request[resource]}, used) * nodes).sum())

    return min((name for name in asked(here) if name != accelerator), key=workers_beside)


def _beside_accelerators(here: Situation, more: Mapping[str, int], used: Amounts) -> Slots:
    """Workers that each node would take if they asked for their accelerators, and for nothing but `more`."""
    requirements = here.gang.requirements
    accelerators = {requirements.accelerator: requirements.request.get(requirements.accelerator, 0)}
    return slots(here.table, replace(requirements, request={**accelerators, **more}), used)
