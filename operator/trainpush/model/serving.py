"""What is known of a model server: what it asks for, its releases, and the replicas that are there."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime

from trainpush.model.gang import Gang
from trainpush.model.outage import Outage
from trainpush.model.workload import Key, Phase, Refusal


@dataclass(frozen=True, slots=True)
class Revision:
    """One release of a model with the way to serve it, as a ControllerRevision keeps it."""

    name: str
    uid: str
    number: int
    """Releases count upwards; the highest number is the wanted one."""
    gang: Gang
    """One replica."""
    uri: str = ""
    """The model directory."""
    digest: str = ""
    """Its digest; empty where nobody gave one."""
    job_uid: str = ""
    """The job that made the model; empty for a model that was given by its URI."""
    has_endpoint: bool = True
    """Whether its own Service is there as it was made."""


@dataclass(frozen=True, slots=True, order=True)
class Place:
    """The node of one replica: decided before its pod exists."""

    serial: int
    """Number of the replica, never used twice by one service."""
    revision: str
    node: str
    since: datetime


@dataclass(frozen=True, slots=True)
class ServiceRecord:
    """What the status of a service says: decisions of earlier cycles."""

    is_new: bool = True
    """Whether no status stands there: it was never looked at, or its status was lost."""
    stable: str = ""
    """Name of the revision that was last served by all replicas; empty before the first."""
    places: tuple[Place, ...] = ()
    """By serial."""


@dataclass(frozen=True, slots=True)
class Replica:
    """One pod of a model server as it is seen."""

    name: str
    uid: str
    serial: int
    revision: str
    node: str | None
    """The node that it is bound to."""
    phase: Phase = Phase.PENDING
    loaded: bool = False
    """Whether its containers are ready: the model is loaded."""
    answered: bool = False
    """Whether it answered the probe: what its readiness gate says."""
    ready: bool = False
    """Whether its pod is ready."""
    is_found: bool = True
    """Whether the Service passes requests to it: it is among the ready endpoints."""
    deleting: bool = False
    ends_at: datetime | None = None
    """When its grace period is over, where it is being deleted."""
    address: str = ""
    """Address of the pod."""
    message: str = ""
    """What the kubelet, the scheduler or the last probe says is wrong."""
    starting: str = ""
    """What its start waits for, as far as its pod tells, or Events do; empty once it has started."""
    is_hindered: bool = False
    """Whether its node cannot start it as things are, and never could: no container of it has failed."""
    is_unexplained: bool = False
    """Whether of that its pod does not tell the reason: Events may."""
    asked: int = 0
    """How often they were read."""
    request: Mapping[str, int] = field(default_factory=dict)
    """What the pod itself requests, as `counted`."""
    outage: Outage | None = None
    """What is wrong with its node; None where that is heard."""

    @property
    def is_live(self) -> bool:
        """Whether it may still run or start, and so holds its accelerators."""
        return self.phase not in {Phase.SUCCEEDED, Phase.FAILED}

    def is_cut_off(self, now: datetime) -> bool:
        """Whether it counts as ended although it was not seen to end; what it holds stays with its node."""
        return self.is_live and self.outage is not None and self.outage.cuts_off(now)


@dataclass(frozen=True, slots=True)
class Service:
    """An InferenceService with all that a decision on it may look at."""

    key: Key
    uid: str
    created_at: datetime
    request: str | Refusal | None
    """Name of the revision that its spec asks for; None while the job that it follows has released nothing."""
    replicas: int = 1
    min_available: int = 1
    priority: int = 0
    """Of its PriorityClass; larger goes first."""
    is_readable: bool = True
    """Whether this version understands its spec; else it is left as it is."""
    follows: str = ""
    """Name of the TrainPushJob whose releases it takes."""
    deleting: bool = False
    stable: str = ""
    """Name of the revision that was last served by all replicas; empty before the first."""
    is_new: bool = False
    """Whether no status stands there: it was never looked at, or its status was lost."""
    places: tuple[Place, ...] = ()
    """What its status says, by serial."""
    revisions: tuple[Revision, ...] = ()
    """By number."""
    pods: tuple[Replica, ...] = ()
    """By serial."""
    has_endpoint: bool = False
    """Whether its Service is there as it was made."""
    budget: int | None = None
    """What its PodDisruptionBudget keeps available; None where there is none that is about its replicas."""
    trouble: str = ""
    """What the API server said when it last refused a child; empty once one went through."""
