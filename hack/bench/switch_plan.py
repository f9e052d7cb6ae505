"""Which of 1,000 nodes change their mode, decided once, while 190 gangs wait that can have no more nodes.

600 nodes train gangs of 1 to 16 nodes that have just begun, 350 serve one replica each, and the rest is empty and
needed for inference's least. So every gang that waits has to be refused, with the reason for each node: the worst
case. Processor time, the median of ten cycles; nothing is kept from one to the next.
"""

import random
import statistics
import time
from pathlib import Path
from typing import Final

from bench.result import Result
from support.switching_world import World, a_server, a_switch, a_trainer, books
from trainpush.model.modes import Bounds, Mode, Switching
from trainpush.model.plan import ServiceDecision
from trainpush.model.records import Records
from trainpush.model.workload import Job
from trainpush.planner.modes.mode_switch import decide
from trainpush.planner.placing.free_capacity import FreeCapacity

TRAINING: Final = 600
SERVING: Final = 350
NODES: Final = 1000
WAITING: Final = 190
SIZES: Final = (64, 65, 80, 100, 128)
CYCLES: Final = 10
GOAL_MS: Final = 100.0
_POLICY: Final = Switching(
    default=Mode.INFERENCE,
    bounds={Mode.INFERENCE: Bounds(NODES - TRAINING), Mode.TRAINING: Bounds(0, TRAINING)},
    is_enforced=True,
)


async def measure(seed: int, folder: Path) -> Result:
    """From what stands on the nodes and who waits to what becomes of each node."""
    del folder
    world = _world(random.Random(seed))
    pool, jobs, services = world.pool, list(world.jobs.values()), list(world.services.values())
    accounts, allocations = books(pool, jobs, services)
    ground = FreeCapacity.at_rest(pool, allocations.used(pool))
    served: list[ServiceDecision] = [world.served(ground, service) for service in services]
    stages = Records(world.staged(ground, job) for job in jobs)
    took = []
    for _ in range(CYCLES):
        begun = time.process_time()
        found = decide(ground, accounts, allocations, stages, served, world.now)
        took.append(1000 * (time.process_time() - begun))
    refused = sum(not answer.is_coming for answer in found.help.values())
    if refused != WAITING or found.nodes:
        raise SystemExit(f"bench: not what was to be measured: {refused} refused, {len(found.nodes)} nodes change")
    details = {"nodes": NODES, "gangs that wait": WAITING, "most": round(max(took), 1)}
    return Result(round(statistics.median(took), 1), "ms", GOAL_MS, details)


def _world(draw: random.Random) -> World:
    jobs: list[Job] = []
    first = 1
    while first <= TRAINING:
        size = min(draw.choice((1, 2, 4, 8, 16)), TRAINING + 1 - first)
        jobs.append(a_trainer(f"run{first}", *(f"n{node}" for node in range(first, first + size)), age=900))
        first += size
    jobs += [a_trainer(f"wait{number}", workers=draw.choice(SIZES)) for number in range(WAITING)]
    services = [a_server(f"svc{node}", f"n{node}") for node in range(TRAINING + 1, TRAINING + 1 + SERVING)]
    modes = {f"n{node}": Mode.TRAINING if node <= TRAINING else Mode.INFERENCE for node in range(1, NODES + 1)}
    annotations = {name: a_switch(mode) for name, mode in modes.items()}
    return World.of(_POLICY, *jobs, *services, nodes=NODES, **annotations)
