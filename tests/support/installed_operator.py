"""The operator as users install it: by the chart, two replicas in the cluster, under its own ServiceAccount."""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Final

from demo.install import NAMESPACE, install
from testbed import Bed

DEPLOYMENT: Final = "deployment/trainpush"
REPLICAS: Final = 2


@dataclass
class InstalledOperator:
    """A release of the chart."""

    bed: Bed

    def install(self) -> None:
        """Install CRDs, roles and everything else; no replica runs yet."""
        install(self.bed)
        self._scale(0)

    @contextmanager
    def running(self) -> Iterator[None]:
        """Both replicas run."""
        self._scale(REPLICAS)
        try:
            yield
        finally:
            self._scale(0)

    @contextmanager
    def stopped(self) -> Iterator[None]:
        """None of them runs, for a while."""
        self._scale(0)
        try:
            yield
        finally:
            self._scale(REPLICAS)

    @property
    def restarts(self) -> int:
        """How often one of its containers ended."""
        template = "jsonpath={.items[*].status.containerStatuses[*].restartCount}"
        return sum(map(int, self.bed.kubectl("-n", NAMESPACE, "get", "pods", "-o", template).split()))

    def leads(self) -> bool:
        """Whether one of its pods holds the Lease."""
        lease = json.loads(self.bed.kubectl("-n", NAMESPACE, "get", "lease", "trainpush-operator", "-o", "json"))
        return lease["spec"].get("holderIdentity") in self._pods()

    def _pods(self) -> list[str]:
        found = self.bed.kubectl("-n", NAMESPACE, "get", "pods", "-o", "jsonpath={.items[*].metadata.name}")
        return found.split()

    def _scale(self, replicas: int) -> None:
        self.bed.kubectl("-n", NAMESPACE, "scale", DEPLOYMENT, f"--replicas={replicas}")
        self.bed.kubectl("-n", NAMESPACE, "rollout", "status", DEPLOYMENT, "--timeout=120s")
        if replicas == 0:
            selector = "--selector=app.kubernetes.io/name=trainpush"
            self.bed.kubectl("-n", NAMESPACE, "wait", "--for=delete", "pod", selector, "--timeout=60s")
