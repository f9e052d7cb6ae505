"""Resident memory of the operator with 500 nodes and 4,000 pods of about 4 KiB, when it has settled.

Measured twice: in an operator that saw all pods come, one event after another, and in one that found them there.
The larger figure counts. Then both again with 5,000 running jobs of one GPU and their pods on 800 nodes, which the
operator itself placed.
"""

import asyncio
import time
from pathlib import Path
from typing import Final

from bench.fill import applied, until_running
from bench.ground import MORE_RACKS, RACKS, Ground, ground
from bench.result import Result
from support.cluster import Space, says
from support.manifests import foreign_pod, racks
from support.operator_process import OperatorProcess
from trainpush.kube.client import Object
from trainpush.kube.resources import PODS, TRAINPUSHJOBS

PODS_PER_NODE: Final = 8
GOAL_MIB: Final = 150.0
JOBS: Final = 5_000
GOAL_OF_JOBS_MIB: Final = 300.0
SETTLED_SECONDS: Final = 15.0
"""So long the figure must not have grown by more than `JITTER_MIB`."""
JITTER_MIB: Final = 0.5


async def measure(seed: int, folder: Path) -> Result:
    """The larger figure without jobs, in MiB; that with jobs has a goal of its own. Nothing is drawn."""
    del seed
    pods, jobs = await _of_pods(folder), await _of_jobs(folder)
    details = {"nodes": 500, "pods": 500 * PODS_PER_NODE, **pods, "jobs": JOBS, **jobs, "goal, jobs": GOAL_OF_JOBS_MIB}
    missed = [name for name, figure in jobs.items() if figure > GOAL_OF_JOBS_MIB]
    return Result(max(pods.values()), "MiB", GOAL_MIB, details, missed)


async def _of_pods(folder: Path) -> dict[str, float]:
    with ground(folder) as field:
        async with field.space() as space:
            with field.operator() as operator:
                empty = await settled(operator)
                await _fill(space)
                seen_coming = await settled(operator)
            found_there = await _of_a_new_one(field)
    return {"without pods": empty, "pods seen coming": seen_coming, "pods found there": found_there}


async def _of_jobs(folder: Path) -> dict[str, float]:
    with ground(folder, MORE_RACKS) as field:
        async with field.space() as space:
            with field.operator() as operator:
                await until_running(space, JOBS, applied(space, JOBS))
                await space.until(
                    TRAINPUSHJOBS, lambda found: all(map(says("Running"), found.values())), "all run", seconds=300
                )
                seen_coming = await settled(operator)
            found_there = await _of_a_new_one(field)
    return {"jobs seen coming": seen_coming, "jobs found there": found_there}


async def _of_a_new_one(field: Ground) -> float:
    with field.operator() as operator:
        return await settled(operator)


async def _fill(space: Space) -> None:
    """Bind 8 pods of one GPU to each node, and wait until all of them run."""
    manifests = [_pod(f"{node.name}-{i}", node.name) for node in racks("bench", RACKS) for i in range(PODS_PER_NODE)]
    await asyncio.gather(*(space.create(manifest) for manifest in manifests))
    async with asyncio.timeout(300):
        left = manifests
        while left:
            await asyncio.sleep(1)
            left, _ = await space.client.list(PODS, space.name, query={"fieldSelector": "status.phase!=Running"})


def _pod(name: str, node: str) -> Object:
    pod = foreign_pod(name, node, gpus=1)
    pod["spec"]["containers"][0]["env"] = [{"name": f"SETTING_{i}", "value": "x" * 40} for i in range(32)]
    return pod


async def settled(operator: OperatorProcess) -> float:
    """Resident memory once it has stopped growing."""
    most, since = operator.rss_mib, time.monotonic()
    while time.monotonic() - since < SETTLED_SECONDS:
        await asyncio.sleep(0.5)
        if operator.rss_mib > most + JITTER_MIB:
            most, since = operator.rss_mib, time.monotonic()
    return round(operator.rss_mib, 1)
