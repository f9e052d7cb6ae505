"""Asking a model server, over real sockets, that does everything a model server should not."""

import asyncio
import json
import socket
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager

import aiohttp
import pytest
from aiohttp import web

from trainpush.probes.triton import ANSWER_MAX, ask

RIGHT = {"model_name": "digits", "outputs": [{"name": "SCORES", "datatype": "FP32", "shape": [1], "data": [0.5]}]}
REQUEST = '{"inputs": []}'

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]
Talker = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]


@asynccontextmanager
async def served(handler: Handler) -> AsyncIterator[int]:
    """The port of a web server that answers everything by `handler`."""
    runner = web.AppRunner(app := web.Application(), shutdown_timeout=0)
    app.router.add_route("*", "/{path:.*}", handler)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    try:
        yield runner.addresses[0][1]
    finally:
        await runner.cleanup()


@asynccontextmanager
async def raw(talker: Talker) -> AsyncIterator[int]:
    """The port of a server that does with each connection what it likes."""
    server = await asyncio.start_server(talker, "127.0.0.1", 0)
    async with server:
        yield server.sockets[0].getsockname()[1]


async def asked(port: int, request: str | None = REQUEST, seconds: float = 10, address: str = "127.0.0.1") -> str:
    async with aiohttp.ClientSession() as session:
        return await ask(session, address, port, "digits", request, seconds)


async def answered_with(text: str, status: int = 200) -> str:
    async def handler(_: web.Request) -> web.Response:
        return web.Response(text=text, status=status)

    async with served(handler) as port:
        return await asked(port)


async def test_a_right_answer_leaves_nothing_to_say() -> None:
    seen: list[tuple[str, str, str]] = []

    async def handler(request: web.Request) -> web.Response:
        seen.append((request.method, request.path, await request.text()))
        return web.json_response(RIGHT)

    async with served(handler) as port:
        assert await asked(port) == ""
    assert seen == [("POST", "/v2/models/digits/infer", REQUEST)]


async def test_without_a_request_a_loaded_model_will_do() -> None:
    seen: list[tuple[str, str]] = []

    async def handler(request: web.Request) -> web.Response:
        seen.append((request.method, request.path))
        return web.Response()

    async with served(handler) as port:
        assert await asked(port, None) == ""
    assert seen == [("GET", "/v2/models/digits/ready")]


async def test_a_model_that_is_not_loaded_is_told() -> None:
    async def handler(_: web.Request) -> web.Response:
        return web.Response(status=400)

    async with served(handler) as port:
        assert await asked(port, None) == "HTTP 400:"


@pytest.mark.parametrize(
    ("answer", "complaint"),
    [
        (RIGHT | {"model_name": "other"}, "the answer comes from model 'other' instead of 'digits'"),
        ({"outputs": RIGHT["outputs"]}, "the answer comes from model None instead of 'digits'"),
        (RIGHT | {"outputs": []}, "the answer has no outputs with data"),
        (RIGHT | {"outputs": {}}, "the answer has no outputs with data"),
        (RIGHT | {"outputs": [{"name": "SCORES"}]}, "the answer has no outputs with data"),
        (RIGHT | {"outputs": [{"name": "SCORES", "data": []}]}, "the answer has no outputs with data"),
        (RIGHT | {"outputs": [*RIGHT["outputs"], 1]}, "the answer has no outputs with data"),
        ([RIGHT], "the answer is not a JSON object"),
        (None, "the answer is not a JSON object"),
    ],
    ids=str,
)
async def test_an_answer_that_is_none_is_told(answer: object, complaint: str) -> None:
    assert await answered_with(json.dumps(answer)) == complaint


async def test_an_answer_that_is_not_json_is_quoted_in_one_line() -> None:
    assert await answered_with("<p>\n  hello\r\n\0</p>" + "!" * 1000) == (
        "the answer is not JSON: <p> hello </p>" + "!" * 182
    )
    assert await answered_with("[" * 100_000) == "the answer is not JSON: " + "[" * 200


async def test_an_error_of_the_server_is_quoted_in_one_line() -> None:
    said = await answered_with('{"error": "expected 64\nvalues"}' + "x" * 5000, 400)
    assert said.startswith('HTTP 400: {"error": "expected 64 values"}xxx')
    assert len(said) <= 400


async def test_a_server_elsewhere_is_not_followed() -> None:
    async def handler(request: web.Request) -> web.Response:
        raise web.HTTPTemporaryRedirect(location="/elsewhere" if request.path != "/elsewhere" else "/")

    async with served(handler) as port:
        assert (await asked(port)).startswith("HTTP 307")


async def test_an_answer_without_end_is_not_read_to_it() -> None:
    sent = 0

    async def handler(request: web.Request) -> web.StreamResponse:
        nonlocal sent
        answer = web.StreamResponse()
        await answer.prepare(request)
        while sent < 200 * ANSWER_MAX:
            await answer.write(b" " * 65_536)
            sent += 65_536
        return answer

    async with served(handler) as port:
        assert await asked(port) == f"the answer is longer than {ANSWER_MAX} bytes"
    assert sent < 100 * ANSWER_MAX


async def test_silence_ends_in_time_whatever_came_before() -> None:
    async def mute(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read()
        writer.close()

    async def trickle(request: web.Request) -> web.StreamResponse:
        answer = web.StreamResponse()
        await answer.prepare(request)
        while True:
            await answer.write(b" ")
            await asyncio.sleep(0.01)

    async with raw(mute) as port:
        assert await asked(port, seconds=0.2) == "no answer within 0.2 s"
    async with served(trickle) as port:
        assert await asked(port, seconds=0.2) == "no answer within 0.2 s"


@pytest.mark.parametrize(
    "words",
    [
        b"",
        b"\0\xff garbage\r\n\r\n",
        b"HTTP/1.1 999 what\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n{",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\nContent-Length: 3\r\n\r\nabc",
        b"HTTP/1.1 200 OK\r\nX: " + b"x" * 100_000 + b"\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\n\xff\xfe\xfd\xfc",
    ],
    ids=lambda words: repr(words[:40]),
)
async def test_garbage_is_one_line(words: bytes) -> None:
    async def talker(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(REQUEST.encode())
        writer.write(words)
        writer.close()

    async with raw(talker) as port:
        complaint = await asked(port)
    assert complaint
    assert complaint.isprintable()
    assert len(complaint) <= 400


async def test_a_reset_is_one_line() -> None:
    async def talker(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read(1)
        writer.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
        writer.transport.abort()

    async with raw(talker) as port:
        assert (await asked(port)).startswith("no answer: ")


@pytest.mark.parametrize("address", ["127.0.0.1", "::1", "not an address", ""])
async def test_nobody_there_is_one_line(address: str) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        complaint = await asked(taken.getsockname()[1], address=address)
    assert complaint.startswith("no answer: ")
    assert complaint.isprintable()
