"""What makes a decision that was kept be asked again: one case of each rule.

The property in tests/property/test_memory.py says that no answer differs; these say that each rule is needed.
"""

from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta

import pytest

from support.build import NOW, a_gang, a_job, a_node, a_pool, a_worker, placed_job, running_job
from support.serving_world import REPLICA, a_service
from trainpush.model.plan import Decision
from trainpush.model.serving import Revision, Service
from trainpush.model.snapshot import Pool, Snapshot
from trainpush.model.workload import Export, ExportState, Job, Outcome, Phase, Push, Recorded
from trainpush.planner.memory import Memory
from trainpush.planner.plan import plan

POOL = a_pool(a_node("n1"), a_node("n2"))
PUSH = Push("svc", "export", "pvc://models/m", digest="sha256:1")
DONE = (Export("export", ExportState.SUCCEEDED, digest="sha256:1"),)
LATER = timedelta(minutes=30)


def snapshot(*jobs: Job, pool: Pool = POOL, services: tuple[Service, ...] = ()) -> Snapshot:
    return Snapshot(pools=(pool,), jobs=jobs, services=services)


def released(uid: str) -> Service:
    """A service with a release of the model of that job."""
    made = Revision("svc-1", "uid-1", 1, REPLICA, "pvc://models/m/sha256-1", "sha256:1", uid)
    return a_service(revisions=(made,), follows="job")


def a_suspended() -> tuple[Snapshot, Snapshot]:
    """One whose status is lost, and whose model turns out to have been released."""
    job = a_job(suspend=True, recorded=Recorded())
    return snapshot(job), snapshot(job, services=(released(job.uid),))


def a_push() -> tuple[Snapshot, Snapshot]:
    """One whose model the service takes."""
    job = a_job(push=PUSH, exports=DONE, recorded=Recorded(attempt=1, outcome=Outcome.COMPLETE))
    return snapshot(job, services=(a_service(follows="job"),)), snapshot(job, services=(released(job.uid),))


def a_place_without_pods() -> tuple[Snapshot, Snapshot]:
    """One whose node takes no pods any more."""
    job = placed_job("n1", gpus=8)
    return snapshot(job), snapshot(job, pool=a_pool(a_node("n1", ready=False), a_node("n2")))


def one_that_waits() -> tuple[Snapshot, Snapshot]:
    """One for which there is room by now."""
    job, other = a_job(gang=a_gang(workers=2)), running_job("other", "n1", "n2")
    more = a_pool(*(a_node(f"n{number}") for number in range(1, 7)))
    return snapshot(job, other), snapshot(job, other, pool=more)


CASES = (a_suspended, a_push, a_place_without_pods, one_that_waits)


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.__name__)
def test_a_decision_in_which_others_have_a_say_is_asked_again(case: Callable[[], tuple[Snapshot, Snapshot]]) -> None:
    """Though the job is the very same."""
    before, after = case()
    memory = Memory()
    first = decision(before, memory)
    assert decision(after, memory) == decision(after) != first


def test_time_alone_brings_a_decision_when_it_is_due() -> None:
    """A gang whose pods are never bound gives its place back."""
    job = placed_job("n1", gpus=8)
    seen, memory = snapshot(replace(job, workers=(a_worker(0, Phase.PENDING),))), Memory()
    first = decision(seen, memory)
    (late,) = plan(seen, NOW + LATER, memory).decisions
    (fresh,) = plan(seen, NOW + LATER).decisions
    assert late == fresh != first


def test_a_clock_that_goes_back_makes_all_be_asked_again() -> None:
    """A gang that failed waits a while before its pods are made."""
    job = replace(placed_job("n1", "n2", failures=2), workers=(a_worker(0, Phase.PENDING),))
    seen, memory = snapshot(job), Memory()
    (ahead,) = plan(seen, NOW + timedelta(seconds=30), memory).decisions
    assert decision(seen, memory) == decision(seen) != ahead


def decision(seen: Snapshot, memory: Memory | None = None) -> Decision:
    """What is decided of the first job."""
    return next(it for it in plan(seen, NOW, memory).decisions if it.key == seen.jobs[0].key)


def test_a_job_that_is_the_very_same_keeps_its_decision() -> None:
    """The very same one, which is how others see that nothing changed."""
    seen, memory = snapshot(running_job("job", "n1"), pool=POOL), Memory()
    assert decision(seen, memory) is decision(seen, memory)
