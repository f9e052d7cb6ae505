"""A cluster with controllers, the real scheduler and fake nodes, and an operator for each file of tests."""

from collections.abc import AsyncIterator, Callable, Iterator
from pathlib import Path

import pytest

from support import operator_process
from support.api import admin
from support.cluster import Space, a_space
from support.given_cluster import refuse_given
from support.operator_process import OperatorProcess
from testbed import Bed, Layer, LocalBed, held
from trainpush.kube.client import Client


@pytest.fixture(scope="session", autouse=True)
def _own_bed(required: Callable[[Callable[[], None]], None]) -> None:
    required(lambda: refuse_given("these tests make nodes, kill an API server and read its audit log"))


@pytest.fixture(scope="session")
def bed(required: Callable[[Callable[[], None]], None]) -> Iterator[LocalBed]:
    """A fresh cluster for all tests of this folder."""
    with held(LocalBed("test-scale")) as bed:
        required(lambda: bed.up(Layer.SCALE))
        yield bed


@pytest.fixture(scope="session")
def kubeconfig(bed: Bed) -> Path:
    """The operator's own credentials; CRDs and roles are installed."""
    return operator_process.install(bed)


@pytest.fixture(scope="session")
async def client(bed: Bed) -> AsyncIterator[Client]:
    """The administrator."""
    async with Client(admin(bed), user_agent="tests") as client:
        yield client


@pytest.fixture
async def space(bed: Bed, client: Client, operator: OperatorProcess) -> AsyncIterator[Space]:
    """A namespace for one test."""
    async with a_space(bed, client) as space:
        yield space


@pytest.fixture(scope="module")
def operator(kubeconfig: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[OperatorProcess]:
    """The operator, which must come through all tests of a file without one unexpected error."""
    log = tmp_path_factory.mktemp("operator") / "operator.log"
    with operator_process.running(kubeconfig, log) as operator:
        yield operator
        assert operator.process.poll() is None, f"the operator ended:\n{log.read_text()[-4000:]}"
        metrics = operator.get("/metrics")[1]
        assert "\ntrainpush_cycle_errors_total 0.0\n" in metrics, log.read_text()[-4000:]
        assert "\ntrainpush_kopf_restarts_total 0.0\n" in metrics, log.read_text()[-4000:]
    assert operator.process.returncode == 0
