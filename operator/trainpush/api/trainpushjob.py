"""TrainPushJob: a gang of workers that trains one model, all or nothing."""

from datetime import datetime
from typing import Annotated, Literal

from pydantic import Field

from trainpush.api import names
from trainpush.api.base import ApiModel, Condition, Count, Distinct, MapBy, Resource, Rule, Status
from trainpush.api.pod import Toleration, WorkerTemplate
from trainpush.api.quantity import GracePeriod, Quantity, milli
from trainpush.api.text import DNS_LABEL_PATTERN, KEY_MAX, RESOURCE_PATTERN, Message, Name, Words, matches
from trainpush.api.topology import Alias

__all__ = ["Condition", "JobStatus", "Resolved", "Strategy", "Toleration", "TrainPushJob", "TrainPushJobSpec"]

_is_resource = matches(RESOURCE_PATTERN)
_is_whole = matches("^[1-9][0-9]{0,5}$")

Amounts = Annotated[
    dict[str, Quantity],
    Field(max_length=16),
    Rule(
        f"self.all(k, k.size() <= {KEY_MAX} && k.matches(r'{RESOURCE_PATTERN}'))",
        "must have names of resources as keys: cpu, memory, ephemeral-storage, hugepages-2Mi, nvidia.com/gpu, …",
        lambda amounts: all(len(name) <= KEY_MAX and _is_resource(name) for name in amounts),
    ),
    Rule(
        "self.all(k, !k.contains('/') || string(self[k]).matches('^[1-9][0-9]{0,5}$'))",
        "must give a whole number from 1 for an accelerator, as in nvidia.com/gpu: 8",
        lambda amounts: all(_is_whole(str(amount)) for name, amount in amounts.items() if "/" in name),
    ),
]
"""Amounts by name of the resource."""


class Resources(ApiModel):
    """What one worker needs."""

    requests: Amounts = {}
    """What is set aside for a worker; what is missing here counts as its limit."""
    limits: Amounts = {}
    """What a worker may use at most."""

    rules = (
        Rule(
            "has(self.limits) && self.limits.exists(k, k.contains('/'))",
            "must ask for an accelerator: add one, such as nvidia.com/gpu: 8",
            lambda resources: any("/" in name for name in resources.limits),
            field=".limits",
        ),
        Rule(
            "!has(self.requests) || self.requests.all(k, !k.contains('/') || (has(self.limits) && "
            "k in self.limits && string(self.requests[k]) == string(self.limits[k])))",
            "must equal limits for an accelerator, which cannot be overcommitted: set both to the same number",
            lambda resources: all(
                str(amount) == str(resources.limits.get(name))
                for name, amount in resources.requests.items()
                if "/" in name
            ),
            field=".requests",
        ),
        Rule(
            "!has(self.requests) || !has(self.limits) || "
            "self.requests.all(k, k.contains('/') || !(k in self.limits) || "
            "quantity(string(self.requests[k])).compareTo(quantity(string(self.limits[k]))) <= 0)",
            "must not exceed limits: lower the request or raise the limit",
            lambda resources: all(
                milli(amount) <= milli(resources.limits.get(name, amount))
                for name, amount in resources.requests.items()
            ),
            field=".requests",
        ),
    )


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

    rules = (
        Rule(
            "!has(self.sharding) || self.type == 'FSDP'",
            "must only be set with type FSDP: set strategy.type to FSDP, or remove it",
            lambda strategy: strategy.sharding is None or strategy.type == "FSDP",
            field=".sharding",
        ),
    )


class JobPlacement(ApiModel):
    """Where the workers may go."""

    pool: Name | None = None
    """Name of a GPUPool; none means the default pool, or the only one."""
    required: Alias | None = None
    """Level of topology, such as rack: one domain of it must hold all workers, else the job waits."""
    preferred: Alias | None = None
    """Level at which one domain should hold all workers; where none can, wider levels are tried in turn."""
    accelerator_products: Annotated[
        list[Annotated[str, Field(min_length=1, max_length=63)]], Distinct(), Field(max_length=16)
    ] = []
    """Accelerator products that will do, as the node label nvidia.com/gpu.product names them; none means any."""


class Checkpoint(ApiModel):
    """Where checkpoints go, and how long a worker may take to write one."""

    uri: (
        Annotated[
            str,
            Field(max_length=512),
            Rule(
                "self.matches(r'^pvc://[a-z0-9]([-a-z0-9.]*[a-z0-9])?(/[A-Za-z0-9._-]+)*$') && !self.contains('..')",
                "must be pvc://CLAIM or pvc://CLAIM/PATH, with a PersistentVolumeClaim of the same namespace",
                lambda uri: (
                    matches("^pvc://[a-z0-9]([-a-z0-9.]*[a-z0-9])?(/[A-Za-z0-9._-]+)*$")(uri) and ".." not in uri
                ),
            ),
        ]
        | None
    ) = None
    """Claim of the same namespace and path in it, as pvc://CLAIM/PATH; none means checkpoints are the program's own."""
    grace_period: GracePeriod = "30s"
    """Time between SIGTERM and SIGKILL, from 1s to 1h; without a checkpoint section it is 30s too."""


class FailurePolicy(ApiModel):
    """What follows when a worker fails: the whole gang starts anew from its last checkpoint."""

    max_restarts: Annotated[int, Field(ge=0, le=100)] = 3
    """How many failures are borne; lost nodes and evictions do not count."""


def _frozen_while_placed(field: str) -> Rule:
    """Refuse a change of a field, while the gang has a place; only the API server sees both sides of a change."""
    new, old = f"self.spec.{field}", f"oldSelf.spec.{field}"
    is_same = f"has({new}) == has({old}) && (!has({new}) || {new} == {old})"
    return Rule(
        f"!has(oldSelf.status) || !has(oldSelf.status.placement) || ({is_same})",
        "cannot change while the job is placed: set spec.suspend to true, wait until status.placement is gone, "
        "then change it",
        field=f".spec.{field}",
    )


_FROZEN = ("replicas", "resources", "worker", "strategy", "placement", "checkpoint")


class TrainPushJobSpec(ApiModel):
    """What to train, with what, and where."""

    replicas: Annotated[int, Field(ge=1, le=names.GANG_MAX)] = 1
    """Number of workers, one pod each; they start together or not at all."""
    resources: Resources
    """What each worker needs."""
    worker: WorkerTemplate = WorkerTemplate()
    """What runs in each worker."""
    strategy: Strategy = Strategy()
    """How the workers train together."""
    placement: JobPlacement = JobPlacement()
    """Where the workers may go."""
    checkpoint: Checkpoint | None = None
    """Checkpoints and the time to write one."""
    failure_policy: FailurePolicy = FailurePolicy()
    """What follows when a worker fails."""
    suspend: bool = False
    """Whether the job gives its accelerators back and waits; it resumes from its last checkpoint."""


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
    """Innermost level of which one domain holds the gang; pool when none does."""
    domain: Annotated[str, Field(max_length=512)]
    """That domain."""
    nodes: Annotated[list[Annotated[str, Field(max_length=253)]], Field(max_length=names.GANG_MAX)]
    """One node per worker, in rank order."""
    since: datetime
    """When it was decided."""


class Resolved(ApiModel):
    """What defaults came to; frozen while the job is placed, so that an edited pool does not touch what runs."""

    pool: Annotated[str, Field(max_length=253)]
    """The pool that took the job."""
    image: Annotated[str, Field(max_length=512)]
    """Container image."""
    command: Words = []
    """Command of the container."""
    args: Words = []
    """Arguments of the command."""
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
    required: Annotated[str, Field(max_length=63)] | None = None
    """Level of which one domain must hold all workers."""
    preferred: Annotated[str, Field(max_length=63)] | None = None
    """Level of which one domain should hold all workers."""


class Progress(ApiModel):
    """What the program last reported."""

    step: Annotated[int, Field(ge=0)] | None = None
    """Steps done."""
    total_steps: Annotated[int, Field(ge=0)] | None = None
    """Steps to do."""
    metrics: Annotated[dict[str, Annotated[str, Field(max_length=64)]], Field(max_length=32)] = {}
    """Named figures, such as accuracy, as text."""


class Restarts(ApiModel):
    """How often the gang started anew, by cause."""

    failures: Count = 0
    """A worker's program failed; these count against failurePolicy.maxRestarts."""
    infrastructure: Count = 0
    """The cluster's doing: lost nodes, evictions, deleted pods."""


class VerdictStatus(ApiModel):
    """Why the job is where it is; counts are accelerators."""

    reason: Annotated[str, Field(max_length=64)]
    """One word of a closed list."""
    message: Message
    """The same for people, with numbers."""
    needed: Count = 0
    """Accelerators of the whole gang."""
    free: Count = 0
    """Free accelerators on nodes that would do."""
    largest_free: Count = 0
    """Of these, the accelerators in the domain that has most."""


class Cause(ApiModel):
    """Why something happened."""

    reason: Annotated[str, Field(max_length=64)]
    """One word of a closed list."""
    message: Message
    """The same for people."""


class JobStatus(Status):
    """What the operator decided and what it saw."""

    observed_generation: Annotated[int, Field(ge=0)] | None = None
    """Generation of the spec that this status speaks of."""
    phase: Annotated[str, Field(max_length=32)] | None = None
    """Summary for people; programs read the conditions."""
    conditions: Annotated[list[Condition], MapBy("type"), Field(max_length=16)] = []
    """Ready, Accepted, Placed, Running, TrainingComplete, Failed; Reconciling and Stalled only while true."""
    attempt: Count = 0
    """Number of the latest attempt, from 1; 0 before the first placement."""
    replicas: Replicas = Replicas()
    """Counts of workers."""
    placement: PlacementStatus | None = None
    """Where the gang is; absent while it has no place."""
    resolved: Resolved | None = None
    """What defaults came to."""
    progress: Progress | None = None
    """What the program last reported."""
    restarts: Restarts = Restarts()
    """How often the gang started anew."""
    verdict: VerdictStatus | None = None
    """Why the job is where it is."""
    last_failure: Cause | None = None
    """What ended the latest attempt that did not succeed."""


class TrainPushJob(Resource):
    """A gang of workers that trains one model, all or nothing, in one GPU pool."""

    spec: TrainPushJobSpec
    """What is asked for."""
    status: JobStatus = JobStatus()
    """What the operator decided and what it saw."""

    rules = (
        Rule(
            f"self.metadata.name.size() <= {names.JOB_NAME_MAX} && "
            f"self.metadata.name.matches(r'{DNS_LABEL_PATTERN}') && self.metadata.name.matches('^[a-z]')",
            f"must be at most {names.JOB_NAME_MAX} lower case letters, digits and -, starting with a letter: "
            "choose another metadata.name",
            lambda job: _is_job_name(job.name),
            field=".metadata.name",
        ),
        *map(_frozen_while_placed, _FROZEN),
    )

    @property
    def grace_period(self) -> str:
        """Time between SIGTERM and SIGKILL of a worker."""
        return (self.spec.checkpoint or Checkpoint()).grace_period


def _is_job_name(name: str) -> bool:
    return len(name) <= names.JOB_NAME_MAX and matches(DNS_LABEL_PATTERN)(name) and name[0].isalpha()
