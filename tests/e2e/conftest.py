"""A cluster with two real nodes, on which containers run."""

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from support import operator_process
from support.digits import DigitsBed
from testbed import Bed


@pytest.fixture(scope="session")
def real(required: Callable[[Callable[[], None]], None]) -> Iterator[DigitsBed]:
    """The bed with nodes, image, CRDs, roles and the pool `real`; no operator yet."""
    bed = Bed("test-e2e")
    try:
        required(lambda: bed.up(real_nodes=2))
        required(lambda: bed.load_image("training"))
        yield DigitsBed(bed, operator_process.install(bed))
    finally:
        bed.down()


@pytest.fixture
def operator(real: DigitsBed, tmp_path: Path) -> Iterator[operator_process.OperatorProcess]:
    """An operator that nobody disturbs."""
    with operator_process.running(real.kubeconfig, tmp_path / "operator.log") as running:
        yield running
