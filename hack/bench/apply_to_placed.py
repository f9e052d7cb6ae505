"""From the apply of a job to its placement in the status, with 500 nodes, and with 800 beside 4,000 running jobs.

The clock runs from the start of the POST that creates the job (what `kubectl apply` of a new object sends) to the
moment at which a watch shows `status.placement`. Jobs of 1 to 4 workers with 1 to 8 GPUs come one after another:
each as soon as the one before is placed, while the pods of that one are still being made and bound.
"""

import asyncio
import json
import random
import statistics
import time
from collections.abc import Sequence
from contextlib import aclosing
from pathlib import Path
from typing import Final

from bench.fill import applied, until_running
from bench.ground import MORE_RACKS, ground
from bench.result import Result
from support.cluster import Space
from support.manifests import job
from trainpush.kube.resources import TRAINPUSHJOBS

JOBS: Final = 200
RUNNING: Final = 4_000
GOAL_MS: Final = 250.0


async def measure(seed: int, folder: Path) -> Result:
    """The 99th percentile over 200 jobs, beside the running ones; that without them has the same goal."""
    with ground(folder) as field, field.operator():
        async with field.space() as space:
            alone = await _placements(space, random.Random(seed))
    with ground(folder, MORE_RACKS) as field, field.operator():
        async with field.space() as crowd, field.space() as space:
            await until_running(crowd, RUNNING, applied(crowd, RUNNING))
            beside = await _placements(space, random.Random(seed))
    details: dict[str, float] = {"jobs": JOBS, "running": RUNNING}
    details |= {f"alone, {name}": figure for name, figure in percentiles(alone).items()}
    details |= {f"beside, {name}": figure for name, figure in percentiles(beside).items()}
    missed = ["alone, p99"] if percentiles(alone)["p99"] > GOAL_MS else []
    return Result(percentiles(beside)["p99"], "ms", GOAL_MS, details, missed)


def percentiles(seconds: Sequence[float]) -> dict[str, float]:
    """What is looked at of times, in milliseconds."""
    found = statistics.quantiles([1000 * one for one in seconds], n=100, method="inclusive")
    chosen = {"p50": found[49], "p90": found[89], "p99": found[98], "most": 1000 * max(seconds)}
    return {name: round(figure, 1) for name, figure in chosen.items()}


async def _placements(space: Space, draw: random.Random) -> list[float]:
    """Seconds from apply to placement, job by job."""
    seen: asyncio.Queue[tuple[str, float]] = asyncio.Queue()
    watching = asyncio.create_task(_watch(space, seen))
    found = []
    for number in range(JOBS):
        manifest = job(f"job-{number}", draw.randint(1, 4), draw.choice([1, 2, 4, 8]))
        begun = time.monotonic()
        async with asyncio.timeout(60):
            await space.create(manifest)
            while (event := await seen.get())[0] != f"job-{number}":
                pass
        found.append(event[1] - begun)
    watching.cancel()
    await asyncio.wait([watching])
    return found


async def _watch(space: Space, seen: asyncio.Queue[tuple[str, float]]) -> None:
    """Tell the name of each job that shows a placement, and when."""
    _, version = await space.client.list(TRAINPUSHJOBS, space.name)
    async with aclosing(space.client.watch(TRAINPUSHJOBS, version, space.name)) as lines:
        async for line in lines:
            at = time.monotonic()
            thing = json.loads(line)["object"]
            if "placement" in thing.get("status", {}):
                seen.put_nowait((thing["metadata"]["name"], at))
