"""What the operator writes: of jobs over their whole life, and beside 10,000 idle objects.

Jobs of one and of four workers run, complete and are deleted. Then 10,000 suspended jobs lie there for 10 minutes,
resync included.
"""

import asyncio
from pathlib import Path
from typing import Final

from bench.fill import at_once, cpu_seconds, until_running, writes
from bench.ground import ground
from bench.result import Result
from support.cluster import Space, says
from support.manifests import job
from support.operator_process import OperatorProcess
from trainpush.kube.resources import PODS, TRAINPUSHJOBS

JOBS: Final = 100
IDLE: Final = 10_000
IDLE_SECONDS: Final = 600.0
SETTLED_SECONDS: Final = 90.0
"""Long enough for the last word on each, and for a resync."""
CHANGES: Final = 3
"""Of a job that is placed, runs and completes."""
GOAL: Final = 2.0 * CHANGES + 1
"""One status and one Event for each change, and one pod."""
IDLE_CPU: Final = 0.02
"""Of one core."""


async def measure(seed: int, folder: Path) -> Result:
    """Writes for a job of one worker from its apply to its end; those of the pool's own status are not of a job."""
    del seed
    with ground(folder) as field, field.operator() as operator:
        async with field.space() as small, field.space() as large:
            one = await _lived(small, operator, workers=1)
            four = await _lived(large, operator, workers=4)
        async with field.space() as idle:
            await at_once(IDLE, lambda number: idle.create(job(f"idle-{number}", gpus=1, suspend=True)))
            await asyncio.sleep(SETTLED_SECONDS)
            before, cpu = sum(writes(operator).values()), cpu_seconds(operator)
            await asyncio.sleep(IDLE_SECONDS)
            idle_writes = sum(writes(operator).values()) - before
            load = (cpu_seconds(operator) - cpu) / IDLE_SECONDS
    details = {
        "of one worker": one,
        "of four workers": four,
        "beside idle ones: writes": idle_writes,
        "beside idle ones: part of a core": round(load, 4),
    }
    missed = ["beside idle ones: writes"] if idle_writes else []
    missed += ["beside idle ones: part of a core"] if load > IDLE_CPU else []
    of_jobs = sum(count for kind, count in one.items() if not kind.startswith("GPUPool "))
    return Result(round(of_jobs, 2), "writes", GOAL, details, missed)


async def _lived(space: Space, operator: OperatorProcess, workers: int) -> dict[str, float]:
    """Writes of each kind for each of these jobs."""
    before = writes(operator)
    applied = at_once(JOBS, lambda number: space.create(job(f"job-{number}", workers, gpus=1)))
    await until_running(space, JOBS * workers, applied)
    await space.until(TRAINPUSHJOBS, lambda found: all(map(says("Running"), found.values())), "all run", seconds=120)
    pods, _ = await space.client.list(PODS, space.name)
    await at_once(len(pods), lambda number: space.end(pods[number]["metadata"]["name"], exit_code=0))
    await space.until(
        TRAINPUSHJOBS, lambda found: all(map(says("TrainingComplete"), found.values())), "all are over", seconds=120
    )
    await asyncio.sleep(2)  # for the Events, which come after the statuses
    after = writes(operator)
    found = {kind: (count - before.get(kind, 0)) / JOBS for kind, count in after.items()}
    return {kind: round(count, 2) for kind, count in found.items() if count}
