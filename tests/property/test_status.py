"""Whatever a plan decides, its statuses can be written, and the next cycle reads from them what was decided."""

from typing import Any, Final

from hypothesis import given

from support.build import NOW
from support.strategies import mixed_snapshots
from trainpush.api.gpupool import GPUPoolStatus
from trainpush.api.inferenceservice import ServiceStatus
from trainpush.api.trainpushjob import JobStatus
from trainpush.model.plan import Plan
from trainpush.model.reasons import IS_READY
from trainpush.model.snapshot import Snapshot
from trainpush.model.workload import Key
from trainpush.planner.plan import plan
from trainpush.status import job, pool, service
from trainpush.status.patch import merge_patch

RECORDED: Final = (
    *("attempt", "placement", "completed", "failures", "infrastructure", "preemptions"),
    *("eviction", "failed_starts", "outcome", "queued_at", "last", "checkpoint"),
)


Statuses = dict[Key | str, dict[str, Any]]


def written(decided: Plan, old: Statuses) -> Statuses:
    """The status of everything that there is."""
    made: Statuses = {}
    for decision in decided.decisions:
        made[decision.key] = job.write(decision, None, 1, 1, old.get(decision.key, {}), NOW)
    for served in decided.services:
        made[served.key] = service.write(
            served, service.ServiceSeen("a=b", "http://s"), 1, old.get(served.key, {}), NOW
        )
    for summary in decided.pools:
        made[summary.name] = pool.write(summary, 1, old.get(summary.name, {}), NOW)
    return made


@given(mixed_snapshots())
def test_what_is_decided_is_read_back(snapshot: Snapshot) -> None:
    decided = plan(snapshot, NOW)
    statuses = written(decided, {})
    for decision in decided.decisions:
        record = job.read(JobStatus.read(statuses[decision.key]))
        assert {name: getattr(record, name) for name in RECORDED} == {
            name: getattr(decision.record, name) for name in RECORDED
        }
    for served in decided.services:
        found = service.read(ServiceStatus.read(statuses[served.key]))
        assert (found.places, found.stable, found.is_new) == (served.places, served.stable, False)
    for summary in decided.pools:
        ended = [(it.node, it.begun) for it in summary.modes.finished] if summary.modes else []
        assert sorted(pool.read(GPUPoolStatus.read(statuses[summary.name]))) == sorted(ended)


@given(mixed_snapshots())
def test_every_reason_says_whether_a_job_is_ready(snapshot: Snapshot) -> None:
    """None is left to a default."""
    for decision in plan(snapshot, NOW).decisions:
        assert decision.verdict.reason in IS_READY


@given(mixed_snapshots())
def test_the_same_decision_changes_nothing_that_stands(snapshot: Snapshot) -> None:
    decided = plan(snapshot, NOW)
    statuses = written(decided, {})
    again = written(decided, statuses)
    assert {key: merge_patch(statuses[key], again[key]) for key in again} == {key: {} for key in again}
