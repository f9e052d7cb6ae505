"""kopf as a shell: it watches our own kinds and tells the store, no more.

It lives in a thread with an event loop of its own, and is started again whenever it ends:
kopf ends on many faults of a watch that are no reason to end the operator,
takes the signals of its thread, and on its way out cancels every task of its loop.
"""

import asyncio
import random
import threading
from collections import deque
from collections.abc import Callable, Iterator, Mapping
from functools import partial
from typing import Any, Final

import kopf

from trainpush.kube.credentials import Credentials
from trainpush.kube.store import Kind, Store
from trainpush.telemetry.logs import logger
from trainpush.telemetry.metrics import Metrics

BACKOFF_MAX_SECONDS: Final = 30.0
EXIT_SECONDS: Final = 5.0
"""How long kopf may take to end when asked to."""

_log = logger(__name__)


async def watch_own_kinds(credentials: Credentials, store: Store, metrics: Metrics) -> None:
    """Feed `store` for ever; start kopf anew whenever it gives up."""
    pause = 1.0
    while True:
        started = asyncio.get_running_loop().time()
        reason = await _one_life(credentials, store)
        metrics.kopf_restarts.inc()
        lived = asyncio.get_running_loop().time() - started
        pause = 1.0 if lived > BACKOFF_MAX_SECONDS else min(pause * 2, BACKOFF_MAX_SECONDS)
        _log.warning("kopf ended, starting it again", reason=reason, after_seconds=pause)
        await asyncio.sleep(pause * random.uniform(0.5, 1.0))  # noqa: S311 - spreads load, keeps no secret


async def _one_life(credentials: Credentials, store: Store) -> str:
    """Run kopf until it ends, and say why; a cancellation asks it to end and waits a moment."""
    main = asyncio.get_running_loop()
    ended: asyncio.Future[str] = main.create_future()
    operator = _Operator(credentials, store, main)

    def live() -> None:
        try:
            asyncio.run(operator.run())
            reason = "it returned"
        except Exception as error:  # whatever ends kopf, the watch must go on
            reason = f"{type(error).__name__}: {error}"
        main.call_soon_threadsafe(_settle, ended, reason)

    threading.Thread(target=live, name="kopf", daemon=True).start()
    try:
        return await asyncio.shield(ended)
    except asyncio.CancelledError:
        operator.stop()
        await asyncio.wait([ended], timeout=EXIT_SECONDS)
        raise


def _settle(ended: asyncio.Future[str], reason: str) -> None:
    if not ended.done():
        ended.set_result(reason)


class _Operator:
    """One run of kopf, which hands everything over to the loop `main`."""

    def __init__(self, credentials: Credentials, store: Store, main: asyncio.AbstractEventLoop) -> None:
        self._credentials = credentials
        self._store = store
        self._main = main
        self._news: deque[Callable[[], object]] = deque()
        self._own: asyncio.AbstractEventLoop | None = None
        # Not a threading.Event: kopf would wait for it in an executor, whose thread could never be joined.
        self._stop = asyncio.Event()

    async def run(self) -> None:
        """Watch until kopf ends, which it may do at any time."""
        self._own = asyncio.get_running_loop()
        await kopf.operator(
            registry=self._registry(),
            settings=_settings(),
            clusterwide=True,
            standalone=True,
            stop_flag=self._stop,
            # Only peers would ask for it. Without it kopf wants the user's name, which a number in an image has not.
            identity="trainpush",  # type: ignore[arg-type]
        )

    def stop(self) -> None:
        if self._own:
            self._own.call_soon_threadsafe(self._stop.set)

    def _registry(self) -> kopf.OperatorRegistry:
        registry = kopf.OperatorRegistry()
        kopf.on.login(registry=registry)(self._login)
        for resource, kind in self._store.own_kinds.items():
            kopf.on.event(resource.group, resource.version, resource.plural, registry=registry)(self._teller(kind))
        return registry

    def _teller(self, kind: Kind[Any, Any]) -> Callable[..., Any]:
        async def tell(event: Mapping[str, Any], **_: object) -> None:
            # kopf's object is a live view that it may change; the store keeps its own.
            seen = dict(event["object"])
            if event["type"] == "DELETED":
                self._hand_over(partial(kind.forget, seen["metadata"]["uid"]))
            else:
                self._hand_over(partial(kind.take, seen))

        return tell

    def _hand_over(self, news: Callable[[], object]) -> None:
        """Have the main loop take `news`; it is woken once for all that comes until it looks."""
        self._news.append(news)
        if len(self._news) == 1:
            self._main.call_soon_threadsafe(self._take_news)

    def _take_news(self) -> None:
        if not self._news:
            return
        try:
            self._news[0]()
        finally:
            # It stays until it is taken: until then whoever adds something need not wake us.
            self._news.popleft()
            if self._news:
                self._main.call_soon(self._take_news)

    async def _login(self, **_: object) -> kopf.ConnectionInfo:
        fresh = asyncio.run_coroutine_threadsafe(self._credentials.authorization(), self._main)
        scheme, _space, token = (await asyncio.wrap_future(fresh) or "").partition(" ")
        endpoint = self._credentials.endpoint
        return kopf.ConnectionInfo(
            server=endpoint.server,
            ca_data=endpoint.ca_data,
            insecure=endpoint.insecure,
            scheme=scheme or None,
            token=token or None,
            certificate_data=endpoint.certificate_data,
            private_key_data=endpoint.private_key_data,
            proxy_url=endpoint.proxy_url,
        )


def _settings() -> kopf.OperatorSettings:
    settings = kopf.OperatorSettings()
    settings.networking.request_timeout = 30  # one hung call must not block an object's worker
    settings.networking.connect_timeout = 5
    settings.networking.error_backoffs = _Backoffs()  # when a finite list ends, kopf exits
    settings.networking.enforce_retry_after = True
    settings.watching.server_timeout = 290
    settings.watching.client_timeout = 330
    settings.watching.reconnect_backoff = 1
    settings.queueing.idle_timeout = 0.1  # two tasks live per object until then
    settings.posting.enabled = False  # we write our own Events
    settings.scanning.disabled = True  # no rights on namespaces and CRDs needed
    settings.peering.standalone = True  # a Lease decides, not peering
    settings.persistence.diffbase_storage = _NoDiffBase()
    settings.process.ultimate_exiting_timeout = None  # else kopf sends SIGKILL to the whole process
    return settings


class _NoDiffBase(kopf.DiffBaseStorage):
    """Keeps nothing of what an object was before: no handler asks, and to copy each takes much of kopf's time."""

    def build(self, **_: object) -> kopf.BodyEssence:
        """Nothing of it counts."""
        return kopf.BodyEssence()

    def fetch(self, **_: object) -> kopf.BodyEssence | None:
        """Nothing is kept."""
        return None

    def store(self, **_: object) -> None:
        """Nothing is kept."""


class _Backoffs:
    """Pauses without end: 1 s, doubling up to 30 s, with jitter."""

    def __iter__(self) -> Iterator[float]:
        pause = 1.0
        while True:
            yield pause * random.uniform(0.5, 1.0)  # noqa: S311 - spreads load, keeps no secret
            pause = min(pause * 2, BACKOFF_MAX_SECONDS)
