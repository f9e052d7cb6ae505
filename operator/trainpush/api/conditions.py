"""Every condition type, each with the sentence that the reference page prints; reasons are in `model.reasons`."""

from enum import StrEnum


class Condition(StrEnum):
    """Types of conditions on a TrainPushJob, in the order in which they are written."""

    READY = "Ready"
    """Queued, running or complete, and nobody has to mend anything; below is for which reasons."""
    ACCEPTED = "Accepted"
    """The spec is sound and a pool takes it."""
    PLACED = "Placed"
    """Every worker has a node."""
    RUNNING = "Running"
    """Every worker's pod runs."""
    CHECKPOINTED = "Checkpointed"
    """The program told of a checkpoint; the message says of which step, and who asked for it."""
    EVICTED = "Evicted"
    """Others made it give up its place, or announced so."""
    TRAINING_COMPLETE = "TrainingComplete"
    """Every worker ended with success."""
    PUSHED = "Pushed"
    """The target serves the trained model, or something newer; only with spec.push."""
    FAILED = "Failed"
    """The job gave up."""
    RECONCILING = "Reconciling"
    """Present only while the operator works on the object (kstatus)."""
    STALLED = "Stalled"
    """Present only while a person must act (kstatus)."""


class ServiceCondition(StrEnum):
    """Types of conditions on an InferenceService, in the order in which they are written."""

    READY = "Ready"
    """Enough replicas get requests, and nothing is wrong. Derived from the others."""
    ACCEPTED = "Accepted"
    """The spec is sound and a pool takes it."""
    PLACED = "Placed"
    """Every replica has a node."""
    SCALE_BLOCKED = "ScaleBlocked"
    """A replica finds no room, and no node changes its mode for it; the message says why, or until when one does."""
    MODEL_LOADED = "ModelLoaded"
    """A replica of the wanted revision has loaded the model and answered the probe."""
    AVAILABLE = "Available"
    """At least minAvailable replicas get requests, whatever they serve: they are ready, and the Service finds them."""
    PROGRESSING = "Progressing"
    """A new revision or number of replicas is being rolled out."""
    RECONCILING = "Reconciling"
    """Present only while the operator works on the object (kstatus)."""
    STALLED = "Stalled"
    """Present only while a person must act (kstatus)."""


class PoolCondition(StrEnum):
    """Types of conditions on a GPUPool, in the order in which they are written."""

    READY = "Ready"
    """The pool can take work. Derived from the others."""
    NODES_FOUND = "NodesFound"
    """At least one node belongs to the pool."""
    TOPOLOGY_KNOWN = "TopologyKnown"
    """Every node of the pool carries a label for every level."""
    MODE_SETTLED = "ModeSettled"
    """The nodes have the modes that are wanted; only with spec.modes."""
    DAEMON_SETS_TOLERATE = "DaemonSetsTolerate"
    """Every DaemonSet comes back on nodes of any mode; the message names those that would not."""
    DEGRADED = "Degraded"
    """A node is stuck or does not get ready, or all switches are frozen since too much is wrong: a person must look."""
