"""Nodes that change their mode while nothing goes as it should: deaf programs and busy people."""

import json
import time
from collections.abc import Iterator

import pytest

from support.cluster import conditions
from support.digits import Digits, DigitsBed, Object
from support.figures import Figures
from support.installed_operator import InstalledOperator
from support.look import look
from support.sharing import a_team, apply
from support.switching import KEPT, LENT, a_node, has, mode_of, modes, runs_on, spread, switch_of, taints_of, wish

DEAF = (
    "import signal, time; from trainpush import worker; signal.signal(signal.SIGTERM, signal.SIG_IGN); "
    "worker.report(1, 1000)\nwhile True: time.sleep(1)"
)
"""A program that reports, and then hears nothing any more."""
TELLING = """trap 'echo "{\\"step\\": 7, \\"checkpoint\\": {\\"step\\": 7}}" > /dev/termination-log; exit 143' TERM
sleep infinity & wait"""
"""A program that knows SIGTERM only, and says in its last words what it has saved."""


def step_of(team: Digits, node: str) -> str:
    """How far a node has come."""
    return str(switch_of(a_node(team.bed, node)).get("step", ""))


def settled(team: Digits) -> Object:
    """The condition of the pool that tells whether its nodes have their modes."""
    pool = look(team.bed, "/apis/training.ai/v1/gpupools/real")
    return conditions(pool).get("ModeSettled", {}) if "status" in pool else {}


@pytest.fixture
def team(real: DigitsBed, operator: InstalledOperator) -> Iterator[Digits]:
    """A namespace on the example's pool, of which both nodes train."""
    with a_team(real, "hard") as found, modes(real, found):
        found.until(lambda: all(has(real.bed, node, "Training") for node in (KEPT, LENT)), "both nodes train")
        yield found


@pytest.mark.story(long=True)
def test_story_switch_hard(team: Digits, figures: Figures) -> None:
    """SIGTERM only; deaf until the deadline and beyond; a label changed by hand; the demand gone in the middle."""
    knows_sigterm_only(team, figures)
    demand_goes(team, figures)
    is_deaf(team, figures)


def knows_sigterm_only(team: Digits, figures: Figures) -> None:
    """A gang without the protocol shrinks by SIGTERM; its last words say what it has saved."""
    job = spread("signal")
    job["spec"]["worker"] |= {"command": ["sh", "-c", TELLING], "args": []}
    apply(team, job)
    team.until(lambda: runs_on(team, "signal", KEPT, LENT), "runs on both nodes")
    began = time.monotonic()
    wish(team, LENT, "Inference")
    team.until(lambda: has(team.bed, LENT, "Inference"), f"{LENT} is for inference")
    figures.add("SIGTERM only: seconds from the wish until the node had its mode", time.monotonic() - began)
    team.until(lambda: runs_on(team, "signal", KEPT), "goes on with one worker")
    status = team.job("signal")["status"]
    assert status["restarts"] == {"failures": 0, "infrastructure": 0, "preemptions": 1}
    wish(team, LENT, None)
    team.until(lambda: runs_on(team, "signal", KEPT, LENT), "grows again when nobody wants the node any more")
    figures.add("SIGTERM only: attempts from two workers to one and back", team.job("signal")["status"]["attempt"])
    team.bed.kubectl("delete", "tpj", "signal", "-n", team.namespace, "--wait=false")
    team.until(lambda: not team.children(), "nothing left", seconds=60)


def deaf(team: Digits) -> Object:
    """A job on the lent node whose program answers nothing and ends by SIGKILL only, after 45 s."""
    job = spread("deaf")
    job["spec"]["worker"] |= {
        "image": "trainpush.local/training:dev",
        "command": ["python3", "-c", DEAF],
        "args": [],
    }
    job["spec"]["checkpoint"] = {"gracePeriod": "45s"}
    apply(team, job)
    return job


def demand_goes(team: Digits, figures: Figures) -> None:
    """Asked for a checkpoint that never comes; then nobody wants the node any more, and the training never noticed."""
    deaf(team)
    team.until(lambda: runs_on(team, "deaf", KEPT, LENT), "runs on both nodes")
    team.until(lambda: "progress" in team.job("deaf")["status"], "its program has reported")
    wish(team, LENT, "Inference")
    team.until(lambda: "askedAt" in team.job("deaf")["status"].get("eviction", {}), "it is asked")
    team.until(lambda: step_of(team, LENT) == "Draining", f"{LENT} drains")
    team.bed.kubectl("label", "node", LENT, "training.ai/mode=Inference", "--overwrite")
    team.until(lambda: mode_of(a_node(team.bed, LENT)) == "Training", "the label is put back")
    assert step_of(team, LENT) == "Draining"
    figures.add("a label that was changed by hand while the node drained", "put back, the switch goes on")
    wish(team, LENT, None)
    team.until(lambda: step_of(team, LENT) == "Aborted", "the switch is aborted")
    team.until(lambda: "eviction" not in team.job("deaf")["status"], "the request is taken back")
    status = team.job("deaf")["status"]
    assert (status["attempt"], status["restarts"]["preemptions"]) == (1, 0)
    assert taints_of(a_node(team.bed, LENT)) == {"training.ai/mode": "Training"}
    figures.add("attempts of a training when the demand was gone in the middle", status["attempt"], 1)


def is_deaf(team: Digits, figures: Figures) -> None:
    """The deadline passes: the node is stuck, and stays so until the pool says Force."""
    patch = {"spec": {"switching": {"drainDeadline": "10s"}}}
    team.bed.kubectl("patch", "gpupool", "real", "--type=merge", "-p", json.dumps(patch))
    wish(team, LENT, "Inference")
    team.until(lambda: step_of(team, LENT) == "Stuck", "the node is stuck")
    team.until(lambda: settled(team).get("reason") == "Stuck", "the pool says so")
    assert "hard/deaf" in settled(team)["message"]
    figures.add("a deaf training at the deadline", "Stuck, and named", "Stuck, and named")
    patch["spec"]["switching"]["onDeadline"] = "Force"
    began = time.monotonic()
    team.bed.kubectl("patch", "gpupool", "real", "--type=merge", "-p", json.dumps(patch))
    team.until(lambda: has(team.bed, LENT, "Inference"), "the node has its mode")
    figures.add("seconds from Force until the node had its mode", time.monotonic() - began)
    team.until(lambda: runs_on(team, "deaf", KEPT), "goes on with one worker")
    assert all(pod["spec"]["nodeName"] != LENT for pod in team.children() if pod["kind"] == "Pod")
    wish(team, LENT, None)
    team.bed.kubectl("delete", "tpj", "deaf", "-n", team.namespace, "--wait=false")
    team.bed.kubectl("delete", "pods", "--all", "--grace-period=1", "-n", team.namespace)
