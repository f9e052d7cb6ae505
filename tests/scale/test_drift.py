"""Services of ours that somebody edits or deletes: mended within seconds, by a real API server's rules."""

import json
from collections.abc import AsyncIterator, Iterator
from typing import Any

import pytest

from support.cluster import Space, a_pool, fake_nodes, says
from support.manifests import job, pool, racks, service
from testbed import Bed
from trainpush.kube.client import Object
from trainpush.kube.resources import BUDGETS, INFERENCESERVICES, SERVICES


@pytest.fixture(scope="module", autouse=True)
def _pool(bed: Bed) -> Iterator[None]:
    with fake_nodes(bed, racks("drift", [2])), a_pool(bed, pool("drift", "drift")):
        yield


@pytest.fixture
async def served(space: Space) -> AsyncIterator[Space]:
    """A namespace with a service of one replica, which is gone before its pods are deleted."""
    manifest = service("svc", placement={"pool": "drift"})
    manifest["metadata"]["namespace"] = space.name
    await space.client.create(INFERENCESERVICES, manifest)
    yield space
    await space.delete(INFERENCESERVICES, "svc")


EDITS: dict[str, Object] = {
    "selector": {"selector": {"training.ai/inference-service": "typo", "training.ai/job-uid": "typo"}},
    "label more": {"selector": {"team": "vision"}},
    "port": {"ports": [{"name": "other", "port": 81, "targetPort": 81, "protocol": "TCP"}]},
}


@pytest.mark.parametrize("edit", EDITS.values(), ids=EDITS.keys())
async def test_an_edited_service_of_a_gang_is_mended(space: Space, edit: Object) -> None:
    """While the gang runs: a worker that starts again must find the others."""
    await space.create(job("job", 2))
    await space.job("job", says("Running"), "runs")
    await _mended(space, "job-workers", edit)


@pytest.mark.parametrize("edit", EDITS.values(), ids=EDITS.keys())
async def test_an_edited_service_of_a_model_server_is_mended(served: Space, edit: Object) -> None:
    """Also that of its release, and before any replica is ready."""
    found = await served.until(SERVICES, lambda found: len(found) == 2, "both Services are there")
    for name in found:
        await _mended(served, name, edit)


async def test_what_is_deleted_comes_back(served: Space) -> None:
    """As it was, under another uid."""
    before = await served.until(SERVICES, lambda found: len(found) == 2, "both Services are there")
    for name in before:
        await served.delete(SERVICES, name)
    uids = {thing["metadata"]["uid"] for thing in before.values()}

    def is_new(found: dict[str, Object]) -> bool:
        return found.keys() == before.keys() and not uids & {thing["metadata"]["uid"] for thing in found.values()}

    await served.until(SERVICES, is_new, "both are there again")


async def test_a_budget_that_is_about_others_is_mended(served: Space) -> None:
    """Else an eviction could take all replicas."""
    before = await served.until(BUDGETS, lambda found: "svc" in found, "the budget is there")
    await served.client.patch(BUDGETS, served.name, "svc", {"spec": {"selector": {"matchLabels": {"team": "vision"}}}})
    wanted = before["svc"]["spec"]["selector"]
    await served.until(BUDGETS, lambda found: found["svc"]["spec"]["selector"] == wanted, "it is about its replicas")


async def _mended(space: Space, name: str, edit: Object) -> None:
    """Edit a Service, and wait until it says what it said."""
    before = (await space.until(SERVICES, lambda found: name in found, f"{name} is there"))[name]
    await space.client.patch(SERVICES, space.name, name, {"spec": edit})

    def as_before(found: dict[str, Any]) -> bool:
        return all(_plain(found[name]["spec"][part]) == _plain(before["spec"][part]) for part in ("selector", "ports"))

    await space.until(SERVICES, as_before, f"{name} is as it was", seconds=10)


def _plain(part: Any) -> str:
    return json.dumps(part, sort_keys=True)
