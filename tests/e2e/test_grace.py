"""A program that takes its time to save, under a launcher that would not give it so much by itself."""

import time

import pytest

from support.cluster import says
from support.digits import Digits, DigitsBed, Object
from support.figures import Figures
from support.installed_operator import InstalledOperator
from support.sharing import a_team, apply, holder, urgency

SAVES_SECONDS = 60
"""How long a save takes: torchrun would wait for 30 s, the pod has 90 s and a little."""
SLOW = f"""
import os, signal, time
from pathlib import Path
stopped = []
signal.signal(signal.SIGTERM, lambda *_: stopped.append(True))
print("trains", flush=True)
while not stopped:
    time.sleep(0.1)
time.sleep({SAVES_SECONDS})
attempt = Path(os.environ["TRAINPUSH_CHECKPOINT_DIR"], "attempt-" + os.environ["TRAINPUSH_ATTEMPT"])
attempt.mkdir(parents=True)
(attempt / "step-1").mkdir()
raise SystemExit(143)
"""


def slow(team: Digits) -> Object:
    """A job that is told by SIGTERM only, and has 90 s then."""
    job = team.lean_manifest(name="slow")
    job["spec"]["worker"] |= {"command": ["torchrun", "--no-python", "python3", "-c", SLOW], "args": []}
    job["spec"]["checkpoint"] |= {"gracePeriod": "90s", "onPreempt": "Signal"}
    return job


def at_work(team: Digits, after: int = 0) -> int:
    """Wait until a later attempt trains; its number."""

    def trains() -> bool:
        status = team.job("slow").get("status", {})
        if status.get("attempt", 0) <= after or not says("Running")(team.job("slow")):
            return False
        return "trains" in team.logs(f"slow-worker-0-a{status['attempt']}")

    team.until(trains, f"an attempt after number {after} trains")
    attempt: int = team.job("slow")["status"]["attempt"]
    return attempt


def has_saved(team: Digits, attempt: int) -> None:
    """Wait until this attempt has saved."""
    saved = (attempt, 1)
    team.until(lambda: saved in team.checkpoints("slow"), f"attempt {attempt} has saved", seconds=SAVES_SECONDS + 60)


@pytest.mark.story(long=True)
def test_story_grace(real: DigitsBed, operator: InstalledOperator, figures: Figures) -> None:
    """A save of 60 s is complete, whoever ends the program: a suspension, a drained node, others who need the room."""
    with a_team(real, "grace") as team, urgency(real.bed) as urgent:
        job = slow(team)
        team.apply(job)
        first, began = at_work(team), time.monotonic()
        team.apply({**job, "spec": {**job["spec"], "suspend": True}})
        has_saved(team, first)
        figures.add("seconds from suspend until the save was complete", time.monotonic() - began)
        team.apply({**job, "spec": {**job["spec"], "suspend": False}})
        second = at_work(team, after=first)
        is_drained(team, second, figures)
        third, began = at_work(team, after=second), time.monotonic()
        apply(team, holder("urgent", workers=8, seconds="1", priority_class=urgent))
        has_saved(team, third)
        figures.add("seconds from an urgent gang, with onPreempt Signal, until then", time.monotonic() - began)
        team.until_true("TrainingComplete", "urgent")
        at_work(team, after=third)
        assert team.job("slow")["status"]["restarts"] == {"failures": 0, "infrastructure": 1, "preemptions": 1}
        team.bed.kubectl("delete", "tpj", "slow", "-n", team.namespace, "--wait=false")
        team.bed.kubectl("delete", "pods", "--all", "--grace-period=1", "-n", team.namespace)


def is_drained(team: Digits, attempt: int, figures: Figures) -> None:
    """Somebody drains the node where it trains."""
    (node,) = team.job("slow")["status"]["placement"]["nodes"]
    began = time.monotonic()
    mine = f"--pod-selector=training.ai/job-name=slow,training.ai/attempt={attempt}"
    try:
        team.bed.kubectl("drain", node, mine, "--delete-emptydir-data", "--timeout=150s")
        has_saved(team, attempt)
        figures.add("seconds from a drain of its node until then", time.monotonic() - began)
    finally:
        team.bed.kubectl("uncordon", node)
