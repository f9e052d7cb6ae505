"""One real node: its names, addresses and places."""

import ipaddress
from dataclasses import dataclass
from pathlib import Path

from . import processes
from .cluster import Cluster
from .report import BedError

MOST_NODES = 200


@dataclass(frozen=True)
class Node:
    """Real node number `index` (from 0) of a bed."""

    bed: Cluster
    index: int

    def __post_init__(self) -> None:
        if self.index >= MOST_NODES:
            raise BedError(f"a bed has at most {MOST_NODES} real nodes")

    @property
    def name(self) -> str:
        """The node's name in Kubernetes."""
        return f"real-{self.index}"

    @property
    def address(self) -> str:
        """The node's own address on the bridge."""
        return self._address(0, 10 + self.index)

    @property
    def first_pod_address(self) -> str:
        """The first address for pods of this node."""
        return self._address(1 + self.index, 1)

    @property
    def last_pod_address(self) -> str:
        """The last address for pods of this node."""
        return self._address(1 + self.index, 254)

    @property
    def folder(self) -> Path:
        """What the node keeps: images, and the kubelet's files."""
        return self.bed.folder / self.name

    @property
    def image_store(self) -> Path:
        """The store of containerd, which outlives `down`."""
        return self.folder / "containerd"

    @property
    def kubelet_folder(self) -> Path:
        """The kubelet's root directory; it holds the volumes of pods."""
        return self.folder / "kubelet"

    @property
    def pod_logs(self) -> Path:
        """The logs of the node's containers."""
        return self.folder / "pod-logs"

    @property
    def cni_folder(self) -> Path:
        """Where containerd finds how to connect pods."""
        return self.folder / "cni"

    @property
    def run_folder(self) -> Path:
        """Sockets and mounts of what runs now; its path is short since a socket's may have 107 characters."""
        return Path(f"/run/trainpush/{self.bed.mark}-{self.name}")

    @property
    def containerd_socket(self) -> Path:
        """Where containerd answers."""
        return self.run_folder / "containerd.sock"

    @property
    def cgroup(self) -> str:
        """The control group of the node's containers."""
        return f"trainpush-{self.bed.mark}-{self.name}"

    def part(self, program: str) -> str:
        """The name under which one of the node's programs runs in the bed, for instance `real-0-kubelet`."""
        return f"{self.name}-{program}"

    def is_running(self, program: str) -> bool:
        """Tell whether one of the node's programs runs."""
        return processes.is_running(self.bed.folder, self.part(program))

    def _address(self, third: int, fourth: int) -> str:
        return str(ipaddress.ip_network(self.bed.subnet)[third * 256 + fourth])


def running(bed: Cluster) -> list[Node]:
    """The nodes of a bed whose containerd runs."""
    names = [name for name in bed.parts if name.startswith("real-") and name.endswith("-containerd")]
    return sorted((Node(bed, int(name.split("-")[1])) for name in names), key=lambda node: node.index)
