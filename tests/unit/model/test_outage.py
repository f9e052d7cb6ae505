"""From when on nothing is expected of a pod any more."""

from dataclasses import replace
from datetime import timedelta

import pytest

from support.build import NOW, a_worker
from trainpush.model.outage import Outage
from trainpush.model.workload import Phase

PATIENCE = timedelta(minutes=2)


@pytest.mark.parametrize(
    ("outage", "is_cut_off"),
    [
        (None, False),
        (Outage("n", NOW - PATIENCE, PATIENCE), True),
        (Outage("n", NOW - PATIENCE + timedelta(seconds=1), PATIENCE), False),
        (Outage("n", NOW - timedelta(days=30), patience=None), False),
        (Outage("n"), True),
    ],
    ids=["a node that is heard", "silent too long", "silent for a while", "waited for", "gone"],
)
def test_what_cuts_a_pod_off(outage: Outage | None, is_cut_off: bool) -> None:
    assert a_worker(0, outage=outage).is_cut_off(NOW) is is_cut_off


def test_what_has_ended_is_not_cut_off() -> None:
    """Its exit status is known."""
    done = a_worker(0, outage=Outage("n"))
    assert done.is_cut_off(NOW)
    assert not replace(done, phase=Phase.SUCCEEDED).is_cut_off(NOW)
