"""From apply to placement while 10,000 events of pods and nodes come each second, for a minute.

500 nodes, 1,000 running jobs of one GPU. No API server here writes so often. A proxy between it and the operator
(`storm`, a process of its own) repeats the last event of every pod and node, each time with a later resourceVersion;
so the operator has to read every one, and finds nothing new in it. Gangs of 1 to 4 workers with 1 to 8 GPUs come one
after another, through the API server itself, and each is deleted as soon as it is placed.
The clock runs from the start of the POST to the moment at which a watch of the API server shows `status.placement`.
"""

import asyncio
import json
import random
import sys
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final

import yaml

from bench.apply_to_placed import GOAL_MS, percentiles
from bench.fill import applied, cpu_seconds, until_running
from bench.ground import Ground, ground
from bench.probe import seconds_until
from bench.result import Result
from support.cluster import says
from support.manifests import job
from trainpush.kube.client import Object

RUNNING: Final = 1_000
EVENTS: Final = 10_000
"""A second."""
SECONDS: Final = 60.0
GANGS: Final = 50
NEARLY: Final = 0.99
"""Part of the events that must have been sent."""


async def measure(seed: int, folder: Path) -> Result:
    """The 99th percentile over 50 gangs; that as many events were sent as was meant is a goal of its own."""
    with ground(folder) as field:
        async with _proxied(field) as (proxy, behind), field.space() as crowd:
            with behind.operator() as operator:
                await until_running(crowd, RUNNING, applied(crowd, RUNNING))
                calm = await _placements(field, random.Random(seed), pause=0.0)
                before = cpu_seconds(operator)
                storming = asyncio.create_task(proxy.storm(EVENTS, SECONDS))
                took = await _placements(field, random.Random(seed), SECONDS / GANGS)
                sent = await storming
                spent = cpu_seconds(operator) - before
    faults = _faults(folder / "operator.log")
    rate = sent["sent"] / sent["seconds"]
    details = {
        "running": RUNNING,
        "gangs": GANGS,
        "events a second": round(rate),
        "goal, events a second": EVENTS,
        "seconds": round(sent["seconds"], 1),
        "part of a core, operator": round(spent / sent["seconds"], 2),
        "part of a core, proxy": round(sent["cpu_seconds"] / sent["seconds"], 2),
        "watches interrupted": faults,
    }
    details |= {f"calm, {name}": figure for name, figure in percentiles(calm).items()}
    details |= {f"storm, {name}": figure for name, figure in percentiles(took).items()}
    missed = ["events a second"] if rate < NEARLY * EVENTS else []
    missed += ["watches interrupted"] if faults else []
    return Result(percentiles(took)["p99"], "ms", GOAL_MS, details, missed)


def _faults(log: Path) -> list[str]:
    """What the operator said of the watches of pods and nodes, where they were interrupted."""
    lines = [json.loads(line) for line in log.read_text().splitlines()]
    interrupted = [line for line in lines if line["event"] == "watch interrupted"]
    return [f"{line['kind']}: {line['error']}" for line in interrupted if line["kind"] in {"Pod", "Node"}]


@dataclass
class _Proxy:
    """The process that storms."""

    process: asyncio.subprocess.Process

    async def said(self) -> str:
        """Its next line."""
        if self.process.stdout is None:
            raise AssertionError
        return (await self.process.stdout.readline()).decode()

    async def storm(self, rate: int, seconds: float) -> dict[str, float]:
        """Let it storm; what it says of it."""
        if self.process.stdin is None:
            raise AssertionError
        self.process.stdin.write(f"{rate} {seconds}\n".encode())
        found: dict[str, float] = json.loads(await self.said())
        return found


@asynccontextmanager
async def _proxied(field: Ground) -> AsyncIterator[tuple[_Proxy, Ground]]:
    """The proxy, and the ground as it is seen through it."""
    pipe = asyncio.subprocess.PIPE
    command = (sys.executable, "-m", "bench.storm", str(field.kubeconfig))
    proxy = _Proxy(await asyncio.create_subprocess_exec(*command, stdin=pipe, stdout=pipe))
    try:
        config: Object = yaml.safe_load(field.kubeconfig.read_text())
        for cluster in config["clusters"]:
            cluster["cluster"] = {"server": f"http://127.0.0.1:{int(await proxy.said())}"}
        through = field.folder / "through-the-proxy.yaml"
        through.write_text(yaml.safe_dump(config))
        yield proxy, replace(field, kubeconfig=through)
    finally:
        proxy.process.kill()
        await proxy.process.wait()


async def _placements(field: Ground, draw: random.Random, pause: float) -> list[float]:
    """Seconds from apply to placement, gang by gang, one each `pause` if the one before is placed by then."""
    found, begun = [], time.monotonic()
    async with field.space() as space:
        for number in range(GANGS):
            await asyncio.sleep(begun + number * pause - time.monotonic())
            manifest = job(f"gang-{number}", draw.randint(1, 4), draw.choice([1, 2, 4, 8]))
            found.append(await seconds_until(space, manifest, says("Placed")))
    return found
