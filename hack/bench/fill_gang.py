"""One gang of 512 workers of one GPU, preferably in one rack, on 500 empty nodes of 8 GPUs: placed, and running.

No rack has room for it, so it needs three. The clock runs from the start of the POST to the moment at which a watch
shows `status.placement`, and on until a watch has shown every pod running. Gangs come one after another, each when
nothing is left of the one before; the slowest counts. The ceiling is what a bare client takes that writes the placement
and makes the same pods, with the same scheduler, controllers and fake kubelets beside it: nothing that makes these
pods is faster on this machine.
"""

import asyncio
import time
from collections.abc import Callable, Coroutine
from pathlib import Path
from typing import Any, Final

from bench.fill import RESOLVED, at_once, until_running
from bench.ground import Ground, ground
from bench.probe import moment
from bench.result import Result
from support.cluster import Space, is_empty
from support.manifests import PLACED, job, racks
from trainpush.api.trainpushjob import TrainPushJob
from trainpush.kube.client import Object
from trainpush.kube.resources import PODS, TRAINPUSHJOBS
from trainpush.model.actions import MakeWorker
from trainpush.render.children import worker

WORKERS: Final = 512
GANGS: Final = 5
GOAL_MS: Final = 250.0
GOAL_RUNNING_SECONDS: Final = 4.0
SECONDS_MAX: Final = 120
GANG: Final = job("gang", WORKERS, gpus=1, placement={"preferred": "rack"})


async def measure(seed: int, folder: Path) -> Result:
    """Milliseconds from apply to placement; the seconds until all run have a goal of their own."""
    del seed
    with ground(folder) as field:
        bare = [(await _taken(field, _written))[1] for _ in range(GANGS)]
        with field.operator():
            found = [await _taken(field, lambda space: space.create(GANG)) for _ in range(GANGS)]
    running = max(seconds for _, seconds in found)
    details = {
        "nodes": 500,
        "workers": WORKERS,
        "gangs: ms until placed": [round(1000 * placed, 1) for placed, _ in found],
        "gangs: s until all run": [round(seconds, 2) for _, seconds in found],
        "s until all run": round(running, 2),
        "ceiling, s until all run": round(max(bare), 2),
        "goal, s until all run": GOAL_RUNNING_SECONDS,
    }
    missed = ["s until all run"] if running > GOAL_RUNNING_SECONDS else []
    return Result(round(1000 * max(placed for placed, _ in found), 1), "ms", GOAL_MS, details, missed)


async def _taken(field: Ground, apply: Callable[[Space], Coroutine[Any, Any, object]]) -> tuple[float, float]:
    """Seconds from the beginning of `apply` until the gang has its place, and until all of it runs."""
    async with field.space() as space:
        _, version = await space.client.list(TRAINPUSHJOBS, space.name)
        begun = time.monotonic()
        watching = asyncio.create_task(moment(space, version, "gang", _is_placed))
        running = await until_running(space, WORKERS, apply(space))
        placed = await watching - begun
        await space.delete(TRAINPUSHJOBS, "gang")
        await space.until(PODS, is_empty, "nothing is left of the gang", seconds=SECONDS_MAX)
    return placed, running


def _is_placed(gang: Object) -> bool:
    return "placement" in gang.get("status", {})


async def _written(space: Space) -> None:
    """The gang by a bare client: itself, its placement and its pods."""
    made = await space.create(GANG)
    nodes = [node.name for node in racks("bench", [25] * 3)]
    places = [nodes[rank // 8] for rank in range(WORKERS)]
    status = {**PLACED, "placement": {**PLACED["placement"], "nodes": places}}
    version = made["metadata"]["resourceVersion"]
    await space.client.patch_status(TRAINPUSHJOBS, space.name, "gang", version, status)
    found = TrainPushJob.parse(made)

    def pod(rank: int) -> Object:
        return worker(found, RESOLVED, MakeWorker(1, rank, places[rank], WORKERS))

    await at_once(WORKERS, lambda rank: space.client.create(PODS, pod(rank)))
