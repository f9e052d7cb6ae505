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


def a_row(
    phase: str,
    sidecars: dict[str, Any] | None = None,
    /,
    *,
    why: tuple[str, str] = ("", ""),
    conditions: Any = (),
    **containers: Any,
) -> PodRow:
    """The pod of rank 0 in this phase, for this reason and message.

    With states by container; `sidecars` are those of init containers.
    """

    def statuses(states: dict[str, Any]) -> list[dict[str, Any]]:
        return [{"name": name.replace("_", "-"), "state": state} for name, state in states.items()]

    owner = {"apiVersion": "x/v1", "kind": "TrainPushJob", "name": "job", "uid": "owner", "controller": True}
    labels = {"training.ai/worker-rank": "0", "training.ai/attempt": "1"}
    metadata = {"name": "job-worker-0-a1", "namespace": "ns", "uid": "u", "resourceVersion": "7"}
    metadata |= {"labels": labels, "ownerReferences": [owner]}  # type: ignore[dict-item]
    status = {
        "phase": phase,
        "reason": why[0],
        "message": why[1],
        "conditions": [*conditions],
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


OWN_USE = {
    "a scratch volume": 'Usage of EmptyDir volume "scratch" exceeds the limit "10Mi". ',
    "its log and files": 'Container worker exceeded its local ephemeral storage limit "1Gi". ',
    "all of its containers": "Pod ephemeral local storage usage exceeds the total limit of containers 1Gi. ",
}
CLUSTER = {
    "a node that runs short": ("Evicted", "The node was low on resource: memory. Threshold quantity: 100Mi. "),
    "a node that shuts down": ("Terminated", "Pod was terminated in response to imminent node shutdown."),
    "a critical pod": ("Preempting", "Preempted in order to admit critical pod"),
}
TURNED_AWAY = {
    "a node under pressure": ("Evicted", "Pod was rejected: The node had condition: [DiskPressure]. "),
    "the same of an older kubelet": ("Evicted", "The node had condition: [DiskPressure]. "),
    "no room after all": ("OutOfcpu", "Pod was rejected: Node didn't have enough resource: cpu"),
    "no devices side by side": ("TopologyAffinityError", "Pod was rejected: Resources cannot be allocated"),
    "a device plugin that restarts": ("UnexpectedAdmissionError", "Pod was rejected: Allocate failed"),
    "a node that is about to shut down": ("NodeShutdown", "Pod was rejected as the node is shutting down."),
}


@pytest.mark.parametrize("code", [0, 1, 137])
@pytest.mark.parametrize("message", OWN_USE.values(), ids=OWN_USE.keys())
def test_an_eviction_for_what_it_used_itself_is_its_own_fault(message: str, code: int) -> None:
    """However its program took the signal; the message says what was used up."""
    found = a_worker("Failed" if code else "Succeeded", why=("Evicted", message), worker=ends(code))
    assert (found.phase, found.disrupted) == (Phase.FAILED, False)
    assert a_worker("Failed", why=("Evicted", message), worker=ends(code)) == found
    assert found.message == f"Evicted: {message.strip()}"


@pytest.mark.parametrize("code", [0, 143])
@pytest.mark.parametrize("why", CLUSTER.values(), ids=CLUSTER.keys())
def test_what_the_cluster_ends_is_nobodys_fault_and_no_success(why: tuple[str, str], code: int) -> None:
    found = a_worker("Failed" if code else "Succeeded", why=why, worker=ends(code))
    assert (found.disrupted, found.has_finished) == (True, False)
    assert found.message == ": ".join(why).strip()


@pytest.mark.parametrize("why", TURNED_AWAY.values(), ids=TURNED_AWAY.keys())
def test_a_pod_that_its_kubelet_turned_away_never_ran(why: tuple[str, str]) -> None:
    """Whatever the reason is called, a program that was not started has done nothing wrong."""
    found = a_worker("Failed", why=why)
    assert (found.phase, found.disrupted, found.message) == (Phase.FAILED, True, ": ".join(why).strip())


@pytest.mark.parametrize(
    ("reason", "code"),
    [("ContainerStatusUnknown", 137), ("Unknown", 255)],
    ids=["the kubelet does not find it", "containerd does not find it"],
)
def test_an_end_that_nobody_saw_is_not_the_programs_fault(reason: str, code: int) -> None:
    """A node that was started anew knows of its containers only that they are gone."""
    unseen = {"terminated": {"exitCode": code, "reason": reason, "message": ""}}
    found = a_worker("Failed", worker=unseen)
    assert (found.phase, found.disrupted, found.message) == (Phase.FAILED, True, f"exit code {code} ({reason})")
    evicted = a_worker("Failed", why=("Evicted", OWN_USE["a scratch volume"]), worker=unseen)
    assert not evicted.disrupted


@pytest.mark.parametrize(("reason", "code"), [("OOMKilled", 137), ("Error", 137), ("Error", 143), ("StartError", 128)])
def test_an_end_by_a_signal_that_nothing_explains_is_a_failure(reason: str, code: int) -> None:
    """Of a limit of its own, of the program's own doing, or of a command that is not there."""
    assert not a_worker("Failed", worker={"terminated": {"exitCode": code, "reason": reason}}).disrupted


def test_a_disruption_that_the_pod_shows_makes_no_success_of_exit_code_0() -> None:
    """A kubelet forgets the reason of an end that it caused where all containers ended with 0, not the condition."""
    told = {"type": "DisruptionTarget", "status": "True", "reason": "TerminationByKubelet", "message": "low on memory"}
    found = a_worker("Succeeded", conditions=[told], worker=ends(0))
    assert (found.phase, found.disrupted, found.has_finished) == (Phase.SUCCEEDED, True, False)
    assert found.message == "TerminationByKubelet: low on memory"
    assert a_worker("Succeeded", conditions=[{**told, "status": "False"}], worker=ends(0)).has_finished


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
