"""InferenceService: replicas of a model server that answer for one model, release after release."""

import json
from collections.abc import Mapping
from typing import Annotated, Literal, Self

from pydantic import Field

from trainpush.api import names
from trainpush.api.base import ApiModel, Condition, Count, Distinct, MapBy, Resource, Rule, Status, Time
from trainpush.api.demand import Placement, PriorityStatus, Resources, Scheduling
from trainpush.api.env import Env
from trainpush.api.pod import PodAnnotations, PodLabels, PullPolicy, PullSecrets, SecurityContext
from trainpush.api.quantity import Quantity, ShortDuration, lasts
from trainpush.api.text import Digest, Image, ModelUri, Name, like, matches, short_name
from trainpush.api.verdict import VerdictStatus

MODEL_NAME_PATTERN = r"^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$"
_OWN_OPTIONS = (
    *("model-repository", "model-store", "model-control-mode"),
    *("http-port", "http-address", "allow-http", "grpc-port", "metrics-port"),
)
_OWN_OPTION_PATTERN = f"^--({'|'.join(_OWN_OPTIONS)})(=|$)"
_is_own_option = matches(_OWN_OPTION_PATTERN)

ModelName = Annotated[
    str,
    Field(max_length=64),
    like(MODEL_NAME_PATTERN, "must be at most 64 letters, digits, ., _ and -, starting with a letter or digit"),
]
"""Name under which clients ask for a model."""


class Runtime(ApiModel):
    """The model server."""

    type: Literal["Triton"] = "Triton"
    """NVIDIA Triton Inference Server, with any of its backends."""
    image: Image | None = None
    """Container image; none means the pool's default."""
    args: Annotated[
        list[Annotated[str, Field(max_length=1024)]],
        Field(max_length=128),
        Rule(
            f"self.all(a, !a.matches(r'{_OWN_OPTION_PATTERN}'))",
            f"must not set what trainpush sets ({', '.join(f'--{option}' for option in _OWN_OPTIONS)}): remove it",
            lambda args: not any(map(_is_own_option, args)),
        ),
    ] = []
    """More options of the server."""
    env: Env = []
    """Environment variables of the server."""
    image_pull_policy: PullPolicy | None = None
    """When the kubelet pulls the image; none means Kubernetes decides by the tag."""
    image_pull_secrets: PullSecrets = []
    """Secrets with credentials for the image's registry."""
    labels: PodLabels = {}
    """More labels for the pods, outside reserved domains."""
    annotations: PodAnnotations = {}
    """More annotations for the pods, outside reserved domains."""
    security_context: SecurityContext | None = None
    """As whom the server runs. Without runAsUser and runAsNonRoot that is user 1000; with runAsNonRoot alone, whether
    true or false, it is the image's."""
    shared_memory: Quantity = "1Gi"
    """Size of /dev/shm, in memory; counts against the replica's memory limit."""


class ModelSource(ApiModel):
    """Who makes the model."""

    train_push_job: Name
    """A TrainPushJob of the same namespace. Naming it is consent to serve what it pushes here, now and later."""


class Model(ApiModel):
    """What is served: a given model directory, or the releases of a job."""

    name: ModelName
    """Name under which clients ask for it."""
    uri: ModelUri | None = None
    """The model directory, as pvc://CLAIM/PATH; nobody may change it while it is served."""
    digest: Digest | None = None
    """Digest of the directory at uri; a replica does not start from anything else."""
    source: Annotated[ModelSource | None, Field(alias="from")] = None
    """Who makes the model, instead of uri."""

    rules = (
        Rule(
            "has(self.uri) != has(self.from)",
            "must have exactly one of uri and from",
            lambda model: (model.uri is None) != (model.source is None),
        ),
        Rule(
            "!has(self.digest) || has(self.uri)",
            "must only be set with uri: the releases of a job carry their own",
            lambda model: model.digest is None or model.uri is not None,
            field=".digest",
        ),
    )


BatchSize = Annotated[int, Field(ge=1, le=65_536)]


class Batching(ApiModel):
    """How the server joins requests that come at the same time."""

    max_batch_size: BatchSize
    """Most rows that the model takes at once."""
    preferred: Annotated[list[BatchSize], Distinct(), Field(max_length=16)] = []
    """Sizes that go out at once when they are reached."""
    max_queue_delay: ShortDuration | None = None
    """How long a request may wait for others, such as 2ms; none means not at all."""

    rules = (
        Rule(
            "!has(self.preferred) || self.preferred.all(size, size <= self.maxBatchSize)",
            "must not exceed maxBatchSize: lower it, or raise maxBatchSize",
            lambda batching: all(size <= batching.max_batch_size for size in batching.preferred),
            field=".preferred",
        ),
    )


def _is_json_object(text: str) -> bool:
    try:
        return isinstance(json.loads(text), dict)
    except (ValueError, RecursionError):
        return False


class Probe(ApiModel):
    """A request that a replica must answer before it gets those of clients."""

    request: Annotated[
        str,
        Field(max_length=65_536),
        Rule(
            r"self.matches(r'^\s*[{]') && self.matches(r'[}]\s*$')",
            "must be a JSON object, the body of an inference request of the v2 protocol",
            _is_json_object,
        ),
    ]
    """The body of an inference request of the v2 protocol, as JSON text."""
    timeout: Annotated[str, Field(max_length=16), lasts("60s", "5s")] = "5s"
    """How long the answer may take, from 1s to 60s."""


class ReplicaTemplate(ApiModel):
    """How each replica is made; a change of it is a new revision."""

    runtime: Runtime = Runtime()
    """The model server."""
    resources: Resources
    """What each replica needs."""
    batching: Batching | None = None
    """How the server joins requests; none means one by one."""
    probe: Probe | None = None
    """A request that a replica must answer before it gets those of clients; none means a loaded model will do."""
    placement: Placement = Placement()
    """Where the replicas may go."""


class InferenceServiceSpec(ReplicaTemplate):
    """What to serve, with what, and where. Everything may change at any time."""

    model: Model
    """What is served; a change of it is a new revision."""
    replicas: Annotated[int, Field(ge=0, le=names.REPLICAS_MAX)] = 1
    """Number of replicas, one pod each."""
    min_available: Annotated[int, Field(ge=0, le=names.REPLICAS_MAX)] = 1
    """How many ready replicas an eviction must leave."""
    scheduling: Scheduling = Scheduling()
    """What goes before what; a change of it is no new revision."""

    def template(self) -> ReplicaTemplate:
        """The part that a revision keeps."""
        return ReplicaTemplate(**{name: getattr(self, name) for name in ReplicaTemplate.model_fields})


RevisionName = Annotated[str, Field(max_length=63)]


class RevisionStatus(ApiModel):
    """One revision and its replicas."""

    name: RevisionName
    """Name of its ControllerRevision."""
    number: Count
    """Revisions count upwards; the highest is wanted."""
    digest: Digest | None = None
    """Digest of its model directory; absent where none was given."""
    replicas: Count = 0
    """Pods that serve it or are about to."""
    ready: Count = 0
    """Pods that get requests."""


class ReplicaPlace(ApiModel):
    """The node of one replica, decided before its pod exists."""

    serial: Annotated[int, Field(ge=1)]
    """Serial number of the replica."""
    revision: RevisionName
    """What it serves."""
    node: Annotated[str, Field(max_length=253)]
    """Where it is."""
    since: Time
    """When it was decided."""


class ServiceStatus(Status):
    """What the operator decided and what it saw."""

    observed_generation: Annotated[int, Field(ge=0)] | None = None
    """Generation of the spec that this status speaks of."""
    phase: Annotated[str, Field(max_length=32)] | None = None
    """Summary for people; programs read the conditions."""
    conditions: Annotated[list[Condition], MapBy("type"), Field(max_length=16)] = []
    """Ready, Accepted, Placed, ModelLoaded, Available, Progressing; Reconciling and Stalled only while true."""
    replicas: Count = 0
    """Pods that are there and stay."""
    ready_replicas: Count = 0
    """Pods that get requests."""
    selector: Annotated[str, Field(max_length=512)] | None = None
    """Label selector of the pods, for the scale subresource."""
    url: Annotated[str, Field(max_length=512)] | None = None
    """Where clients inside the cluster ask; it stays the same over all revisions."""
    stable: RevisionName | None = None
    """Name of the revision that all replicas last served."""
    wanted: RevisionName | None = None
    """Name of the revision that is to be served."""
    revisions: Annotated[list[RevisionStatus], MapBy("name"), Field(max_length=names.REVISIONS_MAX)] = []
    """The stable and the wanted revision and those that replicas still serve, by number."""
    priority: PriorityStatus | None = None
    """What its PriorityClass says or, once that class is gone, last said; absent where nobody knows."""
    placements: Annotated[list[ReplicaPlace], MapBy("serial"), Field(max_length=2 * names.REPLICAS_MAX)] = []
    """Where the replicas are: from the decision on, before their pods exist."""
    verdict: VerdictStatus | None = None
    """Why the service is where it is."""

    @classmethod
    def read(cls, stored: object) -> Self:
        """As every status; but one whose places cannot be read counts as lost: they are sought anew, from the pods."""
        status = super().read(stored)
        is_lost = isinstance(stored, Mapping) and stored.get("placements") and not status.placements
        return status.model_copy(update={"observed_generation": None}) if is_lost else status


class InferenceService(Resource):
    """Replicas of a model server that answer for one model, release after release, in one GPU pool."""

    spec: InferenceServiceSpec
    """What is asked for."""
    status: ServiceStatus = ServiceStatus()
    """What the operator decided and what it saw."""

    rules = (short_name(names.SERVICE_NAME_MAX),)
