"""The other end of the checkpoint contract, over real TLS on loopback, told by a test what to answer."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from aiohttp import web

from trainpush.controller.http import listening
from trainpush.kube import certificates
from trainpush.kube.certificates import Authority

TOKEN = "a.token.b"  # noqa: S105 - of nobody
HOST = "localhost"


@dataclass
class ListeningOperator:
    """Takes reports and checkpoints, and answers as it is told."""

    authority: Authority
    answer: dict[str, Any] = field(default_factory=lambda: {"request": None, "stop": False})
    refusal: int = 0
    """HTTP status of a refusal; 0 takes everything."""
    reports: list[dict[str, Any]] = field(default_factory=list)
    saves: list[dict[str, Any]] = field(default_factory=list)
    recorded: asyncio.Event = field(default_factory=asyncio.Event)
    """While it is clear, no checkpoint is acknowledged."""
    refused: int = 0
    """Messages that were refused."""
    port: int = 0
    stop: Callable[[], Awaitable[None]] | None = None
    """Stop listening at once."""

    def __post_init__(self) -> None:
        """Acknowledge at once."""
        self.recorded.set()

    def app(self) -> web.Application:
        """What answers."""
        app = web.Application()
        app.router.add_post("/v1/report", self._report)
        app.router.add_post("/v1/saved", self._saved)
        return app

    def variables(self, folder: Path) -> dict[str, str]:
        """What a worker finds in its environment."""
        token = folder / "token"
        token.write_text(TOKEN + "\n")
        return {
            "TRAINPUSH_ENDPOINT": f"https://{HOST}:{self.port}",
            "TRAINPUSH_ENDPOINT_CA": self.authority.pem,
            "TRAINPUSH_TOKEN_FILE": str(token),
            "TRAINPUSH_ATTEMPT": "3",
            "RANK": "0",
        }

    def asks(self, request: str, seconds: float) -> None:
        """Ask for a checkpoint from the next answer on."""
        deadline = datetime.fromtimestamp(datetime.now(UTC).timestamp() + seconds, UTC)
        standing = {"id": request, "deadline": deadline.isoformat().replace("+00:00", "Z"), "reason": "Preempted"}
        self.answer = {"request": standing, "stop": False}

    async def _report(self, request: web.Request) -> web.Response:
        self.reports.append(await self._read(request))
        return web.json_response(self.answer)

    async def _saved(self, request: web.Request) -> web.Response:
        self.saves.append(await self._read(request))
        await self.recorded.wait()
        return web.json_response(self.answer)

    async def _read(self, request: web.Request) -> dict[str, Any]:
        assert request.headers["Authorization"] == f"Bearer {TOKEN}"
        if self.refusal:
            self.refused += 1
            raise _Refusal(self.refusal)
        body: dict[str, Any] = await request.json()
        return body


class _Refusal(web.HTTPException):
    def __init__(self, status: int) -> None:
        self.status_code = status
        super().__init__(text="no\n")


@asynccontextmanager
async def listening_operator(port: int = 0, authority: Authority | None = None) -> AsyncIterator[ListeningOperator]:
    """One that listens as long as the block runs."""
    now = datetime.now(UTC)
    operator = ListeningOperator(authority or certificates.new_authority(now))
    context = certificates.server_context()
    certificates.use(context, certificates.serving(operator.authority, [HOST], now))
    async with AsyncExitStack() as stack:
        operator.port = await stack.enter_async_context(listening(operator.app(), "127.0.0.1", port, "", context))
        operator.stop = stack.aclose
        yield operator
