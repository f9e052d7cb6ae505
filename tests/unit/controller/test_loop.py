"""The loop ends when it is told to, whatever else happens in the same moment."""

import asyncio

import pytest
from prometheus_client import CollectorRegistry

from trainpush.controller.loop import Loop
from trainpush.kube.apply import Applier
from trainpush.kube.node_annotations import NodeAnnotator
from trainpush.kube.store import Store
from trainpush.telemetry.metrics import Metrics


@pytest.mark.parametrize("turns", range(6))
async def test_a_cancellation_is_not_lost_to_an_event(turns: int) -> None:
    """SIGTERM often comes just when something changed."""
    store, metrics = Store(), Metrics(CollectorRegistry())
    applier = Applier(None, store, None, lambda: False, metrics)  # type: ignore[arg-type]
    annotator = NodeAnnotator(None, store, lambda: False, metrics)  # type: ignore[arg-type]
    running = asyncio.create_task(Loop(store, applier, annotator, lambda: False, metrics, "").run())
    for _ in range(3):
        await asyncio.sleep(0)
    store.dirty.set()
    for _ in range(turns):
        await asyncio.sleep(0)
    running.cancel()
    async with asyncio.timeout(2):
        await asyncio.wait([running])
    assert running.cancelled()
