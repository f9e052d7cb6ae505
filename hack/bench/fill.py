"""1,000 and 4,000 jobs of one GPU applied at once to 500 nodes of 8 GPUs: how long until all their pods run.

The clock runs from the first POST to the moment at which a watch has shown every pod running. Each number has a
cluster of its own. The ceiling is what a bare client takes that makes the very writes of the operator, with the same
scheduler, controllers and fake kubelets beside it: nothing that makes these writes is faster on this machine.
"""

import asyncio
import json
import os
import time
from collections.abc import Callable, Coroutine
from contextlib import aclosing
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

from bench.ground import RACKS, ground
from bench.result import Result
from support.cluster import Space
from support.manifests import GPU, job, racks
from support.operator_process import OperatorProcess
from trainpush.api.base import Metadata
from trainpush.api.pod import Toleration
from trainpush.api.trainpushjob import JobStatus, Resolved, TrainPushJob
from trainpush.kube.client import Object
from trainpush.kube.resources import EVENTS, PODS, TRAINPUSHJOBS
from trainpush.model.actions import MakeWorker
from trainpush.model.plan import Decision, Stage, Verdict
from trainpush.model.reasons import Reason
from trainpush.model.workload import Key, Placement, Recorded
from trainpush.render.children import worker
from trainpush.render.events import events
from trainpush.status.job import write
from trainpush.status.patch import merge_patch

SIZES: Final = (1_000, 4_000)
HOPED_SECONDS: Final = 12.0
"""What was hoped of the ceiling before it was measured."""
PART: Final = 0.85
"""Of the speed of the ceiling."""
CPU_MS: Final = 4.0
IN_FLIGHT: Final = 64
"""Writes at once, of whoever applies and of the bare client."""
RESOLVED: Final = Resolved(
    pool="bench",
    image="example.com/train:1",
    accelerator_resource=GPU,
    processes_per_worker=1,
    world_size=1,
    tolerations=[Toleration(key="kwok.x-k8s.io/node", operator="Exists")],
)
TICKS: Final = os.sysconf("SC_CLK_TCK")


async def measure(seed: int, folder: Path) -> Result:
    """The longer of both, as a part of what it may take: the ceiling, measured just before, over 85 %."""
    del seed
    found: dict[str, object] = {}
    missed, worst = [], 0.0
    for jobs in SIZES:
        bare = await _bare(folder, jobs)
        with ground(folder) as field, field.operator() as operator:
            async with field.space() as space:
                before = cpu_seconds(operator)
                took = await until_running(space, jobs, applied(space, jobs))
                each = 1000 * (cpu_seconds(operator) - before) / jobs
                found |= {
                    f"{jobs} jobs, s": round(took, 1),
                    f"{jobs} jobs, ceiling, s": round(bare, 1),
                    f"{jobs} jobs, ms of processor time each": round(each, 1),
                    f"{jobs} jobs, writes each": {kind: round(n / jobs, 2) for kind, n in writes(operator).items()},
                    f"{jobs} jobs, MiB": round(operator.rss_mib, 1),
                }
                worst = max(worst, took * PART / bare)
                missed += [f"{jobs} jobs, ms of processor time each"] if each > CPU_MS else []
    details = {"nodes": 500, **found, "goal, ms each": CPU_MS}
    return Result(round(worst, 2), "times what it may take", 1.0, details, missed)


async def ceiling(seed: int, folder: Path) -> Result:
    """Seconds for 1,000 jobs; those for 4,000 stand in the details."""
    del seed
    found = {jobs: round(await _bare(folder, jobs), 1) for jobs in SIZES}
    details = {"nodes": 500, **{f"{jobs} jobs, s": took for jobs, took in found.items()}}
    return Result(found[SIZES[0]], "s", HOPED_SECONDS, details)


async def _bare(folder: Path, jobs: int) -> float:
    with ground(folder) as field:
        async with field.space() as space:
            return await until_running(space, jobs, _written(space, jobs))


def cpu_seconds(operator: OperatorProcess) -> float:
    """Processor time that the operator took so far."""
    fields = Path(f"/proc/{operator.process.pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / TICKS


async def until_running(space: Space, pods: int, work: Coroutine[Any, Any, object]) -> float:
    """Seconds from the beginning of `work` until so many pods have been seen running."""
    running: set[str] = set()
    begun = time.monotonic()
    working = asyncio.create_task(work)
    async with asyncio.timeout(900):
        while len(running) < pods:
            found, version = await space.client.list(PODS, space.name)
            running |= {name for thing in found if (name := _running(thing))}
            await _watch(space, version, running, pods)
    await working
    return time.monotonic() - begun


async def _watch(space: Space, version: str, running: set[str], pods: int) -> None:
    """Add to `running` until there are so many, or the server ends the watch, as it does with whoever is too slow."""
    async with aclosing(space.client.watch(PODS, version, space.name)) as lines:
        while len(running) < pods and (line := await anext(lines, None)) is not None:
            if name := _running(json.loads(line)["object"]):
                running.add(name)


def _running(pod: Object) -> str:
    return pod["metadata"]["name"] if pod.get("status", {}).get("phase") == "Running" else ""


async def applied(space: Space, jobs: int) -> None:
    """So many jobs of one GPU, as fast as the API server takes them."""
    await at_once(jobs, lambda number: space.create(job(f"job-{number}", gpus=1)))


async def at_once(count: int, one: Callable[[int], Coroutine[Any, Any, object]]) -> None:
    """`one` for each number, a few at a time."""
    free = asyncio.Semaphore(IN_FLIGHT)

    async def bounded(number: int) -> None:
        async with free:
            await one(number)

    await asyncio.gather(*map(bounded, range(count)))


def writes(operator: OperatorProcess) -> dict[str, float]:
    """Writes of the operator so far, by kind and verb."""
    lines = operator.get("/metrics")[1].splitlines()
    found = {}
    for line in lines:
        if line.startswith("trainpush_api_writes_total{"):
            labels, _, count = line.partition("{")[2].rpartition("} ")
            name = " ".join(part.partition("=")[2].strip('"') for part in labels.split(","))
            found[name] = float(count)
    return {name: count for name, count in found.items() if "Lease" not in name}


async def _written(space: Space, jobs: int) -> None:
    nodes = [node.name for node in racks("bench", RACKS)]
    await at_once(jobs, lambda number: _one_job(space, number, nodes[number // 8]))


async def _one_job(space: Space, number: int, node: str) -> None:
    """What one job costs at least: itself, its placement, its pod, and the word that it runs, with an Event of each."""
    made = await space.create(job(f"job-{number}", gpus=1))
    place = Placement((node,), "host", node, datetime.now(UTC))
    record = Recorded(attempt=1, placement=place)
    key = Key(space.name, f"job-{number}")
    placed = Decision(key, record, Stage.STARTING, Verdict(Reason.WAITING_FOR_PODS, "placed"))
    made = await _say(space, made, placed)
    found = TrainPushJob.parse(made)
    await space.client.create(PODS, worker(found, RESOLVED, MakeWorker(1, 0, node, 1)))
    runs = replace(placed, record=replace(record, has_run=True), stage=Stage.RUNNING, running=1)
    await _say(space, made, runs)


async def _say(space: Space, made: Object, decision: Decision) -> Object:
    now, old, metadata = datetime.now(UTC), made.get("status", {}), made["metadata"]
    status = write(decision, RESOLVED, 1, metadata["generation"], old, now)
    patch, version = merge_patch(old, status), metadata["resourceVersion"]
    written = await space.client.patch_status(TRAINPUSHJOBS, space.name, metadata["name"], version, patch)
    before, after = JobStatus.read(old), JobStatus.read(status)
    for event in events("TrainPushJob", Metadata.model_validate(metadata, extra="ignore"), before, after, now):
        await space.client.create(EVENTS, event)
    return written
