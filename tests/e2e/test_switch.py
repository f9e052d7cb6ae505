"""Nodes that change between training and inference under load, with real containers on real nodes."""

import time
from collections.abc import Callable, Iterator

import pytest

from support.cluster import conditions
from support.digits import DigitsBed, Object
from support.figures import Figures
from support.installed_operator import InstalledOperator
from support.serving import Serving
from support.switching import KEPT, LENT, elastic_job, has, loss_curve, modes, steps_by_attempt
from support.traffic import traffic

STEPS = 200


@pytest.fixture
def served(real: DigitsBed, operator: InstalledOperator) -> Iterator[Serving]:
    """A namespace in which one replica serves on the node that training and inference share."""
    serving = Serving(real.namespace("switch"))
    with modes(real, serving.digits, {KEPT: "Shared"}):
        serving.digits.until(lambda: has(real.bed, KEPT, "Shared"), f"{KEPT} is shared")
        serving.digits.until(lambda: has(real.bed, LENT, "Training"), f"{LENT} trains")
        service = serving.service_manifest(replicas=1)
        service["spec"]["resources"] = {
            "requests": {"nvidia.com/gpu": 4, "cpu": "200m", "memory": "512Mi"},
            "limits": {"nvidia.com/gpu": 4},
        }
        serving.digits.apply(service)
        serving.digits.apply(serving.lean_job_manifest("--steps=60"))
        serving.until_pushed()
        yield serving
        serving.clear()


def scale(serving: Serving, replicas: int) -> None:
    """As a person or an autoscaler does it."""
    serving.kubectl("scale", "inferenceservices.training.ai/digits", f"--replicas={replicas}")


def runs(job: Object, attempt: int, workers: int) -> bool:
    """Whether that attempt runs with so many workers."""
    status = job.get("status", {})
    is_running = conditions(job)["Running"]["status"] == "True" if status else False
    return bool(is_running and status["attempt"] == attempt and status["replicas"]["running"] == workers)


@pytest.mark.story
def test_story_switch(real: DigitsBed, served: Serving, figures: Figures) -> None:
    """A node is lent to inference and comes back: no step is lost or repeated, no request fails."""
    digits, volume = served.digits, served.digits.volume / "elastic"
    digits.apply(elastic_job(digits, f"--steps={STEPS}"))

    def elastic_runs(attempt: int, workers: int) -> Callable[[], bool]:
        return lambda: runs(digits.job("elastic"), attempt, workers)

    digits.until(elastic_runs(1, 2), "two workers train")
    digits.until(lambda: len(loss_curve(volume)) > 20, "some steps are taken")
    with traffic(served.address(), "digits") as seen:
        began = time.monotonic()
        scale(served, 2)
        digits.until(lambda: has(real.bed, LENT, "Inference"), f"{LENT} serves")
        figures.add("seconds from scaling up until the node served", time.monotonic() - began)
        digits.until(lambda: served.service()["status"]["readyReplicas"] == 2, "two replicas")
        figures.add("seconds from scaling up until the new replica answered", time.monotonic() - began)
        digits.until(elastic_runs(2, 1), "one worker goes on")
        began = time.monotonic()
        scale(served, 1)
        digits.until(lambda: has(real.bed, LENT, "Training"), f"{LENT} trains again")
        figures.add("seconds from scaling down until the node trained", time.monotonic() - began)
        digits.until(elastic_runs(3, 2), "two workers go on")
        figures.add("seconds from scaling down until both workers trained", time.monotonic() - began)
    digits.until_true("TrainingComplete", "elastic", seconds=300)
    check_steps(served, figures)
    figures.add("requests", len(seen.seconds) + len(seen.failures))
    figures.add("requests per second", seen.rate, "at least 50")
    figures.add("failed or timed-out requests", len(seen.failures), 0)
    figures.add("milliseconds, p50", 1000 * seen.percentile(0.5))
    figures.add("milliseconds, p99", 1000 * seen.percentile(0.99))
    assert seen.failures == []
    assert seen.rate >= 50


def check_steps(served: Serving, figures: Figures) -> None:
    """Each attempt went on with the step after the last one of the attempt before."""
    volume = served.digits.volume / "elastic"
    curve, attempts = loss_curve(volume), steps_by_attempt(volume)
    shown = ", ".join(f"{steps[0]} to {steps[-1]}" for _, steps in sorted(attempts.items()))
    steps = [step for step, _ in curve]
    figures.add("steps of the three attempts", shown)
    figures.add("steps lost", len(set(range(1, STEPS + 1)) - set(steps)), 0)
    figures.add("steps repeated", len(steps) - len(set(steps)), 0)
    figures.add("loss at the first and the last step", f"{curve[0][1]:.3f}, {curve[-1][1]:.3f}")
    assert steps == list(range(1, STEPS + 1))
    assert sorted(attempts) == [1, 2, 3]
    assert curve[-1][1] < 0.2 * curve[0][1]
    status = served.digits.job("elastic")["status"]
    assert status["checkpoint"]["step"] == STEPS
    assert float(status["progress"]["metrics"]["accuracy"]) >= 0.95
