"""The test bed: a real Kubernetes on this machine, made of ordinary processes. See README.md beside this file."""

from .bed import Bed
from .cluster import Layer
from .fake_nodes import FakeNode
from .report import BedError

__all__ = ["Bed", "BedError", "FakeNode", "Layer"]
