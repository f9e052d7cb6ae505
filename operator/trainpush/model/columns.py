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
    Amounts,
    Level,
    Node,
    NodeKind,
    NodeTable,
    amounts,
    domains,
    node_table,
    path,
    positions,
)

T = TypeVar("T", str, NodeKind)
Column = TypeVar("Column", bound=NDArray[Any])

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
        """No nodes yet; `levels` outermost first, `usage` in thousandths per node and resource."""
        self._levels = tuple(levels)
        self._usage = usage
        self._nodes: dict[str, Node] = {}
        self._paths: dict[str, tuple[str, ...]] = {}
        self._unlabelled: set[str] = set()
        self._resources: Tally[str] = Tally()
        self._kinds: Tally[NodeKind] = Tally()
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
        return len(self._unlabelled)

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
        self._stand(node)

    def remove(self, name: str) -> None:
        """Forget a node that is there."""
        node = self._nodes.pop(name)
        del self._paths[name]
        self._resources.drop(node.allocatable)
        self._kinds.drop([node.kind])
        for names in (self._unlabelled, self._changed, self._resized, self._taken):
            names.discard(name)
        self._is_moved = True

    def usage_changed(self, name: str) -> None:
        """Take note that `usage` says something else of a node that is there."""
        self._taken.add(name)

    def arrange(self, levels: Sequence[Level]) -> None:
        """Sort the nodes along other levels."""
        if self._levels != tuple(levels):
            self._levels, self._is_moved = tuple(levels), True
            for node in self._nodes.values():
                self._stand(node)

    def table(self) -> NodeTable:
        """The nodes as they are now; the very same table as long as nothing in it changed."""
        if self._is_moved or self._changed or self._taken:
            table = self._with_usage(self._with_nodes(self._with_kinds(self._in_order())))
            for column in (table.allocatable, table.used, table.ready, table.cordoned, table.kind):
                column.setflags(write=False)
            self._table, self._is_moved = table, False
            self._changed.clear()
            self._resized.clear()
            self._taken.clear()
        return self._table

    def _stand(self, node: Node) -> None:
        """Note where a node stands along the levels."""
        found = path(node, self._levels)
        if self._paths.get(node.name) != found:
            self._paths[node.name] = found
            self._is_moved = True
        # No label says what stands for one that is missing.
        if f"~{node.name}" in found:
            self._unlabelled.add(node.name)
        else:
            self._unlabelled.discard(node.name)

    def _in_order(self) -> NodeTable:
        """The last table with all nodes and resources of now; of new nodes it says nothing yet."""
        old, resources = self._table, self._resources.things
        if not self._is_moved and resources == old.resources:
            return old
        paths = sorted(self._paths.values())
        levels = domains(paths, self._levels)
        names = levels[-1].names
        # Kept in this order: to sort it again costs little then.
        self._paths = dict(zip(names, paths, strict=True))
        rows = _positions(names, old.rows)
        lines = _positions(resources, {resource: line for line, resource in enumerate(old.resources)})
        return NodeTable(
            names=names,
            levels=levels,
            resources=resources,
            allocatable=_moved(old.allocatable, lines, rows),
            used=self._with_new(_moved(old.used, lines, rows), names, resources),
            ready=np.append(old.ready, False)[rows],
            cordoned=np.append(old.cordoned, False)[rows],
            kinds=old.kinds,
            kind=np.append(old.kind, 0)[rows],
            rows=dict(zip(names, range(len(names)), strict=True)),
        )

    def _with_new(self, used: Amounts, names: Sequence[str], resources: Sequence[str]) -> Amounts:
        """`used` with all that is taken of resources that no node was known to have until now."""
        new = [line for line, resource in enumerate(resources) if resource not in self._table.resources]
        if new:
            taken = [self._usage.get(name, {}) for name in names]
            used[new] = amounts(taken, [resources[line] for line in new])
        return used

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
        if not self._changed:
            return table
        offered = [self._nodes[name].allocatable for name in self._resized]
        resized = [table.rows[name] for name in self._resized]
        nodes = [self._nodes[name] for name in self._changed]
        rows = [table.rows[name] for name in self._changed]
        after = replace(
            table,
            allocatable=_with(table.allocatable, resized, amounts(offered, table.resources)),
            ready=_with(table.ready, rows, np.array([node.ready for node in nodes], dtype=np.bool_)),
            cordoned=_with(table.cordoned, rows, np.array([node.cordoned for node in nodes], dtype=np.bool_)),
            kind=_with(table.kind, rows, positions([node.kind for node in nodes], table.kinds)),
        )
        return table if _are_same(after, table) else after

    def _with_usage(self, table: NodeTable) -> NodeTable:
        """`table` with what is taken on the nodes where that changed."""
        rows = [table.rows[name] for name in self._taken]
        taken = amounts([self._usage.get(name, {}) for name in self._taken], table.resources)
        used = _with(table.used, rows, taken)
        return table if used is table.used else replace(table, used=used)


def _positions(names: Sequence[str], known: Mapping[str, int]) -> NDArray[np.intp]:
    """Where each of `names` is `known` to stand; `_NEW` where it is not."""
    return np.fromiter(map(known.get, names, repeat(_NEW)), dtype=np.intp, count=len(names))


def _moved(column: Amounts, lines: NDArray[np.intp], rows: NDArray[np.intp]) -> Amounts:
    found: Amounts = np.pad(column, (0, 1))[np.ix_(lines, rows)]
    return found


def _with(column: Column, rows: Sequence[int], cells: Column) -> Column:
    """`column` with `cells` at `rows`: a copy, or the very same where nothing differs."""
    if not rows or (column[..., rows] == cells).all():
        return column
    changed = column.copy()
    changed[..., rows] = cells
    return changed


def _are_same(one: NodeTable, other: NodeTable) -> bool:
    return (
        one.allocatable is other.allocatable
        and one.ready is other.ready
        and one.cordoned is other.cordoned
        and one.kind is other.kind
    )
