"""What is read of nodes and pods: only the fields that decisions need, everything else is skipped unparsed."""

from datetime import UTC, datetime
from functools import lru_cache
from typing import Annotated, Final

import msgspec

from trainpush.api import names
from trainpush.api.quantity import milli
from trainpush.model.nodes import counted


@lru_cache(maxsize=4096)
def _counted(resource: str, quantity: str) -> int:
    return counted(resource, milli(quantity))


class _Part(msgspec.Struct, rename="camel", gc=False, omit_defaults=True):
    """A piece of an object; without cycles, so the garbage collector need not look at it."""


class Owner(_Part):
    """An owner reference."""

    kind: str
    name: str
    uid: str
    controller: bool = False


class Meta(_Part):
    """The metadata of an object."""

    name: str
    uid: str
    resource_version: Annotated[str, msgspec.Meta(pattern="^[0-9]+$")]
    namespace: str = ""
    labels: dict[str, str] = {}
    owner_references: list[Owner] = []
    deletion_timestamp: Annotated[datetime, msgspec.Meta(tz=True)] | None = None
    """Of a pod, when its grace period is over."""


class Condition(_Part):
    """A condition of a node or a pod."""

    type: str
    status: str
    reason: str = ""
    message: str = ""


class _Object(msgspec.Struct, rename="camel", gc=False, omit_defaults=True):
    metadata: Meta

    @property
    def name(self) -> str:
        """Its name."""
        return self.metadata.name

    @property
    def uid(self) -> str:
        """What tells it from a later object of the same name."""
        return self.metadata.uid

    @property
    def version(self) -> int:
        """Its resourceVersion: later states have larger numbers (KEP-5504)."""
        return int(self.metadata.resource_version)

    @property
    def labels(self) -> dict[str, str]:
        """Its labels."""
        return self.metadata.labels

    @property
    def namespace(self) -> str:
        """Its namespace."""
        return self.metadata.namespace

    @property
    def controller(self) -> Owner | None:
        """The object that manages it."""
        return next((owner for owner in self.metadata.owner_references if owner.controller), None)

    @property
    def is_deleting(self) -> bool:
        """Whether its deletion has begun."""
        return self.metadata.deletion_timestamp is not None


class Notes(_Part):
    """The annotations of a node that are read."""

    switch: str | None = msgspec.field(default=None, name=names.ANNOTATION_SWITCH)
    wish: str | None = msgspec.field(default=None, name=names.ANNOTATION_WISH)


class PodMeta(Meta, kw_only=True):
    """The metadata of a pod or a Job."""

    creation_timestamp: datetime | None = None


class NodeMeta(Meta, kw_only=True):
    """The metadata of a node."""

    creation_timestamp: datetime | None = None
    annotations: Notes = msgspec.field(default_factory=Notes)


class Taint(_Part):
    """A taint of a node."""

    key: str
    effect: str
    value: str = ""


class NodeCondition(Condition):
    """A condition of a node."""

    last_transition_time: datetime | None = None


class NodeSpec(_Part):
    """The wanted state of a node."""

    unschedulable: bool = False
    taints: list[Taint] = []


class NodeStatus(_Part):
    """The observed state of a node; amounts as Kubernetes writes quantities."""

    allocatable: dict[str, str] = {}
    capacity: dict[str, str] = {}
    conditions: list[NodeCondition] = []


class NodeObject(_Object):
    """A node as the API server sends it."""

    metadata: NodeMeta
    spec: NodeSpec = msgspec.field(default_factory=NodeSpec)
    status: NodeStatus = msgspec.field(default_factory=NodeStatus)

    @property
    def is_ready(self) -> bool:
        """Whether its kubelet says that it is ready, and is still heard."""
        return self._ready is not None and self._ready.status == "True"

    @property
    def not_ready_since(self) -> datetime:
        """When it was seen ready last, where it is not now; it never was before anything was said of that."""
        said = self._ready.last_transition_time if self._ready else None
        return said or self.metadata.creation_timestamp or datetime.min.replace(tzinfo=UTC)

    @property
    def _ready(self) -> NodeCondition | None:
        return next((c for c in self.status.conditions if c.type == "Ready"), None)


class _Resources(_Part):
    requests: dict[str, str] = {}


class _Container(_Part):
    resources: _Resources = msgspec.field(default_factory=_Resources)
    restart_policy: str = ""


class PodSpec(_Part):
    """Where a pod runs. Its containers are reduced to `PodObject.requests` and then dropped."""

    node_name: str = ""
    containers: list[_Container] = []
    init_containers: list[_Container] = []
    overhead: dict[str, str] = {}
    resources: _Resources | None = None
    """Requests of the pod as a whole (KEP-2837), which replace those of its containers."""


class Terminated(_Part):
    """How a container ended."""

    exit_code: int
    reason: str = ""
    message: str = ""
    """What the program left as its termination message."""


class Waiting(_Part):
    """Why a container does not run yet."""

    reason: str = ""
    message: str = ""


class Running(_Part):
    """That a container runs."""

    started_at: str = ""
    """As Kubernetes writes times."""


class ContainerState(_Part):
    """The state of a container: at most one of these."""

    terminated: Terminated | None = None
    waiting: Waiting | None = None
    running: Running | None = None


class ContainerStatus(_Part):
    """The observed state of one container."""

    name: str
    state: ContainerState = msgspec.field(default_factory=ContainerState)
    last_state: ContainerState = msgspec.field(default_factory=ContainerState)
    """How it ended the last time, if it was started again."""
    ready: bool = False
    image_id: str = msgspec.field(default="", name="imageID")
    """Which image it was made from: set when that is on the node, whether the container could start or not."""


class PodStatus(_Part):
    """The observed state of a pod."""

    phase: str = "Pending"
    reason: str = ""
    message: str = ""
    conditions: list[Condition] = []
    init_container_statuses: list[ContainerStatus] = []
    container_statuses: list[ContainerStatus] = []
    pod_ip: str = msgspec.field(default="", name="podIP")


class PodObject(_Object):
    """A pod as the API server sends it."""

    metadata: PodMeta
    spec: PodSpec = msgspec.field(default_factory=PodSpec)
    status: PodStatus = msgspec.field(default_factory=PodStatus)
    requests: dict[str, int] = {}
    """What kube-scheduler counts for it, as `counted`. Computed here; a pod has no such field."""

    def __post_init__(self) -> None:
        """Reduce the containers to what they request, so that a quantity nobody can read is found while decoding."""
        self.requests = _requests(self.spec)
        self.spec.containers = self.spec.init_containers = []

    @property
    def node(self) -> str | None:
        """The node that it is bound to."""
        return self.spec.node_name or None

    @property
    def is_over(self) -> bool:
        """Whether it has ended and so holds nothing any more."""
        return self.status.phase in {"Succeeded", "Failed"}

    def condition(self, kind: str) -> Condition | None:
        """Its condition of type `kind`, such as `PodScheduled` or `DisruptionTarget`."""
        return next((c for c in self.status.conditions if c.type == kind), None)

    def holds(self, kind: str) -> bool:
        """Whether its condition of type `kind` is True."""
        found = self.condition(kind)
        return found is not None and found.status == "True"


class JobStatus(_Part):
    """The observed state of a Job."""

    conditions: list[Condition] = []


class JobObject(_Object):
    """A Job of batch/v1 as the API server sends it."""

    metadata: PodMeta
    status: JobStatus = msgspec.field(default_factory=JobStatus)


class RevisionObject(_Object):
    """A ControllerRevision as the API server sends it."""

    revision: int = 0
    data: dict[str, object] = {}


class Port(_Part):
    """A port of a Service."""

    port: int
    name: str = ""
    target_port: int | str | None = None
    protocol: str = ""


class ServiceSpec(_Part):
    """What of a Service decides whom it finds, and who finds it."""

    selector: dict[str, str] = {}
    ports: list[Port] = []
    publish_not_ready_addresses: bool = False
    type: str = "ClusterIP"
    internal_traffic_policy: str = "Cluster"


class ServiceObject(_Object):
    """A Service as the API server sends it."""

    spec: ServiceSpec = msgspec.field(default_factory=ServiceSpec)


class _Ready(_Part):
    ready: bool | None = None


class _Target(_Part):
    uid: str = ""


class Endpoint(_Part):
    """Some addresses of one pod."""

    conditions: _Ready = msgspec.field(default_factory=_Ready)
    target_ref: _Target | None = None


class SliceObject(_Object):
    """An EndpointSlice as the API server sends it."""

    endpoints: list[Endpoint] | None = None


class Selector(_Part):
    """Whom a PodDisruptionBudget is about."""

    match_labels: dict[str, str] = {}
    match_expressions: list[object] = []


class _BudgetSpec(_Part):
    min_available: int | str | None = None
    selector: Selector | None = None


class BudgetObject(_Object):
    """A PodDisruptionBudget as the API server sends it."""

    spec: _BudgetSpec = msgspec.field(default_factory=_BudgetSpec)


class PriorityObject(_Object):
    """A PriorityClass as the API server sends it."""

    value: int = 0
    global_default: bool = False
    preemption_policy: str = ""


# Each decodes an object of its kind from bytes, and raises `msgspec.MsgspecError` where that is malformed.
node: Final = msgspec.json.Decoder(NodeObject).decode
pod: Final = msgspec.json.Decoder(PodObject).decode
job: Final = msgspec.json.Decoder(JobObject).decode
revision: Final = msgspec.json.Decoder(RevisionObject).decode
service: Final = msgspec.json.Decoder(ServiceObject).decode
endpoint_slice: Final = msgspec.json.Decoder(SliceObject).decode
budget: Final = msgspec.json.Decoder(BudgetObject).decode
priority: Final = msgspec.json.Decoder(PriorityObject).decode


def _requests(spec: PodSpec) -> dict[str, int]:
    """What kube-scheduler counts: the larger of what runs together and what the start needs, and the overhead.

    Source: `PodRequests` in k8s.io/component-helpers/resource. A resize in progress (status.resources) is not counted.
    """
    running: dict[str, int] = {}
    starting: dict[str, int] = {}
    for container in spec.init_containers:
        requests = container.resources.requests
        if container.restart_policy == "Always":  # a sidecar, which goes on running beside the containers
            _add(running, requests)
            requests = {}
        # Init containers run one after another, each beside the sidecars that were started before it.
        for name in {*requests, *running}:
            needed = running.get(name, 0) + (_counted(name, requests[name]) if name in requests else 0)
            starting[name] = max(starting.get(name, 0), needed)
    for container in spec.containers:
        _add(running, container.resources.requests)
    total = {name: max(running.get(name, 0), starting.get(name, 0)) for name in {**running, **starting}}
    if spec.resources:
        total |= {name: _counted(name, amount) for name, amount in spec.resources.requests.items()}
    _add(total, spec.overhead)
    return total


def _add(total: dict[str, int], amounts: dict[str, str]) -> None:
    for name, amount in amounts.items():
        total[name] = total.get(name, 0) + _counted(name, amount)
