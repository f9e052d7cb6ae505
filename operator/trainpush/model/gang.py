"""What a gang asks for: what each worker needs of its node, and how the workers are to lie to each other."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from math import gcd, lcm

from trainpush.model.nodes import Toleration


@dataclass(frozen=True, slots=True)
class Requirements:
    """What one worker needs of a node. Hashable: workers with equal requirements are alike to every node."""

    request: Mapping[str, int]
    """As `counted`; holds one of the resource `pods`."""
    accelerator: str
    """The extended resource that counts as its accelerator."""
    accelerators: int
    """Of one worker."""
    products: frozenset[str] = frozenset()
    """Accelerator products that will do; empty means any."""
    tolerations: tuple[Toleration, ...] = ()
    avoided: frozenset[str] = frozenset()
    """Nodes to which it does not go, whatever they have."""

    _hash: int = field(init=False, repr=False, compare=False)
    """Worked out once, since it is asked for with every look at what was counted before."""

    def __post_init__(self) -> None:
        parts = frozenset(self.request.items()), self.products, self.tolerations, self.avoided
        object.__setattr__(self, "_hash", hash(parts))

    def __hash__(self) -> int:
        return self._hash


@dataclass(frozen=True, slots=True)
class Slices:
    """Workers that must stay together: each slice of so many lies in one domain of a level."""

    level: str
    """Alias of the level."""
    size: int
    """Workers of one slice; divides the size of the gang, and of the slices of every level further out."""


@dataclass(frozen=True, slots=True)
class Topology:
    """How the workers of a gang are to lie to each other."""

    required: str | None = None
    """Alias of the level that one domain of must hold the whole gang."""
    preferred: str | None = None
    """Alias of the level at which the search begins; None means the host."""
    slices: tuple[Slices, ...] = ()
    """Outermost level first."""


@dataclass(frozen=True, slots=True)
class Leeway:
    """What of a gang its user may ask for otherwise: advice says nothing else."""

    size_field: str = "spec.replicas"
    """The field that says how few workers will do."""
    multiple: int = 1
    """Every size has to be a multiple of it."""
    required_field: str = "spec.placement.required"
    """The fields that say that a level is required."""
    fixes_accelerators: bool = False
    """Whether the strategy needs as many accelerators in each worker as there are."""
    fixes_slices: bool = False
    """Whether the strategy needs some of the slices."""


@dataclass(frozen=True, slots=True)
class Gang:
    """Workers that start together or not at all; all alike."""

    pool: str
    workers: int
    requirements: Requirements
    topology: Topology = Topology()
    sizes: tuple[int, ...] = ()
    """Every legal number of workers, largest first, where there is more than one; `workers` is one of them."""
    leeway: Leeway = Leeway()

    _hash: int = field(default=0, init=False, repr=False, compare=False)
    """Worked out when it is first asked for; 0 before."""

    def __hash__(self) -> int:
        """Of all that compares."""
        if not self._hash:
            found = hash((self.pool, self.workers, self.requirements, self.topology, self.sizes, self.leeway))
            object.__setattr__(self, "_hash", found)
        return self._hash

    @property
    def accelerators(self) -> int:
        """Accelerators of the whole gang."""
        return self.workers * self.requirements.accelerators

    @property
    def least(self) -> int:
        """Workers of its smallest legal size."""
        return min(self.sizes, default=self.workers)

    @property
    def step(self) -> int:
        """Sizes that could be legal differ by this many workers."""
        if self.sizes:
            return gcd(*self.sizes)
        return lcm(self.leeway.multiple, self.topology.slices[0].size if self.topology.slices else 1)

    def of_size(self, workers: int) -> "Gang":
        """The same gang with another number of workers."""
        return self if workers == self.workers else replace(self, workers=workers)
