"""A cluster with two workers, on which containers run."""

from collections.abc import Callable, Iterator
from functools import partial
from typing import Final

import pytest

from support.digits import DigitsBed
from support.given_cluster import refuse_given
from support.installed_operator import InstalledOperator
from support.operator_process import ACCOUNT, NAMESPACE
from testbed import KindBed, held

SMALL_DISK: Final = "/mnt/small"


@pytest.fixture(scope="session", autouse=True)
def _own_bed(required: Callable[[Callable[[], None]], None]) -> None:
    required(lambda: refuse_given("these tests need nodes with the training image, pretended GPUs and a shared folder"))


@pytest.fixture(scope="session")
def installed(required: Callable[[Callable[[], None]], None]) -> Iterator[InstalledOperator]:
    """A bed with workers and images, and the chart installed on it."""
    with held(KindBed("test-e2e")) as bed:
        installed = InstalledOperator(bed)
        required(bed.up)
        required(bed.route)
        for image in ("busybox", "training", "triton"):
            required(partial(bed.load_image, image))
        required(installed.install)
        yield installed


@pytest.fixture(scope="session")
def real(installed: InstalledOperator) -> DigitsBed:
    """The bed with the pool `real`."""
    return DigitsBed(installed.bed, installed.bed.kubeconfig_for(NAMESPACE, ACCOUNT))


@pytest.fixture
def small_disk(installed: InstalledOperator) -> str:
    """Where on every worker a disk of 32 KiB is mounted, which goes when the node is killed."""
    mount = f"mkdir --parents {SMALL_DISK}; mount --types tmpfs --options size=32k tmpfs {SMALL_DISK}"
    for node in installed.bed.workers:
        installed.bed.docker("exec", node, "sh", "-c", f"mountpoint --quiet {SMALL_DISK} || {{ {mount}; }}")
    return SMALL_DISK


@pytest.fixture
def operator(installed: InstalledOperator) -> InstalledOperator:
    """An operator that nobody disturbs."""
    installed.run()
    return installed


@pytest.fixture
def no_operator(installed: InstalledOperator) -> None:
    """None in the cluster, for tests that bring their own."""
    installed.stop()
