"""All nodes, what is taken on them, and which pool each belongs to, however the news of them is ordered."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Final

from trainpush.model.columns import Columns, Tally
from trainpush.model.node_modes import NodeModes, Register
from trainpush.model.nodes import Ending, Level, Node, NodeTable
from trainpush.model.outage import Outage


@dataclass(frozen=True, slots=True)
class PoolSelector:
    """Which nodes a pool wants, and how they are to be sorted."""

    pool: str
    labels: Mapping[str, str]
    """Labels that a node must have."""
    levels: tuple[Level, ...]
    """Outermost first."""

    def covers(self, node: Node) -> bool:
        """Whether the pool wants `node`."""
        return all(node.labels.get(key) == value for key, value in self.labels.items())


NOBODY: Final = ""
"""Stands for the pool of nodes that no pool has."""


class Fleet:
    """All nodes. A node belongs to one pool: the first that claims it."""

    def __init__(self) -> None:
        """Nothing yet."""
        self._nodes: dict[str, Node] = {}
        self._usage: dict[str, dict[str, int]] = {}
        """Per node and resource, as `counted`, also for nodes that are not known yet, or no more."""
        self._ending: dict[str, list[Ending]] = {}
        """By node, the pods behind what is taken that are ending; also of nodes that are not known."""
        self._selectors: tuple[PoolSelector, ...] = ()
        self._columns: dict[str, Columns] = {}
        """By pool."""
        self._registers: dict[str, Register] = {NOBODY: Register()}
        """By pool, and for the nodes that none has."""
        self._shared: dict[str, Tally[str]] = {}
        """By pool, the nodes that an earlier selector has."""
        self._pools: dict[str, tuple[str, ...]] = {}
        """By node, the pools that want it: the first has it."""

    def put(self, node: Node) -> None:
        """Take a node that is new or changed; of two with one name, the later counts.

        A node that is not ready for another reason than before tells only since when that is so.
        """
        before = self._nodes.get(node.name)
        if before and node.outage:
            node = replace(node, outage=node.outage.following(before.outage))
        self._nodes[node.name] = node
        self._assign(node)

    def remove(self, name: str) -> None:
        """Forget a node."""
        if self._nodes.pop(name, None):
            pools = self._pools.pop(name, ())
            self._move(name, pools, ())
            self._registers[_owner(pools)].remove(name)

    def outage_of(self, name: str) -> Outage | None:
        """Why nothing is heard of the pods of a node; one that is not there is gone."""
        node = self._nodes.get(name)
        return node.outage if node else Outage(name)

    def add_usage(self, node: str, amounts: Mapping[str, int], sign: int) -> None:
        """Count `amounts`, by resource as `counted`, once more (`sign` 1) or once less (-1) as taken on `node`."""
        used = self._usage.setdefault(node, {})
        for resource, amount in amounts.items():
            used[resource] = used.get(resource, 0) + sign * amount
        if not any(used.values()):
            del self._usage[node]
        if pools := self._pools.get(node):
            self._columns[pools[0]].usage_changed(node)

    def add_ending(self, pod: Ending, sign: int) -> None:
        """Take note of one pod more (`sign` 1) or less (-1) of those behind what is taken that are ending."""
        there = self._ending.setdefault(pod.node, [])
        if sign > 0:
            there.append(pod)
        else:
            there.remove(pod)
        if not there:
            del self._ending[pod.node]

    def ending(self, pool: str) -> tuple[Ending, ...]:
        """What is ending on the nodes of `pool`: by node, then by time."""
        nodes = sorted(node for node in self._ending if self._pools.get(node, ())[:1] == (pool,))
        return tuple(pod for node in nodes for pod in sorted(self._ending[node], key=_by_time))

    def divide(self, selectors: Sequence[PoolSelector]) -> None:
        """Give each node to the first of `selectors` that covers it; costs nothing where these are the last ones."""
        before, self._selectors = self._selectors, tuple(selectors)
        if self._selectors == before:
            return
        for selector in selectors:
            self._columns.setdefault(selector.pool, Columns(selector.levels, self._usage)).arrange(selector.levels)
            self._shared.setdefault(selector.pool, Tally())
            self._registers.setdefault(selector.pool, Register())
        if [(it.pool, it.labels) for it in selectors] == [(it.pool, it.labels) for it in before]:
            return
        for node in self._nodes.values():
            self._assign(node)
        for pool in self._columns.keys() - {selector.pool for selector in selectors}:
            del self._columns[pool], self._shared[pool], self._registers[pool]

    def table(self, pool: str) -> NodeTable:
        """The nodes of a pool that claimed some; the very same table as long as nothing in it changed."""
        return self._columns[pool].table()

    def shared(self, pool: str) -> tuple[str, ...]:
        """Names of the nodes that `pool` claims too but does not have, in order."""
        return self._shared[pool].things

    def unlabelled(self, pool: str) -> int:
        """How many nodes of `pool` lack the label of some level."""
        return self._columns[pool].unlabelled

    def modes(self, pool: str) -> NodeModes:
        """What the nodes of `pool` say of their modes, or those of `NOBODY`; the very same while nothing changed."""
        return self._registers[pool].modes

    def has_one_with(self, pool: str, labels: Mapping[str, str]) -> bool:
        """Whether some node of `pool` has all these labels."""
        return self._registers[pool].has_one_with(labels)

    def _assign(self, node: Node) -> None:
        before = self._pools.get(node.name)
        pools = tuple(selector.pool for selector in self._selectors if selector.covers(node))
        if before is not None and _owner(before) != _owner(pools):
            self._registers[_owner(before)].remove(node.name)
        self._registers[_owner(pools)].put(node)
        if pools != before:
            self._pools[node.name] = pools
            self._move(node.name, before or (), pools)
        if pools:
            self._columns[pools[0]].put(node)

    def _move(self, name: str, before: Sequence[str], pools: Sequence[str]) -> None:
        """Take note that others want a node than `before`."""
        if before and before[:1] != pools[:1]:
            self._columns[before[0]].remove(name)
        for pool in before[1:]:
            self._shared[pool].drop([name])
        for pool in pools[1:]:
            self._shared[pool].add([name])


def _by_time(pod: Ending) -> tuple[str, list[tuple[str, int]], str]:
    return (pod.ends_at.isoformat() if pod.ends_at else "", sorted(pod.request.items()), pod.maker)


def _owner(pools: Sequence[str]) -> str:
    """Of the pools that want a node the one that has it."""
    return pools[0] if pools else NOBODY
