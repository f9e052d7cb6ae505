"""A job or service whose status was lost: what its pods tell of it."""

from collections.abc import Collection, Mapping
from dataclasses import replace
from datetime import datetime

from trainpush.model.gang import Gang
from trainpush.model.nodes import NodeTable
from trainpush.model.serving import Place, Service
from trainpush.model.workload import Job, Outcome, Placement, Refusal
from trainpush.planner.placing.placement import domain_of


def recovered(job: Job, tables: Mapping[str, NodeTable], released: Collection[str], now: datetime) -> Job:
    """`job` with the attempt and the place of its pods, where status knows of no attempt though there are pods.

    An export, or a release, is made of a complete job only: then it is not trained again, whatever became of its pods.
    A gang of which pods are missing has no place; its next attempt gets a higher number than any before,
    so that it never writes where an earlier one still may. `released` are the uids of jobs that revisions name.
    """
    if job.recorded.attempt or isinstance(job.request, Refusal):
        return job
    attempt = max((worker.attempt for worker in job.workers), default=0)
    is_complete = bool(job.exports) or job.uid in released
    if is_complete:
        attempt = max(attempt, 1)
    if not attempt:
        return job
    table = tables.get(job.request.pool)
    placement = _place(job, job.request, attempt, table, now) if table else None
    gang = job.request.of_size(len(placement.nodes)) if placement else job.request
    outcome = Outcome.COMPLETE if is_complete else None
    queued_at = None if placement or outcome else job.recorded.queued_at
    recorded = replace(job.recorded, attempt=attempt, placement=placement, outcome=outcome, queued_at=queued_at)
    return replace(job, request=gang, recorded=recorded)


def recovered_service(service: Service, now: datetime) -> Service:
    """`service` with the places of its pods, where no status stands.

    Not of pods that have ended or are being deleted: what they held may be another's by now, or soon.
    """
    if not service.is_new:
        return service
    found = [pod for pod in service.pods if pod.node and pod.is_live and not pod.deleting]
    return replace(service, places=tuple(Place(pod.serial, pod.revision, pod.node or "", now) for pod in found))


def _place(job: Job, gang: Gang, attempt: int, table: NodeTable, now: datetime) -> Placement | None:
    mine = [worker for worker in job.workers if worker.attempt == attempt and worker.node]
    found = {worker.rank: worker.node or "" for worker in mine}
    if len(found) not in (gang.sizes or (gang.workers,)) or set(found) != set(range(len(found))):
        return None
    if any(worker.has_ended and not worker.has_finished for worker in mine):
        return None  # what it held may be another's by now
    request = gang.requirements.request
    if any(worker.request.get(name, 0) < amount for worker in mine for name, amount in request.items()):
        return None  # whoever makes a pod by hand must not get more by it than the pod itself holds
    nodes = tuple(found[rank] for rank in range(len(found)))
    level, domain = domain_of(gang, table, nodes)
    return Placement(nodes, level, domain, since=now)
