"""What must not stop the operator: kinds that vanish, a server that dies, and objects that lie."""

import json
import os
import signal
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Final

import pytest

from support import operator_process
from support.cluster import Space, a_pool, fake_nodes, is_empty, new_space, says
from support.manifests import GPU, foreign_pod, job, pool, racks
from support.operator_process import ROOT, OperatorProcess
from support.wait import until
from testbed import Layer, LocalBed
from trainpush.kube.errors import NotFound
from trainpush.kube.resources import PODS

NODES: Final = racks("faults", [4])
SECONDS: Final = 90
"""Time for a watch to be taken up again, with its pauses."""


@pytest.fixture(scope="module", autouse=True)
def _racks(bed: LocalBed) -> Iterator[None]:
    """One rack of four nodes."""
    with fake_nodes(bed, NODES), a_pool(bed, pool("faults", "faults", default=True)):
        yield


@pytest.fixture
def operator(kubeconfig: Path, tmp_path: Path) -> Iterator[OperatorProcess]:
    """An operator to be troubled."""
    with operator_process.running(kubeconfig, tmp_path / "operator.log") as operator:
        yield operator
        assert operator.process.poll() is None, operator.log.read_text()[-4000:]
        assert "trainpush_cycle_errors_total 0.0" in operator.get("/metrics")[1], operator.log.read_text()[-4000:]


async def test_a_pool_kind_that_was_deleted_and_made_again(
    bed: LocalBed, space: Space, operator: OperatorProcess
) -> None:
    """Kopf ends when a kind is gone; it is started again, the process lives on, and what runs is left alone."""
    await space.create(job("before"))
    await space.job("before", says("Running"), "runs")
    crd = ROOT / "crds" / "training.ai_gpupools.yaml"
    bed.kubectl("delete", "-f", str(crd))
    await until(lambda: "restarts_total 0.0" not in operator.get("/metrics")[1], "kopf ended", seconds=SECONDS)
    assert list(await space.pods()) == ["before-worker-0-a1"]
    bed.kubectl("apply", "--server-side", "-f", str(crd))
    bed.kubectl("wait", "--for=condition=Established", "--timeout=30s", "-f", str(crd))
    bed.kubectl("apply", "-f", "-", stdin=json.dumps(pool("faults", "faults", default=True)))
    await space.create(job("after"))
    await space.job("after", says("Running"), "runs", seconds=SECONDS)


async def test_an_api_server_that_is_killed(bed: LocalBed, space: Space, operator: OperatorProcess) -> None:
    """What runs goes on, and what was asked meanwhile is done afterwards."""
    await space.create(job("before"))
    await space.job("before", says("Running"), "runs")
    os.kill(bed.parts["kube-apiserver"].pid, signal.SIGKILL)
    bed.up(Layer.SCALE)
    await space.create(job("after"))
    await space.job("after", says("Running"), "runs", seconds=SECONDS)


async def test_amounts_beyond_all_numbers(space: Space, operator: OperatorProcess) -> None:
    """A job and a foreign pod that ask for exabytes are told no, or counted; everybody else is served."""
    greedy = job("greedy")
    greedy["spec"]["resources"]["requests"] = {GPU: 8, "memory": "9Ei", "cpu": "9E"}
    await space.create(greedy)
    glutton = foreign_pod("glutton", NODES[0].name, 1)
    glutton["spec"]["containers"][0]["resources"]["requests"] = {GPU: 1, "memory": "9Ei"}
    await space.create(glutton)
    await space.job("greedy", says("Placed", "False", "NoMatchingNodes"), "waits")
    await space.create(job("modest", 3))
    await space.job("modest", says("Running"), "runs")


async def test_a_report_that_lies(space: Space, operator: OperatorProcess) -> None:
    """A program may leave any termination message; its job ends all the same."""
    await space.create(job("job"))
    await space.job("job", says("Running"), "runs")
    await space.end("job-worker-0-a1", 0, '{"step": -1, "totalSteps": true, "metrics": {"accuracy": [1]}}')
    await space.job("job", says("TrainingComplete"), "is complete")


async def test_a_pod_of_another_namespace_is_no_worker(bed: LocalBed, space: Space, operator: OperatorProcess) -> None:
    """Whatever owner and labels it claims; nor is one here that does not bear a worker's name."""
    await space.create(job("job", 2))
    seen = await space.job("job", says("Running"), "runs")
    real = (await space.pods())["job-worker-1-a1"]
    elsewhere = await new_space(bed, space.client)
    for where, name in ((elsewhere, "job-worker-1-a1"), (space, "evil")):
        forged = foreign_pod(name, NODES[3].name, 1, real["metadata"]["labels"])
        forged["metadata"]["ownerReferences"] = real["metadata"]["ownerReferences"]
        await where.create(forged)
        # The garbage collector may be faster: in another namespace its owner does not exist.
        with suppress(NotFound):
            await where.delete(PODS, name)
    after = await space.job("job", says("Running"), "runs on")
    assert after["status"]["attempt"] == seen["status"]["attempt"]
    assert after["status"]["restarts"] == {"failures": 0, "infrastructure": 0, "preemptions": 0}
    await elsewhere.until(PODS, is_empty, "the forged pod is gone")
