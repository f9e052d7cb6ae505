"""Sums of what ours hold: by namespace, and by node."""

from collections import Counter, defaultdict

import numpy as np

from trainpush.model.nodes import AMOUNT_MAX, Amounts, NodeTable
from trainpush.planner import ledger
from trainpush.planner.places import Allocation, LivePod


class NamespaceUse:
    """What each namespace holds of one pool."""

    def __init__(self) -> None:
        """Nothing yet."""
        self.amounts: defaultdict[str, Counter[str]] = defaultdict(Counter)
        """By namespace and resource, as `counted`."""

    def add(self, held: Allocation, sign: int) -> None:
        """Count a place once more, or once less."""
        amounts = self.amounts[held.key.namespace]
        for resource, amount in held.gang.requirements.request.items():
            amounts[resource] += sign * amount * len(held.nodes)
        if not any(amounts.values()):
            del self.amounts[held.key.namespace]


class HeldAmounts:
    """What ours hold of the nodes of one pool, as long as these are the same."""

    def __init__(self, table: NodeTable) -> None:
        """Nothing yet."""
        self._rows, self._resources = table.rows, table.resources
        self._held = np.zeros_like(table.used)
        self.leaving = np.zeros_like(table.used)
        """What of it will soon be free."""
        self.lasting = np.zeros_like(table.used)
        """What of it nobody may expect to end."""

    def is_of(self, table: NodeTable) -> bool:
        """Whether the nodes and resources of `table` are these."""
        return self._rows is table.rows and self._resources == table.resources

    def used(self, table: NodeTable) -> Amounts:
        """What is used of the nodes by anybody."""
        used: Amounts = np.minimum(self._held + table.used, AMOUNT_MAX)
        return used

    def count(self, entry: Allocation | LivePod, sign: int) -> None:
        """Count a place, or what a pod takes beyond its place, once more or once less."""
        nodes, request = entry.shape
        by_row = ledger.counts(nodes, self._rows)
        for name, amount in request.items() if by_row else ():
            if name in self._resources:
                line = self._resources.index(name)
                for row, workers in by_row.items():
                    # So that the sum of all that one node can hold is in range.
                    more = sign * min(amount * workers, AMOUNT_MAX)
                    self._held[line, row] += more
                    if entry.is_leaving:
                        self.leaving[line, row] += more
                    elif entry.is_lasting:
                        self.lasting[line, row] += more
