"""What a verdict says is true: numbers, reason, cause and advice, against brute force on small clusters."""

import re
from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from support.build import BLOCK, GPU, LEVELS, RACK, a_gang, varied
from support.verdict_oracle import Amounts, Cluster, is_allowed, is_in_mode, is_tolerated, usable, willing
from trainpush.model.gang import Gang, Slices
from trainpush.model.modes import MODE_KEY, SWITCHING_KEY
from trainpush.model.nodes import PODS, Node, NodeTable, Taint, Toleration, node_table
from trainpush.model.plan import Verdict
from trainpush.model.reasons import Reason
from trainpush.planner.diagnostics import verdicts
from trainpush.planner.diagnostics.causes import Cause
from trainpush.planner.diagnostics.diagnosis import Circumstances
from trainpush.planner.diagnostics.holders import OTHER_PODS, Holding, holdings
from trainpush.planner.feasibility.filters import NodeFilters

TAINT = Taint("maintenance", "", "NoSchedule")
MODES = (
    *[()] * 9,
    (Taint(MODE_KEY, "Training", "NoSchedule"),),
    (Taint(MODE_KEY, "Inference", "NoSchedule"),),
    (Taint(MODE_KEY, "Training", "NoSchedule"), Taint(SWITCHING_KEY, "Inference", "NoSchedule")),
)
"""What a node may bear of its mode; mostly nothing."""
TRAINS = Toleration(MODE_KEY, "Equal", "Training", "NoSchedule")
HOPELESS = {Reason.NO_MATCHING_NODES, Reason.EXCEEDS_POOL, Reason.TOPOLOGY_UNSATISFIABLE}


@dataclass(frozen=True)
class Case:
    """A gang and all that there is around it; `used` of the cluster leaves out what is reserved."""

    gang: Gang
    cluster: Cluster
    held: tuple[tuple[str, str, int], ...]
    """Name, node and workers of 2 GPUs and 2 cpu."""
    leaving: Amounts
    reserved: Amounts

    @property
    def table(self) -> NodeTable:
        return node_table(self.cluster.nodes, LEVELS, self.cluster.used)

    @property
    def now(self) -> Cluster:
        """What the gang may have."""
        return self.cluster.plus(self.reserved)

    def verdict(self) -> Verdict:
        table = self.table
        owned = (
            Holding(name, worker(), {table.rows[node]: count}, is_service=name.startswith("s"))
            for name, node, count in self.held
        )
        around = Circumstances(
            reserved=columns(table, self.reserved),
            reserved_for="default/ahead",
            leaving=columns(table, self.leaving),
            held=holdings(table, owned),
        )
        return verdicts.waiting(self.gang, NodeFilters(table, self.gang.requirements), table.used, around)


def worker() -> dict[str, int]:
    return {GPU: 2000, "cpu": 2000, PODS: 1000}


def columns(table: NodeTable, amounts: Amounts) -> np.ndarray:
    found = [[amounts.get(node, {}).get(name, 0) for node in table.names] for name in table.resources]
    return np.array(found, dtype=np.int64).reshape(len(table.resources), len(table.names))


@st.composite
def nodes(draw: st.DrawFn, index: int) -> Node:
    """A node of 4 or 8 GPUs, mostly fit for work."""
    rack = draw(st.sampled_from(["r1", "r2", None]))
    labels = {BLOCK.label: draw(st.sampled_from(["b1", "b1", "b2"]))} | ({RACK.label: rack} if rack else {})
    gpus = draw(st.sampled_from([8, 8, 4]))
    return Node(
        name=f"n{index}",
        labels=labels,
        allocatable={GPU: gpus * 1000, "cpu": draw(st.sampled_from([16, 8])) * 1000, PODS: 10_000},
        taints=(TAINT,) * (draw(st.integers(0, 9)) == 9) + draw(st.sampled_from(MODES)),
        ready=draw(st.integers(0, 9)) < 9,
        cordoned=draw(st.integers(0, 9)) == 9,
        product=draw(st.sampled_from(["A100", "A100", "A100", "T4"])),
    )


@st.composite
def gangs(draw: st.DrawFn) -> Gang:
    """Rigid or elastic, with or without required level and slices, each worker with 2 to 8 GPUs."""
    gpus = draw(st.sampled_from([4, 4, 2, 8]))
    gang = a_gang(
        draw(st.sampled_from([2, 3, 1, 4, 5])),
        gpus,
        request={GPU: gpus * 1000, "cpu": draw(st.sampled_from([2, 4, 1, 6, 10])) * 1000, PODS: 1000},
        required=draw(st.sampled_from([None, None, "rack", "block", "host"])),
        products=draw(st.sampled_from([frozenset(), frozenset({"A100"})])),
        tolerations=draw(
            st.sampled_from([(TRAINS,), (TRAINS,), (TRAINS, Toleration("maintenance", "Exists", "", ""))])
        ),
    )
    match draw(st.sampled_from(["rigid", "rigid", "elastic", "slices", "layers"])):
        case "elastic":
            unit = draw(st.sampled_from([1, 2]))
            return replace(gang, workers=4 * unit, sizes=(4 * unit, 3 * unit, 2 * unit))
        case "slices":
            layer = Slices(draw(st.sampled_from(["rack", "block", "host"])), 2)
            return varied(gang, workers=draw(st.sampled_from([2, 4, 6])), slices=(layer,))
        case "layers":
            return varied(gang, workers=4, slices=(Slices("block", 4), Slices("host", 2)))
        case _:
            return gang


@st.composite
def cases(draw: st.DrawFn) -> Case:
    """Up to four nodes, partly held by jobs, services, other pods, ending ones, and a reservation."""
    made = [draw(nodes(i)) for i in range(draw(st.sampled_from([4, 4, 4, 3, 2, 1])))]
    held, used, leaving, reserved = [], {}, {}, {}
    for node in made:
        left = min(node.allocatable[GPU], node.allocatable["cpu"]) // 2000
        ours = draw(st.integers(0, left))
        if ours:
            held.append((draw(st.sampled_from(["j/1", "j/2", "s/1"])), node.name, ours))
        others = draw(st.integers(0, (left - ours)))
        used[node.name] = {name: (ours + others) * amount for name, amount in worker().items()}
        if draw(st.booleans()):
            leaving[node.name] = {name: others * amount for name, amount in worker().items()}
        kept = draw(st.integers(0, left - ours - others)) if draw(st.integers(0, 2)) == 0 else 0
        reserved[node.name] = {name: kept * amount for name, amount in worker().items()}
    return Case(draw(gangs()), Cluster(made, LEVELS, used), tuple(held), leaving, reserved)


@given(cases())
def test_numbers_are_right(case: Case) -> None:
    """Needed, free and largest free are what counting by hand gives; and the message is no longer than it must be."""
    verdict, open_nodes = case.verdict(), usable(case.cluster, case.gang)
    assert verdict.needed == case.gang.workers * case.gang.requirements.accelerators
    assert verdict.free == sum(case.now.free(node, GPU) // 1000 for node in open_nodes)
    assert verdict.largest_free == case.now.most(case.gang, open_nodes) * case.gang.requirements.accelerators
    assert len(verdict.message) <= 400


@given(cases())
def test_reason_is_right(case: Case) -> None:
    """The coarse word follows from what fits into the empty pool, and from what is reserved."""
    gang, all_willing = case.gang, willing(case.cluster, case.gang)
    empty = case.cluster.empty()
    least = min(gang.sizes, default=gang.workers)
    total = sum(empty.takes(node, gang) for node in all_willing)
    open_nodes = usable(case.cluster, gang)
    fits = case.now.fits(gang, open_nodes)
    if not total:
        want = Reason.NO_MATCHING_NODES
    elif total < least:
        want = Reason.EXCEEDS_POOL
    elif not empty.fits(gang, all_willing):
        want = Reason.TOPOLOGY_UNSATISFIABLE
    elif not fits and case.cluster.fits(gang, open_nodes):
        want = Reason.BEHIND_HIGHER_PRIORITY
    else:
        want = Reason.WAITING_FOR_CAPACITY
    assert case.verdict().reason == want
    assert (case.verdict().cause == Cause.ROOM_NOW) == fits


def is_ready(node: Node) -> bool:
    return node.ready


def is_open(node: Node) -> bool:
    return not node.cordoned


def large(case: Case) -> list[Node]:
    """Nodes of a kind and in a mode that will do, and large enough."""
    empty = case.cluster.empty()
    return [node for node in in_mode(case) if empty.takes(node, case.gang)]


def in_mode(case: Case) -> list[Node]:
    return [node for node in willing(case.cluster, case.gang) if is_in_mode(node, case.gang)]


def plain(case: Case) -> Gang:
    return varied(case.gang, slices=())


def fits_empty(case: Case, *rules: Callable[[Node], bool]) -> bool:
    found = [node for node in case.cluster.nodes if all(rule(node) for rule in rules)]
    return case.cluster.empty().fits(case.gang, found)


def free_of(case: Case) -> int:
    return sum(case.now.free(node, GPU) // 1000 for node in usable(case.cluster, case.gang))


def least_needed(case: Case) -> int:
    return min(case.gang.sizes, default=case.gang.workers) * case.gang.requirements.accelerators


def fits_kinds(case: Case, tainted: bool, products: bool) -> bool:
    gang = case.gang
    return fits_empty(case, lambda n: tainted or is_tolerated(n, gang), lambda n: products or is_allowed(n, gang))


def slots_of(case: Case, gang: Gang) -> int:
    return sum(case.now.takes(node, gang) for node in usable(case.cluster, case.gang))


def only(case: Case, *resources: str) -> Gang:
    """The gang as if it asked for nothing else."""
    return varied(case.gang, request={name: case.gang.requirements.request[name] for name in resources})


def every_worker(case: Case, *resources: str) -> bool:
    """Whether, by these resources alone, enough workers would fit somewhere."""
    return slots_of(case, only(case, *resources)) * case.gang.requirements.accelerators >= least_needed(case)


FACTS: dict[str, Callable[[Case], bool]] = {
    Cause.ALL_TAINTED: lambda c: not willing(c.cluster, c.gang) and any(is_allowed(n, c.gang) for n in c.cluster.nodes),
    Cause.OTHER_PRODUCT: lambda c: not any(is_allowed(node, c.gang) for node in c.cluster.nodes),
    Cause.TOO_FEW_ACCELERATORS_PER_NODE: lambda c: all(
        node.allocatable[GPU] < c.gang.requirements.request[GPU] for node in willing(c.cluster, c.gang)
    ),
    Cause.TOO_LITTLE_CPU_PER_NODE: lambda c: all(
        node.allocatable["cpu"] < c.gang.requirements.request["cpu"] for node in willing(c.cluster, c.gang)
    ),
    Cause.EXCEEDS_WITHOUT_TAINTED: lambda c: fits_kinds(c, True, False) and not fits_kinds(c, False, False),
    Cause.EXCEEDS_WITHOUT_PRODUCTS: lambda c: fits_kinds(c, False, True) and not fits_kinds(c, True, False),
    Cause.EXCEEDS_POOL: lambda c: not fits_kinds(c, True, False) and not fits_kinds(c, False, True),
    Cause.REQUIRED_TOO_SMALL: lambda c: not c.cluster.empty().fits(plain(c), willing(c.cluster, c.gang)),
    Cause.SLICE_TOO_LARGE: lambda c: c.cluster.empty().fits(plain(c), willing(c.cluster, c.gang)),
    Cause.SLICES_TOO_MANY: lambda c: c.cluster.empty().fits(plain(c), willing(c.cluster, c.gang)),
    Cause.NODES_IN_OTHER_MODE: lambda c: (
        not c.cluster.empty().fits(c.gang, in_mode(c))
        or c.cluster.empty().fits(c.gang, [n for n in willing(c.cluster, c.gang) if is_ready(n) and is_open(n)])
    ),
    Cause.NO_NODE_READY: lambda c: not any(map(is_ready, large(c))),
    Cause.NO_NODE_OPEN: lambda c: not any(map(is_open, large(c))),
    Cause.NO_NODE_USABLE: lambda c: not usable(c.cluster, c.gang),
    Cause.NODES_NOT_READY: lambda c: c.cluster.empty().fits(c.gang, [*filter(is_open, in_mode(c))]),
    Cause.NODES_CORDONED: lambda c: c.cluster.empty().fits(c.gang, [*filter(is_ready, in_mode(c))]),
    Cause.NODES_CLOSED: lambda c: (
        not c.cluster.empty().fits(c.gang, [*filter(is_open, in_mode(c))])
        and not c.cluster.empty().fits(c.gang, [*filter(is_ready, in_mode(c))])
    ),
    Cause.HELD_BY_JOBS: lambda c: free_of(c) < least_needed(c),
    Cause.HELD_BY_SERVICES: lambda c: free_of(c) < least_needed(c),
    Cause.HELD_BY_OTHER_PODS: lambda c: free_of(c) < least_needed(c),
    Cause.SCATTERED: lambda c: (
        c.now.fits(varied(plain(c), required=None), usable(c.cluster, c.gang))
        and not c.now.fits(plain(c), usable(c.cluster, c.gang))
    ),
    Cause.FRAGMENTED: lambda c: free_of(c) >= least_needed(c) and not every_worker(c, GPU),
    Cause.CPU_TAKEN: lambda c: every_worker(c, GPU) and not every_worker(c, GPU, "cpu"),
    Cause.SLICES_BROKEN: lambda c: c.now.fits(plain(c), usable(c.cluster, c.gang)),
    Cause.PODS_ENDING: lambda c: c.now.less(c.leaving).fits(c.gang, usable(c.cluster, c.gang)),
    Cause.ROOM_RESERVED: lambda c: c.cluster.fits(c.gang, usable(c.cluster, c.gang)),
}
"""What must be true of a case for a cause to be named."""


@given(cases())
def test_cause_is_true(case: Case) -> None:
    """What a cause claims is so."""
    verdict = case.verdict()
    if fact := FACTS.get(verdict.cause):
        assert fact(case), verdict


@dataclass(frozen=True)
class Change:
    """An advice carried out."""

    gang: Gang
    nodes: list[Node]

    def fits(self, case: Case, *, is_now: bool) -> bool:
        cluster = replace(case.now if is_now else case.cluster.empty(), nodes=self.nodes)
        return cluster.fits(self.gang, usable(cluster, self.gang) if is_now else willing(cluster, self.gang))


def carried_out(case: Case, advice: str) -> tuple[Change, bool]:
    """The change that `advice` names; and whether, of changes of its kind, a smaller one would not have done."""
    is_now = "fit now" in advice
    for pattern, change in READINGS.items():
        if found := re.match(pattern, advice):
            return change(case, found, is_now)
    raise AssertionError(advice)


def _other_gang(change: Callable[[Gang, str], Gang]) -> Callable[[Case, re.Match[str], bool], tuple[Change, bool]]:
    return lambda case, found, _: (Change(change(case.gang, found[1]), list(case.cluster.nodes)), True)


def _fewer(case: Case, found: re.Match[str], is_now: bool) -> tuple[Change, bool]:
    size = int(found[1])
    gang, all_nodes = case.gang, list(case.cluster.nodes)
    unit = (gang.sizes[-1] // 2 if gang.sizes else 0) or (gang.topology.slices[0].size if gang.topology.slices else 1)
    more = Change(replace(gang, workers=size + unit, sizes=()), all_nodes)
    is_largest = size + unit >= min(gang.sizes, default=gang.workers) or not more.fits(case, is_now=is_now)
    assert size % unit == 0
    return Change(replace(gang, workers=size, sizes=()), all_nodes), is_largest


def _opened(case: Case, found: re.Match[str], _: bool) -> tuple[Change, bool]:
    nodes = [replace(node, cordoned=False) for node in case.cluster.nodes]
    return Change(case.gang, nodes), _is_fewest(case, int(found[1]))


def _is_fewest(case: Case, opened: int) -> bool:
    """Whether no smaller set of cordoned nodes would do; slices ask for all of them."""
    closed = [node for node in case.cluster.nodes if node.cordoned]
    if case.gang.topology.slices or opened > len(closed):
        return opened <= len(closed)
    names = [{node.name for i, node in enumerate(closed) if mask >> i & 1} for mask in range(1 << len(closed))]
    for chosen in (one for one in names if len(one) < opened):
        tried = [replace(node, cordoned=node.cordoned and node.name not in chosen) for node in case.cluster.nodes]
        if Change(case.gang, tried).fits(case, is_now=True):
            return False
    return True


def _smaller(case: Case, found: re.Match[str], is_now: bool) -> tuple[Change, bool]:
    units, resource = int(found[1]), found[2]

    def asking(amount: int) -> Change:
        request = {**case.gang.requirements.request, resource: amount * 1000}
        return Change(varied(case.gang, request=request), list(case.cluster.nodes))

    is_most = (units + 1) * 1000 >= case.gang.requirements.request[resource] or not asking(units + 1).fits(
        case, is_now=is_now
    )
    return asking(units), is_most


READINGS = {
    r"spec.(?:replicas|elastic.minReplicas): (\d+) ": _fewer,
    r"spec.placement.required: (\w+) ": _other_gang(lambda gang, level: varied(gang, required=level)),
    r"without (spec.placement.required)": _other_gang(lambda gang, _: varied(gang, required=None)),
    r"without (spec.placement.slices)": _other_gang(lambda gang, _: varied(gang, slices=())),
    r"with (?:all )?(\d+) cordoned nodes? opened": _opened,
    r"with a toleration of (maintenance):NoSchedule": _other_gang(
        lambda gang, key: varied(gang, tolerations=(TRAINS, Toleration(key, "Exists", "", "")))
    ),
    r"with (\w+) \(\d+ nodes?\) in spec.placement.acceleratorProducts": _other_gang(
        lambda gang, name: varied(gang, products=gang.requirements.products | {name})
    ),
    r"with (\d+) (\S+) per worker": _smaller,
}
"""How each sentence is to be understood."""


@given(cases())
def test_advice_is_true(case: Case) -> None:
    """The gang really fits with the change that is advised, and no smaller change of that kind does it."""
    advice = case.verdict().advice
    if not advice:
        return
    change, is_smallest = carried_out(case, advice)
    assert change.fits(case, is_now="fit now" in advice), advice
    assert is_smallest, advice


@given(cases())
def test_no_advice_means_no_smaller_gang_fits(case: Case) -> None:
    """Whoever is told nothing could not start with fewer workers either."""
    gang, verdict = case.gang, case.verdict()
    if verdict.advice or verdict.cause in {Cause.ROOM_NOW, Cause.PODS_ENDING}:
        return
    unit = (
        gang.topology.slices[0].size if gang.topology.slices else min(gang.sizes, default=2) // 2 if gang.sizes else 1
    )
    assert case.now.most(replace(gang, sizes=()), usable(case.cluster, gang)) < max(unit, 1)


@given(cases())
def test_holders_add_up(case: Case) -> None:
    """Of few holders all are shown: together they hold what is used on nodes that would do, the largest first."""
    names = {node.name for node in usable(case.cluster, case.gang)}
    want: dict[str, int] = {}
    for name, node, count in case.held:
        if node in names:
            want[name] = want.get(name, 0) + 2 * count
    used = sum(case.cluster.used[name][GPU] // 1000 for name in names)
    want[OTHER_PODS] = used - sum(want.values())
    found = [(holder.name, holder.accelerators) for holder in case.verdict().holders]
    assert found == sorted(((n, held) for n, held in want.items() if held), key=lambda it: (-it[1], it[0]))
