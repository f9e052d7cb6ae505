"""10,000 jobs thrown into one namespace: how much later another namespace's job is placed than alone.

500 nodes of 8 GPUs, and quotas: 8 GPUs are guaranteed to the other team, and the many may use all the rest, so that no
room need be taken back, which takes as long as pods need to end. Alone, and then every second until each of the
10,000 has a status, a job of that team is applied and deleted as soon as its status shows a placement.
"""

import asyncio
from pathlib import Path
from typing import Final

from bench.fill import applied, writes
from bench.ground import RACKS, ground
from bench.probe import seconds_until
from bench.result import Result
from support.cluster import Space, says
from support.manifests import GPU, job
from support.operator_process import OperatorProcess
from trainpush.kube.resources import GPUPOOLS

THROWN: Final = 10_000
PROBES_ALONE: Final = 5
GOAL_SECONDS: Final = 2.0


async def measure(seed: int, folder: Path) -> Result:
    """The longest time from apply to placement while they come, less the median of those alone."""
    del seed
    with ground(folder) as field, field.operator() as operator:
        async with field.space() as many, field.space() as other:
            await _divide(many, other)
            alone = sorted([await _placed(other, f"alone-{number}") for number in range(PROBES_ALONE)])
            beside = await _while_thrown(many, other, operator)
    middle = alone[len(alone) // 2]
    details = {"alone": round(middle, 3), "beside, most": round(max(beside), 3), "probes": len(beside)}
    return Result(round(max(beside) - middle, 2), "s", GOAL_SECONDS, {"thrown": THROWN, **details})


async def _divide(many: Space, other: Space) -> None:
    shares = {"many": (many, {"limit": 8 * (sum(RACKS) - 1)}), "other": (other, {"guarantee": 8})}
    quotas = [
        {"name": name, "namespaces": [space.name], "resources": {GPU: share}} for name, (space, share) in shares.items()
    ]
    await other.client.patch(GPUPOOLS, None, "bench", {"spec": {"quotas": quotas}})


async def _while_thrown(many: Space, other: Space, operator: OperatorProcess) -> list[float]:
    found, number = [], 0
    throwing = asyncio.create_task(applied(many, THROWN))
    while not throwing.done() or writes(operator)["TrainPushJob patch_status"] < THROWN:
        found.append(await _placed(other, f"beside-{number}"))
        number += 1
        await asyncio.sleep(1)
    await throwing
    return found


async def _placed(space: Space, name: str) -> float:
    """Seconds until a job of one GPU is placed."""
    return await seconds_until(space, job(name, gpus=1), says("Placed"))
