"""Amounts that Kubernetes can hold count as they are, or a sentence says why not."""

import pytest

from support.manifests import GPU, job, pool, service
from support.snapshots import large, live, node, pod, priority, runs, snapshot
from trainpush.cli.outlook import Outlook
from trainpush.cli.simulation import Answer, simulate
from trainpush.kube.client import Object

RACKS = live(pool("racks", "fake", default=True))
PRIORITIES = [priority("low", 1), priority("high", 100)]


def asks(manifest: Object, **amounts: str) -> Object:
    """The manifest where each worker or replica asks for more of something."""
    limits = manifest["spec"]["resources"]["limits"]
    more = {name.replace("_", "-"): amount for name, amount in amounts.items()}
    return {
        **manifest,
        "metadata": {**manifest["metadata"], "namespace": "default"},
        "spec": {**manifest["spec"], "resources": {"limits": {**limits, **more}}},
    }


def answer(manifest: Object, *objects: Object) -> Answer:
    """What would become of it."""
    return simulate(snapshot(RACKS, *objects), [manifest])


def outlook(manifest: Object, *objects: Object) -> Outlook:
    """What would become of it, alone."""
    return answer(manifest, *objects).asked_about[0]


@pytest.mark.parametrize("resource", ["memory", "ephemeral_storage"])
def test_a_worker_that_is_larger_than_any_node_has_no_place(resource: str) -> None:
    """And is told both numbers."""
    wide = large(node("n", "r1"), **{resource: "2Ti"})
    found = outlook(asks(job("j"), **{resource: "3Ti"}), wide)
    assert found.verdict.reason == "NoMatchingNodes"
    what = resource.replace("_", "-")
    assert f"a worker needs 3Ti {what}, the largest node has 2Ti {what}" in found.verdict.message


@pytest.mark.parametrize(
    ("has", "asked", "fit"),
    [
        ("4Ti", "3Ti", 1),
        ("6Ti", "2Ti", 3),
        ("6597069766655", "2Ti", 2),  # a byte less
        ("6T", "2T", 3),
        ("60Pi", "20Pi", 3),
    ],
)
def test_as_many_workers_fit_as_the_amount_holds(has: str, asked: str, fit: int) -> None:
    """To the byte."""
    wide = large(node("n", "r1"), memory=has)
    assert outlook(asks(job("j", fit, gpus=1), memory=asked), wide).is_settled
    more = outlook(asks(job("j", fit + 1, gpus=1), memory=asked), wide)
    assert (more.is_settled, more.verdict.reason) == (False, "ExceedsPool")


def test_nothing_of_what_no_node_has_can_be_had() -> None:
    """Nobody asks for it who asks for 0."""
    assert outlook(asks(job("j"), hugepages_1Gi="0"), node("n", "r1")).is_settled
    assert outlook(asks(job("j"), hugepages_1Gi="1Gi"), node("n", "r1")).verdict.cause == "NoSuchResource"


def test_what_is_too_large_for_the_empty_pool_is_named() -> None:
    """Accelerators are there; what is lacking is memory."""
    message = outlook(asks(job("j", 2, gpus=4), memory="3Ti"), large(node("n", "r1"), memory="4Ti")).verdict.message
    assert "the empty pool takes 1 worker of 3Ti memory" in message


def test_nobody_is_evicted_for_a_gang_that_would_not_fit_even_then() -> None:
    """Somebody else's pod holds too much for it."""
    wide = large(node("n", "r1"), memory="2Ti")
    cache = pod("cache", "n", gpus=0)
    cache["spec"]["containers"][0]["resources"]["requests"]["memory"] = "800Gi"
    colleague = runs(asks(job("colleague", scheduling={"priorityClassName": "low"}), memory="100Gi"), "n")
    objects = [wide, cache, *colleague, *PRIORITIES]
    mine = asks(job("mine", scheduling={"priorityClassName": "high"}), memory="1900Gi")
    assert not answer(mine, *objects).changes
    smaller = asks(job("mine", scheduling={"priorityClassName": "high"}), memory="1200Gi")
    assert [it.what for it in answer(smaller, *objects).changes] == ["evicted"]


def test_a_running_gang_holds_all_that_it_asked_for() -> None:
    """So that nobody gets it a second time."""
    held = runs(asks(job("other", gpus=4), ephemeral_storage="70Ti"), "n")
    wide = large(node("n", "r1"), ephemeral_storage="100Ti")
    assert outlook(asks(job("j", gpus=4), ephemeral_storage="30Ti"), wide, *held).is_settled
    assert not outlook(asks(job("j", gpus=4), ephemeral_storage="31Ti"), wide, *held).is_settled


def test_a_replica_counts_with_its_proxy() -> None:
    """Which takes 64Mi beside the server."""
    wide = large(node("n", "r1"), memory="2Ti")
    assert not outlook(asks(service("s"), memory="2Ti"), wide).is_settled
    assert outlook(asks(service("s"), memory="2097088Mi"), wide).is_settled


def test_more_than_can_be_counted_is_refused_with_words() -> None:
    """64Pi are more than any node has."""
    found = outlook(asks(job("j"), memory="5Ei"), large(node("n", "r1"), memory="7Ei"))
    assert "a worker needs 5Ei memory, the largest node is counted to have 64Pi memory" in found.verdict.message


def test_what_is_asked_for_is_told_to_the_last_digit() -> None:
    """Whatever Kubernetes makes of it."""
    message = outlook(asks(job("j"), cpu="900000E"), node("n", "r1")).verdict.message
    assert "a worker needs 900000000000000000000000 cpu, the largest node has 63.5 cpu" in message


def test_totals_of_absurd_amounts_stay_in_range() -> None:
    """Of what device plugins say, and of what others request."""
    absurd = [large(node(f"n{i}", "r1"), **{GPU: str(2**63 - 1), "cpu": "9E"}) for i in range(3)]
    glutton = pod("glutton", "n0", gpus=2**63 - 1)
    before = snapshot(RACKS, *absurd, glutton)
    found = simulate(before, [asks(job("j", 30, gpus=1))])
    assert found.is_settled
    assert set(found.asked_about[0].nodes) <= {"n1", "n2"}
