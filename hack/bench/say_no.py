"""How long it takes to say why a gang waits, in full: cause, numbers, holders and advice.

500 nodes of 8 GPUs in 20 racks, a tenth of them cordoned or not ready; 4,000 running jobs of one GPU hold them all,
and forbid preemption. A gang of 10 workers of 8 GPUs, which must lie in one rack, cannot have a place.
The clock runs from the question to the verdict; what the jobs hold was put into columns before, once for all gangs.
"""

import random
import statistics
import time
from pathlib import Path
from typing import Final

import numpy as np

from bench.result import Result
from trainpush.model.gang import Gang, Requirements, Topology
from trainpush.model.nodes import PODS, Level, Node, NodeTable, node_table
from trainpush.planner.diagnostics import verdicts
from trainpush.planner.diagnostics.causes import Cause
from trainpush.planner.diagnostics.diagnosis import Circumstances
from trainpush.planner.diagnostics.holders import Holding, Holdings, holdings
from trainpush.planner.feasibility.filters import NodeFilters

NODES: Final = 500
RACK: Final = 25
GPUS: Final = 8
QUESTIONS: Final = 500
GOAL_MS: Final = 5.0
_GPU: Final = "nvidia.com/gpu"
_RACK: Final = Level("rack", "example.com/rack")
_JOB: Final = {_GPU: 1000, "cpu": 8000, "memory": 64 * 2**30, PODS: 1000}
_GANG: Final = Gang(
    pool="bench",
    workers=10,
    requirements=Requirements(
        request={name: amount if name == PODS else GPUS * amount for name, amount in _JOB.items()},
        accelerator=_GPU,
        accelerators=GPUS,
    ),
    topology=Topology(required="rack"),
)


async def measure(seed: int, folder: Path) -> Result:
    """The median over 500 questions; nothing is kept from one to the next."""
    del folder
    draw = random.Random(seed)
    table = _table(draw)
    begun = time.perf_counter()
    held = _holdings(table)
    columns_ms = 1000 * (time.perf_counter() - begun)
    answers = [_answer(table, held) for _ in range(QUESTIONS)]
    found = statistics.quantiles(answers, n=100, method="inclusive")
    details = {
        "nodes": NODES,
        "jobs": NODES * GPUS,
        "questions": QUESTIONS,
        "p99": round(found[98], 2),
        "most": round(max(answers), 2),
        "ms for columns of holders, once per cycle": round(columns_ms, 2),
    }
    return Result(round(found[49], 2), "ms", GOAL_MS, details)


def _answer(table: NodeTable, held: Holdings) -> float:
    """Milliseconds from a question to its verdict."""
    around = Circumstances(np.zeros_like(table.used), "bench/ahead", np.zeros_like(table.used), held)
    begun = time.perf_counter()
    verdict = verdicts.waiting(_GANG, NodeFilters(table, _GANG.requirements), table.used, around)
    verdict = verdicts.not_preempted(verdict, {Cause.PREEMPTION_NEVER: NODES * GPUS})
    took = 1000 * (time.perf_counter() - begun)
    if verdict.cause != Cause.PREEMPTION_NEVER or not verdict.holders:
        raise SystemExit(f"bench: not what was to be measured: {verdict}")
    return took


def _table(draw: random.Random) -> NodeTable:
    allocatable = {_GPU: GPUS * 1000, "cpu": 96_000, "memory": 1024 * 2**30, PODS: 110_000}
    used = {name: GPUS * amount for name, amount in _JOB.items()}
    closed = set(draw.sample(range(NODES), NODES // 10))
    nodes = [
        Node(
            name=f"n{i:03}",
            labels={_RACK.label: f"r{i // RACK:02}"},
            allocatable=allocatable,
            ready=i not in closed or i % 2 == 0,
            cordoned=i in closed,
        )
        for i in range(NODES)
    ]
    return node_table(nodes, [_RACK], {node.name: used for node in nodes})


def _holdings(table: NodeTable) -> Holdings:
    rows = [row for row in range(NODES) for _ in range(GPUS)]
    return holdings(table, (Holding(f"bench/job-{i}", _JOB, {row: 1}) for i, row in enumerate(rows)))
