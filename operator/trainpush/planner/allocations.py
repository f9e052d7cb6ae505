"""Who holds what on the nodes of a pool: worked out once, for whoever asks, and mended where something changes.

A placed gang, or a placed replica, holds its whole place from the decision until it is told to end, whether its pods
exist yet or not; then it holds what its pods hold. Other live pods of ours, leftovers, count where they are bound.
"""

from collections import Counter, defaultdict
from collections.abc import Container, Iterable, Iterator, Mapping, Sequence
from datetime import datetime
from itertools import chain

from trainpush.model.gang import Gang
from trainpush.model.nodes import Amounts
from trainpush.model.serving import Service
from trainpush.model.snapshot import Pool
from trainpush.model.workload import Eviction, Job, Key
from trainpush.planner import ledger, lifecycle, terminations
from trainpush.planner.diagnostics.holders import HolderId, Holding, HoldingBook
from trainpush.planner.held_amounts import HeldAmounts, NamespaceUse
from trainpush.planner.places import (
    Allocation,
    GangAllocation,
    LivePod,
    Owner,
    gang_at,
    live_replicas,
    live_workers,
    replicas_of,
)


class Allocations:
    """All that jobs and services hold, on nodes of whatever pool. What is told of changes is mended, not made anew."""

    def __init__(self) -> None:
        """Nobody holds anything yet."""
        self.jobs: dict[Key, Job] = {}
        self.services: dict[Key, Service] = {}
        self.evicted: dict[Key, Job] = {}
        """The jobs of which something is being taken, or was."""
        self._gangs: dict[Key, GangAllocation] = {}
        self._begun: defaultdict[str, dict[Key, GangAllocation]] = defaultdict(dict)
        """By pool, those that go on and have begun."""
        self._placed: defaultdict[str, dict[Key, GangAllocation]] = defaultdict(dict)
        """By pool, those that go on and have not begun yet."""
        self._elastic: defaultdict[str, dict[Key, GangAllocation]] = defaultdict(dict)
        """By pool, those of several legal sizes."""
        self._ranks: defaultdict[str, Counter[tuple[str, int]]] = defaultdict(Counter)
        """By pool, how many gangs of each namespace and priority there are."""
        self._replicas: dict[Key, tuple[Allocation, ...]] = {}
        self._pods: dict[Owner, tuple[LivePod, ...]] = {}
        self._ending: dict[Owner, tuple[LivePod, ...]] = {}
        """Those of them that are being deleted and leave."""
        self._charged: defaultdict[str, NamespaceUse] = defaultdict(NamespaceUse)
        """By pool."""
        self._amounts: dict[str, HeldAmounts] = {}
        """By pool."""
        self._books: dict[str, HoldingBook] = {}
        """By pool, who holds what of its nodes: services and gangs of any pool, but those that have not begun yet."""

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
            self._put_gang(gang_at(job, job.request, job.recorded.placement))
        self._put_pods(Owner(job.key, is_service=False), tuple(live_workers(job)))

    def drop_job(self, key: Key) -> None:
        """Forget a job, if it is known."""
        if self.jobs.pop(key, None) is None:
            return
        self.evicted.pop(key, None)
        if held := self._gangs.pop(key, None):
            self._drop_gang(held)
        self._put_pods(Owner(key, is_service=False), ())

    def put_service(self, service: Service) -> None:
        """Take a service that is new or changed."""
        self.drop_service(service.key)
        self.services[service.key] = service
        if replicas := tuple(replicas_of(service)):
            self._replicas[service.key] = replicas
            for held in replicas:
                self._count(held, +1)
        self._note(service.key, replicas, is_service=True)
        self._put_pods(Owner(service.key, is_service=True), tuple(live_replicas(service)))

    def drop_service(self, key: Key) -> None:
        """Forget a service, if it is known."""
        self.services.pop(key, None)
        for held in self._replicas.pop(key, ()):
            self._count(held, -1)
        self._note(key, (), is_service=True)
        self._put_pods(Owner(key, is_service=True), ())

    def carried_out(self) -> Mapping[str, Mapping[str, Eviction]]:
        """What was done to whom for the sake of each gang, by the names of both."""
        found: dict[str, dict[str, Eviction]] = {}
        for _, job in sorted(self.evicted.items()):
            if (told := job.recorded.eviction) and told.is_done:
                found.setdefault(told.by, {})[str(job.key)] = told
        return found

    @property
    def gangs(self) -> Iterator[GangAllocation]:
        """The places of all gangs."""
        return iter(self._gangs.values())

    @property
    def pods(self) -> Iterator[LivePod]:
        """All pods of ours that are bound and live."""
        return chain.from_iterable(self._pods.values())

    @property
    def _own_ending(self) -> Iterator[LivePod]:
        return chain.from_iterable(self._ending.values())

    @property
    def replicas(self) -> Iterator[Allocation]:
        """The places of all replicas."""
        return chain.from_iterable(self._replicas.values())

    def begun_of(self, pool: str) -> Mapping[Key, GangAllocation]:
        """The gangs of a pool that have begun and go on: they keep their place, whatever becomes of its nodes."""
        return self._begun.get(pool, {})

    def placed_of(self, pool: str) -> Mapping[Key, GangAllocation]:
        """The gangs of a pool that have a place, and have not begun there."""
        return self._placed.get(pool, {})

    def book_of(self, pool: Pool) -> HoldingBook:
        """What services, and gangs but those that have not begun yet, hold on the nodes of a pool."""
        book = self._books.get(pool.name)
        if book is None or book.rows is not pool.table.rows or book.resources != pool.table.resources:
            book = self._books[pool.name] = HoldingBook(pool.table)
            for held in self._gangs.values():
                if held.key not in self.placed_of(held.gang.pool):
                    _write(book, held.key, [held], is_service=False)
            for key, replicas in self._replicas.items():
                _write(book, key, replicas, is_service=True)
        return book

    def elastic_of(self, pool: str) -> Mapping[Key, GangAllocation]:
        """The gangs of a pool that go on and have several legal sizes."""
        return self._elastic.get(pool, {})

    def ranks_of(self, pool: str) -> Mapping[tuple[str, int], int]:
        """How many gangs of a pool there are of each namespace and priority."""
        return self._ranks.get(pool, {})

    def charged(self, pool: str) -> Mapping[str, Mapping[str, int]]:
        """What the gangs and replicas of each namespace hold of a pool and keep, by resource as `counted`."""
        return self._charged[pool].amounts

    def used(self, pool: Pool) -> Amounts:
        """What is used of a pool, by others too; shape (resources, nodes)."""
        return self._amounts_of(pool).used(pool.table)

    def coming(self, pool: Pool, now: datetime) -> Amounts:
        """What of that will soon be free."""
        table, leaving = pool.table, self._amounts_of(pool).leaving.copy()
        hanging = (pod for pod in self._own_ending if not terminations.is_coming(pod.ends_at, now))
        for pod in hanging:
            ledger.give_back(table, leaving, ledger.counts((pod.node,), table.rows), pod.frees)
        for other in pool.ending:
            if terminations.is_coming(other.ends_at, now):
                ledger.take(table, leaving, ledger.counts((other.node,), table.rows), other.request)
        return leaving

    def due(self, pools: Iterable[Pool], now: datetime) -> Iterator[datetime | None]:
        """When pods that are ending count otherwise than they do now."""
        for own in self._own_ending:
            yield terminations.changes_at(own.ends_at, now)
        for other in chain.from_iterable(pool.ending for pool in pools):
            yield terminations.changes_at(other.ends_at, now)

    def _amounts_of(self, pool: Pool) -> HeldAmounts:
        table, amounts = pool.table, self._amounts.get(pool.name)
        if amounts is None or not amounts.is_of(table):
            amounts = self._amounts[pool.name] = HeldAmounts(table)
            for gang in self._gangs.values():
                amounts.count(gang, +1)
            for replica in self.replicas:
                amounts.count(replica, +1)
            for pod in self.pods:
                amounts.count(pod, +1)
        return amounts

    def forget_pools_but(self, pools: Container[str]) -> None:
        """Keep the amounts of these pools only: there are no others any more."""
        self._amounts = {name: amounts for name, amounts in self._amounts.items() if name in pools}
        self._books = {name: book for name, book in self._books.items() if name in pools}

    def lasting(self, pool: Pool) -> Amounts:
        """What nobody may expect to end: what services hold, and gangs that make no room for anybody.

        After `used`, and as that; gangs that have a place and have not begun are left out.
        """
        return self._amounts[pool.name].lasting.copy()

    def _put_gang(self, held: GangAllocation) -> None:
        key, pool = held.key, held.gang.pool
        self._gangs[key] = held
        self._count(held, +1)
        if held.is_leaving or lifecycle.has_succeeded(held.job):
            self._note(key, [held], is_service=False)
            return
        self._ranks[pool][key.namespace, held.job.priority] += 1
        if held.gang.sizes:
            self._elastic[pool][key] = held
        if lifecycle.has_begun(held.job):
            self._begun[pool][key] = held
            self._note(key, [held], is_service=False)
        else:
            self._placed[pool][key] = held

    def _drop_gang(self, held: GangAllocation) -> None:
        key, pool = held.key, held.gang.pool
        self._count(held, -1)
        self._elastic[pool].pop(key, None)
        self._note(key, (), is_service=False)
        if self._begun[pool].pop(key, None) or self._placed[pool].pop(key, None):
            ranks, rank = self._ranks[pool], (key.namespace, held.job.priority)
            ranks[rank] -= 1
            if not ranks[rank]:
                del ranks[rank]

    def _note(self, key: Key, held: Sequence[Allocation], *, is_service: bool) -> None:
        for book in self._books.values():
            _write(book, key, held, is_service=is_service)

    def _count(self, held: Allocation, sign: int) -> None:
        if not held.is_leaving:
            self._charged[held.gang.pool].add(held, sign)
        for amounts in self._amounts.values():
            amounts.count(held, sign)

    def _put_pods(self, owner: Owner, pods: tuple[LivePod, ...]) -> None:
        for sign, some in ((-1, self._pods.pop(owner, ())), (+1, pods)):
            for pod in some:
                for amounts in self._amounts.values():
                    amounts.count(pod, sign)
        self._ending.pop(owner, None)
        if ending := tuple(pod for pod in pods if pod.ends_at and pod.is_leaving):
            self._ending[owner] = ending
        if pods:
            self._pods[owner] = pods


def _write(book: HoldingBook, key: Key, held: Iterable[Allocation], *, is_service: bool) -> None:
    book.put(HolderId(str(key), is_service), (holding(it, book.rows) for it in held))


def holding(held: Allocation, rows: Mapping[str, int]) -> Holding:
    """A place as who holds what looks at it."""
    by_row = ledger.counts(held.nodes, rows)
    return Holding(str(held.key), held.gang.requirements.request, by_row, held.is_service)
