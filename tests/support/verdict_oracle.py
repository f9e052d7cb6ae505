"""What is true of a gang that waits, found by trying every way to spread its workers; for small clusters only."""

from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import product

from trainpush.model.gang import Gang
from trainpush.model.modes import MODE_KEY, SWITCHING_KEY
from trainpush.model.nodes import Level, Node

Amounts = Mapping[str, Mapping[str, int]]
"""By node and resource, thousandths."""


@dataclass(frozen=True)
class Cluster:
    """Nodes with what is used of them."""

    nodes: Sequence[Node]
    levels: Sequence[Level]
    used: Amounts

    def empty(self) -> "Cluster":
        """The same with nobody there."""
        return replace(self, used={})

    def less(self, gone: Amounts) -> "Cluster":
        """The same without what is `gone`."""
        left = {
            node: {name: amount - gone.get(node, {}).get(name, 0) for name, amount in amounts.items()}
            for node, amounts in self.used.items()
        }
        return replace(self, used=left)

    def plus(self, more: Amounts) -> "Cluster":
        """The same with `more` used."""
        gone = {node: {name: -amount for name, amount in amounts.items()} for node, amounts in more.items()}
        return self.less(gone)

    def free(self, node: Node, resource: str) -> int:
        """What is left of `resource`, in thousandths."""
        return node.allocatable.get(resource, 0) - self.used.get(node.name, {}).get(resource, 0)

    def takes(self, node: Node, gang: Gang) -> int:
        """How many workers fit beside what is used, one after the other."""
        workers = 0
        while all(
            self.free(node, name) >= (workers + 1) * asked for name, asked in gang.requirements.request.items() if asked
        ):
            workers += 1
        return workers

    def domain(self, node: Node, alias: str | None) -> tuple[str, ...]:
        """The domain of a node at a level; the pool's without a level."""
        if alias in {None, "pool"}:
            return ()
        if alias == "host":
            return (node.name,)
        path = [node.labels.get(level.label) or f"only {node.name}" for level in self.levels]
        return tuple(path[: 1 + [level.alias for level in self.levels].index(str(alias))])

    def most(self, gang: Gang, nodes: Collection[Node]) -> int:
        """The largest number of workers for which some way to spread them over `nodes` keeps every rule."""
        most = 0
        for domain in {self.domain(node, gang.topology.required) for node in nodes}:
            inside = [node for node in nodes if self.domain(node, gang.topology.required) == domain]
            for counts in product(*(range(self.takes(node, gang) + 1) for node in inside)):
                if sum(counts) > most and self._is_whole(gang, list(zip(inside, counts, strict=True))):
                    most = sum(counts)
        return most

    def fits(self, gang: Gang, nodes: Collection[Node]) -> bool:
        """Whether the smallest legal size has a place on `nodes`."""
        return self.most(gang, nodes) >= min(gang.sizes, default=gang.workers)

    def _is_whole(self, gang: Gang, spread: list[tuple[Node, int]]) -> bool:
        """Whether every slice lies in one domain of its level: each of these holds a multiple of its size."""
        for layer in gang.topology.slices:
            held: Counter[tuple[str, ...]] = Counter()
            for node, workers in spread:
                held[self.domain(node, layer.level)] += workers
            if any(workers % layer.size for workers in held.values()):
                return False
        return True


def is_tolerated(node: Node, gang: Gang) -> bool:
    """Whether no taint keeps the gang away; those of modes aside."""
    taints = [taint for taint in node.taints if taint.key not in {MODE_KEY, SWITCHING_KEY}]
    return all(any(one.covers(taint) for one in gang.requirements.tolerations) for taint in taints)


def is_in_mode(node: Node, gang: Gang) -> bool:
    """Whether the node has a mode for the gang, and keeps it."""
    modes = [taint for taint in node.taints if taint.key == MODE_KEY]
    is_switching = any(taint.key == SWITCHING_KEY for taint in node.taints)
    return not is_switching and all(any(one.covers(taint) for one in gang.requirements.tolerations) for taint in modes)


def is_allowed(node: Node, gang: Gang) -> bool:
    """Whether the product will do."""
    return not gang.requirements.products or node.product in gang.requirements.products


def willing(cluster: Cluster, gang: Gang) -> list[Node]:
    """Nodes of a kind that will do."""
    return [node for node in cluster.nodes if is_tolerated(node, gang) and is_allowed(node, gang)]


def usable(cluster: Cluster, gang: Gang) -> list[Node]:
    """Of these, the nodes that are open, in a mode for the gang, and large enough."""
    return [
        node
        for node in willing(cluster, gang)
        if node.ready and not node.cordoned and is_in_mode(node, gang) and cluster.empty().takes(node, gang)
    ]
