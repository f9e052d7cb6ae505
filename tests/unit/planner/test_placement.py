"""Gangs go whole where they span least and leave most."""

import random
from dataclasses import replace

import pytest

from support.build import NOW, a_cluster, a_gang, a_job, a_node, a_pool, a_worker, placed_job, three_racks
from support.placement_oracle import Host, Question, fewest_by_table
from trainpush.model.modes import MODE_KEY, SWITCHING_KEY
from trainpush.model.nodes import Node, Taint, Toleration
from trainpush.model.plan import Decision, Stage
from trainpush.model.reasons import Reason
from trainpush.model.snapshot import Pool
from trainpush.model.workload import Job
from trainpush.planner.placing.free_capacity import FreeCapacity
from trainpush.planner.plan import plan

SERVES = Taint(MODE_KEY, "Inference", "NoSchedule")
LEAVES = Taint(SWITCHING_KEY, "Training", "NoSchedule")
TRAINS = Toleration(MODE_KEY, "Equal", "Training", "NoSchedule")
ANYTHING = Toleration("", "Exists", "", "")


def decide(job: Job, pool: Pool, *others: Job) -> Decision:
    """What the plan says about `job`."""
    return next(d for d in plan(a_cluster(job, *others, pool=pool), NOW).decisions if d.key == job.key)


def nodes_of(decision: Decision) -> list[str]:
    """Nodes in rank order."""
    assert decision.record.placement
    return list(decision.record.placement.nodes)


def test_the_rack_that_is_just_large_enough_wins() -> None:
    """Of racks with 8, 4 and 3 free nodes a gang of 4 leaves the large one whole."""
    decision = decide(a_job(), a_pool(*three_racks(8, 4, 3)))
    assert nodes_of(decision) == ["r2-n0", "r2-n1", "r2-n2", "r2-n3"]
    assert decision.record.placement
    assert (decision.record.placement.level, decision.record.placement.domain) == ("rack", "b1/r2")
    assert decision.record.attempt == 1


def test_one_host_beats_a_rack() -> None:
    """Two workers of 4 GPUs share a host."""
    decision = decide(a_job(gang=a_gang(2, gpus=4)), a_pool(*three_racks(4, 4), used={"r1-n2": 4}))
    assert nodes_of(decision) == ["r1-n0", "r1-n0"]


def test_a_host_that_is_full_otherwise_is_filled_first() -> None:
    """The tightest host is the one with least room left over."""
    decision = decide(a_job(gang=a_gang(1, gpus=4)), a_pool(*three_racks(4), used={"r1-n2": 4}))
    assert nodes_of(decision) == ["r1-n2"]


def test_a_gang_too_large_for_any_rack_spans_few() -> None:
    """Five nodes out of racks of 3, 2 and 2: the large one is filled first."""
    decision = decide(a_job(gang=a_gang(5)), a_pool(*three_racks(2, 3, 2)))
    assert sorted({node[:2] for node in nodes_of(decision)}) == ["r1", "r2"]
    assert decision.record.placement
    assert decision.record.placement.level == "block"


def test_ranks_follow_the_topology() -> None:
    """Consecutive ranks are neighbours, whatever order the racks were filled in."""
    names = nodes_of(decide(a_job(gang=a_gang(5)), a_pool(*three_racks(2, 3, 2))))
    assert names == sorted(names)


def test_a_required_level_is_never_left() -> None:
    """Five workers must be in one rack, and no rack has five nodes."""
    decision = decide(a_job(gang=a_gang(5, required="rack")), a_pool(*three_racks(4, 4)))
    assert decision.record.placement is None
    assert decision.verdict.reason == Reason.TOPOLOGY_UNSATISFIABLE
    assert "relax spec.placement.required" in decision.verdict.message


def test_a_preferred_level_is_left_when_it_must_be() -> None:
    """Preferred rack, but five workers need two."""
    decision = decide(a_job(gang=a_gang(5, preferred="rack")), a_pool(*three_racks(4, 4)))
    assert decision.record.placement
    assert decision.record.placement.level == "block"


def test_nothing_is_placed_in_part() -> None:
    """Three free nodes for four workers: the gang waits, and the message has the numbers."""
    used = {"r1-n0": 1}
    decision = decide(a_job(), a_pool(*three_racks(4), used=used))
    assert decision.record.placement is None
    verdict = decision.verdict
    assert (verdict.reason, verdict.needed, verdict.free, verdict.largest_free) == (
        Reason.WAITING_FOR_CAPACITY,
        32,
        31,
        24,
    )
    assert verdict.message.startswith("3/4 nodes fit: 1 without room for 8 nvidia.com/gpu")


@pytest.mark.parametrize(
    ("node", "words"),
    [
        (a_node("bad", rack="r1", product="A100", ready=False), "1 not ready"),
        (a_node("bad", rack="r1", product="A100", cordoned=True), "1 cordoned"),
        (a_node("bad", rack="r1", product="A100", taints=(Taint("k", "v", "NoSchedule"),)), "1 with a taint"),
        (a_node("bad", rack="r1", product="T4"), "1 with another accelerator product"),
        (a_node("bad", rack="r1", product="A100", gpus=4), "1 too small for a worker"),
    ],
    ids=["not ready", "cordoned", "taint", "product", "too small"],
)
def test_each_unfit_node_is_counted_with_its_reason(node: Node, words: str) -> None:
    """Three good nodes and a bad one."""
    good = [a_node(f"n{i}", rack="r1", product="A100") for i in range(3)]
    decision = decide(a_job(gang=a_gang(4, products=frozenset({"A100"}))), a_pool(*good, node))
    assert decision.record.placement is None
    assert words in decision.verdict.message


def test_a_tolerated_taint_is_no_hindrance() -> None:
    """The pool's toleration opens the node."""
    node = a_node("n0", rack="r1", taints=(Taint("k", "v", "NoSchedule"),))
    gang = a_gang(1, tolerations=(Toleration("k", "Exists", "", ""),))
    assert nodes_of(decide(a_job(gang=gang), a_pool(node))) == ["n0"]


@pytest.mark.parametrize(
    ("taints", "tolerations", "words"),
    [
        ((SERVES,), (TRAINS,), "1 in another mode"),
        ((SERVES,), (TRAINS, ANYTHING), "1 in another mode"),
        ((LEAVES,), (TRAINS, ANYTHING), "1 changing mode"),
        ((LEAVES, Taint("k", "v", "NoSchedule")), (TRAINS,), "1 changing mode"),
        ((Taint(MODE_KEY, "Training", "NoSchedule"),), (TRAINS,), ""),
        ((SERVES,), (Toleration(MODE_KEY, "Exists", "", ""),), ""),
    ],
    ids=str,
)
def test_work_goes_to_nodes_of_its_mode(
    taints: tuple[Taint, ...], tolerations: tuple[Toleration, ...], words: str
) -> None:
    """Who tolerates all taints does not mean modes; and nothing goes to a node that changes its mode."""
    pool = a_pool(a_node("n0", taints=taints))
    decision = decide(a_job(gang=a_gang(1, tolerations=tolerations)), pool)
    assert (decision.record.placement is None) == bool(words)
    assert words in decision.verdict.message


def test_two_gangs_never_share_a_place() -> None:
    """The older one gets the only rack, the younger waits."""
    old, young = a_job("old", age=10), a_job("young")
    pool = a_pool(*three_racks(4))
    assert decide(old, pool, young).stage is Stage.STARTING
    assert decide(young, pool, old).verdict.reason == Reason.WAITING_FOR_CAPACITY


def test_a_decided_place_counts_before_its_pods_exist() -> None:
    """A placement in status holds its nodes."""
    first = placed_job("r1-n0", "r1-n1", name="first")
    decision = decide(a_job("second"), a_pool(*three_racks(4)), first)
    assert decision.record.placement is None
    assert decision.verdict.free == 16


def test_a_gang_larger_than_the_pool_is_told_so() -> None:
    """No waiting can help."""
    decision = decide(a_job(gang=a_gang(5)), a_pool(*three_racks(4)))
    assert decision.verdict.reason == Reason.EXCEEDS_POOL
    assert "lower spec.replicas" in decision.verdict.message


def test_absurd_amounts_stop_nobody_else() -> None:
    """A job or a foreign pod that asks for more than numbers hold waits; the others do not."""
    pool = a_pool(*three_racks(4), used={"r1-n0": 10**18})
    greedy = a_job("greedy", a_gang(1, request={"nvidia.com/gpu": 10**30, "pods": 1000}), age=10)
    assert decide(greedy, pool).record.placement is None
    assert nodes_of(decide(a_job(gang=a_gang(3)), pool, greedy)) == ["r1-n1", "r1-n2", "r1-n3"]


def test_a_pod_counts_with_what_a_limit_range_added() -> None:
    """The larger of what was asked and what the pod requests."""
    fat = a_worker(0, node="r1-n0", request={"nvidia.com/gpu": 8000, "pods": 2000})
    first = replace(placed_job("r1-n0", name="first", gpus=4), workers=(fat,))
    assert decide(a_job("next", a_gang(1, gpus=4)), a_pool(*three_racks(1)), first).record.placement is None


def test_an_empty_pool_fits_nobody() -> None:
    """No nodes, no crash."""
    decision = decide(a_job(), a_pool())
    assert decision.verdict.reason == Reason.NO_MATCHING_NODES
    assert decision.verdict.message.startswith("0/0 nodes fit")


def test_an_empty_host_in_a_busy_rack_is_taken_first() -> None:
    """Of equal hosts the one in the rack with least room left."""
    decision = decide(a_job(gang=a_gang(1)), a_pool(*three_racks(4, 4), used={"r2-n0": 8, "r2-n1": 8}))
    assert nodes_of(decision) == ["r2-n2"]


def test_the_only_large_rack_is_left_to_others() -> None:
    """Two hosts of r1 would do as well, and after that no gang of eight would fit any rack."""
    decision = decide(a_job(gang=a_gang(2)), a_pool(*three_racks(8, 7)))
    assert nodes_of(decision) == ["r2-n0", "r2-n1"]


def test_fewer_hosts_beat_a_tighter_rack() -> None:
    """Rack r1 has room for four workers on the halves of two hosts, and a host of the roomier r2 has it alone."""
    pool = a_pool(*three_racks(2, 3), used={"r1-n0": 4, "r1-n1": 4})
    assert nodes_of(decide(a_job(gang=a_gang(4, gpus=2)), pool)) == ["r2-n0"] * 4


def test_fewest_hosts_among_the_fewest_racks() -> None:
    """Any two of three racks hold the gang; the hosts of r2 and r3 are whole, those of r1 are halves."""
    pool = a_pool(*three_racks(4, 2, 2), used={f"r1-n{i}": 4 for i in range(4)})
    decision = decide(a_job(gang=a_gang(8, gpus=4)), pool)
    assert sorted(set(nodes_of(decision))) == ["r2-n0", "r2-n1", "r3-n0", "r3-n1"]


@pytest.mark.parametrize("hosts", [5, 100])
def test_the_largest_host_of_a_rack_is_left_whole(hosts: int) -> None:
    """Of hosts with three free GPUs three hold nine workers, and the one with four is left to others; ten need it."""
    nodes = [a_node("a", gpus=4, rack="r1"), *(a_node(f"n{i:03}", gpus=3, rack="r1") for i in range(hosts))]
    decision = decide(a_job(gang=a_gang(9, gpus=1)), a_pool(*nodes))
    assert nodes_of(decision) == [f"n00{i // 3}" for i in range(9)]
    decision = decide(a_job(gang=a_gang(10, gpus=1)), a_pool(*nodes))
    assert nodes_of(decision) == [*["a"] * 4, *["n000"] * 3, *["n001"] * 3]


def test_where_the_bound_on_the_work_ends_the_search_the_place_says_so() -> None:
    """3,000 workers on 400 racks: no level has more domains, in proportion, than the gap admits."""
    draw = random.Random(1)  # noqa: S311
    free = [draw.choice([0, 1, 2, 3, 8]) for _ in range(4000)]
    nodes = [a_node(f"n{i:04}", gpus=gpus, rack=f"r{i // 10:03}") for i, gpus in enumerate(free)]
    pool = a_pool(*nodes)
    site = FreeCapacity.at_rest(pool, pool.table.used.copy()).assign(a_gang(3000, gpus=1))
    assert site
    hosts = [Host(("b1", f"r{i // 10:03}"), gpus) for i, gpus in enumerate(free)]
    best = fewest_by_table(Question(hosts, 3000, {}))
    assert best
    racks, spent = len({row // 10 for row in site.by_row}), len(site.by_row)
    assert site.gap > 0
    assert racks <= best[1] * (1 + site.gap)
    assert spent <= best[2] * (1 + site.gap)
