"""Time to place one gang, in microseconds, on pools of 12 to 100,000 nodes of 8 GPUs, 16 a rack, 16 racks a block.

Of every node 0 to 8 GPUs are in use, drawn evenly. A figure is the time of `FreeCapacity.seat`, the place being taken:
what a cycle needs for one more gang of a shape that it has counted before. Gangs of so many workers, each of 1, 2, 4
or 8 GPUs in turn, come one after another, and each stays for as many turns as is drawn, 1 to 8: no two turns are alike.
Giving back is not part of the figure, the recount of what was given back is. Gangs that find no place, the large ones
on the small pools, have a figure of their own (`no place`). The garbage collector runs as always.
Medians are time on the wall. The 99th percentiles are processor time, with one reading of its clock: on the wall they
would show the time slices of other programs.
`cold` is the first gang on a new ground: domains, hindrances and rooms of all nodes are worked out, in milliseconds.

Two rows ask for more. `large`: gangs of 512 workers of 4 GPUs, preferably in one block, take turns with three small
ones, which are not part of the figure. `small`: gangs of 3 workers of 8 GPUs on nodes that are empty otherwise; beside
it stands what one costs whose kind of worker was not counted before on this ground (`new shape`).
"""

import random
import statistics
import time
from collections import defaultdict
from collections.abc import Sequence
from pathlib import Path
from typing import Final

from bench.result import Result
from support.build import varied
from trainpush.model.gang import Gang, Requirements
from trainpush.model.nodes import Level, Node, node_table
from trainpush.model.snapshot import Pool
from trainpush.planner.placing.free_capacity import FreeCapacity
from trainpush.planner.placing.placement import Assignment

GPU: Final = "nvidia.com/gpu"
LEVELS: Final = (Level("block", "topology/block"), Level("rack", "topology/rack"))
SIZES: Final = (12, 100, 500, 2_500, 5_000, 30_000, 100_000)
GANGS: Final = (4, 9, 32)
GPUS: Final = (1, 2, 4, 8)
TURNS: Final = 2_000
"""Gangs that come, placed or not."""
STAY: Final = 8
"""Turns that a gang stays at most."""
GOALS: Final = {
    "12 nodes, 4 workers: median": 20.0,
    "12 nodes, 9 workers: median": 20.0,
    "5000 nodes, 4 workers: median": 60.0,
    "5000 nodes, 4 workers: p99": 300.0,
    "30000 nodes, 32 workers: median": 600.0,
    "100000 nodes, 4 workers: p99": 2_000.0,
    "100000 nodes, 9 workers: p99": 2_000.0,
    "100000 nodes, 32 workers: p99": 2_000.0,
    "large, 2500 nodes, 512 workers: median": 1_500.0,
    "small, 12 nodes, 3 workers: median": 20.0,
    "small, 12 nodes, 3 workers: new shape, median": 60.0,
}
MAIN: Final = "5000 nodes, 4 workers: median"


async def measure(seed: int, folder: Path) -> Result:
    """The median for 4 workers on 5,000 nodes; all other figures are details, some with goals of their own."""
    del folder
    found: dict[str, float] = {}
    for nodes in SIZES:
        pool = a_pool(nodes, random.Random(seed))
        for workers in GANGS:
            gangs = [a_gang(workers, gpus) for gpus in GPUS]
            found |= _row(f"{nodes} nodes, {workers} workers", _times(pool, gangs, seed))
    large = [varied(a_gang(512, 4), preferred="block"), a_gang(9, 1), a_gang(9, 2), a_gang(9, 8)]
    found |= _row("large, 2500 nodes, 512 workers", _times(a_pool(2_500, random.Random(seed)), large, seed))
    empty = a_pool(12, random.Random(seed), busiest=0)
    small = _times(empty, [a_gang(3, 8)], seed, stay=3) | _figures("new shape, ", _new_shapes(empty, a_gang(3, 8)))
    found |= _row("small, 12 nodes, 3 workers", small)
    missed = [name for name, goal in GOALS.items() if found.get(name, 0) > goal]
    return Result(found[MAIN], "us", GOALS[MAIN], {**found, "goals": GOALS}, missed)


def a_pool(nodes: int, draw: random.Random, busiest: int = 8) -> Pool:
    """A pool of so many nodes, up to `busiest` GPUs of each in use."""
    made = [
        Node(
            f"n{i:06}",
            {"topology/block": f"b{i // 256:03}", "topology/rack": f"r{i // 16:05}"},
            {GPU: 8_000, "pods": 110_000, "cpu": 96_000, "memory": 1_000_000},
        )
        for i in range(nodes)
    ]
    used = {node.name: {GPU: 1_000 * draw.randint(0, busiest)} for node in made}
    return Pool("pool", (GPU,), node_table(made, LEVELS, used))


def a_gang(workers: int, gpus: int) -> Gang:
    """Workers of so many GPUs each."""
    request = {GPU: 1_000 * gpus, "pods": 1_000, "cpu": 4_000 * gpus, "memory": 1_000 * gpus}
    return Gang("pool", workers, Requirements(request, GPU, gpus))


def _row(name: str, figures: dict[str, float]) -> dict[str, float]:
    return {f"{name}: {figure}": value for figure, value in figures.items()}


def _times(pool: Pool, gangs: Sequence[Gang], seed: int, stay: int = STAY) -> dict[str, float]:
    """Median and 99th percentile of the largest of `gangs` in microseconds, and the first time in milliseconds."""
    ground, draw = FreeCapacity.at_rest(pool, pool.table.used.copy()), random.Random(seed)
    most = max(gang.workers for gang in gangs)
    leaving: defaultdict[int, list[tuple[Gang, Assignment]]] = defaultdict(list)
    taken: list[tuple[int, int, bool]] = []
    for turn in range(TURNS):
        for gang, site in leaving.pop(turn, []):
            ground.release(gang, site.nodes(pool.table))
        gang = gangs[turn % len(gangs)]
        spent, worked, found = _time(ground, gang)
        if found:
            leaving[turn + draw.randint(1, stay)].append((gang, found))
        if not turn:
            first = spent
        if gang.workers == most and turn >= len(gangs):
            taken.append((spent, worked, found is not None))
    placed = [(spent, worked) for spent, worked, has_place in taken if has_place]
    refused = [(spent, worked) for spent, worked, has_place in taken if not has_place]
    return {**_figures("", placed), **_figures("no place, ", refused), "cold ms": round(first / 1e6, 2)}


def _new_shapes(pool: Pool, gang: Gang) -> list[tuple[int, int]]:
    """As `_time`, for gangs each of which asks for a little more than the one before."""
    ground, taken = FreeCapacity.at_rest(pool, pool.table.used.copy()), []
    request = gang.requirements.request
    for turn in range(TURNS):
        other = varied(gang, request={**request, "memory": request["memory"] + turn})
        spent, worked, site = _time(ground, other)
        taken.append((spent, worked))
        if site:
            ground.release(other, site.nodes(pool.table))
    return taken


def _figures(name: str, taken: list[tuple[int, int]]) -> dict[str, float]:
    if not taken:
        return {}
    worked = sorted(worked for _, worked in taken)
    return {
        f"{name}gangs": len(taken),
        f"{name}median": round(statistics.median(spent for spent, _ in taken) / 1e3, 1),
        f"{name}p99": round(worked[len(worked) * 99 // 100] / 1e3, 1),
    }


def _time(ground: FreeCapacity, gang: Gang) -> tuple[int, int, Assignment | None]:
    """Nanoseconds on the wall and of the processor that it takes to place one gang, and its place."""
    worked = time.thread_time_ns()
    before = time.perf_counter_ns()
    site = ground.assign(gang)
    spent = time.perf_counter_ns() - before
    return spent, time.thread_time_ns() - worked, site
