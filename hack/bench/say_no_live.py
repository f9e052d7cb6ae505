"""From the apply of a gang that cannot have a place to the condition that says why, beside 4,000 running jobs.

800 nodes of 8 GPUs, 4,000 jobs of one GPU that run. Gangs of more whole nodes than are free come
one after another, each as soon as the one before was told and deleted. The clock runs from the start of the POST to
the moment at which a watch shows the condition Placed with its reason.
"""

import asyncio
import json
import random
import time
from contextlib import aclosing
from pathlib import Path
from typing import Final

from bench.apply_to_placed import GOAL_MS, RUNNING, percentiles
from bench.fill import applied, until_running
from bench.ground import MORE_RACKS, ground
from bench.result import Result
from support.cluster import Space
from support.manifests import job
from trainpush.kube.resources import TRAINPUSHJOBS

GANGS: Final = 100


async def measure(seed: int, folder: Path) -> Result:
    """The 99th percentile over 100 gangs."""
    with ground(folder, MORE_RACKS) as field, field.operator():
        async with field.space() as crowd, field.space() as space:
            await until_running(crowd, RUNNING, applied(crowd, RUNNING))
            draw = random.Random(seed)
            took = [await _told(space, f"gang-{number}", draw.randint(301, 400)) for number in range(GANGS)]
    found = percentiles(took)
    return Result(found["p99"], "ms", GOAL_MS, {"running": RUNNING, "gangs": GANGS, **found})


async def _told(space: Space, name: str, workers: int) -> float:
    """Seconds until such a gang is told."""
    _, version = await space.client.list(TRAINPUSHJOBS, space.name)
    async with asyncio.timeout(60), aclosing(space.client.watch(TRAINPUSHJOBS, version, space.name)) as lines:
        begun = time.monotonic()
        await space.create(job(name, workers))
        async for line in lines:
            at, thing = time.monotonic(), json.loads(line)["object"]
            said = [it for it in thing.get("status", {}).get("conditions", []) if it["type"] == "Placed"]
            if thing["metadata"].get("name") == name and said and said[0]["status"] == "False":
                break
    await space.delete(TRAINPUSHJOBS, name)
    return at - begun
