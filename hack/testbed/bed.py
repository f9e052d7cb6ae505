"""A bed: one throw-away Kubernetes on this machine, brought up and down."""

import shutil
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from . import (
    accounts,
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
from .cluster import Cluster, Layer
from .fake_nodes import FakeNode
from .node import Node
from .report import BedError


class Bed(Cluster):
    """A test bed by name. Two beds of different names do not disturb each other.

    Several processes may call `up` of one bed at once: the first one does the work, the others find it done.
    """

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
        """End everything at once. Binaries and image stores stay in the cache; `purge` removes the bed's folder."""
        with self._locked():
            if memory := state.read(self.folder):
                self._sweep(memory)
                self.kubeconfig.unlink(missing_ok=True)
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

    def kubeconfig_for(self, namespace: str, service_account: str) -> Path:
        """Return a kubeconfig of this ServiceAccount (24 h token), creating namespace and account if absent."""
        return accounts.service_account_kubeconfig(self, namespace, service_account)

    @property
    def certificate_authority(self) -> Path:
        """What signs every certificate of this bed (PEM)."""
        return accounts.certificate_authority(self)

    @contextmanager
    def _locked(self) -> Iterator[None]:
        with state.locked(state.beds_folder() / f".{self.name}.lock"):
            yield

    def _start_afresh(self) -> None:
        """Forget the objects, certificates and logs of the last time."""
        if memory := state.read(self.folder):
            self._sweep(memory)
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

    def _sweep(self, memory: state.State) -> None:
        """Kill whatever runs, and remove what real nodes leave behind; nobody takes up again what a bed held."""
        processes.sweep(self.folder)
        if memory.layer >= Layer.NODES:
            for index in range(memory.real_nodes):
                real_nodes.clear(Node(self, index))
            network.down(self)

    def _write_admin_kubeconfig(self) -> None:
        made = accounts.client_kubeconfig(self, "testbed:admin", ["system:masters"])
        shutil.copy2(made, self.kubeconfig)
