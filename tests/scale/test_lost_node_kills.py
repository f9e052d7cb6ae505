"""The operator may die at any point between the loss of a node and the next start of the gang."""

from collections.abc import Iterator
from pathlib import Path
from typing import Final

import pytest

from support.cluster import Space, a_pool, fake_nodes, nodes_of, says
from support.digits import Object
from support.figures import Figures
from support.killed_operator import LOSING
from support.kills import OneOf, difference, left_in, lived_twice, tell
from support.manifests import job, pool, racks
from testbed import Bed
from trainpush.kube.client import Client
from trainpush.kube.resources import NODES, PODS

GROUND: Final = racks("losses", [4])


@pytest.fixture(scope="module", autouse=True)
def _ground(bed: Bed) -> Iterator[None]:
    """Four nodes in a default pool."""
    with fake_nodes(bed, GROUND), a_pool(bed, pool("losses", "losses", default=True)):
        yield


async def bereft(space: Space) -> list[Object]:
    """A gang loses the node of its second worker, and goes on with another one; all that is there in the end."""
    space.bed.add_fake_nodes(GROUND)
    await space.create(job("gang", 2))
    first = await space.job("gang", says("Running"), "runs", seconds=60)
    await space.delete(NODES, nodes_of(first)[1])

    def goes_on(seen: Object) -> bool:
        return seen["status"]["attempt"] > 1 and says("Running")(seen)

    last = await space.job("gang", goes_on, "runs again", seconds=120)
    assert nodes_of(last)[0] == nodes_of(first)[0]
    await space.until(PODS, lambda pods: len(pods) == 2, "no pod of the first attempt is left")
    return left_in(space)


async def test_killed_at_one_point_of_a_loss(
    bed: Bed, client: Client, kubeconfig: Path, tmp_path: Path, figures: Figures, one_of: OneOf
) -> None:
    """Whichever it is, the operator ends where an undisturbed one does."""
    await ends_alike(bed, client, kubeconfig, tmp_path, figures, [one_of(LOSING)])


@pytest.mark.story(long=True)
async def test_story_lost_node_kills(
    bed: Bed, client: Client, kubeconfig: Path, tmp_path: Path, figures: Figures
) -> None:
    """Killed once before the pod of the lost node is deleted by force, once after, and at two more points."""
    await ends_alike(bed, client, kubeconfig, tmp_path, figures, [*LOSING])


async def ends_alike(
    bed: Bed, client: Client, kubeconfig: Path, folder: Path, figures: Figures, points: list[str]
) -> None:
    """Lose a node undisturbed, and once more under an operator that is killed at these points."""
    wanted, found, struck = await lived_twice(bed, client, kubeconfig, folder, points, bereft)
    tell(figures, struck, points, wanted, found)
    assert {point.name for point in struck.iterdir()} == set(points)
    assert difference(wanted, found) == ""
    (end,) = [entry["status"] for entry in wanted if entry["kind"] == "TrainPushJob"]
    assert (end["attempt"], end["restarts"]["failures"], end["restarts"]["infrastructure"]) == (3, 0, 1)
