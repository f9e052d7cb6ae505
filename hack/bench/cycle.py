"""One whole cycle of the planner, from the frozen snapshot to the plan, on clusters that would be large to run.

Every figure is processor time (the planner runs on one core and waits for nothing), the median of five cycles on a
snapshot that was made before; nothing is kept from one cycle to the next. What a cycle holds in memory at its most
is measured apart, with Python's tracemalloc, which slows it down.
"""

import gc
import random
import statistics
import time
import tracemalloc
from dataclasses import replace
from pathlib import Path
from typing import Final

from bench.result import Result
from support.build import GPU, NOW, a_cluster, a_gang, a_job, a_node, a_pool, a_quota, running_job
from trainpush.model.plan import Plan
from trainpush.model.snapshot import Pool, Quota, Snapshot
from trainpush.model.workload import Job
from trainpush.planner.plan import plan

CYCLES: Final = 5
FREE_NODES: Final = 400
STORM_GOAL_SECONDS: Final = 0.5
STORM_GOAL_MIB: Final = 100.0
QUEUE_GOAL_MS: Final = 100.0


async def reclaim_storm(seed: int, folder: Path) -> Result:
    """500 nodes full of 4,000 single-GPU jobs; 4,000 more wait, of a team that is guaranteed half of the pool."""
    del folder
    draw = random.Random(seed)
    pool = _pool(500, [a_quota("owner", guarantee=2000)])
    names = [name for name in pool.table.names for _ in range(8)]
    running = [running_job(f"b{i}", node, gpus=1, age=draw.randint(60, 90_000)) for i, node in enumerate(names)]
    waiting = [a_job(f"a{i}", a_gang(1, 1), age=draw.randint(0, 600), namespace="owner") for i in range(4000)]
    snapshot = a_cluster(*running, *waiting, pool=pool)
    seconds, decided = _cycle(snapshot)
    mebibytes = _most_memory(snapshot)
    evicted = sum(decision.record.eviction is not None for decision in decided.decisions)
    details = {"nodes": 500, "running": 4000, "waiting": 4000, "evicted": evicted, "MiB": round(mebibytes, 1)}
    missed = ["MiB"] if mebibytes > STORM_GOAL_MIB else []
    return Result(round(seconds, 3), "s", STORM_GOAL_SECONDS, details, missed)


async def queue(seed: int, folder: Path) -> Result:
    """10,000 GPUs of which two thirds are taken, and 500 gangs of 1 to 256 GPUs that wait, of three priorities."""
    del folder
    draw = random.Random(seed)
    pool = _pool(1250, [a_quota("team", guarantee=4000, weight=2)])
    names = list(pool.table.names)
    draw.shuffle(names)
    running: list[Job] = []
    while len(names) > FREE_NODES:
        size = min(draw.choice([1, 2, 4, 8, 16, 32]), len(names))
        nodes = sorted(names.pop() for _ in range(size))
        team = draw.choice(["team", "other"])
        running.append(running_job(f"r{len(running)}", *nodes, age=draw.randint(60, 90_000), namespace=team))
    waiting = [
        a_job(
            f"w{i}",
            a_gang(*draw.choice([(1, 1), (1, 4), (1, 8), (2, 8), (4, 8), (8, 8), (16, 8), (32, 8)])),
            age=draw.randint(0, 3600),
            namespace=draw.choice(["team", "other"]),
            priority=draw.choice([0, 0, 0, 100, 1000]),
        )
        for i in range(500)
    ]
    seconds, decided = _cycle(a_cluster(*running, *waiting, pool=pool))
    by_key = {decision.key: decision for decision in decided.decisions}
    placed = sum(by_key[job.key].record.placement is not None for job in waiting)
    evicted = sum(decision.record.eviction is not None for decision in decided.decisions)
    details = {"GPUs": 10_000, "running": len(running), "waiting": 500, "placed": placed, "evicted": evicted}
    return Result(round(1000 * seconds, 1), "ms", QUEUE_GOAL_MS, details)


def _pool(count: int, quotas: list[Quota]) -> Pool:
    """Nodes of 8 GPUs, 16 in a rack, 16 racks in a block."""
    nodes = [a_node(f"n{i:06}", rack=f"r{i // 16:05}", block=f"b{i // 256:04}") for i in range(count)]
    return replace(a_pool(*nodes), quotas=tuple(quotas), accelerators=(GPU,))


def _cycle(snapshot: Snapshot) -> tuple[float, Plan]:
    taken = []
    for _ in range(CYCLES):
        gc.collect()
        begun = time.process_time()
        decided = plan(snapshot, NOW)
        taken.append(time.process_time() - begun)
    return statistics.median(taken), decided


def _most_memory(snapshot: Snapshot) -> float:
    """What one cycle allocates at its most, beside the snapshot, in MiB."""
    tracemalloc.start()
    before, _ = tracemalloc.get_traced_memory()
    plan(snapshot, NOW)
    _, most = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    return (most - before) / 2**20
