"""A real model, trained by real containers on real data."""

import time

import pytest

from support.digits import DigitsBed
from support.figures import Figures
from support.installed_operator import InstalledOperator


@pytest.mark.story
def test_story_digits(real: DigitsBed, operator: InstalledOperator, figures: Figures) -> None:
    """FSDP over 2 workers x 2 processes learns the handwritten digits."""
    digits = real.namespace("digits")
    started = time.monotonic()
    digits.apply(digits.manifest())
    digits.until_true("TrainingComplete", seconds=300)
    seconds = time.monotonic() - started
    progress = digits.job()["status"]["progress"]
    accuracy = float(progress["metrics"]["accuracy"])
    figures.add("accuracy on held-out images", accuracy, "at least 0.95")
    figures.add("steps", progress["step"], progress["totalSteps"])
    figures.add("seconds from apply to complete", seconds)
    assert "4 processes, FSDP" in digits.logs("digits-worker-0-a1")
    assert progress["step"] == progress["totalSteps"]
    assert accuracy >= 0.95


def test_a_suspended_job_resumes_from_its_last_checkpoint(real: DigitsBed, operator: InstalledOperator) -> None:
    """SIGTERM, a checkpoint within the grace period, a new attempt that goes on from exactly there."""
    digits = real.namespace("resume")
    job = digits.lean_manifest("--steps=120", "--step-delay=0.1")
    digits.apply(job)
    digits.until_true("Running")
    digits.until(lambda: bool(digits.checkpoints()), "a first checkpoint")
    digits.suspend(job)
    saved = max(step for _, step in digits.checkpoints())
    digits.apply({**job, "spec": {**job["spec"], "suspend": False}})
    digits.until_true("TrainingComplete", seconds=300)
    said = digits.logs("digits-worker-0-a2")
    assert f"step-{saved}" in said
    assert digits.job()["status"]["restarts"] == {"failures": 0, "infrastructure": 0, "preemptions": 0}


def test_ddp_trains_too(real: DigitsBed, operator: InstalledOperator) -> None:
    """The other strategy, on one node."""
    digits = real.namespace("ddp")
    job = digits.manifest("--steps=40")
    job["spec"] |= {"replicas": 1, "strategy": {"type": "DDP"}}
    digits.apply(job)
    digits.until_true("TrainingComplete", seconds=300)
    assert "2 processes, DDP" in digits.logs("digits-worker-0-a1")


def test_a_worker_that_always_fails_ends_the_job(real: DigitsBed, operator: InstalledOperator) -> None:
    """With what its program said last."""
    digits = real.namespace("failing")
    job = digits.manifest()
    job["spec"] |= {"replicas": 1, "strategy": {"type": "DDP"}, "failurePolicy": {"maxRestarts": 1}}
    job["spec"]["worker"] |= {"command": ["sh", "-c", "echo no such data set >&2; exit 7"], "args": []}
    digits.apply(job)
    digits.until_true("Failed", seconds=120)
    status = digits.job()["status"]
    assert status["restarts"]["failures"] == 2
    assert status["attempt"] == 2
    assert status["verdict"]["reason"] == "MaxRestartsExceeded"
    assert "exit code 7" in status["verdict"]["message"]
    assert "no such data set" in status["verdict"]["message"]
