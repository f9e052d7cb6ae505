"""Who holds what on the nodes of a pool: worked out once, for whoever asks.

A placed gang, or a placed replica, holds its whole place from the decision to its end, whether its pods exist yet or
not. Other live pods of ours, leftovers, count where they are bound.
"""

from collections import Counter, defaultdict
from collections.abc import Collection, Container, Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from itertools import chain
from typing import Final, NamedTuple

import numpy as np

from trainpush.model.gang import Gang
from trainpush.model.nodes import AMOUNT_MAX, Amounts, NodeTable
from trainpush.model.serving import Replica, Service
from trainpush.model.snapshot import Pool
from trainpush.model.workload import Job, Key, Placement, Preemption, Worker
from trainpush.planner import ledger
from trainpush.planner.diagnostics.causes import Cause

HELD_MAX: Final = AMOUNT_MAX >> 6
"""More than this nobody holds on one node, so that sums stay in range."""


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
    """One per worker, in rank order."""
    is_leaving: bool
    """Whether it is about to end, and gives its place back."""

    @property
    def shape(self) -> tuple[tuple[str, ...], Mapping[str, int]]:
        """Nodes, and what is held on each, in thousandths."""
        return self.nodes, self.gang.requirements.request


@dataclass(frozen=True, slots=True)
class GangAllocation(Allocation):
    """The place of a gang."""

    job: Job
    place: Placement

    def lost(self, now: datetime) -> int:
        """Accelerator-seconds since this attempt last saved, or since it began."""
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
        until = max(self.place.since + self.job.min_runtime, self.place.protected_until or self.place.since)
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
    """What it takes beyond the place that it stands in, in thousandths: all that it requests, where it has none."""
    is_leaving: bool
    """Whether that will soon be free."""

    @property
    def shape(self) -> tuple[tuple[str, ...], Mapping[str, int]]:
        """Its node, and what it takes there, in thousandths."""
        return (self.node,), self.request


class Allocations:
    """All that jobs and services hold, on nodes of whatever pool. What is told of changes is mended, not made anew."""

    def __init__(self) -> None:
        """Nobody holds anything yet."""
        self.jobs: dict[Key, Job] = {}
        self.services: dict[Key, Service] = {}
        self.evicted: dict[Key, Job] = {}
        """The jobs of which something is being taken, or was."""
        self._gangs: defaultdict[str, dict[Key, GangAllocation]] = defaultdict(dict)
        """By pool."""
        self._elastic: defaultdict[str, dict[Key, GangAllocation]] = defaultdict(dict)
        """By pool, those of several legal sizes."""
        self._ranks: defaultdict[str, Counter[tuple[str, int]]] = defaultdict(Counter)
        """By pool, how many gangs of each namespace and priority there are."""
        self._replicas: dict[Key, tuple[Allocation, ...]] = {}
        self._pods: dict[Owner, tuple[LivePod, ...]] = {}
        self._charged: defaultdict[str, NamespaceUse] = defaultdict(NamespaceUse)
        """By pool."""
        self._amounts: dict[str, HeldAmounts] = {}
        """By pool."""

    @classmethod
    def of(cls, jobs: Iterable[Job], services: Iterable[Service]) -> "Allocations":
        """What was decided in earlier cycles, and what there is."""
        made = cls()
        for job in jobs:
            made.put_job(job)
        for service in services:
            made.put_service(service)
        return made

    def put_job(self, job: Job) -> None:
        """Take a job that is new or changed."""
        self.drop_job(job.key)
        self.jobs[job.key] = job
        if job.recorded.eviction:
            self.evicted[job.key] = job
        if isinstance(job.request, Gang) and job.recorded.placement and not job.recorded.outcome:
            pool = job.request.pool
            self._gangs[pool][job.key] = held = gang_at(job, job.request, job.recorded.placement)
            if held.gang.sizes:
                self._elastic[pool][job.key] = held
            self._ranks[pool][job.key.namespace, job.priority] += 1
            self._count(held, +1)
        self._put_pods(Owner(job.key, is_service=False), tuple(_workers(job)))

    def drop_job(self, key: Key) -> None:
        """Forget a job, if it is known."""
        if (job := self.jobs.pop(key, None)) is None:
            return
        self.evicted.pop(key, None)
        if isinstance(job.request, Gang) and (held := self._gangs[job.request.pool].pop(key, None)):
            self._elastic[job.request.pool].pop(key, None)
            ranks, rank = self._ranks[job.request.pool], (key.namespace, job.priority)
            ranks[rank] -= 1
            if not ranks[rank]:
                del ranks[rank]
            self._count(held, -1)
        self._put_pods(Owner(key, is_service=False), ())

    def put_service(self, service: Service) -> None:
        """Take a service that is new or changed."""
        self.drop_service(service.key)
        self.services[service.key] = service
        if replicas := tuple(_replicas(service)):
            self._replicas[service.key] = replicas
            for held in replicas:
                self._count(held, +1)
        self._put_pods(Owner(service.key, is_service=True), tuple(_pods(service)))

    def drop_service(self, key: Key) -> None:
        """Forget a service, if it is known."""
        self.services.pop(key, None)
        for held in self._replicas.pop(key, ()):
            self._count(held, -1)
        self._put_pods(Owner(key, is_service=True), ())

    @property
    def pods(self) -> Iterator[LivePod]:
        """All pods of ours that are bound and live."""
        return chain.from_iterable(self._pods.values())

    @property
    def replicas(self) -> Iterator[Allocation]:
        """The places of all replicas."""
        return chain.from_iterable(self._replicas.values())

    def gangs_of(self, pool: str) -> Mapping[Key, GangAllocation]:
        """The places of the gangs of a pool."""
        return self._gangs.get(pool, {})

    def elastic_of(self, pool: str) -> Mapping[Key, GangAllocation]:
        """Those of them that have several legal sizes."""
        return self._elastic.get(pool, {})

    def ranks_of(self, pool: str) -> Collection[tuple[str, int]]:
        """Namespaces and priorities of the gangs of a pool."""
        return self._ranks.get(pool, {}).keys()

    def charged(self, pool: str) -> Mapping[str, Mapping[str, int]]:
        """What the gangs and replicas of each namespace hold of a pool, in thousandths by resource."""
        return self._charged[pool].amounts

    def amounts(self, pool: Pool) -> tuple[Amounts, Amounts]:
        """What is used of a pool, by others too, and what of that will soon be free.

        Shape (resources, nodes), thousandths.
        """
        table, amounts = pool.table, self._amounts.get(pool.name)
        if amounts is None or not amounts.is_of(table):
            amounts = self._amounts[pool.name] = HeldAmounts(table)
            for held in self._held():
                amounts.count(held, +1)
            for pod in self.pods:
                amounts.count(pod, +1)
        return amounts.used(table), amounts.leaving.copy()

    def forget_pools_but(self, pools: Container[str]) -> None:
        """Keep the amounts of these pools only: there are no others any more."""
        self._amounts = {name: amounts for name, amounts in self._amounts.items() if name in pools}

    def _held(self) -> Iterator[Allocation]:
        return chain(chain.from_iterable(gangs.values() for gangs in self._gangs.values()), self.replicas)

    def _count(self, held: Allocation, sign: int) -> None:
        self._charged[held.gang.pool].add(held, sign)
        for amounts in self._amounts.values():
            amounts.count(held, sign)

    def _put_pods(self, owner: Owner, pods: tuple[LivePod, ...]) -> None:
        for sign, some in ((-1, self._pods.pop(owner, ())), (+1, pods)):
            for pod in some:
                for amounts in self._amounts.values():
                    amounts.count(pod, sign)
        if pods:
            self._pods[owner] = pods


class NamespaceUse:
    """What each namespace holds of one pool."""

    def __init__(self) -> None:
        """Nothing yet."""
        self.amounts: defaultdict[str, Counter[str]] = defaultdict(Counter)
        """In thousandths, by namespace and resource."""

    def add(self, held: Allocation, sign: int) -> None:
        """Count a place once more, or once less."""
        amounts = self.amounts[held.key.namespace]
        for resource, amount in held.gang.requirements.request.items():
            amounts[resource] += sign * amount * len(held.nodes)
        if not any(amounts.values()):
            del self.amounts[held.key.namespace]


class HeldAmounts:
    """What ours hold of the nodes of one pool, as long as these are the same."""

    def __init__(self, table: NodeTable) -> None:
        """Nothing yet."""
        self._rows, self._resources = table.rows, table.resources
        self._held = np.zeros_like(table.used)
        self.leaving = np.zeros_like(table.used)
        """What of it will soon be free."""

    def is_of(self, table: NodeTable) -> bool:
        """Whether the nodes and resources of `table` are these."""
        return self._rows is table.rows and self._resources == table.resources

    def used(self, table: NodeTable) -> Amounts:
        """What is used of the nodes by anybody."""
        used: Amounts = np.minimum(self._held + table.used, AMOUNT_MAX)
        return used

    def count(self, entry: Allocation | LivePod, sign: int) -> None:
        """Count a place, or what a pod takes beyond its place, once more or once less."""
        nodes, request = entry.shape
        by_row = ledger.counts(nodes, self._rows)
        for name, amount in request.items() if by_row else ():
            if name in self._resources:
                line = self._resources.index(name)
                for row, workers in by_row.items():
                    # So that the sum of all that one node can hold is in range.
                    more = sign * min(amount * workers, HELD_MAX)
                    self._held[line, row] += more
                    if entry.is_leaving:
                        self.leaving[line, row] += more


def gang_at(job: Job, gang: Gang, place: Placement) -> GangAllocation:
    """What a gang holds with this place."""
    is_leaving = job.deleting or job.suspend
    return GangAllocation(
        job.key, is_service=False, gang=gang, nodes=place.nodes, is_leaving=is_leaving, job=job, place=place
    )


def _replicas(service: Service) -> Iterator[Allocation]:
    gangs = {revision.name: revision.gang for revision in service.revisions}
    places = {(place.serial, place.revision): place for place in service.places if place.revision in gangs}
    key = service.key
    return (
        Allocation(key, is_service=True, gang=gangs[place.revision], nodes=(place.node,), is_leaving=False)
        for place in places.values()
    )


def _workers(job: Job) -> Iterator[LivePod]:
    place = None if job.recorded.outcome else job.recorded.placement
    for worker in job.workers:
        if worker.is_live and worker.node is not None:
            is_in_place = place is not None and place.nodes[worker.rank : worker.rank + 1] == (worker.node,)
            # A pod that no plan reckons with will soon be gone, unless it is kept since nobody understands its job.
            request = job.request.requirements.request if is_in_place and isinstance(job.request, Gang) else {}
            yield _pod(job.key, worker, request, is_service=False, is_leaving=not is_in_place)


def _pods(service: Service) -> Iterator[LivePod]:
    gangs = {revision.name: revision.gang for revision in service.revisions}
    places = {(place.serial, place.revision): place.node for place in service.places}
    for pod in service.pods:
        if pod.is_live and pod.node is not None:
            is_in_place = places.get((pod.serial, pod.revision)) == pod.node
            gang = gangs.get(pod.revision) if is_in_place else None
            request = gang.requirements.request if gang else {}
            yield _pod(service.key, pod, request, is_service=True, is_leaving=not is_in_place)


def _pod(key: Key, pod: Worker | Replica, planned: Mapping[str, int], *, is_service: bool, is_leaving: bool) -> LivePod:
    """What a pod requests on top of what was planned: the defaults of a LimitRange, or of a webhook."""
    beyond = {name: more for name, amount in pod.request.items() if (more := amount - planned.get(name, 0)) > 0}
    return LivePod(key, is_service, pod.name, pod.uid, pod.node or "", beyond, is_leaving)
