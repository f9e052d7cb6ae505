"""What a cycle decided: one decision per job and service, and one summary per pool."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from trainpush.model.actions import JobAction, PoolAction, ServiceAction
from trainpush.model.modes import Mode, Switch, SwitchStep
from trainpush.model.records import Records
from trainpush.model.serving import Place
from trainpush.model.workload import Key, Recorded, Refusal


class Stage(StrEnum):
    """Where a job stands after this cycle."""

    REFUSED = "Refused"
    SUSPENDED = "Suspended"
    QUEUED = "Queued"
    STARTING = "Starting"
    RUNNING = "Running"
    RESTARTING = "Restarting"
    COMPLETE = "Complete"
    FAILED = "Failed"


@dataclass(frozen=True, slots=True)
class Holder:
    """Who holds accelerators that a waiting gang could use."""

    name: str
    """Namespace and name of a job or service, or `other pods`."""
    accelerators: int


@dataclass(frozen=True, slots=True)
class Verdict:
    """Why a job is where it is; counts are accelerators."""

    reason: str
    message: str
    needed: int = 0
    free: int = 0
    largest_free: int = 0
    holders: tuple[Holder, ...] = ()
    """Those that hold most of what would do, at most five."""
    position: int = 0
    """Place in the queue of its pool, from 1; 0 when it does not wait."""
    advice: str = ""
    """The smallest change that would let it in, and why that was not done; empty when there is none."""
    cause: str = ""
    """What binds, finer than the reason; empty when it does not wait."""

    def at(self, position: int) -> "Verdict":
        """The same at a place in the queue; without `replace`, since a cycle may say it of thousands."""
        holds = self.needed, self.free, self.largest_free, self.holders
        return Verdict(self.reason, self.message, *holds, position, self.advice, self.cause)


@dataclass(frozen=True, slots=True)
class Pushing:
    """How far the model of a job has come on its way to the InferenceService."""

    reason: str
    message: str
    is_over: bool = False
    """Whether the target serves it, or something newer."""
    has_failed: bool = False
    """Whether a person must act."""
    export: str = ""
    digest: str = ""
    uri: str = ""
    """The model directory; empty until its digest is known."""
    revision: str = ""


@dataclass(frozen=True, slots=True)
class Decision:
    """What becomes of one job; everything but `actions` goes to its status."""

    key: Key
    record: Recorded
    """What later cycles read back."""
    stage: Stage
    verdict: Verdict
    running: int = 0
    """Workers that run."""
    refusal: Refusal | None = None
    """Why the request cannot be taken as it stands, whatever the stage."""
    push: Pushing | None = None
    actions: tuple[JobAction, ...] = ()
    """Carried out after the status stands; they follow from what the status said before."""
    wake_at: datetime | None = None
    """When to look again although nothing changed."""


@dataclass(frozen=True, slots=True)
class Condition:
    """One statement of a status: whether it holds, and why."""

    holds: bool
    reason: str
    message: str


@dataclass(frozen=True, slots=True)
class Served:
    """A revision and its replicas."""

    name: str
    number: int
    digest: str
    replicas: int
    ready: int


@dataclass(frozen=True, slots=True)
class ServiceDecision:
    """What becomes of one InferenceService; everything but `actions` goes to its status."""

    key: Key
    verdict: Verdict
    placed: Condition
    scaling: Condition
    """Whether a replica finds no room, and none is on the way."""
    loaded: Condition
    available: Condition
    progressing: Condition
    replicas: int
    """Pods that are there and stay."""
    ready: int
    stable: str
    wanted: str
    places: tuple[Place, ...]
    revisions: tuple[Served, ...]
    """Those with replicas, and the wanted and the stable one, by number."""
    refusal: Refusal | None = None
    """Why the spec cannot be taken as it stands, whatever still serves."""
    actions: tuple[ServiceAction, ...] = ()
    """Carried out after the status stands; pods are made and deleted by what the status said before."""
    wake_at: datetime | None = None
    """When to look again although nothing changed."""


@dataclass(frozen=True, slots=True)
class TeamUse:
    """What a team holds of one resource of a pool, in thousandths."""

    team: str
    resource: str
    used: int
    guarantee: int
    limit: int | None


@dataclass(frozen=True, slots=True)
class AnnotateNode:
    """Write down how far a node has come, unless its annotation is not `before` any more.

    None stands for no annotation; the same twice repairs label and taints.
    """

    node: str
    before: Switch | None
    after: Switch | None


@dataclass(frozen=True, slots=True)
class NodeDecision:
    """What becomes of one node."""

    name: str
    action: AnnotateNode


@dataclass(frozen=True, slots=True)
class PlannedSwitch:
    """A switch that is under way or would be."""

    node: str
    old: Mode
    new: Mode
    step: SwitchStep
    why: str
    victims: tuple[str, ...] = ()
    """Jobs and services that have to go from the node."""
    lost: int = 0
    """Accelerator-seconds that they do twice."""


@dataclass(frozen=True, slots=True)
class FinishedSwitch:
    """A switch that is over with this cycle."""

    node: str
    old: Mode
    new: Mode
    begun: datetime
    ended: datetime
    outcome: SwitchStep
    """Active or Aborted."""


@dataclass(frozen=True, slots=True)
class ModesSummary:
    """What the status of a pool shows of its nodes' modes."""

    counts: Mapping[Mode, int]
    """Nodes by what they are now, those that switch too."""
    switching: int
    """Nodes that switch."""
    settled: Condition
    """Whether the nodes have the modes that are wanted; else why not."""
    planned: tuple[PlannedSwitch, ...] = ()
    """By node; in a dry run what would be done."""
    finished: tuple[FinishedSwitch, ...] = ()
    """By node."""


@dataclass(frozen=True, slots=True)
class PoolSummary:
    """What the status of a pool shows; counts of nodes and accelerators."""

    name: str
    nodes: int
    ready: int
    cordoned: int
    not_ready: int
    total: int
    used: int
    free: int
    unavailable: int
    largest_free: Mapping[str, int]
    """Free accelerators of the domain that has most, per level."""
    shared_nodes: tuple[str, ...] = ()
    unlabelled_nodes: int = 0
    teams: tuple[TeamUse, ...] = ()
    """By team and resource; empty where the pool has no quotas."""
    modes: ModesSummary | None = None
    """None where the nodes of the pool have no modes."""
    actions: tuple[PoolAction, ...] = ()
    """They follow from what stands on the nodes."""


@dataclass(frozen=True, slots=True)
class Plan:
    """What one cycle wants."""

    decisions: Records[Decision]
    """One per job that is not being deleted, by key; those that come out as before are the very same."""
    pools: tuple[PoolSummary, ...]
    services: tuple[ServiceDecision, ...]
    """One per service that is not being deleted, by key."""
    wake_at: datetime | None
    nodes: tuple[NodeDecision, ...] = ()
    """Those of which something changes, by name."""
