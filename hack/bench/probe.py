"""One job that is applied, watched until its status says what is waited for, and deleted."""

import asyncio
import json
import time
from collections.abc import Callable
from contextlib import aclosing

from support.cluster import Space
from trainpush.kube.client import Object
from trainpush.kube.resources import TRAINPUSHJOBS

SECONDS_MAX = 120


async def seconds_until(space: Space, manifest: Object, holds: Callable[[Object], object]) -> float:
    """Seconds from the start of the POST to the moment at which a watch shows that it `holds` for the job."""
    name = manifest["metadata"]["name"]
    _, version = await space.client.list(TRAINPUSHJOBS, space.name)
    begun = time.monotonic()
    await space.create(manifest)
    at = await moment(space, version, name, holds)
    await space.delete(TRAINPUSHJOBS, name)
    return at - begun


async def moment(space: Space, version: str, name: str, holds: Callable[[Object], object]) -> float:
    """When a watch from `version` on shows that it `holds` for the job, on the monotonic clock."""
    async with asyncio.timeout(SECONDS_MAX), aclosing(space.client.watch(TRAINPUSHJOBS, version, space.name)) as lines:
        async for line in lines:
            at, thing = time.monotonic(), json.loads(line)["object"]
            # A bookmark has no name.
            if thing["metadata"].get("name") == name and holds(thing):
                return at
    raise AssertionError(f"the watch ended before what was waited for held of {name}")
