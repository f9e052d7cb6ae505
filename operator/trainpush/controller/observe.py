"""The store as one frozen snapshot, and what each request means in it.

Records of objects that nothing happened to are the very same as before, so that whoever decides can tell.
"""

from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from itertools import starmap
from typing import Generic, TypeVar

from trainpush.admission.jobs import Admission
from trainpush.admission.modes import switching_of
from trainpush.admission.pools import age, quotas_of
from trainpush.admission.scheduling import Priorities, PriorityClass
from trainpush.admission.services import Asked
from trainpush.api.demand import PriorityStatus
from trainpush.api.gpupool import GPUPool
from trainpush.api.quantity import seconds
from trainpush.api.topology import levels_of
from trainpush.controller.node_modes import Switchings, modes_seen, orphans, repairs, with_modes
from trainpush.controller.observed_jobs import ObservedJob, TroubleOf
from trainpush.controller.observed_services import ObservedService
from trainpush.kube.records import OwnerId
from trainpush.kube.store import SeenJob, SeenPool, SeenService, Store
from trainpush.model.fleet import PoolSelector
from trainpush.model.nodes import Ending, Level
from trainpush.model.plan import NodeDecision
from trainpush.model.records import Records
from trainpush.model.serving import Service
from trainpush.model.snapshot import Pool, Snapshot
from trainpush.model.workload import Job, Key, Refusal
from trainpush.status.pool import ModesSeen

T = TypeVar("T", Job, Service)
S = TypeVar("S", SeenJob, SeenService)


@dataclass(frozen=True, slots=True)
class Observation:
    """A snapshot, and the objects that it was made from. What is by key goes on with the next look."""

    snapshot: Snapshot
    jobs: Mapping[Key, SeenJob]
    services: Mapping[Key, SeenService]
    pools: Mapping[str, SeenPool]
    admissions: Mapping[Key, Admission | Refusal]
    workers: Mapping[Key, int]
    """That each job asks for; 0 where it cannot be read."""
    asked: Mapping[Key, Asked | Refusal | None]
    priorities: Mapping[Key, PriorityStatus | None]
    """What the PriorityClass of each service says, or last said."""
    modes: Mapping[str, ModesSeen]
    """By pool, where its nodes have modes."""
    repairs: tuple[NodeDecision, ...]
    """Nodes whose label or taints are not what follows from their mark."""


@dataclass(eq=False)
class _Records(Generic[S, T]):
    """The records of one kind."""

    seen: dict[Key, S] = field(default_factory=dict)
    all: Records[T] = field(default_factory=Records)
    """As of the last look."""
    _keys: dict[str, Key] = field(default_factory=dict)
    """By uid."""
    _put: dict[Key, T] = field(default_factory=dict)
    _gone: set[Key] = field(default_factory=set)

    def put(self, uid: str, seen: S, record: T) -> None:
        """Take the record of an object that is new or changed."""
        key = record.key
        self._keys[uid], self.seen[key], self._put[key] = key, seen, record

    def drop(self, uid: str) -> Key | None:
        """Forget an object that is gone; its key, if nothing of its name is left."""
        key = self._keys.pop(uid, None)
        if key is None or self.seen[key].metadata.uid != uid:
            return None
        del self.seen[key]
        self._gone.add(key)
        return key

    def gather(self) -> Records[T]:
        """Bring `all` up to date."""
        self.all = self.all.changed(self._put.values(), self._gone - self._put.keys())
        self._put, self._gone = {}, set()
        return self.all


class Observer:
    """Looks at a store again and again: only at what was touched since its last look."""

    def __init__(self, store: Store, trouble_of: TroubleOf, proxy_image: str) -> None:
        """Nothing seen yet; `proxy_image` goes into revisions that are made from now on."""
        self._store = store
        self._trouble_of = trouble_of
        self._proxy_image = proxy_image
        self._seen_pools: dict[str, SeenPool] = {}
        self._pools: dict[str, GPUPool] = {}
        """Those that can be read, in order of their names."""
        self._priorities = Priorities()
        self._is_all_new = True
        """Whether every request is to be read anew: pools or priority classes changed."""
        self._jobs: _Records[SeenJob, Job] = _Records()
        self._services: _Records[SeenService, Service] = _Records()
        self._job_parts: dict[Key, ObservedJob] = {}
        self._admissions: dict[Key, Admission | Refusal] = {}
        self._workers: dict[Key, int] = {}
        self._asked: dict[Key, Asked | Refusal | None] = {}
        self._service_priorities: dict[Key, PriorityStatus | None] = {}
        self._followers: defaultdict[Key, set[str]] = defaultdict(set)
        """The uids of the services that take the releases of a job, by its key."""

    def observe(self) -> Observation:
        """What is known now."""
        store = self._store
        self._is_all_new |= self._look_at_pools() | self._look_at_priorities()
        if self._is_all_new:
            store.touched |= {seen.metadata.uid for kind in (store.jobs, store.services) for seen in kind}
        # Not before all were looked at: if something goes wrong, all are looked at again.
        touched = set(store.touched)
        self._look_at_jobs(touched)
        self._look_at_services(touched)
        store.touched.clear()
        self._is_all_new = False
        switchings = {pool.name: switching_of(pool.spec) for pool in self._pools.values()}
        is_readable = len(self._pools) == len(self._seen_pools)
        snapshot = Snapshot(
            pools=tuple(self._divided(switchings)),
            jobs=self._jobs.gather(),
            services=self._services.gather(),
            orphans=orphans(store.fleet, switchings) if is_readable else (),
        )
        return Observation(
            snapshot,
            self._jobs.seen,
            self._services.seen,
            self._seen_pools,
            self._admissions,
            self._workers,
            self._asked,
            self._service_priorities,
            modes_seen(store, switchings),
            repairs(store.fleet, switchings),
        )

    def _look_at_pools(self) -> bool:
        """Whether requests may mean something else by now."""
        seen, before = {it.metadata.name: it for it in self._store.pools}, self._pools
        changed = {name: it.found for name, it in seen.items() if self._seen_pools.get(name) is not it}
        kept = {name: pool for name, pool in before.items() if name in seen and name not in changed}
        found = kept | {name: pool for name, pool in changed.items() if pool}
        self._seen_pools, self._pools = seen, dict(sorted(found.items()))
        return [(it.uid, it.spec) for it in before.values()] != [(it.uid, it.spec) for it in self._pools.values()]

    def _look_at_priorities(self) -> bool:
        rows = self._store.priorities
        classes = {row.name: PriorityClass(row.value, row.preempts) for row in rows}
        # Of several global defaults the lowest counts, as in Kubernetes.
        defaults = sorted((row.value, row.name) for row in rows if row.is_default)
        default = classes[defaults[0][1]] if defaults else None
        before, self._priorities = self._priorities, Priorities(classes, default)
        return before != self._priorities

    def _look_at_jobs(self, touched: set[str]) -> None:
        """Look at the jobs among what was touched; the services that follow them are touched, too."""
        offers = list(self._pools.values())
        for uid in list(touched):
            seen = self._store.jobs.get(uid)
            key = _key(seen) if seen else self._jobs.drop(uid)
            if key is None:
                continue
            followers = self._followers.get(key, ())
            touched.update(followers)
            # If something goes wrong before these were looked at, nothing else would tell of a job that is gone.
            self._store.touched.update(followers)
            if seen is None:
                del self._job_parts[key], self._admissions[key], self._workers[key]
                continue
            parts = self._job_parts.get(key)
            if parts is None or parts.seen is not seen or self._is_all_new:
                parts = self._job_parts[key] = ObservedJob.of(seen, offers, self._priorities)
                self._workers[key] = parts.workers
            job = parts.with_children(self._store, self._trouble_of)
            self._admissions[key] = job.request if isinstance(job.request, Refusal) else parts.admission
            self._jobs.put(uid, seen, job)

    def _look_at_services(self, touched: set[str]) -> None:
        offers = list(self._pools.values())
        for uid in touched:
            seen = self._store.services.get(uid)
            key = _key(seen) if seen else self._services.drop(uid)
            if key is None:
                continue
            if before := self._services.all.get(key):
                self._follow_no_more(before)
            if seen is None:
                del self._asked[key], self._service_priorities[key]
                continue
            looked = ObservedService(seen, self._store, offers, self._priorities, self._proxy_image)
            self._asked[key] = wanted = looked.asked(self._jobs.seen)
            self._service_priorities[key] = looked.priority
            service = looked.service(wanted, self._trouble_of)
            self._services.put(uid, seen, service)
            if service.follows:
                self._followers[_followed(service)].add(uid)

    def _follow_no_more(self, service: Service) -> None:
        followers = self._followers[_followed(service)]
        followers.discard(service.uid)
        if not followers:
            del self._followers[_followed(service)]

    def _divided(self, switchings: Switchings) -> list[Pool]:
        """Pools with their nodes; a node that several match belongs to the oldest."""
        fleet = self._store.fleet
        fleet.divide(
            [
                PoolSelector(pool.name, pool.spec.node_selector, tuple(starmap(Level, levels_of(pool.spec.topology))))
                for pool in sorted(self._pools.values(), key=age)
            ]
        )
        return [
            with_modes(self._pool(pool), fleet, switchings[name], self._seen_pools[name].record)
            for name, pool in self._pools.items()
        ]

    def _is_made_anew(self, pod: Ending, pool: str) -> bool:
        """Whether what a pod gives back is taken again at once, by the next one of its DaemonSet or its node."""
        store, daemon = self._store, self._store.daemons.get(pod.maker)
        if daemon:
            return not daemon.is_deleting and store.fleet.has_one_with(pool, daemon.selector)
        return store.nodes.get(pod.maker) is not None

    def _pool(self, pool: GPUPool) -> Pool:
        fleet, store = self._store.fleet, self._store
        return Pool(
            name=pool.name,
            accelerators=tuple(pool.spec.accelerator_resources),
            table=fleet.table(pool.name),
            ending=tuple(pod for pod in fleet.ending(pool.name) if not self._is_made_anew(pod, pool.name)),
            quotas=quotas_of(pool),
            capacity_preference=tuple(pool.spec.capacity_preference),
            linked={entry.product: entry.size for entry in pool.spec.linked_accelerators},
            keep_place=timedelta(seconds=seconds(pool.spec.lost_nodes.keep_place)),
            shared_nodes=fleet.shared(pool.name),
            unlabelled_nodes=fleet.unlabelled(pool.name),
            prepull_pods=tuple(
                sorted(store.prepull_pods.of(OwnerId(pool.uid, store.home)), key=lambda pod: (pod.name, pod.uid))
            ),
            trouble=self._trouble_of(pool.uid),
        )


def observe(store: Store, trouble_of: TroubleOf, proxy_image: str) -> Observation:
    """What is known now, seen for the first time."""
    return Observer(store, trouble_of, proxy_image).observe()


def _key(seen: SeenJob | SeenService) -> Key:
    return Key(seen.metadata.namespace, seen.metadata.name)


def _followed(service: Service) -> Key:
    return Key(service.key.namespace, service.follows)
