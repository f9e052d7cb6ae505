"""A TrainPushJob as it is seen: what follows from the object itself, and what was made for it."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from datetime import timedelta
from typing import TypeVar

from trainpush.admission.jobs import Admission, admit, priority_before
from trainpush.admission.pools import patience_of
from trainpush.admission.scheduling import Priorities, is_asked, min_runtime_of, preemption_of
from trainpush.api.gpupool import GPUPool
from trainpush.api.quantity import seconds
from trainpush.api.trainpushjob import TrainPushJob
from trainpush.kube.records import MESSAGE_MAX, OwnerId
from trainpush.kube.store import SeenJob, Store
from trainpush.kube.warnings import Warned
from trainpush.model.fleet import Fleet
from trainpush.model.reasons import Reason
from trainpush.model.serving import Replica
from trainpush.model.workload import (
    UNKNOWN_PRIORITY,
    Export,
    ExportState,
    Job,
    Key,
    Preemption,
    Push,
    Refusal,
    Worker,
)
from trainpush.render.children import is_alone, service_name
from trainpush.render.export import export_name
from trainpush.status.job import read_push

TroubleOf = Callable[[str], str]
"""Tells by uid what the API server last refused."""
Pod = TypeVar("Pod", Worker, Replica)


@dataclass(frozen=True, slots=True)
class ObservedJob:
    """What an object comes to, as long as it, the pools and the priority classes are the same."""

    seen: SeenJob
    admission: Admission | Refusal
    workers: int
    """Asked for: of several legal sizes the largest; 0 where it cannot be read."""
    alone: Job
    """Without anything that was made for it."""
    is_alone: bool
    """Whether its worker never has to find another, as far as it can be read."""
    patience: timedelta | None
    """How long it waits for nodes that do not answer; None: as long as it takes."""
    fault: Refusal | None = None
    """Why it may not queue; whatever it has, it keeps."""

    @classmethod
    def of(cls, seen: SeenJob, offers: Sequence[GPUPool], priorities: Priorities) -> "ObservedJob":
        """Read it once."""
        job = seen.found
        admission = admit(job, offers, priorities) if job else Refusal(Reason.INVALID_SPEC, seen.fault)
        fault = priorities.fault(job.spec.scheduling.priority_class_name, priority_before(job)) if job else None
        recorded = seen.record
        if job and job.status.observed_generation != seen.metadata.generation:
            # What could not start was another request.
            recorded = replace(recorded, failed_starts=None)
        alone = Job(
            key=Key(seen.metadata.namespace, seen.metadata.name),
            uid=seen.metadata.uid,
            created_at=seen.metadata.created_at,
            request=admission if isinstance(admission, Refusal) else admission.gang,
            deleting=seen.metadata.deletion_timestamp is not None,
            recorded=recorded,
        )
        workers = job.spec.sizes()[0] if job else 0
        asking = _asking(alone, job, admission) if job else _unreadable(alone)
        is_single = job is None or is_alone(job)
        return cls(seen, admission, workers, asking, is_single, _patience(job, admission, offers), fault)

    def with_children(self, store: Store, trouble_of: TroubleOf) -> Job:
        """The job with all that was made for it, and what its status is about to say."""
        seen, owner = self.seen, self.seen.owner
        assumed = store.assumed.get(seen.metadata.uid)
        recorded = assumed or self.alone.recorded
        pods = (with_outage(worker, store.fleet, self.patience) for worker in store.workers.of(owner))
        made = sorted(pods, key=lambda w: (w.attempt, w.rank, w.uid))
        workers = tuple(_warned(worker, store.warnings.get(worker.uid)) for worker in made)
        told = (store.reports.get(worker.uid) for worker in reversed(workers) if worker.attempt <= recorded.attempt)
        exports = _exports(store, owner)
        # What began goes on, whatever became of its class, also where a status that was lost does not tell of it.
        has_begun = recorded.placement or (not recorded.attempt and (workers or exports))
        endpoint = service_name(self.alone.key.name)
        return replace(
            self.alone,
            request=self.alone.request if has_begun or self.fault is None else self.fault,
            recorded=recorded,
            is_under_way=assumed is not None or seen.metadata.uid in store.acting,
            heard=next(filter(None, told), None),
            has_belongings=self.is_alone or recorded.placement is None or store.has_endpoint(owner, endpoint),
            left=store.last_words.get(owner),
            workers=workers,
            trouble=trouble_of(seen.metadata.uid),
            exports=exports,
        )


def _asking(alone: Job, job: TrainPushJob, admission: Admission | Refusal) -> Job:
    priority = admission.resolved.priority if isinstance(admission, Admission) else None
    return replace(
        alone,
        priority=priority.value if priority else UNKNOWN_PRIORITY,
        preempts=priority is not None and priority.preemption_policy != "Never",
        preemption=preemption_of(job.spec),
        min_runtime=min_runtime_of(job.spec),
        suspend=job.spec.suspend,
        max_restarts=job.spec.failure_policy.max_restarts,
        is_asked=is_asked(job.spec),
        grace=timedelta(seconds=seconds(job.grace_period)),
        push=_push(job, admission),
    )


def _unreadable(alone: Job) -> Job:
    return replace(alone, preemption=Preemption.NEVER, max_restarts=0, grace=timedelta(0))


def _patience(job: TrainPushJob | None, admission: Admission | Refusal, offers: Sequence[GPUPool]) -> timedelta | None:
    if job and job.spec.failure_policy.lost_node == "Wait":
        return None
    return patience_of("" if isinstance(admission, Refusal) else admission.gang.pool, offers)


def with_outage(pod: Pod, fleet: Fleet, patience: timedelta | None) -> Pod:
    """A pod with what is wrong with its node; the very same where nothing is."""
    outage = fleet.outage_of(pod.node) if pod.node else None
    return replace(pod, outage=replace(outage, patience=patience)) if outage else pod


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


def _warned(worker: Worker, warned: Warned) -> Worker:
    """A worker with what its Events say, where its status does not say it."""
    if not (warned.asked and worker.is_unexplained):
        return worker
    return replace(worker, message=warned.said[:MESSAGE_MAX] or worker.message, asked=warned.asked)


def _exports(store: Store, owner: OwnerId) -> tuple[Export, ...]:
    """The Jobs that export its model, by name."""
    made = []
    for row in sorted(store.exports_of.of(owner), key=lambda row: row.name):
        pods = sorted(store.exporters.of(row.identity), key=lambda pod: pod.uid)
        digest = next((pod.digest for pod in pods if pod.digest), "")
        said = next((pod.message for pod in pods if pod.message), "")
        outages = (store.fleet.outage_of(pod.node) for pod in pods if pod.node)
        silent = next((pod.uid for pod in pods if pod.is_unexplained), "" if pods else row.identity.uid)
        if row.state is not ExportState.ACTIVE:
            silent = ""
        warned = store.warnings.get(silent)
        export = Export(
            row.name,
            row.state,
            message=warned.said[:MESSAGE_MAX] or said or row.message,
            digest=digest,
            outage=next(filter(None, outages), None),
            since=row.since,
            unexplained=silent,
            asked=warned.asked,
            lingering=tuple((pod.name, pod.uid) for pod in pods if pod.must_be_ended),
        )
        made.append(export)
    return tuple(made)
