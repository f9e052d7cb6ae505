"""A bed: one throw-away Kubernetes on this machine, and everything that can be asked of it."""

from __future__ import annotations

import enum
import hashlib
import os
import re
import shutil
import subprocess
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from . import (
    accounts,
    builds,
    control_plane,
    dns,
    fake_nodes,
    images,
    machine,
    network,
    processes,
    real_nodes,
    services,
    state,
)
from .fake_nodes import FakeNode
from .report import BedError


class Layer(enum.IntEnum):
    """How much of a cluster runs; each layer holds the ones before it."""

    API = 1
    """etcd and kube-apiserver: objects, validation, RBAC, watches. No controllers: nothing is collected or bound."""
    SCALE = 2
    """Also controllers, scheduler and kwok: fake nodes, on which pods run nothing."""
    NODES = 3
    """Also CoreDNS, kube-proxy and real nodes: containers run, names and addresses of Services work. Needs root."""


class Bed:
    """A test bed by name. Two beds of different names do not disturb each other.

    Several processes may call `up` of one bed at once: the first one does the work, the others find it done.
    """

    def __init__(self, name: str = "demo") -> None:
        """Name a bed: lower case letters, digits and hyphens, at most 20. Nothing is started."""
        if not re.fullmatch(r"[a-z0-9]([a-z0-9-]{0,18}[a-z0-9])?", name):
            raise BedError(f"bad bed name {name!r}: use at most 20 lower case letters, digits and inner hyphens")
        self.name = name
        self.folder = state.beds_folder() / name
        self.control_plane = self.folder / "control-plane"
        self.certificates = self.control_plane / "certificates"
        self.accounts = self.folder / "accounts"

    def up(self, layer: Layer = Layer.API, real_nodes: int = 0) -> None:
        """Start what does not run yet, so that at least this layer and this many real nodes stand.

        A bed of which nothing ran starts empty; one of which some parts died keeps its objects.
        """
        if real_nodes:
            layer = Layer.NODES
        if layer is Layer.NODES:
            machine.check_root()
        with self._locked():
            if not self.parts:
                self._start_afresh()
            self._remember(layer, real_nodes)
            self._start(Layer(self._state.layer))

    def down(self, purge: bool = False) -> None:
        """Stop everything in order. Binaries and image stores stay in the cache; `purge` removes the bed's folder."""
        with self._locked():
            if state.read(self.folder):
                self._stop()
            if purge:
                shutil.rmtree(self.folder, ignore_errors=True)

    def add_fake_nodes(self, nodes: Sequence[FakeNode]) -> None:
        """Create nodes that kwok keeps Ready, and wait until they are."""
        if not processes.is_running(self.folder, "kwok"):
            raise BedError(f"bed {self.name} has no kwok for fake nodes: bring it up with layer SCALE first")
        fake_nodes.add(self, nodes)

    def load_image(self, name: str) -> None:
        """Build an image of hack/images, unless the cache holds it, and import it into every real node."""
        images.load(self, name)

    def kubectl(self, *arguments: str, stdin: str | None = None) -> str:
        """Run kubectl as the administrator and return its output; what it says on failure becomes a BedError."""
        return self._ask("kubectl", arguments, stdin)

    def helm(self, *arguments: str, stdin: str | None = None) -> str:
        """Run helm as the administrator and return its output; what it says on failure becomes a BedError."""
        return self._ask("helm", arguments, stdin)

    def kubeconfig_for(self, namespace: str, service_account: str) -> Path:
        """Return a kubeconfig of this ServiceAccount (24 h token), creating namespace and account if absent."""
        return accounts.service_account_kubeconfig(self, namespace, service_account)

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
    def certificate_authority(self) -> Path:
        """What signs every certificate of this bed (PEM)."""
        return accounts.certificate_authority(self)

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

    @contextmanager
    def _locked(self) -> Iterator[None]:
        with state.locked(state.beds_folder() / f".{self.name}.lock"):
            yield

    def _start_afresh(self) -> None:
        """Forget the objects, certificates and logs of the last time."""
        if memory := state.read(self.folder):
            self._clear_real_nodes(memory)
        processes.sweep(self.folder)
        for old in (self.control_plane, self.accounts, self.folder / "logs"):
            shutil.rmtree(old, ignore_errors=True)
        self.kubeconfig.unlink(missing_ok=True)
        state.begin(self.folder)

    def _remember(self, layer: Layer, real_nodes: int) -> None:
        memory = self._state
        memory.layer = max(memory.layer, layer)
        memory.real_nodes = max(memory.real_nodes, real_nodes)
        state.write(self.folder, memory)

    def _start(self, layer: Layer) -> None:
        control_plane.start_api(self)
        self._write_admin_kubeconfig()
        if layer >= Layer.SCALE:
            control_plane.start_controllers(self)
            fake_nodes.start(self)
        if layer >= Layer.NODES:
            machine.install_packages()
            network.up(self)
            dns.up(self)
            for index in range(self._state.real_nodes):
                real_nodes.up(self, index)
            if self._state.real_nodes:
                services.up(self)

    def _clear_real_nodes(self, memory: state.State) -> None:
        """Remove what real nodes run, or left behind when they were killed."""
        if memory.layer >= Layer.NODES:
            for index in reversed(range(memory.real_nodes)):
                real_nodes.down(self, index)
            for part in ("kube-proxy", "coredns"):
                processes.stop(self.folder, part)
            network.down(self)

    def _stop(self) -> None:
        self._clear_real_nodes(self._state)
        processes.stop(self.folder, "kwok")
        control_plane.stop(self)
        processes.sweep(self.folder)
        self.kubeconfig.unlink(missing_ok=True)

    def _write_admin_kubeconfig(self) -> None:
        made = accounts.client_kubeconfig(self, "testbed:admin", ["system:masters"])
        shutil.copy2(made, self.kubeconfig)
