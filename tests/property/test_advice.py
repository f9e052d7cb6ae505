"""Whoever does what the advice says has a place."""

import re
from collections.abc import Iterator
from dataclasses import replace
from datetime import timedelta
from itertools import combinations
from typing import Final

import numpy as np
from hypothesis import given, target
from hypothesis import strategies as st

from support.build import GPU, LEVELS, NOW, a_gang, a_job, a_node, placed_job, running_job
from support.strategies import quotas
from trainpush.model.gang import Gang, Leeway, Slices
from trainpush.model.nodes import PODS, Ending, Node, NodeTable, Taint, Toleration, node_table
from trainpush.model.reasons import Reason
from trainpush.model.snapshot import Pool, Snapshot
from trainpush.model.workload import Job
from trainpush.planner.diagnostics.causes import Cause
from trainpush.planner.plan import plan

GIB: Final = 2**30
UNITS: Final = {"Gi": GIB, "Ti": 2**40, "": 1000}
TAINTS: Final = [(), (), (), (Taint("team", "a", "NoSchedule"),), (Taint("new", "", "NoExecute"),)]
BLOCKS: Final = st.sampled_from(["b1", "b2"])
CHANGE: Final = re.compile(
    r"(?P<size>\d+ in spec\.elastic\.allowedReplicas|spec\.elastic\.minReplicas: \d+|spec\.replicas: \d+)"
    r"|spec\.placement\.required: (?P<level>\S+)|(?P<free>without spec\.placement\.required it)"
    r"|(?P<loose>without spec\.placement\.slices it)|with (?:all )?(?P<opened>\d+) cordoned nodes? opened it"
    r"|with a toleration of (?P<taint>\S+) \(\d+ nodes?\) it"
    r"|with (?P<product>\S+) \(\d+ nodes?\) in spec\.placement\.acceleratorProducts it"
    r"|with (?P<amount>[\d.]+)(?P<unit>[A-Z]i)? (?P<resource>\S+) per worker it"
)


@st.composite
def crowded(draw: st.DrawFn) -> Snapshot:
    """A few nodes of several kinds, partly closed and partly taken, and gangs that want more than there is.

    Some room is about to come free, and some of those that run may have to make room, or have lost a node.
    """
    nodes = [
        Node(
            name=f"n{i}",
            labels=a_node("n", rack=draw(st.sampled_from(["r1", "r2"])), block=draw(BLOCKS)).labels,
            allocatable={
                GPU: draw(st.sampled_from([4000, 8000])),
                "memory": draw(st.sampled_from([16, 3000])) * GIB,
                PODS: draw(st.sampled_from([1000, 110_000])),
            },
            taints=draw(st.sampled_from(TAINTS)),
            ready=draw(st.integers(0, 9)) > 0,
            cordoned=draw(st.integers(0, 3)) == 0,
            product=draw(st.sampled_from(["A", "A", "B"])),
        )
        for i in range(draw(st.integers(1, 5)))
    ]
    taken = [(1000 * draw(st.sampled_from([0, 0, 2, 4])), 1000 * draw(st.integers(0, 1))) for _ in nodes]
    used = {node.name: {GPU: gpus, PODS: pods} for node, (gpus, pods) in zip(nodes, taken, strict=True)}
    ending = tuple(Ending(name, {GPU: of[GPU]}, NOW) for name, of in used.items() if draw(st.integers(0, 3)) == 0)
    pool = Pool("pool", (GPU,), node_table(nodes, LEVELS, used), ending=ending, quotas=draw(quotas()))
    teams = st.sampled_from(["default", "a", "b"])
    waiting = [
        a_job(
            f"w{i}",
            draw(gangs()),
            age=draw(st.sampled_from([1, 700, 30_000])),
            namespace=draw(teams),
            priority=draw(st.integers(0, 2)),
        )
        for i in range(draw(st.integers(1, 3)))
    ]
    names = st.sampled_from([node.name for node in nodes])
    holders: list[Job] = []
    if draw(st.booleans()):
        holders.append(running_job("runs", draw(names), gpus=4, namespace=draw(teams), suspend=draw(st.booleans())))
    if draw(st.booleans()):
        holders.append(placed_job(draw(names), draw(names), name="starts", gpus=4))
    return Snapshot(pools=(pool,), jobs=tuple(sorted([*waiting, *holders], key=lambda job: job.key)))


@st.composite
def gangs(draw: st.DrawFn) -> Gang:
    """A gang of any kind."""
    workers, multiple = draw(st.sampled_from([1, 2, 4, 6])), draw(st.sampled_from([1, 2]))
    workers = max(workers, multiple)
    slices = draw(st.sampled_from([(), (), (Slices("rack", 2),), (Slices("host", 2),)]))
    workers += workers % 2 if slices else 0
    sizes = draw(st.sampled_from([(), (), (workers + 2 * multiple, workers)]))
    fields = ["spec.elastic.minReplicas", "spec.elastic.allowedReplicas"] if sizes else ["spec.replicas"]
    return a_gang(
        workers=max((*sizes, workers)),
        gpus=(gpus := draw(st.sampled_from([2, 4, 8]))),
        request={GPU: 1000 * gpus, "memory": draw(st.sampled_from([1, 16, 2048])) * GIB, PODS: 1000},
        required=draw(st.sampled_from([None, None, "rack", "block"])) if not slices else None,
        slices=slices,
        sizes=sizes,
        products=frozenset(draw(st.sampled_from([(), ("A",)]))),
        leeway=Leeway(draw(st.sampled_from(fields)), multiple, fixes_accelerators=draw(st.booleans())),
    )


def fewer(gang: Gang, workers: int) -> Gang:
    """The gang where so many workers will do."""
    assert workers % gang.leeway.multiple == 0
    if not gang.sizes:
        return gang.of_size(workers)
    if gang.leeway.size_field.endswith("allowedReplicas"):
        return replace(gang, sizes=(*gang.sizes, workers))
    return replace(gang, sizes=tuple(range(max(gang.sizes), workers - 1, -gang.step)))


def smaller(gang: Gang, resource: str, counted: int) -> Gang:
    """The gang where each worker asks for so much of a resource."""
    needs = gang.requirements
    accelerators = counted // 1000 if resource == GPU else needs.accelerators
    request = {**needs.request, resource: counted}
    return replace(gang, requirements=replace(needs, request=request, accelerators=accelerators))


def tolerating(gang: Gang, taint: str) -> Gang:
    """The gang with one more toleration."""
    key, _, effect = taint.rpartition(":")
    key, _, value = key.partition("=")
    one = Toleration(key, "Equal" if value else "Exists", value, effect)
    return replace(gang, requirements=replace(gang.requirements, tolerations=(*gang.requirements.tolerations, one)))


def changes(snapshot: Snapshot, job: Job, gang: Gang, said: re.Match[str]) -> Iterator[Snapshot]:
    """What the cluster would be if somebody did what is advised; several where it does not say on which nodes."""
    found, topology = said.groupdict(), gang.topology
    if found["opened"]:
        (pool,) = snapshot.pools
        cordoned = np.flatnonzero(pool.table.cordoned).tolist()
        for opened in combinations(cordoned, int(found["opened"])):
            mask = pool.table.cordoned.copy()
            mask[list(opened)] = False
            yield replace(snapshot, pools=(replace(pool, table=replace(pool.table, cordoned=mask)),))
        return
    if found["size"]:
        gang = fewer(gang, int(re.findall(r"\d+", found["size"])[0]))
    elif found["level"] or found["free"]:
        gang = replace(gang, topology=replace(topology, required=found["level"]))
    elif found["loose"]:
        gang = replace(gang, topology=replace(topology, slices=()))
    elif found["taint"]:
        gang = tolerating(gang, found["taint"])
    elif found["product"]:
        products = gang.requirements.products | {found["product"]}
        gang = replace(gang, requirements=replace(gang.requirements, products=products))
    else:
        gang = smaller(gang, found["resource"], int(float(found["amount"]) * UNITS[found["unit"] or ""]))
    yield replace(snapshot, jobs=tuple(replace(it, request=gang) if it is job else it for it in snapshot.jobs))


def emptied(snapshot: Snapshot, job: Job) -> Snapshot:
    """The pool with nobody else in it, all nodes open, and no limits."""
    (pool,) = snapshot.pools
    table: NodeTable = pool.table
    is_open = replace(
        table, used=np.zeros_like(table.used), ready=np.ones_like(table.ready), cordoned=np.zeros_like(table.cordoned)
    )
    return replace(snapshot, pools=(replace(pool, table=is_open, ending=(), quotas=()),), jobs=(job,))


@given(crowded())
def test_whoever_does_what_is_advised_has_a_place(snapshot: Snapshot) -> None:
    """At once, or in the empty pool where it would fit nowhere else."""
    advised = [
        (job, decision.verdict.advice)
        for job, decision in zip(snapshot.jobs, plan(snapshot, NOW).decisions, strict=True)
        if not decision.record.placement and CHANGE.match(decision.verdict.advice)
    ]
    target(len(advised))
    for job, advice in advised:
        said = CHANGE.match(advice)
        assert said
        assert isinstance(job.request, Gang)
        after = advice[said.end() :]
        if after.startswith(" would stay within the limit"):
            assert all(is_within_limit(it, job) for it in changes(snapshot, job, job.request, said)), advice
            continue
        assert re.match(r" would fit (now|the empty pool)", after), advice
        before = emptied(snapshot, job) if after.startswith(" would fit the empty pool") else snapshot
        assert any(is_placed(it, job) for it in changes(before, job, job.request, said)), advice


def is_within_limit(snapshot: Snapshot, job: Job) -> bool:
    """Whether its team may have it in the next cycle, wherever there is room for it."""
    found = next(it for it in plan(snapshot, NOW + timedelta(seconds=1)).decisions if it.key == job.key)
    return found.verdict.reason not in {Reason.WAITING_FOR_QUOTA, Reason.EXCEEDS_QUOTA_LIMIT}


def is_placed(snapshot: Snapshot, job: Job) -> bool:
    """Whether it gets a place in the next cycle, or in the one after that, where another gives its own back first."""
    found = next(it for it in plan(snapshot, NOW + timedelta(seconds=1)).decisions if it.key == job.key)
    return found.record.placement is not None or found.verdict.cause == Cause.ROOM_NOW


def test_what_is_advised_is_understood() -> None:
    """So that the property looks at every kind of change."""
    for said in (
        "spec.replicas: 3 would",
        "2 in spec.elastic.allowedReplicas would",
        "spec.placement.required: block would",
        "without spec.placement.required it would",
        "without spec.placement.slices it would",
        "with all 2 cordoned nodes opened it would",
        "with a toleration of gpu=present:NoSchedule (2 nodes) it would",
        "with A100 (1 node) in spec.placement.acceleratorProducts it would",
        "with 1.9Ti memory per worker it would",
    ):
        found = CHANGE.match(said)
        assert found
        assert said[found.end() :] == " would"
