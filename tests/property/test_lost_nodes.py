"""Whatever becomes of nodes and their labels: gangs begin where they may, and keep a place only for a while."""

from collections import Counter
from dataclasses import replace
from datetime import timedelta
from typing import Final

from hypothesis import given
from hypothesis import strategies as st

from support.build import a_gang, a_job, a_node, a_pool
from support.training_world import World
from trainpush.model.actions import MakeWorker
from trainpush.model.gang import Gang
from trainpush.model.nodes import NodeTable
from trainpush.model.plan import Decision, Stage
from trainpush.model.workload import Job, Phase
from trainpush.planner import lifecycle
from trainpush.planner.placing.placement import torn

NAMES: Final = [f"n{i}" for i in range(5)]
RACKS: Final = st.sampled_from(["r1", "r1", "r2", None])
GANGS: Final = st.sampled_from(
    [a_gang(1), a_gang(3), a_gang(2, required="rack"), a_gang(3, sizes=(3, 2, 1)), a_gang(4, gpus=4)]
)


@given(st.data())
def test_gangs_begin_where_they_may_and_keep_a_place_for_a_while(data: st.DataObject) -> None:
    """Nodes fall silent, are cordoned, relabelled and come back, in any order, while jobs come."""
    draw = data.draw
    nodes = {name: a_node(name, rack=draw(RACKS)) for name in NAMES}
    world = World.of(a_pool(*nodes.values()))
    for number in range(draw(st.sampled_from([4, 12]))):
        if draw(st.booleans()):
            world.add(a_job(f"j{number}", draw(GANGS), priority=draw(st.sampled_from([0, 0, 5]))))
        name = draw(st.sampled_from(NAMES))
        ready, cordoned = draw(st.booleans()), draw(st.integers(0, 3)) == 0
        nodes[name] = a_node(name, rack=draw(RACKS), ready=ready, cordoned=cordoned)
        world.pool = a_pool(*nodes.values())
        if not ready:
            _lose(world, name)
        world.now += timedelta(seconds=draw(st.sampled_from([0, 29, 300])))
        before = dict(world.jobs)
        decisions = list(world.step().decisions)
        for decision in decisions:
            _look(before[decision.key], decision, world.pool.table)
        held = Counter[str]()
        for decision in decisions:
            gang, place = before[decision.key].request, decision.record.placement
            assert isinstance(gang, Gang)
            for node in place.nodes if place else ():
                held[node] += gang.requirements.accelerators
        assert max(held.values(), default=0) <= 8


def _lose(world: World, name: str) -> None:
    """The pods on a node end with it."""
    for key, job in world.jobs.items():
        ended = (replace(it, phase=Phase.FAILED, disrupted=True) if it.node == name else it for it in job.workers)
        world.jobs[key] = replace(job, workers=tuple(ended))


def _look(job: Job, decision: Decision, table: NodeTable) -> None:
    """Nothing of a decision is against what its gang may have."""
    gang, place, former = job.request, decision.record.placement, job.recorded.placement
    assert isinstance(gang, Gang)
    made = [action.node for action in decision.actions if isinstance(action, MakeWorker)]
    if made and place and not lifecycle.has_begun(job):
        rows = [table.rows[node] for node in place.nodes]
        assert all(table.ready[row] and not table.cordoned[row] for row in rows)
        assert not torn(gang, table, dict(enumerate(rows)))
    is_kept = place is not None and decision.stage is Stage.QUEUED
    assert is_kept == (place is not None and place.kept_until is not None)
    if place and place.kept_until and former and former.nodes == place.nodes and former.kept_until:
        assert place.kept_until <= former.kept_until
