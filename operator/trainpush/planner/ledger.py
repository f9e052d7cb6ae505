"""What is taken on the nodes of a pool: pods that are bound, and placements that were decided."""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence

import numpy as np

from trainpush.model.gang import Gang
from trainpush.model.nodes import AMOUNT_MAX, Amounts, NodeTable
from trainpush.model.serving import Service
from trainpush.model.workload import Job, Placement

Both = tuple[Amounts, Amounts]
"""What is used, and what of it will soon be free."""


def used_amounts(table: NodeTable, jobs: Iterable[Job], services: Iterable[Service] = ()) -> Amounts:
    """`table.used` (everything that is no pod of ours) plus all that `jobs` and `services` hold.

    Shape (resources, nodes), thousandths. A placed gang, or a placed replica, holds its whole place from the decision
    to its end, whether its pods exist yet or not. Other live pods of ours, leftovers, count where they are bound.
    """
    return tallied(table, jobs, services)[0]


def tallied(table: NodeTable, jobs: Iterable[Job], services: Iterable[Service]) -> tuple[Amounts, Amounts]:
    """As `used_amounts`, and what of that is about to become free: leftovers, which end or are being ended."""
    used, leaving = table.used.copy(), np.zeros_like(table.used)
    index = table.rows
    for service in services:
        _take_service(table, (used, leaving), service, index)
    for job in jobs:
        placement = _held_place(job)
        if placement and isinstance(job.request, Gang):
            there = counts(placement.nodes, index)
            take(table, used, there, job.request.requirements.request)
            if job.deleting or job.suspend:
                take(table, leaving, there, job.request.requirements.request)
        _take_leftovers(table, (used, leaving), job, placement, index)
    return used, leaving


def take(table: NodeTable, used: Amounts, workers_by_node: Mapping[int, int], request: Mapping[str, int]) -> None:
    """Add workers with `request` each to `used`, in place."""
    for row, resource in enumerate(table.resources):
        amount = request.get(resource, 0)
        if amount:
            for node, workers in workers_by_node.items():
                used[row, node] = max(-AMOUNT_MAX, min(used.item(row, node) + amount * workers, AMOUNT_MAX))


def give_back(table: NodeTable, used: Amounts, gang: Gang, nodes: Sequence[str]) -> None:
    """Take one worker on each of `nodes` out of `used`, in place: it looks for another place."""
    take(table, used, counts(nodes, table.rows), {name: -amount for name, amount in gang.requirements.request.items()})


def _take_service(table: NodeTable, amounts: Both, service: Service, index: Mapping[str, int]) -> None:
    gangs = {revision.name: revision.gang for revision in service.revisions}
    held = {(place.serial, place.revision): place for place in service.places if place.revision in gangs}
    for place in held.values():
        take(table, amounts[0], counts([place.node], index), gangs[place.revision].requirements.request)
    kept = {(place.serial, place.revision, place.node) for place in service.places}
    for pod in service.pods:
        if not pod.is_live or pod.node is None or pod.node not in index:
            continue
        planned = held.get((pod.serial, pod.revision))
        if planned and planned.node == pod.node:
            take(
                table,
                amounts[0],
                {index[pod.node]: 1},
                _beyond(pod.request, gangs[planned.revision].requirements.request),
            )
        else:
            is_kept = (pod.serial, pod.revision, pod.node) in kept
            _take_pod(table, amounts, index[pod.node], pod.request, is_kept)


def _held_place(job: Job) -> Placement | None:
    return None if job.recorded.outcome else job.recorded.placement


def counts(nodes: Iterable[str], index: Mapping[str, int]) -> Counter[int]:
    """How many workers each row gets where `nodes` names one for each; nodes that are not there are left out."""
    return Counter(index[name] for name in nodes if name in index)


def _take_leftovers(
    table: NodeTable, amounts: Both, job: Job, placement: Placement | None, index: Mapping[str, int]
) -> None:
    for worker in job.workers:
        if not worker.is_live or worker.node is None or worker.node not in index:
            continue
        is_in_place = placement is not None and _covers(placement, worker.rank, worker.node)
        if is_in_place and isinstance(job.request, Gang):
            take(table, amounts[0], {index[worker.node]: 1}, _beyond(worker.request, job.request.requirements.request))
        else:
            _take_pod(table, amounts, index[worker.node], worker.request, is_in_place)


def _take_pod(table: NodeTable, amounts: Both, row: int, request: Mapping[str, int], is_kept: bool) -> None:
    """Count a pod that no plan accounts for: it will soon be gone, unless it `is_kept` since nobody understands it."""
    for some in amounts[:1] if is_kept else amounts:
        take(table, some, {row: 1}, request)


def _beyond(found: Mapping[str, int], asked: Mapping[str, int]) -> dict[str, int]:
    """What a pod requests on top of what its job asked for: the defaults of a LimitRange, or of a webhook."""
    return {name: amount - asked.get(name, 0) for name, amount in found.items() if amount > asked.get(name, 0)}


def _covers(placement: Placement, rank: int, node: str) -> bool:
    return rank < len(placement.nodes) and placement.nodes[rank] == node
