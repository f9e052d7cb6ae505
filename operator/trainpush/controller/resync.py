"""Lists of our own kinds: at the start, at the gain of the Lease, and now and then to find what kopf missed."""

import asyncio
from contextlib import suppress
from typing import Final

from trainpush.kube.client import Client
from trainpush.kube.errors import ApiError
from trainpush.kube.store import Store
from trainpush.telemetry.logs import logger
from trainpush.telemetry.metrics import Metrics

INTERVAL_SECONDS: Final = 60.0
RETRY_SECONDS: Final = 1.0

_log = logger(__name__)


class Resync:
    """Keeps the store's view of our own kinds true; what it has to mend is counted as drift."""

    def __init__(self, client: Client, store: Store, metrics: Metrics) -> None:
        """List through `client` into `store`."""
        self._client = client
        self._store = store
        self._metrics = metrics
        self._due = asyncio.Event()
        self.fresh = asyncio.Event()
        """Set while the view is no older than this replica's leadership."""

    def renew(self) -> None:
        """List before anything is decided again: another replica may have decided meanwhile."""
        self.fresh.clear()
        self._due.set()

    async def run(self) -> None:
        """List for ever."""
        while True:
            self._due.clear()
            try:
                await self._list()
            except ApiError as error:
                _log.warning("own kinds not listed", error=str(error))
            with suppress(TimeoutError):
                async with asyncio.timeout(INTERVAL_SECONDS if self.fresh.is_set() else RETRY_SECONDS):
                    await self._due.wait()

    async def _list(self) -> None:
        for resource, kind in self._store.own_kinds.items():
            objects, version = await self._client.list_raw(resource)
            changed = kind.take_all(objects, int(version))
            if self.fresh.is_set():
                self._metrics.store_drift.labels(resource.kind).inc(changed)
        if not self._due.is_set():
            self.fresh.set()
        self._store.dirty.set()
