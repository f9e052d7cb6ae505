"""What is known of the nodes of one pool: sorted along the topology, quantities in integer columns."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

Amounts = NDArray[np.int64]

AMOUNT_MAX = 2**62
"""Larger amounts count as this one: nobody has so much, but anybody may write it."""

HOST = "host"
"""Alias of the innermost level, which every pool has."""
POOL = "pool"
"""Name of the outermost domain, the pool as a whole; not a level that a user names."""
PODS = "pods"
"""The resource that every pod takes one of."""


@dataclass(frozen=True, slots=True)
class Taint:
    """A taint that keeps pods away (effect NoSchedule or NoExecute)."""

    key: str
    value: str
    effect: str


@dataclass(frozen=True, slots=True)
class Toleration:
    """A toleration of a pod, as in core/v1; an empty key with operator Exists tolerates everything."""

    key: str
    operator: str
    value: str
    effect: str

    def covers(self, taint: Taint) -> bool:
        """Whether a pod with this toleration may land in spite of `taint`."""
        if self.effect and self.effect != taint.effect:
            return False
        if not self.key:
            return self.operator == "Exists"
        return self.key == taint.key and (self.operator == "Exists" or self.value == taint.value)


@dataclass(frozen=True, slots=True)
class Node:
    """One node as the API server shows it; amounts in thousandths of the resource's unit."""

    name: str
    labels: Mapping[str, str]
    allocatable: Mapping[str, int]
    taints: tuple[Taint, ...] = ()
    ready: bool = True
    cordoned: bool = False
    product: str = ""
    """Accelerator product; empty where no label tells."""
    capacity: str = ""
    """Kind of capacity: `reserved`, `on-demand` or `spot`; empty where no label tells."""

    @property
    def kind(self) -> "NodeKind":
        """What it has in common with many others."""
        return NodeKind(self.taints, self.product, self.capacity)


@dataclass(frozen=True, slots=True)
class NodeKind:
    """What decides, whatever is free, whether a node may take a worker: few kinds for many nodes."""

    taints: tuple[Taint, ...]
    product: str
    capacity: str


@dataclass(frozen=True, slots=True)
class Level:
    """One level of the topology: the word users write, and the node label that names the domain."""

    alias: str
    label: str


@dataclass(frozen=True, slots=True)
class Domains:
    """The domains of one level; domain i holds the nodes `starts[i]` up to `starts[i + 1]`."""

    alias: str
    names: tuple[str, ...]
    starts: NDArray[np.intp]

    def slice_of(self, index: int, end: int) -> slice:
        """The nodes of domain `index`, where `end` is the number of all nodes."""
        after = int(self.starts[index + 1]) if index + 1 < len(self.starts) else end
        return slice(int(self.starts[index]), after)


@dataclass(frozen=True)
class NodeTable:
    """The nodes of one pool, sorted by (outermost … innermost domain, name), so that every domain is a slice."""

    names: tuple[str, ...]
    levels: tuple[Domains, ...]
    """Outermost first: the pool itself, the configured levels, the host."""
    resources: tuple[str, ...]
    allocatable: Amounts
    """Shape (resources, nodes), thousandths."""
    used: Amounts
    """Shape (resources, nodes), thousandths; pods that are bound and decided placements."""
    ready: NDArray[np.bool_]
    cordoned: NDArray[np.bool_]
    kinds: tuple[NodeKind, ...]
    kind: NDArray[np.intp]
    """Position in `kinds`, per node."""

    @cached_property
    def rows(self) -> Mapping[str, int]:
        """Position of each node by its name."""
        return {name: row for row, name in enumerate(self.names)}

    def level_index(self, alias: str) -> int | None:
        """Position of the level that users call `alias`, or None."""
        return next((i for i, level in enumerate(self.levels) if level.alias == alias), None)


def node_table(nodes: Sequence[Node], levels: Sequence[Level], used: Mapping[str, Mapping[str, int]]) -> NodeTable:
    """The table of `nodes` along `levels` (outermost first), with what is `used` per node and resource.

    A node without a level's label is its own domain at that level.
    """
    paths = {node.name: _path(node, levels) for node in nodes}
    ordered = tuple(sorted(nodes, key=lambda node: (paths[node.name], node.name)))
    resources = tuple(sorted({name for node in nodes for name in node.allocatable}))
    kinds = {kind: i for i, kind in enumerate(dict.fromkeys(node.kind for node in ordered))}
    return NodeTable(
        names=tuple(node.name for node in ordered),
        levels=_domains([paths[node.name] for node in ordered], [node.name for node in ordered], levels),
        resources=resources,
        allocatable=_column([node.allocatable for node in ordered], resources),
        used=_column([used.get(node.name, {}) for node in ordered], resources),
        ready=np.array([node.ready for node in ordered], dtype=np.bool_),
        cordoned=np.array([node.cordoned for node in ordered], dtype=np.bool_),
        kinds=tuple(kinds),
        kind=np.array([kinds[node.kind] for node in ordered], dtype=np.intp),
    )


def _path(node: Node, levels: Sequence[Level]) -> tuple[str, ...]:
    return tuple(node.labels.get(level.label) or f"~{node.name}" for level in levels)


def _column(rows: Sequence[Mapping[str, int]], resources: Sequence[str]) -> Amounts:
    column = np.zeros((len(resources), len(rows)), dtype=np.int64)
    index = {name: i for i, name in enumerate(resources)}
    for n, row in enumerate(rows):
        for name, amount in row.items():
            if name in index:
                column[index[name], n] = min(amount, AMOUNT_MAX)
    return column


def _domains(paths: Sequence[tuple[str, ...]], names: Sequence[str], levels: Sequence[Level]) -> tuple[Domains, ...]:
    whole = Domains(POOL, (POOL,), np.zeros(1 if paths else 0, dtype=np.intp))
    configured = [_level(paths, depth, level.alias) for depth, level in enumerate(levels, start=1)]
    hosts = Domains(HOST, tuple(names), np.arange(len(paths), dtype=np.intp))
    return (whole, *configured, hosts)


def _level(paths: Sequence[tuple[str, ...]], depth: int, alias: str) -> Domains:
    starts = [i for i, path in enumerate(paths) if i == 0 or path[:depth] != paths[i - 1][:depth]]
    return Domains(alias, tuple("/".join(paths[i][:depth]) for i in starts), np.array(starts, dtype=np.intp))
