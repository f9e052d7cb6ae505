"""Builders: a test states what it is about, the rest has defaults."""

import dataclasses
from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

from trainpush.model.gang import Gang, Requirements
from trainpush.model.nodes import HOST, PODS, Level, Node, node_table
from trainpush.model.snapshot import Pool, Quota, Share, Snapshot
from trainpush.model.workload import Job, Key, Phase, Placement, Recorded, Refusal, Worker

NOW = datetime(2026, 1, 1, 12, 0, tzinfo=UTC)
GPU = "nvidia.com/gpu"
BLOCK = Level("block", "example.com/block")
RACK = Level("rack", "example.com/rack")
LEVELS = (BLOCK, RACK)


def a_node(name: str, gpus: int = 8, rack: str | None = None, block: str = "b1", **fields: Any) -> Node:
    """A ready node with 8 GPUs in block b1; without a rack it has no rack label."""
    labels = {BLOCK.label: block} | ({RACK.label: rack} if rack else {})
    return Node(name=name, labels=labels, allocatable={GPU: gpus * 1000, PODS: 110_000}, **fields)


def a_pool(
    *nodes: Node, levels: Sequence[Level] = LEVELS, used: Mapping[str, int] | None = None, name: str = "pool"
) -> Pool:
    """A pool of `nodes`; `used` are GPUs per node that others hold."""
    taken = {node: {GPU: gpus * 1000} for node, gpus in (used or {}).items()}
    return Pool(name=name, accelerators=(GPU,), table=node_table(nodes, levels, taken))


def a_gang(workers: int = 4, gpus: int = 8, **fields: Any) -> Gang:
    """A gang of 4 workers of 8 GPUs."""
    requirements = Requirements({GPU: gpus * 1000, PODS: 1000}, GPU, gpus)
    return varied(Gang("pool", workers, requirements), **fields)


def varied(gang: Gang, **fields: Any) -> Gang:
    """The same gang with other `fields`, of its requirements and its topology too."""

    def taken(of: Any) -> dict[str, Any]:
        return {it.name: fields.pop(it.name) for it in dataclasses.fields(of) if it.name in fields}

    parts: dict[str, Any] = {
        "requirements": replace(gang.requirements, **taken(gang.requirements)),
        "topology": replace(gang.topology, **taken(gang.topology)),
    }
    return replace(gang, **parts, **fields)


def a_job(
    name: str = "job", gang: Gang | Refusal | None = None, age: float = 0, namespace: str = "default", **fields: Any
) -> Job:
    """A job that has waited for `age` seconds, and asks for a gang of 4 x 8 GPUs."""
    key = Key(namespace, name)
    created_at = NOW - timedelta(seconds=age)
    waiting = {"recorded": Recorded(queued_at=created_at)}
    return Job(key=key, uid=f"uid-{name}", created_at=created_at, request=gang or a_gang(), **waiting | fields)


def a_placement(*nodes: str, level: str = HOST, domain: str = "x", age: float = 0) -> Placement:
    """A placement that was decided `age` seconds ago."""
    return Placement(nodes=nodes, level=level, domain=domain, since=NOW - timedelta(seconds=age))


def running_job(name: str, *nodes: str, gpus: int = 8, age: float = 100, **fields: Any) -> Job:
    """A job whose workers have run on `nodes` for `age` seconds."""
    gang = a_gang(workers=len(nodes), gpus=gpus, sizes=fields.pop("sizes", ()))
    recorded = Recorded(attempt=1, placement=a_placement(*nodes, age=age), has_run=True)
    workers = tuple(
        Worker(f"{name}-{rank}", f"uid-{name}-{rank}", 1, rank, Phase.RUNNING, node, request=gang.requirements.request)
        for rank, node in enumerate(nodes)
    )
    return a_job(name, gang, age, recorded=recorded, workers=workers, **fields)


def placed_job(*nodes: str, name: str = "job", gpus: int = 8, age: float = 0, **recorded: Any) -> Job:
    """A job in its first attempt with a worker on each of `nodes`, and no pods yet."""
    defaults: dict[str, Any] = {"attempt": 1, "placement": a_placement(*nodes, age=age)}
    return a_job(name, a_gang(workers=len(nodes), gpus=gpus), recorded=Recorded(**defaults | recorded))


def a_worker(rank: int, phase: Phase = Phase.RUNNING, attempt: int = 1, **fields: Any) -> Worker:
    """A running worker of the first attempt."""
    name = f"job-worker-{rank}-a{attempt}"
    return Worker(name=name, uid=f"uid-{name}", attempt=attempt, rank=rank, phase=phase, **fields)


def a_quota(
    name: str, guarantee: int = 0, limit: int | None = None, weight: int = 1, namespaces: Sequence[str] = ()
) -> Quota:
    """The quota of a team, in GPUs, over the namespace of its name."""
    share = Share(guarantee * 1000, weight, None if limit is None else limit * 1000)
    return Quota(name, frozenset(namespaces or [name]), {GPU: share})


def a_cluster(*jobs: Job, pool: Pool) -> Snapshot:
    """A snapshot with one pool."""
    return Snapshot(pools=(pool,), jobs=tuple(sorted(jobs, key=lambda job: job.key)))


def three_racks(*sizes: int) -> list[Node]:
    """Racks r1, r2, … with that many nodes of 8 GPUs each."""
    return [a_node(f"r{r}-n{n}", rack=f"r{r}") for r, size in enumerate(sizes, 1) for n in range(size)]
