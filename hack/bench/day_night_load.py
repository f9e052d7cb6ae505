"""What comes to a cluster in some days: training jobs, and how many replicas are asked for; drawn once for all.

Jobs have the shape of those of Microsoft's Philly cluster (github.com/msr-fiddle/philly-traces): powers of two of GPUs,
far more small gangs than large ones, durations log-normal over three orders of magnitude, more of them by day.
Sizes are larger than in 2017, when most jobs had one GPU. Nothing of the trace itself is used.
"""

import math
import random
from dataclasses import dataclass
from typing import Final

HOUR: Final = 3600.0
DAY: Final = 24 * HOUR
SIZES: Final = {1: 5, 2: 4, 4: 8, 8: 22, 16: 21, 32: 22, 64: 18}
"""GPUs of a job, and how many of a hundred jobs have so many."""
MEDIAN_SECONDS: Final = 4 * HOUR
SIGMA: Final = 1.3
SHORTEST, LONGEST = 300.0, DAY
PEAK_HOUR: Final = 15.0
TROUGH, PEAK = 0.12, 0.43
"""Parts of the nodes that replicas ask for, before noise."""
NOISE: Final = 0.012


@dataclass(frozen=True)
class Asked:
    """One training job."""

    name: str
    at: float
    """When it comes, in seconds from the beginning."""
    gpus: int
    seconds: float
    """How long it runs if nothing disturbs it."""


@dataclass(frozen=True)
class Load:
    """All that comes."""

    jobs: tuple[Asked, ...]
    """In the order in which they come."""
    replicas: tuple[int, ...]
    """Asked for in each interval; a replica takes a node."""
    interval: float
    """Seconds."""

    def demand(self, at: float) -> int:
        """Replicas that are asked for at a moment."""
        return self.replicas[min(int(at // self.interval), len(self.replicas) - 1)]


def draw(seed: int, nodes: int, days: float, interval: float, part: float) -> Load:
    """The load of some days; training asks for `part` of the GPU-hours that are left by inference."""
    random_ = random.Random(seed)
    replicas = _curve(random_, nodes, days, interval)
    left = sum(nodes - count for count in replicas) * interval * 8
    jobs, asked = list[Asked](), 0.0
    while asked < part * left:
        job = _job(random_, len(jobs), days * DAY, is_there=asked < nodes * 8 * 10 * HOUR)
        jobs.append(job)
        asked += job.gpus * job.seconds
    return Load(tuple(sorted(jobs, key=lambda job: (job.at, job.name))), replicas, interval)


def _job(random_: random.Random, number: int, span: float, *, is_there: bool) -> Asked:
    """One job; those that are there at the beginning make up what waits already."""
    gpus = random_.choices(list(SIZES), list(SIZES.values()))[0]
    seconds = min(max(random_.lognormvariate(math.log(MEDIAN_SECONDS), SIGMA), SHORTEST), LONGEST)
    at = 0.0
    while not is_there and at == 0.0:
        moment = random_.uniform(0, span)
        if random_.random() < 0.4 + 0.6 * _daylight(moment):
            at = moment
    return Asked(f"j{number:05}", at, gpus, seconds)


def _curve(random_: random.Random, nodes: int, days: float, interval: float) -> tuple[int, ...]:
    found, drift = [], 0.0
    for number in range(round(days * DAY / interval)):
        drift = 0.8 * drift + random_.gauss(0, NOISE)
        part = TROUGH + (PEAK - TROUGH) * _daylight(number * interval) + drift
        found.append(round(nodes * min(max(part, 0.05), 0.49)))
    return tuple(found)


def _daylight(at: float) -> float:
    """0 in the deepest night, 1 at the busiest hour."""
    return 0.5 + 0.5 * math.cos(2 * math.pi * (at / HOUR - PEAK_HOUR) / 24)
