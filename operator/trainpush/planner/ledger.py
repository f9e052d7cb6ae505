"""Amounts that are taken on the nodes of a table, and given back."""

from collections.abc import Iterable, Mapping
from typing import Final

import numpy as np

from trainpush.model.nodes import AMOUNT_MAX, Amounts, NodeTable

FEW: Final = 24
"""Up to so many nodes are added to one by one, more of them together: calls cost more than entries."""


def take(table: NodeTable, used: Amounts, workers_by_node: Mapping[int, int], request: Mapping[str, int]) -> None:
    """Add workers with `request` each to `used`, in place."""
    asked = [(row, amount) for row, name in enumerate(table.resources) if (amount := request.get(name, 0))]
    most = AMOUNT_MAX // max([1, *workers_by_node.values()])
    if len(workers_by_node) > FEW and all(abs(amount) < most for _, amount in asked):  # so that no sum is out of range
        there = np.ix_([row for row, _ in asked], list(workers_by_node))
        more = np.multiply.outer([amount for _, amount in asked], list(workers_by_node.values()))
        used[there] = (used[there] + more).clip(-AMOUNT_MAX, AMOUNT_MAX)
        return
    for row, amount in asked:
        for node, workers in workers_by_node.items():
            total = used.item(row, node) + amount * workers
            is_in_range = -AMOUNT_MAX <= total <= AMOUNT_MAX
            used[row, node] = total if is_in_range else max(-AMOUNT_MAX, min(total, AMOUNT_MAX))


def give_back(table: NodeTable, used: Amounts, workers_by_node: Mapping[int, int], request: Mapping[str, int]) -> None:
    """Take workers with `request` each away from `used`, in place."""
    take(table, used, workers_by_node, {name: -amount for name, amount in request.items()})


def counts(nodes: Iterable[str], index: Mapping[str, int]) -> dict[int, int]:
    """How many workers each row gets where `nodes` names one for each; nodes that are not there are left out."""
    by_row: dict[int, int] = {}
    for name in nodes:
        if (row := index.get(name)) is not None:
            by_row[row] = by_row.get(row, 0) + 1
    return by_row
