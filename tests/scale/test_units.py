"""Racks on a real cluster that change their mode as a whole."""

from collections.abc import Iterator
from typing import Any, Final

import pytest

from support.cluster import Objects, Space, a_pool, conditions, fake_nodes, says
from support.manifests import job, pool, racks
from testbed import Bed
from trainpush.kube.client import Object
from trainpush.kube.resources import GPUPOOLS, NODES

MODE: Final = "training.ai/mode"
FAST: Final = {"policy": "Enforce", "minTimeInMode": "0s", "cooldown": "0s", "drainDeadline": "1m"}


def a_paired(inference: int, **switching: Any) -> Object:
    """A pool whose racks train, but for so many nodes."""
    modes = {"default": "Training", "inference": {"min": inference}}
    return pool("paired", "paired", modes=modes, switching={**FAST, "unit": "rack", **switching})


@pytest.fixture(autouse=True)
def _nodes(bed: Bed) -> Iterator[None]:
    """Two racks of two nodes."""
    with fake_nodes(bed, racks("paired", [2, 2])):
        yield


def modes_of(found: Objects) -> list[str]:
    """The mode of each node, rack by rack."""
    nodes = [node for name, node in sorted(found.items()) if name.startswith("paired-")]
    return [node["metadata"]["labels"].get(MODE, "") for node in nodes]


async def test_the_rack_that_trains_nothing_goes_and_goes_whole(space: Space) -> None:
    """For one node that shall serve two change: not the one beside a worker, which would be left alone."""
    with a_pool(space.bed, a_paired(0)):
        await space.until(NODES, lambda found: modes_of(found) == ["Training"] * 4, "all train")
        await space.create(job("one", 1, placement={"pool": "paired"}))
        await space.job("one", lambda seen: seen["status"]["phase"] == "Running", "runs")
        nodes = [pod["spec"]["nodeName"] for pod in (await space.pods()).values()]
        stays = 1 if nodes[0].startswith("paired-r1") else 2
        await space.client.patch(GPUPOOLS, None, "paired", {"spec": a_paired(1)["spec"]})
        want = ["Training" if rack == stays else "Inference" for rack in (1, 1, 2, 2)]
        await space.until(NODES, lambda found: modes_of(found) == want, "one rack serves, one trains")
        told = await space.until(GPUPOOLS, lambda found: says("ModeSettled")(found["paired"]), "the pool says so")
        assert [it["outcome"] for it in told["paired"]["status"]["switches"]] == ["Active"] * 2
        await space.clear()


async def test_a_unit_that_is_no_level_touches_no_node(space: Space) -> None:
    """The pool says which field, and which levels there are."""
    with a_pool(space.bed, a_paired(1, unit="row")):
        told = await space.until(
            GPUPOOLS, lambda found: says("Degraded", "True")(found["paired"]), "the pool calls a person"
        )
        said = conditions(told["paired"])["ModeSettled"]["message"]
        assert 'spec.switching.unit: the topology of this pool has no level "row"; it has: block, rack, host' in said
        nodes, _ = await space.client.list(NODES)
        assert modes_of({node["metadata"]["name"]: node for node in nodes}) == [""] * 4
