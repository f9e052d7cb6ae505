"""From a trained job to what its service serves."""

from dataclasses import replace
from datetime import timedelta
from typing import Any

from support.build import NOW, a_cluster, a_gang, a_pool, a_worker, placed_job, three_racks
from support.serving_world import REPLICA, a_service
from trainpush.model.actions import MakeExport, ReadEvents, RemoveWorker
from trainpush.model.outage import Outage
from trainpush.model.plan import Decision, Pushing
from trainpush.model.reasons import Reason
from trainpush.model.serving import Revision, Service
from trainpush.model.workload import Export, ExportState, Job, Key, Outcome, Phase, Push, Recorded
from trainpush.planner.plan import plan

DIGEST = "sha256:aa"
PUSH = Push(target="svc", export="job-export-1", uri="pvc://models/digits")
DONE = replace(placed_job("r1-n0", "r1-n1", outcome=Outcome.COMPLETE), push=PUSH)
EXPORTED = replace(DONE, push=replace(PUSH, digest=DIGEST))
FOLLOWER = a_service(None, key=Key("default", "svc"), follows="job")


def decide(job: Job, service: Service | None = FOLLOWER) -> Decision:
    """The plan's decision on the job."""
    snapshot = replace(a_cluster(job, pool=a_pool(*three_racks(2))), services=(service,) if service else ())
    return plan(snapshot, NOW).decisions[0]


def pushing(job: Job, service: Service | None = FOLLOWER) -> Pushing:
    """What is said of its push."""
    said = decide(job, service).push
    assert said is not None
    return said


def exports(state: ExportState, **fields: Any) -> tuple[Export, ...]:
    """The Job that exports."""
    return (Export("job-export-1", state, **fields),)


def release(number: int, digest: str = DIGEST) -> Revision:
    """A revision of the service."""
    return Revision(f"svc-{number}", f"uid-{number}", number, REPLICA, f"{PUSH.uri}/x", digest, "uid-job")


def test_a_job_without_push_says_nothing() -> None:
    """No condition, no action."""
    assert decide(replace(DONE, push=None)).push is None


def test_nothing_is_exported_before_training_is_complete_in_status() -> None:
    """A job that has just succeeded is first written down."""
    workers = tuple(a_worker(rank, Phase.SUCCEEDED) for rank in (0, 1))
    decision = decide(replace(placed_job("r1-n0", "r1-n1"), push=PUSH, workers=workers))
    assert decision.record.outcome is Outcome.COMPLETE
    assert MakeExport() not in decision.actions


def test_a_complete_job_is_exported_once() -> None:
    """The Job is made, and not again while it is there."""
    assert MakeExport() in decide(DONE).actions
    running = replace(DONE, exports=exports(ExportState.ACTIVE))
    assert MakeExport() not in decide(running).actions
    assert pushing(running).reason == Reason.EXPORTING


def test_an_export_whose_pods_are_refused_is_asked_about() -> None:
    """A quota, say: the Job itself says nothing of it, only Events do."""
    silent = exports(ExportState.ACTIVE, unexplained="uid-of-job", since=NOW - timedelta(seconds=20))
    assert ReadEvents("uid-of-job") in decide(replace(DONE, exports=silent)).actions
    young = replace(silent[0], since=NOW - timedelta(seconds=19))
    decision = decide(replace(DONE, exports=(young,)))
    assert ReadEvents("uid-of-job") not in decision.actions
    assert decision.wake_at == NOW + timedelta(seconds=1)
    said = pushing(replace(DONE, exports=(replace(silent[0], message="FailedCreate: exceeded quota", asked=1),)))
    assert (said.reason, said.has_failed) == (Reason.EXPORTING, False)
    assert "exceeded quota" in said.message


def test_pods_of_an_export_that_others_keep_go_when_what_they_said_is_known() -> None:
    """Not before the digest stands in status; one that failed has nothing more to say: its Job makes another."""
    lingering = (("job-export-1-x", "u"),)
    gone = RemoveWorker("job-export-1-x", "u")
    done = replace(DONE, exports=exports(ExportState.ACTIVE, digest=DIGEST, lingering=lingering))
    assert gone not in decide(done).actions
    assert gone in decide(replace(done, push=replace(PUSH, digest=DIGEST))).actions
    failed = replace(DONE, exports=exports(ExportState.ACTIVE, message="publish: exit code 1", lingering=lingering))
    assert gone in decide(failed).actions


def test_a_failed_export_says_why_and_what_to_do() -> None:
    """The pod's own words, and the remedy."""
    said = pushing(replace(DONE, exports=exports(ExportState.FAILED, message="exit code 1 (Error): disk is full")))
    assert (said.reason, said.has_failed) == (Reason.EXPORT_FAILED, True)
    assert "disk is full" in said.message
    assert "delete Job job-export-1" in said.message


def test_a_target_that_is_not_there_or_does_not_consent_is_named() -> None:
    """The model waits, exported."""
    missing = pushing(EXPORTED, None)
    assert (missing.reason, missing.digest) == (Reason.TARGET_NOT_FOUND, DIGEST)
    unwilling = pushing(EXPORTED, replace(FOLLOWER, follows="another"))
    assert unwilling.reason == Reason.TARGET_DOES_NOT_CONSENT
    assert "spec.model.from.trainPushJob to job" in unwilling.message


def test_it_is_pushed_when_the_target_serves_it() -> None:
    """Not when the release is merely recorded."""
    rolling = replace(FOLLOWER, revisions=(release(1, "sha256:old"), release(2)), stable="svc-1")
    assert pushing(EXPORTED, rolling).reason == Reason.RELEASING
    served = pushing(EXPORTED, replace(rolling, stable="svc-2"))
    assert (served.reason, served.is_over, served.revision) == (Reason.PUSHED, True, "svc-2")
    later = replace(rolling, revisions=(*rolling.revisions, release(3, "sha256:new")), stable="svc-3")
    assert pushing(EXPORTED, later).reason == Reason.SUPERSEDED


def test_a_lost_status_is_read_back_from_export_or_release() -> None:
    """Nothing is exported twice."""
    kept = replace(DONE, exports=exports(ExportState.SUCCEEDED, digest=DIGEST))
    assert pushing(kept).digest == DIGEST
    recorded = replace(FOLLOWER, revisions=(release(1),), stable="svc-1")
    decision = decide(replace(DONE, push=replace(PUSH, is_new=True)), recorded)
    assert decision.push is not None
    assert (decision.push.reason, decision.push.digest) == (Reason.PUSHED, DIGEST)
    assert MakeExport() not in decision.actions


def test_an_export_that_was_changed_is_made_again() -> None:
    """Though an earlier one is served already."""
    earlier = replace(FOLLOWER, revisions=(release(1),), stable="svc-1")
    assert MakeExport() in decide(DONE, earlier).actions


def test_a_job_whose_status_was_lost_is_adopted_with_its_pods() -> None:
    """A job that had ended is not trained again; one that lost pods gets a higher attempt."""
    lost = replace(DONE, recorded=Recorded())
    nodes = {0: "r1-n0", 1: "r1-n1"}
    request = a_gang().requirements.request
    pods = tuple(a_worker(rank, Phase.SUCCEEDED, attempt=3, node=node, request=request) for rank, node in nodes.items())
    decision = decide(replace(lost, workers=pods))
    assert (decision.record.attempt, decision.record.outcome) == (3, Outcome.COMPLETE)
    assert decision.record.placement is not None
    assert (decision.record.placement.nodes, decision.record.placement.domain) == (("r1-n0", "r1-n1"), "b1/r1")
    half = decide(replace(lost, workers=pods[:1]))
    assert (half.record.attempt, half.record.outcome) == (4, None)


def test_an_export_on_a_silent_node_names_it_and_the_remedy() -> None:
    """Kubernetes makes no second pod before the first is known to have ended; one on a node that is gone is."""
    silent = replace(exports(ExportState.ACTIVE)[0], outage=Outage("n1", NOW))
    said = pushing(replace(DONE, exports=(silent,)))
    assert said.reason == Reason.EXPORTING
    assert "node n1 has not been ready since 2026-01-01T12:00:00Z" in said.message
    assert "kubectl taint nodes n1 node.kubernetes.io/out-of-service=nodeshutdown:NoExecute" in said.message
    gone = pushing(replace(DONE, exports=(replace(silent, outage=Outage("n1")),)))
    assert gone.message == "Job job-export-1 exports the model"
