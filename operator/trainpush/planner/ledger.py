"""What is taken on the nodes of a pool: pods that are bound, and placements that were decided."""

from collections.abc import Iterable, Mapping, Sequence

from trainpush.model.nodes import AMOUNT_MAX, Amounts, NodeTable
from trainpush.model.serving import Service
from trainpush.model.workload import Gang, Job, Placement


def used_amounts(table: NodeTable, jobs: Iterable[Job], services: Iterable[Service] = ()) -> Amounts:
    """`table.used` (everything that is no pod of ours) plus all that `jobs` and `services` hold.

    Shape (resources, nodes), thousandths. A placed gang, or a placed replica, holds its whole place from the decision
    to its end, whether its pods exist yet or not. Other live pods of ours, leftovers, count where they are bound.
    """
    used = table.used.copy()
    index = table.rows
    for service in services:
        _take_service(table, used, service, index)
    for job in jobs:
        placement = _held_place(job)
        if placement and isinstance(job.request, Gang):
            take(table, used, _counts(placement.nodes, index), job.request.request)
        _take_leftovers(table, used, job, placement, index)
    return used


def take(table: NodeTable, used: Amounts, workers_by_node: Mapping[int, int], request: Mapping[str, int]) -> None:
    """Add workers with `request` each to `used`, in place."""
    for row, resource in enumerate(table.resources):
        amount = request.get(resource, 0)
        if amount:
            for node, workers in workers_by_node.items():
                used[row, node] = min(int(used[row, node]) + amount * workers, AMOUNT_MAX)


def give_back(table: NodeTable, used: Amounts, gang: Gang, nodes: Sequence[str]) -> None:
    """Take one worker on each of `nodes` out of `used`, in place: it looks for another place."""
    take(table, used, _counts(nodes, table.rows), {name: -amount for name, amount in gang.request.items()})


def _take_service(table: NodeTable, used: Amounts, service: Service, index: Mapping[str, int]) -> None:
    gangs = {revision.name: revision.gang for revision in service.revisions}
    held = {(place.serial, place.revision): place for place in service.places if place.revision in gangs}
    for place in held.values():
        take(table, used, _counts([place.node], index), gangs[place.revision].request)
    for pod in service.pods:
        if not pod.is_live or pod.node is None or pod.node not in index:
            continue
        planned = held.get((pod.serial, pod.revision))
        is_covered = planned is not None and planned.node == pod.node
        request = _beyond(pod.request, gangs[planned.revision].request) if planned and is_covered else pod.request
        take(table, used, {index[pod.node]: 1}, request)


def _held_place(job: Job) -> Placement | None:
    return None if job.recorded.outcome else job.recorded.placement


def _counts(nodes: Sequence[str], index: Mapping[str, int]) -> dict[int, int]:
    counts: dict[int, int] = {}
    for name in nodes:
        if name in index:
            counts[index[name]] = counts.get(index[name], 0) + 1
    return counts


def _take_leftovers(
    table: NodeTable, used: Amounts, job: Job, placement: Placement | None, index: Mapping[str, int]
) -> None:
    for worker in job.workers:
        if not worker.is_live or worker.node is None or worker.node not in index:
            continue
        request = worker.request
        if placement and isinstance(job.request, Gang) and _covers(placement, worker.rank, worker.node):
            request = _beyond(request, job.request.request)
        take(table, used, {index[worker.node]: 1}, request)


def _beyond(found: Mapping[str, int], asked: Mapping[str, int]) -> dict[str, int]:
    """What a pod requests on top of what its job asked for: the defaults of a LimitRange, or of a webhook."""
    return {name: amount - asked.get(name, 0) for name, amount in found.items() if amount > asked.get(name, 0)}


def _covers(placement: Placement, rank: int, node: str) -> bool:
    return rank < len(placement.nodes) and placement.nodes[rank] == node
