"""How far places are from the best there are: domains of every level and hosts against the exact optimum.

* 10,000 random trees of 2 to 4 blocks, 2 to 6 racks and 2 to 8 hosts, 5 to 95 % of whose slots are gone,
  with a gang of 2 to 128 workers (no more than fit), one in four of them in slices of one rack each.
* The network of 847 hosts that is published as alibaba/alibaba-lingjun-dataset-2023 (columns DSW, PSW, ASW of
  `topo.csv`), each host with 8 GPUs, filled with pods of 1, 2, 4 or 8 GPUs on random hosts to 50, 60, 70, 80, 90 and
  95 %; then gangs of 2 to 128 workers of 1, 2, 4 or 8 GPUs, each in the same state. `LINGJUN` names the file;
  without it this part is left out, and counts as missed.

The optimum comes from the tests' oracle, which shares no code with the planner: a table of costs for every domain.
A figure is the spent domains of a level as a multiple of the optimum, the levels further out being equal; the value
is the largest of all. Beside it stand the figures of the tightest fit, for comparison, and how often what is left for
others is worse than after the tightest fit with the same span. `proved` counts the places said to be best (gap 0).
"""

import csv
import os
import random
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from bench.result import Result
from bench.tightest_fit import tightest_fit
from support.placement_oracle import Host, Question, fewest_by_table
from trainpush.model.gang import Gang, Requirements, Slices, Topology
from trainpush.model.nodes import Level, Node, node_table
from trainpush.model.snapshot import Pool
from trainpush.planner.placing.free_capacity import FreeCapacity

GPU: Final = "nvidia.com/gpu"
TREES: Final = 10_000
LOADS: Final = (0.5, 0.6, 0.7, 0.8, 0.9, 0.95)
GANGS_PER_LOAD: Final = 60
LINGJUN: Final = "LINGJUN"
LEFT: Final = "leaves less than the tightest fit"

Domains = tuple[str, ...]
"""Of a host, from the outside in."""


@dataclass
class Tally:
    """What was found on many questions."""

    gangs: int = 0
    proved: int = 0
    worst: float = 1.0
    """Of any level."""
    domains: list[float] = field(default_factory=list)
    hosts: list[float] = field(default_factory=list)
    tightest_hosts: list[float] = field(default_factory=list)
    worse_left: int = 0
    """Places that leave less to others than the tightest fit with the same span."""

    def add(self, asked: Question, shares: Sequence[int], gap: float) -> None:
        """Compare one place."""
        best = fewest_by_table(asked)
        if best is None or not asked.is_allowed(shares):
            raise AssertionError(f"{asked} has no such place")
        span = asked.span(shares)[1:]
        self.gangs += 1
        self.proved += gap == 0
        first = next((spent / least for spent, least in zip(span, best, strict=True) if spent != least), 1.0)
        self.worst = max(self.worst, first)
        self.domains.append(sum(span[:-1]) / sum(best[:-1]))
        self.hosts.append(span[-1] / best[-1])
        if not asked.slices:
            simple = tightest_fit(
                [host.path for host in asked.hosts], [host.slots for host in asked.hosts], asked.workers
            )
            if simple is None:
                raise AssertionError(f"{asked} has a place")
            spent = asked.span(simple)[1:]
            self.tightest_hosts.append(spent[-1] / best[-1])
            self.worse_left += spent == span and asked.left(simple) > asked.left(shares)

    def figures(self) -> dict[str, float]:
        """All of it in numbers."""
        return {
            "gangs": self.gangs,
            "proved": self.proved,
            "domains, mean ratio": _mean(self.domains),
            "hosts, mean ratio": _mean(self.hosts),
            "worst ratio of any level": round(self.worst, 4),
            "hosts by tightest fit, mean ratio": _mean(self.tightest_hosts),
            LEFT: self.worse_left,
        }


async def measure(seed: int, folder: Path) -> Result:
    """The worst ratio of any level of any place."""
    del folder
    tallies = {"random trees": Tally()}
    draw = random.Random(seed)
    for _ in range(TREES):
        _ask(*_tree(draw), draw.randint(2, 128), tallies["random trees"], slices=draw.choice([0, 0, 0, 2]))
    if os.environ.get(LINGJUN):
        tallies["Lingjun"] = Tally()
        for pool, paths, workers, gpus in _lingjun(Path(os.environ[LINGJUN]), draw):
            _ask(pool, paths, workers, tallies["Lingjun"], gpus=gpus)
    missed = [f"{name}: {LEFT}" for name, tally in tallies.items() if tally.worse_left]
    missed += [] if "Lingjun" in tallies else [f"Lingjun: {LINGJUN} names no file"]
    worst = max(tally.worst for tally in tallies.values())
    return Result(round(worst, 4), "times the optimum", 1.0, {n: t.figures() for n, t in tallies.items()}, missed)


def _mean(values: Sequence[float]) -> float:
    return round(sum(values) / max(len(values), 1), 4)


def _tree(draw: random.Random) -> tuple[Pool, list[Domains]]:
    """A random tree of two levels, fragmented."""
    gone, racks, hosts, most = (
        draw.uniform(0.05, 0.95),
        draw.randint(2, 6),
        draw.randint(2, 8),
        draw.choice([1, 2, 4, 8]),
    )
    paths: list[Domains] = [
        (f"b{block}", f"b{block}r{rack}")
        for block in range(draw.randint(2, 4))
        for rack in range(racks)
        for _ in range(hosts)
    ]
    free = [sum(draw.random() > gone for _ in range(most)) for _ in paths]
    return _pool(paths, free), paths


def _pool(paths: Sequence[Domains], free: Sequence[int]) -> Pool:
    levels = tuple(Level(f"l{depth}", f"level/{depth}") for depth in range(len(paths[0])))
    nodes = [
        Node(
            f"n{i:04}",
            {level.label: name for level, name in zip(levels, path, strict=True)},
            {GPU: 1_000 * gpus, "pods": 110_000},
        )
        for i, (path, gpus) in enumerate(zip(paths, free, strict=True))
    ]
    return Pool("pool", (GPU,), node_table(nodes, levels, {}))


def _ask(pool: Pool, paths: Sequence[Domains], workers: int, tally: Tally, gpus: int = 1, slices: int = 0) -> None:
    """Place one gang, or as many of its workers as fit, and compare."""
    ground = FreeCapacity.at_rest(pool, pool.table.used.copy())
    layers = (Slices(f"l{len(paths[0]) - 1}", slices),) if slices else ()
    request = {GPU: 1_000 * gpus, "pods": 1_000}
    unit = slices or 1
    sizes = tuple(range(workers // unit * unit, 0, -unit)) or (unit,)
    gang = Gang("pool", sizes[0], Requirements(request, GPU, gpus), Topology(slices=layers), sizes)
    size = ground.largest(gang)
    if not size:
        return
    site = ground.assign(gang.of_size(size))
    if site is None:
        raise AssertionError(f"{gang} fits, and has no place")
    table = pool.table
    free = (table.allocatable[table.resources.index(GPU)] // (1_000 * gpus)).tolist()
    hosts = [Host(paths[int(name[1:])], free[row]) for row, name in enumerate(table.names)]
    shares = [site.by_row.get(row, 0) for row in range(len(hosts))]
    tally.add(Question(hosts, size, {len(paths[0]): slices} if slices else {}), shares, site.gap)


def _lingjun(file: Path, draw: random.Random) -> Iterator[tuple[Pool, list[Domains], int, int]]:
    """Pool, paths, workers and GPUs per worker of every gang on the published network."""
    with file.open() as rows:
        paths = [(row["DSW"], row["PSW"], row["ASW"]) for row in csv.DictReader(rows)]
    full: list[Domains] = [(dsw, f"{dsw}/{psw}", f"{dsw}/{psw}/{asw}") for dsw, psw, asw in paths]
    for load in LOADS:
        free = [8] * len(full)
        while sum(free) > (1 - load) * 8 * len(full):
            host, pod = draw.randrange(len(free)), draw.choice([1, 2, 4, 8])
            free[host] -= pod if pod <= free[host] else 0
        pool = _pool(full, free)
        for i in range(GANGS_PER_LOAD):
            yield pool, full, draw.randint(2, 128), (1, 2, 4, 8)[i % 4]
