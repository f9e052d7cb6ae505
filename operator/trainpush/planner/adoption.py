"""A job whose status was lost: what its pods tell of it."""

from collections.abc import Collection, Mapping
from dataclasses import replace
from datetime import datetime

from trainpush.model.nodes import NodeTable
from trainpush.model.workload import Gang, Job, Outcome, Placement, Refusal
from trainpush.planner.placement import domain_of


def adopted(job: Job, tables: Mapping[str, NodeTable], released: Collection[str], now: datetime) -> Job:
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
    outcome = Outcome.COMPLETE if is_complete else None
    return replace(job, recorded=replace(job.recorded, attempt=attempt, placement=placement, outcome=outcome))


def _place(job: Job, gang: Gang, attempt: int, table: NodeTable, now: datetime) -> Placement | None:
    found = {worker.rank: worker.node for worker in job.workers if worker.attempt == attempt and worker.node}
    if set(found) != set(range(gang.workers)):
        return None
    nodes = tuple(found[rank] for rank in range(gang.workers))
    level, domain = domain_of(gang, table, nodes)
    return Placement(nodes, level, domain, since=now)
