"""Where workers report progress and checkpoints, and hear who needs their room: HTTPS, answered by the leader alone."""

import asyncio
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime
from http import HTTPStatus
from typing import Final, TypeVar

import msgspec
from aiohttp import web

from trainpush.api import names
from trainpush.controller import contract
from trainpush.controller.contract import Report, Saved
from trainpush.kube.errors import ApiError
from trainpush.kube.store import Store
from trainpush.model.workload import Recorded, Worker
from trainpush.telemetry.metrics import Metrics

RECORDED_SECONDS: Final = 10.0
"""How long an answer waits for a checkpoint to stand in the status of its job."""
READ_SECONDS: Final = 10.0
"""How long a body may take to arrive."""
RETRY: Final = {"Retry-After": "1"}
_KINDS: Final = {"/v1/report": "report", "/v1/saved": "saved"}

PodOf = Callable[[str], Awaitable[str | None]]
"""Tells of which pod a token is, by its uid; None if it is of none.

Raises:
    ApiError: nobody could be asked.
"""
M = TypeVar("M", Report, Saved)


class Endpoint:
    """Answers workers. What they say goes to the store; what they are told comes from the status of their job."""

    def __init__(self, store: Store, pod_of: PodOf, leads: Callable[[], bool], metrics: Metrics) -> None:
        """Take what pods say that `pod_of` knows by their token, as long as this replica `leads()`."""
        self._store = store
        self._pod_of = pod_of
        self._leads = leads
        self._metrics = metrics
        self._waiting: set[str] = set()
        """Uids of the pods of which a checkpoint is being recorded."""

    def app(self) -> web.Application:
        """What answers the requests."""
        app = web.Application(client_max_size=contract.BODY_BYTES)
        app.router.add_post("/v1/report", self._report)
        app.router.add_post("/v1/saved", self._saved)
        app.on_response_prepare.append(self._count)
        return app

    async def _count(self, request: web.Request, answer: web.StreamResponse) -> None:
        self._metrics.worker_messages.labels(_KINDS.get(request.path, "other"), HTTPStatus(answer.status).phrase).inc()

    async def _report(self, request: web.Request) -> web.Response:
        worker = await self._speaker(request)
        self._store.reports.put(worker.uid, (await _read(request, Report)).heard(worker.attempt, datetime.now(UTC)))
        return self._answer(worker)

    async def _saved(self, request: web.Request) -> web.Response:
        worker = await self._speaker(request)
        saved = await _read(request, Saved)
        if worker.uid in self._waiting:
            raise web.HTTPTooManyRequests(text="an earlier checkpoint is still being recorded\n", headers=RETRY)
        self._store.reports.put(worker.uid, saved.heard(worker.attempt, datetime.now(UTC)))
        self._waiting.add(worker.uid)
        try:
            async with asyncio.timeout(RECORDED_SECONDS):
                while not contract.is_recorded(saved, self._record(worker), worker.attempt):
                    await self._store.changed()
        except TimeoutError:
            raise web.HTTPServiceUnavailable(text="the checkpoint is not recorded yet\n", headers=RETRY) from None
        finally:
            self._waiting.discard(worker.uid)
        return self._answer(worker)

    def _answer(self, worker: Worker) -> web.Response:
        told = contract.answer(self._record(worker), worker.attempt)
        return web.Response(body=msgspec.json.encode(told), content_type="application/json")

    async def _speaker(self, request: web.Request) -> Worker:
        """The worker that speaks: the one of rank 0, whose pod and job are there."""
        scheme, _, token = request.headers.get("Authorization", "").partition(" ")
        if not self._leads():
            raise web.HTTPServiceUnavailable(text="another replica leads\n", headers=RETRY)
        try:
            uid = await self._pod_of(token) if scheme == "Bearer" and token.isascii() else None
        except ApiError as error:
            raise web.HTTPServiceUnavailable(text=f"the token could not be checked: {error.reason}\n") from None
        if uid is None:
            raise web.HTTPUnauthorized(text=f"no token for {names.AUDIENCE} of a pod that is known here\n")
        row = self._store.pods.get(uid)
        if row is None or not isinstance(row.ours, Worker) or row.ours.has_ended:
            raise web.HTTPNotFound(text="the pod is not a worker that runs\n")
        if row.ours.rank != 0:
            raise web.HTTPForbidden(text=f"the worker of rank 0 reports, not the one of rank {row.ours.rank}\n")
        self._record(row.ours)
        return row.ours

    def _record(self, worker: Worker) -> Recorded:
        """What the status of the job that `worker` belongs to says now."""
        row = self._store.pods.get(worker.uid)
        job = self._store.jobs.get(row.owner.uid) if row and row.owner else None
        if row is None or job is None or job.owner != row.owner:
            raise web.HTTPNotFound(text="the pod belongs to no job that is known here\n")
        return job.record


async def _read(request: web.Request, kind: type[M]) -> M:
    try:
        async with asyncio.timeout(READ_SECONDS):
            body = await request.read()
        return msgspec.json.decode(body, type=kind)
    except TimeoutError:
        raise web.HTTPRequestTimeout(text="the message did not arrive in time\n") from None
    except (msgspec.MsgspecError, UnicodeDecodeError) as error:
        raise web.HTTPBadRequest(text=f"{error}\n") from None
