"""Where benchmarks run: a bed of its own with 500 fake nodes, a pool over them, and the operator beside it."""

from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from support import operator_process
from support.api import admin
from support.cluster import Space, a_pool, new_space
from support.manifests import pool, racks
from support.operator_process import OperatorProcess
from testbed import Bed, Layer, LocalBed, held
from trainpush.kube.client import Client

RACKS: Final = [25] * 20
"""500 nodes of 8 GPUs."""
MORE_RACKS: Final = [25] * 32
"""800 nodes, which have room beside 4,000 or 5,000 jobs of one GPU."""


@dataclass
class Ground:
    """A fresh cluster with nodes, a pool and the operator's credentials."""

    bed: Bed
    kubeconfig: Path
    folder: Path

    @contextmanager
    def operator(self) -> Iterator[OperatorProcess]:
        """The operator, for as long as the block runs."""
        with operator_process.running(self.kubeconfig, self.folder / "operator.log") as operator:
            yield operator

    @asynccontextmanager
    async def space(self) -> AsyncIterator[Space]:
        """A namespace, seen by the administrator; it goes with the bed."""
        async with Client(admin(self.bed), user_agent="bench") as client:
            yield await new_space(self.bed, client)


@contextmanager
def ground(folder: Path, racks_of: Sequence[int] = RACKS) -> Iterator[Ground]:
    """The cluster, taken down afterwards; `folder` is for logs."""
    with held(LocalBed("bench")) as bed:
        bed.up(Layer.SCALE)
        kubeconfig = operator_process.install(bed)
        bed.add_fake_nodes(racks("bench", racks_of))
        with a_pool(bed, pool("bench", "bench", default=True)):
            yield Ground(bed, kubeconfig, folder)
