"""Nodes with modes on a real cluster: marked, switched, repaired, and left as they were when their pool is gone."""

from collections.abc import Iterator
from typing import Any, Final

import pytest

from support.api import exactly
from support.cluster import Objects, Space, a_pool, conditions, fake_nodes, says
from support.manifests import job, pool, racks
from testbed import Bed
from trainpush.kube.client import Object
from trainpush.kube.resources import DAEMONSETS, EVENTS, GPUPOOLS, NODES, PODS

MODE: Final = "training.ai/mode"
SWITCH: Final = "training.ai/switch"
FOREIGN: Final = {"key": "example.com/theirs", "effect": "PreferNoSchedule"}
FAST: Final = {"policy": "Enforce", "minTimeInMode": "0s", "cooldown": "0s", "drainDeadline": "10s"}


def a_split(inference: int, policy: str = "Enforce", **modes: Any) -> Object:
    """A pool whose nodes train, but for some that serve."""
    wanted = {"default": "Training", "inference": {"min": inference, "max": inference}, **modes}
    return pool("split", "split", modes=wanted, switching={**FAST, "policy": policy})


@pytest.fixture(autouse=True)
def _nodes(bed: Bed) -> Iterator[None]:
    """One rack of three nodes."""
    with fake_nodes(bed, racks("split", [3])):
        yield


def ours(nodes: Objects) -> list[Object]:
    return [node for name, node in sorted(nodes.items()) if name.startswith("split-")]


def modes_of(nodes: Objects) -> list[str]:
    """The mode of each node; with a question mark where label and taint differ, or it is on its way."""
    found = []
    for node in ours(nodes):
        label = node["metadata"]["labels"].get(MODE, "")
        taints = {
            taint["key"]: taint.get("value") for taint in node["spec"].get("taints", []) if "training" in taint["key"]
        }
        is_resting = taints == ({MODE: label} if label else {})
        is_marked = SWITCH in node["metadata"].get("annotations", {})
        found.append(label if is_resting and is_marked == bool(label) else f"{label}?")
    return sorted(found)


def counts(pools: Objects) -> list[int]:
    """Nodes that train, that serve, and that switch, as the pool says."""
    shown = pools["split"]["status"].get("modes", {})
    return [shown.get(key) for key in ("training", "inference", "switching")]


async def change_pool(space: Space, manifest: Object) -> None:
    await space.client.patch(GPUPOOLS, None, "split", {"spec": manifest["spec"]})


async def test_nodes_get_their_modes_and_lose_them_with_their_pool(space: Space) -> None:
    """Bounds are met by switches that the status tells of; afterwards nothing is left on any node."""
    before = await space.until(NODES, lambda found: "not-ready" not in str(ours(found)), "the nodes are ready")
    with a_pool(space.bed, a_split(1)):
        want = ["Inference", "Training", "Training"]
        await space.until(NODES, lambda found: modes_of(found) == want, "one node serves, two train")

        def is_settled(found: Objects) -> bool:
            return says("ModeSettled")(found["split"]) and counts(found) == [2, 1, 0]

        told = await space.until(GPUPOOLS, is_settled, "the pool says so")
        status = told["split"]["status"]
        assert [(it["from"], it["to"], it["outcome"]) for it in status["switches"]] == [
            ("Training", "Inference", "Active")
        ]
        assert "plan" not in status
        events, _ = await space.client.list(EVENTS, "default")
        mine = [event for event in events if event["regarding"].get("uid") == told["split"]["metadata"]["uid"]]
        assert [event["reason"] for event in mine] == ["Switched"]
    after = await space.until(NODES, lambda found: modes_of(found) == ["", "", ""], "nothing is left on the nodes")
    for one, other in zip(ours(before), ours(after), strict=True):
        assert one["metadata"]["labels"] == other["metadata"]["labels"]
        assert one["spec"] == other["spec"]


async def test_what_people_change_by_hand_is_repaired(space: Space) -> None:
    """Label and taints come back, what is not ours stays."""
    with a_pool(space.bed, a_split(1)):
        want = ["Inference", "Training", "Training"]
        nodes = await space.until(NODES, lambda found: modes_of(found) == want, "one node serves, two train")
        node = ours(nodes)[0]
        name, mode = node["metadata"]["name"], node["metadata"]["labels"][MODE]
        spoilt = {"metadata": {"labels": {MODE: "Mine"}}, "spec": {"taints": [*node["spec"]["taints"][:-1], FOREIGN]}}
        await space.client.patch(NODES, None, name, spoilt)

        def is_repaired(found: Objects) -> bool:
            labels, taints = found[name]["metadata"]["labels"], found[name]["spec"]["taints"]
            return labels[MODE] == mode and {"key": MODE, "value": mode, "effect": "NoSchedule"} in taints

        found = await space.until(NODES, is_repaired, "the node is as it was")
        assert FOREIGN in found[name]["spec"]["taints"]


async def test_a_dry_run_tells_and_touches_nothing(space: Space) -> None:
    """Also what was changed before stays, and nothing is repaired."""
    with a_pool(space.bed, a_split(1, policy="DryRun")):
        told = await space.until(
            GPUPOOLS, lambda found: found["split"].get("status", {}).get("plan"), "the plan stands in the status"
        )
        status = told["split"]["status"]
        assert [(it["from"], it["to"], it["step"]) for it in status["plan"]] == [("Training", "Inference", "Planned")]
        assert says("ModeSettled", "False", "DryRun")(told["split"])
        nodes, _ = await space.client.list(NODES)
        assert not any(SWITCH in node["metadata"].get("annotations", {}) for node in nodes)


async def test_work_goes_to_nodes_of_its_mode(space: Space) -> None:
    """A gang that needs every node gets those that train; it is told that the other one serves."""
    with a_pool(space.bed, a_split(1)):
        want = ["Inference", "Training", "Training"]
        nodes = await space.until(NODES, lambda found: modes_of(found) == want, "one node serves, two train")
        training = {node["metadata"]["name"] for node in ours(nodes) if node["metadata"]["labels"][MODE] == "Training"}
        await space.create(job("two", 2, placement={"pool": "split"}))
        await space.job("two", lambda seen: seen["status"]["phase"] == "Running", "runs")
        assert {pod["spec"]["nodeName"] for pod in (await space.pods()).values()} == training
        await space.create(job("one", 1, placement={"pool": "split"}))
        waiting = await space.job("one", lambda seen: seen["status"].get("verdict"), "waits")
        assert "1 in another mode" in waiting["status"]["verdict"]["message"]
        await space.clear()


async def test_an_unknown_time_zone_touches_no_node(space: Space) -> None:
    """The pool says which field, and goes on taking work; the nodes keep what they have."""
    with a_pool(space.bed, a_split(1)):
        want = ["Inference", "Training", "Training"]
        nodes = await space.until(NODES, lambda found: modes_of(found) == want, "one node serves, two train")
        window = {"name": "day", "from": "08:00", "to": "20:00", "timeZone": "Here/There", "inference": {"min": 3}}
        await change_pool(space, a_split(1, schedule=[window]))
        told = await space.until(
            GPUPOOLS, lambda found: says("Degraded", "True")(found["split"]), "the pool calls a person"
        )
        said = {entry["type"]: entry for entry in told["split"]["status"]["conditions"]}
        assert said["ModeSettled"]["message"].startswith(
            "no node is touched: spec.modes.schedule[0].timeZone: there is no"
        )
        assert said["Ready"]["status"] == "True"
        await space.create(job("two", 2, placement={"pool": "split"}))
        await space.job("two", lambda seen: seen["status"]["phase"] == "Running", "runs")
        now, _ = await space.client.list(NODES)
        assert modes_of({node["metadata"]["name"]: node for node in now}) == modes_of(nodes)
        await space.clear()


async def test_daemon_sets_that_would_not_come_back_are_named(space: Space) -> None:
    """Before anything is enforced; and not any more once they tolerate modes."""
    template: Object = {
        "metadata": {"labels": {"app": "plugin"}},
        "spec": {"containers": [{"name": "c", "image": "example.com/plugin:1"}], "nodeSelector": {"never": "there"}},
    }
    spec = {"selector": {"matchLabels": {"app": "plugin"}}, "template": template}
    metadata = {"name": "plugin", "namespace": space.name}
    with a_pool(space.bed, a_split(1, policy="DryRun")):
        await space.until(GPUPOOLS, is_tolerated("True"), "no DaemonSet is in the way")
        daemon = {"apiVersion": "apps/v1", "kind": "DaemonSet", "metadata": metadata, "spec": spec}
        made = await space.client.create(DAEMONSETS, daemon)
        template["spec"]["nodeSelector"] = None
        await space.client.patch(DAEMONSETS, space.name, "plugin", {"spec": spec})
        told = await space.until(GPUPOOLS, is_tolerated("False"), "the DaemonSet is named")
        assert f"{space.name}/plugin would not come back" in str(conditions(told["split"])[TOLERATE])
        template["spec"]["tolerations"] = [{"operator": "Exists"}]
        await space.client.patch(DAEMONSETS, space.name, "plugin", {"spec": spec})
        await space.until(GPUPOOLS, is_tolerated("True"), "it is not any more")
        await space.client.delete(DAEMONSETS, exactly(made))
        await space.until(PODS, lambda found: not found, "its pods are gone")


TOLERATE: Final = "DaemonSetsTolerate"


def is_tolerated(status: str) -> Any:
    return lambda found: says(TOLERATE, status)(found["split"])
