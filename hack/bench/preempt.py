"""How long it takes to choose victims, and how much more work they lose than the fewest that would do.

Two pools of 8-GPU nodes are filled to the last GPU with running gangs, each on nodes in a row from a random one on,
wherever there is room; what is left over belongs to others.

* 1,000 nodes under gangs of whole nodes (1 to 8 workers of 8 GPUs); 200 pods of 8 GPUs arrive. Goal 4 ms.
* 2,000 nodes under 700 gangs of 1 to 15 workers of 1, 2, 4 or 8 GPUs, so that most nodes are shared;
  64 and 200 pods of 8 GPUs, and 200 of 4, arrive. Goal 100 ms, and at most 1.05 of the least lost work.

The candidates are put in order once a cycle, which is reported by itself. A time is the median of five calls;
the value is the longest over all seeds and gangs. The least lost work is that of an integer program (HiGHS, exact).
"""

import math
import random
import statistics
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import numpy as np

from bench.result import Result
from support.build import GPU, a_gang, a_node, a_pool
from support.victims_oracle import Question
from trainpush.model.gang import Gang
from trainpush.model.nodes import PODS, Amounts, Node, NodeTable
from trainpush.model.workload import Key
from trainpush.planner import ledger
from trainpush.planner.feasibility.filters import NodeFilters
from trainpush.planner.preemption.victims import Candidate, Victims

NODES_PER_RACK: Final = 16
RACKS_PER_BLOCK: Final = 16
GPUS: Final = 8
SEEDS: Final = 5
CALLS: Final = 5
GOAL_FULL_MS: Final = 4.0
GOAL_MIXED_MS: Final = 100.0
GOAL_RATIO: Final = 1.05
PROOF_SECONDS: Final = 120.0


@dataclass(frozen=True)
class Scene:
    """A full pool and who runs there."""

    table: NodeTable
    used: Amounts
    candidates: tuple[Candidate, ...]


@dataclass(frozen=True)
class Answer:
    """What was chosen, and how long each call took."""

    choice: tuple[Candidate, ...]
    milliseconds: float
    building: float


async def measure(seed: int, folder: Path) -> Result:
    """The longest choice among 700 candidates, in ms; the other figures have goals of their own."""
    del folder
    full = [_answer(scene, a_gang(200, 8)) for scene in _full(seed)]
    mixed, ratios = [], []
    for scene in _mixed(seed):
        for gang in (a_gang(64, 8), a_gang(200, 8), a_gang(200, 4)):
            answer = _answer(scene, gang)
            mixed.append(answer)
            ratios.append(sum(one.lost for one in answer.choice) / _least(scene, gang))
    figures = {
        "1,000 full nodes, ms": (max(answer.milliseconds for answer in full), GOAL_FULL_MS),
        "lost work to the least": (max(ratios), GOAL_RATIO),
    }
    details = {
        **{name: round(value, 4) for name, (value, _) in figures.items()},
        "goals": {name: goal for name, (_, goal) in figures.items()},
        "lost work to the least, mean": round(statistics.mean(ratios), 4),
        "2,000 nodes, median ms": round(statistics.median(answer.milliseconds for answer in mixed), 1),
        "putting 700 candidates in order, ms": round(max(answer.building for answer in mixed), 1),
        "victims": [len(answer.choice) for answer in mixed],
        "pools": SEEDS,
    }
    missed = tuple(name for name, (value, goal) in figures.items() if value > goal)
    return Result(round(max(answer.milliseconds for answer in mixed), 1), "ms", GOAL_MIXED_MS, details, missed)


def _full(seed: int) -> Iterator[Scene]:
    """1,000 nodes, each under one worker of 8 GPUs."""
    for offset in range(SEEDS):
        drawn = random.Random(seed * SEEDS + offset)
        sizes = [(drawn.randint(1, 8), 8) for _ in range(1000)]
        yield _filled(1000, sizes, 1000, drawn)


def _mixed(seed: int) -> Iterator[Scene]:
    """2,000 nodes under 700 gangs; small ones are more frequent than large ones."""
    for offset in range(SEEDS):
        drawn = random.Random(seed * SEEDS + offset)
        sizes = [(int(2 ** drawn.uniform(0, 4)), drawn.choice([1, 2, 4, 4, 8, 8])) for _ in range(2000)]
        yield _filled(2000, sizes, 700, drawn)


def _filled(nodes: int, sizes: Sequence[tuple[int, int]], most: int, drawn: random.Random) -> Scene:
    """Gangs of these sizes (workers, GPUs of each) where they find room, until there are `most`."""
    table = a_pool(*(_node(i) for i in range(nodes))).table
    free = [GPUS] * nodes
    used = np.zeros_like(table.used)
    used[table.resources.index(GPU)] = GPUS * 1000
    candidates: list[Candidate] = []
    for workers, gpus in sizes:
        places = _places(free, workers, gpus, drawn.randrange(nodes))
        if sum(places.values()) == workers and len(candidates) < most:
            for row, count in places.items():
                free[row] -= count * gpus
            request = {GPU: gpus * 1000, PODS: 1000}
            lost = workers * gpus * drawn.randrange(60, 100_000)
            candidates.append(Candidate(Key("bench", f"job-{len(candidates):04}"), lost, places, request))
            ledger.take(table, used, places, {PODS: 1000})
    return Scene(table, used, tuple(candidates))


def _node(i: int) -> Node:
    rack = i // NODES_PER_RACK
    return a_node(f"n{i:05}", gpus=GPUS, rack=f"r{rack:04}", block=f"b{rack // RACKS_PER_BLOCK:03}")


def _places(free: Sequence[int], workers: int, gpus: int, start: int) -> dict[int, int]:
    places: dict[int, int] = {}
    for row in (*range(start, len(free)), *range(start)):
        fitting = min(workers - sum(places.values()), free[row] // gpus)
        if fitting:
            places[row] = fitting
        if sum(places.values()) == workers:
            break
    return places


def _answer(scene: Scene, gang: Gang) -> Answer:
    filters = NodeFilters(scene.table, gang.requirements)
    filters.usable  # noqa: B018 - worked out before the clock starts
    begun = time.perf_counter()
    victims = Victims(scene.table, scene.candidates)
    building = time.perf_counter() - begun
    everybody = victims.among(lambda _: True)
    taken = []
    for _ in range(CALLS):
        begun = time.perf_counter()
        choice = victims.choose(gang, scene.used, filters, everybody)
        taken.append(time.perf_counter() - begun)
    if choice is None:
        raise ValueError("a full pool under candidates alone must have room when they are gone")
    return Answer(choice, statistics.median(taken) * 1000, building * 1000)


def _least(scene: Scene, gang: Gang) -> float:
    """The least work that must be lost; where no optimum is proven in time, the bound that is."""
    columns = scene.used.T.tolist()
    used = [dict(zip(scene.table.resources, column, strict=True)) for column in columns]
    _, bound = Question(scene.table, used, frozenset(), gang, scene.candidates).least_by_program(PROOF_SECONDS)
    return math.ceil(bound - 1e-6)
