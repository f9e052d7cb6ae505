"""A label on the operator's own pod while it leads: the Service for workers selects by it."""

import asyncio
from typing import Final

from trainpush.api import names
from trainpush.kube.client import Client
from trainpush.kube.errors import ApiError
from trainpush.kube.lease import Elector
from trainpush.kube.resources import PODS
from trainpush.telemetry.logs import logger

RETRY_SECONDS: Final = 2.0

_log = logger(__name__)


async def follow(client: Client, elector: Elector, namespace: str, pod: str) -> None:
    """Keep the label of `pod`, the one that this process runs in, as the Lease says; one that dies takes it along."""
    # An earlier process in this pod may have led.
    await _write(client, namespace, pod, None)
    while True:
        await elector.became_leader()
        await _write(client, namespace, pod, "true")
        await elector.lost_leadership()
        await _write(client, namespace, pod, None)


async def _write(client: Client, namespace: str, pod: str, value: str | None) -> None:
    """Set the label, or take it off; again until it goes through."""
    body = {"metadata": {"labels": {names.LABEL_LEADER: value}}}
    while True:
        try:
            await client.patch(PODS, namespace, pod, body)
        except ApiError as error:
            _log.warning("leader label not written", pod=pod, error=str(error))
            await asyncio.sleep(RETRY_SECONDS)
        else:
            return
