"""What is known of the nodes of one pool: sorted along the topology, quantities in integer columns."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from operator import itemgetter, ne
from sys import intern

import numpy as np
from numpy.typing import NDArray

from trainpush.model.modes import Mode, Switch
from trainpush.model.outage import Outage

Amounts = NDArray[np.int64]
"""As `counted`."""

AMOUNT_MAX = 2**56
"""Larger amounts count as this one, 64 PiB: no node has so much, but anybody may write it, and sums stay in range."""
_BYTES = frozenset({"memory", "ephemeral-storage"})

HOST = "host"
"""Alias of the innermost level, which every pool has."""
POOL = "pool"
"""Name of the outermost domain, the pool as a whole; not a level that a user names."""
PODS = "pods"
"""The resource that every pod takes one of."""


def is_in_bytes(resource: str) -> bool:
    """Whether one of `resource` is a byte."""
    return resource in _BYTES or resource.startswith("hugepages-")


def counted(resource: str, thousandths: int) -> int:
    """An amount as it is counted: in bytes, rounded up, where one of `resource` is a byte; else in thousandths."""
    return -(-thousandths // 1000) if is_in_bytes(resource) else thousandths


@dataclass(frozen=True, slots=True, order=True)
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
    """One node as the API server shows it; amounts as `counted`."""

    name: str
    labels: Mapping[str, str]
    allocatable: Mapping[str, int]
    taints: tuple[Taint, ...] = ()
    ready: bool = True
    cordoned: bool = False
    product: str = ""
    """Accelerator product; empty where no label tells."""
    capacity_type: str = ""
    """Kind of capacity: `reserved`, `on-demand` or `spot`; empty where no label tells."""
    switch: Switch | None = None
    """How far it has come on its way to another mode; None where no annotation tells it legibly."""
    is_marked: bool = False
    """Whether it bears an annotation, a label or a taint of a mode, sound or not."""
    is_spoiled: bool = False
    """Whether its labels and taints are not those that follow from `switch`."""
    wish: Mode | None = None
    """The mode that people want it to have."""
    outage: Outage | None = None
    """Why nothing is heard of its pods; None while they are heard of."""
    unhealthy: bool = False
    """Whether it offers less of an extended resource than it has."""

    @property
    def kind(self) -> "NodeKind":
        """What it has in common with many others."""
        return NodeKind(self.taints, self.product, self.capacity_type)


@dataclass(frozen=True, slots=True, order=True)
class NodeKind:
    """What decides, whatever is free, whether a node may take a worker: few kinds for many nodes."""

    taints: tuple[Taint, ...]
    product: str
    capacity_type: str


@dataclass(frozen=True, slots=True)
class Ending:
    """A pod that no known job or service answers for, and that is ending: what it takes will be free."""

    node: str
    request: Mapping[str, int]
    """As `counted`."""
    ends_at: datetime | None
    """When its grace period is over; None where it is only about to be deleted, since its owner is gone."""
    maker: str = ""
    """Uid of what makes it anew on the same node, if that is still there: of a DaemonSet, or of the node itself."""


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
    """Shape (resources, nodes)."""
    used: Amounts
    """Shape (resources, nodes); pods that are bound and decided placements."""
    ready: NDArray[np.bool_]
    cordoned: NDArray[np.bool_]
    kinds: tuple[NodeKind, ...]
    """In order, each once."""
    kind: NDArray[np.intp]
    """Position in `kinds`, per node."""
    rows: Mapping[str, int] = field(repr=False)
    """Position of each node by its name."""

    def depth(self, alias: str | None) -> int:
        """Position of the level that users call `alias`, which is there; of the pool where none is named."""
        return self.level_index(alias or POOL) or 0

    def level_index(self, alias: str) -> int | None:
        """Position of the level that users call `alias`, or None."""
        return next((i for i, level in enumerate(self.levels) if level.alias == alias), None)

    def domains_of_nodes(self, alias: str | None) -> NDArray[np.intp]:
        """The domain of each node at a level that is there, as its position; of the pool where none is named."""
        starts = self.levels[self.depth(alias)].starts
        return np.searchsorted(starts, np.arange(len(self.names)), side="right") - 1


def moved(before: NodeTable | None, after: NodeTable | None) -> set[str]:
    """Names of the nodes that are in other domains of one table than of the other, or in one of both only."""
    if before and after and before.levels is after.levels:
        return set()
    old, new = _sites(before), _sites(after)
    return {name for name in old.keys() | new.keys() if old.get(name) != new.get(name)}


def _sites(table: NodeTable | None) -> dict[str, tuple[str, ...]]:
    """The domains of each node, the host aside."""
    if table is None:
        return {}
    named = ([f"{level.alias} {name}" for name in level.names] for level in table.levels[:-1])
    domains_of = (table.domains_of_nodes(level.alias).tolist() for level in table.levels[:-1])
    columns = ([names[i] for i in of] for names, of in zip(named, domains_of, strict=True))
    return dict(zip(table.names, zip(*columns, strict=True), strict=True))


def node_table(nodes: Sequence[Node], levels: Sequence[Level], used: Mapping[str, Mapping[str, int]]) -> NodeTable:
    """The table of `nodes` along `levels` (outermost first), with what is `used` per node and resource.

    A node without a level's label is its own domain at that level.
    """
    along = sorted([(path(node, levels), node) for node in nodes], key=itemgetter(0))
    ordered = [node for _, node in along]
    names = tuple(node.name for node in ordered)
    resources = tuple(sorted({name for node in nodes for name in node.allocatable}))
    kinds = tuple(sorted({node.kind for node in nodes}))
    return NodeTable(
        names=names,
        levels=domains([place for place, _ in along], levels),
        resources=resources,
        allocatable=amounts([node.allocatable for node in ordered], resources),
        used=amounts([used.get(name, {}) for name in names], resources),
        ready=np.array([node.ready for node in ordered], dtype=np.bool_),
        cordoned=np.array([node.cordoned for node in ordered], dtype=np.bool_),
        kinds=kinds,
        kind=positions([node.kind for node in ordered], kinds),
        rows={name: row for row, name in enumerate(names)},
    )


def path(node: Node, levels: Sequence[Level]) -> tuple[str, ...]:
    """Where `node` stands: its domain at each of `levels`, then its own name."""
    return (*[part(node, level) for level in levels], node.name)


def part(node: Node, level: Level) -> str:
    """The domain of `node` at `level`; one that lacks the label is a domain of its own, which begins with ~."""
    # One string for all nodes of a domain: to compare paths costs little then.
    return intern(node.labels.get(level.label) or f"~{node.name}")


def amounts(found: Sequence[Mapping[str, int]], resources: Sequence[str]) -> Amounts:
    """What each of `found` says of each of `resources`, shape (resources, found); 0 where it says nothing."""
    # Not min(): this is what most of the time of a new table goes into.
    lines = [
        [amount if (amount := one.get(name, 0)) < AMOUNT_MAX else AMOUNT_MAX for one in found] for name in resources
    ]
    return np.array(lines, dtype=np.int64).reshape(len(resources), len(found))


def positions(found: Iterable[NodeKind], kinds: Sequence[NodeKind]) -> NDArray[np.intp]:
    """Where each of `found` stands in `kinds`."""
    index = {kind: i for i, kind in enumerate(kinds)}
    return np.array([index[kind] for kind in found], dtype=np.intp)


def domains(ordered: Sequence[tuple[str, ...]], levels: Sequence[Level]) -> tuple[Domains, ...]:
    """The domains of all levels, those of the pool and the host too, given the paths of all nodes in order."""
    starts = np.zeros(1 if ordered else 0, dtype=np.intp)
    found = [Domains(POOL, (POOL,), starts)]
    *columns, hosts = zip(*ordered, strict=True) if ordered else [()] * (len(levels) + 1)
    for depth, (level, own) in enumerate(zip(levels, columns, strict=True)):
        # A domain begins where the one around it begins, and wherever its own name changes.
        changes = np.fromiter(map(ne, own[1:], own), dtype=np.bool_, count=max(0, len(own) - 1))
        starts = np.union1d(starts, np.flatnonzero(changes) + 1)
        names = tuple(["/".join(ordered[start][: depth + 1]) for start in starts.tolist()])
        found.append(Domains(level.alias, names, starts))
    return (*found, Domains(HOST, hosts, np.arange(len(ordered), dtype=np.intp)))
