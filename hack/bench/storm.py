"""`python -m bench.storm KUBECONFIG`: a proxy before the API server that repeats events of pods and nodes.

It prints its port. For each line RATE SECONDS that it reads it storms and then prints what it sent, as JSON;
it ends with its input. What it repeats is the last state of each object as the operator was told it, one after another,
half of them pods and half of them nodes, and each time with a later resourceVersion.

No such version may ever stand in the way of a real one. So versions of pods and nodes get more digits on their way to
the operator, and lose them on their way back: between two real versions there is room for ten million repeats, and
whoever watches or lists again from one of these gets what followed the real version before it.
"""

import asyncio
import json
import re
import sys
import time
from collections import OrderedDict
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from http import HTTPStatus
from typing import Final

import aiohttp
import msgspec
from aiohttp import web

from support.fault_proxy import FaultProxy, is_list, is_watch
from trainpush.kube.credentials import load

DIGITS: Final = 7
"""So many more has a version of a pod or a node as the operator sees it."""
TICK_SECONDS: Final = 0.01
MOST_AT_ONCE: Final = 1_000
"""Events that are sent together when they are late."""
_GIVEN: Final = re.compile(rb'("resourceVersion":"\d+)"')
_ASKED: Final = re.compile(rb'(resourceVersion"?[=:]"?\d+)\d{%d}' % DIGITS)


class _Meta(msgspec.Struct, rename="camel"):
    resource_version: str
    uid: str = ""


class _Thing(msgspec.Struct):
    metadata: _Meta


class _Event(msgspec.Struct):
    type: str
    object: msgspec.Raw


class _Page(msgspec.Struct):
    items: list[msgspec.Raw]


_event = msgspec.json.Decoder(_Event)
_page = msgspec.json.Decoder(_Page)
_thing = msgspec.json.Decoder(_Thing)


def longer(answer: bytes) -> bytes:
    """What the API server says, as the operator is to hear it."""
    return _GIVEN.sub(rb"\g<1>" + b"0" * DIGITS + b'"', answer)


def shorter(asked: bytes) -> bytes:
    """What the operator asks or writes, as the API server is to hear it."""
    return _ASKED.sub(rb"\g<1>", asked)


@dataclass
class Tide:
    """The objects of one kind as the operator was told of them, and its watch for more."""

    plural: str
    bodies: OrderedDict[str, tuple[bytes, bytes]] = field(default_factory=OrderedDict)
    """By uid what stands before and after the version; the one whose turn is next comes first."""
    watch: web.StreamResponse | None = None
    version: int = 0
    """The last one that the watch told."""

    def is_about(self, request: web.Request) -> bool:
        """Whether a request is about objects of this kind."""
        return bool(re.match(rf"/api/v1/(namespaces/[^/]+/)?{self.plural}(/|$)", request.path))

    async def answer(self, proxy: FaultProxy, request: web.Request) -> web.StreamResponse:
        """Pass a request on and its answer back, and learn from it."""
        async with await proxy.ask(request, shorter) as answer:
            if is_watch(request) and answer.status == HTTPStatus.OK:
                return await self._follow(request, answer.content)
            body = longer(await answer.read())
            if is_list(request) and answer.status == HTTPStatus.OK:
                for item in _page.decode(body).items:
                    self._learn(item)
            return web.Response(status=answer.status, body=body, headers={"Content-Type": "application/json"})

    async def _follow(self, request: web.Request, lines: aiohttp.StreamReader) -> web.StreamResponse:
        response = web.StreamResponse()
        await response.prepare(request)
        self.version, self.watch = int(request.query["resourceVersion"]), response
        try:
            with suppress(ConnectionError):
                async for line in lines:
                    await response.write(self._told(longer(line)))
        finally:
            if self.watch is response:
                self.watch = None
        return response

    def _told(self, line: bytes) -> bytes:
        event = _event.decode(line)
        if event.type == "DELETED":
            self.bodies.pop(_thing.decode(event.object).metadata.uid, None)
        elif event.type in {"ADDED", "MODIFIED"}:
            self._learn(event.object)
        if event.type != "ERROR":
            self.version = int(_thing.decode(event.object).metadata.resource_version)
        return line

    def _learn(self, body: msgspec.Raw) -> None:
        metadata = _thing.decode(body).metadata
        before, _, after = bytes(body).partition(f'"resourceVersion":"{metadata.resource_version}"'.encode())
        self.bodies[metadata.uid] = before + b'"resourceVersion":"', b'"' + after

    async def repeat(self, count: int) -> int:
        """Tell so many objects once more; how many it were."""
        if self.watch is None or not self.bodies:
            return 0
        lines = []
        for _ in range(count):
            uid, (before, after) = next(iter(self.bodies.items()))
            self.bodies.move_to_end(uid)
            self.version += 1
            lines.append(b'{"type":"MODIFIED","object":%b%d%b}\n' % (before, self.version, after))
        with suppress(ConnectionError):
            await self.watch.write(b"".join(lines))
        return count


async def storm(tides: Sequence[Tide], rate: int, seconds: float) -> dict[str, float]:
    """Send `rate` events a second, or as many as are taken; how many it were, in how long, and what that cost."""
    begun, cpu, sent = time.monotonic(), time.process_time(), 0
    while (passed := time.monotonic() - begun) < seconds:
        due = min(int(rate * passed) - sent, MOST_AT_ONCE)
        for tide in tides:
            sent += await tide.repeat(due // len(tides))
        await asyncio.sleep(TICK_SECONDS)
    return {"sent": sent, "seconds": passed, "cpu_seconds": time.process_time() - cpu}


async def _serve(kubeconfig: str) -> None:
    tides = [Tide("pods"), Tide("nodes")]
    async with FaultProxy(load(kubeconfig)) as proxy:
        for tide in tides:
            proxy.always(tide.is_about, tide.answer)
        print(proxy.credentials.endpoint.server.rpartition(":")[2], flush=True)
        while line := await asyncio.to_thread(sys.stdin.readline):
            rate, seconds = line.split()
            print(json.dumps(await storm(tides, int(rate), float(seconds))), flush=True)


if __name__ == "__main__":
    asyncio.run(_serve(sys.argv[1]))
