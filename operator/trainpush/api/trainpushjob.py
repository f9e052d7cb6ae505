"""TrainPushJob: a gang of workers that trains one model, all or nothing."""

from itertools import chain, pairwise
from typing import Annotated, Literal

from pydantic import Field

from trainpush.api import conditions, names
from trainpush.api.base import OMIT_EMPTY, ApiModel, Condition, Count, Distinct, MapBy, Resource, Rule, Status, Time
from trainpush.api.demand import Placement, PriorityStatus, Resources
from trainpush.api.gang import SLICES_MAX, Elastic, JobScheduling, Slice
from trainpush.api.pod import Toleration, WorkerTemplate
from trainpush.api.push import Push, PushStatus
from trainpush.api.quantity import GracePeriod
from trainpush.api.text import KEY_MAX, ClaimUri, FewWords, Message, short_name
from trainpush.api.topology import Alias
from trainpush.api.verdict import Cause, VerdictStatus

AVOIDED_MAX = 64
"""Nodes on which pods of a job could not start that are remembered."""


class Sharding(ApiModel):
    """How FSDP cuts the model."""

    degree: Annotated[int, Field(ge=1, le=1_048_576)]
    """Number of ranks that share one copy of the parameters; must divide the world size."""


class Strategy(ApiModel):
    """How the workers train together. It becomes environment, never a rewritten command."""

    type: Literal["DDP", "FSDP"] = "DDP"
    """DDP: every rank holds the whole model. FSDP: ranks share it."""
    sharding: Sharding | None = None
    """How FSDP cuts the model; none means over all ranks."""
    tensor_parallel: Annotated[int, Field(ge=1, le=1024)] = 1
    """Number of consecutive ranks that share each layer, on one host: a divisor or a multiple of the accelerators of a
    worker."""

    rules = (
        Rule(
            "!has(self.sharding) || self.type == 'FSDP'",
            "must only be set with type FSDP: set strategy.type to FSDP, or remove it",
            lambda strategy: strategy.sharding is None or strategy.type == "FSDP",
            field=".sharding",
        ),
    )


_SLICES_NEST = Rule(
    "(self.size() < 2 || self[0].size % self[1].size == 0) && (self.size() < 3 || self[1].size % self[2].size == 0)",
    "must have a size in each entry that divides the size in the entry before it; the outermost level comes first",
    lambda slices: all(outer.size % inner.size == 0 for outer, inner in pairwise(slices)),
)


class JobPlacement(Placement):
    """Where the workers may go."""

    required: Alias | None = None
    """Level of topology, such as rack: one domain of it must hold all workers, else the job waits."""
    preferred: Alias | None = None
    """Level at which one domain should hold all workers; where none can, wider levels are tried in turn."""
    slices: Annotated[list[Slice], MapBy("level"), Field(max_length=SLICES_MAX), _SLICES_NEST] = []
    """Neighbours that must stay together, such as 16 workers in each rack; outermost level first."""


class Checkpoint(ApiModel):
    """Where checkpoints go, and how long a worker may take to write one."""

    uri: ClaimUri | None = None
    """Claim of the same namespace and path in it, as pvc://CLAIM/PATH; none means checkpoints are the program's own."""
    grace_period: GracePeriod = "30s"
    """Time to answer a request for a checkpoint, and then what the program has between SIGTERM and SIGKILL, from 1s to
    1h; torchrun has 5 s more and its pod 10 s. Without a checkpoint section it is 30s too."""
    on_preempt: Literal["Request", "Signal"] = "Request"
    """How a program learns that others need its place. Request: by a request for a checkpoint, if it reports to the
    operator, and by SIGTERM when it has answered or its time is over. Signal: by SIGTERM at once."""


class FailurePolicy(ApiModel):
    """What follows when a worker fails: the whole gang starts anew from its last checkpoint."""

    max_restarts: Annotated[int, Field(ge=0, le=100)] = 3
    """How many failures are borne; lost nodes do not count, nor evictions but for what a worker used itself."""
    lost_node: Literal["Replace", "Wait"] = "Replace"
    """What follows when a node of the gang is not ready for longer than spec.lostNodes.after of its GPUPool. Replace:
    its worker counts as ended, and the next attempt begins elsewhere. Wait: the gang waits until the node is ready
    again, or gone, or has the taint node.kubernetes.io/out-of-service."""


_HAS_ENDED = (
    "has(oldSelf.status) && has(oldSelf.status.conditions) && oldSelf.status.conditions.exists(c, "
    f"c.status == 'True' && c.type in ['{conditions.Condition.TRAINING_COMPLETE}', '{conditions.Condition.FAILED}'])"
)


def _frozen(field: str) -> tuple[Rule, Rule]:
    """Refuse a change of a field that cannot follow, with the way out; only the API server sees both sides of it."""
    new, old = f"self.spec.{field}", f"oldSelf.spec.{field}"
    is_same = f"has({new}) == has({old}) && (!has({new}) || {new} == {old})"
    return (
        Rule(
            # What has ended keeps its place as a record, and never gives it back.
            f"!has(oldSelf.status) || !has(oldSelf.status.placement) || ({_HAS_ENDED}) || ({is_same})",
            "cannot change while the job is placed: set spec.suspend to true, wait until status.placement is gone, "
            "then change it",
            field=f".spec.{field}",
        ),
        Rule(
            f"!({_HAS_ENDED}) || ({is_same})",
            "cannot change since the job has ended: delete it and make a new one",
            field=f".spec.{field}",
        ),
    )


_STEP_IN_SLICES = (
    "self.elastic.minReplicas == (has(self.elastic.maxReplicas) ? self.elastic.maxReplicas : self.replicas) || "
    "(has(self.elastic.multipleOf) ? self.elastic.multipleOf : 1) % self.placement.slices[0].size == 0"
)
_SIZES_IN_SLICES = (
    "!has(self.elastic) ? self.replicas % self.placement.slices[0].size == 0 : "
    "has(self.elastic.minReplicas) ? "
    f"self.elastic.minReplicas % self.placement.slices[0].size == 0 && ({_STEP_IN_SLICES}) : "
    "!has(self.elastic.allowedReplicas) || "
    "self.elastic.allowedReplicas.all(n, n % self.placement.slices[0].size == 0)"
)


class TrainPushJobSpec(ApiModel):
    """What to train, with what, and where."""

    replicas: Annotated[int, Field(ge=1, le=names.GANG_MAX)] = 1
    """Number of workers, one pod each; they start together or not at all."""
    elastic: Elastic | None = None
    """Other numbers of workers that will do; none means exactly spec.replicas."""
    resources: Resources
    """What each worker needs."""
    worker: WorkerTemplate = WorkerTemplate()
    """What runs in each worker."""
    strategy: Strategy = Strategy()
    """How the workers train together."""
    placement: JobPlacement = JobPlacement()
    """Where the workers may go."""
    scheduling: JobScheduling = JobScheduling()
    """When the gang goes, and what others may take from it."""
    checkpoint: Checkpoint | None = None
    """Checkpoints and the time to write one."""
    failure_policy: FailurePolicy = FailurePolicy()
    """What follows when a worker fails."""
    push: Push | None = None
    """What becomes of the trained model; none means that it stays where the program wrote it."""
    suspend: bool = False
    """Whether the job gives its accelerators back and waits; it resumes from its last checkpoint."""

    rules = (
        Rule(
            "!has(self.push) || (has(self.push.export.command) && self.push.export.command.size() > 0) || "
            "(has(self.push.export.args) && self.push.export.args.size() > 0) || "
            "(has(self.checkpoint) && has(self.checkpoint.uri))",
            "must have a command, or spec.checkpoint.uri must be set: without a command, its folder final is copied",
            lambda spec: spec.push is None or spec.push.export.is_own or bool(spec.checkpoint and spec.checkpoint.uri),
            field=".push.export",
        ),
        Rule(
            "!has(self.elastic) || (has(self.elastic.minReplicas) ? "
            "self.replicas >= self.elastic.minReplicas && "
            "(!has(self.elastic.maxReplicas) || self.replicas <= self.elastic.maxReplicas) && "
            "(!has(self.elastic.multipleOf) || self.replicas % self.elastic.multipleOf == 0) : "
            "has(self.elastic.allowedReplicas) && self.replicas in self.elastic.allowedReplicas)",
            "must be a size that spec.elastic allows: change one of the two",
            lambda spec: spec.replicas in spec.sizes(),
            field=".replicas",
        ),
        Rule(
            f"!has(self.placement.slices) || self.placement.slices.size() == 0 || ({_SIZES_IN_SLICES})",
            "must divide every legal number of workers by the size of its first entry: "
            "change that size, spec.replicas or spec.elastic",
            lambda spec: not any(size % entry.size for entry in spec.placement.slices[:1] for size in spec.sizes()),
            field=".placement.slices",
        ),
    )

    def sizes(self) -> tuple[int, ...]:
        """Every legal number of workers, largest first."""
        return self.elastic.sizes(self.replicas) if self.elastic else (self.replicas,)


class FailedStartsStatus(ApiModel):
    """Tries, one after the other, that gave their place back because pods could not be bound or started."""

    count: Count
    """How many: the pause before the next one grows with them."""
    at: Time
    """When the last of them ended."""
    nodes: Annotated[list[Annotated[str, Field(max_length=253)]], Field(max_length=AVOIDED_MAX)] = []
    """Where those pods were to run: the next try goes there only if there is no room elsewhere."""


class Replicas(ApiModel):
    """Counts of workers."""

    desired: Count = 0
    """Workers asked for."""
    assigned: Count = 0
    """Workers that have a node."""
    running: Count = 0
    """Workers whose pod runs."""


class PlacementStatus(ApiModel):
    """Where the gang is: from the decision on, before its pods exist; kept as a record when the job has ended."""

    level: Annotated[str, Field(max_length=63)]
    """Innermost level of which one domain holds the gang, as its nodes are labelled now; pool when none does."""
    domain: Annotated[str, Field(max_length=512)]
    """That domain."""
    nodes: Annotated[list[Annotated[str, Field(max_length=253)]], Field(max_length=names.GANG_MAX)]
    """One node per worker, in rank order."""
    since: Time
    """When it was decided, or last decided anew."""
    protected_until: Time | None = None
    """Nothing is taken from it before this time, since it had waited very long; absent where it had not."""
    first_since: Time | None = None
    """When it first started here, if it has started anew since, in place or with another size: minRuntime counts from
    then."""
    kept_until: Time | None = None
    """Some of its nodes take no pods any more, and until this time the others are kept for it; absent otherwise."""


class Resolved(ApiModel):
    """What defaults came to; frozen while the job is placed, so that an edited pool does not touch what runs.

    The priority alone follows its class, as long as there is one.
    """

    pool: Annotated[str, Field(max_length=253)]
    """The pool that took the job."""
    image: Annotated[str, Field(max_length=512)]
    """Container image."""
    command: FewWords = []
    """Command that the pool's defaults gave; what the job says itself is not repeated."""
    args: FewWords = []
    """Arguments that the pool's defaults gave."""
    tolerations: Annotated[list[Toleration], Field(max_length=48)] = []
    """Tolerations of the job and of its pool."""
    accelerator_resource: Annotated[str, Field(max_length=KEY_MAX)]
    """The extended resource that counts."""
    processes_per_worker: Annotated[int, Field(ge=1)]
    """Processes in each worker: one per accelerator."""
    world_size: Annotated[int, Field(ge=1)]
    """Processes of the whole gang."""
    sharding_degree: Annotated[int, Field(ge=1)] | None = None
    """FSDP: ranks that share one copy of the parameters."""
    tensor_parallel: Annotated[int, Field(ge=1)] = 1
    """Consecutive ranks that share each layer."""
    required: Annotated[str, Field(max_length=63)] | None = None
    """Level of which one domain must hold all workers."""
    preferred: Annotated[str, Field(max_length=63)] | None = None
    """Level of which one domain should hold all workers."""
    slices: Annotated[list[Slice], MapBy("level"), Field(max_length=SLICES_MAX + 1)] = []
    """Neighbours that stay together, also those that share each layer; outermost level first."""
    priority: PriorityStatus | None = None
    """What its PriorityClass says or, once that class is gone, last said; absent where nobody knows."""


class Progress(ApiModel):
    """What the program last reported, while it ran or as its termination message."""

    attempt: Count = 0
    """The attempt that it speaks of."""
    at: Time | None = None
    """When the operator heard of it."""
    step: Annotated[int, Field(ge=0)] | None = None
    """Steps done."""
    total_steps: Annotated[int, Field(ge=0)] | None = None
    """Steps to do."""
    metrics: Annotated[dict[str, Annotated[str, Field(max_length=64)]], Field(max_length=32), OMIT_EMPTY] = {}
    """Named figures, such as accuracy, as text."""


class CheckpointStatus(ApiModel):
    """What the program has saved last: the next attempt goes on from there."""

    attempt: Count
    """The attempt that saved it."""
    step: Count
    """Steps done."""
    uri: Annotated[str, Field(max_length=1024), OMIT_EMPTY] = ""
    """Where it lies, in the program's words."""
    digest: Annotated[str, Field(max_length=1024), OMIT_EMPTY] = ""
    """What tells it from others, in the program's words."""
    at: Time
    """When the operator learned of it."""


class Restarts(ApiModel):
    """How often the gang started anew, by cause."""

    failures: Count = 0
    """A worker's program failed, or used more than its limits; these count against failurePolicy.maxRestarts."""
    infrastructure: Count = 0
    """The cluster's doing: lost nodes, evictions, deleted pods."""
    preemptions: Count = 0
    """It made room for others."""


class EvictionStatus(ApiModel):
    """What others will take from the gang: announced, and then carried out."""

    by: Annotated[str, Field(max_length=512)]
    """Namespace and name of what needs the room."""
    reason: Annotated[str, Field(max_length=64)]
    """One word of a closed list."""
    message: Message
    """Why it is this gang, and what it costs."""
    workers: Count = 0
    """Workers that are left to it; 0 when it goes back to the queue."""
    lost: Count = 0
    """Work that is lost, in accelerator-seconds."""
    carried_out: bool = False
    """Whether it happened; then it stands here until the other has its place, so that nobody else takes the room."""
    asked_at: Time | None = None
    """When the program was asked for a checkpoint; absent before, and where programs get SIGTERM only."""
    deadline: Time | None = None
    """Until when it may answer."""
    answered: Annotated[bool, OMIT_EMPTY] = False
    """Whether it has saved and takes no further step: now it must happen."""


class JobStatus(Status):
    """What the operator decided and what it saw."""

    observed_generation: Annotated[int, Field(ge=0)] | None = None
    """Generation of the spec that this status speaks of."""
    phase: Annotated[str, Field(max_length=32)] | None = None
    """Summary for people; programs read the conditions."""
    queued_at: Time | None = None
    """Since when it has been in the queue; absent while it is not, also while only an edit could help."""
    conditions: Annotated[list[Condition], MapBy("type"), Field(max_length=16)] = []
    """Ready, Accepted, Placed, Running, Checkpointed, Evicted, TrainingComplete, Failed; with spec.push also Pushed;
    Reconciling and Stalled only while true."""
    attempt: Count = 0
    """Number of the latest attempt, from 1; 0 before the first placement."""
    replicas: Replicas = Replicas()
    """Counts of workers."""
    completed_ranks: Annotated[
        list[Annotated[int, Field(ge=0, lt=names.GANG_MAX)]], Distinct(), Field(max_length=names.GANG_MAX), OMIT_EMPTY
    ] = []
    """Ranks of this attempt whose program has ended with success while others go on: their pods may vanish."""
    placement: PlacementStatus | None = None
    """Where the gang is; absent while it has no place."""
    resolved: Resolved | None = None
    """What defaults came to."""
    progress: Progress | None = None
    """What the program last reported."""
    restarts: Restarts = Restarts()
    """How often the gang started anew."""
    checkpoint: CheckpointStatus | None = None
    """What the program has saved last; absent until it told so."""
    eviction: EvictionStatus | None = None
    """What others will take from it; present only while announced."""
    verdict: VerdictStatus | None = None
    """Why the job is where it is."""
    push: PushStatus | None = None
    """How far the trained model came; absent without spec.push."""
    failed_starts: FailedStartsStatus | None = None
    """Tries that came to nothing; absent once all workers ran, and without meaning when the spec was edited."""
    last_failure: Cause | None = None
    """What ended the latest attempt that did not succeed."""


class TrainPushJob(Resource):
    """A gang of workers that trains one model, all or nothing, in one GPU pool."""

    spec: TrainPushJobSpec
    """What is asked for."""
    status: JobStatus = JobStatus()
    """What the operator decided and what it saw."""

    rules = (
        short_name(names.JOB_NAME_MAX),
        *chain.from_iterable(map(_frozen, ("replicas", "resources", "worker", "strategy", "placement", "checkpoint"))),
    )

    @property
    def checkpoint_uri(self) -> str | None:
        """Where its checkpoints go; None where they are the program's own."""
        return self.spec.checkpoint.uri if self.spec.checkpoint else None

    @property
    def grace_period(self) -> str:
        """Time that the program of a worker has between SIGTERM and SIGKILL."""
        return (self.spec.checkpoint or Checkpoint()).grace_period
