"""Nodes and pods as read, reduced to the records that decisions look at."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Final, NamedTuple

import msgspec

from trainpush.api import names
from trainpush.api.quantity import milli
from trainpush.api.text import DIGEST_PATTERN, matches
from trainpush.kube import decode
from trainpush.kube.decode import ContainerState, NodeObject, PodObject, Terminated
from trainpush.kube.last_error import how
from trainpush.kube.prepull import prepull_record
from trainpush.kube.program import EVICTED, phase_of, program
from trainpush.kube.startup import UNDERWAY, failed_init, startup
from trainpush.kube.table import Row
from trainpush.model.modes import PrepullPod
from trainpush.model.nodes import PODS, Node, Taint, counted
from trainpush.model.outage import OUT_OF_SERVICE, Outage
from trainpush.model.serving import Replica
from trainpush.model.workload import Worker
from trainpush.render import modes
from trainpush.render.children import worker_name
from trainpush.render.export import PUBLISH
from trainpush.render.serving import replica_name

_is_digest = matches(DIGEST_PATTERN)
_REPELLING: Final = ("NoSchedule", "NoExecute")
_CLUSTER_REASONS: Final = ("NodeLost", "NodeShutdown", "Terminated", "Shutdown", "Preempting")
"""Reasons of failed pods that the kubelet or the node controller caused."""
_NODES_TROUBLE: Final = "The node "
"""How a kubelet begins to say that it evicts a pod since its node is short of something or other. One that it evicts
since the pod uses more than its own limits bears the same reason, and no condition."""
_UNSEEN_ENDS: Final = ("ContainerStatusUnknown", "Unknown")
"""Reasons of containers whose end nobody saw, mostly since their node was started anew: as the kubelet and containerd
say. The exit status is made up then."""
_REPORT_MAX: Final = 4096
"""Longest termination message, in bytes, as Kubernetes bounds it."""
_DIGITS_MAX: Final = 10
"""Longer numbers in labels are nobody's."""
MESSAGE_MAX: Final = 300
"""Longest message of a pod that is kept, in characters."""
_CAPACITIES: Final = {
    (names.LABEL_CAPACITY_KARPENTER, "reserved"): "reserved",
    (names.LABEL_CAPACITY_KARPENTER, "on-demand"): "on-demand",
    (names.LABEL_CAPACITY_KARPENTER, "spot"): "spot",
    (names.LABEL_CAPACITY_EKS, "CAPACITY_BLOCK"): "reserved",
    (names.LABEL_CAPACITY_EKS, "ON_DEMAND"): "on-demand",
    (names.LABEL_CAPACITY_EKS, "SPOT"): "spot",
    (names.LABEL_SPOT_GKE, "true"): "spot",
    (names.LABEL_PRIORITY_AKS, "spot"): "spot",
}
"""Kind of capacity by label and value; the first that a node bears counts."""
_MAKERS: Final = ("DaemonSet", "Node")
"""Kinds of owners that want a pod on this very node: a static pod is its node's own."""
_UNSCHEDULABLE: Final = "node.kubernetes.io/unschedulable"
_UPGRADED: Final = ("", "upgrade-done", "upgrade-failed")
"""States of a driver upgrade in which a node may be used as people say."""


class OwnerId(NamedTuple):
    """What something belongs to. A thing of another namespace never does, whatever it claims."""

    uid: str
    namespace: str


@dataclass(frozen=True, slots=True)
class Exporter:
    """A pod of a Job that exports a model: what it said at its end."""

    name: str
    uid: str
    digest: str = ""
    message: str = ""
    """Why it failed, or waits."""
    node: str = ""
    """Where it is; empty once it has ended."""
    is_unexplained: bool = False
    """Whether its status does not tell why it is hindered from its start."""
    must_be_ended: bool = False
    """Whether its last step has ended, and a container that somebody put there goes on for as long as nobody deletes
    it."""


@dataclass(frozen=True, slots=True)
class PodRow:
    """What is kept of a pod: where it takes what, and for one of ours its record."""

    node: str | None
    is_live: bool
    requests: dict[str, int]
    owner: OwnerId | None = None
    """The TrainPushJob, InferenceService, Job or GPUPool that it belongs to, if it is one of ours."""
    ours: Worker | Replica | Exporter | PrepullPod | None = None
    ends_at: datetime | None = None
    """When its grace period is over, where it is being deleted."""
    maker: str = ""
    """Uid of what makes it anew on the same node, where it is being deleted: of a DaemonSet, or of the node itself."""


def read_node(body: bytes | msgspec.Raw) -> Row[Node]:
    """A node as the planner reads it, from the bytes of the API server.

    Raises:
        msgspec.MsgspecError: it is malformed.
    """
    node = decode.node(body)
    taints = tuple(
        Taint(taint.key, taint.value, taint.effect)
        for taint in node.spec.taints
        # Cordoning is told apart, and the taint that mirrors it must not count twice.
        if taint.effect in _REPELLING and taint.key != _UNSCHEDULABLE
    )
    labels, annotations = node.labels, node.metadata.annotations
    switch = modes.read(annotations.switch) if annotations.switch else None
    is_marked = (
        annotations.switch is not None or names.LABEL_MODE in labels or any(taint.key in modes.KEYS for taint in taints)
    )
    record = Node(
        name=node.name,
        labels=labels,
        allocatable={name: counted(name, milli(amount)) for name, amount in node.status.allocatable.items()},
        taints=taints,
        ready=node.is_ready and not node.is_deleting,
        cordoned=node.spec.unschedulable or labels.get(names.LABEL_DRIVER_UPGRADE, "") not in _UPGRADED,
        product=labels.get(names.LABEL_PRODUCT, ""),
        capacity_type=next((kind for (label, value), kind in _CAPACITIES.items() if labels.get(label) == value), ""),
        switch=switch,
        is_marked=is_marked,
        is_spoiled=is_marked and not modes.bears(switch, labels, taints),
        wish=modes.wished(annotations.wish),
        outage=_outage(node),
        unhealthy=_is_unhealthy(node.status.capacity, node.status.allocatable),
    )
    return Row(node.uid, node.version, record)


def _outage(node: NodeObject) -> Outage | None:
    """Why nothing is heard of its pods; one that is only about to be deleted still tells."""
    if any(taint.key == OUT_OF_SERVICE for taint in node.spec.taints):
        return Outage(node.name)
    return None if node.is_ready else Outage(node.name, node.not_ready_since)


def _is_unhealthy(capacity: Mapping[str, str], allocatable: Mapping[str, str]) -> bool:
    """Whether some extended resource can be had to a part only: what a device plugin calls unhealthy is missing."""
    # Most often both say the same in the same words.
    differ = [name for name, amount in capacity.items() if "/" in name and allocatable.get(name) != amount]
    return any(milli(allocatable.get(name, "0")) < milli(capacity[name]) for name in differ)


def read_pod(body: bytes | msgspec.Raw) -> Row[PodRow]:
    """A pod, from the bytes of the API server; reduced at once, since there may be very many.

    Raises:
        msgspec.MsgspecError: it is malformed.
    """
    pod = decode.pod(body)
    return Row(pod.uid, pod.version, pod_row(pod))


def pod_row(pod: PodObject) -> PodRow:
    """A pod reduced to what counts; anybody may claim an owner, so workers and replicas must bear the name we give."""
    requests = {**pod.requests, PODS: 1000}
    owner, labels = pod.controller, pod.labels
    ours: Worker | Replica | Exporter | PrepullPod | None = None
    if owner and owner.kind == "TrainPushJob":
        rank, attempt = _number(labels.get(names.LABEL_RANK)), _number(labels.get(names.LABEL_ATTEMPT))
        if pod.name == worker_name(owner.name, rank, attempt):
            ours = _worker(pod, rank, attempt, requests)
    elif owner and owner.kind == "InferenceService":
        revision, serial = labels.get(names.LABEL_REVISION, ""), _number(labels.get(names.LABEL_SERIAL))
        if pod.name == replica_name(revision, serial):
            ours = _replica(pod, revision, serial, requests)
    elif owner and owner.kind == "Job" and names.LABEL_PUSH_OF in labels:
        ours = _exporter(pod)
    elif owner and owner.kind == "GPUPool":
        ours = prepull_record(pod)
    identity = OwnerId(owner.uid, pod.namespace) if owner and ours else None
    maker = owner.uid if owner and owner.kind in _MAKERS and pod.is_deleting else ""
    return PodRow(pod.node, not pod.is_over, requests, identity, ours, pod.metadata.deletion_timestamp, maker)


def _number(label: str | None) -> int:
    return int(label) if label and label.isascii() and label.isdecimal() and len(label) < _DIGITS_MAX else 0


def _worker(pod: PodObject, rank: int, attempt: int, requests: dict[str, int]) -> Worker:
    phase, ended, beside = program(pod)
    starting = startup(pod, phase)
    return Worker(
        name=pod.name,
        uid=pod.uid,
        attempt=attempt,
        rank=rank,
        phase=phase,
        node=pod.node,
        deleting=pod.is_deleting,
        ends_at=pod.metadata.deletion_timestamp,
        disrupted=_is_disrupted(pod, ended),
        beside=beside,
        message=starting.said[:MESSAGE_MAX] or _message(pod, ended),
        is_hindered=starting.is_hindered,
        is_unexplained=starting.is_unexplained,
        report=_report(ended),
        request=requests,
    )


def _is_disrupted(pod: PodObject, ended: Terminated | None) -> bool:
    """Whether the cluster ended a pod, or is about to; of an eviction for what it used itself it is to blame."""
    reason = pod.status.reason
    if pod.holds("DisruptionTarget") or _was_turned_away(pod):
        return True
    if reason == EVICTED:
        return pod.status.message.startswith(_NODES_TROUBLE)
    return reason in _CLUSTER_REASONS or (ended is not None and ended.reason in _UNSEEN_ENDS)


def _was_turned_away(pod: PodObject) -> bool:
    """Whether its kubelet could not take a pod after all: it ended, for a reason, without a container."""
    return pod.is_over and bool(pod.status.reason) and not pod.status.container_statuses


def _replica(pod: PodObject, revision: str, serial: int, requests: dict[str, int]) -> Replica:
    starting = startup(pod, phase_of(pod))
    return Replica(
        name=pod.name,
        uid=pod.uid,
        serial=serial,
        revision=revision,
        node=pod.node,
        phase=phase_of(pod),
        loaded=pod.holds("ContainersReady"),
        answered=pod.holds(names.GATE_ANSWERED),
        ready=pod.holds("Ready"),
        deleting=pod.is_deleting,
        ends_at=pod.metadata.deletion_timestamp,
        address=pod.status.pod_ip,
        message=_trouble(pod),
        starting=starting.said[:MESSAGE_MAX],
        is_hindered=starting.is_hindered and not _has_failed(pod),
        is_unexplained=starting.is_unexplained,
        request=requests,
    )


def _has_failed(pod: PodObject) -> bool:
    """Whether a container of it ran before, or ended with an error: its node could start it, then."""
    for status in [*pod.status.init_container_statuses, *pod.status.container_statuses]:
        ended = status.state.terminated
        if status.last_state.terminated or (ended and ended.exit_code):
            return True
    return False


def _exporter(pod: PodObject) -> Exporter:
    # Only the last step is ours; what the others leave may say anything.
    states = {status.name: status.state for status in pod.status.container_statuses}
    ended = states.pop(PUBLISH, ContainerState()).terminated
    goes_on = not (pod.is_over or pod.is_deleting) and any(state.terminated is None for state in states.values())
    digest = str(_report(ended).get("digest", "")) if ended and not ended.exit_code else ""
    starting = startup(pod, phase_of(pod))
    return Exporter(
        pod.name,
        pod.uid,
        digest=digest if _is_digest(digest) else "",
        message=_trouble(pod) or starting.said[:MESSAGE_MAX],
        node="" if pod.is_over else pod.node or "",
        is_unexplained=starting.is_unexplained,
        must_be_ended=ended is not None and goes_on,
    )


def _trouble(pod: PodObject) -> str:
    """What keeps a replica from serving; also what ended a container that is being started again."""
    if pod.is_over and pod.status.reason:
        return _message(pod, None)  # by the kubelet: how its containers took that tells nothing
    for status in [*pod.status.init_container_statuses, *pod.status.container_statuses]:
        ended = status.state.terminated or status.last_state.terminated
        if not status.ready and ended and ended.exit_code:
            return f"{status.name}: {how(ended)}"[:MESSAGE_MAX]
        waiting = status.state.waiting
        if waiting and waiting.reason not in UNDERWAY:
            return _said(status.name, waiting.reason, waiting.message)
    asked = pod.condition(names.GATE_ANSWERED)
    if asked and asked.status == "False" and asked.message:
        return asked.message[:MESSAGE_MAX]
    return _message(pod, None)


def _message(pod: PodObject, ended: Terminated | None) -> str:
    """The one thing worth saying about this pod: how it ended, or why it is not bound."""
    if pod.is_over and pod.status.reason:
        return _said(pod.status.reason, pod.status.message)
    if ended and ended.exit_code:
        return how(Terminated(ended.exit_code, ended.reason) if _report(ended) else ended)
    if ended and (cause := pod.condition("DisruptionTarget")) and cause.status == "True":
        return _said(cause.reason, cause.message)
    if pod.is_over and (failed := failed_init(pod)):
        return failed
    scheduled = pod.condition("PodScheduled")
    if scheduled and scheduled.status == "False":
        return f"{scheduled.reason}: {scheduled.message}"[:MESSAGE_MAX]
    return ""


def _said(*words: str) -> str:
    return ": ".join(words).strip(": ")[:MESSAGE_MAX]


def _report(ended: Terminated | None) -> dict[str, object]:
    """The JSON object that the program left as its termination message, or nothing."""
    if not ended or not ended.message.lstrip().startswith("{") or len(ended.message) > _REPORT_MAX:
        return {}
    try:
        return msgspec.json.decode(ended.message, type=dict[str, object])
    except msgspec.MsgspecError:
        return {}
