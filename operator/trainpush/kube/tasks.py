"""What a cycle wants of each of our objects: its status, the Events that tell of it, and actions."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, ClassVar, Final

from trainpush.api.gpupool import GPUPoolStatus
from trainpush.api.inferenceservice import ServiceStatus
from trainpush.api.revision import RevisionData
from trainpush.api.trainpushjob import JobStatus, Resolved
from trainpush.kube.client import Object
from trainpush.kube.resources import GPUPOOLS, INFERENCESERVICES, TRAINPUSHJOBS, Resource
from trainpush.kube.store import SeenJob, SeenPool, SeenService
from trainpush.model.plan import (
    AnnotateStable,
    Decision,
    EndPod,
    JobAction,
    MakeBelongings,
    MakeEndpoint,
    MakeExport,
    MakePrepullPod,
    MakeReplica,
    MakeRevision,
    MakeWorker,
    PoolAction,
    PoolSummary,
    RemovePrepullPod,
    RemoveReplica,
    RemoveRevision,
    RemoveWorker,
    ServiceAction,
    ServiceDecision,
)
from trainpush.render.environment import of_attempt
from trainpush.render.events import events, pool_events
from trainpush.render.serving import selector, url
from trainpush.status import job, pool, service

Act = JobAction | ServiceAction | PoolAction
ORDER: Final[tuple[type[Act], ...]] = (
    *(EndPod, RemoveWorker, MakeBelongings, MakeWorker, MakeExport),
    *(MakeRevision, MakeEndpoint, MakeReplica, AnnotateStable, RemoveReplica, RemoveRevision),
    *(RemovePrepullPod, MakePrepullPod),
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

    @property
    def actions(self) -> Sequence[Act]:
        """What is to be done once its status stands."""
        return self.decision.actions

    def status(self, now: datetime) -> Object:
        """Its whole status."""
        seen = self.seen
        workers = seen.found.spec.sizes()[0] if seen.found else 0
        return job.write(self.decision, self._resolved(), workers, seen.metadata.generation, seen.status, now)

    def _resolved(self) -> Resolved | None:
        """What defaults come to with the workers that it has."""
        found, placement = self.seen.found, self.decision.record.placement
        if found and placement and self.resolved:
            return of_attempt(found.spec.strategy, self.resolved, len(placement.nodes))
        return self.resolved

    def events(self, status: Mapping[str, Any], now: datetime) -> list[Object]:
        """What is new in `status`."""
        old, new = JobStatus.read(self.seen.status), JobStatus.read(status)
        return events(self.resource.kind, self.seen.metadata, old, new, now)


@dataclass(frozen=True, slots=True)
class ServiceTask:
    """What a cycle wants of one InferenceService."""

    resource: ClassVar[Resource] = INFERENCESERVICES
    seen: SeenService
    decision: ServiceDecision
    data: RevisionData | None
    """Of the revision that it asks for."""

    @property
    def actions(self) -> Sequence[Act]:
        """What is to be done once its status stands."""
        return self.decision.actions

    def status(self, now: datetime) -> Object:
        """Its whole status."""
        metadata = self.seen.metadata
        where = url(metadata.name, metadata.namespace)
        old = self.seen.status
        return service.write(self.decision, selector(metadata.name), where, metadata.generation, old, now)

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

    @property
    def actions(self) -> Sequence[Act]:
        """What makes nodes pull images; what else becomes of its nodes is done beside."""
        return self.decision.actions

    def status(self, now: datetime) -> Object:
        """Its whole status."""
        return pool.write(self.decision, self.seen.metadata.generation, self.seen.status, now, self.modes)

    def events(self, status: Mapping[str, Any], now: datetime) -> list[Object]:
        """What is new in `status`."""
        old, new = GPUPoolStatus.read(self.seen.status), GPUPoolStatus.read(status)
        return pool_events(self.resource.kind, self.seen.metadata, old, new, now)


Task = JobTask | ServiceTask | PoolTask


def batches(actions: Sequence[Act]) -> list[list[Act]]:
    """The actions in the order in which they are carried out."""
    found = [[action for action in actions if isinstance(action, kind)] for kind in ORDER]
    return [batch for batch in found if batch]
