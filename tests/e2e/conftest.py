"""A cluster with two real nodes, on which containers run."""

import os
import subprocess
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path

import pytest

from support.digits import DigitsBed
from support.given_cluster import refuse_given
from support.installed_operator import InstalledOperator
from support.operator_process import ACCOUNT, NAMESPACE
from testbed import Bed


@pytest.fixture(scope="session", autouse=True)
def _own_bed(required: Callable[[Callable[[], None]], None]) -> None:
    required(lambda: refuse_given("these tests need nodes with the training image, pretended GPUs and a shared folder"))


@pytest.fixture(scope="session")
def small_disk(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A disk of 32 KiB; mounted before the kubelets start, which see no mounts that come later."""
    folder = tmp_path_factory.mktemp("disk")
    if os.geteuid() != 0:
        yield folder  # the bed will say that it needs root
        return
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=32k", "tmpfs", folder], check=True)
    yield folder
    subprocess.run(["umount", folder], check=True)


@pytest.fixture(scope="session")
def installed(required: Callable[[Callable[[], None]], None], small_disk: Path) -> Iterator[InstalledOperator]:
    """A bed with nodes and images, and the chart installed on it."""
    bed = Bed("test-e2e")
    installed = InstalledOperator(bed)
    try:
        required(lambda: bed.up(real_nodes=2))
        for image in ("training", "triton"):
            required(partial(bed.load_image, image))
        required(installed.install)
        yield installed
    finally:
        bed.down()


@pytest.fixture(scope="session")
def real(installed: InstalledOperator) -> DigitsBed:
    """The bed with the pool `real`."""
    return DigitsBed(installed.bed, installed.bed.kubeconfig_for(NAMESPACE, ACCOUNT))


@pytest.fixture
def operator(installed: InstalledOperator) -> InstalledOperator:
    """An operator that nobody disturbs."""
    installed.run()
    return installed


@pytest.fixture
def no_operator(installed: InstalledOperator) -> None:
    """None in the cluster, for tests that bring their own."""
    installed.stop()
