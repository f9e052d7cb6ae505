"""How a view of one kind of object is kept up to date: list, then watch, and start again after any fault."""

import asyncio
import random
import time
from collections.abc import Callable, Iterable
from contextlib import aclosing
from typing import Final, Generic, Protocol, TypeVar

import msgspec

from trainpush.kube.client import NO_ANSWER, Client
from trainpush.kube.errors import ApiError, Gone, Invalid, error_from
from trainpush.kube.resources import Resource
from trainpush.telemetry.logs import logger

FIRST_DELAY_SECONDS: Final = 0.5
LONGEST_DELAY_SECONDS: Final = 30.0

T = TypeVar("T")
T_contra = TypeVar("T_contra", contravariant=True)

_log = logger(__name__)


class Sink(Protocol[T_contra]):
    """Where objects go. Events may be late, doubled or out of order; the sink keeps the newest state of each uid."""

    def replace(self, items: Iterable[T_contra], as_of: int) -> object:
        """Take `items` as all objects that there were at version `as_of`, and find out what that changes."""

    def put(self, item: T_contra) -> object:
        """Take an object that is new or changed."""

    def drop(self, item: T_contra) -> object:
        """Take the last state of an object that is gone."""


class _Version(msgspec.Struct, gc=False, rename="camel"):
    resource_version: str


class _Versioned(msgspec.Struct, gc=False):
    metadata: _Version


class _Event(msgspec.Struct, gc=False):
    type: str
    object: msgspec.Raw


class _UnreadableError(Exception):
    """A line of the watch that is not an event; what it would have said can only be found by a list."""


_event_decoder = msgspec.json.Decoder(_Event)
_version_decoder = msgspec.json.Decoder(_Versioned)


class Reflector(Generic[T]):
    """Keeps a sink in step with the API server, whatever the network and the server do."""

    def __init__(
        self,
        client: Client,
        resource: Resource,
        decode: Callable[[bytes | msgspec.Raw], T],
        sink: Sink[T],
        *,
        labels: str = "",
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """Keep the parts; `decode` may reduce an object at once, and an object that it refuses is skipped.

        `decode` refuses by `msgspec.MsgspecError` or `ValueError`. `labels` is a selector; empty takes everything.
        """
        self.resource = resource
        self.synced = asyncio.Event()
        """Set once the sink has had its first list."""
        self.last_heard = clock()
        """When the last line or list came, in seconds of `clock`."""
        self.lists = 0
        """Lists that were read to the end; all but the first are repairs."""
        self.malformed = 0
        """Objects that were skipped."""
        self._client = client
        self._decode = decode
        self._sink = sink
        self._clock = clock
        self._query = {"labelSelector": labels} if labels else {}
        self._resource_version: str | None = None
        self._faults = 0
        self._is_paged = True

    def silent_seconds(self) -> float:
        """How long nothing was heard."""
        return self._clock() - self.last_heard

    async def run(self) -> None:
        """Go on until cancelled."""
        while True:
            fault: Exception | None = None
            try:
                if self._resource_version is None:
                    self._resource_version = await self._list()
                if await self._watch(self._resource_version):
                    continue
            except (Gone, Invalid, _UnreadableError) as error:
                self._resource_version = None
                fault = error
            except ApiError as error:
                if error.reason == NO_ANSWER:
                    # Perhaps the server's history was set back, and it waits until it reaches our version again.
                    self._resource_version = None
                fault = error
            await self._pause(fault)

    async def _pause(self, fault: Exception | None) -> None:
        """Wait ever longer while one fault follows another; a watch that ended without a word is a fault, too."""
        self._faults += 1
        longest = min(LONGEST_DELAY_SECONDS, FIRST_DELAY_SECONDS * 2 ** min(self._faults - 1, 10))
        delay = longest * random.uniform(0.5, 1.0)  # noqa: S311  not a secret
        _log.warning(
            "watch interrupted",
            kind=self.resource.kind,
            error=str(fault) if fault else "ended without a word",
            relist=self._resource_version is None,
            retry_seconds=round(delay, 1),
        )
        await asyncio.sleep(delay)

    async def _list(self) -> str:
        """Give the sink a full list and return its resourceVersion."""
        items: list[T] = []
        version = ""
        try:
            query = self._query if self._is_paged else {**self._query, "limit": "0"}
            async for page in self._client.pages(self.resource, query=query):
                items += [item for body in page.items if (item := self._decoded(body)) is not None]
                version = page.resource_version
        except Gone:
            # The continue token expired: the list takes longer than the server keeps history. Next time in one piece.
            self._is_paged = False
            raise
        self._is_paged = True
        self.lists += 1
        self.last_heard = self._clock()
        self._sink.replace(items, int(version))
        self.synced.set()
        return version

    async def _watch(self, version: str) -> bool:
        """Pass events on until the stream ends; whether there were any."""
        was_heard = False
        async with aclosing(self._client.watch(self.resource, version, query=self._query)) as lines:
            async for line in lines:
                self._take(line)
                was_heard = True
                self.last_heard = self._clock()
                self._faults = 0
        return was_heard

    def _take(self, line: bytes) -> None:
        try:
            event = _event_decoder.decode(line)
        except msgspec.MsgspecError as error:
            raise _UnreadableError(str(error)) from error
        if event.type == "ERROR":
            raise error_from(0, event.object)
        if event.type in {"ADDED", "MODIFIED", "DELETED"} and (item := self._decoded(event.object)) is not None:
            (self._sink.drop if event.type == "DELETED" else self._sink.put)(item)
        try:
            self._resource_version = _version_decoder.decode(event.object).metadata.resource_version
        except msgspec.MsgspecError as error:
            raise _UnreadableError(str(error)) from error

    def _decoded(self, body: msgspec.Raw) -> T | None:
        try:
            return self._decode(body)
        except (msgspec.MsgspecError, ValueError) as error:
            self.malformed += 1
            _log.error("malformed object skipped", kind=self.resource.kind, error=str(error), body=bytes(body)[:200])
            return None
