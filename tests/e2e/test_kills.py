"""The operator may die after any write, and a job may be deleted in any phase."""

import difflib
import json
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from support import operator_process
from support.digits import Digits, DigitsBed, Object, normalised
from support.figures import Figures
from support.killed_operator import POINTS
from support.operator_process import OperatorProcess

ARGS = ("--steps=160", "--step-delay=0.02", "--fail-at-step=80")
"""A run in which a worker fails once, so that there is a restart to be killed in."""
GRACE_SECONDS = 10


@contextmanager
def killed_again_and_again(kubeconfig: Path, folder: Path) -> Iterator[Path]:
    """An operator that is started again each time it dies; yields the folder of the points that struck."""
    struck = folder / "struck"
    struck.mkdir()
    over = threading.Event()
    lives: list[OperatorProcess] = []

    def revive() -> None:
        while not over.is_set():
            environment = {"STRUCK": str(struck), "TRAINPUSH_IDENTITY": "the-same-pod"}
            module = "support.killed_operator"
            log = folder / f"operator-{len(lives)}.log"
            lives.append(operator_process.start(kubeconfig, log, module=module, environment=environment))
            lives[-1].process.wait()

    keeper = threading.Thread(target=revive)
    keeper.start()
    try:
        yield struck
    finally:
        over.set()
        lives[-1].stop()
        keeper.join(timeout=30)


def end_of(digits: Digits) -> list[Object]:
    """The job and all that belongs to it, once its digits are trained."""
    digits.until_true("TrainingComplete", seconds=300)
    digits.until(lambda: all(_is_over(child) for child in digits.children()), "every pod over", seconds=60)
    job = digits.job()
    return normalised([job, *(child for child in digits.children() if not _is_former(child, job["status"]["attempt"]))])


def _is_former(child: Object, attempt: int) -> bool:
    """A pod of an attempt that failed: it stays for its logs if it ended before its peers made the operator end it."""
    made_in: str = child["metadata"]["labels"].get("training.ai/attempt", str(attempt))
    return made_in != str(attempt)


def _is_over(child: Object) -> bool:
    return child["kind"] != "Pod" or child["status"]["phase"] in {"Succeeded", "Failed"}


@pytest.mark.story
def test_story_kills(real: DigitsBed, tmp_path: Path, figures: Figures) -> None:
    """Killed at ten points, the operator ends where an undisturbed one does."""
    with operator_process.running(real.kubeconfig, tmp_path / "undisturbed.log"):
        reference = real.namespace("undisturbed")
        reference.apply(reference.manifest(*ARGS))
        wanted = end_of(reference)
    real.renew_pool()
    disturbed = real.namespace("disturbed")
    with killed_again_and_again(real.kubeconfig, tmp_path) as struck:
        first = struck / "the pool's status was written"
        disturbed.until(first.exists, "a pool with a status", seconds=60)
        disturbed.apply(disturbed.manifest(*ARGS))
        found = end_of(disturbed)
        disturbed.until(lambda: len(list(struck.iterdir())) == len(POINTS), "every point struck", seconds=60)
    figures.add("points at which the operator was killed", f"{len(list(struck.iterdir()))} of {len(POINTS)}")
    figures.add("objects compared with an undisturbed run", len(wanted))
    figures.add("of these different", sum(a != b for a, b in zip(wanted, found, strict=False)))
    assert difference(wanted, found) == ""


def difference(wanted: list[Object], found: list[Object]) -> str:
    """The lines in which two lists of objects differ."""
    before, after = (json.dumps(objects, indent=1, sort_keys=True).splitlines() for objects in (wanted, found))
    return "\n".join(difflib.unified_diff(before, after, lineterm="", n=2))


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
    job["spec"]["worker"]["args"].append("--fail-at-step=5")
    digits.apply(job)
    digits.until(lambda: digits.job().get("status", {}).get("attempt") == 2, "a second attempt")


def complete(digits: Digits, job: Object) -> None:
    """Is over."""
    job["spec"]["worker"]["args"] += ["--steps=10", "--step-delay=0"]
    digits.apply(job)
    digits.until_true("TrainingComplete")


@pytest.mark.story
def test_story_deletes(real: DigitsBed, operator: OperatorProcess, figures: Figures) -> None:
    """Deleted in any of five phases, nothing of a job is left after its grace period and 60 s."""
    phases: list[Callable[[Digits, Object], None]] = [queued, starting, running, restarting, complete]
    for phase in phases:
        digits = real.namespace(f"delete-{phase.__name__}")
        phase(digits, digits.manifest("--steps=2000", "--step-delay=0.1"))
        started = time.monotonic()
        real.bed.kubectl("delete", "tpj", "digits", "-n", digits.namespace, "--wait=false")
        digits.until(lambda d=digits: not d.children(), "nothing left", seconds=GRACE_SECONDS + 60)  # type: ignore[misc]
        figures.add(f"seconds until nothing was left: {phase.__name__}", time.monotonic() - started)
        assert operator.get("/healthz")[0] == 200
