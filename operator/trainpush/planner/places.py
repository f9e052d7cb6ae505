"""Places that gangs and replicas hold, and live pods: what a job or a service comes to for everybody else."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from typing import NamedTuple

from trainpush.model.gang import Gang
from trainpush.model.serving import Replica, Service
from trainpush.model.workload import Job, Key, Placement, Preemption, Worker
from trainpush.planner import lifecycle
from trainpush.planner.diagnostics.causes import Cause


class Owner(NamedTuple):
    """A job or a service; one of each may bear the same name."""

    key: Key
    is_service: bool

    def __str__(self) -> str:
        """`job default/a`, `service default/a`."""
        return f"{'service' if self.is_service else 'job'} {self.key}"


@dataclass(frozen=True, slots=True)
class Allocation:
    """The place of a gang or of a replica."""

    key: Key
    """Of the job or service that holds it."""
    is_service: bool
    gang: Gang
    nodes: tuple[str, ...]
    """One per worker, in rank order; of one that is leaving, those on which pods of it are still."""
    is_leaving: bool
    """Whether it is about to end, and gives its place back."""

    @property
    def shape(self) -> tuple[tuple[str, ...], Mapping[str, int]]:
        """Nodes, and what is held on each, as `counted`."""
        return self.nodes, self.gang.requirements.request

    @property
    def is_lasting(self) -> bool:
        """Whether nobody may expect it to end: of a service, or of a gang that makes no room for anybody."""
        return True


@dataclass(frozen=True, slots=True)
class GangAllocation(Allocation):
    """The place of a gang."""

    job: Job
    place: Placement

    @property
    def is_lasting(self) -> bool:
        """Whether it has begun, goes on, and makes no room for anybody."""
        if self.job.preemption is not Preemption.NEVER or self.is_leaving:
            return False
        return lifecycle.has_begun(self.job) and not lifecycle.has_succeeded(self.job)

    def lost(self, now: datetime) -> int:
        """Accelerator-seconds since this attempt last saved, or since it began; none of one that has not begun."""
        if not lifecycle.has_begun(self.job):
            return 0
        saved = self.job.recorded.checkpoint
        is_own = saved is not None and saved.attempt == self.job.recorded.attempt
        since = max(self.place.since, saved.at) if saved and is_own else self.place.since
        seconds = max(0, int((now - since).total_seconds()))
        return seconds * self.gang.requirements.accelerators * len(self.nodes)

    def cost(self, now: datetime) -> int:
        """What it costs to take something from it: nothing from one that was asked, so that it is taken at last."""
        told = self.job.recorded.eviction
        return 0 if told and told.asked_at and not told.is_done else self.lost(now)

    def protected_until(self, now: datetime) -> datetime | None:
        """When its least running time ends; None when it is over."""
        begun_at = self.place.held_since
        until = max(begun_at + self.job.min_runtime, self.place.protected_until or begun_at)
        return until if now < until else None

    def protection(self, left: int, now: datetime) -> Cause | None:
        """Why neither its own team nor a node's new mode may leave it with `left` workers; None where they may."""
        if self.job.preemption is Preemption.NEVER:
            return Cause.PREEMPTION_NEVER
        if self.protected_until(now):
            return Cause.PROTECTED_BY_MIN_RUNTIME
        if self.job.preemption is Preemption.BEYOND_MIN and left < self.gang.least:
            return Cause.PROTECTED_DOWN_TO_MINIMUM
        return None


@dataclass(frozen=True, slots=True)
class LivePod:
    """A pod of ours that is bound and has not ended."""

    key: Key
    """Of the job or service that it belongs to."""
    is_service: bool
    name: str
    uid: str
    node: str
    request: Mapping[str, int]
    """What it takes beyond the place that it stands in, as `counted`: all that it requests, where it has none."""
    is_leaving: bool
    """Whether that will soon be free."""
    frees: Mapping[str, int]
    """What counts as soon free of its node because of it, by its place too."""
    ends_at: datetime | None
    """When its grace period is over, where it is being deleted, or should be; None where nobody can say."""
    is_lasting: bool = False

    @property
    def shape(self) -> tuple[tuple[str, ...], Mapping[str, int]]:
        """Its node, and what it takes there, as `counted`."""
        return (self.node,), self.request


def gang_at(job: Job, gang: Gang, place: Placement) -> GangAllocation:
    """What a gang holds with this place."""
    leaves, nodes = job.deleting or job.suspend, place.nodes
    if leaves and not job.is_under_way:
        there = {(worker.rank, worker.node) for worker in job.workers if worker.is_live}
        nodes = tuple(node for rank, node in enumerate(place.nodes) if (rank, node) in there)
    return GangAllocation(job.key, is_service=False, gang=gang, nodes=nodes, is_leaving=leaves, job=job, place=place)


def replicas_of(service: Service) -> Iterator[Allocation]:
    """The places of a service's replicas."""
    gangs = {revision.name: revision.gang for revision in service.revisions}
    places = {(place.serial, place.revision): place for place in service.places if place.revision in gangs}
    if service.deleting:
        there = {(pod.serial, pod.revision, pod.node) for pod in service.pods if pod.is_live}
        places = {which: place for which, place in places.items() if (*which, place.node) in there}
    key = service.key
    return (
        Allocation(key, is_service=True, gang=gangs[place.revision], nodes=(place.node,), is_leaving=service.deleting)
        for place in places.values()
    )


def live_workers(job: Job) -> Iterator[LivePod]:
    """The pods of a job that are bound and have not ended."""
    place = None if job.recorded.outcome else job.recorded.placement
    for worker in job.workers:
        if worker.is_live and worker.node is not None:
            is_in_place = place is not None and place.nodes[worker.rank : worker.rank + 1] == (worker.node,)
            # A pod that no plan reckons with will soon be gone, unless it is kept since nobody understands its job.
            request = job.request.requirements.request if is_in_place and isinstance(job.request, Gang) else {}
            is_leaving = not is_in_place or job.deleting or job.suspend
            # Somebody may refuse its deletion, for which was asked when the gang went back to the queue.
            told_at = job.recorded.queued_at if is_leaving and not worker.ends_at else None
            seen = replace(worker, ends_at=told_at + job.grace) if told_at else worker
            yield _pod(job.key, seen, request, is_service=False, is_leaving=is_leaving)


def live_replicas(service: Service) -> Iterator[LivePod]:
    """The pods of a service, likewise."""
    gangs = {revision.name: revision.gang for revision in service.revisions}
    places = {(place.serial, place.revision): place.node for place in service.places}
    for pod in service.pods:
        if pod.is_live and pod.node is not None:
            is_in_place = places.get((pod.serial, pod.revision)) == pod.node
            gang = gangs.get(pod.revision) if is_in_place else None
            request = gang.requirements.request if gang else {}
            is_leaving = not is_in_place or service.deleting
            yield _pod(service.key, pod, request, is_service=True, is_leaving=is_leaving)


def _pod(key: Key, pod: Worker | Replica, planned: Mapping[str, int], *, is_service: bool, is_leaving: bool) -> LivePod:
    """What a pod requests on top of what was planned: the defaults of a LimitRange, or of a webhook."""
    beyond = {name: more for name, amount in pod.request.items() if (more := amount - planned.get(name, 0)) > 0}
    frees = {name: planned.get(name, 0) + beyond.get(name, 0) for name in {**planned, **beyond}} if is_leaving else {}
    return LivePod(key, is_service, pod.name, pod.uid, pod.node or "", beyond, is_leaving, frees, pod.ends_at)
