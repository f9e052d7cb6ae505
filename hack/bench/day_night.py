"""Three days and nights on 1,000 nodes of 8 GPUs, in simulated time: the same load under three policies.

Jobs of 1 to 64 GPUs come, and replicas are asked for along a daily curve with a peak of about 45 % of the nodes
(`day_night_load`). The production planner decides every quarter of an hour, and every 15 s while nodes change their
mode or gangs have to go.

* trainpush: one pool; nodes switch when replicas are asked for, and gangs that must go save first.
* static: as many nodes as the peak needs only serve, all others only train.
* evict: one pool that switches in the same way, but a gang that must go loses what it did since it last saved by
  itself, which is once an hour in all three.

A job that never began counts as if it began at the end, one that is not over as if it ended then.
"""

import os
import statistics
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from bench.day_night_load import DAY, HOUR, draw
from bench.day_night_world import GPUS, World
from bench.result import Result

NODES: Final = 1000
DAYS: Final = 3
TICK: Final = 900.0
INTERVAL: Final = 3600.0
"""Seconds for which as many replicas are asked for."""
PART: Final = 0.9
"""Of the GPU-hours that inference leaves, training asks for so many."""
GOALS: Final = {
    "mean completion time to static": 1.0,
    "lost work to evict": 0.05,
    "missed demand, %": 1.0,
}
"""Of trainpush."""
MAIN: Final = "mean completion time to static"


@dataclass(frozen=True)
class Point:
    """One moment of a policy."""

    at: float
    demand: int
    serving: int
    """Nodes with a replica."""
    training: float
    """GPUs that train, in nodes."""
    waiting: float
    """GPUs that gangs wait for, in nodes."""


@dataclass(frozen=True)
class Course:
    """What a policy came to."""

    world: World
    points: tuple[Point, ...]


async def measure(seed: int, folder: Path) -> Result:
    """How long jobs take on average from their coming to their end, to that of a static partition."""
    del folder
    load = draw(seed, NODES, DAYS, INTERVAL, PART)
    peak = max(load.replicas)
    courses = {
        "trainpush": _lived(World.of(load, NODES, switches=True, is_asked=True)),
        "static": _lived(World.of(load, NODES - peak, switches=False, is_asked=True)),
        "evict": _lived(World.of(load, NODES, switches=True, is_asked=False)),
    }
    figures = {name: _figures(course) for name, course in courses.items()}
    ours, static, evict = figures.values()
    told = {
        "mean completion time to static": ours["mean completion, h"] / static["mean completion, h"],
        "lost work to evict": ours["lost GPU-hours"] / max(1.0, evict["lost GPU-hours"]),
        "missed demand, %": 100 * ours["missed replica-minutes"] * 60 / (sum(load.replicas) * INTERVAL),
    }
    rounded = {name: round(value, 3) for name, value in told.items()}
    details = {"jobs": len(load.jobs), "peak, nodes": peak, **rounded, "goals": GOALS, **figures}
    if os.environ.get("RECORD"):
        from bench.day_night_plot import plot

        plot({name: course.points for name, course in courses.items()}, peak)
    missed = tuple(name for name, goal in GOALS.items() if name != MAIN and told[name] > goal)
    return Result(rounded[MAIN], "times", GOALS[MAIN], details, missed)


def _lived(world: World) -> Course:
    """Let all days pass."""
    return Course(world, tuple(_points(world)))


def _points(world: World) -> Iterator[Point]:
    for number in range(round(DAYS * DAY / TICK)):
        world.tick((number + 1) * TICK)
        placed = [bool(job.recorded.placement) for job in world.jobs.values()]
        gpus = [world.trainings[key].asked.gpus / GPUS for key in world.jobs]
        yield Point(
            at=world.now,
            demand=world.load.demand(world.now - 1),
            serving=sum(len(service.places) for service in world.services.values()),
            training=sum(size for size, is_placed in zip(gpus, placed, strict=True) if is_placed),
            waiting=sum(size for size, is_placed in zip(gpus, placed, strict=True) if not is_placed),
        )


def _figures(course: Course) -> Mapping[str, float]:
    world, span = course.world, DAYS * DAY
    jobs = [world.trainings[key] for key in sorted(world.trainings)]
    delays = [(span if job.first_start is None else job.first_start) - job.asked.at for job in jobs]
    completions = [(span if job.end is None else job.end) - job.asked.at for job in jobs]
    trained = sum(job.asked.gpus * job.safe(span) for job in jobs)
    tally = world.tally
    found = {
        "median queueing, min": statistics.median(delays) / 60,
        "p95 queueing, min": statistics.quantiles(delays, n=20)[-1] / 60,
        "mean completion, h": statistics.mean(completions) / HOUR,
        "GPU use, %": 100 * (trained + tally.served * GPUS) / (NODES * GPUS * span),
        "missed replica-minutes": tally.missed / 60,
        "lost GPU-hours": tally.lost / HOUR,
        "attempts ended early": tally.evictions,
        "switches": tally.switches,
        "switches given up": tally.aborted,
        "stuck": tally.stuck,
        "jobs completed": sum(job.end is not None for job in jobs),
        "plans": tally.plans,
    }
    return {name: round(value, 1) for name, value in found.items()}
