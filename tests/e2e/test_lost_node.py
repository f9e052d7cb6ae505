"""A node that dies with all that ran there, while its Node object stays."""

import json
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from support.cluster import conditions
from support.digits import Digits, DigitsBed, Object
from support.figures import Figures
from support.installed_operator import InstalledOperator
from support.look import look
from support.sharing import a_team

AFTER_SECONDS = 20
"""How long the pool waits for its nodes."""


@pytest.fixture
def team(real: DigitsBed, installed: InstalledOperator) -> Iterator[Digits]:
    """A namespace on a pool that is less patient than usual; afterwards all nodes and the operator are there again."""
    installed.run()
    patch = {"spec": {"lostNodes": {"after": f"{AFTER_SECONDS}s"}}}
    real.bed.kubectl("patch", "gpupool", "real", "--type=merge", "-p", json.dumps(patch))
    with a_team(real, "lost") as found:
        yield found
    installed.stop()
    installed.run()
    real.renew_pool()


@pytest.mark.story(long=True)
def test_story_lost_node(team: Digits, figures: Figures) -> None:
    """The gang goes on elsewhere from its last checkpoint, and the attempt that was cut off writes nothing more."""
    job = team.lean_manifest("--steps=2000", "--step-delay=0.05", "--checkpoint-every=20", workers=2)
    job["spec"]["elastic"] = {"minReplicas": 1, "maxReplicas": 2}
    team.apply(job)
    team.until(lambda: status(team).get("replicas", {}).get("running") == 2, "both workers run")
    team.until(lambda: bool(team.checkpoints()), "a first checkpoint")
    dead, left = status(team)["placement"]["nodes"]
    assert dead != left
    with dies(team, dead):
        goes_on(team, dead, left, figures)
        cut_off, later = written(team, attempt=1), attempt_on(team, left)
    comes_back(team, later, dead, figures)
    assert written(team, attempt=1) == cut_off
    figures.add("files of the attempt that was cut off: changed afterwards", 0, 0)
    assert status(team)["restarts"] == {"failures": 0, "infrastructure": 1, "preemptions": 0}


@contextmanager
def dies(team: Digits, node: str) -> Iterator[None]:
    """A node for as long as the block runs without power: its connections are not even closed. Then it is started."""
    team.bed.cut_off(node)
    team.bed.docker("kill", node)
    try:
        yield
    finally:
        team.bed.reconnect(node)
        team.bed.up()


def goes_on(team: Digits, dead: str, left: str, figures: Figures) -> None:
    """Elsewhere, from the last checkpoint, while the pod on the dead node hangs."""
    died = time.monotonic()
    team.until(lambda: attempt_on(team, left) > 1, "a later attempt is placed on the other node")
    figures.add("seconds from the death of the node to a place for the next attempt", time.monotonic() - died)
    told = status(team)["lastFailure"]["message"]
    assert f"node {dead} of worker 0 is lost" in told
    figures.add("what ended the attempt", told)
    team.until(lambda: any(number > 1 for number, _ in team.checkpoints()), "a checkpoint of a later attempt")
    figures.add("seconds from the death of the node to the next checkpoint", time.monotonic() - died)
    first = min(step for number, step in team.checkpoints() if number > 1)
    known = max(step for number, step in team.checkpoints() if number == 1)
    assert first > known, "it began from the checkpoint that was there"
    assert conditions(node(team, dead))["Ready"]["status"] == "Unknown"
    hangs = look(team.bed, f"/api/v1/namespaces/{team.namespace}/pods/digits-worker-0-a1")
    assert "deletionTimestamp" in hangs["metadata"]


def comes_back(team: Digits, later: int, dead: str, figures: Figures) -> None:
    """The node is there again: the pod that hung goes, and who runs elsewhere is not disturbed."""
    team.until(lambda: conditions(node(team, dead))["Ready"]["status"] == "True", "the node is back")
    team.until(lambda: not any(name(child).endswith("-a1") for child in pods(team)), "no pod of the first attempt")
    figures.add("attempts when the node was back", status(team)["attempt"], later)
    assert status(team)["attempt"] == later


def status(team: Digits) -> Object:
    """Of the job."""
    found: Object = team.job().get("status", {})
    return found


def attempt_on(team: Digits, node: str) -> int:
    """The attempt that has its whole place on a node; 0 if there is none."""
    found = status(team)
    return int(found["attempt"]) if set(found.get("placement", {}).get("nodes", [])) == {node} else 0


def pods(team: Digits) -> list[Object]:
    """Of the namespace."""
    return [child for child in team.children() if child["kind"] == "Pod"]


def name(child: Object) -> str:
    """Of an object."""
    return str(child["metadata"]["name"])


def node(team: Digits, named: str) -> Object:
    """As it stands."""
    return look(team.bed, f"/api/v1/nodes/{named}")


def written(team: Digits, attempt: int) -> dict[Path, tuple[int, int]]:
    """Size and time of everything that an attempt wrote, and the time of its folders."""
    folder = team.volume / "digits" / f"attempt-{attempt}"
    return {path: (path.stat().st_size, path.stat().st_mtime_ns) for path in (folder, *folder.rglob("*"))}
