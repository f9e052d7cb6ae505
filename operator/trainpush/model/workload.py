"""What is known of a training job: what it asks for, what was decided before, and the pods that are there."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Final, NamedTuple

from trainpush.model.gang import Gang
from trainpush.model.outage import Outage


class Key(NamedTuple):
    """Name of a namespaced object; orders by namespace, then name."""

    namespace: str
    name: str

    def __str__(self) -> str:
        """As kubectl writes it."""
        return f"{self.namespace}/{self.name}"


@dataclass(frozen=True, slots=True)
class Refusal:
    """Why a request cannot be taken as it stands; the message names the field and the remedy."""

    reason: str
    message: str


@dataclass(frozen=True, slots=True)
class Placement:
    """Where a gang runs: one node per worker, in rank order."""

    nodes: tuple[str, ...]
    level: str
    """Alias of the innermost level of which one domain holds the gang, or `pool`."""
    domain: str
    since: datetime
    protected_until: datetime | None = None
    """Nothing is taken from it before, since it had waited very long."""
    first_since: datetime | None = None
    """When the gang first started here, where it has started anew meanwhile: in place, or with another size."""
    kept_until: datetime | None = None
    """Some of its nodes are lost; until then the others are kept for the gang."""

    @property
    def held_since(self) -> datetime:
        """Since when the gang has had a place without losing it."""
        return self.first_since or self.since

    def anew(self, now: datetime) -> "Placement":
        """The same for a start that is decided `now`."""
        if self.since == now:
            return self
        return replace(self, since=now, first_since=self.held_since)


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """What a program has saved: the step from which the gang can go on."""

    attempt: int
    step: int
    uri: str
    at: datetime
    """When the operator learned of it."""
    digest: str = ""


@dataclass(frozen=True, slots=True)
class Heard:
    """What the program of an attempt last told the operator while it ran."""

    attempt: int
    at: datetime
    step: int | None = None
    total: int | None = None
    """Steps in all, where the program knows."""
    metrics: Mapping[str, object] = field(default_factory=dict)
    saved: Checkpoint | None = None
    """Its latest checkpoint."""
    request: str = ""
    """Id of the request that `saved` answers; empty where it was made without one."""


UNKNOWN_PRIORITY: Final = 2**31
"""Of what runs under a class that nobody knows any more: above all that classes can say, so nobody displaces it."""


class Preemption(StrEnum):
    """What others may take from a running gang."""

    NEVER = "Never"
    """Nothing."""
    BEYOND_MIN = "BeyondMin"
    """Workers beyond its smallest legal size."""
    ALWAYS = "Always"
    """All of it."""


class EvictionStep(StrEnum):
    """How far an eviction has come."""

    ANNOUNCED = "Announced"
    """Whoever it is taken from knows of it."""
    REQUESTED = "Requested"
    """Its program was asked for a checkpoint."""
    UNANSWERED = "Unanswered"
    """It did not answer in time, and is let be for a while: only where the gang was to grow."""
    ANSWERED = "Answered"
    """The program has saved and takes no further step: there is no way back."""
    DONE = "Done"
    """Carried out."""


@dataclass(frozen=True, slots=True)
class Eviction:
    """What is taken from a running gang for the sake of another: announced in one cycle, carried out in a later one."""

    by: str
    """Who needs the room."""
    reason: str
    message: str
    workers: int = 0
    """Workers that are left to it; 0 when it goes back to the queue."""
    lost: int = 0
    """Work that is lost, in accelerator-seconds."""
    is_done: bool = False
    """Whether it was carried out: kept until the other has its place, so that nobody else takes the room."""
    asked_at: datetime | None = None
    """When the program was asked for a checkpoint."""
    deadline: datetime | None = None
    """Until when it may answer."""
    is_answered: bool = False
    """Whether it has saved and takes no further step."""

    @property
    def step(self) -> EvictionStep:
        """How far it has come, by what stands of it."""
        if self.is_done:
            return EvictionStep.DONE
        if self.is_answered:
            return EvictionStep.ANSWERED
        if self.deadline is None:
            return EvictionStep.ANNOUNCED
        return EvictionStep.REQUESTED if self.asked_at else EvictionStep.UNANSWERED

    def request(self, attempt: int) -> str:
        """Id of the request to the program of `attempt`; empty while nothing was asked."""
        return f"{attempt}-{self.asked_at:%Y-%m-%dT%H:%M:%SZ}" if self.asked_at else ""


@dataclass(frozen=True, slots=True)
class FailedStarts:
    """Tries of a gang, one after the other, that gave their place back before all workers ran."""

    count: int
    at: datetime
    """When the last of them did."""
    nodes: tuple[str, ...] = ()
    """Where pods could not be bound or started, those of the last try first."""


class Outcome(StrEnum):
    """How a job ended."""

    COMPLETE = "Complete"
    FAILED = "Failed"


@dataclass(frozen=True, slots=True)
class Recorded:
    """What a job's status says of decisions: of earlier cycles; in a `Decision`, what shall stand there next."""

    attempt: int = 0
    """Number of the latest attempt; 0 before the first placement."""
    placement: Placement | None = None
    has_run: bool = False
    """Whether every worker of this attempt was seen running."""
    completed: tuple[int, ...] = ()
    """Ranks of this attempt that have finished while others go on, whatever became of their pods since."""
    failures: int = 0
    infrastructure: int = 0
    """Restarts that were nobody's fault: evictions, lost nodes, deleted pods."""
    preemptions: int = 0
    """How often it made room for others."""
    eviction: Eviction | None = None
    """What is being taken from it, or was, for one that still waits."""
    outcome: Outcome | None = None
    queued_at: datetime | None = None
    """Since when it has been in the queue; None while it is not."""
    failed_starts: FailedStarts | None = None
    """Why the next try is made later and elsewhere; None once all workers ran, or the spec was edited."""
    last: Refusal | None = None
    """Reason and message that explained the latest failure or rollback."""
    checkpoint: Checkpoint | None = None
    """What was saved last."""
    heard: Heard | None = None
    """What the program last told, as far as it was written down."""

    def unplaced(self, queued_at: datetime | None = None) -> "Recorded":
        """The same without a place, in the queue since `queued_at`; the very same where nothing changes."""
        if self.placement is None and not (self.has_run or self.completed) and self.queued_at == queued_at:
            return self
        return replace(self, placement=None, has_run=False, completed=(), queued_at=queued_at)

    def under_way(self, completed: tuple[int, ...], *, has_run: bool) -> "Recorded":
        """The same with what was seen of this attempt; the very same where that is nothing new."""
        failed = None if has_run else self.failed_starts
        if (self.has_run, self.completed, self.failed_starts) == (has_run, completed, failed):
            return self
        return replace(self, has_run=has_run, completed=completed, failed_starts=failed)

    def next_attempt(self, placement: Placement) -> "Recorded":
        """The same in its next attempt, of which nothing has been seen yet."""
        return replace(self, attempt=self.attempt + 1, placement=placement, has_run=False, completed=(), queued_at=None)


class Phase(StrEnum):
    """Phase of a pod, as in core/v1."""

    PENDING = "Pending"
    RUNNING = "Running"
    SUCCEEDED = "Succeeded"
    FAILED = "Failed"
    UNKNOWN = "Unknown"


class Beside(StrEnum):
    """What goes on in a pod beside the program of a worker that has ended."""

    NOTHING = "Nothing"
    """The pod has ended too."""
    SIDECARS = "Sidecars"
    """What the kubelet ends by itself, since it only serves the containers that have ended."""
    OTHERS = "Others"
    """A container that somebody put there, and that nobody ends: it keeps the pod, and its accelerators, for ever."""


@dataclass(frozen=True, slots=True)
class Worker:
    """One pod of a gang as it is seen: what its own container says, whatever else others put into it."""

    name: str
    uid: str
    attempt: int
    rank: int
    phase: Phase = Phase.PENDING
    """Of its program."""
    node: str | None = None
    deleting: bool = False
    ends_at: datetime | None = None
    """When its grace period is over, where it is being deleted."""
    disrupted: bool = False
    """Ended by the cluster (eviction, node loss, preemption), not by its program."""
    beside: Beside = Beside.NOTHING
    """What goes on in its pod although the program has ended."""
    message: str = ""
    """What the kubelet or the scheduler says: exit code, what its start waits for, why it is not bound."""
    is_hindered: bool = False
    """Whether it is bound, and its node cannot start it as things are."""
    is_unexplained: bool = False
    """Whether of that its status does not tell the reason: Events may."""
    asked: int = 0
    """How often its Events were read."""
    report: Mapping[str, object] = field(default_factory=dict)
    """The JSON object of the program's termination message, if it left one."""
    request: Mapping[str, int] = field(default_factory=dict)
    """What the pod itself requests, as `counted`."""
    outage: Outage | None = None
    """What is wrong with its node; None where that is heard."""

    @property
    def has_ended(self) -> bool:
        """Whether its program has ended, one way or the other."""
        return self.phase in {Phase.SUCCEEDED, Phase.FAILED}

    @property
    def is_interrupted(self) -> bool:
        """Whether it ends, or ended, because it had to: how its program takes that is neither success nor failure."""
        return self.deleting or self.disrupted

    @property
    def has_finished(self) -> bool:
        """Whether its program ended with success, and by itself."""
        return self.phase is Phase.SUCCEEDED and not self.is_interrupted

    @property
    def is_live(self) -> bool:
        """Whether something in its pod may still run or start, and so holds its accelerators."""
        return not self.has_ended or self.beside is not Beside.NOTHING

    @property
    def must_be_ended(self) -> bool:
        """Whether it goes on for as long as nobody deletes its pod."""
        return not self.has_ended or self.beside is Beside.OTHERS

    def is_cut_off(self, now: datetime) -> bool:
        """Whether it counts as ended although it was not seen to end; what it holds stays with its node."""
        return self.is_live and self.outage is not None and self.outage.cuts_off(now)


class ExportState(StrEnum):
    """How far the Job that exports a model has come."""

    ACTIVE = "Active"
    SUCCEEDED = "Succeeded"
    FAILED = "Failed"


@dataclass(frozen=True, slots=True)
class Export:
    """The Job that exports the model of a training job, as it is seen."""

    name: str
    state: ExportState
    message: str = ""
    """Why it failed."""
    digest: str = ""
    """Of the model directory that it wrote; empty until its pod said so."""
    outage: Outage | None = None
    """What is wrong with the node of its pod; None where that is heard."""
    since: datetime | None = None
    """When it was made."""
    unexplained: str = ""
    """Uid of itself, if it has no pod, or of a pod that is hindered from its start: Events may tell why."""
    asked: int = 0
    """How often they were read."""
    lingering: tuple[tuple[str, str], ...] = ()
    """Names and uids of its pods that have done their part, and that a container of others keeps for ever."""


@dataclass(frozen=True, slots=True)
class Push:
    """What follows a training: an export, and its release by an InferenceService."""

    target: str
    """Name of the InferenceService, in the job's namespace."""
    export: str
    """Name of the Job that exports; changes with what it is told to do."""
    uri: str
    """Where model directories are kept."""
    digest: str = ""
    """Digest of the exported model as status records it; empty before."""
    is_new: bool = False
    """Whether status says nothing of a push: none was begun, or the status was lost."""
    over: Refusal | None = None
    """Reason and message of a push that came to its end; what its target does later is not the job's affair."""
    revision: str = ""
    """The revision that served it then."""


@dataclass(frozen=True, slots=True)
class Job:
    """A TrainPushJob with all that a decision on it may look at."""

    key: Key
    uid: str
    created_at: datetime
    request: Gang | Refusal
    priority: int = 0
    """Of its PriorityClass; larger goes first."""
    preempts: bool = True
    """Whether its PriorityClass lets it take places from gangs of lower priority."""
    preemption: Preemption = Preemption.ALWAYS
    min_runtime: timedelta = timedelta(0)
    """Time from its start during which nothing is taken from it."""
    suspend: bool = False
    deleting: bool = False
    max_restarts: int = 3
    is_asked: bool = False
    """Whether its program may be asked for a checkpoint; else it only gets a signal."""
    grace: timedelta = timedelta(seconds=30)
    """Time for an answer."""
    heard: Heard | None = None
    """What its program last told, whether it was written down or not."""
    recorded: Recorded = Recorded()
    is_under_way: bool = False
    """Whether its status is only about to say what is recorded, or what follows from it is being carried out."""
    workers: tuple[Worker, ...] = ()
    """Its pods of all attempts, by (attempt, rank)."""
    has_belongings: bool = True
    """Whether what its workers need besides their pods is there as it was made."""
    left: Worker | None = None
    """Of its pods that are gone, the one whose termination message counts."""
    trouble: str = ""
    """What the API server said when it last refused a child; empty once one went through."""
    push: Push | None = None
    exports: tuple[Export, ...] = ()
    """The Jobs that export its model, by name."""
