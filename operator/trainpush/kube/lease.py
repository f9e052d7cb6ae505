"""Which replica may write: the holder of a Lease."""

import asyncio
import random
import time
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime

from trainpush.kube.client import Client, Object
from trainpush.kube.errors import AlreadyExists, ApiError, Conflict, NotFound
from trainpush.kube.resources import LEASES
from trainpush.telemetry.logs import logger

_log = logger(__name__)


@dataclass(frozen=True, slots=True)
class Timing:
    """Seconds of an election; with `renew` less than `lease` the old holder stops before a new one starts."""

    lease: int = 15
    """Others may take over when they have seen no renewal for so long."""
    renew: float = 10.0
    """The holder stops writing when it has not renewed for so long, whatever the clocks do."""
    retry: float = 2.0
    """Between two tries to gain or renew."""


class Elector:
    """Tries to hold the Lease, and knows at any instant whether it does.

    Clocks of different machines are never compared: a foreign Lease is dead when its content has not changed for its
    duration on our own monotonic clock.
    Source: semantics of k8s.io/client-go/tools/leaderelection.
    """

    def __init__(
        self,
        client: Client,
        namespace: str,
        name: str,
        identity: str,
        *,
        timing: Timing = Timing(),
    ) -> None:
        """Keep the parts; `identity` must be unique among processes that run at the same time."""
        self.identity = identity
        self._client = client
        self._namespace = namespace
        self._name = name
        self._timing = timing
        self._lease: Object | None = None
        self._seen_at = float("-inf")
        self._renewed_at = float("-inf")
        self._gained = asyncio.Event()
        self._lost = asyncio.Event()
        self._lost.set()

    @property
    def is_leader(self) -> bool:
        """Whether this process may write now: judged by the time since the last renewal, even if `run` is late."""
        return self._gained.is_set() and time.monotonic() - self._renewed_at < self._timing.renew

    async def became_leader(self) -> None:
        """Wait until this process leads."""
        await self._gained.wait()

    async def lost_leadership(self) -> None:
        """Wait until this process does not lead."""
        await self._lost.wait()

    async def run(self) -> None:
        """Take part in the election until cancelled; then let the Lease go, so that the next one need not wait."""
        try:
            while True:
                await self._round()
                await asyncio.sleep(self._timing.retry * random.uniform(1.0, 1.2))  # noqa: S311  not a secret
        finally:
            if self._gained.is_set() and self._lease:
                await self._release(self._lease)

    async def _round(self) -> None:
        started_at = time.monotonic()
        try:
            # Half, so that one request that hangs does not cost the Lease.
            async with asyncio.timeout(self._timing.renew / 2):
                is_ours = await self._acquire_or_renew()
        except (ApiError, TimeoutError) as error:
            _log.warning("lease not renewed", lease=self._name, error=str(error) or "no answer in time")
            is_ours = False
        if is_ours:
            # The start, not the end: others count from when the server stored it, which lies in between.
            self._renewed_at = started_at
            if not self._gained.is_set():
                _log.info("became leader", lease=self._name, identity=self.identity)
                self._gained.set()
                self._lost.clear()
        elif self._gained.is_set() and (self._is_foreign() or not self.is_leader):
            self._set_following()

    async def _acquire_or_renew(self) -> bool:
        try:
            lease = self._lease if self._gained.is_set() and self._lease else await self._read()
            duration = self._spec.get("leaseDurationSeconds") or self._timing.lease
            if self._is_foreign() and time.monotonic() - self._seen_at < duration:
                return False
            self._observe(await self._patch(lease, self._claim()))
        except NotFound:
            return await self._create()
        except Conflict:
            # Somebody else was faster, or edited it: look before the next try.
            await self._read()
            return False
        return True

    async def _read(self) -> Object:
        lease = await self._client.get(LEASES, self._name, self._namespace)
        self._observe(lease)
        return lease

    async def _create(self) -> bool:
        metadata = {"namespace": self._namespace, "name": self._name}
        body = {"apiVersion": LEASES.api_version, "kind": LEASES.kind, "metadata": metadata, "spec": self._claim()}
        with suppress(AlreadyExists):
            self._observe(await self._client.create(LEASES, body))
            return True
        return False

    def _observe(self, lease: Object) -> None:
        if self._lease is None or lease.get("spec") != self._lease.get("spec"):
            self._seen_at = time.monotonic()
        self._lease = lease

    @property
    def _spec(self) -> Object:
        return (self._lease or {}).get("spec") or {}

    def _is_foreign(self) -> bool:
        return bool(self._spec.get("holderIdentity")) and self._spec["holderIdentity"] != self.identity

    def _claim(self) -> Object:
        """The spec with this process as the holder; a change of holder is a transition."""
        now = _timestamp()
        is_renewal = self._spec.get("holderIdentity") == self.identity
        return {
            "holderIdentity": self.identity,
            "leaseDurationSeconds": self._timing.lease,
            "renewTime": now,
            "acquireTime": self._spec.get("acquireTime", now) if is_renewal else now,
            "leaseTransitions": self._spec.get("leaseTransitions", 0) + (0 if is_renewal or not self._lease else 1),
        }

    async def _patch(self, lease: Object, spec: Object) -> Object:
        body = {"metadata": {"resourceVersion": lease["metadata"]["resourceVersion"]}, "spec": spec}
        return await self._client.patch(LEASES, self._namespace, self._name, body)

    async def _release(self, lease: Object) -> None:
        self._set_following()
        now = _timestamp()
        freed = {"holderIdentity": None, "leaseDurationSeconds": 1, "renewTime": now, "acquireTime": now}
        try:
            async with asyncio.timeout(self._timing.retry):
                await self._patch(lease, freed)
        except (ApiError, TimeoutError) as error:
            _log.warning("lease not released", lease=self._name, error=str(error) or "no answer in time")

    def _set_following(self) -> None:
        _log.warning("stopped leading", lease=self._name, identity=self.identity)
        self._gained.clear()
        self._lost.set()


def _timestamp() -> str:
    return datetime.now(UTC).isoformat(timespec="microseconds").replace("+00:00", "Z")
