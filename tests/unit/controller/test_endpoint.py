"""The endpoint on a real store: who may speak, what may be said, and when a checkpoint is acknowledged."""

import asyncio
from collections.abc import AsyncIterator
from dataclasses import replace
from http import HTTPStatus
from typing import Any

import pytest
from aiohttp import ClientSession
from aiohttp.test_utils import TestServer
from prometheus_client import CollectorRegistry
from yarl import URL

from support.wait import until
from trainpush.controller import endpoint
from trainpush.controller.endpoint import Endpoint
from trainpush.kube.errors import Unavailable
from trainpush.kube.records import OwnerId, PodRow
from trainpush.kube.store import Store
from trainpush.kube.table import Row
from trainpush.model.workload import Phase, Worker
from trainpush.telemetry.metrics import Metrics

OWNER = OwnerId("job-uid", "ns")
PROGRAM = Worker(name="j-worker-0-a3", uid="rank-0", attempt=3, rank=0, phase=Phase.RUNNING)
EVICTION = {
    "by": "ns/other",
    "reason": "Preempted",
    "message": "why",
    "askedAt": "2026-01-01T00:00:00Z",
    "deadline": "2026-01-01T00:02:00Z",
}
CHECKPOINT = {"attempt": 3, "step": 50, "at": "2026-01-01T00:00:30Z"}
SAVED = {"step": 50, "uri": "pvc://c/p", "digest": "d", "request": ""}


class World:
    """A store with one job of two workers, and its endpoint; a token here is the uid of a pod."""

    def __init__(self) -> None:
        self.store = Store()
        self.metrics = Metrics(CollectorRegistry())
        self.version = 0
        self.leads = True
        self.tokens: list[str] = []
        """What `pod_of` was asked."""
        self.status(attempt=3)
        for worker in (PROGRAM, replace(PROGRAM, name="j-worker-1-a3", uid="rank-1", rank=1)):
            self.pod(worker)
        self.url = ""
        self.session = ClientSession()

    def status(self, **status: Any) -> None:
        """Let the job's status be so."""
        self.version += 1
        metadata = {"name": "j", "namespace": "ns", "uid": OWNER.uid, "resourceVersion": str(self.version)}
        self.store.jobs.take({"metadata": metadata, "spec": {}, "status": status})

    def pod(self, worker: Worker, owner: OwnerId = OWNER) -> None:
        """Let there be a pod."""
        self.version += 1
        self.store.pods.put(Row(worker.uid, self.version, PodRow("n", worker.is_live, {}, owner, worker)))

    async def pod_of(self, token: str) -> str | None:
        """As the API server would tell."""
        self.tokens.append(token)
        if token == "down":  # noqa: S105 - of nobody
            raise Unavailable(0, "Unreachable", "nobody there")
        return token if self.store.pods.get(token) else None

    async def post(self, path: str, body: Any, token: str = PROGRAM.uid) -> tuple[int, Any]:
        """Status and answer, a text if it is not JSON."""
        data = body if isinstance(body, bytes) else None
        headers = {"Authorization": f"Bearer {token}"}
        async with self.session.post(
            self.url + path, data=data, json=None if data is not None else body, headers=headers
        ) as answer:
            text = await answer.text()
            return answer.status, await answer.json() if answer.status == HTTPStatus.OK else text


@pytest.fixture
async def world() -> AsyncIterator[World]:
    """One that listens."""
    world = World()
    server = TestServer(Endpoint(world.store, world.pod_of, lambda: world.leads, world.metrics).app())
    async with world.session, server:
        world.url = str(server.make_url("")).rstrip("/")
        yield world


async def test_progress_goes_to_the_store(world: World) -> None:
    body = {"step": 7, "totalSteps": 10, "metrics": {"loss": 0.5, "note": "x", "epoch": 2}}
    assert await world.post("/v1/report", body) == (200, {"request": None, "stop": False})
    heard = world.store.reports.get(PROGRAM.uid)
    assert heard
    assert (heard.attempt, heard.step, heard.total, heard.metrics) == (3, 7, 10, body["metrics"])


async def test_a_request_of_the_status_is_told(world: World) -> None:
    world.status(attempt=3, eviction=EVICTION)
    _, told = await world.post("/v1/report", {"step": 7})
    assert told["request"]["id"] == "3-2026-01-01T00:00:00Z"
    assert told["stop"] is False


async def test_a_checkpoint_is_acknowledged_when_it_stands_in_status(world: World) -> None:
    world.store.dirty.clear()
    saving = asyncio.create_task(world.post("/v1/saved", SAVED))
    await world.store.dirty.wait()
    heard = world.store.reports.get(PROGRAM.uid)
    assert heard
    assert heard.saved
    assert (heard.saved.attempt, heard.saved.step, heard.saved.uri, heard.saved.digest) == (3, 50, "pvc://c/p", "d")
    world.status(attempt=3, checkpoint=CHECKPOINT | {"step": 40})
    assert not saving.done()
    world.status(attempt=3, checkpoint=CHECKPOINT)
    assert await saving == (200, {"request": None, "stop": False})


async def test_the_answer_to_an_eviction_is_acknowledged_with_the_word_to_stop(world: World) -> None:
    world.status(attempt=3, eviction=EVICTION, checkpoint=CHECKPOINT)
    saving = asyncio.create_task(world.post("/v1/saved", {**SAVED, "request": "3-2026-01-01T00:00:00Z"}))
    await until(lambda: bool(len(world.store.reports)), "the answer")
    heard = world.store.reports.get(PROGRAM.uid)
    assert heard
    assert heard.request == "3-2026-01-01T00:00:00Z"
    world.status(attempt=3, eviction={**EVICTION, "answered": True}, checkpoint=CHECKPOINT)
    status, told = await saving
    assert (status, told["stop"]) == (200, True)


async def test_what_does_not_come_to_stand_is_not_acknowledged(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """The worker tries again; meanwhile a second try is turned away."""
    monkeypatch.setattr(endpoint, "RECORDED_SECONDS", 0.5)
    saving = asyncio.create_task(world.post("/v1/saved", SAVED))
    await until(lambda: bool(len(world.store.reports)), "the checkpoint")
    assert (await world.post("/v1/saved", SAVED))[0] == 429
    assert await saving == (503, "the checkpoint is not recorded yet\n")
    world.status(attempt=3, checkpoint=CHECKPOINT)
    assert (await world.post("/v1/saved", SAVED))[0] == 200


async def test_an_old_attempt_must_stop(world: World) -> None:
    world.status(attempt=4)
    stop = (200, {"request": None, "stop": True})
    assert await world.post("/v1/report", {"step": 7}) == stop
    assert await world.post("/v1/saved", SAVED) == stop


async def test_who_may_not_speak(world: World) -> None:
    """Each is told why in one line."""
    world.pod(replace(PROGRAM, uid="ended", phase=Phase.SUCCEEDED))
    world.pod(replace(PROGRAM, uid="foreign"), OwnerId(OWNER.uid, "elsewhere"))
    world.store.pods.put(Row("other", 1, PodRow("n", is_live=True, requests={})))
    said = {token: await world.post("/v1/report", {"step": 1}, token) for token in ("x", "", "ended", "other", "down")}
    assert {token: status for token, (status, _) in said.items()} == {
        "x": 401,
        "": 401,
        "ended": 404,
        "other": 404,
        "down": 503,
    }
    assert (await world.post("/v1/report", {"step": 1}, "rank-1"))[0] == 403
    assert (await world.post("/v1/report", {"step": 1}, "foreign"))[0] == 404
    assert len(world.store.reports) == 0
    assert all(text.count("\n") == 1 for _, text in said.values())


async def test_only_the_leader_answers(world: World) -> None:
    world.leads = False
    assert await world.post("/v1/report", {"step": 1}) == (503, "another replica leads\n")
    assert len(world.store.reports) == 0


async def test_a_worker_that_is_being_deleted_may_still_save(world: World) -> None:
    world.pod(replace(PROGRAM, deleting=True))
    assert (await world.post("/v1/report", {"step": 1}))[0] == 200


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"{",
        b"[]",
        b"\xff",
        b'{"step": 1e999}',
        b'{"step": 1, "metrics": {"a": 1e999}}',
        {},
        {"step": -1},
        {"step": 2**53 + 1},
        {"step": 1.5},
        {"step": "1"},
        {"step": True},
        {"step": None},
        {"step": 1, "totalSteps": -1},
        {"step": 1, "metrics": []},
        {"step": 1, "metrics": {"a": True}},
        {"step": 1, "metrics": {"a": None}},
        {"step": 1, "metrics": {"a": {}}},
        {"step": 1, "metrics": {"a": "x" * 257}},
        {"step": 1, "metrics": {"x" * 65: 1}},
        {"step": 1, "metrics": {str(n): n for n in range(33)}},
        b'{"step": 1, "metrics": {"a": "\xff"}}',
    ],
    ids=lambda body: str(body)[:40],
)
async def test_a_malformed_report_is_refused_and_changes_nothing(world: World, body: Any) -> None:
    status, said = await world.post("/v1/report", body)
    assert (status, said.count("\n")) == (400, 1)
    assert len(world.store.reports) == 0


@pytest.mark.parametrize(
    "change",
    [{"uri": "x" * 1025}, {"digest": "x" * 1025}, {"request": "x" * 129}, {"uri": None}, {"digest": 1}, {"step": -1}],
    ids=lambda change: str(change)[:40],
)
async def test_a_malformed_checkpoint_is_refused_and_changes_nothing(world: World, change: dict[str, Any]) -> None:
    assert (await world.post("/v1/saved", {**SAVED, **change}))[0] == 400
    assert len(world.store.reports) == 0


async def test_the_largest_values_are_taken(world: World) -> None:
    metrics = {f"{n:064}": "x" * 256 for n in range(32)}
    assert (await world.post("/v1/report", {"step": 2**53, "totalSteps": 2**53, "metrics": metrics}))[0] == 200
    world.status(attempt=3, checkpoint=CHECKPOINT | {"step": 0})
    assert (await world.post("/v1/saved", {"step": 0, "uri": "x" * 1024, "digest": "x" * 1024}))[0] == 200


async def test_more_than_64_kib_are_not_read(world: World) -> None:
    assert (await world.post("/v1/report", b"{" + b" " * 70_000))[0] == 413


async def test_what_comes_too_slowly_is_not_waited_for(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(endpoint, "READ_SECONDS", 0.05)
    going_on = asyncio.Event()

    async def slowly() -> AsyncIterator[bytes]:
        yield b"{"
        await going_on.wait()

    async with world.session.post(
        world.url + "/v1/report", data=slowly(), headers={"Authorization": f"Bearer {PROGRAM.uid}"}
    ) as answer:
        assert answer.status == 408
        going_on.set()


async def test_a_token_of_other_letters_is_refused_unread(world: World) -> None:
    """No token has them, and some cannot even be hashed."""
    head = f"POST /v1/report HTTP/1.1\r\nHost: x\r\nConnection: close\r\nAuthorization: Bearer {PROGRAM.uid}".encode()
    url = URL(world.url)
    reader, writer = await asyncio.open_connection(url.host, url.port)
    writer.write(head + b"\xff\r\nContent-Length: 2\r\n\r\n{}")
    assert b" 401 " in await reader.readline()
    writer.close()
    await writer.wait_closed()
    assert world.tokens == []


async def test_every_message_is_counted_with_its_answer(world: World) -> None:
    """Also what was asked for in vain: whoever watches sees that workers are refused, and why."""
    await world.post("/v1/report", {"step": 1})
    await world.post("/v1/report", {"step": 2})
    await world.post("/v1/report", {"step": -1})
    await world.post("/v1/report", {"step": 1}, "rank-1")
    await world.post("/v1/report", {"step": 1}, "nobody")
    world.status(attempt=3, checkpoint=CHECKPOINT)
    await world.post("/v1/saved", SAVED)
    await world.post("/elsewhere", {})
    world.leads = False
    await world.post("/v1/saved", SAVED)
    samples = next(iter(world.metrics.worker_messages.collect())).samples
    assert {(it.labels["kind"], it.labels["answer"]): it.value for it in samples} == {
        ("report", "OK"): 2,
        ("report", "Bad Request"): 1,
        ("report", "Forbidden"): 1,
        ("report", "Unauthorized"): 1,
        ("saved", "OK"): 1,
        ("saved", "Service Unavailable"): 1,
        ("other", "Not Found"): 1,
    }
