"""When work goes and what others may take from it."""

from datetime import timedelta
from typing import Any

import pytest

from support.manifests import job
from trainpush.admission.scheduling import Priorities, PriorityClass, min_runtime_of, preemption_of
from trainpush.api.demand import PriorityStatus
from trainpush.api.trainpushjob import TrainPushJob, TrainPushJobSpec
from trainpush.model.workload import Preemption

HIGH = PriorityClass(100)
CLASSES = Priorities(
    {"high": HIGH, "low": PriorityClass(-5), "calm": PriorityClass(50, preempts=False)}, default=PriorityClass(7)
)
WAS = PriorityStatus(class_name="was", value=40, preemption_policy="Never")
"""What a class said that is gone."""
WAS_DEFAULT = PriorityStatus(value=9)
"""What a default class said that is gone."""


def a_spec(**spec: Any) -> TrainPushJobSpec:
    """The spec of a job."""
    return TrainPushJob.parse(job("job", 2, **spec)).spec


@pytest.mark.parametrize(
    ("name", "before", "says"),
    [
        ("high", None, PriorityStatus(class_name="high", value=100)),
        ("low", None, PriorityStatus(class_name="low", value=-5)),
        ("calm", None, PriorityStatus(class_name="calm", value=50, preemption_policy="Never")),
        (None, None, PriorityStatus(value=7)),
        ("was", WAS, WAS),
        ("misspelt", WAS, WAS),
        ("was", None, None),
        ("high", WAS, PriorityStatus(class_name="high", value=100)),
        (None, WAS, PriorityStatus(value=7)),
        ("high", PriorityStatus(class_name="high", value=1), PriorityStatus(class_name="high", value=100)),
    ],
)
def test_a_priority_is_what_the_class_says_else_what_it_said(
    name: str | None, before: PriorityStatus | None, says: PriorityStatus | None
) -> None:
    """Whoever loses its class loses nothing by it, and gains nothing by a name of no class."""
    assert CLASSES.of(name, before) == says


@pytest.mark.parametrize(("before", "says"), [(None, 0), (WAS_DEFAULT, 9), (WAS, 0)])
def test_without_a_default_class_what_the_last_one_said_stays(before: PriorityStatus | None, says: int) -> None:
    """And where there was none all are alike, as in Kubernetes; a name that was taken away counts no more."""
    assert Priorities({"high": HIGH}).of(None, before) == PriorityStatus(value=says)


def test_only_a_name_that_was_never_there_is_a_fault() -> None:
    """And the message says what is."""
    assert CLASSES.fault("high") is None
    assert CLASSES.fault(None) is None
    assert CLASSES.fault("was", WAS) is None
    assert CLASSES.fault("misspelt", WAS) is not None
    fault = Priorities().fault("high")
    assert fault is not None
    assert fault.message.endswith('there is no PriorityClass "high"; there are: none')


def test_a_message_names_few_of_many_classes() -> None:
    """A condition is no inventory."""
    fault = Priorities({f"c{number:03}": PriorityClass(number) for number in range(100)}).fault("high")
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
