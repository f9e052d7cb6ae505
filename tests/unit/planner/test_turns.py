"""What a gang is advised depends on who has a turn before it: cordoned nodes that are opened are for those first."""

from collections.abc import Sequence
from dataclasses import replace

import pytest

from support.build import a_gang, a_job, a_node, a_pool, a_quota, placed_job, running_job
from support.competition import ONE, decide, placed
from trainpush.model.nodes import Node
from trainpush.model.workload import Job

AWAITS = [a_job("ahead", ONE, 9), running_job("ending", "n0", suspend=True)]
PREEMPTS = [a_job("ahead", ONE, 9, priority=5), running_job("low", "n0", priority=-1)]
KEEPS = [replace(placed_job("n0", "gone", name="ahead", attempt=2), priority=5)]
GROWS = [a_job("ahead", a_gang(2, sizes=(2, 1)), 9)]


def cluster(*, is_opened: bool) -> list[Node]:
    """Two nodes, one of which somebody cordoned."""
    return [a_node("n0"), a_node("n1", cordoned=not is_opened)]


def advised(*jobs: Job) -> str:
    """What would help a job of one worker."""
    return decide(a_pool(*cluster(is_opened=False)), *jobs, a_job("mine", ONE))["mine"].verdict.advice


@pytest.mark.parametrize(
    "ahead", [AWAITS, PREEMPTS, KEEPS, GROWS], ids=["awaits what ends", "preempts", "keeps a place", "could have more"]
)
def test_no_node_is_opened_for_one_that_is_behind_another(ahead: Sequence[Job]) -> None:
    """The other would have it, whatever it waits for or got meanwhile."""
    assert "opened" not in advised(*ahead)
    assert "mine" not in placed(decide(a_pool(*cluster(is_opened=True)), *ahead, a_job("mine", ONE)))


def test_who_cannot_have_the_room_is_not_in_the_way() -> None:
    """Its team's limit holds it up, whatever is opened."""
    pool = replace(a_pool(*cluster(is_opened=False)), quotas=(a_quota("full", limit=8), a_quota("default")))
    busy = running_job("busy", "n0", namespace="full")
    found = decide(pool, busy, a_job("ahead", ONE, 9, namespace="full"), a_job("mine", ONE))["mine"]
    assert found.verdict.advice.startswith("with 1 cordoned node opened it would fit now")
