"""From the apply of a gang that cannot have a place to the condition that says why, beside 4,000 running jobs.

800 nodes of 8 GPUs, 4,000 jobs of one GPU that run. Gangs of more whole nodes than are free come
one after another, each as soon as the one before was told and deleted. The clock runs from the start of the POST to
the moment at which a watch shows the condition Placed with its reason.
"""

import random
from pathlib import Path
from typing import Final

from bench.apply_to_placed import GOAL_MS, RUNNING, percentiles
from bench.fill import applied, until_running
from bench.ground import MORE_RACKS, ground
from bench.probe import seconds_until
from bench.result import Result
from support.cluster import says
from support.manifests import job

GANGS: Final = 100


async def measure(seed: int, folder: Path) -> Result:
    """The 99th percentile over 100 gangs."""
    with ground(folder, MORE_RACKS) as field, field.operator():
        async with field.space() as crowd, field.space() as space:
            await until_running(crowd, RUNNING, applied(crowd, RUNNING))
            draw = random.Random(seed)
            gangs = [job(f"gang-{number}", draw.randint(301, 400)) for number in range(GANGS)]
            took = [await seconds_until(space, gang, says("Placed", "False")) for gang in gangs]
    found = percentiles(took)
    return Result(found["p99"], "ms", GOAL_MS, {"running": RUNNING, "gangs": GANGS, **found})
