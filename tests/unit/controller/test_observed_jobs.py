"""A job as it is seen: what Events said stands where a status says nothing, and an edit makes tries forgotten."""

from typing import Any

import pytest

from support.build import NOW
from support.manifests import job
from trainpush.admission.scheduling import Priorities
from trainpush.controller.observed_jobs import ObservedJob
from trainpush.kube.children import ExportRow
from trainpush.kube.records import Exporter, OwnerId, PodRow
from trainpush.kube.store import Store
from trainpush.kube.table import Row
from trainpush.model.workload import ExportState, FailedStarts, Job, Worker

OWNER, JOB = OwnerId("job", "team"), OwnerId("export", "team")


def a_store(status: dict[str, Any] | None = None, generation: int = 1) -> Store:
    """One with a job."""
    store, made = Store(), job("job")
    identity = {"namespace": "team", "uid": "job", "resourceVersion": "1", "generation": generation}
    identity["creationTimestamp"] = "2026-01-01T11:00:00Z"
    store.jobs.take({**made, "metadata": {**made["metadata"], **identity}, "status": status or {}})
    return store


def seen(store: Store) -> Job:
    """The job of a store as decisions look at it."""
    (found,) = store.jobs
    return ObservedJob.of(found, [], Priorities()).with_children(store, lambda uid: "")


def a_pod(uid: str, ours: Worker | Exporter, owner: OwnerId) -> Row[PodRow]:
    """A pod of ours on a node."""
    return Row(uid, 1, PodRow("n", is_live=True, requests={}, owner=owner, ours=ours))


@pytest.mark.parametrize(
    ("is_unexplained", "expected"), [(True, ("FailedMount: no Secret", 1)), (False, ("back-off", 0))], ids=str
)
def test_what_events_say_of_a_worker_stands_where_its_status_is_silent(
    is_unexplained: bool, expected: tuple[str, int]
) -> None:
    """Else the status is nearer to the matter."""
    store = a_store()
    worker = Worker("w", "w", 1, 0, node="n", message="back-off", is_hindered=True, is_unexplained=is_unexplained)
    store.pods.put(a_pod("w", worker, OWNER))
    store.warnings.put("w", "FailedMount: no Secret")
    (found,) = seen(store).workers
    assert (found.message, found.asked) == expected


def test_of_an_export_without_pods_the_job_is_asked_and_of_one_that_hangs_its_pod() -> None:
    """Whichever does not say why it does not go on; what has ended is asked nothing."""
    store = a_store()
    store.exports.put(Row("export", 1, ExportRow("job-export-1", JOB, OWNER, ExportState.ACTIVE, since=NOW)))
    store.warnings.put("export", "FailedCreate: exceeded quota")
    (found,) = seen(store).exports
    assert (found.unexplained, found.message, found.asked) == ("export", "FailedCreate: exceeded quota", 1)
    store.pods.put(a_pod("p", Exporter("p", "p", is_unexplained=True), JOB))
    (found,) = seen(store).exports
    assert (found.unexplained, found.message, found.asked) == ("p", "", 0)
    store.exports.put(Row("export", 2, ExportRow("job-export-1", JOB, OWNER, ExportState.FAILED, "why", NOW)))
    (found,) = seen(store).exports
    assert (found.unexplained, found.message) == ("", "why")


def test_the_pods_of_an_export_that_others_keep_are_known_by_name_and_uid() -> None:
    store = a_store()
    store.exports.put(Row("export", 1, ExportRow("job-export-1", JOB, OWNER, ExportState.ACTIVE, since=NOW)))
    store.pods.put(a_pod("p", Exporter("job-export-1-x", "p", must_be_ended=True), JOB))
    store.pods.put(a_pod("q", Exporter("job-export-1-y", "q"), JOB))
    (found,) = seen(store).exports
    assert found.lingering == (("job-export-1-x", "p"),)


@pytest.mark.parametrize(("generation", "is_known"), [(3, True), (4, False)], ids=["as it was", "edited"])
def test_an_edit_makes_tries_forgotten(generation: int, is_known: bool) -> None:
    """What could not start was another request; suspending it and resuming is an edit too."""
    status = {"attempt": 2, "observedGeneration": 3, "failedStarts": {"count": 2, "at": "2026-01-01T12:00:00Z"}}
    found = seen(a_store(status, generation)).recorded
    assert found.failed_starts == (FailedStarts(2, NOW) if is_known else None)
    assert found.attempt == 2
