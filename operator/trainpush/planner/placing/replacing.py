"""Replacements for the places that a gang lost, while its other workers stay where they are."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from trainpush.model.gang import Gang
from trainpush.model.nodes import NodeTable
from trainpush.planner.placing.domain_capacity import DomainCapacity, slice_sizes
from trainpush.planner.placing.placement import assignment_in, torn


@dataclass(frozen=True, slots=True)
class _Hole:
    """Ranks that must find a place in the same part of the pool."""

    layer: int
    """The innermost layer of slices of which they share a slice with workers that stay; -1 if there is none."""
    ranks: list[int]


def replacements(
    gang: Gang, table: NodeTable, domains: DomainCapacity, places: Sequence[str], lost: Sequence[int]
) -> dict[int, int] | None:
    """The new row of each of the ranks `lost`, where `places` are the nodes by rank; None if there are none.

    Each is sought on the hosts that the gang keeps, then around them level by level, within the slice and the domain
    of the required level that workers which stay hold it to. `domains` is what is free beside those who stay.
    """
    kept = {rank: table.rows[node] for rank, node in enumerate(places) if rank not in set(lost)}
    if torn(gang, table, kept):
        return None
    slots = domains.slots.copy()
    new: dict[int, int] = {}
    for hole in _holes(gang, lost, kept):
        topology = replace(gang.topology, slices=gang.topology.slices[hole.layer + 1 :])
        part = replace(gang, workers=len(hole.ranks), sizes=(), topology=topology)
        for within in _around(gang, table, domains, hole, kept):
            free = np.where(within, slots, 0)
            inside = DomainCapacity(domains.tree, free, slice_sizes(part, table), domains.groups)
            if assignment := assignment_in(part, table, inside):
                break
        else:
            return None
        rows = [row for row, workers in assignment.by_row.items() for _ in range(workers)]
        np.subtract.at(slots, rows, 1)
        new |= dict(zip(hole.ranks, rows, strict=True))
    return new


def _holes(gang: Gang, lost: Sequence[int], kept: dict[int, int]) -> list[_Hole]:
    """The lost ranks by what holds them: those in the smallest part of the pool first."""
    holes: dict[tuple[int, int], list[int]] = {}
    for rank in sorted(lost):
        holes.setdefault(_pin(gang, rank, kept), []).append(rank)
    ordered = sorted(holes.items(), key=lambda hole: (-hole[0][0], hole[0][1]))
    return [_Hole(layer, ranks) for (layer, _), ranks in ordered]


def _pin(gang: Gang, rank: int, kept: dict[int, int]) -> tuple[int, int]:
    """Layer and number of the smallest slice that a lost rank shares with a worker that stays."""
    for layer in range(len(gang.topology.slices) - 1, -1, -1):
        size = gang.topology.slices[layer].size
        if any(other in kept for other in range(rank // size * size, rank // size * size + size)):
            return layer, rank // size
    return -1, 0


def _around(
    gang: Gang, table: NodeTable, domains: DomainCapacity, hole: _Hole, kept: dict[int, int]
) -> Iterator[NDArray[np.bool_]]:
    """Which nodes may take the ranks of a hole: ever wider around those that are kept, up to what holds them."""
    tree = domains.tree
    bound, anchors = table.depth(gang.topology.required), list(kept.values())
    if hole.layer >= 0:
        layer = gang.topology.slices[hole.layer]
        first = hole.ranks[0] // layer.size * layer.size
        depth = table.depth(layer.level)
        if depth > bound:  # else the required level, inside that of the slice, says more
            bound = depth
            anchors = [kept[rank] for rank in range(first, first + layer.size) if rank in kept]
    limit = np.ones_like(domains.slots, bool)
    if anchors:
        limit = np.isin(tree.domain[bound], tree.domain[bound][anchors[:1]])
    rows = [row for row in kept.values() if limit[row]]
    for level in range(tree.last, bound, -1):
        if rows:
            yield limit & np.isin(tree.domain[level], tree.domain[level][rows])
    yield limit
