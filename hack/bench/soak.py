"""An hour in which jobs come, run, complete and are deleted, and nodes flip: by how much the operator grows.

500 nodes of 8 GPUs. Eight namespaces have one job at a time, of 1 to 4 workers with 1 to 8 GPUs; every second a node
is cordoned and told to be not ready, and is back half a second later. After ten minutes, and again at the end, all
jobs are gone and everything rests for a while. What the operator has then is compared: resident memory, tasks of
asyncio, threads, file descriptors.
"""

import asyncio
import random
import signal
import time
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from bench.ground import RACKS, Ground, ground
from bench.memory import settled
from bench.result import Result
from support import operator_process
from support.cluster import Space, is_empty, says
from support.manifests import job, racks
from support.operator_process import OperatorProcess
from trainpush.kube.errors import Conflict, NotFound
from trainpush.kube.resources import NODES, PODS, TRAINPUSHJOBS

FIRST_SECONDS: Final = 600.0
LATER_SECONDS: Final = 3000.0
REST_SECONDS: Final = 90.0
"""Until connections that are not used any more are closed."""
NAMESPACES: Final = 8
FLIP_SECONDS: Final = 0.5
WAIT_SECONDS: Final = 60.0
PATIENCE_SECONDS: Final = 10.0
"""For a job whose pods have ended to be complete; a gang that lost a node has other pods by then."""
GOAL_PERCENT: Final = 5.0
ERRORS: Final = ("cycle_errors", "kopf_restarts")
"""Metrics that must stay at 0. Not so store_drift: a list may show what the watch is about to tell."""


@dataclass
class _Tally:
    """What happened."""

    jobs: int = 0
    flips: int = 0


async def measure(seed: int, folder: Path) -> Result:
    """By how many percent resident memory grew after the first ten minutes; the other counts may not grow."""
    draw, tally, counted = random.Random(seed), _Tally(), folder / "tasks"
    with ground(folder) as field:
        operator = operator_process.start(
            field.kubeconfig,
            folder / "operator.log",
            module="support.counted_operator",
            environment={"COUNTED": str(counted)},
        )
        try:
            operator_process.wait_ready(operator)
            await _churn(field, draw, FIRST_SECONDS, tally)
            first = await _at_rest(operator, counted)
            await _churn(field, draw, LATER_SECONDS, tally)
            last = await _at_rest(operator, counted)
            errors = _errors(operator)
        finally:
            operator.stop()
    growth = 100 * (last["MiB"] / first["MiB"] - 1)
    details = {
        "jobs": tally.jobs,
        "flips of nodes": tally.flips,
        **{name: [first[name], last[name]] for name in first},
        **errors,
    }
    missed = [name for name in first if name != "MiB" and last[name] > first[name]]
    missed += [name for name, count in errors.items() if count]
    return Result(round(growth, 1), "%", GOAL_PERCENT, details, missed)


async def _churn(field: Ground, draw: random.Random, seconds: float, tally: _Tally) -> None:
    """So many seconds of jobs and flips; afterwards nothing is left of them."""
    until = time.monotonic() + seconds
    async with asyncio.TaskGroup() as group:
        group.create_task(_flips(field, draw, until, tally))
        for _ in range(NAMESPACES):
            group.create_task(_lives(field, draw, until, tally))


async def _lives(field: Ground, draw: random.Random, until: float, tally: _Tally) -> None:
    """One job after another, in a namespace of their own."""
    async with field.space() as space:
        while time.monotonic() < until:
            name = f"job-{tally.jobs}"
            tally.jobs += 1
            await space.create(job(name, draw.randint(1, 4), draw.choice([1, 2, 4, 8])))
            await space.job(name, says("Running"), "runs", seconds=WAIT_SECONDS)
            await _complete(space, name)
            await space.delete(TRAINPUSHJOBS, name)
            await space.until(PODS, is_empty, "no pod left", seconds=WAIT_SECONDS)


async def _complete(space: Space, name: str) -> None:
    """End what runs, until the job is complete."""
    deadline = time.monotonic() + WAIT_SECONDS
    while True:
        for pod in await space.pods():
            with suppress(Conflict, NotFound, KeyError):  # somebody else wrote it, or it is gone, or does not run yet
                await space.end(pod, 0)
        try:
            await space.job(name, says("TrainingComplete"), "is complete", seconds=PATIENCE_SECONDS)
        except AssertionError:
            if time.monotonic() > deadline:
                raise
        else:
            return


async def _flips(field: Ground, draw: random.Random, until: float, tally: _Tally) -> None:
    """One node after another is closed and not ready, and comes back."""
    names = [node.name for node in racks("bench", RACKS)]
    async with field.space() as space:
        while time.monotonic() < until:
            name = draw.choice(names)
            await space.cordon(name)
            await _be_not_ready(space, name)
            tally.flips += 1
            await asyncio.sleep(FLIP_SECONDS)
            await space.cordon(name, on=False)
            await asyncio.sleep(FLIP_SECONDS)


async def _be_not_ready(space: Space, name: str) -> None:
    """Say so in its status; kwok says otherwise soon."""
    while True:
        node = await space.client.get(NODES, name)
        said = [{**it, "status": "False"} if it["type"] == "Ready" else it for it in node["status"]["conditions"]]
        with suppress(Conflict):  # controllers taint what was cordoned
            version = node["metadata"]["resourceVersion"]
            await space.client.patch_status(NODES, None, name, version, {"conditions": said})
            return


async def _at_rest(operator: OperatorProcess, counted: Path) -> dict[str, float]:
    """What the operator has when nothing happens."""
    await asyncio.sleep(REST_SECONDS)
    tasks = await asyncio.to_thread(_tasks, operator, counted)
    mebibytes = await settled(operator)
    threads, descriptors = _entries(operator, "task"), _entries(operator, "fd")
    return {"MiB": mebibytes, "tasks": tasks, "threads": threads, "file descriptors": descriptors}


def _entries(operator: OperatorProcess, folder: str) -> int:
    """How many the kernel lists of its process."""
    return len(list(Path(f"/proc/{operator.process.pid}/{folder}").iterdir()))


def _tasks(operator: OperatorProcess, counted: Path) -> int:
    """Tasks of asyncio; it is asked for them before its memory is looked at, since to count them takes some."""
    counted.unlink(missing_ok=True)
    operator.process.send_signal(signal.SIGUSR1)
    deadline = time.monotonic() + WAIT_SECONDS
    while not counted.exists() and time.monotonic() < deadline:
        time.sleep(0.1)
    return int(counted.read_text())


def _errors(operator: OperatorProcess) -> dict[str, float]:
    """What `ERRORS` have counted, over all their labels."""
    found = dict.fromkeys(ERRORS, 0.0)
    for line in operator.get("/metrics")[1].splitlines():
        metric = line.partition("{")[0].partition(" ")[0].removeprefix("trainpush_").removesuffix("_total")
        if metric in found:
            found[metric] += float(line.rpartition(" ")[2])
    return found
