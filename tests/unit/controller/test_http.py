"""What listens: who may come in, for how long, and what is said when the port is taken."""

import asyncio
import ssl
from asyncio import StreamReader, StreamWriter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime

import pytest
from aiohttp import ClientSession, web
from prometheus_client import CollectorRegistry

from support.operator_process import free_port
from trainpush.controller import http
from trainpush.controller.http import listening, probing
from trainpush.controller.preflight import StartError
from trainpush.kube import certificates

ASKED = b"GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n"
PATIENCE = 10


def an_app(*wrong: str) -> web.Application:
    """Metrics of nothing, ready, and healthy unless something is `wrong`."""
    return probing(CollectorRegistry(), lambda: list(wrong), list)


@asynccontextmanager
async def connected(port: int) -> AsyncIterator[tuple[StreamReader, StreamWriter]]:
    """A connection that says nothing by itself."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    try:
        yield reader, writer
    finally:
        writer.close()
        await asyncio.wait([asyncio.ensure_future(writer.wait_closed())])


async def is_served(port: int) -> bool:
    """Whether somebody who comes now gets an answer."""
    async with connected(port) as (reader, writer), asyncio.timeout(PATIENCE):
        try:
            writer.write(ASKED)
            return (await reader.read(15)).startswith(b"HTTP/1.1 200")
        except ConnectionError:
            return False


async def test_probes_say_what_is_wrong() -> None:
    async with listening(an_app("a", "b"), "127.0.0.1", 0, "") as port, ClientSession() as session:
        for path, expected in (("healthz", (503, "a\nb\n")), ("readyz", (200, "ok\n")), ("metrics", (200, ""))):
            async with session.get(f"http://127.0.0.1:{port}/{path}") as answer:
                assert (answer.status, await answer.text()) == expected


async def test_a_port_that_is_taken_is_told_in_one_line() -> None:
    port = free_port()
    async with listening(an_app(), "127.0.0.1", port, "TRAINPUSH_PORT"):
        said = f"^cannot listen on 127.0.0.1:{port}: Address already in use; set TRAINPUSH_PORT to a free port$"
        with pytest.raises(StartError, match=said):
            async with listening(an_app(), "127.0.0.1", port, "TRAINPUSH_PORT"):
                pass


async def test_whoever_comes_when_all_connections_are_taken_is_turned_away(monkeypatch: pytest.MonkeyPatch) -> None:
    """Until one of them goes; those who are in go on."""
    monkeypatch.setattr(http, "CONNECTIONS_MAX", 3)
    async with listening(an_app(), "127.0.0.1", 0, "") as port:
        async with connected(port), connected(port), connected(port) as (reader, writer):
            assert not await is_served(port)
            writer.write(ASKED)
            assert (await reader.readline()).startswith(b"HTTP/1.1 200")
        async with asyncio.timeout(PATIENCE):
            while not await is_served(port):
                pass


async def test_a_gang_of_512_may_connect_at_once() -> None:
    """Also where the process may open few files at first."""
    async with listening(an_app(), "127.0.0.1", 0, "") as port, ClientSession() as session:

        async def ask() -> int:
            async with session.get(f"http://127.0.0.1:{port}/healthz") as answer:
                return answer.status

        assert set(await asyncio.gather(*(ask() for _ in range(512)))) == {200}


@pytest.mark.parametrize("begun", [b"", b"GET /hea", ASKED[:-2]], ids=["nothing", "a line in part", "a head in part"])
async def test_whoever_says_nothing_is_hung_up_on(begun: bytes, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(http, "KEPT_SECONDS", 0.05)
    async with listening(an_app(), "127.0.0.1", 0, "") as port, connected(port) as (reader, writer):
        writer.write(begun)
        async with asyncio.timeout(PATIENCE):
            assert await reader.read() == b""


async def test_whoever_does_not_shake_hands_is_hung_up_on(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(http, "HANDSHAKE_SECONDS", 0.05)
    authority, context = certificates.new_authority(datetime.now(UTC)), certificates.server_context()
    certificates.use(context, certificates.serving(authority, ["localhost"], datetime.now(UTC)))
    trust = ssl.create_default_context(cadata=authority.pem)
    async with listening(an_app(), "127.0.0.1", 0, "", context) as port:
        async with connected(port) as (reader, _), asyncio.timeout(PATIENCE):
            assert await reader.read() == b""
        async with ClientSession() as session, session.get(f"https://localhost:{port}/healthz", ssl=trust) as answer:
            assert answer.status == 200
