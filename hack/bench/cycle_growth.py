"""What one change costs the cycle, among 100, 1,000 and 10,000 running jobs of one GPU on 5,000 nodes.

From the bytes of the event to the new statuses: taken into the store, observed, planned, and of what is decided
otherwise than before the status as it would be sent. Sending is not in it: there is no API server.
A pod changes, a node becomes unready or ready again, a job comes and gets its place, or one ends and gives it back.
Every figure is processor time in milliseconds, the median of 15 such changes; the worst of the four counts.
Beside each stands what the next cycle costs, which reads back what was said.
Beside 1,000 gangs that wait for whole nodes, of 20 shapes, the same among 10,000 running jobs.
"""

import gc
import itertools
import os
import random
import statistics
import time
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import Final

from bench.cycle_growth_plot import plot
from bench.growing_cluster import BEGUN, NODES, GrowingCluster, node_name
from bench.result import Result
from trainpush.controller.changes import Changes
from trainpush.controller.observe import Observer
from trainpush.kube.client import Object
from trainpush.kube.tasks import Task
from trainpush.planner.memory import Memory
from trainpush.planner.plan import plan
from trainpush.status.patch import merge_patch

SIZES: Final = (100, 1_000, 10_000)
WAITING: Final = 1_000
SHAPES: Final = 20
TURNS: Final = 15
BEFORE: Final = {100: 9.3, 1_000: 83.5, 4_000: 558.6, 10_000: 1324.3}
"""The worst change at commit 73ba6f8, when every cycle looked at everything: the same cluster and changes, `observe`,
`plan` and the comparison of all tasks, the median of 5, in milliseconds on the machine of docs/results.md."""
GOALS: Final = {
    "100 jobs": 2.0,
    "1000 jobs": 4.0,
    "10000 jobs": 10.0,
    "10000 jobs, 1000 gangs wait": 50.0,
    "growth": 2.5,
}
"""Milliseconds; growth is from 1,000 jobs to 10,000."""
COLD_SECONDS: Final = 1.5


class _Operator:
    """The part of the operator that decides, over a cluster."""

    def __init__(self, jobs: int, waiting: int = 0) -> None:
        self.cluster = GrowingCluster()
        for number in range(jobs):
            self.cluster.run(f"job-{number}", node_name(number % NODES))
        for number in range(waiting):
            # No node is empty: some other job holds a GPU of each.
            self.cluster.job(f"gang-{number}", replicas=1 + number % SHAPES, gpus=8)
        self._observer = Observer(self.cluster.store, lambda uid: "", "example.com/proxy:1")
        self._memory, self._changes, self.now = Memory(), Changes(), BEGUN
        self._said: list[tuple[Task, Object]] = []

    def cycle(self) -> None:
        """One cycle, up to the statuses that it would send."""
        self.stages()

    def stages(self) -> tuple[float, float, float]:
        """One cycle; seconds of processor time for observing, for planning and for the statuses."""
        self.now += timedelta(seconds=1)
        begun = time.process_time()
        seen = self._observer.observe()
        observed = time.process_time()
        decided = plan(seen.snapshot, self.now, self._memory)
        planned = time.process_time()
        tasks = self._changes.tasks(seen, decided)
        self._said = [(task, status) for task in tasks if (status := self._news(task)) is not None]
        self._changes.carried_out()
        return observed - begun, planned - observed, time.process_time() - planned

    def _news(self, task: Task) -> Object | None:
        """The status that a task would send."""
        status = task.status(self.now)
        return status if merge_patch(task.seen.status, status) else None

    def settle(self) -> None:
        """Cycles follow until nothing is said any more."""
        while self._said:
            self.write()

    def write(self) -> None:
        """What was said stands from now on, and is seen by one more cycle."""
        for task, status in self._said:
            self.cluster.write(self.cluster.store.own_kinds[task.resource], task.seen, status)
        self.cycle()


async def measure(seed: int, folder: Path) -> Result:
    """The worst change among 10,000 running jobs; the others stand in the details."""
    del folder
    draw, found = random.Random(seed), dict[str, float]()
    for jobs in SIZES:
        found |= _measured(jobs, 0, draw)
    found |= _measured(SIZES[-1], WAITING, draw)
    found["growth"] = round(found["10000 jobs"] / found["1000 jobs"], 2)
    missed = [name for name, goal in GOALS.items() if found[name] > goal]
    if os.environ.get("RECORD"):
        plot(BEFORE, {jobs: found[f"{jobs} jobs"] for jobs in SIZES})
    return Result(found["10000 jobs"], "ms", GOALS["10000 jobs"], {"nodes": NODES, **found, "goals": GOALS}, missed)


async def cold(seed: int, folder: Path) -> Result:
    """The first plan of all, in seconds: nothing is remembered yet. What is before and after it stands beside it."""
    del seed, folder
    took: list[tuple[float, float, float]] = []
    for _ in range(3):
        operator = _Operator(SIZES[-1])
        gc.collect()
        took.append(operator.stages())
    observe, planned, rendered = (round(statistics.median(them), 3) for them in zip(*took, strict=True))
    details = {"nodes": NODES, "running": SIZES[-1], "observe": observe, "the first statuses": rendered}
    return Result(planned, "s", COLD_SECONDS, details)


def _measured(jobs: int, waiting: int, draw: random.Random) -> dict[str, float]:
    operator = _Operator(jobs, waiting)
    operator.cycle()
    operator.settle()
    changes = _changes(operator.cluster, jobs, draw)
    name, found = f"{jobs} jobs, {waiting} gangs wait" if waiting else f"{jobs} jobs", dict[str, float]()
    for what, change in changes.items():
        found[f"{name}: {what}"], found[f"{name}: {what}, read back"] = _timed(operator, change)
    return {name: max(found[f"{name}: {what}"] for what in changes), **found}


def _timed(operator: _Operator, change: Callable[[], object]) -> tuple[float, float]:
    """The median of so many changes, and of the cycles that read back what was said of them, in milliseconds."""
    took: list[tuple[float, float]] = []
    for _ in range(TURNS):
        begun = time.process_time()
        change()
        operator.cycle()
        said = time.process_time()
        operator.write()
        took.append((1000 * (said - begun), 1000 * (time.process_time() - said)))
    changed, read_back = (round(statistics.median(them), 2) for them in zip(*took, strict=True))
    return changed, read_back


def _changes(cluster: GrowingCluster, jobs: int, draw: random.Random) -> dict[str, Callable[[], object]]:
    numbers, turns = itertools.count(), itertools.count()
    ends = iter(draw.sample(range(jobs), TURNS))

    def pod_changes() -> None:
        some = draw.randrange(jobs)
        cluster.pod(f"job-{some}", node_name(some % NODES), message=f"turn {next(turns)}")

    def node_changes() -> None:
        turn = next(turns)
        cluster.node(17, is_ready=turn % 2 == 0)

    return {
        "a pod changes": pod_changes,
        "a node changes": node_changes,
        "a job comes": lambda: cluster.job(f"late-{next(numbers)}"),
        "a job ends": lambda: cluster.end(f"job-{next(ends)}"),
    }
