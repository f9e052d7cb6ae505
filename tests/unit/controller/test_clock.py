"""What time it is for decisions: what the loop's clock says, which the machine's need not be."""

import asyncio
from datetime import UTC, datetime, timedelta
from typing import Any

from prometheus_client import CollectorRegistry

from support.build import NOW
from support.manifests import job, pool
from support.wait import until
from trainpush.controller.clock import Clock
from trainpush.controller.loop import Loop
from trainpush.kube.apply import Applier
from trainpush.kube.node_annotations import NodeAnnotator
from trainpush.kube.store import Kind, Store
from trainpush.telemetry.metrics import Metrics

HELD_SINCE = NOW - timedelta(seconds=10)
HOLD = timedelta(seconds=30)
"""How long a gang waits after its pods could not be bound."""


class Told(Clock):
    """A clock that leaps to whatever the loop waits for."""

    def __init__(self) -> None:
        self.at = NOW
        self.asked: list[datetime] = []
        """When each cycle decided."""
        self.awaited: list[datetime] = []

    def now(self) -> datetime:
        self.asked.append(self.at)
        return self.at

    def seconds_until(self, moment: datetime) -> float:
        self.awaited.append(moment)
        self.at = max(self.at, moment)
        return 0.0


def take(kind: Kind[Any, Any], made: dict[str, Any], **more: Any) -> None:
    """An object as a watch would bring it."""
    identity = {"namespace": "team", "uid": made["metadata"]["name"], "resourceVersion": "1"}
    kind.take(
        {**made, "metadata": {**made["metadata"], **identity, "creationTimestamp": "2026-01-01T11:00:00Z"}, **more}
    )


def a_store() -> Store:
    """One job that may be placed again only half a minute after it was given up."""
    store = Store()
    take(store.pools, pool("pool", "any", default=True))
    failed = {"count": 1, "at": f"{HELD_SINCE:%Y-%m-%dT%H:%M:%SZ}"}
    take(store.jobs, job("held"), status={"attempt": 1, "observedGeneration": 0, "failedStarts": failed})
    return store


def a_loop(store: Store, clock: Clock) -> Loop:
    """One that decides, and may write nothing."""
    metrics = Metrics(CollectorRegistry())
    applier = Applier(None, store, None, lambda: False, metrics)  # type: ignore[arg-type]
    annotator = NodeAnnotator(None, store, lambda: False, metrics)  # type: ignore[arg-type]
    loop = Loop(store, applier, annotator, lambda: True, metrics, "")
    loop.clock = clock
    return loop


async def test_the_loop_decides_and_waits_by_its_clock() -> None:
    """It wakes when that clock says that something fell due, though nothing changed."""
    clock = Told()
    running = asyncio.create_task(a_loop(store := a_store(), clock).run())
    store.dirty.set()
    try:
        await until(lambda: len(clock.asked) > 1, "a second cycle")
    finally:
        running.cancel()
        await asyncio.wait([running])
    assert clock.asked[:2] == [NOW, HELD_SINCE + HOLD]
    assert clock.awaited[0] == HELD_SINCE + HOLD


def test_the_machines_clock_tells_utc() -> None:
    """And how long it is until a moment, which may be over."""
    clock = Clock()
    before, now, after = datetime.now(UTC), clock.now(), datetime.now(UTC)
    assert before <= now <= after
    assert now.utcoffset() == timedelta(0)
    assert 50 < clock.seconds_until(now + timedelta(seconds=60)) <= 60
    assert clock.seconds_until(now - timedelta(seconds=60)) <= -60
