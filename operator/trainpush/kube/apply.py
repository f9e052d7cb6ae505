"""Plans carried out: status first, then its Events and the acts that earlier statuses announced.

The next cycle waits for statuses only: a decision that does not stand there yet would be made twice.
Everything here may be done twice, and may stop after any write.
"""

import asyncio
import time
from collections.abc import Callable, Coroutine, Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime
from http import HTTPStatus
from typing import Any, Final

import msgspec

from trainpush.api.base import Metadata
from trainpush.api.trainpushjob import Resolved
from trainpush.kube.client import Client, Exactly, Object
from trainpush.kube.errors import AlreadyExists, ApiError, Conflict, NotFound
from trainpush.kube.records import read_pod
from trainpush.kube.resources import EVENTS, GPUPOOLS, PODS, SERVICES, TRAINPUSHJOBS, Resource
from trainpush.kube.store import Seen, Store
from trainpush.model.plan import Act, Decision, MakeService, MakeWorker, PoolSummary, RemoveWorker
from trainpush.render import children
from trainpush.render.events import events
from trainpush.render.status import job_status, merge_patch, pool_status
from trainpush.telemetry.logs import logger
from trainpush.telemetry.metrics import Metrics

QUIET_SECONDS: Final = 5.0
"""Least time between two writes of one object's status that change only counts and wording."""
RETRY_SECONDS: Final = 15.0
"""Wait after the API server refused a child, before it is tried again."""

_log = logger(__name__)
_Clock = Callable[[], float]
Later = Callable[[Coroutine[Any, Any, None]], object]
"""Goes on with some work beside the cycles."""


@dataclass(frozen=True, slots=True)
class JobTask:
    """What a cycle wants of one job."""

    seen: Seen
    decision: Decision
    resolved: Resolved | None


@dataclass(frozen=True, slots=True)
class PoolTask:
    """What a cycle wants of one pool."""

    seen: Seen
    summary: PoolSummary


@dataclass(frozen=True, slots=True)
class _Trouble:
    message: str
    until: float


class Deposed(Exception):  # noqa: N818 - a state, not an error
    """The replica may no longer write."""


class Applier:
    """Carries out plans; remembers only what makes it patient, nothing that a restart would miss."""

    def __init__(
        self,
        client: Client,
        store: Store,
        may_write: Callable[[], bool],
        metrics: Metrics,
        clock: _Clock = time.monotonic,
    ) -> None:
        """Write through `client` as long as `may_write`; `clock` is monotonic, in seconds."""
        self._client = client
        self._store = store
        self._may_write = may_write
        self._metrics = metrics
        self._clock = clock
        self._troubles: dict[str, _Trouble] = {}
        self._written: dict[str, float] = {}
        self._held: dict[str, float] = {}
        """Jobs whose status was refused, and when to try again."""
        self._acting: dict[str, bool] = {}
        """Jobs whose acts are under way, and whether a later cycle wanted more of them."""
        self._standing: dict[str, JobTask] = {}
        """What each job's status already says, so that it need not be rendered again to find out."""

    def trouble_of(self, uid: str) -> str:
        """What the API server said when it last refused a child of this job."""
        trouble = self._troubles.get(uid)
        return trouble.message if trouble else ""

    async def carry_out(
        self, jobs: Sequence[JobTask], pools: Sequence[PoolTask], now: datetime, later: Later
    ) -> float | None:
        """Write every status, and do the rest `later`; seconds until something that was put off is due, or None."""
        self._forget({seen.metadata.uid for seen in [*(task.seen for task in jobs), *(task.seen for task in pools)]})
        tasks = [*(self._job(task, now, later) for task in jobs), *(self._pool(task, now) for task in pools)]
        waits = await asyncio.gather(*tasks)
        return min((wait for wait in waits if wait is not None), default=None)

    async def _job(self, task: JobTask, now: datetime, later: Later) -> float | None:
        metadata = task.seen.metadata
        held = self._held.get(metadata.uid, 0.0) - self._clock()
        if held > 0:
            return held
        try:
            wait = None
            if self._standing.get(metadata.uid) != task:
                wait = await self._say(task, now, later)
            return self._begin(task, later) or wait
        except (Conflict, NotFound) as error:
            await self._reread(metadata, error)
            return None
        except ApiError as error:
            self._held[metadata.uid] = self._clock() + RETRY_SECONDS
            return self._refused(f"status of {task.decision.key}", error)
        except Deposed:
            return None

    async def _say(self, task: JobTask, now: datetime, later: Later) -> float | None:
        """Write a job's status and its Events; seconds to wait if that was put off."""
        seen = task.seen
        workers = seen.job.spec.replicas if seen.job else 0
        status = job_status(task.decision, task.resolved, workers, seen.metadata.generation, seen.status, now)
        wait = await self._write_status(TRAINPUSHJOBS, seen, status)
        if wait is None:
            self._standing[seen.metadata.uid] = task
            later(self._tell(events(seen.metadata, seen.status, status, now)))
        return wait

    async def _pool(self, task: PoolTask, now: datetime) -> float | None:
        metadata = task.seen.metadata
        status = pool_status(task.summary, metadata.generation, task.seen.status, now)
        try:
            return await self._write_status(GPUPOOLS, task.seen, status)
        except (Conflict, NotFound, Deposed):
            return RETRY_SECONDS
        except ApiError as error:
            return self._refused(f"status of GPUPool {metadata.name}", error)

    async def _write_status(self, resource: Resource, seen: Seen, status: Mapping[str, Any]) -> float | None:
        """Write what differs; seconds to wait if it differs only in counts and was written a moment ago."""
        patch = merge_patch(seen.status, status)
        if not patch:
            return None
        metadata = seen.metadata
        since = self._clock() - self._written.get(metadata.uid, float("-inf"))
        if since < QUIET_SECONDS and _outline(seen.status) == _outline(status):
            return QUIET_SECONDS - since
        self._check()
        written = await self._client.patch_status(
            resource, metadata.namespace or None, metadata.name, metadata.resource_version, patch
        )
        self._written[metadata.uid] = self._clock()
        if resource is TRAINPUSHJOBS:
            self._store.put_job(written)
        else:
            self._store.put_pool(written)
        return None

    async def _tell(self, told: Sequence[Object]) -> None:
        for event in told:
            try:
                self._check()
                await self._client.create(EVENTS, event)
            except (AlreadyExists, Deposed):
                continue
            except ApiError as error:
                _log.warning("event not written", name=event["metadata"]["name"], error=str(error))

    def _begin(self, task: JobTask, later: Later) -> float | None:
        """Begin the acts of a job, unless its last ones still go on; seconds to wait if some were just refused."""
        uid = task.seen.metadata.uid
        trouble = self._troubles.get(uid)
        if not task.decision.acts:
            self._troubles.pop(uid, None)
        elif trouble and self._clock() < trouble.until:
            return trouble.until - self._clock()
        elif uid in self._acting:
            self._acting[uid] = True
        else:
            self._acting[uid] = False
            later(self._act(task))
        return None

    async def _act(self, task: JobTask) -> None:
        """Removals, then the Service, then all pods at once; stops at the first refusal."""
        uid = task.seen.metadata.uid
        try:
            for batch in _batches(task.decision.acts):
                await _all(self._one(task, act) for act in batch)
            self._troubles.pop(uid, None)
        except ApiError as error:
            self._troubles[uid] = _Trouble(str(error), self._clock() + RETRY_SECONDS)
            self._refused(f"child of {task.decision.key}", error)
            self._store.dirty.set()
        except Deposed:
            return
        finally:
            if self._acting.pop(uid):
                self._store.dirty.set()

    async def _one(self, task: JobTask, act: Act) -> None:
        self._check()
        job, resolved = task.seen.job, task.resolved
        match act:
            case RemoveWorker(name, uid):
                await self._remove(Exactly(task.seen.metadata.namespace, name, uid))
            case MakeService() if job:
                await self._make_service(children.service(job), job.uid)
            case MakeWorker(attempt, rank, node) if job and resolved:
                await self._make_pod(children.worker(job, resolved, attempt, rank, node), job.uid)
            case _:
                _log.error("an act on a job that cannot be read", job=str(task.decision.key))

    async def _remove(self, target: Exactly) -> None:
        try:
            await self._client.delete(PODS, target)
        except (NotFound, Conflict):
            return
        _log.info("pod deleted", namespace=target.namespace, name=target.name)

    async def _make_service(self, service: Object, owner_uid: str) -> None:
        name, namespace = service["metadata"]["name"], service["metadata"]["namespace"]
        with suppress(NotFound):
            _check_owner(await self._client.get(SERVICES, name, namespace), "Service", owner_uid)
        await self._client.apply(SERVICES, service)

    async def _make_pod(self, pod: Object, owner_uid: str) -> None:
        name, namespace = pod["metadata"]["name"], pod["metadata"]["namespace"]
        try:
            made = await self._client.create(PODS, pod)
            _log.info("pod created", namespace=namespace, name=name)
        except AlreadyExists:
            made = await self._client.get(PODS, name, namespace)
            _check_owner(made, "Pod", owner_uid)
        self._store.pods.put(read_pod(msgspec.json.encode(made)))

    async def _reread(self, metadata: Metadata, error: ApiError) -> None:
        """A decision on an outdated view was refused: look anew, and decide anew."""
        _log.debug("status not written", namespace=metadata.namespace, name=metadata.name, error=str(error))
        try:
            self._store.put_job(await self._client.get(TRAINPUSHJOBS, metadata.name, metadata.namespace))
        except NotFound:
            self._store.jobs.forget(metadata.uid)
        except ApiError as problem:
            _log.warning("object not read", namespace=metadata.namespace, name=metadata.name, error=str(problem))

    def _refused(self, what: str, error: ApiError) -> float:
        self._metrics.api_refusals.labels(error.reason).inc()
        _log.warning("the API server refused", what=what, error=str(error))
        return RETRY_SECONDS

    def _forget(self, known: set[str]) -> None:
        """Drop what was remembered of objects that are gone."""
        memories: tuple[dict[str, Any], ...] = (self._written, self._held, self._troubles, self._standing)
        for memory in memories:
            for uid in memory.keys() - known:
                del memory[uid]

    def _check(self) -> None:
        if not self._may_write():
            raise Deposed


def _check_owner(found: Object, kind: str, owner_uid: str) -> None:
    """Raise unless the job with `owner_uid` controls what was found under a name of ours."""
    metadata = found["metadata"]
    what = f"{kind} {metadata['namespace']}/{metadata['name']}"
    if "deletionTimestamp" in metadata:
        raise ApiError(HTTPStatus.CONFLICT, "Terminating", f"{what} of an earlier job still ends: waiting for it")
    if any(owner.get("controller") and owner["uid"] == owner_uid for owner in metadata.get("ownerReferences", [])):
        return
    message = f"{what} exists and belongs to somebody else: delete it, or give the job another name"
    raise ApiError(HTTPStatus.CONFLICT, "NotOurs", message)


async def _all(acts: Iterable[Coroutine[Any, Any, None]]) -> None:
    """Carry out all; when the last is through, the first refusal is raised, so that it is always the same one."""
    outcomes = await asyncio.gather(*acts, return_exceptions=True)
    for outcome in outcomes:
        if isinstance(outcome, BaseException):
            raise outcome


def _batches(acts: Sequence[Act]) -> list[list[Act]]:
    kinds = (RemoveWorker, MakeService, MakeWorker)
    return [[act for act in acts if isinstance(act, kind)] for kind in kinds]


def _outline(status: Mapping[str, Any]) -> tuple[object, ...]:
    """A status without wording and counts: what a person would call a change."""
    conditions = [(c["type"], c["status"], c["reason"]) for c in status.get("conditions", [])]
    loose = {"conditions", "verdict", "replicas", "nodes", "accelerators", "largestFree"}
    return (conditions, {key: value for key, value in status.items() if key not in loose})
