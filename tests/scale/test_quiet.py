"""A cluster in which nothing happens: the operator writes nothing either."""

import asyncio
import os
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Final

import pytest

from support import audit
from support.cluster import Objects, Space, a_pool, fake_nodes, now, says
from support.figures import Figures
from support.manifests import job, pool, racks
from support.operator_process import ACCOUNT, NAMESPACE, OperatorProcess
from testbed import Bed
from trainpush.kube.resources import PODS, TRAINPUSHJOBS

OPERATOR: Final = f"system:serviceaccount:{NAMESPACE}:{ACCOUNT}"
SETTLED_SECONDS: Final = 8.0
"""Longer than any write is put off."""
WINDOW_SECONDS: Final = 60.0


@pytest.fixture(scope="module", autouse=True)
def _racks(bed: Bed) -> Iterator[None]:
    """Two racks of four nodes."""
    with fake_nodes(bed, racks("quiet", [4, 4])), a_pool(bed, pool("main", "quiet", default=True)):
        yield


@pytest.mark.story(long=True)
async def test_story_quiet(space: Space, operator: OperatorProcess, figures: Figures) -> None:
    """With 200 jobs of every kind, 20 of them running, not one write in 60 s but the Lease's."""
    await _two_hundred_jobs(space)
    begun = await _settled(space.bed.audit_log)
    assert audit.writes(audit.entries(space.bed.audit_log, 0), OPERATOR), "the log shows the operator's writes"
    cpu = _cpu_seconds(operator)
    await asyncio.sleep(WINDOW_SECONDS)
    used = _cpu_seconds(operator) - cpu
    found = audit.writes(audit.entries(space.bed.audit_log, begun), OPERATOR)
    writes = [line for line in found if not _is_allowed(line)]

    phases = Counter(seen["status"]["phase"] for seen in (await _jobs(space)).values())
    figures.add("jobs", ", ".join(f"{count} {phase}" for phase, count in sorted(phases.items())))
    figures.add("seconds watched", WINDOW_SECONDS)
    figures.add("writes", len(writes), 0)
    figures.add("renewals of the Lease", len(found) - len(writes))
    figures.add("CPU seconds of the operator", used)
    figures.add("memory of the operator in MiB", operator.rss_mib)
    assert phases == {"Running": 20, "Queued": 60, "Suspended": 40, "Refused": 40, "Complete": 40}
    assert writes == []
    assert len(found) >= WINDOW_SECONDS / 10, "the log would have shown them"


async def _two_hundred_jobs(space: Space) -> None:
    """40 that are complete, 20 that run on 40 of 64 GPUs, 60 that want more than is free, 40 suspended, 40 wrong."""
    done = [job(f"done-{i}", gpus=1) for i in range(40)]
    await asyncio.gather(*(space.create(manifest) for manifest in done))
    pods = await space.until(PODS, lambda pods: _count(pods, "Running") == 40, "40 pods run", seconds=60)
    await asyncio.gather(*(space.end(name, 0) for name in pods))
    await space.until(TRAINPUSHJOBS, lambda jobs: _count(jobs, "Complete") == 40, "40 are complete", seconds=60)
    running = [job(f"runs-{i}", gpus=2) for i in range(20)]
    await asyncio.gather(*(space.create(manifest) for manifest in running))
    await space.until(TRAINPUSHJOBS, lambda jobs: _count(jobs, "Running") == 20, "20 run", seconds=60)
    others = [
        *(job(f"waits-{i}", 4) for i in range(60)),
        *(job(f"stands-{i}", suspend=True) for i in range(40)),
        *(job(f"wrong-{i}", strategy={"type": "FSDP", "sharding": {"degree": 3}}) for i in range(40)),
    ]
    await asyncio.gather(*(space.create(manifest) for manifest in others))
    await space.until(TRAINPUSHJOBS, _all_seen, "every job has a status", seconds=60)


def _count(found: Objects, phase: str) -> int:
    return sum(thing.get("status", {}).get("phase") == phase for thing in found.values())


def _all_seen(found: Objects) -> bool:
    return len(found) == 200 and all(
        says("Accepted")(seen) or says("Accepted", "False")(seen) for seen in found.values()
    )


async def _settled(log: Path) -> int:
    """The end of the log once the operator has written nothing for some seconds."""
    deadline = now() + 60
    begun, since = audit.mark(log), now()
    while now() - since < SETTLED_SECONDS:
        assert now() < deadline, "the operator goes on writing"
        await asyncio.sleep(0.5)
        if not all(map(_is_allowed, audit.writes(audit.entries(log, begun), OPERATOR))):
            begun, since = audit.mark(log), now()
    return audit.mark(log)


def _is_allowed(line: str) -> bool:
    return line.split()[1] in {"leases", "tokenreviews"}


def _cpu_seconds(operator: OperatorProcess) -> float:
    """User and system time, by proc(5)."""
    fields = Path(f"/proc/{operator.process.pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


async def _jobs(space: Space) -> Objects:
    return await space.until(TRAINPUSHJOBS, _all_seen, "every job is there")
