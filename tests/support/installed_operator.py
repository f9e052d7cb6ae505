"""The operator as users install it: by the chart, two replicas in the cluster, under its own ServiceAccount."""

from dataclasses import dataclass
from typing import Final

from demo.install import NAMESPACE, install
from support.look import look, look_at_all
from testbed import KindBed
from trainpush.kube.client import Object

DEPLOYMENT: Final = "deployment/trainpush"
REPLICAS: Final = 2


@dataclass
class InstalledOperator:
    """A release of the chart; it runs or not as it was last told to."""

    bed: KindBed

    def install(self) -> None:
        """Install CRDs, roles and everything else, and wait until both replicas run."""
        install(self.bed)

    def run(self) -> None:
        """See to it that both replicas run."""
        self._scale(REPLICAS)

    def stop(self) -> None:
        """See to it that none of them runs."""
        self._scale(0)

    @property
    def restarts(self) -> int:
        """How often one of its containers ended."""
        containers = [one for pod in self._pods() for one in pod["status"].get("containerStatuses", [])]
        return sum(container["restartCount"] for container in containers)

    def leads(self) -> bool:
        """Whether one of its pods holds the Lease."""
        lease = look(self.bed, f"/apis/coordination.k8s.io/v1/namespaces/{NAMESPACE}/leases/trainpush-operator")
        return lease["spec"].get("holderIdentity") in {pod["metadata"]["name"] for pod in self._pods()}

    def _pods(self) -> list[Object]:
        return look_at_all(self.bed, f"/api/v1/namespaces/{NAMESPACE}/pods")

    def _scale(self, replicas: int) -> None:
        self.bed.kubectl("-n", NAMESPACE, "scale", DEPLOYMENT, f"--replicas={replicas}")
        self.bed.kubectl("-n", NAMESPACE, "rollout", "status", DEPLOYMENT, "--timeout=120s")
        if replicas == 0:
            selector = "--selector=app.kubernetes.io/name=trainpush"
            self.bed.kubectl("-n", NAMESPACE, "wait", "--for=delete", "pod", selector, "--timeout=60s")
