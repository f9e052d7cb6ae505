"""What can be done to a node of the test bed: the means by which later tests show faults of nodes."""

import json
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from support.cluster import conditions
from support.installed_operator import InstalledOperator
from support.look import look
from support.wait import until
from testbed import KindBed

LOST_SECONDS = 60


@pytest.fixture
def bed(installed: InstalledOperator) -> Iterator[KindBed]:
    """The bed; afterwards all of its nodes and of the operator are there again."""
    yield installed.bed
    installed.bed.up()
    installed.stop()
    installed.run()


def ready(bed: KindBed, node: str) -> str:
    """What the cluster believes of a node: True, False or Unknown."""
    status: str = conditions(look(bed, f"/api/v1/nodes/{node}"))["Ready"]["status"]
    return status


def standing(bed: KindBed, node: str) -> tuple[str, str]:
    """A node's GPUs and its address."""
    status = look(bed, f"/api/v1/nodes/{node}")["status"]
    (address,) = (entry["address"] for entry in status["addresses"] if entry["type"] == "InternalIP")
    return status["allocatable"]["nvidia.com/gpu"], address


async def test_a_killed_node_is_lost_and_comes_back(bed: KindBed) -> None:
    """With its GPUs, at its old address."""
    node = bed.workers[1]
    before = standing(bed, node)
    bed.docker("kill", node)
    await until(lambda: ready(bed, node) == "Unknown", "the node is lost", seconds=LOST_SECONDS)
    bed.up()
    assert ready(bed, node) == "True"
    assert standing(bed, node) == before


async def test_a_node_that_is_cut_off_lives_on(bed: KindBed, ticking: Path) -> None:
    """Its pods run while the cluster believes it lost, and are the same when it has its network back."""
    node = bed.workers[1]
    bed.cut_off(node)
    try:
        await until(lambda: ready(bed, node) == "Unknown", "the node is lost", seconds=LOST_SECONDS)
        await until(grows(ticking), "the pod goes on")
    finally:
        bed.reconnect(node)
    await until(lambda: ready(bed, node) == "True", "the node is back", seconds=LOST_SECONDS)
    await until(grows(ticking), "the pod still goes on")
    assert begun(ticking) == 1


def test_a_full_disk_says_so(bed: KindBed, small_disk: str) -> None:
    """On each worker, to whoever writes on it."""
    for node in bed.workers:
        write = f"dd if=/dev/zero of={small_disk}/file bs=1k count=64 2>&1; rm {small_disk}/file"
        assert "No space left on device" in bed.docker("exec", node, "sh", "-c", write)


def test_the_api_server_writes_down_who_wrote_what(bed: KindBed) -> None:
    """In the bed's audit log."""
    name = f"audited-{uuid.uuid4().hex[:6]}"
    bed.kubectl("create", "configmap", name)
    lines = [json.loads(line) for line in bed.audit_log.read_text().splitlines() if name in line]
    assert [(line["verb"], line["user"]["username"]) for line in lines] == [("create", "kubernetes-admin")]


def grows(file: Path) -> Callable[[], bool]:
    """A condition: something was written since this was asked."""
    size = file.stat().st_size
    return lambda: file.stat().st_size > size


def begun(file: Path) -> int:
    """How often the pod that writes has begun."""
    return file.read_text().count("begun")


@pytest.fixture
def ticking(bed: KindBed) -> Iterator[Path]:
    """A file in which a pod on the second worker writes ten times a second."""
    name = f"ticking-{uuid.uuid4().hex[:6]}"
    folder = bed.folder / "volumes" / name
    bed.kubectl("create", "-f", "-", stdin=json.dumps(_ticking(name, folder, bed.workers[1])))
    bed.kubectl("wait", "--for=condition=Ready", f"pod/{name}", "--timeout=60s")
    yield folder / "ticks"
    bed.kubectl("delete", "pod", name, "--grace-period=1")


def _ticking(name: str, folder: Path, node: str) -> dict[str, Any]:
    tick = "echo begun >> /folder/ticks; while true; do echo >> /folder/ticks; sleep 0.1; done"
    container = {
        "name": "main",
        "image": "trainpush.local/busybox:dev",
        "command": ["sh", "-c", tick],
        "volumeMounts": [{"name": "folder", "mountPath": "/folder"}],
    }
    volume = {"name": "folder", "hostPath": {"path": str(folder), "type": "DirectoryOrCreate"}}
    spec = {"nodeName": node, "containers": [container], "volumes": [volume]}
    return {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": name, "namespace": "default"}, "spec": spec}
