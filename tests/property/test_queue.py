"""What holds whenever work competes: nobody is hurt without right or more than needed, no team exceeds its limit."""

import random
from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from datetime import timedelta

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from support.build import GPU, NOW
from support.strategies import contested, snapshots
from support.training_world import World
from trainpush.model.gang import Gang
from trainpush.model.nodes import PODS
from trainpush.model.plan import Decision, Plan
from trainpush.model.snapshot import Snapshot
from trainpush.model.workload import Job, Key, Preemption
from trainpush.planner.allocations import Allocations
from trainpush.planner.feasibility.filters import NodeFilters
from trainpush.planner.feasibility.slots import slots
from trainpush.planner.plan import plan


def evictions(snapshot: Snapshot, decided: Plan) -> list[tuple[Job, Decision, Job]]:
    """Who loses what in this plan, announced or carried out, and for whom."""
    jobs = {job.key: job for job in snapshot.jobs}
    by_name = {str(job.key): job for job in snapshot.jobs}
    return [
        (jobs[decision.key], decision, by_name[decision.record.eviction.by])
        for decision in decided.decisions
        if decision.record.eviction and not decision.record.eviction.is_done
    ]


def team(snapshot: Snapshot, key: Key) -> str:
    """The team of a namespace."""
    return next((quota.name for quota in snapshot.pools[0].quotas if key.namespace in quota.namespaces), "")


def held(snapshot: Snapshot, jobs: Sequence[Job]) -> Counter[str]:
    """GPUs by team."""
    found: Counter[str] = Counter()
    for job in jobs:
        if job.recorded.placement and not job.recorded.outcome and isinstance(job.request, Gang):
            found[team(snapshot, job.key)] += (
                len(job.recorded.placement.nodes) * job.request.requirements.request[GPU] // 1000
            )
    return found


@given(contested())
def test_nobody_makes_room_without_right(snapshot: Snapshot) -> None:
    """Only for a higher priority in the same team, or for a team within its guarantee by one beyond its own."""
    for victim, decision, winner in evictions(snapshot, plan(snapshot, NOW)):
        assert decision.record.eviction
        theirs, ours = team(snapshot, victim.key), team(snapshot, winner.key)
        if theirs == ours:
            assert victim.priority < winner.priority
            assert winner.preempts
        else:
            guarantees = {quota.name: quota.shares[GPU].guarantee // 1000 for quota in snapshot.pools[0].quotas}
            assert held(snapshot, snapshot.jobs)[theirs] > guarantees.get(theirs, 0)
            assert isinstance(winner.request, Gang)
            smallest = min(winner.request.sizes, default=winner.request.workers)
            assert smallest * winner.request.requirements.request[GPU] // 1000 <= guarantees[ours]


@given(contested())
def test_the_protected_lose_nothing(snapshot: Snapshot) -> None:
    """Never means never, BeyondMin down to a legal size, and nobody before the least running time is over.

    What was borrowed from another team is not protected; whatever is left is a legal size.
    """
    for victim, decision, winner in evictions(snapshot, plan(snapshot, NOW)):
        assert decision.record.eviction
        assert victim.recorded.placement
        assert isinstance(victim.request, Gang)
        assert decision.record.eviction.workers in {0, *victim.request.sizes}
        if team(snapshot, victim.key) != team(snapshot, winner.key):
            continue
        assert victim.preemption is not Preemption.NEVER
        assert victim.recorded.placement.held_since + victim.min_runtime <= NOW
        if decision.record.eviction.workers or victim.preemption is Preemption.BEYOND_MIN:
            assert decision.record.eviction.workers in victim.request.sizes
            assert decision.record.eviction.workers < len(victim.recorded.placement.nodes)


@given(contested())
def test_nobody_makes_room_in_vain(snapshot: Snapshot) -> None:
    """With all who are told to go away, the gang fits, and its team into its limit; without any one it does not."""
    waiting = [job for job in snapshot.jobs if not job.recorded.placement and isinstance(job.request, Gang)]
    others = tuple(job for job in snapshot.jobs if job not in waiting)
    for job in waiting[:1]:
        alone = replace(snapshot, jobs=(*others, job))
        found = [(victim, decision) for victim, decision, winner in evictions(alone, plan(alone, NOW)) if winner is job]
        if found:
            assert _will_do(alone, job, found)
            assert not any(_will_do(alone, job, [*found[:i], *found[i + 1 :]]) for i in range(len(found)))


def _will_do(snapshot: Snapshot, winner: Job, victims: list[tuple[Job, Decision]]) -> bool:
    return _is_within_limit(snapshot, winner, victims) and _fits(snapshot, winner, victims)


def _is_within_limit(snapshot: Snapshot, winner: Job, victims: list[tuple[Job, Decision]]) -> bool:
    """Whether the team of the winner may have its smallest size when these are gone."""
    theirs, gang = team(snapshot, winner.key), winner.request
    assert isinstance(gang, Gang)
    limit = next((quota.shares[GPU].limit for quota in snapshot.pools[0].quotas if quota.name == theirs), None)
    if limit is None:
        return True
    left = {job.key: job for job in snapshot.jobs}
    for victim, decision in victims:
        place, eviction = victim.recorded.placement, decision.record.eviction
        assert place
        assert eviction
        kept = replace(place, nodes=place.nodes[: eviction.workers])
        left[victim.key] = replace(victim, recorded=replace(victim.recorded, placement=kept))
    more = min(gang.sizes, default=gang.workers) * gang.requirements.request[GPU] // 1000
    return held(snapshot, list(left.values()))[theirs] + more <= limit // 1000


def _fits(snapshot: Snapshot, winner: Job, victims: list[tuple[Job, Decision]]) -> bool:
    """Whether the smallest size of the winner has room in one domain when these are gone, and pods that are ending."""
    table, gang = snapshot.pools[0].table, winner.request
    assert isinstance(gang, Gang)
    allocations, pool = Allocations.of(snapshot.jobs, ()), snapshot.pools[0]
    used = allocations.used(pool) - allocations.coming(pool, NOW)
    for victim, decision in victims:
        assert victim.recorded.placement
        assert isinstance(victim.request, Gang)
        assert decision.record.eviction
        for node in victim.recorded.placement.nodes[decision.record.eviction.workers :]:
            for resource in (GPU, PODS):
                used[table.resources.index(resource), table.rows[node]] -= victim.request.requirements.request[resource]
    room = np.where(NodeFilters(table, gang.requirements).reasons == 0, slots(table, gang.requirements, used), 0)
    level = table.levels[table.level_index(gang.topology.required or "pool") or 0]
    inside = [int(room[level.slice_of(i, len(table.names))].sum()) for i in range(len(level.starts))]
    return max(inside, default=0) >= min(gang.sizes, default=gang.workers)


@given(contested())
def test_no_team_grows_beyond_its_limit(snapshot: Snapshot) -> None:
    """Who gets a place leaves the team within its limit."""
    decided = plan(snapshot, NOW)
    places = {decision.key: decision.record.placement for decision in decided.decisions}
    kept = tuple(
        replace(job, recorded=replace(job.recorded, placement=places.get(job.key, job.recorded.placement)))
        for job in snapshot.jobs
    )
    before, after = held(snapshot, snapshot.jobs), held(snapshot, kept)
    for quota in snapshot.pools[0].quotas:
        limit = quota.shares[GPU].limit
        if limit is not None:
            assert after[quota.name] <= max(limit // 1000, before[quota.name])


@given(contested(), st.randoms(use_true_random=False))
def test_the_order_of_quotas_does_not_matter(snapshot: Snapshot, shuffle: random.Random) -> None:
    """Same snapshot, same plan."""
    quotas = list(snapshot.pools[0].quotas)
    shuffle.shuffle(quotas)
    shuffled = replace(snapshot, pools=(replace(snapshot.pools[0], quotas=tuple(quotas)),))
    assert plan(shuffled, NOW) == plan(snapshot, NOW)


@given(contested())
def test_room_that_is_kept_for_a_gang_counts_for_it(snapshot: Snapshot) -> None:
    """Whoever waits alone is told the same before room is kept for it, and after."""
    placed = tuple(job for job in snapshot.jobs if job.recorded.placement)
    for job in [job for job in snapshot.jobs if not job.recorded.placement][:1]:
        told = []
        for minutes in (5, 15):
            waits = replace(job, recorded=replace(job.recorded, queued_at=NOW - timedelta(minutes=minutes)))
            decided = plan(replace(snapshot, jobs=(*placed, waits)), NOW)
            told += [decision.verdict for decision in decided.decisions if decision.key == job.key]
        assert told[:1] == told[1:]


@given(st.one_of(snapshots(), contested()))
def test_every_waiting_job_has_its_place_in_the_queue(snapshot: Snapshot) -> None:
    """Numbers from one, each once."""
    positions = [decision.verdict.position for decision in plan(snapshot, NOW).decisions if decision.verdict.position]
    assert sorted(positions) == list(range(1, len(positions) + 1))


@given(st.one_of(contested(), snapshots()))
def test_competition_comes_to_rest(snapshot: Snapshot) -> None:
    """With pods that start and end as told, and nobody new, evictions end: nobody is driven back and forth."""
    sound = [replace(job, workers=(), deleting=False) for job in snapshot.jobs]
    World.of(snapshot.pools[0], *sound).settle(most=200)
