"""What listens over HTTP: metrics and probes, and any other application; bounded in how many come at once."""

import asyncio
import os
import ssl
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from functools import partial
from typing import Final

from aiohttp import web
from prometheus_client import CONTENT_TYPE_LATEST, CollectorRegistry, generate_latest

from trainpush.controller.preflight import StartError

CONNECTIONS_MAX: Final = 512
"""Most connections at once; each job that runs keeps one. Half of the files that a process may usually open."""
KEPT_SECONDS: Final = 30.0
"""How long a silent connection is kept; workers report every 5 s."""
HANDSHAKE_SECONDS: Final = 10.0
"""How long whoever connects may take until it can speak."""

Probe = Callable[[], list[str]]
"""What is wrong, one line each; empty means healthy."""


def probing(registry: CollectorRegistry, health: Probe, ready: Probe) -> web.Application:
    """What answers /metrics, /healthz and /readyz."""
    app = web.Application()
    app.router.add_get("/metrics", partial(_metrics, registry))
    app.router.add_get("/healthz", partial(_probe, health))
    app.router.add_get("/readyz", partial(_probe, ready))
    return app


async def _metrics(registry: CollectorRegistry, _: web.Request) -> web.Response:
    return web.Response(body=generate_latest(registry), headers={"Content-Type": CONTENT_TYPE_LATEST})


async def _probe(probe: Probe, _: web.Request) -> web.Response:
    wrong = probe()
    return web.Response(text="\n".join(wrong or ["ok"]) + "\n", status=503 if wrong else 200)


@asynccontextmanager
async def listening(
    app: web.Application, host: str, port: int, setting: str, context: ssl.SSLContext | None = None
) -> AsyncIterator[int]:
    """Serve `app`, over TLS where there is a `context`; yields the port, which is a free one for 0.

    Raises:
        StartError: the port, which `setting` says, cannot be had.
    """
    # Whoever hangs up waits for no answer any more.
    runner = web.AppRunner(
        app, access_log=None, handler_cancellation=True, keepalive_timeout=KEPT_SECONDS, shutdown_timeout=1.0
    )
    await runner.setup()
    try:
        server = await _bound(partial(_entered, runner), host, port, setting, context)
        try:
            yield server.sockets[0].getsockname()[1]
        finally:
            server.close()
    finally:
        await runner.cleanup()


async def _bound(
    enter: Callable[[], asyncio.Protocol], host: str, port: int, setting: str, context: ssl.SSLContext | None
) -> asyncio.Server:
    # A site of aiohttp has no say in how long a handshake may take, nor in who comes in.
    loop, patience = asyncio.get_running_loop(), HANDSHAKE_SECONDS if context else None
    try:
        return await loop.create_server(enter, host, port, ssl=context, ssl_handshake_timeout=patience)
    except OSError as error:
        why = os.strerror(error.errno) if error.errno else error
        msg = f"cannot listen on {host}:{port}: {why}; set {setting} to a free port"
        raise StartError(msg) from None


def _entered(runner: web.AppRunner) -> asyncio.Protocol:
    """What meets a new connection: the server, or nobody where so many speak already."""
    server = runner.server
    return server() if server and len(server.connections) < CONNECTIONS_MAX else _Closed()


class _Closed(asyncio.Protocol):
    """Hangs up."""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        transport.close()
