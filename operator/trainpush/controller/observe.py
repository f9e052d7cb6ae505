"""The store as one frozen snapshot, and what each request means in it."""

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from itertools import starmap

from trainpush.admission.jobs import Admission, admit
from trainpush.admission.modes import switching_of
from trainpush.admission.pools import age, quotas_of
from trainpush.admission.scheduling import Priorities, is_asked, min_runtime_of, preemption_of
from trainpush.admission.services import Asked, asked, replica_gang
from trainpush.api import names
from trainpush.api.gpupool import GPUPool
from trainpush.api.inferenceservice import InferenceService
from trainpush.api.quantity import seconds
from trainpush.api.topology import levels_of
from trainpush.api.trainpushjob import TrainPushJob
from trainpush.controller.node_modes import Switchings, modes_seen, orphans, repairs, with_modes
from trainpush.kube.children import OwnedRow, RevisionRow
from trainpush.kube.records import OwnerId
from trainpush.kube.store import SeenJob, SeenPool, SeenService, Store
from trainpush.model.fleet import PoolSelector
from trainpush.model.nodes import Level
from trainpush.model.plan import NodeDecision
from trainpush.model.reasons import Reason
from trainpush.model.serving import Revision, Service
from trainpush.model.snapshot import Pool, Snapshot
from trainpush.model.workload import Export, Job, Key, Preemption, Push, Refusal
from trainpush.render.export import export_name
from trainpush.status.job import read_push
from trainpush.status.pool import ModesSeen

TroubleOf = Callable[[str], str]
"""Tells by uid what the API server last refused."""


@dataclass(frozen=True, slots=True)
class _Made:
    """Priority classes, and what was made for jobs and services, by owner: looked up often, so put together once."""

    priorities: Priorities
    exports: Mapping[OwnerId, tuple[Export, ...]]
    releases: Mapping[OwnerId, Sequence[RevisionRow]]
    """By number."""
    endpoints: Collection[tuple[OwnerId, str]]
    budgets: Mapping[tuple[OwnerId, str], OwnedRow]


@dataclass(frozen=True, slots=True)
class Observation:
    """A snapshot, and the objects that it was made from."""

    snapshot: Snapshot
    jobs: Mapping[Key, SeenJob]
    services: Mapping[Key, SeenService]
    pools: Mapping[str, SeenPool]
    admissions: Mapping[Key, Admission | Refusal]
    asked: Mapping[Key, Asked | Refusal | None]
    modes: Mapping[str, ModesSeen]
    """By pool, where its nodes have modes."""
    repairs: tuple[NodeDecision, ...]
    """Nodes whose label or taints are not what follows from their mark."""


def observe(store: Store, trouble_of: TroubleOf, proxy_image: str) -> Observation:
    """What is known now; `proxy_image` goes into revisions that are made now."""
    pools = {seen.metadata.name: seen for seen in store.pools}
    offers = [seen.found for _, seen in sorted(pools.items()) if seen.found]
    switchings = {pool.name: switching_of(pool.spec) for pool in offers}
    jobs = {_key(seen): seen for seen in store.jobs}
    services = {_key(seen): seen for seen in store.services}
    made = _made(store)
    admissions = {
        key: admit(seen.found, offers, made.priorities) if seen.found else Refusal(Reason.INVALID_SPEC, seen.fault)
        for key, seen in jobs.items()
    }
    wanted = {key: _asked(seen, offers, jobs, made, proxy_image) for key, seen in services.items()}
    snapshot = Snapshot(
        pools=tuple(_pools(store, pools, switchings, trouble_of)),
        jobs=tuple(_job(key, jobs[key], admissions[key], store, made, trouble_of) for key in sorted(jobs)),
        services=tuple(_service(key, services[key], wanted[key], store, made, trouble_of) for key in sorted(services)),
        orphans=orphans(store.fleet, switchings) if len(offers) == len(pools) else (),
    )
    modes = modes_seen(store, switchings)
    return Observation(snapshot, jobs, services, pools, admissions, wanted, modes, repairs(store.fleet, switchings))


def _key(seen: SeenJob | SeenService) -> Key:
    return Key(seen.metadata.namespace, seen.metadata.name)


def _made(store: Store) -> _Made:
    # Of several global defaults the lowest counts, as in Kubernetes.
    default = min((row.value for row in store.priorities if row.is_default), default=0)
    releases: dict[OwnerId, list[RevisionRow]] = {}
    for row in sorted(store.revisions, key=lambda row: (row.number, row.name)):
        releases.setdefault(row.owner, []).append(row)
    return _Made(
        priorities=Priorities({row.name: row.value for row in store.priorities}, default),
        exports=_exports(store),
        releases=releases,
        endpoints={(row.owner, row.name) for row in store.endpoints},
        budgets={(row.owner, row.name): row for row in store.budgets},
    )


def _exports(store: Store) -> Mapping[OwnerId, tuple[Export, ...]]:
    """The Jobs that export, by the job whose model it is."""
    made: dict[OwnerId, list[Export]] = {}
    for row in store.exports:
        pods = sorted(store.exporters.of(row.identity), key=lambda pod: pod.uid)
        digest = next((pod.digest for pod in pods if pod.digest), "")
        said = next((pod.message for pod in pods if pod.message), "")
        made.setdefault(row.owner, []).append(Export(row.name, row.state, said or row.message, digest))
    return {owner: tuple(sorted(exports, key=lambda export: export.name)) for owner, exports in made.items()}


def _asked(
    seen: SeenService,
    offers: Sequence[GPUPool],
    jobs: Mapping[Key, SeenJob],
    made: _Made,
    proxy_image: str,
) -> Asked | Refusal | None:
    if seen.found is None:
        return Refusal(Reason.INVALID_SPEC, seen.fault)
    # What serves already goes on, whatever became of its class.
    if not _stable(seen) and (fault := made.priorities.fault(seen.found.spec.scheduling.priority_class_name)):
        return fault
    source = jobs.get(Key(seen.metadata.namespace, _follows(seen.found)))
    released = [Asked(row.name, row.data) for row in made.releases.get(seen.owner, [])]
    return asked(seen.found, offers, source.found if source else None, released, _stable(seen), proxy_image)


def _stable(seen: SeenService) -> str:
    """The revision that serves: what the annotation says, else the status."""
    return seen.metadata.annotations.get(names.ANNOTATION_STABLE) or seen.record.stable


def _follows(service: InferenceService | None) -> str:
    source = service.spec.model.source if service else None
    return source.train_push_job if source else ""


def _pools(store: Store, pools: Mapping[str, SeenPool], switchings: Switchings, trouble_of: TroubleOf) -> list[Pool]:
    """Pools with their nodes; a node that several match belongs to the oldest."""
    fleet = store.fleet
    known = [(pool, seen.record) for _, seen in sorted(pools.items()) if (pool := seen.found)]
    fleet.divide(
        [
            PoolSelector(pool.name, pool.spec.node_selector, tuple(starmap(Level, levels_of(pool.spec.topology))))
            for pool in sorted((pool for pool, _ in known), key=age)
        ]
    )
    return [
        with_modes(_pool(pool, store, trouble_of), fleet, switchings[pool.name], history) for pool, history in known
    ]


def _pool(pool: GPUPool, store: Store, trouble_of: TroubleOf) -> Pool:
    fleet = store.fleet
    return Pool(
        name=pool.name,
        accelerators=tuple(pool.spec.accelerator_resources),
        table=fleet.table(pool.name),
        quotas=quotas_of(pool),
        capacity_preference=tuple(pool.spec.capacity_preference),
        linked={entry.product: entry.size for entry in pool.spec.linked_accelerators},
        shared_nodes=fleet.shared(pool.name),
        unlabelled_nodes=fleet.unlabelled(pool.name),
        prepull_pods=tuple(
            sorted(store.prepull_pods.of(OwnerId(pool.uid, store.home)), key=lambda pod: (pod.name, pod.uid))
        ),
        trouble=trouble_of(pool.uid),
    )


def _job(
    key: Key,
    seen: SeenJob,
    admission: Admission | Refusal,
    store: Store,
    made: _Made,
    trouble_of: TroubleOf,
) -> Job:
    metadata, job = seen.metadata, seen.found
    workers = tuple(sorted(store.workers.of(seen.owner), key=lambda w: (w.attempt, w.rank, w.uid)))
    told = (store.reports.get(worker.uid) for worker in reversed(workers) if worker.attempt <= seen.record.attempt)
    return Job(
        key=key,
        uid=metadata.uid,
        created_at=metadata.created_at,
        request=admission if isinstance(admission, Refusal) else admission.gang,
        priority=made.priorities.of(job.spec.scheduling.priority_class_name if job else None),
        preemption=preemption_of(job.spec) if job else Preemption.NEVER,
        min_runtime=min_runtime_of(job.spec) if job else timedelta(0),
        suspend=bool(job and job.spec.suspend),
        deleting=metadata.deletion_timestamp is not None,
        max_restarts=job.spec.failure_policy.max_restarts if job else 0,
        is_asked=is_asked(job.spec) if job else False,
        grace=timedelta(seconds=seconds(job.grace_period)) if job else timedelta(0),
        recorded=seen.record,
        heard=next(filter(None, told), None),
        left=store.last_words.get(seen.owner),
        workers=workers,
        trouble=trouble_of(metadata.uid),
        push=_push(job, admission) if job else None,
        exports=made.exports.get(seen.owner, ()),
    )


def _push(job: TrainPushJob, admission: Admission | Refusal) -> Push | None:
    push = job.spec.push
    if push is None or isinstance(admission, Refusal):
        return None
    name = export_name(job, admission.resolved)
    done = read_push(job.status)
    digest = done.digest if done and done.export == name else ""
    return Push(
        target=push.target.inference_service,
        export=name,
        uri=push.export.uri.rstrip("/"),
        digest=digest,
        is_new=done is None,
        over=Refusal(done.reason, done.message) if done and done.is_over and digest else None,
        revision=done.revision if done else "",
    )


def _service(
    key: Key,
    seen: SeenService,
    wanted: Asked | Refusal | None,
    store: Store,
    made: _Made,
    trouble_of: TroubleOf,
) -> Service:
    metadata, owner, found, record = seen.metadata, seen.owner, seen.found, seen.record
    budget = made.budgets.get((owner, key.name))
    kept = budget.min_available if budget else None
    return Service(
        key=key,
        uid=metadata.uid,
        created_at=metadata.created_at,
        request=wanted.name if isinstance(wanted, Asked) else wanted,
        replicas=found.spec.replicas if found else len(record.places),
        min_available=found.spec.min_available if found else kept or 0,
        priority=made.priorities.of(found.spec.scheduling.priority_class_name if found else None),
        is_readable=found is not None,
        follows=_follows(found),
        deleting=metadata.deletion_timestamp is not None,
        stable=_stable(seen),
        is_new=record.is_new,
        places=record.places,
        revisions=tuple(_revision(row) for row in made.releases.get(owner, [])),
        pods=tuple(sorted(store.replicas.of(owner), key=lambda pod: (pod.serial, pod.uid))),
        has_endpoint=(owner, key.name) in made.endpoints,
        budget=kept,
        trouble=trouble_of(metadata.uid),
    )


def _revision(row: RevisionRow) -> Revision:
    made_by = row.data.provenance.job_uid if row.data.provenance else ""
    model = row.data.model
    return Revision(row.name, row.uid, row.number, replica_gang(row.data), model.uri, model.digest or "", made_by)
