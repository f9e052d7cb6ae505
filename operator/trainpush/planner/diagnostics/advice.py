"""The cheapest change that would admit a gang that waits, and why it was not made.

Cheapest first: fewer workers, a wider level, other nodes, smaller workers. Each change is made alone, and tried.
"""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Final

import numpy as np

from trainpush.model.gang import Topology
from trainpush.model.nodes import POOL, is_in_bytes
from trainpush.model.wording import amount, count, of_size
from trainpush.planner.diagnostics.causes import Cause
from trainpush.planner.diagnostics.diagnosis import HOPELESS, Finding, Situation, asked, common_taint, only_with
from trainpush.planner.feasibility.domains import Layout, sums
from trainpush.planner.feasibility.filters import Mask
from trainpush.planner.feasibility.slots import Slots, column, slots

_SPEC: Final = "the operator does not change a spec"
_NODES: Final = "the operator opens no node that somebody closed"
_SOON: Final = {Cause.ROOM_NOW, Cause.PODS_ENDING}
_GIB: Final = 2**30


@dataclass(frozen=True, slots=True)
class _Premise:
    """Where a change is tried: who takes pods there, and what each node has room for, whatever the filters say."""

    here: Situation
    open: Mask
    slots: Slots
    when: str

    def fits(self, nodes: Mask) -> bool:
        """Whether the gang fits on `nodes`."""
        return self.here.fits(self.slots * nodes)


def advice(here: Situation, found: Finding) -> str:
    """One sentence; empty when no single change would let the gang in, or when it comes in soon without any."""
    if found.cause in _SOON:
        return ""
    table = here.table
    premises = [_Premise(here, here.filters.usable, here.slots, "would fit now")]
    if found.reason in HOPELESS:
        premises.append(_Premise(here, here.filters.willing, here.filters.whole, "would fit the empty pool"))
    kinds = (_fewer, _wider, _opened, _other_kinds, _smaller)
    changes = (change for kind in kinds for premise in premises for change in kind(premise))
    return next(changes, "") if table.names else ""


def _fewer(premise: _Premise) -> Iterator[str]:
    """The largest size that fits."""
    gang = premise.here.gang
    size = min(premise.here.layout.largest(premise.slots * premise.open), gang.least - 1)
    size -= size % gang.step
    if size > 0:
        yield f"{of_size(gang, size)} {premise.when}; {_SPEC}"


def _wider(premise: _Premise) -> Iterator[str]:
    """The next wider level of which one domain holds the gang; or no slices."""
    here, slots = premise.here, premise.slots * premise.open
    topology = here.gang.topology

    def fits(other: Topology) -> bool:
        return Layout.of(here.table, other).largest(slots) >= here.gang.least

    for level in reversed(here.table.levels[: here.table.depth(topology.required)]):
        if fits(replace(topology, required=level.alias)):
            without = f"without {here.gang.leeway.required_field} it {premise.when}"
            wider = f"spec.placement.required: {level.alias} {premise.when}"
            yield f"{without if level.alias == POOL else wider}; {_SPEC}"
            return
    if topology.slices and not here.gang.leeway.fixes_slices and fits(replace(topology, slices=())):
        yield f"without spec.placement.slices it {premise.when}; {_SPEC}"


def _opened(premise: _Premise) -> Iterator[str]:
    """Cordoned nodes, as few as will do."""
    here = premise.here
    if here.around.is_behind:
        return  # nodes that are opened are for those before it
    closed = here.filters.willing & here.filters.in_mode & here.filters.ready & here.table.cordoned & ~premise.open
    if premise.fits(premise.open | closed):
        yield f"with {_fewest(premise, closed)} opened it {premise.when}; {_NODES}"


def _fewest(premise: _Premise, closed: Mask) -> str:
    """How many of the closed nodes must be opened: in each domain the roomiest first, in the best domain."""
    here, slots = premise.here, premise.slots
    if here.gang.topology.slices:
        nodes = int((closed & (slots > 0)).sum())
        return f"{'all ' if nodes > 1 else ''}{count(nodes, 'cordoned node')}"
    starts = here.layout.starts
    domain = np.repeat(np.arange(len(starts)), np.diff(starts, append=len(slots)))
    order = np.lexsort((-slots * closed, domain))
    gained = np.cumsum((slots * closed)[order])
    before = np.concatenate(([0], gained))[starts]
    reached = sums(slots * premise.open, starts)[domain] + gained - before[domain] >= here.gang.least
    ranks = np.arange(len(slots)) - starts[domain] + 1
    return count(int(ranks[reached].min()), "cordoned node")


def _other_kinds(premise: _Premise) -> Iterator[str]:
    """One more toleration, or one more product."""
    here, filters, kinds = premise.here, premise.here.filters, premise.here.table.kinds
    tainted = filters.allowed & ~filters.tolerated & filters.passing
    if tainted.any():
        _, taint = common_taint(here, tainted)
        more = filters.allowed & filters.passing & only_with(here, taint)
        if premise.fits(premise.open | more):
            nodes = count(int(more.sum()), "node")
            yield f"with a toleration of {taint} ({nodes}) it {premise.when}; {_SPEC}"
            return
    for product in sorted({kind.product for kind in kinds} - here.gang.requirements.products - {""}):
        others = filters.of_kinds(kind.product == product for kind in kinds)
        more = filters.tolerated & ~filters.allowed & filters.passing & others
        if premise.fits(premise.open | more):
            nodes = count(int(more.sum()), "node")
            yield f"with {product} ({nodes}) in spec.placement.acceleratorProducts it {premise.when}; {_SPEC}"
            return


def _smaller(premise: _Premise) -> Iterator[str]:
    """As many workers that ask for less of one resource: the most of it that fits."""
    gang = premise.here.gang
    for resource in asked(premise.here):
        if resource == gang.requirements.accelerator and gang.leeway.fixes_accelerators:
            continue
        unit = _GIB if is_in_bytes(resource) else 1000
        if most := _most(premise, resource, unit):
            yield f"with {amount(resource, most * unit)} per worker it {premise.when}; {_SPEC}"
            return


def _most(premise: _Premise, resource: str, unit: int) -> int:
    """The most units of `resource` per worker with which the gang fits, by bisection; 0 when none."""
    here, gang = premise.here, premise.here.gang
    used = here.taken if premise.slots is here.slots else np.zeros_like(here.used)
    available = column(here.table, here.table.allocatable, resource).max(initial=0)

    def fits(units: int) -> bool:
        less = replace(gang.requirements, request={**gang.requirements.request, resource: units * unit})
        # A node that was too small is not any more: only its kind, and whether it is open, counts.
        nodes = here.filters.willing & here.filters.passing if used is here.taken else here.filters.willing
        return here.fits(slots(here.table, less, used) * nodes)

    low, high = 1, min(gang.requirements.request[resource] - 1, int(available)) // unit
    if high < low or not fits(low):
        return 0
    while low < high:
        middle = (low + high + 1) // 2
        low, high = (middle, high) if fits(middle) else (low, middle - 1)
    return low
