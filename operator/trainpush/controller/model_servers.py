"""Questions to model servers, on behalf of the applier."""

from types import TracebackType
from typing import Self

import aiohttp

from trainpush.api.quantity import seconds
from trainpush.api.revision import RevisionData
from trainpush.probes import triton
from trainpush.render.triton import PROXY_PORT


class ModelServers:
    """Asks replicas whether they serve what they should, over connections of its own."""

    async def __aenter__(self) -> Self:
        """Open the session."""
        # No connection is kept: each question finds out whether a new one is answered. None waits for another.
        self._session = aiohttp.ClientSession(connector=aiohttp.TCPConnector(force_close=True, limit=0))
        return self

    async def __aexit__(
        self, exc_type: type[BaseException] | None, exc: BaseException | None, traceback: TracebackType | None
    ) -> None:
        """Close the session."""
        await self._session.close()

    async def ask(self, address: str, revision: RevisionData) -> str:
        """Why the replica at `address` does not serve `revision`; empty when it does."""
        probe = revision.template.probe
        request, patience = (probe.request, seconds(probe.timeout)) if probe else (None, 5.0)
        return await triton.ask(self._session, address, PROXY_PORT, revision.model.name, request, float(patience))
