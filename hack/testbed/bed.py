"""What every bed is: a throw-away cluster by name, its places on this machine, and what kubectl and helm say of it."""

import os
import re
import shutil
import subprocess
from abc import ABC, abstractmethod
from collections.abc import Sequence
from contextlib import AbstractContextManager
from pathlib import Path

from . import accounts, builds, fake_nodes, processes, state
from .fake_nodes import FakeNode
from .report import BedError


class Bed(ABC):
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

    @abstractmethod
    def up(self) -> None:
        """Start what does not run yet, and wait until all of it is ready."""

    def down(self, purge: bool = False) -> None:
        """End everything at once. The cache keeps programs and images; `purge` removes the bed's folder."""
        with self._locked():
            self._end()
            self.kubeconfig.unlink(missing_ok=True)
            if purge:
                shutil.rmtree(self.folder, ignore_errors=True)

    @abstractmethod
    def _end(self) -> None:
        """End all that runs."""

    def add_fake_nodes(self, nodes: Sequence[FakeNode]) -> None:
        """Create nodes that kwok keeps Ready, and wait until they are."""
        if not processes.is_running(self.folder, "kwok"):
            raise BedError(f"bed {self.name} has no kwok for fake nodes: bring it up with layer SCALE first")
        fake_nodes.add(self, nodes)

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
    def is_of_kind(self) -> bool:
        """Whether this bed is a cluster of kind, as far as one was begun and not taken down."""
        return self._kind_configuration.exists()

    @property
    def certificate_authority(self) -> Path:
        """What signs every certificate of this bed (PEM)."""
        return accounts.certificate_authority(self)

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
    def pod_range(self) -> str:
        """Addresses of pods, as a /16."""
        return self._state.pod_range

    @property
    def service_range(self) -> str:
        """Addresses of Services, as a /16."""
        return self._state.service_range

    def port(self, part: str) -> int:
        """The port of a part on this machine: chosen free at the first question, then remembered."""
        memory = self._state
        if part not in memory.ports:
            memory.port(part)
            state.write(self.folder, memory)
        return memory.ports[part]

    @property
    def _kind_configuration(self) -> Path:
        return self.folder / "kind.json"

    def _begin(self) -> None:
        """Forget the objects, certificates and logs of the last time."""
        for old in (self.control_plane, self.accounts, self.folder / "logs"):
            shutil.rmtree(old, ignore_errors=True)
        self.kubeconfig.unlink(missing_ok=True)
        state.begin(self.folder)

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

    def _locked(self) -> AbstractContextManager[None]:
        return state.locked(state.beds_folder() / f".{self.name}.lock")

    @property
    def _state(self) -> state.State:
        memory = state.read(self.folder)
        if memory is None:
            raise BedError(f"there is no bed {self.name}: bring it up first")
        return memory
