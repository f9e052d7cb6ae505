"""Summaries of pools as status, and the Events that tell of their switches."""

from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from support.build import GPU, NOW
from trainpush.api.base import Metadata
from trainpush.api.gpupool import GPUPoolStatus
from trainpush.api.modes import HISTORY_MAX, SWITCHES_MAX
from trainpush.model.modes import Mode, SwitchStep
from trainpush.model.plan import Condition, FinishedSwitch, ModesSummary, PlannedSwitch, PoolSummary, TeamUse
from trainpush.model.reasons import Reason
from trainpush.model.workload import Refusal
from trainpush.render.events import pool_events
from trainpush.status.pool import ModesSeen, write

OF = Metadata(name="a100", uid="uid")
SEEN = ModesSeen()
GOING = PlannedSwitch("n1", Mode.TRAINING, Mode.INFERENCE, SwitchStep.DRAINING, "service team/a", ("team/job",), 12_345)
SETTLED = Condition(True, Reason.SETTLED, "as wanted")
STUCK = Condition(False, Reason.STUCK, "node n1: team/job is still there")
MODES = ModesSummary({Mode.TRAINING: 6, Mode.INFERENCE: 2}, switching=0, settled=SETTLED)


def a_summary(**fields: object) -> PoolSummary:
    """A pool of two nodes."""
    counts = dict.fromkeys(("cordoned", "not_ready", "total", "used", "free", "unavailable"), 0)
    return PoolSummary(**{"name": "pool", "nodes": 2, "ready": 2, "largest_free": {}, **counts} | fields)  # type: ignore[arg-type]


def test_a_pool_shows_what_each_team_holds() -> None:
    """In whole accelerators; without a limit where there is none."""
    teams = (
        TeamUse("a", GPU, 16_000, 8_000, 24_000),
        TeamUse("a", "amd.com/gpu", 0, 0, None),
        TeamUse("b", GPU, 1, 0, None),
    )
    assert write(a_summary(teams=teams), 1, {}, NOW)["quotas"] == [
        {
            "name": "a",
            "resources": {
                GPU: {"used": 16, "guarantee": 8, "limit": 24},
                "amd.com/gpu": {"used": 0, "guarantee": 0},
            },
        },
        {"name": "b", "resources": {GPU: {"used": 1, "guarantee": 0}}},
    ]


def test_counts_beyond_all_measure_fit_the_schema() -> None:
    """The API server would refuse what it does not take."""
    going = replace(GOING, why="x" * 9000, victims=tuple(f"team/{i}" for i in range(99)), lost=2**70)
    modes = replace(MODES, planned=tuple(replace(going, node=f"n{i}") for i in range(99)))
    summary = a_summary(teams=(TeamUse("a", GPU, 2**62, 0, 2**62),), modes=modes)
    found = GPUPoolStatus.model_validate(write(summary, 1, {}, NOW, SEEN))
    assert found.quotas[0].name == "a"
    assert len(found.plan) == SWITCHES_MAX


def test_a_pool_without_quotas_says_nothing_of_them() -> None:
    assert "quotas" not in write(a_summary(), 1, {}, NOW)


@pytest.mark.parametrize(
    ("fields", "expected"),
    [
        ({"nodes": 1}, "the pool has 1 node"),
        ({"shared_nodes": ("n1", "n2")}, "the pool has 2 nodes; an older pool has 2 nodes that would match: n1, n2"),
    ],
    ids=str,
)
def test_a_pool_counts_its_nodes_in_plain_words(fields: dict[str, object], expected: str) -> None:
    conditions = write(a_summary(**fields), 1, {}, NOW)["conditions"]
    assert next(c["message"] for c in conditions if c["type"] == "NodesFound") == expected


def a_switch(number: int, outcome: SwitchStep = SwitchStep.ACTIVE, node: str = "n1") -> FinishedSwitch:
    """One of many that took a minute each."""
    begun = NOW + timedelta(minutes=number)
    return FinishedSwitch(node, Mode.TRAINING, Mode.INFERENCE, begun, begun + timedelta(minutes=1), outcome)


def conditions(status: dict[str, Any]) -> dict[str, tuple[str, str]]:
    """Status and reason by type."""
    return {entry["type"]: (entry["status"], entry["reason"]) for entry in status["conditions"]}


def test_a_pool_without_modes_says_nothing_of_them() -> None:
    """No counts, no conditions; and what it had said before goes."""
    old = {"modes": {"training": 2}, "switches": [{"node": "n"}]}
    status = write(a_summary(), 1, old, NOW)
    assert not {"modes", "plan", "switches"} & status.keys()
    assert conditions(status).keys() == {"Ready", "NodesFound", "TopologyKnown"}


def test_a_pool_shows_what_changes() -> None:
    """Counts for people, the plan with its cost in two digits."""
    modes = replace(MODES, switching=1, planned=(GOING,), settled=Condition(False, Reason.SWITCHING, "1 node"))
    status = write(a_summary(modes=modes), 1, {}, NOW, SEEN)
    assert status["modes"] == {"training": 6, "inference": 2, "shared": 0, "maintenance": 0, "switching": 1}
    assert status["plan"] == [
        {
            "node": "n1",
            "from": "Training",
            "to": "Inference",
            "step": "Draining",
            "why": "service team/a",
            "victims": ["team/job"],
            "lostAcceleratorSeconds": 13_000,
        }
    ]
    assert conditions(status)["ModeSettled"] == ("False", "Switching")
    assert conditions(status)["Degraded"] == ("False", "Ready")


@pytest.mark.parametrize(("lost", "shown"), [(0, 0), (7, 7), (99, 99), (100, 100), (101, 110), (12_001, 13_000)])
def test_what_grows_by_the_second_is_not_written_by_the_second(lost: int, shown: int) -> None:
    """Never less than it is."""
    modes = replace(MODES, planned=(replace(GOING, lost=lost),))
    plan = write(a_summary(modes=modes), 1, {}, NOW, SEEN)["plan"]
    assert plan[0]["lostAcceleratorSeconds"] == shown


def test_switches_that_are_over_are_kept_the_latest_first() -> None:
    """As many as there is room for; one that is told again stays as it was first told."""
    status: dict[str, Any] = {}
    for number in range(40):
        modes = replace(MODES, finished=(a_switch(number), a_switch(number, node="n2")))
        status = write(a_summary(modes=modes), 1, status, NOW + timedelta(hours=2), SEEN)
    assert len(status["switches"]) == SWITCHES_MAX
    assert [entry["node"] for entry in status["switches"][:3]] == ["n2", "n1", "n2"]
    again = replace(a_switch(39), ended=NOW + timedelta(hours=9))
    later = write(a_summary(modes=replace(MODES, finished=(again,))), 1, status, NOW, SEEN)
    assert later["switches"] == status["switches"]
    assert later == write(a_summary(modes=MODES), 1, later, NOW, SEEN)


def test_all_switches_of_the_last_hour_are_kept() -> None:
    """Else more than `perHour` might begin, where nodes went to and fro; what is older goes with the next that ends."""
    status: dict[str, Any] = {}
    for number in range(90):
        modes = replace(MODES, finished=(a_switch(number), a_switch(number, node="n2")))
        status = write(a_summary(modes=modes), 1, status, NOW + timedelta(minutes=number), SEEN)
    assert len(status["switches"]) == 2 * 60
    later = write(a_summary(modes=MODES), 1, status, NOW + timedelta(days=1), SEEN)
    assert later["switches"] == status["switches"], "nothing is written only because time goes by"
    read = GPUPoolStatus.model_validate({"switches": status["switches"]})
    assert min(switch.begun for switch in read.switches) == NOW + timedelta(minutes=30)


def test_a_status_does_not_grow_without_bound() -> None:
    many = tuple(a_switch(0, node=f"n{number}") for number in range(HISTORY_MAX + 5))
    status = write(a_summary(modes=replace(MODES, finished=many)), 1, {}, NOW, SEEN)
    assert len(status["switches"]) == HISTORY_MAX


@pytest.mark.parametrize(
    ("modes", "seen", "settled", "degraded"),
    [
        (MODES, SEEN, ("True", "Settled"), ("False", "Ready")),
        (replace(MODES, settled=STUCK), SEEN, ("False", "Stuck"), ("True", "Stuck")),
        (replace(MODES, settled=replace(STUCK, reason=Reason.FROZEN)), SEEN, ("False", "Frozen"), ("True", "Frozen")),
        (replace(MODES, settled=replace(STUCK, reason=Reason.DRY_RUN)), SEEN, ("False", "DryRun"), ("False", "Ready")),
        (
            None,
            ModesSeen(Refusal(Reason.INVALID_SPEC, "spec.modes.schedule[0].timeZone: no")),
            ("False", "InvalidSpec"),
            ("True", "InvalidSpec"),
        ),
    ],
    ids=str,
)
def test_conditions_say_whether_a_person_must_look(
    modes: ModesSummary | None, seen: ModesSeen, settled: tuple[str, str], degraded: tuple[str, str]
) -> None:
    """A pool that waits for nobody is not degraded."""
    found = conditions(write(a_summary(modes=modes), 1, {}, NOW, seen))
    assert (found["ModeSettled"], found["Degraded"]) == (settled, degraded)


def test_a_refused_pool_keeps_its_history() -> None:
    """A typing error in a calendar is mended soon."""
    status = write(a_summary(modes=replace(MODES, finished=(a_switch(1),))), 1, {}, NOW, SEEN)
    refused = write(a_summary(), 2, status, NOW, ModesSeen(Refusal(Reason.INVALID_SPEC, "no")))
    assert refused["switches"] == status["switches"]
    assert "modes" not in refused


def test_daemon_sets_that_would_not_come_back_are_named() -> None:
    """Few by name, all by number, with the remedy."""
    status = write(a_summary(modes=MODES), 1, {}, NOW, ModesSeen(repelled=tuple(f"ns/d{i}" for i in range(10))))
    message = next(entry["message"] for entry in status["conditions"] if entry["type"] == "DaemonSetsTolerate")
    assert message.startswith("ns/d0, ns/d1, ")
    assert "ns/d7 and 2 more would not come back on a node with a mode: let their pods tolerate" in message
    assert conditions(status)["DaemonSetsTolerate"] == ("False", "DaemonSetsRepelled")


def events(old: dict[str, Any], new: dict[str, Any]) -> list[dict[str, Any]]:
    """Those for what changed."""
    return pool_events("GPUPool", OF, GPUPoolStatus.read(old), GPUPoolStatus.read(new), NOW)


def told(old: dict[str, Any], new: dict[str, Any]) -> list[tuple[str, str, str]]:
    """Type, reason and note of each Event."""
    return [(event["type"], event["reason"], event["note"]) for event in events(old, new)]


def test_each_switch_is_told_once() -> None:
    """With what came of it."""
    none = write(a_summary(modes=MODES), 1, {}, NOW, SEEN)
    finished = (a_switch(1), a_switch(2, SwitchStep.ABORTED, "n2"))
    some = write(a_summary(modes=replace(MODES, finished=finished)), 1, none, NOW, SEEN)
    assert sorted(told(none, some)) == [
        ("Normal", "SwitchAborted", "node n2 stays Training: Inference is not needed any more"),
        ("Normal", "Switched", "node n1 changed from Training to Inference"),
    ]
    assert not told(some, some)


def test_a_person_is_called_once() -> None:
    """And again for another reason; Events of a pool lie where those of all objects without a namespace do."""
    good = write(a_summary(modes=MODES), 1, {}, NOW, SEEN)
    stuck = write(a_summary(modes=replace(MODES, settled=STUCK)), 1, good, NOW, SEEN)
    assert told(good, stuck) == [("Warning", "Stuck", STUCK.message)]
    assert not told(stuck, stuck)
    assert not told(stuck, good)
    event = events(good, stuck)[0]
    assert event["metadata"]["namespace"] == "default"
    assert event["regarding"] == {"apiVersion": "training.ai/v1", "kind": "GPUPool", "name": "a100", "uid": "uid"}
