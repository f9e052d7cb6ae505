"""What a cycle has to carry out."""

from dataclasses import replace
from types import SimpleNamespace
from typing import Any

import pytest

from support.build import NOW, a_placement
from support.manifests import job, pool
from trainpush.controller.changes import WORDING_MAX, Changes
from trainpush.controller.observe import Observation, observe
from trainpush.kube.store import Kind, Store
from trainpush.model.plan import Decision, Plan, Stage, Verdict
from trainpush.model.reasons import Reason
from trainpush.model.records import Records
from trainpush.model.snapshot import Snapshot
from trainpush.model.workload import Key, Recorded, Refusal

WAITS = Verdict(Reason.WAITING_FOR_CAPACITY, "no room")
MANY = 2 * WORDING_MAX + 1


def decided(verdict: Verdict = WAITS, count: int = MANY) -> list[Decision]:
    """Decisions on so many jobs that wait."""
    return [Decision(Key("team", f"job-{n:03}"), Recorded(), Stage.QUEUED, verdict) for n in range(count)]


def names(changes: Changes, decisions: list[Decision], backlog: int = 0) -> list[str]:
    """The jobs to which a cycle turns that decided this."""
    seen: Any = SimpleNamespace(record=Recorded())
    known = {decision.key: seen for decision in decisions}
    refused = {key: Refusal("Any", "any") for key in known}
    observation = Observation(Snapshot((), ()), known, {}, {}, refused, dict.fromkeys(known, 1), {}, {}, {}, ())
    plan = Plan(Records(decisions), pools=(), services=(), wake_at=None)
    tasks = changes.tasks(observation, plan, backlog)
    found = sorted(str(task.decision.key) for task in tasks if isinstance(task.decision, Decision))
    changes.carried_out()
    return found


@pytest.mark.parametrize(("nodes", "world_size"), [((), 32), (("n1",), 8), (("n1", "n2"), 16)], ids=str)
def test_a_status_says_how_large_the_world_is_that_runs(nodes: tuple[str, ...], world_size: int) -> None:
    """Without a place it says what the largest legal size would come to."""
    store = Store()
    elastic = {"minReplicas": 1, "maxReplicas": 4}
    take(store.pools, pool("pool", "any"))
    take(store.jobs, job("job", replicas=2, elastic=elastic, strategy={"type": "FSDP"}))
    seen = observe(store, lambda uid: "", "")
    place = a_placement(*nodes) if nodes else None
    runs = Verdict(Reason.RUNNING, "why")
    decision = Decision(Key("team", "job"), Recorded(placement=place), Stage.RUNNING, runs)
    (task,) = Changes().tasks(seen, Plan(Records([decision]), pools=(), services=(), wake_at=None))
    status = task.status(NOW)
    assert (status["resolved"]["worldSize"], status["resolved"]["shardingDegree"]) == (world_size, world_size)
    assert status["replicas"] == {"desired": 4, "assigned": len(nodes), "running": 0}


def take(kind: Kind[Any, Any], manifest: Any) -> None:
    """An object as a watch would bring it."""
    identity = {"namespace": "team", "uid": "uid", "resourceVersion": "1"}
    kind.take({**manifest, "metadata": {**manifest["metadata"], **identity}})


def test_what_is_the_very_same_is_not_looked_at_again() -> None:
    changes, first = Changes(), decided()
    assert len(names(changes, first)) == MANY
    assert names(changes, first) == []
    assert len(names(changes, [*first[1:], *decided(count=1)])) == 1


def test_wording_waits_for_what_was_decided_and_all_of_it_is_said() -> None:
    changes, first = Changes(), decided()
    names(changes, first)
    urgent = replace(first[-1], stage=Stage.STARTING)
    later = [*decided(replace(WAITS, message="still none"), MANY - 1), urgent]
    told = names(changes, later, backlog=WORDING_MAX + 9)
    assert told == [str(urgent.key)]
    for _ in range(3):
        told += names(changes, later)
    assert sorted(told) == sorted(str(decision.key) for decision in later)
    assert names(changes, later) == []


def test_what_was_not_carried_out_is_said_again() -> None:
    changes, first = Changes(), decided(count=3)
    assert len(names(changes, first)) == 3
    changes.forget()
    assert len(names(changes, first)) == 3
