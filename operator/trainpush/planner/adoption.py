"""A job whose status was lost: what its pods tell of it."""

from collections.abc import Mapping
from dataclasses import replace
from datetime import datetime

from trainpush.model.nodes import NodeTable
from trainpush.model.workload import Gang, Job, Placement, Refusal
from trainpush.planner.placement import domain_of


def adopted(job: Job, tables: Mapping[str, NodeTable], now: datetime) -> Job:
    """`job` with the attempt and the place of its pods, where status knows of no attempt though there are pods.

    A gang of which pods are missing has no place; its next attempt gets a higher number than any before,
    so that it never writes where an earlier one still may.
    """
    if job.recorded.attempt or not job.workers or isinstance(job.request, Refusal):
        return job
    attempt = max(worker.attempt for worker in job.workers)
    table = tables.get(job.request.pool)
    placement = _place(job, job.request, attempt, table, now) if table else None
    return replace(job, recorded=replace(job.recorded, attempt=attempt, placement=placement))


def _place(job: Job, gang: Gang, attempt: int, table: NodeTable, now: datetime) -> Placement | None:
    found = {worker.rank: worker.node for worker in job.workers if worker.attempt == attempt and worker.node}
    if set(found) != set(range(gang.workers)):
        return None
    nodes = tuple(found[rank] for rank in range(gang.workers))
    level, domain = domain_of(gang, table, nodes)
    return Placement(nodes, level, domain, since=now)
