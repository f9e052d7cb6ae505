"""The operator may die at any step of a switch: node and gang end where they end under an undisturbed one."""

from pathlib import Path

import pytest

from support import operator_process
from support.digits import Digits, DigitsBed, Object, normalised
from support.figures import Figures
from support.killed_operator import SWITCHING
from support.kills import OneOf, difference, killed_again_and_again, tell
from support.sharing import a_team, apply
from support.switching import (
    KEPT,
    LENT,
    all_nodes,
    has,
    is_marked,
    mode_of,
    modes,
    runs_on,
    spread,
    switch_of,
    taints_of,
    wish,
)


def to_and_fro(team: Digits) -> list[Object]:
    """A node goes to inference and comes back under an elastic gang; node, job and children in the end."""
    job = spread("elastic")
    apply(team, job)
    team.until(lambda: runs_on(team, "elastic", KEPT, LENT), "runs on both nodes")
    wish(team, LENT, "Inference")
    team.until(lambda: has(team.bed, LENT, "Inference"), f"{LENT} is for inference")
    team.until(lambda: runs_on(team, "elastic", KEPT), "goes on with one worker")
    wish(team, LENT, None)
    team.until(lambda: has(team.bed, LENT, "Training"), f"{LENT} trains again")
    team.until(lambda: runs_on(team, "elastic", KEPT, LENT), "runs on both nodes again")
    nodes = [{"kind": "Node", "metadata": {"name": n["metadata"]["name"]}, **marks(n)} for n in all_nodes(team.bed)]
    return [*normalised([team.job("elastic"), *team.children_at_rest()]), *nodes]


def marks(node: Object) -> Object:
    """What a node bears of its mode, without times."""
    switch = {key: value for key, value in switch_of(node).items() if key in {"mode", "to", "step"}}
    return {"mode": mode_of(node), "switch": switch, "taints": taints_of(node)}


@pytest.mark.usefixtures("no_operator")
def test_killed_at_one_step(real: DigitsBed, tmp_path: Path, figures: Figures, one_of: OneOf) -> None:
    """Whichever it is, the operator ends where an undisturbed one does."""
    ends_alike(real, tmp_path, figures, [one_of(SWITCHING)])


@pytest.mark.usefixtures("no_operator")
@pytest.mark.story(long=True)
def test_story_switch_kills(real: DigitsBed, tmp_path: Path, figures: Figures) -> None:
    """Killed at every step of a switch, the operator ends where an undisturbed one does."""
    ends_alike(real, tmp_path, figures, [*SWITCHING])


def ends_alike(real: DigitsBed, tmp_path: Path, figures: Figures, points: list[str]) -> None:
    """Switch undisturbed, and once more under an operator that is killed at these points."""
    log = tmp_path / "undisturbed.log"
    with (
        operator_process.running(real.kubeconfig, log),
        a_team(real, f"undisturbed-switch-{len(points)}") as team,
        modes(real, team),
    ):
        wanted = to_and_fro(team)
    with (
        killed_again_and_again(real.kubeconfig, tmp_path, points) as struck,
        a_team(real, f"disturbed-switch-{len(points)}") as team,
        modes(real, team),
    ):
        found = to_and_fro(team)
        team.until(lambda: len(list(struck.iterdir())) == len(points), "every point struck", seconds=60)
    tell(figures, struck, points, wanted, found)
    assert difference(wanted, found) == ""
    assert not any(map(is_marked, all_nodes(real.bed)))
