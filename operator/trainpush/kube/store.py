"""What the operator knows of the cluster: fed by watches, read by the loop, never a source of truth."""

import asyncio
from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from trainpush.api.base import InvalidObject, Metadata
from trainpush.api.gpupool import GPUPool
from trainpush.api.trainpushjob import TrainPushJob
from trainpush.kube.records import JobId, PodRow
from trainpush.kube.table import Row, Table
from trainpush.model.nodes import Node
from trainpush.model.workload import Worker

Amounts = dict[str, int]


@dataclass(frozen=True, slots=True)
class Seen:
    """One of our own objects: parsed for deciding, raw status for writing the difference."""

    metadata: Metadata
    status: Mapping[str, Any]
    job: TrainPushJob | None = None
    pool: GPUPool | None = None
    fault: str = ""
    """Why the spec cannot be read by this version; then neither `job` nor `pool` is there."""


@dataclass
class Store:
    """All tables, the usage of foreign pods per node, and the workers of each job."""

    usage: dict[str, Amounts] = field(default_factory=lambda: defaultdict(dict))
    """Thousandths that pods other than our workers take, per node and resource."""
    workers: dict[JobId, dict[str, Worker]] = field(default_factory=lambda: defaultdict(dict))
    """Our worker pods, per job and own uid."""
    dirty: asyncio.Event = field(default_factory=asyncio.Event)
    """Set whenever something changed that a decision may depend on."""

    def __post_init__(self) -> None:
        """Make the tables."""
        self.nodes: Table[Node] = Table(self._changed)
        self.pods: Table[PodRow] = Table(self._pod_changed)
        self.jobs: Table[Seen] = Table(self._changed)
        self.pools: Table[Seen] = Table(self._changed)

    def _changed(self, before: object, after: object) -> None:
        self.dirty.set()

    def _pod_changed(self, before: PodRow | None, after: PodRow | None) -> None:
        if before:
            self._count(before, -1)
        if after:
            self._count(after, +1)
        self.dirty.set()

    def _count(self, row: PodRow, sign: int) -> None:
        if row.job and row.worker:
            self._count_worker(row.job, row.worker, sign)
        elif row.node and row.is_live:
            used = self.usage[row.node]
            for resource, amount in row.requests.items():
                used[resource] = used.get(resource, 0) + sign * amount
            if not any(used.values()):
                del self.usage[row.node]

    def _count_worker(self, job: JobId, worker: Worker, sign: int) -> None:
        if sign > 0:
            self.workers[job][worker.uid] = worker
            return
        self.workers[job].pop(worker.uid, None)
        if not self.workers[job]:
            del self.workers[job]

    def put_job(self, raw: Mapping[str, Any]) -> bool:
        """Take a TrainPushJob as the API server sent it."""
        return self.jobs.put(_row(raw, _seen_job))

    def put_pool(self, raw: Mapping[str, Any]) -> bool:
        """Take a GPUPool as the API server sent it."""
        return self.pools.put(_row(raw, _seen_pool))

    def replace_jobs(self, raws: Iterable[Mapping[str, Any]], as_of: int) -> int:
        """Take the list of all TrainPushJobs; how many were not as known."""
        return self.jobs.replace([_row(raw, _seen_job) for raw in raws], as_of)

    def replace_pools(self, raws: Iterable[Mapping[str, Any]], as_of: int) -> int:
        """Take the list of all GPUPools; how many were not as known."""
        return self.pools.replace([_row(raw, _seen_pool) for raw in raws], as_of)


def _row(raw: Mapping[str, Any], parse: Callable[[Metadata, Mapping[str, Any]], Seen]) -> Row[Seen]:
    metadata = Metadata.model_validate(raw["metadata"], extra="ignore")
    try:
        seen = parse(metadata, raw)
    except InvalidObject as error:
        seen = Seen(metadata, raw.get("status") or {}, fault=str(error))
    return Row(metadata.uid, int(metadata.resource_version), seen)


def _seen_job(metadata: Metadata, raw: Mapping[str, Any]) -> Seen:
    return Seen(metadata, raw.get("status") or {}, job=TrainPushJob.parse(raw))


def _seen_pool(metadata: Metadata, raw: Mapping[str, Any]) -> Seen:
    return Seen(metadata, raw.get("status") or {}, pool=GPUPool.parse(raw))
