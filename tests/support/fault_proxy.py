"""A proxy in front of the real API server that breaks what a real server breaks only on bad days.

It speaks plain HTTP on a loopback port and adds the credentials of the bed's administrator unless the client sends its
own. Requests go through unless a fault was put in their way.
"""

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import AsyncExitStack, suppress
from dataclasses import dataclass, field, replace
from http import HTTPStatus
from typing import Self

import aiohttp
from aiohttp import web

from trainpush.kube.credentials import Credentials

Fault = Callable[["FaultProxy", web.Request], Awaitable[web.StreamResponse]]
Matches = Callable[[web.Request], bool]


def answering(status: int, body: bytes = b"{}", **headers: str) -> Fault:
    """Answer by itself; the API server never sees the request. `Retry_After` becomes the header `Retry-After`."""
    named = {name.replace("_", "-"): value for name, value in headers.items()}

    async def answer(_proxy: "FaultProxy", _request: web.Request) -> web.StreamResponse:
        return web.Response(status=status, body=body, headers=named, content_type="application/json")

    return answer


async def hanging(_proxy: "FaultProxy", _request: web.Request) -> web.StreamResponse:
    """Never answer."""
    await asyncio.Event().wait()
    raise AssertionError


async def losing_the_answer(proxy: "FaultProxy", request: web.Request) -> web.StreamResponse:
    """Let the API server do it, then cut the connection: the outcome is unknown to the client."""
    async with await proxy.ask(request) as answer:
        await answer.read()
    return _cut(request)


async def cutting(_proxy: "FaultProxy", request: web.Request) -> web.StreamResponse:
    """Cut the connection before anything happens."""
    return _cut(request)


def is_watch(request: web.Request) -> bool:
    """Match the start of a watch."""
    return "watch" in request.query


def is_list(request: web.Request) -> bool:
    """Match a list, or a page of one."""
    return request.method == "GET" and "limit" in request.query


def is_write(request: web.Request) -> bool:
    """Match everything that changes something."""
    return request.method != "GET"


@dataclass
class FaultProxy:
    """`async with FaultProxy(load(...)) as proxy: Client(proxy.credentials)`."""

    upstream: Credentials
    requests: list[web.Request] = field(default_factory=list)
    """Every request that came, faulty or not."""
    most_in_flight: int = 0
    """Most writes that were under way at once."""
    is_silent: bool = False
    """While set, watches pass nothing on."""

    def __post_init__(self) -> None:
        """Nothing is open yet."""
        self._faults: list[tuple[Matches, Fault]] = []
        self._answers: list[tuple[Matches, Fault]] = []
        self._watches: list[tuple[web.Request, web.StreamResponse]] = []
        self._writes = 0
        self._port = 0
        self._site: AsyncExitStack | None = None

    async def __aenter__(self) -> Self:
        """Listen on a free port."""
        self._session = aiohttp.ClientSession(
            auto_decompress=False, connector=aiohttp.TCPConnector(limit=0), timeout=aiohttp.ClientTimeout(total=None)
        )
        await self.open()
        return self

    async def __aexit__(self, *_: object) -> None:
        """Stop listening and cut every connection."""
        await self.close()
        await self._session.close()

    async def open(self) -> None:
        """Listen, on the port of the last time if there was one."""
        app = web.Application(client_max_size=64 << 20)
        app.router.add_route("*", "/{path:.*}", self._serve)
        runner = web.AppRunner(app, access_log=None, shutdown_timeout=0, handler_cancellation=True)
        await runner.setup()
        site = web.TCPSite(runner, "127.0.0.1", self._port, reuse_address=True)
        await site.start()
        self._port = runner.addresses[0][1]
        self._site = AsyncExitStack()
        self._site.push_async_callback(runner.cleanup)

    async def close(self) -> None:
        """Be an API server that is down: connections break, new ones are refused."""
        self.cut()
        if self._site:
            await self._site.aclose()
            self._site = None

    @property
    def credentials(self) -> Credentials:
        """For a client that talks to the API server through this proxy, as whoever `upstream` is."""
        endpoint = replace(self.upstream.endpoint, server=f"http://127.0.0.1:{self._port}", tls_server_name=None)
        return Credentials(endpoint, self.upstream.ssl_context, lambda: None)

    @property
    def open_watches(self) -> int:
        """Watches that go through now."""
        return len(self._watches)

    def count(self, matches: Matches) -> int:
        """How many requests of a kind have come."""
        return sum(1 for request in self.requests if matches(request))

    def fail(self, matches: Matches, *faults: Fault) -> None:
        """Put each of `faults`, in this order, in the way of one later request that `matches`."""
        self._faults += [(matches, fault) for fault in faults]

    def always(self, matches: Matches, answer: Fault) -> None:
        """Have every later request that `matches` answered so."""
        self._answers.append((matches, answer))

    async def say(self, line: bytes) -> None:
        """Send these bytes on every open watch, as if the API server had."""
        for _, watch in self._watches:
            await watch.write(line)

    def cut(self) -> None:
        """Cut the connection of every open watch."""
        for request, _ in self._watches:
            _cut(request)

    async def ask(self, request: web.Request, edit: Callable[[bytes], bytes] = bytes) -> aiohttp.ClientResponse:
        """Pass a request on to the API server, its address and its body as `edit` makes them."""
        headers = {
            name: value
            for name, value in request.headers.items()
            if name in {"Accept", "Content-Type", "Authorization"}
        }
        # Answers are passed on as they are, without saying how they were packed.
        headers["Accept-Encoding"] = "identity"
        if (ours := await self.upstream.authorization()) and "Authorization" not in headers:
            headers["Authorization"] = ours
        return await self._session.request(
            request.method,
            self.upstream.endpoint.server + edit(str(request.rel_url).encode()).decode(),
            headers=headers,
            # Without a body there is no type of it either: the API server refuses one where it knows none.
            data=edit(await request.read()) or None,
            ssl=self.upstream.ssl_context,
        )

    async def _serve(self, request: web.Request) -> web.StreamResponse:
        self.requests.append(request)
        self._writes += is_write(request)
        self.most_in_flight = max(self.most_in_flight, self._writes)
        try:
            return await self._fault_for(request)(self, request)
        finally:
            self._writes -= is_write(request)
            self._watches = [watch for watch in self._watches if watch[0] is not request]

    def _fault_for(self, request: web.Request) -> Fault:
        for i, (matches, fault) in enumerate(self._faults):
            if matches(request):
                del self._faults[i]
                return fault
        return next((answer for matches, answer in self._answers if matches(request)), FaultProxy._pass)

    async def _pass(self, request: web.Request) -> web.StreamResponse:
        async with await self.ask(request) as answer:
            if not is_watch(request) or answer.status != HTTPStatus.OK:
                headers = {"Content-Type": answer.headers["Content-Type"]}
                return web.Response(status=answer.status, body=await answer.read(), headers=headers)
            response = web.StreamResponse()
            await response.prepare(request)
            self._watches.append((request, response))
            with suppress(ConnectionError):
                async for line in answer.content:
                    if not self.is_silent:
                        await response.write(line)
            return response


def _cut(request: web.BaseRequest) -> web.StreamResponse:
    if request.transport:
        request.transport.abort()
    return web.Response()
