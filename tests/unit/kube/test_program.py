"""The worker's own container decides how a worker is, whatever others put into its pod."""

import json
from typing import Any

import pytest

from trainpush.kube.records import PodRow, read_pod
from trainpush.model.workload import Beside, Phase, Worker

LIVES: dict[str, Any] = {"running": {"startedAt": "2026-01-01T12:00:00Z"}}
WAITS: dict[str, Any] = {"waiting": {"reason": "PodInitializing"}}


def ends(code: int, message: str = "") -> dict[str, Any]:
    """The state of a container that has ended."""
    return {"terminated": {"exitCode": code, "reason": "Error" if code else "Completed", "message": message}}


def a_row(phase: str, sidecars: dict[str, Any] | None = None, /, *, reason: str = "", **containers: Any) -> PodRow:
    """The pod of rank 0 in this phase; with states by container, `sidecars` those of init containers."""

    def statuses(states: dict[str, Any]) -> list[dict[str, Any]]:
        return [{"name": name.replace("_", "-"), "state": state} for name, state in states.items()]

    owner = {"apiVersion": "x/v1", "kind": "TrainPushJob", "name": "job", "uid": "owner", "controller": True}
    labels = {"training.ai/worker-rank": "0", "training.ai/attempt": "1"}
    metadata = {"name": "job-worker-0-a1", "namespace": "ns", "uid": "u", "resourceVersion": "7"}
    metadata |= {"labels": labels, "ownerReferences": [owner]}  # type: ignore[dict-item]
    status = {
        "phase": phase,
        "reason": reason,
        "containerStatuses": statuses(containers),
        "initContainerStatuses": statuses(sidecars or {}),
    }
    return read_pod(json.dumps({"metadata": metadata, "spec": {"nodeName": "n1"}, "status": status}).encode()).value


def a_worker(*phase: Any, **states: Any) -> Worker:
    """The record of such a pod."""
    found = a_row(*phase, **states).ours
    assert isinstance(found, Worker)
    return found


def test_a_sidecar_that_goes_on_keeps_no_worker_running() -> None:
    """The pod runs, and holds its accelerators, until somebody deletes it."""
    done = a_worker("Running", mesh_proxy=LIVES, worker=ends(0))
    assert (done.phase, done.beside) == (Phase.SUCCEEDED, Beside.OTHERS)
    assert (done.is_live, done.must_be_ended) == (True, True)


def test_a_sidecar_that_goes_on_hides_no_failure() -> None:
    failed = a_worker("Running", mesh_proxy=LIVES, worker=ends(3, "no such file\n"))
    assert (failed.phase, failed.message) == (Phase.FAILED, "exit code 3 (Error): no such file")
    assert failed.must_be_ended


def test_a_sidecar_that_has_not_started_goes_on_too() -> None:
    """Its image may never come."""
    assert a_worker("Pending", mesh_proxy=WAITS, worker=ends(0)).beside is Beside.OTHERS


def test_a_native_sidecar_is_ended_by_the_kubelet() -> None:
    """Until then the pod holds what it has; its logs stay."""
    done = a_worker("Running", {"mesh-proxy": LIVES}, worker=ends(0))
    assert (done.phase, done.beside) == (Phase.SUCCEEDED, Beside.SIDECARS)
    assert (done.is_live, done.must_be_ended) == (True, False)


@pytest.mark.parametrize("code", [0, 3])
def test_how_a_sidecar_ended_does_not_matter(code: int) -> None:
    """The phase of the pod comes from all of its containers."""
    whole = "Failed" if code else "Succeeded"
    assert a_worker(whole, mesh_proxy=ends(code), worker=ends(0)).phase is Phase.SUCCEEDED
    assert a_worker("Failed", mesh_proxy=ends(code, "mine"), worker=ends(4)).message == "exit code 4 (Error)"
    assert a_worker("Running", mesh_proxy=ends(code), worker=LIVES).phase is Phase.RUNNING


def test_a_worker_runs_as_soon_as_its_own_container_does() -> None:
    """A pod is pending until each of its containers was started."""
    assert a_worker("Pending", mesh_proxy=WAITS, worker=LIVES).phase is Phase.RUNNING
    assert a_worker("Running", mesh_proxy=LIVES, worker=WAITS).phase is Phase.PENDING


def test_only_the_worker_reports() -> None:
    """Whatever a sidecar leaves as its termination message."""
    told = a_worker("Running", mesh_proxy=ends(0, '{"step": 999}'), worker=ends(0, '{"step": 3}'))
    assert told.report == {"step": 3}
    assert a_worker("Running", mesh_proxy=ends(0, '{"step": 999}'), worker=LIVES).report == {}


def test_an_init_container_of_others_that_fails_ends_the_worker() -> None:
    """Its own container never started: then the pod's phase is all that there is."""
    failed = a_worker("Failed", {"secrets-agent": ends(7)}, worker=WAITS)
    assert (failed.phase, failed.is_live) == (Phase.FAILED, False)


@pytest.mark.parametrize("whole", ["Pending", "Running", "Succeeded", "Failed", "Unknown"])
def test_a_pod_without_states_is_as_its_phase_says(whole: str) -> None:
    assert a_worker(whole).phase is Phase(whole)


@pytest.mark.parametrize("whole", ["Pending", "Running", "Succeeded", "Failed", "Unknown"])
@pytest.mark.parametrize("own", [LIVES, WAITS, ends(0), ends(1)], ids=["runs", "waits", "done", "failed"])
@pytest.mark.parametrize("other", [LIVES, WAITS, ends(0), ends(1)], ids=["runs", "waits", "done", "failed"])
def test_a_worker_holds_what_it_has_for_as_long_as_its_pod(whole: str, own: Any, other: Any) -> None:
    """The node counts the pod, whatever its program does."""
    row = a_row(whole, worker=own, mesh_proxy=other)
    assert isinstance(row.ours, Worker)
    assert row.ours.is_live == row.is_live
