"""What holds of every plan, whatever the cluster."""

import itertools
import random
from dataclasses import replace
from operator import eq

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from support.build import GPU, NOW
from support.strategies import snapshots
from trainpush.model.actions import MakeWorker
from trainpush.model.gang import Gang
from trainpush.model.nodes import HOST
from trainpush.model.plan import Decision, Plan
from trainpush.model.snapshot import Snapshot
from trainpush.model.workload import Job, Placement, Recorded
from trainpush.planner.allocations import Allocations
from trainpush.planner.feasibility.filters import NodeFilters
from trainpush.planner.feasibility.slots import slots
from trainpush.planner.plan import plan


def applied(snapshot: Snapshot, decided: Plan) -> Snapshot:
    """The snapshot after the statuses of `decided` were written; pods as before."""
    by_key = {decision.key: decision for decision in decided.decisions}
    return replace(snapshot, jobs=tuple(_recorded(job, by_key.get(job.key)) for job in snapshot.jobs))


def _recorded(job: Job, decision: Decision | None) -> Job:
    if decision is None:
        return job
    recorded, gang = decision.record, job.request
    if isinstance(gang, Gang):
        full = max(gang.sizes, default=gang.workers)
        gang = gang.of_size(len(recorded.placement.nodes) if recorded.placement else full)
    return replace(job, request=gang, recorded=recorded)


def new_places(snapshot: Snapshot, decided: Plan) -> list[tuple[Gang, Placement]]:
    """Gangs that got a place in this plan."""
    jobs = {job.key: job for job in snapshot.jobs}
    return [
        (job.request.of_size(len(decision.record.placement.nodes)), decision.record.placement)
        for decision in decided.decisions
        if decision.record.placement
        and decision.record.placement.since == NOW
        and isinstance((job := jobs[decision.key]).request, Gang)
        and (job.recorded.placement is None or job.recorded.placement.nodes != decision.record.placement.nodes)
    ]


def former_nodes(job: Job) -> tuple[str, ...]:
    """Where a job was before."""
    return job.recorded.placement.nodes if job.recorded.placement else ()


def was_mended(snapshot: Snapshot, placement: Placement) -> bool:
    """Whether some rank stayed where it was before, so that the order is not the topology's."""
    former = [job.recorded.placement for job in snapshot.jobs if job.recorded.placement]
    return any(any(map(eq, place.nodes, placement.nodes)) for place in former)


@given(snapshots())
def test_every_job_has_exactly_one_verdict(snapshot: Snapshot) -> None:
    """With a reason and a message, unless it is being deleted."""
    decided = plan(snapshot, NOW)
    assert [d.key for d in decided.decisions] == sorted(job.key for job in snapshot.jobs if not job.deleting)
    assert all(d.verdict.reason and d.verdict.message for d in decided.decisions)


@given(snapshots())
def test_a_gang_is_placed_whole_or_not_at_all(snapshot: Snapshot) -> None:
    """A legal number of workers, each on a node that is fit for work, in rank order along the topology."""
    table = snapshot.pools[0].table
    for gang, placement in new_places(snapshot, plan(snapshot, NOW)):
        assert len(placement.nodes) in (gang.sizes or (gang.workers,))
        positions = [table.names.index(node) for node in placement.nodes]
        assert positions == sorted(positions) or was_mended(snapshot, placement)
        assert not NodeFilters(table, gang.requirements).reasons[positions].any()


@given(snapshots())
def test_a_required_level_is_kept(snapshot: Snapshot) -> None:
    """All nodes of the gang lie in one domain of it."""
    table = snapshot.pools[0].table
    for gang, placement in new_places(snapshot, plan(snapshot, NOW)):
        if gang.topology.required:
            level = table.levels[table.level_index(gang.topology.required) or 0]
            positions = [table.names.index(node) for node in placement.nodes]
            assert len(set(np.searchsorted(level.starts, positions, side="right"))) == 1


@given(snapshots())
def test_no_node_is_filled_beyond_its_capacity(snapshot: Snapshot) -> None:
    """New places never push a node over; one that was over before gets nothing beside what it keeps."""
    decided = plan(snapshot, NOW)
    table = snapshot.pools[0].table
    row = table.resources.index(GPU) if GPU in table.resources else None
    after = Allocations.of(applied(snapshot, decided).jobs, ()).used(snapshot.pools[0])
    kept = {(rank, node) for job in snapshot.jobs for rank, node in enumerate(former_nodes(job))}
    for _, placement in new_places(snapshot, decided):
        for node in (node for rank, node in enumerate(placement.nodes) if (rank, node) not in kept):
            assert row is not None
            assert after[row, table.names.index(node)] <= table.allocatable[row, table.names.index(node)]


@given(snapshots(), st.randoms(use_true_random=False))
def test_the_order_of_the_input_does_not_matter(snapshot: Snapshot, shuffle: random.Random) -> None:
    """Same snapshot, same plan."""
    jobs = list(snapshot.jobs)
    shuffle.shuffle(jobs)
    assert plan(replace(snapshot, jobs=tuple(jobs)), NOW) == plan(snapshot, NOW)


@given(snapshots())
def test_planning_comes_to_rest(snapshot: Snapshot) -> None:
    """With pods as they are, decisions settle within a few cycles: nothing to do means no writes.

    A gang is told to make room, makes it, and the other gets its place: three cycles, and then the next one in a chain.
    """
    seen = [plan(snapshot, NOW)]
    while len(seen) < 2 or seen[-1].decisions != seen[-2].decisions:
        assert len(seen) < 6 + 3 * len(snapshot.jobs)
        snapshot = applied(snapshot, seen[-1])
        seen.append(plan(snapshot, NOW))


@given(snapshots())
def test_pods_are_made_only_where_the_status_said_before(snapshot: Snapshot) -> None:
    """First written, then carried out; an attempt does not begin beside a living pod of another one."""
    jobs = {job.key: job for job in snapshot.jobs}
    for decision in plan(snapshot, NOW).decisions:
        job = jobs[decision.key]
        for action in decision.actions:
            if isinstance(action, MakeWorker):
                assert job.recorded.placement
                assert (action.attempt, action.node) == (
                    job.recorded.attempt,
                    job.recorded.placement.nodes[action.rank],
                )
                has_begun = any(w.attempt == action.attempt for w in job.workers)
                assert has_begun or not any(w.is_live and not w.is_cut_off(NOW) for w in job.workers)


@given(snapshots())
def test_the_host_level_is_as_tight_as_brute_force_says(snapshot: Snapshot) -> None:
    """No gang spans more hosts than the fewest that could hold it in the domain it got.

    Save one that kept some of its nodes: it stays on these even where others have taken its room meanwhile.
    """
    snapshot = replace(snapshot, jobs=snapshot.jobs[:1])
    table = snapshot.pools[0].table
    sought = [it for it in new_places(snapshot, plan(snapshot, NOW)) if not was_mended(snapshot, it[1])]
    for gang, placement in sought:
        used = Allocations.of([replace(job, recorded=Recorded()) for job in snapshot.jobs], ()).used(snapshot.pools[0])
        room = np.where(NodeFilters(table, gang.requirements).reasons == 0, slots(table, gang.requirements, used), 0)
        inside = _domain_of(snapshot, placement)
        fewest = next(
            size
            for size in range(1, len(inside) + 1)
            if any(sum(room[i] for i in chosen) >= gang.workers for chosen in itertools.combinations(inside, size))
        )
        children_matter = placement.level not in {"rack", HOST}
        assert len(set(placement.nodes)) == fewest or children_matter


def _domain_of(snapshot: Snapshot, placement: Placement) -> list[int]:
    table = snapshot.pools[0].table
    level = table.levels[table.level_index(placement.level) or 0]
    first = table.names.index(placement.nodes[0])
    index = int(np.searchsorted(level.starts, first, side="right")) - 1
    where = level.slice_of(index, len(table.names))
    return list(range(where.start, where.stop))
