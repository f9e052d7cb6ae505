"""The operator may die at any point of an eviction: who makes room, who goes on and who comes back stays the same."""

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Final

import pytest

from support.cluster import Space, a_pool, fake_nodes, says
from support.digits import Object
from support.figures import Figures
from support.killed_operator import PREEMPTING
from support.kills import OneOf, difference, left_in, lived_twice, tell
from support.manifests import job, pool, racks
from testbed import Bed
from trainpush.kube.client import Client
from trainpush.kube.resources import PODS

CLASS: Final = "eviction-kills"


@pytest.fixture(scope="module", autouse=True)
def _ground(bed: Bed) -> Iterator[None]:
    """Four nodes in a default pool, and a priority above that of everybody else."""
    urgent = {"apiVersion": "scheduling.k8s.io/v1", "kind": "PriorityClass", "metadata": {"name": CLASS}, "value": 9}
    bed.kubectl("create", "-f", "-", stdin=json.dumps(urgent))
    with fake_nodes(bed, racks("evictions", [4])), a_pool(bed, pool("evictions", "evictions", default=True)):
        yield
    bed.kubectl("delete", "priorityclass", CLASS)


async def displaced(space: Space) -> list[Object]:
    """An urgent gang displaces one of two, ends, and leaves the room to it again; all that is there in the end."""
    for name in ("dear", "cheap"):
        await space.create(job(name, 2))
        await space.job(name, says("Running"), "runs", seconds=60)
    await space.create(job("urgent", 2, scheduling={"priorityClassName": CLASS}))
    await space.job("urgent", says("Running"), "runs", seconds=120)
    for rank in range(2):
        await space.end(f"urgent-worker-{rank}-a1", 0)
    await space.job("urgent", says("TrainingComplete"), "is complete", seconds=60)
    await space.job("cheap", says("Running"), "is back", seconds=120)
    await space.until(PODS, lambda pods: len(pods) == 6, "the pods of three gangs")
    text = json.dumps(left_in(space))
    objects: list[Object] = json.loads(re.sub(r"\d+ accelerator-seconds", "some accelerator-seconds", text))
    return objects


async def test_killed_at_one_point_of_an_eviction(
    bed: Bed, client: Client, kubeconfig: Path, tmp_path: Path, figures: Figures, one_of: OneOf
) -> None:
    """Whichever it is, the operator ends where an undisturbed one does."""
    await ends_alike(bed, client, kubeconfig, tmp_path, figures, [one_of(PREEMPTING)])


@pytest.mark.story(long=True)
async def test_story_eviction_kills(
    bed: Bed, client: Client, kubeconfig: Path, tmp_path: Path, figures: Figures
) -> None:
    """Killed once between announcement and eviction, once between eviction and placement, and at three more points."""
    await ends_alike(bed, client, kubeconfig, tmp_path, figures, [*PREEMPTING])


async def ends_alike(
    bed: Bed, client: Client, kubeconfig: Path, folder: Path, figures: Figures, points: list[str]
) -> None:
    """Displace a gang undisturbed, and once more under an operator that is killed at these points."""
    wanted, found, struck = await lived_twice(bed, client, kubeconfig, folder, points, displaced)
    tell(figures, struck, points, wanted, found)
    assert {point.name for point in struck.iterdir()} == set(points)
    assert difference(wanted, found) == ""
    ends = {entry["metadata"]["name"]: entry["status"] for entry in wanted if entry["kind"] == "TrainPushJob"}
    assert {name: (end["attempt"], end["restarts"]["preemptions"]) for name, end in ends.items()} == {
        "cheap": (2, 1),
        "dear": (1, 0),
        "urgent": (1, 0),
    }
