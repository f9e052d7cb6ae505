"""When work goes and what others may take from it."""

from datetime import timedelta
from typing import Any

import pytest

from support.manifests import job
from trainpush.admission.scheduling import Priorities, min_runtime_of, preemption_of
from trainpush.api.trainpushjob import TrainPushJob, TrainPushJobSpec
from trainpush.model.workload import Preemption

CLASSES = Priorities({"high": 100, "low": -5}, default=7)


def a_spec(**spec: Any) -> TrainPushJobSpec:
    """The spec of a job."""
    return TrainPushJob.parse(job("job", 2, **spec)).spec


@pytest.mark.parametrize(("name", "value"), {"high": 100, "low": -5, None: 7, "gone": 7}.items())
def test_a_priority_is_the_value_of_the_class_else_the_default(name: str | None, value: int) -> None:
    """Work that lost its class does not stand still for it."""
    assert CLASSES.of(name) == value


def test_without_any_class_all_are_alike() -> None:
    """As in Kubernetes."""
    assert Priorities().of(None) == 0
    assert Priorities().fault(None) is None


def test_only_a_name_that_is_not_there_is_a_fault() -> None:
    """And the message says what is."""
    assert CLASSES.fault("high") is None
    fault = Priorities().fault("high")
    assert fault is not None
    assert fault.message.endswith('there is no PriorityClass "high"; there are: none')


def test_a_message_names_few_of_many_classes() -> None:
    """A condition is no inventory."""
    fault = Priorities({f"c{number:03}": number for number in range(100)}).fault("high")
    assert fault is not None
    assert fault.message.endswith("c014, c015 and 84 more")


@pytest.mark.parametrize(
    ("spec", "preemption"),
    [
        ({}, Preemption.ALWAYS),
        ({"elastic": {"minReplicas": 1}}, Preemption.BEYOND_MIN),
        ({"elastic": {"minReplicas": 1}, "scheduling": {"preemption": "Always"}}, Preemption.ALWAYS),
        ({"scheduling": {"preemption": "Never"}}, Preemption.NEVER),
    ],
)
def test_an_elastic_gang_keeps_its_least_size_unless_it_says_otherwise(
    spec: dict[str, Any], preemption: Preemption
) -> None:
    """Others may take the rest."""
    assert preemption_of(a_spec(**spec)) is preemption


@pytest.mark.parametrize(("written", "meant"), {"0s": 0, "10m": 600, "1h30m": 5400, "168h": 604_800}.items())
def test_a_least_run_time(written: str, meant: int) -> None:
    """From no time to a week."""
    assert min_runtime_of(a_spec(scheduling={"minRuntime": written})) == timedelta(seconds=meant)
    assert min_runtime_of(a_spec()) == timedelta(0)
