"""What is read of nodes, pods and classes: only the fields that decisions need, all else is skipped unparsed."""

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


class Part(msgspec.Struct, rename="camel", gc=False, omit_defaults=True):
    """A piece of an object; without cycles, so the garbage collector need not look at it."""


class Owner(Part):
    """An owner reference."""

    kind: str
    name: str
    uid: str
    controller: bool = False


class Meta(Part):
    """The metadata of an object."""

    name: str
    uid: str
    resource_version: Annotated[str, msgspec.Meta(pattern="^[0-9]+$")]
    namespace: str = ""
    labels: dict[str, str] = {}
    owner_references: list[Owner] = []
    deletion_timestamp: Annotated[datetime, msgspec.Meta(tz=True)] | None = None
    """Of a pod, when its grace period is over."""


class Condition(Part):
    """A condition of a node or a pod."""

    type: str
    status: str
    reason: str = ""
    message: str = ""


class Decoded(msgspec.Struct, rename="camel", gc=False, omit_defaults=True):
    """An object, as far as it is read."""

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


class Notes(Part):
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


class Taint(Part):
    """A taint of a node."""

    key: str
    effect: str
    value: str = ""


class NodeCondition(Condition):
    """A condition of a node."""

    last_transition_time: datetime | None = None


class NodeSpec(Part):
    """The wanted state of a node."""

    unschedulable: bool = False
    taints: list[Taint] = []


class NodeStatus(Part):
    """The observed state of a node; amounts as Kubernetes writes quantities."""

    allocatable: dict[str, str] = {}
    capacity: dict[str, str] = {}
    conditions: list[NodeCondition] = []


class NodeObject(Decoded):
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


class _Resources(Part):
    requests: dict[str, str] = {}


class _Container(Part):
    resources: _Resources = msgspec.field(default_factory=_Resources)
    restart_policy: str = ""


class PodSpec(Part):
    """Where a pod runs. Its containers are reduced to `PodObject.requests` and then dropped."""

    node_name: str = ""
    containers: list[_Container] = []
    init_containers: list[_Container] = []
    overhead: dict[str, str] = {}
    resources: _Resources | None = None
    """Requests of the pod as a whole (KEP-2837), which replace those of its containers."""


class Terminated(Part):
    """How a container ended."""

    exit_code: int
    reason: str = ""
    message: str = ""
    """What the program left as its termination message."""


class Waiting(Part):
    """Why a container does not run yet."""

    reason: str = ""
    message: str = ""


class Running(Part):
    """That a container runs."""

    started_at: str = ""
    """As Kubernetes writes times."""


class ContainerState(Part):
    """The state of a container: at most one of these."""

    terminated: Terminated | None = None
    waiting: Waiting | None = None
    running: Running | None = None


class ContainerStatus(Part):
    """The observed state of one container."""

    name: str
    state: ContainerState = msgspec.field(default_factory=ContainerState)
    last_state: ContainerState = msgspec.field(default_factory=ContainerState)
    """How it ended the last time, if it was started again."""
    ready: bool = False
    image_id: str = msgspec.field(default="", name="imageID")
    """Which image it was made from: set when that is on the node, whether the container could start or not."""


class PodStatus(Part):
    """The observed state of a pod."""

    phase: str = "Pending"
    reason: str = ""
    message: str = ""
    conditions: list[Condition] = []
    init_container_statuses: list[ContainerStatus] = []
    container_statuses: list[ContainerStatus] = []
    pod_ip: str = msgspec.field(default="", name="podIP")


class PodObject(Decoded):
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


class PriorityObject(Decoded):
    """A PriorityClass as the API server sends it."""

    value: int = 0
    global_default: bool = False
    preemption_policy: str = ""


# Each decodes an object of its kind from bytes, and raises `msgspec.MsgspecError` where that is malformed.
node: Final = msgspec.json.Decoder(NodeObject).decode
pod: Final = msgspec.json.Decoder(PodObject).decode
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
