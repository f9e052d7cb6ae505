"""The operator may die after any write, and a job may be deleted in any phase."""

import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from support import operator_process
from support.digits import Digits, DigitsBed, Object, normalised
from support.figures import Figures
from support.installed_operator import InstalledOperator
from support.killed_operator import TRAINING
from support.kills import OneOf, difference, killed_again_and_again, tell
from support.look import look

ARGS = ("--steps=200", "--step-delay=0.05", "--fail-at-step=80")
"""A run in which a worker fails once, so that there is a restart to be killed in."""
GRACE_SECONDS = 10
FAILING_ONCE = """trap 'exit 143' TERM
test "$TRAINPUSH_ATTEMPT$PET_NODE_RANK" != 11 || exit 3
sleep infinity & wait"""
"""A program of which worker 1 fails in the first attempt."""
PRETENDING = """trap 'exit 143' TERM
test "$TRAINPUSH_ATTEMPT" != 3 || exit 0
mkdir -p "$TRAINPUSH_CHECKPOINT_DIR/attempt-$TRAINPUSH_ATTEMPT/step-1"
test "$TRAINPUSH_ATTEMPT$PET_NODE_RANK" != 11 || { sleep 5; exit 3; }
sleep infinity & wait"""
"""A program that leads the same life without training anything, of which the third attempt is the last."""


def trained(digits: Digits, **worker: Any) -> list[Object]:
    """Train with a failure and a suspension on the way; the job in the end, and all that belongs to it.

    Suspending takes away every pod, also those of the attempt that failed, of which some would else be left.
    """
    job = digits.lean_manifest(*ARGS, workers=2)
    job["spec"]["worker"] |= worker
    digits.apply(job)
    digits.until(lambda: any(attempt == 2 for attempt, _ in digits.checkpoints()), "a saved step", seconds=300)
    digits.suspend(job)
    digits.apply({**job, "spec": {**job["spec"], "suspend": False}})
    digits.until_true("TrainingComplete", seconds=300)
    digits.until(lambda: all(_is_over(child) for child in digits.children()), "every pod over", seconds=60)
    return normalised([digits.job(), *digits.children_at_rest()])


def _is_over(child: Object) -> bool:
    return child["kind"] != "Pod" or child["status"]["phase"] in {"Succeeded", "Failed"}


@pytest.mark.usefixtures("no_operator")
def test_killed_after_one_write(real: DigitsBed, tmp_path: Path, figures: Figures, one_of: OneOf) -> None:
    """Whichever it is, the operator ends where an undisturbed one does."""
    point = one_of(TRAINING)
    ends_alike(real, tmp_path, figures, [point], command=["sh", "-c", PRETENDING], args=[])


@pytest.mark.usefixtures("no_operator")
@pytest.mark.story(long=True)
def test_story_kills(real: DigitsBed, tmp_path: Path, figures: Figures) -> None:
    """Killed after every kind of write, the operator ends where an undisturbed one does."""
    ends_alike(real, tmp_path, figures, [*TRAINING])


def ends_alike(real: DigitsBed, tmp_path: Path, figures: Figures, points: list[str], **worker: Any) -> None:
    """Train undisturbed, and once more under an operator that is killed at these points."""
    with operator_process.running(real.kubeconfig, tmp_path / "undisturbed.log"):
        wanted = trained(real.namespace(f"undisturbed-{len(points)}"), **worker)
    real.renew_pool()
    disturbed = real.namespace(f"disturbed-{len(points)}")
    with killed_again_and_again(real.kubeconfig, tmp_path, points) as struck:
        disturbed.until(
            lambda: "status" in look(real.bed, "/apis/training.ai/v1/gpupools/real"), "a pool with a status", seconds=60
        )
        found = trained(disturbed, **worker)
        disturbed.until(lambda: len(list(struck.iterdir())) == len(points), "every point struck", seconds=60)
    tell(figures, struck, points, wanted, found)
    assert difference(wanted, found) == ""


def queued(digits: Digits, job: Object) -> None:
    """Waits for more than there is."""
    job["spec"]["resources"] = {"limits": {"nvidia.com/gpu": 8}}
    job["spec"]["replicas"] = 3
    job["spec"]["strategy"] = {"type": "DDP"}
    digits.apply(job)
    digits.until(lambda: digits.condition("Placed") == "False", "queued")


def starting(digits: Digits, job: Object) -> None:
    """Has a place, and pods that do not run yet."""
    digits.apply(job)
    digits.until_true("Placed")


def running(digits: Digits, job: Object) -> None:
    """Trains."""
    digits.apply(job)
    digits.until_true("Running")


def restarting(digits: Digits, job: Object) -> None:
    """Lost a worker a moment ago."""
    job["spec"]["worker"] |= {"command": ["sh", "-c", FAILING_ONCE], "args": []}
    digits.apply(job)
    digits.until(lambda: digits.job().get("status", {}).get("attempt") == 2, "a second attempt")


def complete(digits: Digits, job: Object) -> None:
    """Is over."""
    job["spec"]["worker"] |= {"command": ["true"], "args": []}
    digits.apply(job)
    digits.until_true("TrainingComplete")


@pytest.mark.story(long=True)
def test_story_deletes(real: DigitsBed, operator: InstalledOperator, figures: Figures) -> None:
    """Deleted in any of five phases, nothing of a job is left after its grace period and 60 s."""
    phases: list[Callable[[Digits, Object], None]] = [queued, starting, running, restarting, complete]
    for phase in phases:
        digits = real.namespace(f"delete-{phase.__name__}")
        phase(digits, digits.manifest("--steps=2000", "--step-delay=0.1"))
        started = time.monotonic()
        real.bed.kubectl("delete", "tpj", "digits", "-n", digits.namespace, "--wait=false")
        digits.until(lambda d=digits: not d.children(), "nothing left", seconds=GRACE_SECONDS + 60)  # type: ignore[misc]
        figures.add(
            f"seconds until nothing was left: {phase.__name__}",
            time.monotonic() - started,
            f"at most {GRACE_SECONDS + 60}",
        )
        assert operator.restarts == 0
