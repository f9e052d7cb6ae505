"""Everything that one decision looks at, frozen."""

from dataclasses import dataclass

from trainpush.model.nodes import NodeTable
from trainpush.model.serving import Service
from trainpush.model.workload import Job


@dataclass(frozen=True, slots=True)
class Pool:
    """A GPUPool with its nodes."""

    name: str
    accelerators: tuple[str, ...]
    """Extended resources that count as accelerators, in the order in which they are preferred."""
    table: NodeTable
    shared_nodes: tuple[str, ...] = ()
    """Nodes that match this pool too but belong to an older one."""
    unlabelled_nodes: int = 0
    """Nodes that lack the label of some level."""


@dataclass(frozen=True, slots=True)
class Snapshot:
    """The cluster at one moment."""

    pools: tuple[Pool, ...]
    """By name."""
    jobs: tuple[Job, ...]
    """By key."""
    services: tuple[Service, ...] = ()
    """By key."""
