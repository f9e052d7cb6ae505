"""The store as one frozen snapshot, and what each request means in it."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from trainpush.api.gpupool import GPUPool
from trainpush.api.topology import levels_of
from trainpush.api.trainpushjob import JobStatus
from trainpush.intake.admission import Admission, admit, age
from trainpush.intake.convert import recorded
from trainpush.kube.records import JobId
from trainpush.kube.store import Seen, Store
from trainpush.model.nodes import Level, Node, node_table
from trainpush.model.reasons import Reason
from trainpush.model.snapshot import Pool, Snapshot
from trainpush.model.workload import Job, Key, Refusal


@dataclass(frozen=True, slots=True)
class Observation:
    """A snapshot, and the objects that it was made from."""

    snapshot: Snapshot
    jobs: Mapping[Key, Seen]
    pools: Mapping[str, Seen]
    admissions: Mapping[Key, Admission | Refusal]


def observe(store: Store, trouble_of: Callable[[str], str]) -> Observation:
    """What is known now; `trouble_of` tells by uid what the API server last refused."""
    pools = {seen.metadata.name: seen for seen in store.pools}
    offers = [seen.pool for _, seen in sorted(pools.items()) if seen.pool]
    jobs = {Key(seen.metadata.namespace, seen.metadata.name): seen for seen in store.jobs}
    admissions = {key: _admission(seen, offers) for key, seen in jobs.items()}
    snapshot = Snapshot(
        pools=tuple(_pools(store, offers)),
        jobs=tuple(_job(key, jobs[key], admissions[key], store, trouble_of) for key in sorted(jobs)),
    )
    return Observation(snapshot, jobs, pools, admissions)


def _admission(seen: Seen, offers: Sequence[GPUPool]) -> Admission | Refusal:
    return admit(seen.job, offers) if seen.job else Refusal(Reason.INVALID_SPEC, seen.fault)


def _job(key: Key, seen: Seen, admission: Admission | Refusal, store: Store, trouble_of: Callable[[str], str]) -> Job:
    metadata = seen.metadata
    workers = store.workers.get(JobId(metadata.uid, metadata.namespace), {}).values()
    return Job(
        key=key,
        uid=metadata.uid,
        created_at=metadata.created_at,
        request=admission if isinstance(admission, Refusal) else admission.gang,
        suspend=bool(seen.job and seen.job.spec.suspend),
        deleting=metadata.deletion_timestamp is not None,
        max_restarts=seen.job.spec.failure_policy.max_restarts if seen.job else 0,
        recorded=recorded(seen.job.status if seen.job else JobStatus.read(seen.status)),
        workers=tuple(sorted(workers, key=lambda worker: (worker.attempt, worker.rank, worker.uid))),
        trouble=trouble_of(metadata.uid),
    )


def _pools(store: Store, pools: Sequence[GPUPool]) -> list[Pool]:
    """Pools with their nodes; a node that several match belongs to the oldest."""
    by_age = sorted(pools, key=age)
    usage = _usage(store)
    taken: set[str] = set()
    made = []
    for pool in by_age:
        matching = [node for node in store.nodes if _matches(node, pool.spec.node_selector)]
        own = [node for node in matching if node.name not in taken]
        lost = sorted(node.name for node in matching if node.name in taken)
        taken.update(node.name for node in own)
        levels = [Level(alias, label) for alias, label in levels_of(pool.spec.topology)]
        made.append(
            Pool(
                name=pool.name,
                accelerators=tuple(pool.spec.accelerator_resources),
                table=node_table(own, levels, usage),
                shared_nodes=tuple(lost),
                unlabelled_nodes=sum(any(not node.labels.get(level.label) for level in levels) for node in own),
            )
        )
    return sorted(made, key=lambda pool: pool.name)


def _usage(store: Store) -> Mapping[str, Mapping[str, int]]:
    """What pods take that no known job answers for: foreign ones, and workers whose job is gone."""
    known = {JobId(seen.metadata.uid, seen.metadata.namespace) for seen in store.jobs}
    orphans = [worker for job, mine in store.workers.items() if job not in known for worker in mine.values()]
    if not orphans:
        return store.usage
    usage = {node: dict(amounts) for node, amounts in store.usage.items()}
    for worker in orphans:
        if worker.node and worker.is_live:
            amounts = usage.setdefault(worker.node, {})
            for resource, amount in worker.request.items():
                amounts[resource] = amounts.get(resource, 0) + amount
    return usage


def _matches(node: Node, selector: Mapping[str, str]) -> bool:
    return all(node.labels.get(key) == value for key, value in selector.items())
