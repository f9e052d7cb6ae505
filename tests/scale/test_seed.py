"""The seed manifest, letter for letter, on three racks of which one is too full."""

import asyncio
import json
from collections.abc import Iterator
from contextlib import ExitStack
from typing import Final

import pytest

from support import audit
from support.cluster import Objects, Space, a_pool, fake_nodes, nodes_of, now, says
from support.figures import Figures
from support.manifests import GPU, RACK, foreign_pod, pool, racks
from support.operator_process import ROOT
from testbed import Bed
from trainpush.kube.client import Object
from trainpush.kube.resources import SERVICES, Resource

JOB: Final = "llama-7b-training"
ENDPOINT_SLICES: Final = Resource("discovery.k8s.io", "v1", "endpointslices", "EndpointSlice", namespaced=True)
REAL: Final = {
    "apiVersion": "v1",
    "kind": "Node",
    "metadata": {
        "name": "real-looking",
        "labels": {"kubernetes.io/hostname": "real-looking", "training.ai/testbed": "real", RACK: "r3"},
        "annotations": {"kwok.x-k8s.io/node": "fake"},
    },
    "status": {side: {GPU: "8", "cpu": "96", "memory": "1Ti", "pods": "110"} for side in ("capacity", "allocatable")},
}
"""A node that takes pods from everywhere, but belongs to no pool."""


@pytest.fixture(scope="module", autouse=True)
def _racks(bed: Bed) -> Iterator[None]:
    """Three racks of five nodes in a default pool, and a node beside it."""
    with ExitStack() as stack:
        stack.callback(bed.kubectl, "delete", "node", "real-looking")
        bed.kubectl("create", "-f", "-", stdin=json.dumps(REAL))
        bed.kubectl("wait", "--for=condition=Ready", "--timeout=30s", "node/real-looking")
        stack.enter_context(fake_nodes(bed, racks("seed", [5, 5, 5])))
        stack.enter_context(a_pool(bed, pool("seed", "seed", default=True)))
        yield


@pytest.mark.story
async def test_story_seed(space: Space, figures: Figures) -> None:
    """Four workers of 8 GPUs land in the tightest rack that holds them; kube-scheduler binds the pods."""
    for node in ("seed-r1-0", "seed-r1-3", "seed-r3-2"):
        await space.create(foreign_pod(f"on-{node}", node, gpus=8))
    begun = audit.mark(space.bed.audit_log)
    started = now()
    _, placed = await asyncio.gather(
        asyncio.to_thread(space.bed.kubectl, "apply", "-n", space.name, "-f", str(ROOT / "examples" / "seed.yaml")),
        space.job(JOB, says("Placed"), "is placed"),
    )
    seconds = now() - started
    running = await space.job(JOB, says("Running"), "runs")
    nodes = nodes_of(placed)
    workers = {name: pod for name, pod in (await space.pods()).items() if name.startswith(JOB)}
    where = [pod["spec"]["nodeName"] for _, pod in sorted(workers.items())]

    figures.add("workers placed", len(where), 4)
    figures.add("rack", running["status"]["placement"]["domain"])
    figures.add("seconds from apply to placed", seconds)
    assert nodes == ["seed-r3-0", "seed-r3-1", "seed-r3-3", "seed-r3-4"], "r1 is too full, and r3 is tighter than r2"
    assert where == nodes
    assert nodes_of(running) == nodes
    assert _bound_by_the_scheduler(space, begun) == sorted(workers)
    _check_environment(workers)
    await _check_service(space, running)


def _bound_by_the_scheduler(space: Space, begun: int) -> list[str]:
    lines = audit.writes(audit.entries(space.bed.audit_log, begun), "system:kube-scheduler")
    start = f"create pods/binding {space.name}/"
    return sorted(line.removeprefix(start) for line in lines if line.startswith(start))


def _check_environment(workers: Objects) -> None:
    for rank in range(4):
        variables = workers[f"{JOB}-worker-{rank}-a1"]["spec"]["containers"][0]["env"]
        assert {entry["name"]: entry["value"] for entry in variables} == {
            "PET_NNODES": "4",
            "PET_NPROC_PER_NODE": "8",
            "PET_NODE_RANK": str(rank),
            "PET_MASTER_ADDR": f"worker-0-a1.{JOB}-workers",
            "PET_MASTER_PORT": "29500",
            "PET_SHUTDOWN_TIMEOUT": "35",
            "TRAINPUSH_JOB": JOB,
            "TRAINPUSH_ATTEMPT": "1",
            "TRAINPUSH_STRATEGY": "FSDP",
            "TRAINPUSH_WORLD_SIZE": "32",
            "TRAINPUSH_GRACE_SECONDS": "30",
            "TRAINPUSH_SHARDING_DEGREE": "2",
        }


async def _check_service(space: Space, job: Object) -> None:
    """The headless Service gives each worker, rank 0 among them, the DNS name that the environment speaks of."""
    service = (await space.until(SERVICES, lambda found: f"{JOB}-workers" in found, "the Service is there"))[
        f"{JOB}-workers"
    ]
    assert service["spec"]["clusterIP"] == "None"
    assert service["spec"]["publishNotReadyAddresses"] is True
    assert service["metadata"]["ownerReferences"][0]["uid"] == job["metadata"]["uid"]

    def are_known(slices: Objects) -> bool:
        known = {end.get("hostname") for found in slices.values() for end in found.get("endpoints") or []}
        return known == {f"worker-{rank}-a1" for rank in range(4)}

    await space.until(ENDPOINT_SLICES, are_known, "every worker has a DNS name")
