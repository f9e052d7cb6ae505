"""Labels of nodes change after a gang got its place: it seeks another before it starts, and is told while it runs."""

from collections.abc import Mapping
from dataclasses import replace
from datetime import timedelta

import pytest

from support.build import NOW, a_cluster, a_gang, a_node, a_placement, a_pool, placed_job, running_job, varied
from support.competition import decide
from trainpush.model.gang import Gang, Slices
from trainpush.model.nodes import Node
from trainpush.model.plan import Stage
from trainpush.model.snapshot import Pool
from trainpush.model.workload import Eviction, Job, Phase, Placement, Worker
from trainpush.planner.diagnostics.causes import Cause
from trainpush.planner.memory import Memory
from trainpush.planner.plan import plan

RACKS = {"n0": "r1", "n1": "r1", "m0": "r2", "m1": "r2"}
PAIR = a_gang(2, required="rack")


def pool_of(racks: Mapping[str, str | None], **changed: str | None) -> Pool:
    """Nodes by rack, some of which were `changed` since."""
    return a_pool(*(a_node(name, rack=rack) for name, rack in {**racks, **changed}.items()))


def about_to_start(gang: Gang, *nodes: str, domain: str = "b1/r1") -> Job:
    """A job that has its place in a rack, and no pods yet."""
    job = placed_job(*nodes)
    place = a_placement(*nodes, level="rack", domain=domain)
    return replace(job, request=gang, recorded=replace(job.recorded, placement=place))


def running(gang: Gang, *nodes: str) -> Job:
    """A job that runs in rack r1."""
    job = running_job("job", *nodes)
    place = a_placement(*nodes, level="rack", domain="b1/r1", age=100)
    return replace(job, request=gang, recorded=replace(job.recorded, placement=place))


def place_of(pool: Pool, job: Job) -> Placement | None:
    """The place that it has after the next cycle."""
    return decide(pool, job)["job"].record.placement


def test_a_gang_that_is_about_to_start_seeks_another_place() -> None:
    """One of its nodes is in another rack by now; a rack stands by."""
    place = place_of(pool_of(RACKS, n1="r9"), about_to_start(PAIR, "n0", "n1"))
    assert place
    assert (place.level, place.domain, place.nodes) == ("rack", "b1/r2", ("m0", "m1"))


def test_it_waits_where_there_is_no_other() -> None:
    """And says why: the other rack is in use, what is free is in two."""
    told = decide(pool_of(RACKS, n1="r9"), about_to_start(PAIR, "n0", "n1"), running_job("other", "m0"))["job"]
    assert told.record.placement is None
    assert told.verdict.cause == Cause.SCATTERED
    assert told.verdict.message.endswith("the room is scattered over 3 domains of the level rack")


@pytest.mark.parametrize("changed", [{"n1": None}, {"n0": None}, {"n0": "r2"}, {"n0": None, "n1": None}], ids=" ".join)
def test_it_seeks_another_whatever_became_of_the_label(changed: dict[str, str | None]) -> None:
    """Taken away, or that of a rack with others in it."""
    racks = {**RACKS, "k0": "r3", "k1": "r3", "m0": "r2", "m1": "r2"}
    place = place_of(pool_of(racks, **changed), about_to_start(PAIR, "n0", "n1"))
    assert place
    assert place.domain in {"b1/r2", "b1/r3"}
    assert len({racks[node] for node in place.nodes}) == 1


def test_whole_slices_are_kept_too() -> None:
    """Two of two in one block: the second pair is not in one rack any more."""
    racks = {f"{rack}-{i}": rack for rack in ("r1", "r2", "r3") for i in range(2)}
    gang = a_gang(4, required="block", slices=(Slices("rack", 2),))
    job = about_to_start(gang, "r1-0", "r1-1", "r2-0", "r2-1", domain="b1/r1")
    place = place_of(pool_of(racks, **{"r2-1": "r9"}), job)
    assert place
    assert place.nodes == ("r1-0", "r1-1", "r3-0", "r3-1")


def test_a_lost_node_does_not_hide_that_a_slice_is_torn() -> None:
    """What is left is no whole slice: it is not mended, but placed anew."""
    racks = {f"{rack}-{i}": rack for rack in ("r1", "r2", "r3") for i in range(2)}
    nodes: list[Node] = [a_node(name, rack=rack) for name, rack in {**racks, "r1-1": "r9"}.items()]
    nodes = [replace(node, ready=node.name != "r2-1") for node in nodes]
    gang = a_gang(2, slices=(Slices("rack", 2),))
    place = place_of(a_pool(*nodes), about_to_start(gang, "r1-0", "r1-1"))
    assert place
    assert place.nodes == ("r3-0", "r3-1")


def test_a_restart_in_place_seeks_another_one() -> None:
    """While the pods of the attempt before are still ending."""
    job = about_to_start(PAIR, "n0", "n1")
    old = tuple(Worker(f"job-{i}", f"u{i}", 1, i, Phase.RUNNING, f"n{i}", deleting=True) for i in range(2))
    job = replace(job, workers=old, recorded=replace(job.recorded, attempt=2))
    decided = decide(pool_of(RACKS, n1="r9"), job)["job"]
    assert decided.record.placement
    assert (decided.record.placement.domain, decided.record.attempt) == ("b1/r2", 3)


def test_a_place_that_still_does_is_kept_and_told_anew() -> None:
    """A rack got another name."""
    place = place_of(pool_of(RACKS, n0="r9", n1="r9"), about_to_start(PAIR, "n0", "n1"))
    assert place
    assert (place.domain, place.nodes) == ("b1/r9", ("n0", "n1"))


def test_what_was_only_preferred_is_told_anew() -> None:
    """Nobody asked for one rack: the place stays, and the message says what it is."""
    job = about_to_start(a_gang(2, preferred="rack"), "n0", "n1")
    decided = decide(pool_of(RACKS, n1="r2"), job)["job"]
    assert decided.record.placement
    assert (decided.record.placement.level, decided.record.placement.domain) == ("block", "b1")
    assert decided.verdict.message == "placed in block b1; 0/2 workers run"


def test_a_gang_that_runs_is_told_where_it_is_now() -> None:
    """It goes on, and hears that it does not have what it asked for."""
    decided = decide(pool_of(RACKS, n1="r9"), running(PAIR, "n0", "n1"))["job"]
    assert decided.record.placement
    assert (decided.record.placement.level, decided.record.placement.domain) == ("block", "b1")
    assert decided.verdict.message == (
        "2 workers run in block b1; labels have changed: the gang is spread over b1/r1, b1/r9, "
        "and was to be in one rack; its next attempt seeks another place"
    )
    assert not decided.actions


def test_a_gang_that_is_just_starting_is_told_too() -> None:
    """Its pods are there, and pull an image: it goes on, as one that runs."""
    job = about_to_start(PAIR, "n0", "n1")
    pods = tuple(Worker(f"job-{i}", f"u{i}", 1, i, Phase.PENDING, f"n{i}") for i in range(2))
    decided = decide(pool_of(RACKS, n1="r9"), replace(job, workers=pods))["job"]
    assert decided.stage is Stage.STARTING
    assert decided.verdict.message == (
        "placed in block b1; 0/2 workers run; labels have changed: the gang is spread over b1/r1, b1/r9, "
        "and was to be in one rack; its next attempt seeks another place"
    )


def test_a_slice_that_is_torn_while_it_runs_is_named() -> None:
    """The whole gang is where it was to be."""
    racks = {f"{rack}-{i}": rack for rack in ("r1", "r2") for i in range(2)}
    gang = a_gang(4, slices=(Slices("rack", 2),))
    message = decide(pool_of(racks, **{"r2-1": "r9"}), running(gang, *racks))["job"].verdict.message
    assert message.startswith(
        "4 workers run in block b1; labels have changed: a slice of 2 is spread over b1/r2, b1/r9"
    )


def test_who_runs_is_asked_again_when_a_node_is_labelled_otherwise() -> None:
    """Though nothing happened to the job; and again when the label is back."""
    job, memory = replace(running(PAIR, "n0", "n1"), key=running_job("job").key), Memory()
    for pool in (pool_of(RACKS), pool_of(RACKS, n1="r9"), pool_of(RACKS)):
        seen = a_cluster(job, pool=pool)
        assert plan(seen, NOW, memory) == plan(seen, NOW)


def test_a_new_label_takes_no_eviction_back() -> None:
    """A program that was asked for a checkpoint goes on with it, wherever its rack is said to be."""
    asked = Eviction("default/other", "Preempted", "makes room", asked_at=NOW, deadline=NOW + timedelta(minutes=1))
    job = running(varied(PAIR, required=None), "n0", "n1")
    job = replace(job, is_asked=True, recorded=replace(job.recorded, eviction=replace(asked, is_answered=True)))
    decided = decide(pool_of(RACKS, n1="r9"), job)["job"]
    assert decided.record.preemptions == 1
