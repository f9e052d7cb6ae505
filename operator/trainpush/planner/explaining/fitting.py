"""How many workers of a gang have room in one domain, with every slice whole.

Inside out: what a domain of a slice's level holds is rounded down to whole slices, and counts as that much
for the level further out. Domains are nested, and each slice size divides the next one outwards: this is exact.
"""

from math import gcd

import numpy as np

from trainpush.model.nodes import NodeTable
from trainpush.model.workload import Gang
from trainpush.planner.placing.capacity import Slots, sums


def room(gang: Gang, table: NodeTable, slots: Slots) -> int:
    """Most workers that one domain of the required level (the pool where none is) takes; `slots` per node."""
    depth = table.depth(gang.required)
    most = int(sums(whole_slices(gang, table, slots), table.levels[depth].starts).max(initial=0))
    return most - most % gang.slices[0].size if gang.slices else most


def whole_slices(gang: Gang, table: NodeTable, slots: Slots) -> Slots:
    """What is left of `slots` when only whole slices count; each domain's sum stands at its first node."""
    required = table.depth(gang.required)
    left = slots
    for layer in reversed(gang.slices):
        depth = table.depth(layer.level)
        if depth < required:
            break  # one domain of the required level lies in one of this level: the slice is never torn
        starts = table.levels[depth].starts
        found = sums(left, starts)
        left = np.zeros_like(slots)
        left[starts] = found - found % layer.size
    return left


def step(gang: Gang) -> int:
    """Sizes that could be legal differ by this many workers."""
    return gcd(*gang.sizes) if gang.sizes else gang.slices[0].size if gang.slices else 1


def field_of_size(gang: Gang) -> str:
    """The field of a job that says how few workers will do."""
    return "spec.elastic.minReplicas" if gang.sizes else "spec.replicas"
