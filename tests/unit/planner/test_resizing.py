"""Gangs that leave nodes, are asked for a checkpoint first, and grow again."""

from collections.abc import Mapping
from dataclasses import replace
from datetime import datetime, timedelta

import pytest

from support.build import NOW, a_cluster, a_gang, a_job, a_node, a_pool, a_quota, running_job, three_racks
from support.training_world import World
from trainpush.model.gang import Gang
from trainpush.model.modes import Mode, Switch, Switching, SwitchStep
from trainpush.model.plan import Decision, Stage
from trainpush.model.reasons import Reason
from trainpush.model.snapshot import Pool
from trainpush.model.workload import Checkpoint, Eviction, Heard, Job, Phase, Recorded
from trainpush.planner.plan import plan

NODES = three_racks(2)
LATER = NOW + timedelta(hours=1)
SOON = Switching(default=Mode.TRAINING, cooldown=timedelta(seconds=10))


def pool_leaving(*names: str) -> Pool:
    """Two nodes, of which some change from training to inference."""
    switch = Switch(Mode.TRAINING, Mode.INFERENCE, SwitchStep.NOTIFIED, NOW, NOW)
    return replace(a_pool(*NODES), switching=SOON, switches=dict.fromkeys(names, switch))


def decide(job: Job, pool: Pool, now: datetime = NOW) -> Decision:
    """The decision on the only job."""
    return plan(a_cluster(job, pool=pool), now).decisions[0]


def record(job: Job, pool: Pool, now: datetime = NOW) -> Recorded:
    """What the decision on the only job will leave in its status."""
    return decide(job, pool, now).record


def after(job: Job, record: Recorded, **changes: object) -> Job:
    """The job once this stands in its status."""
    gang = job.request
    assert isinstance(gang, Gang)
    workers = record.placement.nodes if record.placement else gang.sizes
    return replace(job, request=gang.of_size(len(workers)), recorded=record, **changes)  # type: ignore[arg-type]


def elastic(age: float = 100) -> Job:
    """A gang of one or two workers that runs on both nodes, and has saved nothing yet."""
    return running_job("job", "r1-n0", "r1-n1", sizes=(2, 1), age=age)


def speaking(job: Job, **saved: object) -> Job:
    """The job with a program that reports, and has saved for the sake of a request if that is said."""
    return replace(job, is_asked=True, heard=Heard(attempt=1, at=NOW, step=7, **saved))  # type: ignore[arg-type]


def test_a_gang_shrinks_away_from_a_node_that_changes_its_mode() -> None:
    """Announced, then carried out: it keeps the other node, whatever its rank."""
    pool = pool_leaving("r1-n0")
    told = decide(elastic(), pool)
    assert told.stage is Stage.RUNNING
    assert told.record.eviction
    assert (told.record.eviction.reason, told.record.eviction.workers) == (Reason.MODE_SWITCH, 1)
    done = record(after(elastic(), told.record), pool)
    assert done.placement
    assert (done.placement.nodes, done.attempt, done.preemptions) == (("r1-n1",), 2, 1)


def test_a_gang_of_one_size_looks_for_another_place() -> None:
    """It has no legal size on what is left."""
    job = running_job("job", "r1-n0", "r1-n1")
    told = record(job, pool_leaving("r1-n1"))
    done = decide(after(job, told), pool_leaving("r1-n1"))
    assert (done.record.placement, done.stage) == (None, Stage.QUEUED)


def test_nothing_is_taken_while_the_node_stays() -> None:
    """What was announced is taken back."""
    told = record(elastic(), pool_leaving("r1-n0"))
    assert record(after(elastic(), told), a_pool(*NODES)).eviction is None


def test_a_program_that_reports_is_asked_first() -> None:
    """Request, answer, end: one cycle each, and each stands in status before the next."""
    pool, job = pool_leaving("r1-n0"), speaking(elastic())
    job = after(job, record(job, pool))
    asked = decide(job, pool)
    assert asked.record.eviction
    assert (asked.record.eviction.asked_at, asked.record.eviction.deadline) == (NOW, NOW + job.grace)
    assert (asked.wake_at, asked.record.attempt) == (NOW + job.grace, 1)
    job = after(job, asked.record)
    assert record(job, pool).eviction == asked.record.eviction
    request = asked.record.eviction.request(1)
    answer = speaking(job, saved=Checkpoint(1, 7, "there", NOW), request=request)
    answered = record(answer, pool)
    assert answered.eviction
    assert (answered.eviction.is_answered, answered.attempt, answered.checkpoint) == (True, 1, answer.heard.saved)  # type: ignore[union-attr]
    done = record(after(answer, answered), pool)
    assert done.eviction
    assert (done.attempt, done.eviction.lost) == (2, 0)


def test_an_answer_to_another_request_does_not_count() -> None:
    """It was made for something that was taken back."""
    pool, job = pool_leaving("r1-n0"), speaking(elastic())
    job = after(job, record(job, pool))
    job = after(job, record(job, pool))
    other = speaking(job, saved=Checkpoint(1, 7, "there", NOW), request="1-2020-01-01T00:00:00Z")
    decision = record(other, pool)
    assert decision.eviction
    assert not decision.eviction.is_answered


def test_who_does_not_answer_in_time_is_ended() -> None:
    """It gets SIGTERM, and loses what it did since it last saved."""
    pool, job = pool_leaving("r1-n0"), speaking(elastic())
    job = after(job, record(job, pool))
    job = after(job, record(job, pool))
    assert record(job, pool, NOW + job.grace - timedelta(seconds=1)).attempt == 1
    done = record(job, pool, NOW + job.grace)
    assert done.eviction
    assert (done.attempt, done.eviction.lost) == (2, 130 * 16)


def test_a_pool_that_forces_waits_for_no_answer_at_the_deadline() -> None:
    """The pods are ended then, so the place must be gone."""
    stuck = Switch(Mode.TRAINING, Mode.INFERENCE, SwitchStep.STUCK, NOW, NOW)
    pool = replace(pool_leaving(), switches={"r1-n0": stuck})
    job = speaking(elastic())
    job = after(job, record(job, pool))
    job = after(job, record(job, pool))
    assert record(job, pool).attempt == 1
    assert record(job, replace(pool, switching=replace(SOON, is_forced=True, is_enforced=True))).attempt == 2


def test_who_has_answered_goes_though_nobody_needs_it_any_more() -> None:
    """Its program takes no further step: only a new attempt brings it back."""
    job = elastic()
    told = Eviction("node r1-n0", Reason.MODE_SWITCH, "why", 1, asked_at=NOW, deadline=LATER, is_answered=True)
    done = record(replace(job, recorded=replace(job.recorded, eviction=told)), a_pool(*NODES))
    assert (done.attempt, done.placement and done.placement.nodes) == (2, ("r1-n0",))


@pytest.mark.parametrize("phase", [Phase.SUCCEEDED, Phase.FAILED])
def test_who_was_told_to_stop_may_end_as_it_likes(phase: Phase) -> None:
    """It has neither completed nor failed."""
    job = elastic()
    told = Eviction("node r1-n0", Reason.MODE_SWITCH, "why", 1, asked_at=NOW, deadline=LATER, is_answered=True)
    ended = tuple(replace(worker, phase=phase) for worker in job.workers)
    job = replace(job, workers=ended, recorded=replace(job.recorded, eviction=told))
    done = record(job, pool_leaving("r1-n0"))
    assert (done.outcome, done.attempt, done.failures, done.preemptions) == (None, 2, 0, 1)


def test_work_counts_as_lost_since_the_last_checkpoint_of_this_attempt() -> None:
    """An earlier attempt's says nothing of this one."""
    job = elastic(age=100)
    costs = []
    for attempt in (1, 0):
        saved = Checkpoint(attempt, 7, "", NOW - timedelta(seconds=30))
        told = record(replace(job, recorded=replace(job.recorded, checkpoint=saved)), pool_leaving("r1-n0"))
        costs.append(told.eviction and told.eviction.lost)
    assert costs == [30 * 16, 100 * 16]


def answered(job: Job, workers: int) -> Job:
    """The job whose program has stopped, to go on with so many workers."""
    told = Eviction("some node", Reason.MODE_SWITCH, "why", workers, asked_at=NOW, deadline=LATER, is_answered=True)
    return replace(job, recorded=replace(job.recorded, eviction=told))


@pytest.mark.parametrize(
    ("leaving", "left"),
    [
        (("r1-n3",), ("r1-n0", "r1-n1")),
        (("r1-n0", "r1-n3"), ("r1-n1", "r1-n2")),
        (("r1-n0", "r1-n1", "r1-n3"), None),
    ],
)
def test_a_gang_that_has_to_leave_more_nodes_than_it_was_told_keeps_to_legal_sizes(
    leaving: tuple[str, ...], left: tuple[str, ...] | None
) -> None:
    """It was to have two workers, and none of fewer is legal."""
    names = [node.name for node in three_racks(4)]
    job = answered(running_job("job", *names, sizes=(4, 2)), workers=2)
    done = record(job, replace(pool_leaving(*leaving), table=a_pool(*three_racks(4)).table))
    assert (done.placement and done.placement.nodes) == left


def test_names_of_nodes_are_cut_to_what_status_takes() -> None:
    """Whatever they are, what was told is known again in the next cycle."""
    nodes = [a_node(f"{number}".rjust(253, "n"), rack="r1") for number in range(4)]
    pool = replace(pool_leaving(*(node.name for node in nodes[:3])), table=a_pool(*nodes).table)
    job = running_job("job", *(node.name for node in nodes), sizes=(4, 1))
    told = record(job, pool)
    assert told.eviction
    assert len(told.eviction.by) == 512
    assert record(after(job, told), pool).attempt == 2


def small(age: float = 1000) -> Job:
    """A gang of one or two workers that runs on one node."""
    return running_job("job", "r1-n1", sizes=(2, 1), age=age)


def test_a_gang_grows_where_there_is_room() -> None:
    """With ranks along the topology anew."""
    pool = a_pool(*NODES)
    told = record(small(), pool)
    assert told.eviction
    assert (told.eviction.reason, told.eviction.workers) == (Reason.RESIZED, 2)
    done = record(after(small(), told), pool)
    assert done.placement
    assert (done.placement.nodes, done.attempt, done.preemptions) == (("r1-n0", "r1-n1"), 2, 0)
    assert (done.placement.since, done.placement.held_since) == (NOW, NOW - timedelta(seconds=1000))


def test_a_gang_of_which_a_rank_has_finished_does_not_grow() -> None:
    """It would have to train its part again."""
    job, pool = running_job("job", "r1-n0", "r1-n1", sizes=(3, 2), age=1000), a_pool(*three_racks(3))
    assert record(job, pool).eviction
    assert record(replace(job, recorded=replace(job.recorded, completed=(0,))), pool).eviction is None


def test_a_gang_grows_no_more_often_than_the_cooldown_allows() -> None:
    """It says when it will."""
    pool = replace(a_pool(*NODES), switching=SOON)
    early = plan(a_cluster(small(age=9), pool=pool), NOW)
    assert (early.decisions[0].record.eviction, early.wake_at) == (None, NOW + timedelta(seconds=1))
    assert record(small(age=10), pool).eviction


@pytest.mark.parametrize("used", [{"r1-n0": 1}, {"r1-n0": 8}])
def test_a_gang_stays_as_it_is_without_room(used: Mapping[str, int]) -> None:
    """Others hold what it would need."""
    assert record(small(), a_pool(*NODES, used=used)).eviction is None


@pytest.mark.parametrize("limit", [0, 8, 16, 32])
def test_a_gang_stays_as_it_is_where_its_team_may_not_have_more(limit: int) -> None:
    """Not even what it has, where the limit was lowered since."""
    pool = replace(a_pool(*NODES), quotas=(a_quota("default", limit=limit),))
    eviction = record(small(), pool).eviction
    assert (eviction is not None) == (limit >= 16)


def test_gangs_that_grow_at_once_keep_to_the_limit_of_their_team_together() -> None:
    """It leaves room for one of them to grow."""
    pool = replace(a_pool(*three_racks(4)), quotas=(a_quota("default", limit=24),))
    jobs = [running_job(name, f"r1-n{i}", sizes=(2, 1), age=1000) for i, name in enumerate(("a", "b"))]
    world = World.of(pool, *jobs)
    used = [world.step().pools[0].teams[0].used for _ in range(4)]
    assert used == [16_000, 24_000, 24_000, 24_000]
    assert [len(nodes) for nodes in world.places().values()] == [2, 1]


def test_a_gang_for_which_there_is_no_hope_keeps_nobody_from_growing() -> None:
    """It would not fit if the pool were empty."""
    decisions = plan(a_cluster(small(), a_job("huge", age=1), pool=a_pool(*NODES)), NOW).decisions
    assert [decision.record.eviction is not None for decision in decisions] == [False, True]


def test_a_program_that_says_nothing_does_not_grow() -> None:
    """It would lose all that it has done since it last saved, and nobody needs that."""
    assert record(replace(small(), is_asked=True), a_pool(*NODES)).eviction is None


def test_a_program_that_does_not_answer_stays_as_it_is() -> None:
    """It is asked again an hour later; meanwhile no request stands."""
    pool, job = a_pool(*NODES), speaking(small())
    for _ in range(2):
        job = after(job, record(job, pool))
    assert job.recorded.eviction
    assert job.recorded.eviction.deadline
    late = job.recorded.eviction.deadline
    refused = decide(job, pool, late)
    assert (refused.record.attempt, refused.wake_at) == (1, late + timedelta(hours=1))
    assert refused.record.eviction
    assert refused.record.eviction.asked_at is None
    job = after(job, refused.record)
    assert record(job, pool, late + timedelta(minutes=59)).eviction == refused.record.eviction
    again = record(job, pool, late + timedelta(hours=1)).eviction
    assert again
    assert again.asked_at == late + timedelta(hours=1)


def test_nobody_grows_while_others_wait() -> None:
    """What is free is theirs, or will be."""
    waiting = a_job("waiting", a_gang(workers=2), age=1)
    decisions = plan(a_cluster(small(), waiting, pool=a_pool(*NODES)), NOW).decisions
    assert [decision.record.eviction for decision in decisions] == [None, None]
