"""Nodes that are silent: when what ran there counts as ended, and what is said meanwhile."""

from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

import pytest

from support.build import (
    NOW,
    a_cluster,
    a_gang,
    a_job,
    a_node,
    a_placement,
    a_pool,
    a_worker,
    placed_job,
    three_racks,
)
from trainpush.model.actions import ForgetPod, MakeWorker, RemoveWorker
from trainpush.model.nodes import Node, Taint, Toleration
from trainpush.model.outage import OUT_OF_SERVICE, Outage
from trainpush.model.plan import Decision, Stage
from trainpush.model.reasons import Reason
from trainpush.model.workload import Checkpoint, Eviction, Heard, Job, Outcome, Phase, Recorded, Worker
from trainpush.planner.plan import plan

AFTER = timedelta(minutes=2)
NODES = three_racks(2, 2)
LOST = Outage("r1-n1", NOW - AFTER, AFTER)
"""Of a node that was silent for too long."""
SILENT = Outage("r1-n1", NOW - timedelta(seconds=30), AFTER)
GONE = Outage("r1-n1")
AWAITED = Outage("r1-n1", NOW - timedelta(days=1), patience=None)
REMEDY = "`kubectl taint nodes r1-n1 node.kubernetes.io/out-of-service=nodeshutdown:NoExecute`, or delete the Node"


def on(rank: int, node: str, phase: Phase = Phase.RUNNING, **fields: Any) -> Worker:
    """A worker on its node."""
    return a_worker(rank, phase, node=node, **fields)


def pair(outage: Outage | None, attempt: int = 1, **fields: Any) -> tuple[Worker, ...]:
    """Both workers of the gang, the second on the node with the outage."""
    return on(0, "r1-n0", attempt=attempt), on(1, "r1-n1", attempt=attempt, outage=outage, **fields)


def cluster_of(*silent: str) -> list[Node]:
    """Two racks of two nodes, of which some are not ready."""
    return [replace(node, ready=node.name not in silent) for node in NODES]


def decide(job: Job, nodes: list[Node] | None = None, now: datetime = NOW) -> Decision:
    """The plan's decision on the only job, whose second node is not ready unless others are given."""
    return plan(a_cluster(job, pool=a_pool(*(nodes or cluster_of("r1-n1")))), now).decisions[0]


def running(*workers: Worker, **recorded: Any) -> Job:
    """A gang that has run in the first rack."""
    return replace(placed_job("r1-n0", "r1-n1", has_run=True, **recorded), workers=workers)


def names(decision: Decision, action: type[RemoveWorker] | type[ForgetPod]) -> list[str]:
    """Of the pods on which that is done."""
    return [it.name for it in decision.actions if isinstance(it, action)]


def made(decision: Decision) -> list[tuple[int, str]]:
    """Attempt and node of the pods that come."""
    return [(it.attempt, it.node) for it in decision.actions if isinstance(it, MakeWorker)]


def test_a_silent_node_is_told_of_and_waited_for() -> None:
    """The gang runs on, and is looked at again when the time is over."""
    decision = decide(running(*pair(SILENT)))
    assert (decision.stage, decision.record.attempt, decision.actions) == (Stage.RUNNING, 1, ())
    assert decision.wake_at == SILENT.lost_at
    assert decision.verdict.message.endswith(
        "node r1-n1 has not been ready since 2026-01-01T11:59:30Z; "
        "what runs there counts as ended from 2026-01-01T12:01:30Z on"
    )


def test_a_node_that_is_back_in_time_changes_nothing() -> None:
    """Not even a word is left of it."""
    decision = decide(running(*pair(None)), cluster_of())
    assert (decision.stage, decision.actions, decision.wake_at) == (Stage.RUNNING, (), None)
    assert "not been ready" not in decision.verdict.message


@pytest.mark.parametrize("outage", [LOST, GONE], ids=["silent too long", "gone or out of service"])
def test_a_worker_that_is_cut_off_ends_the_attempt(outage: Outage) -> None:
    """It is nobody's fault, whatever the job bears."""
    decision = decide(replace(running(*pair(outage)), max_restarts=0))
    assert (decision.stage, decision.record.attempt) == (Stage.RESTARTING, 2)
    assert (decision.record.failures, decision.record.infrastructure) == (0, 1)
    assert decision.record.last is not None
    assert decision.record.last.message == "attempt 1 ended: node r1-n1 of worker 1 is lost"


def test_several_lost_nodes_are_one_restart() -> None:
    workers = (on(0, "r1-n0", outage=replace(LOST, node="r1-n0")), on(1, "r1-n1", outage=LOST))
    decision = decide(running(*workers))
    assert decision.record.infrastructure == 1
    assert decision.record.last is not None
    assert decision.record.last.message == "attempt 1 ended: nodes r1-n0, r1-n1 of workers 0, 1 are lost"


def test_a_worker_that_never_started_is_cut_off_as_well() -> None:
    """Bound to a node that died just then."""
    decision = decide(replace(placed_job("r1-n0", "r1-n1"), workers=pair(LOST, phase=Phase.PENDING)))
    assert (decision.stage, decision.record.attempt) == (Stage.RESTARTING, 2)


def test_a_worker_that_ended_before_its_node_died_has_ended() -> None:
    """The others go on, and the job is complete when they are."""
    done = on(1, "r1-n1", Phase.SUCCEEDED, outage=GONE)
    assert decide(running(on(0, "r1-n0"), done)).stage is Stage.RUNNING
    assert decide(running(on(0, "r1-n0", Phase.SUCCEEDED), done)).record.outcome is Outcome.COMPLETE


def test_what_fails_beside_a_silent_node_is_not_its_programs_fault() -> None:
    """A collective operation ends with an error where one rank is gone; without such a node it counts."""
    failed = on(0, "r1-n0", Phase.FAILED, message="exit code 1 (Error)")
    for outage, failures in ((SILENT, 0), (None, 1)):
        decision = decide(running(failed, on(1, "r1-n1", outage=outage)))
        assert (decision.record.failures, decision.record.infrastructure) == (failures, 1 - failures)


def test_the_next_attempt_looks_for_another_node() -> None:
    """And does not wait for the pod that hangs; those that are well end first."""
    job = replace(placed_job("r1-n0", "r1-n1", attempt=2), workers=pair(LOST, deleting=True))
    decision = decide(job)
    assert decision.record.attempt == 3
    assert decision.record.placement is not None
    assert decision.record.placement.nodes == ("r1-n0", "r2-n0")
    assert names(decision, RemoveWorker) == ["job-worker-0-a1"]


def test_the_next_attempt_starts_although_a_pod_hangs() -> None:
    """Its message names the node and the remedy."""
    job = replace(placed_job("r2-n0", "r2-n1", attempt=2), workers=pair(LOST, deleting=True)[1:])
    decision = decide(job)
    assert made(decision) == [(2, "r2-n0"), (2, "r2-n1")]
    assert "pod job-worker-1-a1 cannot end there" in decision.verdict.message
    assert REMEDY in decision.verdict.message


def test_the_next_attempt_waits_as_long_as_the_node_may_come_back() -> None:
    """A pod that was deleted by others may still run there."""
    job = replace(placed_job("r2-n0", "r2-n1", attempt=2), workers=pair(SILENT, deleting=True)[1:])
    decision = decide(job)
    assert made(decision) == []
    assert decision.wake_at is not None
    assert SILENT.lost_at is not None
    assert decision.wake_at <= SILENT.lost_at
    later = decide(job, now=NOW + timedelta(seconds=90))
    assert len(made(later)) == 2


def test_a_pod_is_forgotten_only_where_nothing_runs_any_more() -> None:
    """Of a node that is silent it is asked to go, once."""
    job = placed_job("r2-n0", "r2-n1", attempt=2)
    for is_told in (False, True):
        silent = decide(replace(job, workers=pair(LOST, deleting=is_told)[1:]))
        assert names(silent, RemoveWorker) == ([] if is_told else ["job-worker-1-a1"])
        assert names(silent, ForgetPod) == []
        gone = decide(replace(job, workers=pair(GONE, deleting=is_told)[1:]))
        assert (names(gone, RemoveWorker), names(gone, ForgetPod)) == ([], ["job-worker-1-a1"])


def test_a_node_that_comes_back_late_stops_nobody() -> None:
    """What still runs there goes; the attempt that has begun elsewhere runs on, at its place."""
    former = on(1, "r1-n1")
    mine = (on(0, "r2-n0", attempt=2), on(1, "r2-n1", attempt=2))
    place = a_placement("r2-n0", "r2-n1", level="rack", domain="b1/r2", age=500)
    job = replace(placed_job("r2-n0", "r2-n1", attempt=2, placement=place, has_run=True), workers=(former, *mine))
    decision = decide(job, cluster_of())
    assert (decision.stage, decision.record.placement) == (Stage.RUNNING, place)
    assert names(decision, RemoveWorker) == [former.name]


def test_what_runs_on_a_node_that_came_back_holds_its_accelerators() -> None:
    """Until it is gone nobody else is placed there."""
    former = on(0, "r1-n1", request=a_gang(1).requirements.request)
    job = replace(placed_job("r2-n0", attempt=2, has_run=True), workers=(former, on(0, "r2-n0", attempt=2)))
    snapshot = a_cluster(job, a_job("next", a_gang(1)), pool=a_pool(a_node("r1-n1"), a_node("r2-n0")))
    _, waits = plan(snapshot, NOW).decisions
    assert waits.record.placement is None


def test_a_node_that_is_out_of_service_takes_nothing_whatever_is_tolerated() -> None:
    """Also where it is ready again, and people have forgotten the taint."""
    nodes = [a_node("n1", taints=(Taint(OUT_OF_SERVICE, "nodeshutdown", "NoExecute"),))]
    job = a_job("job", a_gang(1, tolerations=(Toleration("", "Exists", "", ""),)))
    assert plan(a_cluster(job, pool=a_pool(*nodes)), NOW).decisions[0].record.placement is None


def test_a_job_that_waits_for_its_node_says_so() -> None:
    """However long; nothing of it is deleted."""
    decision = decide(running(*pair(AWAITED)))
    assert (decision.stage, decision.record.attempt, decision.actions) == (Stage.RUNNING, 1, ())
    assert decision.wake_at is None
    assert "spec.failurePolicy.lostNode says Wait, and node r1-n1" in decision.verdict.message
    assert REMEDY in decision.verdict.message


@pytest.mark.parametrize("is_told", [False, True])
def test_a_job_that_waits_for_its_node_takes_no_others_meanwhile(is_told: bool) -> None:
    """The other rank has failed, as it must: the gang keeps its place, and what it could not use is left to others."""
    ended = on(0, "r1-n0", Phase.FAILED, message="exit code 1 (Error)")
    first = decide(running(ended, on(1, "r1-n1", outage=AWAITED, deleting=is_told)))
    assert (first.record.attempt, first.record.infrastructure) == (2, 1)
    job = replace(running(), recorded=first.record, workers=pair(AWAITED, deleting=is_told)[1:])
    then = decide(job, now=NOW + timedelta(seconds=5))
    assert (then.stage, then.record.attempt, made(then)) == (Stage.RESTARTING, 2, [])
    assert then.record.placement is not None
    assert then.record.placement.nodes == ("r1-n0", "r1-n1")
    assert "waits for 1 pod of an earlier attempt to end: job-worker-1-a1; spec.failurePolicy" in then.verdict.message


def test_a_job_that_waits_for_its_node_takes_no_place_when_it_is_resumed() -> None:
    """Nor when it was evicted: it looks for one when its pod is gone, or its node given up."""
    job = a_job(gang=a_gang(2), recorded=Recorded(attempt=1), workers=pair(AWAITED, deleting=True)[1:])
    waits = decide(job)
    assert (waits.stage, waits.record.placement, waits.record.attempt) == (Stage.QUEUED, None, 1)
    assert "spec.failurePolicy.lostNode says Wait" in waits.verdict.message
    for workers in ((), pair(GONE, deleting=True)[1:]):
        assert decide(replace(job, workers=workers)).record.attempt == 2


def test_a_job_that_waited_starts_in_its_place_when_the_node_is_back() -> None:
    """Nothing else was taken."""
    back = decide(placed_job("r1-n0", "r1-n1", attempt=2), cluster_of())
    assert made(back) == [(2, "r1-n0"), (2, "r1-n1")]


def test_a_job_that_waited_goes_elsewhere_when_its_node_is_given_up() -> None:
    job = replace(placed_job("r1-n0", "r1-n1", attempt=2), workers=pair(GONE, deleting=True)[1:])
    assert decide(job).record.placement != job.recorded.placement


def test_a_job_that_waits_goes_on_when_its_node_is_gone_for_good() -> None:
    assert decide(running(*pair(GONE))).record.attempt == 2


def test_a_gang_without_another_place_names_the_node_and_the_remedy() -> None:
    """It waits for room, since its own node is not there."""
    nodes = [node for node in cluster_of("r1-n1") if node.name.startswith("r1")]
    job = a_job(gang=a_gang(2), recorded=Recorded(attempt=1), workers=pair(LOST, deleting=True)[1:])
    decision = decide(job, nodes)
    assert (decision.stage, decision.verdict.reason) == (Stage.QUEUED, Reason.WAITING_FOR_CAPACITY)
    assert REMEDY in decision.verdict.message


def test_a_suspended_gang_waits_for_no_pod() -> None:
    """Its place is given back, and the pod that hangs is told of."""
    decision = decide(replace(running(*pair(LOST, deleting=True)), suspend=True))
    assert (decision.stage, decision.record.placement) == (Stage.SUSPENDED, None)
    assert REMEDY in decision.verdict.message


def test_an_ended_job_forgets_what_nobody_will_end() -> None:
    failed = running(*pair(GONE, deleting=True), outcome=Outcome.FAILED)
    decision = decide(failed)
    assert names(decision, ForgetPod) == ["job-worker-1-a1"]
    assert decision.stage is Stage.FAILED


def test_a_gang_that_makes_room_does_not_wait_for_a_lost_node() -> None:
    """It has lost its attempt anyway, and gives the rest of its place when it is its turn."""
    told = Eviction("default/other", Reason.PREEMPTED, "makes room", asked_at=NOW, deadline=NOW + AFTER)
    decision = decide(running(*pair(LOST), eviction=told))
    assert (decision.record.attempt, decision.record.eviction) == (2, None)


def test_a_lost_status_is_taken_from_the_pods_and_then_the_attempt_ends() -> None:
    """The next one has a number of its own."""
    request = a_gang(2).requirements.request
    workers = tuple(replace(worker, request=request) for worker in pair(LOST, attempt=3))
    decision = decide(a_job(gang=a_gang(2), recorded=Recorded(), workers=workers))
    assert (decision.stage, decision.record.attempt) == (Stage.RESTARTING, 4)


def test_what_was_cut_off_is_heard_no_more_once_the_next_attempt_has_begun() -> None:
    """It started from what was known then; until then a last checkpoint counts."""
    known = Checkpoint(1, 100, "", NOW - AFTER)
    late = Heard(1, NOW, step=500, saved=Checkpoint(1, 500, "", NOW))
    job = replace(placed_job("r2-n0", "r2-n1", attempt=2, checkpoint=known), heard=late)
    before = decide(replace(job, workers=pair(LOST)[:1]), cluster_of())
    assert before.record.checkpoint == late.saved
    begun = on(0, "r2-n0", attempt=2)
    after = decide(replace(job, workers=(on(0, "r1-n0", report={"checkpoint": {"step": 600}}), begun)), cluster_of())
    assert (after.record.checkpoint, after.record.heard) == (known, None)
