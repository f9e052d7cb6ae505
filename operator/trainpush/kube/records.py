"""Nodes and pods as read, reduced to the records that decisions look at."""

from dataclasses import dataclass
from typing import Final, NamedTuple

import msgspec

from trainpush.api import names
from trainpush.api.quantity import milli
from trainpush.kube import decode
from trainpush.kube.decode import NodeObject, Owner, PodObject, Terminated
from trainpush.kube.table import Row
from trainpush.model.nodes import PODS, Node, Taint
from trainpush.model.workload import Phase, Worker
from trainpush.render.children import worker_name

_REPELLING: Final = ("NoSchedule", "NoExecute")
_CLUSTER_REASONS: Final = ("Evicted", "NodeLost", "NodeShutdown", "Terminated", "Shutdown", "Preempting")
"""Reasons of failed pods that the kubelet or the node controller caused."""
_ADMISSION_REASONS: Final = ("UnexpectedAdmissionError", "NodeAffinity", "OutOf")
"""Beginnings of reasons by which a kubelet turns away a pod that it cannot run after all."""
_REPORT_MAX: Final = 4096
"""Longest termination message, in bytes, as Kubernetes bounds it."""
_UNSCHEDULABLE: Final = "node.kubernetes.io/unschedulable"


class JobId(NamedTuple):
    """Which job a worker belongs to. A pod of another namespace is never one of its workers, whatever it claims."""

    uid: str
    namespace: str


@dataclass(frozen=True, slots=True)
class PodRow:
    """What is kept of a pod: where it takes what, and for a worker of ours its record."""

    node: str | None
    is_live: bool
    requests: dict[str, int]
    job: JobId | None = None
    worker: Worker | None = None


def read_node(body: bytes | msgspec.Raw) -> Row[Node]:
    """A node, from the bytes of the API server.

    Raises:
        msgspec.MsgspecError: it is malformed.
    """
    node = decode.node(body)
    return Row(node.uid, node.version, node_record(node))


def read_pod(body: bytes | msgspec.Raw) -> Row[PodRow]:
    """A pod, from the bytes of the API server; reduced at once, since there may be very many.

    Raises:
        msgspec.MsgspecError: it is malformed.
    """
    pod = decode.pod(body)
    return Row(pod.uid, pod.version, pod_row(pod))


def node_record(node: NodeObject) -> Node:
    """A node as the planner reads it."""
    taints = tuple(
        Taint(taint.key, taint.value, taint.effect)
        for taint in node.spec.taints
        # Cordoning is told apart, and the taint that mirrors it must not count twice.
        if taint.effect in _REPELLING and taint.key != _UNSCHEDULABLE
    )
    return Node(
        name=node.name,
        labels=node.labels,
        allocatable={name: milli(amount) for name, amount in node.status.allocatable.items()},
        taints=taints,
        ready=node.is_ready and not node.is_deleting,
        cordoned=node.spec.unschedulable,
        product=node.labels.get(names.LABEL_PRODUCT, ""),
    )


def pod_row(pod: PodObject) -> PodRow:
    """A pod reduced to what counts."""
    requests = {**pod.requests, PODS: 1000}
    owner = pod.controller
    if owner and owner.kind == "TrainPushJob" and _is_worker_of(owner, pod):
        worker = _worker(pod, requests)
        return PodRow(pod.node, worker.is_live, requests, JobId(owner.uid, pod.namespace), worker)
    return PodRow(pod.node, not pod.is_over, requests)


def _is_worker_of(owner: Owner, pod: PodObject) -> bool:
    """Whether a pod bears the name that we give to a worker; anybody may claim an owner."""
    rank, attempt = _number(pod.labels.get(names.LABEL_RANK)), _number(pod.labels.get(names.LABEL_ATTEMPT))
    return pod.name == worker_name(owner.name, rank, attempt)


def _worker(pod: PodObject, requests: dict[str, int]) -> Worker:
    target = pod.condition("DisruptionTarget")
    reason = pod.status.reason
    disrupted = (
        (target is not None and target.status == "True")
        or reason in _CLUSTER_REASONS
        or reason.startswith(_ADMISSION_REASONS)
    )
    ended = _ended(pod)
    return Worker(
        name=pod.name,
        uid=pod.uid,
        attempt=_number(pod.labels.get(names.LABEL_ATTEMPT)),
        rank=_number(pod.labels.get(names.LABEL_RANK)),
        phase=Phase(pod.status.phase) if pod.status.phase in set(Phase) else Phase.UNKNOWN,
        node=pod.node,
        deleting=pod.is_deleting,
        disrupted=disrupted,
        message=_message(pod, ended),
        report=_report(ended),
        request=requests,
    )


def _number(label: str | None) -> int:
    return int(label) if label and label.isdecimal() else 0


def _ended(pod: PodObject) -> Terminated | None:
    return next((status.state.terminated for status in pod.status.container_statuses if status.state.terminated), None)


def _message(pod: PodObject, ended: Terminated | None) -> str:
    """The one thing worth saying about this pod: how it ended, why it waits, or why it is not bound."""
    if ended and (ended.exit_code or pod.status.phase == "Failed"):
        said = " ".join(ended.message.split())[-200:] if not _report(ended) else ""
        return f"exit code {ended.exit_code} ({ended.reason}){': ' + said if said else ''}"
    if pod.status.phase == "Failed":
        return f"{pod.status.reason}: {pod.status.message}".strip(": ")[:300]
    for status in pod.status.container_statuses:
        if status.state.waiting and status.state.waiting.reason != "ContainerCreating":
            return f"{status.state.waiting.reason}: {status.state.waiting.message}".strip(": ")[:300]
    scheduled = pod.condition("PodScheduled")
    if scheduled and scheduled.status == "False":
        return f"{scheduled.reason}: {scheduled.message}"[:300]
    return ""


def _report(ended: Terminated | None) -> dict[str, object]:
    """The JSON object that the program left as its termination message, or nothing."""
    if not ended or not ended.message.lstrip().startswith("{") or len(ended.message) > _REPORT_MAX:
        return {}
    try:
        return msgspec.json.decode(ended.message, type=dict[str, object])
    except msgspec.MsgspecError:
        return {}
