"""What a bed is: its name, its places, its addresses and ports on this machine, and what kubectl and helm say of it."""

import enum
import hashlib
import os
import re
import subprocess
from collections.abc import Sequence
from pathlib import Path

from . import builds, processes, state
from .report import BedError


class Layer(enum.IntEnum):
    """How much of a cluster runs; each layer holds the ones before it."""

    API = 1
    """etcd and kube-apiserver: objects, validation, RBAC, watches. No controllers: nothing is collected or bound."""
    SCALE = 2
    """Also controllers, scheduler and kwok: fake nodes, on which pods run nothing."""
    NODES = 3
    """Also CoreDNS, kube-proxy and real nodes: containers run, names and addresses of Services work. Needs root."""


class Cluster:
    """One bed by name, up or not. It starts and ends nothing."""

    def __init__(self, name: str = "demo") -> None:
        """Name a bed: lower case letters, digits and hyphens, at most 20. Nothing is started."""
        if not re.fullmatch(r"[a-z0-9]([a-z0-9-]{0,18}[a-z0-9])?", name):
            raise BedError(f"bad bed name {name!r}: use at most 20 lower case letters, digits and inner hyphens")
        self.name = name
        self.folder = state.beds_folder() / name
        self.control_plane = self.folder / "control-plane"
        self.certificates = self.control_plane / "certificates"
        self.accounts = self.folder / "accounts"

    def kubectl(self, *arguments: str, stdin: str | None = None) -> str:
        """Run kubectl as the administrator and return its output; what it says on failure becomes a BedError."""
        return self._ask("kubectl", arguments, stdin)

    def helm(self, *arguments: str, stdin: str | None = None) -> str:
        """Run helm as the administrator and return its output; what it says on failure becomes a BedError."""
        return self._ask("helm", arguments, stdin)

    @property
    def kubeconfig(self) -> Path:
        """The administrator's kubeconfig (group system:masters)."""
        return self.folder / "kubeconfig"

    @property
    def audit_log(self) -> Path:
        """JSON lines, one per write that the API server answered: who, what, which status."""
        return self.control_plane / "audit.log"

    @property
    def parts(self) -> dict[str, processes.Part]:
        """The processes that run, by name, oldest first."""
        return processes.parts(self.folder)

    @property
    def server(self) -> str:
        """The API server's URL on this machine."""
        return f"https://127.0.0.1:{self.port('kube-apiserver')}"

    @property
    def inner_server(self) -> str:
        """The API server's URL as real nodes see it."""
        return f"https://{self.host_address}:{self.port('kube-apiserver')}"

    @property
    def index(self) -> int:
        """The bed's number (0 to 39), from which its addresses are made."""
        return self._state.index

    @property
    def mark(self) -> str:
        """Eight hexadecimal digits, the bed's own on this machine: for names of what lives outside its folder."""
        return hashlib.sha256(str(self.folder).encode()).hexdigest()[:8]

    @property
    def subnet(self) -> str:
        """Addresses of the bridge and of the pods on real nodes, as a /16."""
        return self._state.subnet

    @property
    def bridge_address(self) -> str:
        """The bridge's own address: gateway and name server of pods."""
        return self._state.bridge_address

    @property
    def host_address(self) -> str:
        """Address of this machine on the bridge."""
        return self._state.host_address

    @property
    def service_range(self) -> str:
        """Addresses of Services, as a /16."""
        return self._state.service_range

    @property
    def first_service_address(self) -> str:
        """The address of the Service `kubernetes`; nothing answers there unless real nodes see to it."""
        return self._state.first_service_address

    @property
    def has_controllers(self) -> bool:
        """Whether controllers and scheduler belong to the bed as it was last brought up."""
        return self._state.layer >= Layer.SCALE

    @property
    def has_real_nodes(self) -> bool:
        """Whether real nodes belong to the bed as it was last brought up."""
        return self._state.layer >= Layer.NODES

    def port(self, part: str) -> int:
        """The port of a part on this machine: chosen free at the first question, then remembered."""
        memory = self._state
        if part not in memory.ports:
            memory.port(part)
            state.write(self.folder, memory)
        return memory.ports[part]

    def _ask(self, program: str, arguments: Sequence[str], stdin: str | None) -> str:
        if not self.kubeconfig.exists():
            raise BedError(f"bed {self.name} is not up: bring it up first")
        own = {"KUBECONFIG": str(self.kubeconfig), "KUBECACHEDIR": str(self.accounts / "kubectl-cache")}
        own |= {f"HELM_{part}_HOME": str(self.accounts / "helm" / part.lower()) for part in ("CACHE", "CONFIG", "DATA")}
        command = [str(builds.binary(program)), *arguments]
        answer = subprocess.run(command, input=stdin, capture_output=True, text=True, env=os.environ | own)
        if answer.returncode:
            raise BedError(f"{program} {' '.join(arguments)}: {answer.stderr.strip()}")
        return answer.stdout

    @property
    def _state(self) -> state.State:
        memory = state.read(self.folder)
        if memory is None:
            raise BedError(f"there is no bed {self.name}: bring it up first")
        return memory
