"""Images that a real kubelet pulls before a node takes work: what is there, what is not, and what the pod leaves."""

import json
from collections.abc import Iterator

import pytest

from support.cluster import conditions
from support.digits import Digits, DigitsBed, Object
from support.installed_operator import InstalledOperator
from support.look import look, look_at_all
from support.operator_process import NAMESPACE
from support.sharing import a_team
from support.switching import LENT, a_node, has, modes, switch_of, wish

THERE, NOWHERE = "trainpush.local/training:dev", "trainpush.local/nowhere:dev"


@pytest.fixture
def team(real: DigitsBed, operator: InstalledOperator) -> Iterator[Digits]:
    """A namespace on the example's pool, of which a node trains."""
    with a_team(real, "warm") as found, modes(real, found):
        found.until(lambda: has(real.bed, LENT, "Training"), "the node trains")
        try:
            yield found
        finally:
            wish(found, LENT, None)


def pull(team: Digits, *images: str) -> None:
    """Say which images nodes pull."""
    patch = json.dumps({"spec": {"switching": {"warmImages": images}}})
    team.bed.kubectl("patch", "gpupool", "real", "--type=merge", "--patch", patch)


def prepull_pods(team: Digits) -> list[Object]:
    """The pods that pull."""
    pods = look_at_all(team.bed, f"/api/v1/namespaces/{NAMESPACE}/pods")
    return [pod for pod in pods if "training.ai/warm-images" in pod["metadata"].get("labels", {})]


def said(team: Digits) -> str:
    """Why not all nodes have the modes that are wanted."""
    message: str = conditions(look(team.bed, "/apis/training.ai/v1/gpupools/real"))["ModeSettled"]["message"]
    return message


def test_a_node_warms_until_the_kubelet_has_all_images(team: Digits) -> None:
    """Containers that cannot start are no hindrance; an image that is nowhere is told with its node."""
    pull(team, THERE, NOWHERE)
    wish(team, LENT, "Inference")
    team.until(lambda: f"{LENT} waits: image {NOWHERE}: " in said(team), "the missing image is named", seconds=60)
    assert any(reason in said(team) for reason in ("ErrImagePull", "ImagePullBackOff"))
    assert THERE not in said(team)
    assert switch_of(a_node(team.bed, LENT))["step"] == "Warming"
    pull(team, THERE)
    team.until(lambda: has(team.bed, LENT, "Inference"), "the node serves", seconds=60)
    team.until(lambda: not prepull_pods(team), "no pod is left", seconds=30)
