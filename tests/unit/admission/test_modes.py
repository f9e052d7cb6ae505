"""What a GPUPool wants of its nodes' modes."""

from datetime import UTC, datetime, time, timedelta
from typing import Any

import pytest

from trainpush.admission.modes import switching_of, tolerance
from trainpush.api.gpupool import GPUPoolSpec
from trainpush.model.modes import Bounds, Hook, Mode, Switching
from trainpush.model.nodes import Taint
from trainpush.model.reasons import Reason
from trainpush.model.workload import Refusal

DAY = {"name": "day", "from": "08:00", "to": "20:00", "inference": {"min": 8}}


def a_spec(**fields: Any) -> GPUPoolSpec:
    """The spec of a pool."""
    return GPUPoolSpec.model_validate({"nodeSelector": {"pool": "a100"}, **fields})


def switching(**fields: Any) -> Switching:
    """What a sound spec comes to."""
    found = switching_of(a_spec(**fields))
    assert isinstance(found, Switching)
    return found


def test_a_pool_without_modes_touches_no_node() -> None:
    """Whatever its limits say."""
    assert switching_of(a_spec(switching={"policy": "Enforce"})) is None


def test_the_defaults_are_those_of_the_model() -> None:
    """Two places name them."""
    bounds = {Mode.TRAINING: Bounds(), Mode.INFERENCE: Bounds()}
    assert switching(modes={}) == Switching(bounds=bounds)


def test_every_field_means_something() -> None:
    """Nothing is lost on the way."""
    found = switching(
        topology={"levels": [{"name": "rack", "label": "example.com/rack"}]},
        modes={
            "training": {"min": 2, "max": 14},
            "inference": {"min": 1},
            "default": "Training",
            "schedule": [{**DAY, "timeZone": "Asia/Shanghai", "days": ["Mon", "Sun"]}, {**DAY, "name": "always"}],
        },
        switching={
            "policy": "Enforce",
            "unit": "rack",
            "maxConcurrent": 3,
            "minTimeInMode": "1h30m",
            "cooldown": "0s",
            "perHour": 7,
            "drainDeadline": "90s",
            "onDeadline": "Force",
            "warmImages": ["b", "a"],
            "hook": {"label": "a.com/b", "stateLabel": "a.com/c", "values": {"training": "t", "shared": "s"}},
        },
    )
    day, always = found.windows
    assert found.default is Mode.TRAINING
    assert found.bounds == {Mode.TRAINING: Bounds(2, 14), Mode.INFERENCE: Bounds(1)}
    assert (day.name, day.begin, day.end) == ("day", time(8), time(20))
    assert day.days == {0, 6}
    assert day.bounds == {Mode.INFERENCE: Bounds(8)}
    assert datetime(2026, 1, 1, 8, tzinfo=day.zone).astimezone(UTC) == datetime(2026, 1, 1, tzinfo=UTC)
    assert always.days == set(range(7))
    assert (found.is_enforced, found.is_forced, found.max_concurrent, found.per_hour) == (True, True, 3, 7)
    assert (found.min_time_in_mode, found.cooldown) == (timedelta(minutes=90), timedelta(0))
    assert found.drain_deadline == timedelta(seconds=90)
    assert found.unit == "rack"
    assert found.warm_images == ("b", "a")
    assert found.hook == Hook("a.com/b", {Mode.TRAINING: "t", Mode.SHARED: "s"}, "a.com/c")


def test_clocks_follow_daylight_saving_time() -> None:
    """Eight o'clock in Berlin is another moment in summer."""
    zone = switching(modes={"schedule": [{**DAY, "timeZone": "Europe/Berlin"}]}).windows[0].zone
    hours = [datetime(2026, month, 15, 8, tzinfo=zone).astimezone(UTC).hour for month in (1, 7)]
    assert hours == [7, 6]


@pytest.mark.parametrize("zone", ["Europe/Atlantis", "Europe", "CET+1", "a/b/c", "UTC/UTC", "utc0", "localtime"])
def test_an_unknown_time_zone_is_refused_with_field_and_remedy(zone: str) -> None:
    """Also what is a folder of the database, lies below a file of it, or is each machine's own."""
    spec = a_spec(modes={"schedule": [DAY, {**DAY, "name": "other", "timeZone": zone}]})
    found = switching_of(spec)
    assert isinstance(found, Refusal)
    assert found.reason == Reason.INVALID_SPEC
    assert found.message.startswith(f'spec.modes.schedule[1].timeZone: there is no time zone "{zone}"; use a name')


def test_a_unit_that_is_no_level_is_refused_with_those_that_are() -> None:
    """Nodes without a topology switch one by one."""
    found = switching_of(a_spec(modes={}, switching={"unit": "rack"}))
    assert found == Refusal(
        Reason.INVALID_SPEC, 'spec.switching.unit: the topology of this pool has no level "rack"; it has: host'
    )


def test_a_pod_is_let_onto_nodes_of_its_mode_only() -> None:
    """By the exact value."""
    taints = {mode: Taint("training.ai/mode", mode, "NoSchedule") for mode in Mode}
    assert [mode for mode, taint in taints.items() if tolerance(Mode.TRAINING).covers(taint)] == [Mode.TRAINING]
