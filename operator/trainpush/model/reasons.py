"""Every reason of a condition or verdict, each with the sentence that the reference page prints."""

from collections.abc import Mapping
from enum import StrEnum
from types import MappingProxyType
from typing import Final


class Reason(StrEnum):
    """Reasons of conditions and verdicts."""

    INVALID_SPEC = "InvalidSpec"
    """The spec contradicts itself or the pool; the message names the field and the remedy."""
    IMAGE_REQUIRED = "ImageRequired"
    """Neither the object nor its pool names an image."""
    POOL_REQUIRED = "PoolRequired"
    """The object names no pool, and there is neither a default pool nor a single one."""
    POOL_NOT_FOUND = "PoolNotFound"
    """The named pool does not exist."""
    NO_MATCHING_NODES = "NoMatchingNodes"
    """No node of the pool may ever take a worker or replica: product, taints or size forbid it."""
    EXCEEDS_POOL = "ExceedsPool"
    """The gang is larger than the whole pool, even when empty."""
    TOPOLOGY_UNSATISFIABLE = "TopologyUnsatisfiable"
    """No domain of the required level could hold the gang, even when empty."""
    WAITING_FOR_CAPACITY = "WaitingForCapacity"
    """The gang would fit, but others hold the accelerators or nodes are not usable now."""
    EXCEEDS_QUOTA_LIMIT = "ExceedsQuotaLimit"
    """The gang alone is larger than its team may ever have."""
    WAITING_FOR_QUOTA = "WaitingForQuota"
    """The team holds so much that the gang would take it beyond its limit."""
    WAITING_FOR_PREEMPTION = "WaitingForPreemption"
    """Others make room: the message says who, why and what it costs."""
    WAITING_FOR_MODE_SWITCH = "WaitingForModeSwitch"
    """Nodes change their mode for it; the message says which, how far they are, and how long it takes at most."""
    MODE_AT_MAX = "ModeAtMax"
    """There would be room if nodes changed their mode, but the mode has as many as spec.modes lets it."""
    NO_NODE_MAY_SWITCH = "NoNodeMaySwitch"
    """There would be room if nodes changed their mode, but none may now; the message counts why."""
    SWITCHES_USED_UP = "SwitchesUsedUp"
    """As many switches began within an hour as spec.switching.perHour of the GPUPool lets."""
    BEHIND_HIGHER_PRIORITY = "BehindHigherPriority"
    """The gang would fit, but only where a gang before it in the queue will go."""
    PREEMPTED = "Preempted"
    """The gang made room for one of higher priority, and waits for a place again."""
    RECLAIMED = "Reclaimed"
    """The gang ran on what another team is guaranteed, and waits for a place again."""
    ANNOUNCED = "Announced"
    """Others need the room; what was announced happens in the next cycle."""
    REQUESTED = "Requested"
    """Others need the room; the program was asked for a checkpoint, and has until the deadline to answer."""
    MODE_SWITCH = "ModeSwitch"
    """A node of the gang changes its mode."""
    RESIZED = "Resized"
    """There is room for more workers."""
    CHECKPOINTED = "Checkpointed"
    """The program told of a checkpoint."""
    NO_CHECKPOINT = "NoCheckpoint"
    """The program told of no checkpoint yet."""
    NOT_EVICTED = "NotEvicted"
    """Nothing is taken from the gang."""
    NOT_BLOCKED = "NotBlocked"
    """No replica waits for room."""
    SUSPENDED = "Suspended"
    """spec.suspend is set."""
    WAITING_FOR_PODS = "WaitingForPods"
    """Placed; pods are being made, bound or started."""
    CANNOT_START = "CannotStart"
    """A pod is bound, and its node has not been able to start it for a minute; the message says which, and why."""
    ACCEPTED = "Accepted"
    """The spec is sound."""
    PLACED = "Placed"
    """Every worker has a node."""
    RUNNING = "Running"
    """Every worker's pod runs."""
    RESTARTING = "Restarting"
    """A worker failed or vanished; the gang starts anew from its last checkpoint."""
    BIND_TIMEOUT = "BindTimeout"
    """kube-scheduler did not bind every pod in time; the gang gave its place back, and tries again later."""
    START_TIMEOUT = "StartTimeout"
    """A bound pod did not start in time; the gang gave its place back, and tries again later: the message says why."""
    APPLY_FAILED = "ApplyFailed"
    """The API server refused a child object, or the status itself; the message carries its answer."""
    COMPLETED = "Completed"
    """Every worker ended with success."""
    MAX_RESTARTS_EXCEEDED = "MaxRestartsExceeded"
    """Workers failed more often than failurePolicy.maxRestarts allows."""
    IN_PROGRESS = "InProgress"
    """Not there yet."""
    NOT_FAILED = "NotFailed"
    """The job has not given up."""
    PENDING = "Pending"
    """Not looked at yet."""
    EXPORTING = "Exporting"
    """Training is complete; a Job makes a model directory of what it left."""
    EXPORT_FAILED = "ExportFailed"
    """The export ended without a model directory; the message says why and how to export again."""
    TARGET_NOT_FOUND = "TargetNotFound"
    """The InferenceService of spec.push.target does not exist."""
    TARGET_DOES_NOT_CONSENT = "TargetDoesNotConsent"
    """The InferenceService of spec.push.target does not name the job in its spec.model.from."""
    RELEASING = "Releasing"
    """The model is exported; its InferenceService records it as a revision and rolls to it."""
    PUSHED = "Pushed"
    """The InferenceService serves the model."""
    SUPERSEDED = "Superseded"
    """The InferenceService serves a later release."""
    WAITING_FOR_MODEL = "WaitingForModel"
    """The service follows a job that has released nothing yet."""
    MODEL_LOADING = "ModelLoading"
    """Replicas have a node; the model is being checked and loaded."""
    MODEL_LOAD_FAILED = "ModelLoadFailed"
    """A replica cannot load the model: no such directory, another digest, or the model server ends."""
    MODEL_LOADED = "ModelLoaded"
    """The wanted revision is loaded."""
    PROBE_FAILED = "ProbeFailed"
    """The model is loaded, but does not answer the probe request as it should."""
    MINIMUM_REPLICAS_AVAILABLE = "MinimumReplicasAvailable"
    """At least minAvailable replicas get requests."""
    MINIMUM_REPLICAS_UNAVAILABLE = "MinimumReplicasUnavailable"
    """Fewer than minAvailable replicas get requests."""
    ROLLING_OUT = "RollingOut"
    """Replicas are being made, replaced or taken away."""
    ROLLED_OUT = "RolledOut"
    """As many replicas as asked for serve the wanted revision."""
    NODES_FOUND = "NodesFound"
    """The pool has nodes."""
    NO_NODES = "NoNodes"
    """No node carries the labels of spec.nodeSelector."""
    OVERLAPPING_POOLS = "OverlappingPools"
    """Some nodes also match an older pool and belong to that one."""
    TOPOLOGY_KNOWN = "TopologyKnown"
    """Every node carries every level's label."""
    LABELS_MISSING = "LabelsMissing"
    """Some nodes lack a level's label; each is a domain of its own there."""
    SETTLED = "Settled"
    """The nodes have the modes that are wanted."""
    SWITCHING = "Switching"
    """Nodes change their mode."""
    DRY_RUN = "DryRun"
    """Nodes would change their mode, but spec.switching.policy is DryRun: the plan is only told."""
    BOUNDS_NOT_MET = "BoundsNotMet"
    """A mode has fewer nodes than its min or more than its max; the message says what is in the way."""
    STUCK = "Stuck"
    """What runs on a node did not go in time; the message says what, and what to do."""
    NOT_READY_IN_TIME = "NotReadyInTime"
    """An empty node does not get ready for its new mode; the message says what is missing. It goes on by itself."""
    FROZEN = "Frozen"
    """No switch begins, since something larger is wrong; the message says what."""
    DAEMON_SETS_TOLERATE = "DaemonSetsTolerate"
    """Every DaemonSet comes back on nodes of any mode."""
    DAEMON_SETS_REPELLED = "DaemonSetsRepelled"
    """Some DaemonSets do not tolerate the taints of modes; their pods would not come back."""
    SWITCHED = "Switched"
    """A node has its new mode."""
    SWITCH_ABORTED = "SwitchAborted"
    """A node kept its mode, since nobody needed the other one any more."""
    READY = "Ready"
    """Nothing is wrong."""


IS_READY: Final[Mapping[str, bool]] = MappingProxyType(
    {
        Reason.WAITING_FOR_CAPACITY: True,
        Reason.WAITING_FOR_QUOTA: True,
        Reason.WAITING_FOR_PREEMPTION: True,
        Reason.WAITING_FOR_MODE_SWITCH: True,
        Reason.MODE_AT_MAX: True,
        Reason.NO_NODE_MAY_SWITCH: True,
        Reason.SWITCHES_USED_UP: True,
        Reason.BEHIND_HIGHER_PRIORITY: True,
        Reason.PREEMPTED: True,
        Reason.RECLAIMED: True,
        Reason.MODE_SWITCH: True,
        Reason.RESIZED: True,
        Reason.SUSPENDED: True,
        Reason.WAITING_FOR_PODS: True,
        Reason.RUNNING: True,
        Reason.RESTARTING: True,
        Reason.COMPLETED: True,
        Reason.INVALID_SPEC: False,
        Reason.IMAGE_REQUIRED: False,
        Reason.POOL_REQUIRED: False,
        Reason.POOL_NOT_FOUND: False,
        Reason.NO_MATCHING_NODES: False,
        Reason.EXCEEDS_POOL: False,
        Reason.TOPOLOGY_UNSATISFIABLE: False,
        Reason.EXCEEDS_QUOTA_LIMIT: False,
        Reason.APPLY_FAILED: False,
        Reason.CANNOT_START: False,
        Reason.BIND_TIMEOUT: False,
        Reason.START_TIMEOUT: False,
        Reason.MAX_RESTARTS_EXCEEDED: False,
        Reason.EXPORT_FAILED: False,
        Reason.TARGET_NOT_FOUND: False,
        Reason.TARGET_DOES_NOT_CONSENT: False,
    }
)
"""Whether a TrainPushJob is Ready, by the reason of that condition: yes for what is well or passes by itself, no for
what a person must mend."""
