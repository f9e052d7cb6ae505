"""What can be asked of the operator from outside: metrics and probes, nothing else."""

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager

from aiohttp import web
from prometheus_client import CONTENT_TYPE_LATEST, CollectorRegistry, generate_latest

_Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]
Probe = Callable[[], list[str]]
"""What is wrong, one line each; empty means healthy."""


@asynccontextmanager
async def serving(host: str, port: int, registry: CollectorRegistry, health: Probe, ready: Probe) -> AsyncIterator[int]:
    """Serve /metrics, /healthz and /readyz; yields the port, which is a free one for 0.

    Raises:
        OSError: the port cannot be had.
    """
    app = web.Application()
    app.router.add_get("/metrics", _metrics(registry))
    app.router.add_get("/healthz", _probe(health))
    app.router.add_get("/readyz", _probe(ready))
    runner = web.AppRunner(app, access_log=None)
    await runner.setup()
    try:
        site = web.TCPSite(runner, host, port)
        await site.start()
        yield runner.addresses[0][1]
    finally:
        await runner.cleanup()


def _metrics(registry: CollectorRegistry) -> _Handler:
    async def answer(_: web.Request) -> web.Response:
        return web.Response(body=generate_latest(registry), headers={"Content-Type": CONTENT_TYPE_LATEST})

    return answer


def _probe(probe: Probe) -> _Handler:
    async def answer(_: web.Request) -> web.Response:
        wrong = probe()
        return web.Response(text="\n".join(wrong or ["ok"]) + "\n", status=503 if wrong else 200)

    return answer
