"""Sentences that people read: true where causes combine, and right where there is one of something."""

from support.manifests import GPU, job, pool, service
from support.snapshots import live, nodes, pod, priority, runs, snapshot
from trainpush.cli.outlook import Outlook
from trainpush.cli.show import as_wide_table
from trainpush.cli.simulation import simulate
from trainpush.kube.client import Object

CLASSES = [priority("low", 1), priority("high", 100)]


def racks(**guarantees: int) -> Object:
    """A pool with a team for each namespace that is named."""
    quotas = [
        {"name": name, "namespaces": [name], "resources": {GPU: {"guarantee": gpus}}}
        for name, gpus in guarantees.items()
    ]
    return live(pool("racks", "fake", default=True, **({"quotas": quotas} if quotas else {})))


def named(manifest: Object, namespace: str, priority_class: str) -> Object:
    """The manifest in a namespace, with a priority."""
    spec = {**manifest["spec"], "scheduling": {"priorityClassName": priority_class}}
    return {**manifest, "metadata": {**manifest["metadata"], "namespace": namespace}, "spec": spec}


def running(name: str, namespace: str, node: str, priority_class: str = "low") -> list[Object]:
    """A job of a team that runs on one node."""
    found = runs(named(job(name), namespace, priority_class), node)
    for item in found:
        item["metadata"] = {**item["metadata"], "namespace": namespace, "uid": f"{item['metadata']['uid']}-{namespace}"}
        for owner in item["metadata"].get("ownerReferences", ()):
            owner["uid"] = f"{owner['uid']}-{namespace}"
    return found


def waits(*objects: Object, namespace: str = "q3", priority_class: str = "high") -> Outlook:
    """What is said of a job of one worker."""
    mine = named(job("mine"), namespace, priority_class)
    return simulate(snapshot(*objects, *CLASSES), [mine]).asked_about[0]


def test_a_gang_beyond_its_guarantee_takes_nothing_from_other_teams() -> None:
    """However low their priority, and however much they borrowed; a higher priority would not help."""
    found = waits(*nodes(1), racks(q1=0, q3=0), *running("a", "q1", "gpu-1-00"))
    assert found.eviction is None
    assert found.verdict.cause == "BeyondGuarantee"
    assert found.verdict.advice == (
        "nobody makes room: 1 gang of another team, from which one takes only within one's own guarantee"
    )


def test_within_its_guarantee_it_does() -> None:
    found = waits(*nodes(1), racks(q1=0, q3=8), *running("a", "q1", "gpu-1-00"))
    assert found.verdict.cause == "PreemptionAnnounced"


def test_mates_and_others_are_told_apart() -> None:
    """Each has its own reason to make no room."""
    objects = [
        *running("a", "q1", "gpu-1-00"),
        *running("b", "q3", "gpu-1-01", "high"),
        *running("c", "q2", "gpu-1-02"),
    ]
    found = waits(*nodes(3), racks(q1=0, q2=8, q3=0), *objects)
    assert found.verdict.cause == "BeyondGuarantee"
    assert "2 gangs of other teams, from which" in found.verdict.advice
    assert "1 gang of its own team, with no lower priority" in found.verdict.advice


def test_where_only_other_pods_run_that_is_told() -> None:
    found = waits(*nodes(1), racks(), pod("o", "gpu-1-00"))
    assert found.verdict.advice.endswith("nobody makes room: no gang runs there")


def test_a_job_of_another_pool_is_called_by_its_name() -> None:
    """The label of a node changed while the job was there."""
    other = live(pool("other", "elsewhere"))
    found = waits(*nodes(1), racks(), other, *runs(job("guest"), "gpu-1-00", pool="other"))
    assert [holder.name for holder in found.verdict.holders] == ["default/guest"]
    assert "1 node without room" not in found.verdict.message


def test_a_job_that_is_ending_is_called_by_its_name() -> None:
    """As long as it has its place."""
    (ending, *pods) = runs(job("ending"), "gpu-1-00")
    ending = {**ending, "metadata": {**ending["metadata"], "deletionTimestamp": "2026-01-01T11:59:00Z"}}
    more = pod("o", "gpu-1-01")
    mine = named(job("mine", 2), "default", "high")
    found = simulate(snapshot(*nodes(2), racks(), ending, *pods, more, *CLASSES), [mine]).asked_about[0]
    assert {holder.name: holder.accelerators for holder in found.verdict.holders} == {
        "default/ending": 8,
        "other pods": 8,
    }


def test_one_of_everything_reads_well() -> None:
    """A node, a worker, a replica, a pool."""
    asked = [
        {**manifest, "metadata": {**manifest["metadata"], "namespace": "default"}}
        for manifest in (job("j", gpus=7), service("s"), job("w", gpus=1))
    ]
    said = as_wide_table(simulate(snapshot(*nodes(1), racks()), asked))
    assert "0/1 worker runs" in said
    assert "0/1 node fits: 1 without room" in said
    assert "room for 0 in the pool" in said
    replay = as_wide_table(simulate(snapshot(*nodes(1), racks(), live(service("s"))), []))
    assert "1 node; 8 of 8 accelerators free" in replay
    for wrong in ("1 nodes", "1 workers", "1 replicas", "1 pods", "1 gangs", "1 accelerators", "largest pool"):
        assert wrong not in said + replay
