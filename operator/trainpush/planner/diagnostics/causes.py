"""Every cause for which a job waits: finer than a reason, with what it means and what a person can do."""

from enum import StrEnum
from typing import Final


class Cause(StrEnum):
    """What binds; exactly one for every job that waits, told by its verdict."""

    POOL_EMPTY = "PoolEmpty"
    """The pool has no nodes.

    Give some nodes the labels of spec.nodeSelector of the GPUPool."""
    NO_ACCELERATORS = "NoAccelerators"
    """No node of the pool offers the accelerator resource at all.

    See whether the device plugin runs on the nodes, and whether the job names the resource that it offers."""
    NO_SUCH_RESOURCE = "NoSuchResource"
    """No node of the pool offers some other resource that a worker asks for.

    Take it out of spec.resources, or install what offers it."""
    ALL_TAINTED = "AllTainted"
    """Every node of the wanted products has a taint that neither the job nor the pool tolerates.

    Tolerate it: for one job in its pod template, for all in spec.tolerations of the GPUPool."""
    OTHER_PRODUCT = "OtherProduct"
    """No node has an accelerator product that the job allows.

    Add one that the pool has to spec.placement.acceleratorProducts, or name another pool."""
    PRODUCT_UNKNOWN = "ProductUnknown"
    """The job names accelerator products, and no node has a label that tells its own.

    Run the vendor's feature discovery, or drop spec.placement.acceleratorProducts."""
    TOO_FEW_ACCELERATORS_PER_NODE = "TooFewAcceleratorsPerNode"
    """A worker asks for more accelerators than any node has that would do.

    Use more workers with fewer accelerators each."""
    TOO_LITTLE_CPU_PER_NODE = "TooLittleCPUPerNode"
    """A worker asks for more cpu than any node has that would do.

    Ask for less; the message has the most there is."""
    TOO_LITTLE_MEMORY_PER_NODE = "TooLittleMemoryPerNode"
    """A worker asks for more memory than any node has that would do.

    Ask for less; the message has the most there is."""
    TOO_LITTLE_STORAGE_PER_NODE = "TooLittleStoragePerNode"
    """A worker asks for more ephemeral storage than any node has that would do.

    Ask for less, or mount a volume."""
    TOO_FEW_PODS_PER_NODE = "TooFewPodsPerNode"
    """No node that would do takes any pod.

    Raise maxPods of the kubelets."""
    TOO_LITTLE_ELSE_PER_NODE = "TooLittleElsePerNode"
    """A worker asks for more of some other resource than any node has that would do.

    Ask for less; the message has the most there is."""
    TOO_LITTLE_TOGETHER = "TooLittleTogether"
    """There is enough of each resource on some node, but on no node enough of all.

    Ask for less of one of those that the message names."""
    EXCEEDS_WITHOUT_TAINTED = "ExceedsWithoutTainted"
    """The gang is too large for the nodes whose taints are tolerated; with the tainted ones it would fit.

    Tolerate the taint, or use fewer workers."""
    EXCEEDS_WITHOUT_PRODUCTS = "ExceedsWithoutProducts"
    """The gang is too large for the nodes with an allowed product; with the others it would fit.

    Allow more products, or use fewer workers."""
    EXCEEDS_POOL = "ExceedsPool"
    """The gang is larger than the whole pool, even when empty.

    Use fewer workers, or add nodes."""
    REQUIRED_TOO_SMALL = "RequiredTooSmall"
    """No domain of the required level could hold the gang, even when empty.

    Require a wider level, or use fewer workers."""
    SLICE_TOO_LARGE = "SliceTooLarge"
    """No domain of a slice's level could hold a single slice, even when empty.

    Use smaller slices, or a wider level for them."""
    SLICES_TOO_MANY = "SlicesTooMany"
    """Single slices would fit, but not as many as the gang has, even when all is empty.

    Use smaller slices, or fewer workers."""
    NODES_IN_OTHER_MODE = "NodesInOtherMode"
    """The gang would fit, with nobody else there, if nodes of another mode changed to the one that it needs.

    See status.plan of the GPUPool for what will change, and why not more; raise max of the mode, or lower min of the
    other one, in its spec.modes."""
    NO_NODE_READY = "NoNodeReady"
    """None of the nodes that would do is ready.

    See why: `kubectl describe node`."""
    NO_NODE_OPEN = "NoNodeOpen"
    """All nodes that would do are cordoned.

    `kubectl uncordon` some, once the reason for it is gone."""
    NO_NODE_USABLE = "NoNodeUsable"
    """Of the nodes that would do some are not ready, and the others are cordoned.

    Bring some back, or uncordon some."""
    NODES_NOT_READY = "NodesNotReady"
    """The gang would fit, with nobody else there, if the nodes that are not ready came back.

    See why they are not: `kubectl describe node`."""
    NODES_CORDONED = "NodesCordoned"
    """The gang would fit, with nobody else there, if cordoned nodes were opened.

    `kubectl uncordon` some, once the reason for it is gone."""
    NODES_CLOSED = "NodesClosed"
    """The gang would fit, with nobody else there, only if nodes came back and cordoned ones were opened.

    Do both, or use fewer workers."""
    HELD_BY_JOBS = "HeldByJobs"
    """Too few accelerators are free; of those that hold them, jobs hold most.

    Wait; or make room by a higher priority, or with fewer workers."""
    HELD_BY_SERVICES = "HeldByServices"
    """Too few accelerators are free; of those that hold them, inference services hold most.

    Lower the replicas of a service, or use fewer workers."""
    HELD_BY_OTHER_PODS = "HeldByOtherPods"
    """Too few accelerators are free; of those that hold them, pods that are not ours hold most.

    Wait for them, or move them away: the operator never touches them."""
    SCATTERED = "Scattered"
    """Enough workers would fit into the pool, but not into one domain of the required level.

    Require a wider level, or wait until one domain has more."""
    FRAGMENTED = "Fragmented"
    """Enough accelerators are free, but on too many nodes fewer than a worker needs.

    Use more workers with fewer accelerators each."""
    SLICES_BROKEN = "SlicesBroken"
    """Enough workers would fit, but not with every slice whole in one domain of its level.

    Use smaller slices, or a wider level for them."""
    CPU_TAKEN = "CPUTaken"
    """Enough accelerators are free, but too little cpu on the same nodes.

    Ask for less cpu per worker, or move away what takes it."""
    MEMORY_TAKEN = "MemoryTaken"
    """Enough accelerators are free, but too little memory on the same nodes.

    Ask for less memory per worker, or move away what takes it."""
    STORAGE_TAKEN = "StorageTaken"
    """Enough accelerators are free, but too little ephemeral storage on the same nodes.

    Ask for less, or move away what takes it."""
    PODS_TAKEN = "PodsTaken"
    """Enough accelerators are free, but their nodes take no more pods.

    Use fewer and larger workers, or move other pods away."""
    ELSE_TAKEN = "ElseTaken"
    """Enough accelerators are free, but too little of some other resource on the same nodes.

    Ask for less of it per worker, or move away what takes it."""
    PODS_ENDING = "PodsEnding"
    """The gang will fit as soon as pods that are ending have ended.

    Wait. A pod that is there 60 s after its deletionTimestamp hangs: nobody waits for it any more, see its node."""
    PLACE_KEPT = "PlaceKept"
    """Nodes of its place take no pods any more; the others are kept for it for spec.lostNodes.keepPlace of the GPUPool.

    See what became of the nodes that the message names: `kubectl describe node`. It goes on when they are back, or when
    there is room for it without them."""
    ROOM_RESERVED = "RoomReserved"
    """The gang would fit, but only where one that is before it in the queue will go.

    Wait; or use fewer workers, which may pass it."""
    ROOM_NOW = "RoomNow"
    """There is room; the next cycle gives it.

    Nothing."""
    QUOTA_TOO_SMALL = "QuotaTooSmall"
    """The gang alone is larger than the limit of its team.

    Use fewer workers, or raise the limit in spec.quotas of the GPUPool."""
    QUOTA_USED = "QuotaUsed"
    """The team holds so much that the gang would take it beyond its limit.

    End or shrink a job of the team, or raise the limit."""
    PREEMPTION_ANNOUNCED = "PreemptionAnnounced"
    """Others are told to make room; it is taken in the next cycle that still wants it.

    Nothing; the message names them and what is lost."""
    VICTIMS_ENDING = "VictimsEnding"
    """Others gave their place back for the gang, and their pods are ending.

    Wait for their grace period; if a pod hangs 60 s beyond it, others make room."""
    NOBODY_TO_PREEMPT = "NobodyToPreempt"
    """Too few accelerators are free, and no gang of the same team that holds some has a lower priority.

    Wait, or use a higher priority."""
    PRIORITY_UNKNOWN = "PriorityUnknown"
    """Too few accelerators are free, and of gangs of the same team nobody knows the priority: their class is gone.

    Make the PriorityClass anew that they name, or let them name another."""
    BEYOND_GUARANTEE = "BeyondGuarantee"
    """Other teams hold the accelerators; from them a gang takes only what stays within its own team's guarantee.

    Wait, or give the team a larger guarantee in spec.quotas of the GPUPool: a higher priority does not help here."""
    CLASS_NEVER_PREEMPTS = "ClassNeverPreempts"
    """Others of its team have a lower priority, but its PriorityClass has preemptionPolicy Never.

    Wait, or use a class that preempts."""
    PROTECTED_BY_MIN_RUNTIME = "ProtectedByMinRuntime"
    """Those who could make room have not yet run for their minimum time.

    Wait until the time that the advice names."""
    PREEMPTION_NEVER = "PreemptionNever"
    """Those who could make room forbid it: spec.scheduling.preemption is Never.

    Wait, or ask their owners."""
    PROTECTED_DOWN_TO_MINIMUM = "ProtectedDownToMinimum"
    """Those who could make room give only what is beyond their smallest size: preemption is BeyondMin.

    Wait, or ask their owners."""
    WITHIN_GUARANTEES = "WithinGuarantees"
    """Other teams hold the accelerators, and hold no more than they are guaranteed.

    Wait, or give the team a guarantee of its own in spec.quotas of the GPUPool."""
    VICTIMS_NOT_ENOUGH = "VictimsNotEnough"
    """Even if all who may be displaced were, the gang would not fit.

    Wait, or use fewer workers."""
    BIND_TIMEOUT = "BindTimeout"
    """kube-scheduler did not bind the pods of the last place in time; a new place is sought after a pause.

    See what the message says, and what else binds pods to these nodes; an edit of the spec ends the pause."""
    START_TIMEOUT = "StartTimeout"
    """Pods of the last place were bound and did not start in time; a new place is sought after a pause.

    Mend what the message names: a volume, an image, an init container; an edit of the spec ends the pause."""
    SUSPENDED = "Suspended"
    """spec.suspend is set.

    Set it to false."""


TOO_LITTLE: Final = {
    "cpu": Cause.TOO_LITTLE_CPU_PER_NODE,
    "memory": Cause.TOO_LITTLE_MEMORY_PER_NODE,
    "ephemeral-storage": Cause.TOO_LITTLE_STORAGE_PER_NODE,
    "pods": Cause.TOO_FEW_PODS_PER_NODE,
}
"""By resource that no node has enough of, even when empty."""
TAKEN: Final = {
    "cpu": Cause.CPU_TAKEN,
    "memory": Cause.MEMORY_TAKEN,
    "ephemeral-storage": Cause.STORAGE_TAKEN,
    "pods": Cause.PODS_TAKEN,
}
"""By resource that runs out before the accelerators do."""
