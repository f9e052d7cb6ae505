"""From placed to done: what each state of the pods leads to."""

from dataclasses import replace
from datetime import timedelta

from support.build import NOW, a_cluster, a_gang, a_job, a_pool, a_worker, placed_job, running_job, three_racks
from trainpush.model.actions import MakeBelongings, MakeWorker, RemoveWorker
from trainpush.model.plan import Decision, Stage
from trainpush.model.reasons import Reason
from trainpush.model.workload import Beside, FailedStarts, Heard, Job, Outcome, Phase, Recorded, Refusal, Worker
from trainpush.planner.plan import plan

NODES = three_racks(4)


def decide(job: Job, **changes: object) -> Decision:
    """The plan's decision on the only job of a rack of four nodes."""
    return plan(a_cluster(replace(job, **changes), pool=a_pool(*NODES)), NOW).decisions[0]  # type: ignore[arg-type]


def removed(decision: Decision) -> set[str]:
    """Names of pods that go."""
    return {action.name for action in decision.actions if isinstance(action, RemoveWorker)}


def made(decision: Decision) -> list[tuple[int, int, str]]:
    """Pods that come."""
    return [(action.attempt, action.rank, action.node) for action in decision.actions if isinstance(action, MakeWorker)]


TWO = placed_job("r1-n0", "r1-n1")


def test_pods_follow_the_recorded_place() -> None:
    """Service first, then a pod per rank on its node."""
    decision = decide(TWO)
    assert decision.actions[0] == MakeBelongings()
    assert made(decision) == [(1, 0, "r1-n0"), (1, 1, "r1-n1")]
    assert decision.wake_at == NOW + timedelta(seconds=60)  # should they not be made by then


def test_what_workers_find_each_other_by_is_mended_while_they_run() -> None:
    """Somebody edited or deleted their Service: one that starts again must find the others."""
    running = {"workers": (a_worker(0), a_worker(1))}
    assert decide(TWO, **running, has_belongings=False).actions == (MakeBelongings(),)
    assert decide(TWO, **running).actions == ()


def test_a_fresh_place_makes_no_pod_before_it_is_recorded() -> None:
    """First written, then carried out."""
    assert made(decide(a_job())) == []


def test_only_missing_pods_are_made() -> None:
    """After a crash in the middle."""
    assert made(decide(TWO, workers=(a_worker(0, Phase.PENDING),))) == [(1, 1, "r1-n1")]


def test_running_when_all_run() -> None:
    """One of two is not enough."""
    assert decide(TWO, workers=(a_worker(0), a_worker(1, Phase.PENDING))).stage is Stage.STARTING
    both = decide(TWO, workers=(a_worker(0), a_worker(1)))
    assert (both.stage, both.record.has_run, both.running, both.actions) == (Stage.RUNNING, True, 2, ())


def test_done_when_all_succeeded() -> None:
    """One that is still at work keeps the job running."""
    done, busy = a_worker(0, Phase.SUCCEEDED), a_worker(1)
    assert decide(TWO, workers=(done, busy)).stage is Stage.RUNNING
    decision = decide(TWO, workers=(done, a_worker(1, Phase.SUCCEEDED, report={"step": 3})))
    assert (decision.stage, decision.record.outcome) == (Stage.COMPLETE, Outcome.COMPLETE)
    assert decision.record.heard == Heard(attempt=1, at=NOW, step=3)


def test_a_failed_worker_begins_a_new_attempt_in_place() -> None:
    """Same nodes, next number, one failure counted."""
    decision = decide(TWO, workers=(a_worker(0), a_worker(1, Phase.FAILED, message="exit code 3")))
    assert (decision.stage, decision.record.attempt, decision.record.failures) == (Stage.RESTARTING, 2, 1)
    assert decision.record.placement
    assert decision.record.placement.nodes == ("r1-n0", "r1-n1")
    assert "worker 1 failed: exit code 3" in decision.verdict.message


def test_eviction_is_nobodys_fault() -> None:
    """Counted apart, and free of maxRestarts."""
    evicted = a_worker(1, Phase.FAILED, disrupted=True)
    decision = decide(TWO, workers=(a_worker(0), evicted), max_restarts=0)
    assert (decision.stage, decision.record.failures, decision.record.infrastructure) == (Stage.RESTARTING, 0, 1)


def test_a_real_failure_counts_even_beside_an_eviction() -> None:
    """Who ends on its own is to blame."""
    workers = (a_worker(0, Phase.FAILED, disrupted=True), a_worker(1, Phase.FAILED, message="exit code 1"))
    assert decide(TWO, workers=workers).record.failures == 1


def test_a_worker_that_was_interrupted_is_no_success_whatever_its_exit_code() -> None:
    """It saved and ended with 0: the model is half trained, and nothing of it is exported."""
    for why in ({"disrupted": True}, {"deleting": True}):
        last = a_worker(1, Phase.SUCCEEDED, message="node shutdown", **why)
        decision = decide(TWO, max_restarts=0, workers=(a_worker(0, Phase.SUCCEEDED), last))
        assert (decision.record.outcome, decision.record.attempt, decision.record.infrastructure) == (None, 2, 1)
        assert decision.verdict.message == "attempt 1 ended: worker 1 was interrupted: node shutdown"


def test_whoever_is_deleted_is_not_to_blame_for_how_it_ended() -> None:
    """Exit code 143 is what SIGTERM does."""
    decision = decide(TWO, max_restarts=0, workers=(a_worker(0), a_worker(1, Phase.FAILED, deleting=True)))
    assert (decision.stage, decision.record.failures, decision.record.infrastructure) == (Stage.RESTARTING, 0, 1)


def test_a_finished_rank_is_finished_whatever_becomes_of_its_pod() -> None:
    """Deleted, drained or gone: the others train on, and the gang is done when they are."""
    done = decide(TWO, workers=(a_worker(0), a_worker(1, Phase.SUCCEEDED)))
    assert (done.stage, done.record.completed) == (Stage.RUNNING, (1,))
    assert done.verdict.message == "1 worker runs in rack b1/r1, 1 has finished"
    fates: tuple[tuple[Worker, ...], ...] = (
        (),
        (a_worker(1, Phase.SUCCEEDED, deleting=True),),
        (a_worker(1, Phase.SUCCEEDED, disrupted=True),),
        (a_worker(1, Phase.FAILED, message="evicted"),),
    )
    for pods in fates:
        later = decide(TWO, recorded=done.record, workers=(a_worker(0), *pods))
        assert (later.stage, later.record, later.actions) == (Stage.RUNNING, done.record, ())
        end = decide(TWO, recorded=done.record, workers=(a_worker(0, Phase.SUCCEEDED), *pods))
        assert (end.record.outcome, end.record.completed) == (Outcome.COMPLETE, ())


def test_a_rank_that_finished_before_the_others_began_is_not_waited_for() -> None:
    """Its pod may be gone before they are bound."""
    job = placed_job("r1-n0", "r1-n1", completed=(0,), age=200)
    waiting = decide(job, workers=(a_worker(1, Phase.PENDING, node="r1-n1"),))
    assert (waiting.stage, made(waiting)) == (Stage.STARTING, [])
    assert decide(job, workers=(a_worker(1, node="r1-n1"),)).record.has_run


def test_what_one_attempt_finished_is_nothing_to_the_next() -> None:
    """A gang is whole or it is nothing."""
    ran = placed_job("r1-n0", "r1-n1", has_run=True, completed=(1,))
    failed = decide(ran, workers=(a_worker(0, Phase.FAILED, message="exit code 3"),))
    assert (failed.record.attempt, failed.record.completed, failed.record.failures) == (2, (), 1)
    assert decide(ran, suspend=True).record.completed == ()
    assert decide(ran, workers=()).record.infrastructure == 1, "the pod of worker 0 vanished"


def test_a_deleted_pod_restarts_the_gang() -> None:
    """By kubectl or by a drain."""
    assert decide(TWO, workers=(a_worker(0), a_worker(1, deleting=True))).record.infrastructure == 1


def test_a_vanished_pod_restarts_a_gang_that_ran() -> None:
    """The others would wait for it for ever."""
    ran = placed_job("r1-n0", "r1-n1", has_run=True)
    assert decide(ran, workers=(a_worker(0),)).record.infrastructure == 1


def test_too_many_failures_end_the_job() -> None:
    """The bound is the number of restarts, not of attempts."""
    job = placed_job("r1-n0", failures=3)
    decision = decide(job, workers=(a_worker(0, Phase.FAILED, message="exit code 3"),))
    assert (decision.stage, decision.record.outcome, decision.record.failures) == (Stage.FAILED, Outcome.FAILED, 4)
    assert decision.verdict.reason == Reason.MAX_RESTARTS_EXCEEDED


def test_the_next_attempt_waits_for_the_last_pod_of_the_old() -> None:
    """No two attempts live at once."""
    job = placed_job("r1-n0", "r1-n1", attempt=2)
    old = (a_worker(0, deleting=True), a_worker(1))
    decision = decide(job, workers=old)
    assert removed(decision) == {"job-worker-1-a1"}
    assert made(decision) == []
    assert len(made(decide(job))) == 2


def test_a_slow_end_of_the_old_attempt_costs_no_place() -> None:
    """The time for binding begins when the last old pod is gone, however long its grace period is."""
    job = placed_job("r1-n0", "r1-n1", attempt=2, age=300)
    decision = decide(job, workers=(a_worker(1, deleting=True),))
    assert decision.record.placement
    assert (decision.record.placement.nodes, decision.record.placement.since) == (("r1-n0", "r1-n1"), NOW)
    assert "waits for 1 pod of an earlier attempt to end: job-worker-1-a1" in decision.verdict.message


def test_success_is_kept_even_when_suspended_in_the_same_moment() -> None:
    """What is done is done."""
    done = (a_worker(0, Phase.SUCCEEDED), a_worker(1, Phase.SUCCEEDED))
    assert decide(TWO, suspend=True, workers=done).record.outcome is Outcome.COMPLETE


def test_a_pod_out_of_reach_still_counts_as_begun() -> None:
    """Unknown is no reason to make it a second time."""
    decision = decide(TWO, workers=(a_worker(0), a_worker(1, Phase.UNKNOWN)))
    assert (decision.stage, made(decision)) == (Stage.RUNNING, [])


def test_what_cannot_be_read_any_more_goes_on() -> None:
    """An upgrade with stricter rules ends nothing that runs."""
    refusal = Refusal(Reason.INVALID_SPEC, "spec.worker: why")
    decision = decide(TWO, request=refusal, workers=(a_worker(0), a_worker(1)))
    assert (decision.actions, decision.record.placement, decision.refusal) == ((), TWO.recorded.placement, refusal)


def test_a_failed_pod_stays_for_its_logs_until_the_attempt_after_next() -> None:
    """`kubectl logs` of what just failed must work."""
    failed = a_worker(1, Phase.FAILED)
    assert removed(decide(placed_job("r1-n0", "r1-n1", attempt=2), workers=(failed,))) == set()
    assert removed(decide(placed_job("r1-n0", "r1-n1", attempt=3), workers=(failed,))) == {failed.name}


def test_a_place_tells_when_the_gang_first_started_there() -> None:
    """However often it starts anew, and however long the pods of an attempt take to end."""
    failed = (a_worker(0), a_worker(1, Phase.FAILED))
    first = decide(placed_job("r1-n0", "r1-n1", age=500, has_run=True), workers=failed).record.placement
    assert first
    assert (first.since, first.held_since) == (NOW, NOW - timedelta(seconds=500))
    lingering = (a_worker(0, deleting=True), a_worker(1, deleting=True))
    old = replace(first, since=NOW - timedelta(seconds=100))
    waits = decide(placed_job("r1-n0", "r1-n1", attempt=2, placement=old), workers=lingering).record.placement
    assert waits
    assert (waits.since, waits.held_since) == (NOW, first.held_since)


def test_restarts_come_slower_and_slower() -> None:
    """The third restart of a crash loop waits 10 s."""
    job = placed_job("r1-n0", attempt=4, failures=3)
    decision = decide(job)
    assert (made(decision), decision.wake_at) == ([], NOW + timedelta(seconds=10))


def test_a_restart_moves_when_its_node_went_bad() -> None:
    """Before any pod of the new attempt exists the place may change."""
    job = placed_job("r1-n0", "gone", attempt=2)
    decision = decide(job)
    assert decision.record.attempt == 3
    assert decision.record.placement
    assert "gone" not in decision.record.placement.nodes


def test_an_unbound_gang_gives_its_place_back() -> None:
    """All or nothing holds for binding too."""
    job = placed_job("r1-n0", "r1-n1", age=121)
    workers = (a_worker(0), a_worker(1, Phase.PENDING, message="0/4 nodes are available"))
    bound = tuple(w if w.rank else a_worker(0, node="r1-n0") for w in workers)
    decision = decide(job, workers=bound)
    assert (decision.stage, decision.verdict.reason) == (Stage.QUEUED, Reason.BIND_TIMEOUT)
    assert decision.record.placement is None
    assert "0/4 nodes are available" in decision.verdict.message


def test_after_a_rollback_the_gang_is_held_for_a_while() -> None:
    """No hot loop of pods that nobody binds."""
    failed = FailedStarts(1, NOW - timedelta(seconds=10))
    recorded = Recorded(attempt=1, failed_starts=failed, last=Refusal(Reason.BIND_TIMEOUT, "why"))
    decision = decide(a_job(gang=a_gang(2), recorded=recorded), workers=(a_worker(0),))
    assert (decision.record.placement, decision.wake_at) == (None, NOW + timedelta(seconds=20))
    assert removed(decision) == {"job-worker-0-a1"}


def test_suspending_removes_every_pod_and_the_place() -> None:
    """Finished pods too."""
    decision = decide(TWO, suspend=True, workers=(a_worker(0), a_worker(1, Phase.FAILED)))
    assert (decision.stage, decision.record.placement) == (Stage.SUSPENDED, None)
    assert removed(decision) == {"job-worker-0-a1", "job-worker-1-a1"}


def test_resuming_is_a_new_attempt() -> None:
    """An old attempt never overwrites newer checkpoints."""
    decision = decide(a_job(gang=a_gang(2), recorded=Recorded(attempt=1)))
    assert decision.record.attempt == 2


def test_an_ended_job_stays_as_it_is() -> None:
    """Even when its pods are gone or it is suspended."""
    done = placed_job("r1-n0", outcome=Outcome.COMPLETE)
    for job in (decide(done), decide(done, suspend=True), decide(done, workers=(a_worker(0, Phase.SUCCEEDED),))):
        assert (job.stage, job.actions) == (Stage.COMPLETE, ())


def test_what_a_sidecar_keeps_alive_goes_when_its_gang_is_done() -> None:
    """It would hold its accelerators for ever; as long as others train they are the gang's anyway."""
    kept = a_worker(0, Phase.SUCCEEDED, beside=Beside.OTHERS)
    assert removed(decide(TWO, workers=(kept, a_worker(1)))) == set()
    decision = decide(TWO, workers=(kept, a_worker(1, Phase.SUCCEEDED)))
    assert decision.record.outcome is Outcome.COMPLETE
    after = decide(TWO, recorded=decision.record, workers=(kept, a_worker(1, Phase.SUCCEEDED)))
    assert removed(after) == {kept.name}


def test_what_the_kubelet_ends_by_itself_stays_for_its_logs() -> None:
    """Native sidecars are told to end when the program has."""
    done = placed_job("r1-n0", outcome=Outcome.COMPLETE)
    assert removed(decide(done, workers=(a_worker(0, Phase.SUCCEEDED, beside=Beside.SIDECARS),))) == set()


def test_the_next_attempt_waits_for_pods_that_only_sidecars_keep() -> None:
    """They hold what it needs; the one that nobody ends is deleted, for the other the kubelet is waited for."""
    job = placed_job("r1-n0", "r1-n1", attempt=2)
    failed, ending = a_worker(0, Phase.FAILED, beside=Beside.OTHERS), a_worker(1, beside=Beside.SIDECARS)
    decision = decide(job, workers=(failed, replace(ending, phase=Phase.FAILED)))
    assert (removed(decision), made(decision)) == ({failed.name}, [])
    assert "waits for 2 pods" in decision.verdict.message


def test_an_ended_job_holds_nothing() -> None:
    """Its place is history."""
    done = placed_job("r1-n0", "r1-n1", "r1-n2", "r1-n3", name="done", outcome=Outcome.COMPLETE)
    decisions = plan(a_cluster(done, a_job("next"), pool=a_pool(*NODES)), NOW).decisions
    assert decisions[1].stage is Stage.STARTING


def test_a_job_being_deleted_is_left_to_the_garbage_collector() -> None:
    """No decision, no action; its pods still count."""
    going = running_job("going", "r1-n0")
    snapshot = a_cluster(replace(going, deleting=True), a_job("next"), pool=a_pool(*NODES))
    (decision,) = plan(snapshot, NOW).decisions
    assert decision.record.placement is None


def test_a_running_gang_outlives_its_pool() -> None:
    """A GPUPool that was deleted takes no pod with it."""
    job = placed_job("r1-n0", "r1-n1", has_run=True)
    snapshot = a_cluster(job, pool=a_pool(*NODES, name="other"))
    assert plan(snapshot, NOW).decisions[0].record.placement == job.recorded.placement


def test_what_the_server_refused_is_said() -> None:
    """A quota or a missing priority class shows in the verdict."""
    decision = decide(TWO, trouble="Forbidden (403): exceeded quota")
    assert decision.verdict.reason == Reason.APPLY_FAILED
    assert "exceeded quota" in decision.verdict.message


def test_what_workers_wait_for_is_said_with_worker_and_node() -> None:
    """What hinders goes before what takes its time."""
    pulling = a_worker(0, Phase.PENDING, node="r1-n0", message="pulls")
    stuck = a_worker(1, Phase.PENDING, node="r1-n1", message="no volume", is_hindered=True)
    assert "0/2 workers run: worker 1 (node r1-n1): no volume" in decide(TWO, workers=(pulling, stuck)).verdict.message
    both = (a_worker(0, Phase.PENDING, node="r1-n0", message="no volume", is_hindered=True), stuck)
    assert "worker 0 (node r1-n0) and 1 more: no volume" in decide(TWO, workers=both).verdict.message
