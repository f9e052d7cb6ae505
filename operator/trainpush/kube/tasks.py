"""What a cycle wants of each of our objects: its status, the Events that tell of it, and actions."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import Enum
from typing import Any, ClassVar, Final

from trainpush.api.demand import PriorityStatus
from trainpush.api.gpupool import GPUPoolStatus
from trainpush.api.inferenceservice import ServiceStatus
from trainpush.api.revision import RevisionData
from trainpush.api.trainpushjob import JobStatus, Resolved
from trainpush.kube.client import Object
from trainpush.kube.resources import GPUPOOLS, INFERENCESERVICES, TRAINPUSHJOBS, Resource
from trainpush.kube.store import SeenJob, SeenPool, SeenService
from trainpush.model.actions import (
    AnnotateStable,
    EndPod,
    ForgetPod,
    JobAction,
    MakeBelongings,
    MakeEndpoint,
    MakeExport,
    MakePrepullPod,
    MakeReplica,
    MakeRevision,
    MakeRevisionEndpoint,
    MakeWorker,
    PoolAction,
    ReadEvents,
    RemovePrepullPod,
    RemoveReplica,
    RemoveRevision,
    RemoveWorker,
    ServiceAction,
)
from trainpush.model.plan import Decision, PoolSummary, ServiceDecision
from trainpush.render.events import TOLD, events, pool_events
from trainpush.render.serving import selector, url
from trainpush.status import job, pool, service
from trainpush.status.conditions import part

Act = JobAction | ServiceAction | PoolAction
ORDER: Final[tuple[type[Act], ...]] = (
    *(EndPod, ForgetPod, RemoveWorker, MakeBelongings, MakeWorker, MakeExport),
    *(MakeRevision, MakeEndpoint, MakeRevisionEndpoint, MakeReplica, AnnotateStable, RemoveReplica, RemoveRevision),
    *(RemovePrepullPod, MakePrepullPod, ReadEvents),
)
"""Actions of one kind are carried out at once, one kind after the other."""
FOUNDATION: Final = MakeBelongings
"""What the actions after it cannot do without: workers find each other through it."""


@dataclass(frozen=True, slots=True)
class JobTask:
    """What a cycle wants of one job."""

    resource: ClassVar[Resource] = TRAINPUSHJOBS
    seen: SeenJob
    decision: Decision
    resolved: Resolved | None
    """What defaults came to; None where the request is refused."""
    stands: Resolved | None
    """The same with the workers that it has."""
    workers: int
    """Asked for; 0 where the spec cannot be read."""

    def status(self, now: datetime) -> Object:
        """Its whole status."""
        generation, old = self.seen.metadata.generation, self.seen.status
        return job.write(self.decision, self.stands, self.workers, generation, old, now)

    def events(self, status: Mapping[str, Any], now: datetime) -> list[Object]:
        """What is new in `status`."""
        old, new = (JobStatus.read(part(it, *TOLD)) for it in (self.seen.status, status))
        return events(self.resource.kind, self.seen.metadata, old, new, now)


@dataclass(frozen=True, slots=True)
class ServiceTask:
    """What a cycle wants of one InferenceService."""

    resource: ClassVar[Resource] = INFERENCESERVICES
    seen: SeenService
    decision: ServiceDecision
    data: RevisionData | None
    """Of the revision that it asks for."""
    priority: PriorityStatus | None = None
    """What its PriorityClass says, or last said."""

    def status(self, now: datetime) -> Object:
        """Its whole status."""
        metadata, old = self.seen.metadata, self.seen.status
        where = url(metadata.name, metadata.namespace)
        seen = service.ServiceSeen(selector(metadata.name), where, self.priority)
        return service.write(self.decision, seen, metadata.generation, old, now)

    def events(self, status: Mapping[str, Any], now: datetime) -> list[Object]:
        """What is new in `status`."""
        old, new = ServiceStatus.read(self.seen.status), ServiceStatus.read(status)
        return events(self.resource.kind, self.seen.metadata, old, new, now)


@dataclass(frozen=True, slots=True)
class PoolTask:
    """What a cycle wants of one pool."""

    resource: ClassVar[Resource] = GPUPOOLS
    seen: SeenPool
    decision: PoolSummary
    modes: pool.ModesSeen | None = None
    """None where its nodes have no modes."""

    def status(self, now: datetime) -> Object:
        """Its whole status."""
        return pool.write(self.decision, self.seen.metadata.generation, self.seen.status, now, self.modes)

    def events(self, status: Mapping[str, Any], now: datetime) -> list[Object]:
        """What is new in `status`."""
        old, new = GPUPoolStatus.read(self.seen.status), GPUPoolStatus.read(status)
        return pool_events(self.resource.kind, self.seen.metadata, old, new, now)


Task = JobTask | ServiceTask | PoolTask


class Change(Enum):
    """What a status does to the place of a job."""

    NONE = "none"
    """Others need not know of it: nothing changes, or something is given back."""
    TAKES = "takes"
    """It had none, and gets one."""
    MOVES = "moves"
    """Anything else, and whatever is told to whoever has to make room."""


def change_of_place(task: JobTask) -> Change:
    """What becomes of a place when this task is carried out."""
    before, after = task.seen.record, task.decision.record
    had, has = (it.placement.nodes if it.placement else () for it in (before, after))
    if before.eviction != after.eviction:
        return Change.MOVES
    if had == has or not has:
        return Change.NONE
    return Change.MOVES if had else Change.TAKES


def batches(actions: Sequence[Act]) -> list[list[Act]]:
    """The actions in the order in which they are carried out."""
    found = [[action for action in actions if isinstance(action, kind)] for kind in ORDER]
    return [batch for batch in found if batch]
