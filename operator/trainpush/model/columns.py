"""The nodes of one pool in columns that follow events: a new table copies only the columns that changed.

The last table is the state: an event notes which nodes are to be read again, and the next table differs there.
Only when nodes come, go or move are all of them sorted again, and then their cells move with them.
"""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from itertools import repeat
from typing import Any, Final, Generic, TypeVar

import numpy as np
from numpy.typing import NDArray

from trainpush.model.nodes import (
    Level,
    Node,
    NodeKind,
    NodeTable,
    amounts,
    domains,
    node_table,
    part,
    path,
    positions,
)

T = TypeVar("T", str, NodeKind)

_NEW: Final = -1
"""Position of what the last table does not know: that of a zero, put behind its cells."""


class Tally(Generic[T]):
    """What several nodes may have in common; a thing is there as long as one node has it."""

    def __init__(self) -> None:
        """Nothing yet."""
        self._counts: Counter[T] = Counter()
        self._things: tuple[T, ...] | None = ()

    @property
    def things(self) -> tuple[T, ...]:
        """What is there: in order, each once."""
        if self._things is None:
            self._things = tuple(sorted(self._counts))
        return self._things

    def add(self, things: Iterable[T]) -> None:
        """One more node has these."""
        for thing in things:
            if thing not in self._counts:
                self._things = None
            self._counts[thing] += 1

    def drop(self, things: Iterable[T]) -> None:
        """A node that had these has them no more."""
        for thing in things:
            self._counts[thing] -= 1
            if not self._counts[thing]:
                del self._counts[thing]
                self._things = None


class Columns:
    """The nodes of one pool; `table()` always equals `node_table` of what it was told.

    What is taken on the nodes is kept elsewhere, in a mapping that this one reads: `usage_changed` says where.
    """

    def __init__(self, levels: Sequence[Level], usage: Mapping[str, Mapping[str, int]]) -> None:
        """No nodes yet; `levels` outermost first, `usage` per node and resource, as `counted`."""
        self._levels = tuple(levels)
        self._usage = usage
        self._nodes: dict[str, Node] = {}
        self._paths: dict[str, tuple[str, ...]] = {}
        self._resources: Tally[str] = Tally()
        self._kinds: Tally[NodeKind] = Tally()
        self._unlabelled = 0
        self._table = node_table((), self._levels, {})
        self._changed: set[str] = set()
        """Nodes that may differ from what the table says of them; all those that it does not know yet."""
        self._resized: set[str] = set()
        """Those of them that may offer other amounts."""
        self._taken: set[str] = set()
        """Nodes on which other amounts may be taken than the table says; all those that it does not know yet."""
        self._is_moved = False
        """Whether nodes came, went or moved since the table was made."""

    @property
    def unlabelled(self) -> int:
        """How many nodes lack the label of some level."""
        self.table()
        return self._unlabelled

    def put(self, node: Node) -> None:
        """Take a node that is new or may have changed."""
        before = self._nodes.get(node.name)
        if before == node:
            return
        self._nodes[node.name] = node
        self._changed.add(node.name)
        if before is None:
            self._taken.add(node.name)
        if before is None or before.kind != node.kind:
            self._kinds.add([node.kind])
            self._kinds.drop([before.kind] if before else [])
        if before is None or before.allocatable != node.allocatable:
            self._resized.add(node.name)
            self._resources.add(node.allocatable)
            self._resources.drop(before.allocatable if before else [])
        place = path(node, self._levels)
        if self._paths.get(node.name) != place:
            self._paths[node.name] = place
            self._is_moved = True

    def remove(self, name: str) -> None:
        """Forget a node that is there."""
        node = self._nodes.pop(name)
        del self._paths[name]
        self._resources.drop(node.allocatable)
        self._kinds.drop([node.kind])
        for names in (self._changed, self._resized, self._taken):
            names.discard(name)
        self._is_moved = True

    def usage_changed(self, name: str) -> None:
        """Take note that `usage` says something else of a node that is there."""
        self._taken.add(name)

    def arrange(self, levels: Sequence[Level]) -> None:
        """Sort the nodes along other levels."""
        if self._levels == tuple(levels):
            return
        known = dict(
            zip([level.label for level in self._levels], zip(*self._paths.values(), strict=True), strict=False)
        )
        columns = [
            known.get(level.label) or [part(self._nodes[name], level) for name in self._paths] for level in levels
        ]
        self._paths = dict(zip(self._paths, zip(*columns, self._paths, strict=True), strict=True))
        self._levels, self._is_moved = tuple(levels), True

    def table(self) -> NodeTable:
        """The nodes as they are now; the very same table as long as nothing in it changed."""
        if self._is_moved or self._changed or self._taken:
            table = self._with_usage(self._with_nodes(self._with_kinds(self._with_resources(self._in_order()))))
            for column in (table.allocatable, table.used, table.ready, table.cordoned, table.kind):
                column.setflags(write=False)
            self._table, self._is_moved = table, False
            self._changed.clear()
            self._resized.clear()
            self._taken.clear()
        return self._table

    def _in_order(self) -> NodeTable:
        """The last table with all nodes of now; of new nodes it says nothing yet."""
        old = self._table
        if not self._is_moved:
            return old
        ordered = sorted(self._paths.values())
        levels = domains(ordered, self._levels)
        names = levels[-1].names
        # Who is a domain of its own at some level above the host: no label begins with ~.
        own = (name.rpartition("/")[2] for level in levels[1:-1] for name in level.names)
        self._unlabelled = len({name for name in own if name.startswith("~")})
        # Kept in this order: to sort it again costs little then.
        self._paths = dict(zip(names, ordered, strict=True))
        if names == old.names:
            return replace(old, levels=levels)
        rows = _positions(names, old.rows)
        return NodeTable(
            names=names,
            levels=levels,
            resources=old.resources,
            allocatable=_moved(old.allocatable, rows),
            used=_moved(old.used, rows),
            ready=_moved(old.ready, rows),
            cordoned=_moved(old.cordoned, rows),
            kinds=old.kinds,
            kind=_moved(old.kind, rows),
            rows=dict(zip(names, range(len(names)), strict=True)),
        )

    def _with_resources(self, table: NodeTable) -> NodeTable:
        """`table` with the resources of now; of new ones it says what is taken, but not yet who offers them."""
        resources = self._resources.things
        if resources == table.resources:
            return table
        lines = _positions(resources, {resource: line for line, resource in enumerate(table.resources)})
        used = _moved(table.used.T, lines).T.copy()
        new = np.flatnonzero(lines == _NEW).tolist()
        if new:
            taken = [self._usage.get(name, {}) for name in table.names]
            used[new] = amounts(taken, [resources[line] for line in new])
        allocatable = _moved(table.allocatable.T, lines).T.copy()
        return replace(table, resources=resources, allocatable=allocatable, used=used)

    def _with_kinds(self, table: NodeTable) -> NodeTable:
        """`table` with the kinds of now; a node whose kind is gone is read again afterwards."""
        kinds = self._kinds.things
        if kinds == table.kinds:
            return table
        index = {kind: i for i, kind in enumerate(kinds)}
        now = np.array([*(index.get(kind, 0) for kind in table.kinds), 0], dtype=np.intp)
        return replace(table, kinds=kinds, kind=now[table.kind])

    def _with_nodes(self, table: NodeTable) -> NodeTable:
        """`table` with what is known of the nodes that changed."""
        if self._resized:
            offered = [self._nodes[name].allocatable for name in self._resized]
            rows = [table.rows[name] for name in self._resized]
            table = _with(table, rows, allocatable=amounts(offered, table.resources))
        if not self._changed:
            return table
        nodes = [self._nodes[name] for name in self._changed]
        return _with(
            table,
            [table.rows[name] for name in self._changed],
            ready=np.array([node.ready for node in nodes], dtype=np.bool_),
            cordoned=np.array([node.cordoned for node in nodes], dtype=np.bool_),
            kind=positions([node.kind for node in nodes], table.kinds),
        )

    def _with_usage(self, table: NodeTable) -> NodeTable:
        """`table` with what is taken on the nodes where that changed."""
        if not self._taken:
            return table
        taken = [self._usage.get(name, {}) for name in self._taken]
        rows = [table.rows[name] for name in self._taken]
        return _with(table, rows, used=amounts(taken, table.resources))


def _positions(names: Sequence[str], known: Mapping[str, int]) -> NDArray[np.intp]:
    """Where each of `names` is `known` to stand; `_NEW` where it is not."""
    return np.fromiter(map(known.get, names, repeat(_NEW)), dtype=np.intp, count=len(names))


def _moved(column: NDArray[Any], rows: NDArray[np.intp]) -> NDArray[Any]:
    """The cells of `column` at `rows` of its last axis; zero at `_NEW`."""
    zero = np.zeros_like(column, shape=(*column.shape[:-1], 1))
    found: NDArray[Any] = np.concatenate([column, zero], axis=-1)[..., rows]
    return found


def _with(table: NodeTable, rows: Sequence[int], **cells: NDArray[Any]) -> NodeTable:
    """`table` with these `cells` at `rows` of its columns: those that differ are copied; the very same if none does."""
    changed = {}
    for name, those in cells.items():
        column = getattr(table, name)
        # Bytes, since most often one cell is compared: arrays take ten times as long for that.
        if column.take(rows, axis=-1).tobytes() != those.tobytes():
            changed[name] = column.copy()
            changed[name][..., rows] = those
    return replace(table, **changed) if changed else table
