"""The test bed: real clusters on this machine, of ordinary processes or of kind. See README.md beside this file."""

from .bed import Bed
from .fake_nodes import FakeNode
from .holding import held
from .kind_bed import KindBed
from .local_bed import Layer, LocalBed
from .report import BedError

__all__ = ["Bed", "BedError", "FakeNode", "KindBed", "Layer", "LocalBed", "held"]
