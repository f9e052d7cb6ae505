"""A bed made of ordinary processes: the real programs of a control plane, and fake nodes. Nothing needs root."""

import enum
import shutil

from . import accounts, control_plane, fake_nodes, processes, state
from .bed import Bed
from .report import BedError


class Layer(enum.IntEnum):
    """How much of a cluster runs; each layer holds the ones before it."""

    API = 1
    """etcd and kube-apiserver: objects, validation, RBAC, watches. No controllers: nothing is collected or bound."""
    SCALE = 2
    """Also controllers, scheduler and kwok: fake nodes, on which pods run nothing."""


class LocalBed(Bed):
    """etcd, kube-apiserver and what a layer adds, on the loopback interface."""

    def up(self, layer: Layer = Layer.API) -> None:
        """Start what does not run yet, so that at least this layer stands.

        A bed of which nothing ran starts empty; one of which some parts died keeps its objects.
        """
        with self._locked():
            if self.is_of_kind:
                raise BedError(f"bed {self.name} is a cluster of kind: take it down first, or name another one")
            if not self.parts:
                self._begin()
            memory = self._state
            memory.layer = max(memory.layer, layer)
            state.write(self.folder, memory)
            self._start(Layer(memory.layer))

    def _end(self) -> None:
        processes.sweep(self.folder)

    @property
    def has_controllers(self) -> bool:
        """Whether controllers and scheduler belong to the bed as it was last brought up."""
        return self._state.layer >= Layer.SCALE

    def _start(self, layer: Layer) -> None:
        control_plane.start_api(self)
        made = accounts.client_kubeconfig(self, "testbed:admin", ["system:masters"])
        shutil.copy2(made, self.kubeconfig)
        if layer >= Layer.SCALE:
            control_plane.start_controllers(self)
            fake_nodes.start(self)
