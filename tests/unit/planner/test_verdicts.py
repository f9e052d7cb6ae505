"""Why a gang waits: each cause on the smallest cluster that shows it."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from typing import Any

import numpy as np
import pytest

from support.build import GPU, LEVELS, RACK, a_gang
from trainpush.model.gang import Gang, Leeway, Slices
from trainpush.model.modes import MODE_KEY, SWITCHING_KEY
from trainpush.model.nodes import PODS, Amounts, Node, NodeTable, Taint, Toleration, node_table
from trainpush.model.plan import Holder, Verdict
from trainpush.model.reasons import Reason
from trainpush.model.workload import Eviction, Refusal
from trainpush.planner.diagnostics import verdicts
from trainpush.planner.diagnostics.causes import Cause
from trainpush.planner.diagnostics.diagnosis import Circumstances
from trainpush.planner.diagnostics.holders import Holding, holdings
from trainpush.planner.feasibility.filters import FilterReason, NodeFilters

GIB = 2**30
ELASTIC = Leeway("spec.elastic.minReplicas")
TAINT = Taint("gpu", "present", "NoSchedule")
SERVES = Taint(MODE_KEY, "Inference", "NoSchedule")
LEAVES = Taint(SWITCHING_KEY, "Training", "NoSchedule")
Used = Mapping[str, Mapping[str, int]]


def node(name: str, gpus: int = 8, rack: str = "r1", **fields: Any) -> Node:
    """A node with 8 GPUs, 96 cpu, 512 GiB of memory, 100 GiB of ephemeral storage and 110 pods."""
    much = {"cpu": 96_000, "memory": 512 * GIB, "ephemeral-storage": 100 * GIB, "rdma/hca": 4000, PODS: 110_000}
    allocatable = {GPU: gpus * 1000, **much} | fields.pop("but", {})
    labels = {RACK.label: rack, "example.com/block": "b1"}
    return Node(name=name, labels=labels, allocatable=allocatable, **fields)


def asking(workers: int = 1, gpus: int = 8, more: Mapping[str, int] | None = None, **fields: Any) -> Gang:
    """Workers of 8 GPUs, and more of something else."""
    return a_gang(workers, gpus, request={GPU: gpus * 1000, PODS: 1000, **(more or {})}, **fields)


def gpus(**used: int) -> Used:
    """GPUs that are used, by node."""
    return {name: {GPU: amount * 1000, PODS: 1000} for name, amount in used.items()}


@dataclass(frozen=True)
class Case:
    """A gang that waits, and what its verdict says."""

    gang: Gang
    nodes: list[Node]
    says: str
    advice: str = ""
    used: Used = field(default_factory=dict)
    reserved: Used = field(default_factory=dict)
    leaving: Used = field(default_factory=dict)
    jobs: Mapping[str, int] = field(default_factory=dict)
    """GPUs that the job default/a holds, by node."""
    services: Mapping[str, int] = field(default_factory=dict)
    """GPUs that the service default/s holds, by node."""
    reason: Reason = Reason.WAITING_FOR_CAPACITY

    def verdict(self) -> Verdict:
        """What the planner says."""
        table = node_table(self.nodes, LEVELS, self.used)
        held = [
            Holding(name, {GPU: 1000}, {table.rows[node]: count}, is_service=name == "default/s")
            for name, found in (("default/a", self.jobs), ("default/s", self.services))
            for node, count in found.items()
        ]
        around = Circumstances(
            reserved=columns(table, self.reserved) if self.reserved else None,
            reserved_for="default/ahead",
            leaving=columns(table, self.leaving) if self.leaving else None,
            held=holdings(table, held),
        )
        return verdicts.waiting(self.gang, NodeFilters(table, self.gang.requirements), table.used, around)


def columns(table: NodeTable, amounts: Used) -> Amounts:
    """As a node table has them."""
    return np.array([[amounts.get(node, {}).get(name, 0) for node in table.names] for name in table.resources])


NEVER = Reason.NO_MATCHING_NODES
CASES = {
    Cause.POOL_EMPTY: Case(asking(), [], "the pool has no nodes: give some the labels", reason=NEVER),
    Cause.NO_ACCELERATORS: Case(asking(), [node("n", gpus=0)], "no node has any nvidia.com/gpu", reason=NEVER),
    Cause.NO_SUCH_RESOURCE: Case(
        asking(more={"fpga.com/one": 1000}), [node("n")], "no node has any fpga.com/one", reason=NEVER
    ),
    Cause.ALL_TAINTED: Case(
        asking(),
        [node("n", taints=(TAINT,)), node("m", taints=(TAINT,))],
        "2 nodes with the taint gpu=present:NoSchedule: tolerate it",
        "with a toleration of gpu=present:NoSchedule (2 nodes) it would fit now",
        reason=NEVER,
    ),
    Cause.OTHER_PRODUCT: Case(
        asking(products=frozenset({"H100"})),
        [node("n", product="A100")],
        "1 with another accelerator product",
        "with A100 (1 node) in spec.placement.acceleratorProducts it would fit now",
        reason=NEVER,
    ),
    Cause.PRODUCT_UNKNOWN: Case(
        asking(products=frozenset({"H100"})), [node("n")], "no node has a label that tells its product", reason=NEVER
    ),
    Cause.TOO_FEW_ACCELERATORS_PER_NODE: Case(
        asking(gpus=16),
        [node("n")],
        "1 too small for a worker even when empty",
        "with 8 nvidia.com/gpu per worker it would fit now",
        reason=NEVER,
    ),
    Cause.TOO_LITTLE_CPU_PER_NODE: Case(
        asking(more={"cpu": 200_000}),
        [node("n")],
        "a worker needs 200 cpu, the largest node has 96 cpu",
        "with 96 cpu per worker it would fit now",
        reason=NEVER,
    ),
    Cause.TOO_LITTLE_MEMORY_PER_NODE: Case(
        asking(more={"memory": 900 * GIB}),
        [node("n")],
        "a worker needs 900Gi memory, the largest node has 512Gi memory",
        "with 512Gi memory per worker it would fit now",
        reason=NEVER,
    ),
    Cause.TOO_LITTLE_STORAGE_PER_NODE: Case(
        asking(more={"ephemeral-storage": 200 * GIB}),
        [node("n")],
        "a worker needs 200Gi ephemeral-storage, the largest node has 100Gi",
        "with 100Gi ephemeral-storage per worker",
        reason=NEVER,
    ),
    Cause.TOO_FEW_PODS_PER_NODE: Case(
        asking(), [node("n", but={PODS: 500})], "a worker needs 1 pod, the largest node has 0 pods", reason=NEVER
    ),
    Cause.TOO_LITTLE_ELSE_PER_NODE: Case(
        asking(more={"rdma/hca": 8000}),
        [node("n")],
        "a worker needs 8 rdma/hca, the largest node has 4 rdma/hca",
        "with 4 rdma/hca per worker",
        reason=NEVER,
    ),
    Cause.TOO_LITTLE_TOGETHER: Case(
        asking(more={"memory": 256 * GIB}),
        [node("n", gpus=4), node("m", but={"memory": 128 * GIB})],
        "no node has enough of nvidia.com/gpu and memory at once",
        "with 4 nvidia.com/gpu per worker",
        reason=NEVER,
    ),
    Cause.EXCEEDS_WITHOUT_TAINTED: Case(
        asking(2),
        [node("n"), node("m", taints=(TAINT,))],
        "it would fit with 1 node more that has the taint gpu=present:NoSchedule",
        "spec.replicas: 1 would fit now; the operator does not change a spec",
        reason=Reason.EXCEEDS_POOL,
    ),
    Cause.EXCEEDS_WITHOUT_PRODUCTS: Case(
        asking(2, products=frozenset({"H100"})),
        [node("n", product="H100"), node("m", product="A100")],
        "it would fit with 1 node more that has another product",
        "spec.replicas: 1 would fit now",
        reason=Reason.EXCEEDS_POOL,
    ),
    Cause.EXCEEDS_POOL: Case(
        asking(3),
        [node("n"), node("m")],
        "the empty pool takes 2 workers: lower spec.replicas or add nodes",
        "spec.replicas: 2 would fit now",
        reason=Reason.EXCEEDS_POOL,
    ),
    Cause.REQUIRED_TOO_SMALL: Case(
        asking(2, required="rack"),
        [node("n"), node("m", rack="r2")],
        "the largest empty rack takes 1 worker: relax spec.placement.required",
        "spec.replicas: 1 would fit now",
        reason=Reason.TOPOLOGY_UNSATISFIABLE,
    ),
    Cause.SLICE_TOO_LARGE: Case(
        asking(2, slices=(Slices("rack", 2),)),
        [node("n"), node("m", rack="r2")],
        "a slice has 2 workers, the largest empty rack takes 1",
        "without spec.placement.slices it would fit now",
        reason=Reason.TOPOLOGY_UNSATISFIABLE,
    ),
    Cause.SLICES_TOO_MANY: Case(
        asking(4, slices=(Slices("rack", 2),)),
        [*(node(f"a{i}") for i in range(3)), *(node(f"b{i}", rack=f"r{i}") for i in range(2, 4))],
        "in whole slices the largest empty pool takes 2 workers: use smaller slices",
        "spec.replicas: 2 would fit now",
        reason=Reason.TOPOLOGY_UNSATISFIABLE,
    ),
    Cause.NODES_IN_OTHER_MODE: Case(
        asking(3),
        [node("n"), node("m", taints=(SERVES,)), node("o", taints=(LEAVES,))],
        "1 changing mode, 1 in another mode; 3 workers need 24",
        "spec.replicas: 1 would fit now",
    ),
    Cause.NO_NODE_READY: Case(asking(), [node("n", ready=False)], "no node that would do is ready and uncordoned"),
    Cause.NO_NODE_OPEN: Case(
        asking(),
        [node("n", cordoned=True)],
        "no node that would do is ready and uncordoned",
        "with 1 cordoned node opened it would fit now; the operator opens no node that somebody closed",
    ),
    Cause.NO_NODE_USABLE: Case(
        asking(),
        [node("n", cordoned=True), node("m", ready=False)],
        "no node that would do is ready",
        "with 1 cordoned",
    ),
    Cause.NODES_NOT_READY: Case(
        asking(2), [node("n"), node("m", ready=False)], "it could fit if 1 node came back", "spec.replicas: 1"
    ),
    Cause.NODES_CORDONED: Case(
        asking(2),
        [node("n"), node("m", cordoned=True)],
        "it could fit if 1 cordoned node was opened",
        "spec.replicas: 1",
    ),
    Cause.NODES_CLOSED: Case(
        asking(3),
        [node("n"), node("m", cordoned=True), node("o", ready=False)],
        "it could fit only if 1 node came back and 1 cordoned node was opened",
        "spec.replicas: 1",
    ),
    Cause.HELD_BY_JOBS: Case(
        asking(), [node("n")], "1 without room for 8 nvidia.com/gpu", "with 2 nvidia.com/gpu", gpus(n=6), jobs={"n": 6}
    ),
    Cause.HELD_BY_SERVICES: Case(
        asking(), [node("n")], "1 without room", "with 2 nvidia.com/gpu", gpus(n=6), services={"n": 4}, jobs={"n": 2}
    ),
    Cause.HELD_BY_OTHER_PODS: Case(
        asking(), [node("n")], "1 worker needs 8 nvidia.com/gpu, 1 free", "with 1 nvidia.com/gpu", gpus(n=7)
    ),
    Cause.SCATTERED: Case(
        asking(2, required="rack"),
        [node("n"), node("m"), node("o", rack="r2"), node("p", rack="r2")],
        "the room is scattered over 2 domains of the level rack",
        "spec.replicas: 1 would fit now",
        gpus(n=8, o=8),
    ),
    Cause.FRAGMENTED: Case(
        asking(1),
        [node("n"), node("m")],
        "2 nodes have fewer free than the 8 of a worker",
        "with 4 nvidia.com/gpu per worker it would fit now",
        gpus(n=4, m=4),
    ),
    Cause.SLICES_BROKEN: Case(
        asking(2, 4, slices=(Slices("host", 2),)),
        [node("n"), node("m")],
        "in whole slices (2 per host) only 0 workers would fit",
        "without spec.placement.slices it would fit now",
        gpus(n=4, m=4),
    ),
    Cause.CPU_TAKEN: Case(
        asking(more={"cpu": 64_000}),
        [node("n")],
        "too little cpu is free beside the accelerators",
        "with 46 cpu per worker it would fit now",
        {"n": {"cpu": 50_000}},
    ),
    Cause.MEMORY_TAKEN: Case(
        asking(more={"memory": 300 * GIB}),
        [node("n")],
        "too little memory is free",
        "with 212Gi memory per worker",
        {"n": {"memory": 300 * GIB}},
    ),
    Cause.STORAGE_TAKEN: Case(
        asking(more={"ephemeral-storage": 60 * GIB}),
        [node("n")],
        "too little ephemeral-storage is free",
        "with 50Gi ephemeral-storage per worker",
        {"n": {"ephemeral-storage": 50 * GIB}},
    ),
    Cause.PODS_TAKEN: Case(asking(), [node("n")], "too few pods are free", used={"n": {PODS: 110_000}}),
    Cause.ELSE_TAKEN: Case(
        asking(more={"rdma/hca": 4000}),
        [node("n")],
        "too few rdma/hca are free",
        "with 3 rdma/hca per worker",
        {"n": {"rdma/hca": 1000}},
    ),
    Cause.PODS_ENDING: Case(
        asking(), [node("n")], "it fits as soon as pods have ended", used=gpus(n=8), leaving=gpus(n=8)
    ),
    Cause.ROOM_RESERVED: Case(
        asking(2),
        [node("n"), node("m")],
        "it would fit, but for the room that is kept for default/ahead",
        "spec.replicas: 1 would fit now",
        reserved=gpus(n=8),
        reason=Reason.BEHIND_HIGHER_PRIORITY,
    ),
    Cause.ROOM_NOW: Case(asking(), [node("n")], "1/1 node fits; 1 worker needs 8 nvidia.com/gpu, 8 free"),
}


@pytest.mark.parametrize("cause", CASES)
def test_each_cause_is_told(cause: Cause) -> None:
    """Cause, reason, words and advice."""
    case = CASES[cause]
    verdict = case.verdict()
    assert (verdict.cause, verdict.reason) == (cause, case.reason), verdict
    assert case.says in verdict.message
    assert verdict.advice.startswith(case.advice)
    assert bool(verdict.advice) == bool(case.advice), verdict.advice
    assert len(verdict.message) <= 300


@pytest.mark.parametrize(
    ("key", "is_ready", "words"),
    [
        ("node.kubernetes.io/unreachable", False, "1 not ready"),
        ("node.kubernetes.io/not-ready", False, "1 not ready"),
        ("node.kubernetes.io/not-ready", True, "1 not ready"),
        ("node.kubernetes.io/out-of-service", True, "1 not ready"),
        ("node.kubernetes.io/disk-pressure", True, "1 under pressure"),
    ],
)
@pytest.mark.parametrize("others", [0, 1])
def test_what_kubernetes_says_of_a_node_by_a_taint_passes(key: str, is_ready: bool, words: str, others: int) -> None:
    """Nobody is told to tolerate it, and the gang keeps its time in the queue."""
    ill = node("m", ready=is_ready, taints=(Taint(key, "", "NoExecute"), Taint(key, "", "NoSchedule")))
    verdict = Case(asking(1 + others), [ill, *(node(f"n{number}") for number in range(others))], "").verdict()
    assert verdict.reason is Reason.WAITING_FOR_CAPACITY
    assert verdict.cause is (Cause.NODES_NOT_READY if others else Cause.NO_NODE_READY)
    assert words in verdict.message
    assert "tolera" not in verdict.message + verdict.advice


def test_a_toleration_of_pressure_opens_a_node_under_pressure() -> None:
    pressure = Taint("node.kubernetes.io/memory-pressure", "", "NoSchedule")
    tolerant = asking(tolerations=(Toleration(pressure.key, "Exists", "", ""),))
    assert Case(tolerant, [node("n", taints=(pressure,))], "").verdict().cause is Cause.ROOM_NOW


WAITS = CASES[Cause.HELD_BY_JOBS].verdict()
VICTIM = Eviction("default/a", Reason.PREEMPTED, "", lost=7200)
UNTIL = datetime(2026, 1, 1, 13, tzinfo=UTC)
OF_THE_QUEUE = {
    Cause.QUOTA_TOO_SMALL: (
        verdicts.quota(asking(3), "red", GPU, used=0, limit=16_000),
        Reason.EXCEEDS_QUOTA_LIMIT,
        "team red may use 16 nvidia.com/gpu and uses 0 nvidia.com/gpu; 3 workers need 24 nvidia.com/gpu",
        "spec.replicas: 2 would stay within the limit; the operator does not change a spec",
    ),
    Cause.QUOTA_USED: (
        verdicts.quota(asking(2), "red", GPU, used=16_000, limit=24_000),
        Reason.WAITING_FOR_QUOTA,
        "team red may use 24 nvidia.com/gpu and uses 16 nvidia.com/gpu; 2 workers need 16 nvidia.com/gpu",
        "spec.replicas: 1 would stay within the limit; the operator does not change a spec",
    ),
    Cause.PLACE_KEPT: (
        verdicts.place_kept(asking(2), {"n": FilterReason.NOT_READY, "m": FilterReason.CORDONED}, UNTIL),
        Reason.WAITING_FOR_CAPACITY,
        "its place lacks n (not ready), m (cordoned); the rest of it is kept for the gang until 2026-01-01T13:00:00Z; ",
        "",
    ),
    Cause.PREEMPTION_ANNOUNCED: (
        verdicts.preempting(asking(), {"default/b": VICTIM}, is_announced=True),
        Reason.WAITING_FOR_PREEMPTION,
        "default/b makes room in the next cycle (loses 2.0 accelerator-hours); ",
        "",
    ),
    Cause.VICTIMS_ENDING: (
        verdicts.preempting(asking(), {"default/b": VICTIM, "default/c": VICTIM}, is_announced=False),
        Reason.WAITING_FOR_PREEMPTION,
        "default/b, default/c are ending to make room (lose 4.0 accelerator-hours); ",
        "",
    ),
    Cause.NOBODY_TO_PREEMPT: (
        verdicts.not_preempted(WAITS, {Cause.NOBODY_TO_PREEMPT: 2, Cause.BEYOND_GUARANTEE: 1}),
        Reason.WAITING_FOR_CAPACITY,
        WAITS.message,
        (
            f"{WAITS.advice}; nobody makes room: 2 gangs of its own team, with no lower priority, "
            "1 gang of another team, from which one takes only within one's own guarantee"
        ),
    ),
    Cause.PRIORITY_UNKNOWN: (
        verdicts.not_preempted(WAITS, {Cause.PRIORITY_UNKNOWN: 1}),
        Reason.WAITING_FOR_CAPACITY,
        WAITS.message,
        (
            f"{WAITS.advice}; nobody makes room: "
            "1 gang of its own team, of a priority that nobody knows, since its PriorityClass is gone"
        ),
    ),
    Cause.BEYOND_GUARANTEE: (
        verdicts.not_preempted(WAITS, {Cause.BEYOND_GUARANTEE: 3}),
        Reason.WAITING_FOR_CAPACITY,
        WAITS.message,
        (
            f"{WAITS.advice}; nobody makes room: "
            "3 gangs of other teams, from which one takes only within one's own guarantee"
        ),
    ),
    Cause.CLASS_NEVER_PREEMPTS: (
        verdicts.not_preempted(WAITS, {Cause.CLASS_NEVER_PREEMPTS: 1}),
        Reason.WAITING_FOR_CAPACITY,
        WAITS.message,
        (
            f"{WAITS.advice}; nobody makes room: "
            "1 gang of lower priority, which its PriorityClass spares (preemptionPolicy Never)"
        ),
    ),
    Cause.PROTECTED_BY_MIN_RUNTIME: (
        verdicts.not_preempted(WAITS, {Cause.PREEMPTION_NEVER: 1, Cause.PROTECTED_BY_MIN_RUNTIME: 2}, UNTIL),
        Reason.WAITING_FOR_CAPACITY,
        WAITS.message,
        (
            f"{WAITS.advice}; nobody makes room: 2 gangs within their minRuntime "
            "(the first until 2026-01-01T13:00:00Z), 1 gang with preemption Never"
        ),
    ),
    Cause.PREEMPTION_NEVER: (
        verdicts.not_preempted(WAITS, {Cause.NOBODY_TO_PREEMPT: 1, Cause.PREEMPTION_NEVER: 1}),
        Reason.WAITING_FOR_CAPACITY,
        WAITS.message,
        (
            f"{WAITS.advice}; nobody makes room: 1 gang with preemption Never, "
            "1 gang of its own team, with no lower priority"
        ),
    ),
    Cause.PROTECTED_DOWN_TO_MINIMUM: (
        verdicts.not_preempted(WAITS, {Cause.PROTECTED_DOWN_TO_MINIMUM: 3}),
        Reason.WAITING_FOR_CAPACITY,
        WAITS.message,
        f"{WAITS.advice}; nobody makes room: 3 gangs already at their smallest size, with preemption BeyondMin",
    ),
    Cause.WITHIN_GUARANTEES: (
        verdicts.not_preempted(WAITS, {Cause.WITHIN_GUARANTEES: 1}),
        Reason.WAITING_FOR_CAPACITY,
        WAITS.message,
        f"{WAITS.advice}; nobody makes room: 1 gang of a team within its guarantee",
    ),
    Cause.VICTIMS_NOT_ENOUGH: (
        verdicts.not_preempted(WAITS, {Cause.VICTIMS_NOT_ENOUGH: 2}),
        Reason.WAITING_FOR_CAPACITY,
        WAITS.message,
        f"{WAITS.advice}; nobody makes room: 2 gangs could, but even together they do not make enough",
    ),
    Cause.BIND_TIMEOUT: (
        verdicts.held_back(Refusal(Reason.BIND_TIMEOUT, "not all pods were bound within 120 s: no disk"), 1, UNTIL),
        Reason.BIND_TIMEOUT,
        (
            "not all pods were bound within 120 s: no disk; "
            "try 2 is made from 2026-01-01T13:00:00Z on, or at once when the spec is edited"
        ),
        "",
    ),
    Cause.START_TIMEOUT: (
        verdicts.held_back(Refusal(Reason.START_TIMEOUT, "not all workers ran within 5 min: no Secret"), 4, UNTIL),
        Reason.START_TIMEOUT,
        (
            "not all workers ran within 5 min: no Secret; "
            "try 5 is made from 2026-01-01T13:00:00Z on, or at once when the spec is edited"
        ),
        "",
    ),
    Cause.SUSPENDED: (
        verdicts.suspended(),
        Reason.SUSPENDED,
        "spec.suspend is set; set it to false to queue the job",
        "",
    ),
}


@pytest.mark.parametrize("cause", OF_THE_QUEUE)
def test_what_the_queue_decides_is_told(cause: Cause) -> None:
    """Cause, reason, words and advice."""
    verdict, reason, message, advice = OF_THE_QUEUE[cause]
    assert (verdict.cause, verdict.reason) == (cause, reason)
    assert verdict.message.startswith(message)
    assert verdict.advice == advice


def test_where_no_gang_runs_that_is_told() -> None:
    """Services and other pods make no room."""
    assert verdicts.not_preempted(WAITS, {}).advice.endswith("nobody makes room: no gang runs there")


def test_of_one_gang_is_told_as_of_one() -> None:
    """And of its time, that it is its own."""
    said = verdicts.not_preempted(WAITS, {Cause.PROTECTED_BY_MIN_RUNTIME: 1, Cause.VICTIMS_NOT_ENOUGH: 1}, UNTIL).advice
    assert "1 gang within its minRuntime (until 2026-01-01T13:00:00Z)" in said
    assert "1 gang could, but that does not make enough" in said


def test_every_cause_has_a_test() -> None:
    """None is left out, none is never told."""
    assert set(CASES) | set(OF_THE_QUEUE) == set(Cause)


def test_holders_are_named_by_what_they_hold() -> None:
    """Jobs, services and the rest, the largest first."""
    case = Case(asking(), [node("n"), node("m")], "", "", gpus(n=8, m=7), jobs={"n": 6, "m": 1}, services={"n": 2})
    held = (Holder("default/a", 7), Holder("other pods", 6), Holder("default/s", 2))
    assert case.verdict().holders == held


@pytest.mark.parametrize(
    ("lost", "said"),
    [
        (7200, "default/b makes room in the next cycle (loses 2.0 accelerator-hours); "),
        (60, "default/b makes room in the next cycle (loses 60 accelerator-seconds); "),
        (0, "default/b makes room in the next cycle; "),
    ],
)
def test_lost_work_is_told_where_there_is_any(lost: int, said: str) -> None:
    """In a unit in which it is not nothing."""
    verdict = verdicts.preempting(asking(), {"default/b": replace(VICTIM, lost=lost)}, is_announced=True)
    assert verdict.message.startswith(said)


def test_holders_on_nodes_that_will_not_do_are_left_out() -> None:
    """Nobody could use what a cordoned node holds."""
    case = Case(asking(), [node("n", cordoned=True), node("m")], "", "", gpus(n=8, m=8), jobs={"n": 8, "m": 8})
    assert case.verdict().holders == (Holder("default/a", 8),)


def test_an_elastic_gang_waits_for_its_smallest_size() -> None:
    """Four workers would do, of eight; three fit."""
    nodes = [node(f"n{i}") for i in range(8)]
    used = gpus(**{f"n{i}": 8 for i in range(5)})
    verdict = Case(asking(8, sizes=(8, 6, 4), leeway=ELASTIC), nodes, "", "", used).verdict()
    assert "8 workers, at least 4, need 64 nvidia.com/gpu, 24 free" in verdict.message
    assert verdict.advice.startswith("spec.elastic.minReplicas: 2 would fit now")


def test_a_wider_level_is_advised_where_no_smaller_gang_will_do() -> None:
    """An elastic gang that goes in steps of two cannot be made smaller, but spread."""
    gang = asking(2, required="rack", sizes=(4, 2), leeway=ELASTIC)
    verdict = Case(gang, [node("n"), node("m"), node("o", rack="r2")], "", "", gpus(n=8)).verdict()
    assert verdict.advice.startswith("spec.placement.required: block would fit now")


def test_sizes_that_suit_nobody_are_not_advised() -> None:
    """Three of four workers would fit, and the strategy needs an even number."""
    nodes = [node(f"n{i}") for i in range(4)]
    gang = asking(4, leeway=Leeway(multiple=2))
    assert Case(gang, nodes, "", "", gpus(n0=8)).verdict().advice.startswith("spec.replicas: 2 would fit now")
    assert Case(asking(4), nodes, "", "", gpus(n0=8)).verdict().advice.startswith("spec.replicas: 3 would fit now")


def test_a_size_goes_where_sizes_are_named_one_by_one() -> None:
    gang = asking(4, sizes=(8, 4), leeway=Leeway("spec.elastic.allowedReplicas", multiple=2))
    verdict = Case(gang, [node(f"n{i}") for i in range(8)], "", "", gpus(**{f"n{i}": 8 for i in range(6)})).verdict()
    assert "allowedReplicas" not in verdict.advice  # sizes so far go in steps of four
    gang = replace(gang, sizes=(6, 4), workers=6)
    verdict = Case(gang, [node(f"n{i}") for i in range(8)], "", "", gpus(**{f"n{i}": 8 for i in range(6)})).verdict()
    assert verdict.advice.startswith("2 in spec.elastic.allowedReplicas would fit now")


def test_what_the_strategy_fixes_is_not_advised() -> None:
    """Neither other accelerators per worker, nor to do without the slices that it needs."""
    fixed = Leeway(fixes_accelerators=True, fixes_slices=True)
    assert Case(asking(gpus=16), [node("n")], "", "").verdict().advice
    assert Case(asking(gpus=16, leeway=fixed), [node("n")], "", "").verdict().advice == ""
    gang, nodes = asking(2, 8, slices=(Slices("host", 2),)), [node("n"), node("m")]
    assert Case(gang, nodes, "", "").verdict().advice.startswith("without spec.placement.slices")
    assert "slices" not in Case(replace(gang, leeway=fixed), nodes, "", "").verdict().advice


def test_the_fields_are_named_that_require_a_level() -> None:
    """One may be the pool's."""
    gang = asking(2, required="rack", leeway=Leeway(required_field="spec.defaults.training.required of GPUPool p"))
    nodes = [node("n"), replace(node("m", rack="r2"), labels={RACK.label: "r2", "example.com/block": "b2"})]
    verdict = Case(gang, nodes, "", "").verdict()
    assert verdict.advice.startswith("spec.replicas: 1")
    gang = replace(gang, leeway=replace(gang.leeway, multiple=2))
    verdict = Case(gang, nodes, "", "").verdict()
    assert verdict.advice.startswith("without spec.defaults.training.required of GPUPool p it would fit now")


def test_nodes_are_not_opened_for_those_behind() -> None:
    """Who waits before them would get the room."""
    table = node_table([node("n", cordoned=True), node("m")], LEVELS, gpus(m=8))
    filters = NodeFilters(table, asking(1).requirements)
    first, behind = (
        verdicts.waiting(asking(1), filters, table.used, Circumstances(is_behind=is_behind)).advice
        for is_behind in (False, True)
    )
    assert first.startswith("with 1 cordoned node opened")
    assert "opened" not in behind


def test_pods_are_counted_and_memory_is_measured() -> None:
    """In words that suit both, and in one unit where it tells two amounts apart."""
    tight = node("n", but={PODS: 1000})
    assert (
        "too few pods are free beside the accelerators: a worker needs 1 pod"
        in Case(asking(), [tight], "", "", {"n": {PODS: 1000}}).verdict().message
    )
    none = Case(asking(), [node("n", but={PODS: 0})], "", "").verdict().message
    assert "no node has any pods" in none
    much = node("n", but={"memory": 2049 * GIB})
    assert (
        "a worker needs 2050Gi memory, the largest node has 2049Gi memory"
        in Case(asking(more={"memory": 2050 * GIB}), [much], "", "").verdict().message
    )


def test_the_fewest_cordoned_nodes_are_advised() -> None:
    """The larger one of two is enough."""
    nodes = [node("n", gpus=4, cordoned=True), node("m", cordoned=True), node("o")]
    assert Case(asking(1), nodes, "", "", gpus(o=8)).verdict().advice.startswith("with 1 cordoned node opened")


def test_a_tolerated_taint_opens_the_way() -> None:
    """The toleration of one taint leaves the other."""
    both = (TAINT, Taint("maintenance", "", "NoExecute"))
    gang = asking(tolerations=(Toleration("gpu", "Exists", "", ""),))
    verdict = Case(gang, [node("n", taints=both)], "", "").verdict()
    assert "1 node with the taint maintenance:NoExecute" in verdict.message
