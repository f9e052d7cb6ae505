"""Amounts that are taken on the nodes of a table, and given back."""

from collections.abc import Iterable, Mapping
from typing import Final

import numpy as np

from trainpush.model.nodes import AMOUNT_MAX, Amounts, NodeTable

FEW: Final = 24
"""Up to so many nodes are added to one by one, more of them together: calls cost more than entries."""


def take(table: NodeTable, used: Amounts, workers_by_node: Mapping[int, int], request: Mapping[str, int]) -> None:
    """Add workers with `request` each to `used`, in place; take them away where it is below zero."""
    most = max(workers_by_node.values(), default=0)
    for row, resource in enumerate(table.resources):
        amount = request.get(resource, 0)
        if amount and len(workers_by_node) > FEW and abs(amount) < AMOUNT_MAX // most:  # so that no sum is out of range
            nodes, workers_of = list(workers_by_node), np.array(list(workers_by_node.values()))
            used[row, nodes] = (used[row, nodes] + amount * workers_of).clip(-AMOUNT_MAX, AMOUNT_MAX)
        elif amount:
            for node, workers in workers_by_node.items():
                used[row, node] = max(-AMOUNT_MAX, min(used.item(row, node) + amount * workers, AMOUNT_MAX))


def counts(nodes: Iterable[str], index: Mapping[str, int]) -> dict[int, int]:
    """How many workers each row gets where `nodes` names one for each; nodes that are not there are left out."""
    by_row: dict[int, int] = {}
    for name in nodes:
        if (row := index.get(name)) is not None:
            by_row[row] = by_row.get(row, 0) + 1
    return by_row
