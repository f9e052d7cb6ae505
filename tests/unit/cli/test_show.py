"""What people and programs get to read."""

import json
from dataclasses import replace

import pytest
import yaml

from support.manifests import job, pool
from support.snapshots import AT, live, nodes, pod, snapshot
from trainpush.cli.outlook import Change, Outlook, What
from trainpush.cli.show import FORMS, ranges
from trainpush.cli.simulation import Answer, simulate
from trainpush.model.actions import RemoveWorker
from trainpush.model.modes import Mode, SwitchStep
from trainpush.model.plan import Holder, PlannedSwitch, Verdict
from trainpush.model.workload import Eviction

RANGES = {
    "none": ([], ""),
    "one": (["gpu-7"], "gpu-7"),
    "some": (["gpu-1", "gpu-2", "gpu-3", "gpu-7"], "gpu-[1-3,7]"),
    "twice": (["gpu-1", "gpu-1"], "gpu-1"),
    "padded": (["r1-08", "r1-09", "r1-10", "r2-08"], "r1-[08-10], r2-08"),
    "one digit more": (["n9", "n10"], "n[9-10]"),
    "with a domain": (["ip-10-0-0-1.ec2.internal", "ip-10-0-0-2.ec2.internal"], "ip-10-0-0-[1-2].ec2.internal"),
    "with an ending": (["n1-gpu", "n2-gpu"], "n[1-2]-gpu"),
    "without numbers": (["b", "a"], "a, b"),
}


@pytest.mark.parametrize(("names", "want"), RANGES.values(), ids=RANGES.keys())
def test_names_in_short(names: list[str], want: str) -> None:
    """Many nodes on one line."""
    assert ranges(names) == want


RUNS = Outlook(("TrainPushJob", "b", "old"), True, "Running", Verdict("Running", ""), "p", "rack", "r1", ("n1", "n2"))
EVICTED = Outlook(
    RUNS.identity,
    True,
    "Running",
    Verdict("Running", ""),
    "p",
    "rack",
    "r1",
    ("n1", "n2"),
    Eviction("a/big", "Preempted", "lower priority", lost=5400),
)
WAITS = Outlook(
    ("TrainPushJob", "a", "big"),
    False,
    "Queued",
    Verdict("WaitingForPreemption", "others make room", holders=(Holder("b/old", 16),), position=2, advice="wait"),
    "p",
    actions=(RemoveWorker("w", "u"),),
)
ANSWER = Answer(
    AT,
    "s.json",
    {WAITS.identity: WAITS, RUNS.identity: EVICTED},
    (WAITS.identity,),
    (Change(What.EVICTED, RUNS, EVICTED),),
)


def test_who_makes_room_for_whom() -> None:
    """And at which cost; the eviction is announced, not carried out."""
    assert (
        FORMS["table"](ANSWER)
        == """\
At 2026-01-01 12:00:00 UTC, s.json

TrainPushJob a/big would wait: WaitingForPreemption
  why      others make room
  queue    number 2 in pool p
  holders  b/old (16)
  advice   wait

Others would notice:

TrainPushJob b/old would be evicted for a/big:
  cost     1.5 accelerator-hours of work; lower priority
"""
    )


def test_a_replay_is_a_table() -> None:
    """Every object on a line."""
    document = snapshot(*nodes(2), live(pool("racks", "fake", default=True)), pod("p", "gpu-1-00"), live(job("j")))
    assert FORMS["table"](simulate(document, [])) == (
        "At 2026-01-01 12:00:00 UTC, snapshot.json\n"
        "\n"
        "KIND          NAME       STAGE     REASON          WHERE\n"
        "GPUPool       racks                NodesFound      2 nodes; 0 of 16 accelerators free\n"
        "TrainPushJob  default/j  Starting  WaitingForPods  gpu-1-01 (1 worker, rack b1/r1 of pool racks)\n"
    )


POOL = Outlook(("GPUPool", "", "p"), True, "", Verdict("NodesFound", "2 nodes"))
SWITCHES = (
    PlannedSwitch("n1", Mode.TRAINING, Mode.INFERENCE, SwitchStep.DRAINING, "service a/s", ("b/old",), 5400),
    PlannedSwitch("n2", Mode.INFERENCE, Mode.TRAINING, SwitchStep.PLANNED, "bounds"),
)
TURNING = replace(POOL, switches=SWITCHES)
SAID = """\
  node     n1, Training to Inference (Draining): service a/s; must go: b/old (1.5 accelerator-hours of work)
  node     n2, Inference to Training (Planned): bounds
"""


def test_nodes_that_change_their_mode() -> None:
    """In a replay, of a pool that is given, and of one that others make change."""
    outlooks = {TURNING.identity: TURNING}
    replay = Answer(AT, "s.json", outlooks, (), ())
    given = replace(replay, given=(TURNING.identity,))
    noticed = replace(ANSWER, changes=(Change(What.SWITCHED, POOL, TURNING),))
    kept = replace(ANSWER, changes=(Change(What.SWITCHED, TURNING, POOL),))
    for form in ("table", "wide"):
        assert f"\nGPUPool p would change the mode of these nodes:\n{SAID}" in FORMS[form](replay)
        assert f"\nGPUPool p would have 2 nodes\n{SAID}" in FORMS[form](given)
        assert FORMS[form](noticed).endswith(f"\nGPUPool p would change the mode of these nodes:\n{SAID}")
        assert FORMS[form](kept).endswith("\nGPUPool p would change the mode of no node:\n")
    (decision,) = json.loads(FORMS["json"](replay))["decisions"]
    assert decision["switches"][0] == {
        "node": "n1",
        "from": "Training",
        "to": "Inference",
        "step": "Draining",
        "why": "service a/s",
        "victims": ["b/old"],
        "lostAcceleratorSeconds": 5400,
    }


def test_modes_that_cannot_be_had() -> None:
    """In a replay, and of a pool that is given."""
    refused = replace(POOL, verdict=Verdict("InvalidSpec", "2 nodes"), modes="no node is touched: no such time zone")
    replay = Answer(AT, "s.json", {refused.identity: refused}, (), ())
    given = replace(replay, given=(refused.identity,))
    for form in ("table", "wide"):
        assert "InvalidSpec  2 nodes; no node is touched: no such time zone" in FORMS[form](replay)
        assert "\nGPUPool p would have 2 nodes\n  modes    no node is touched: no such time zone\n" in FORMS[form](
            given
        )
    (decision,) = json.loads(FORMS["json"](given))["decisions"]
    assert decision["modes"] == refused.modes


def test_the_wide_form_has_every_act() -> None:
    """So that a decision can be followed to the pod."""
    assert "  then     RemoveWorker name=w uid=u\n" in FORMS["wide"](ANSWER)


def test_programs_get_one_object() -> None:
    """The same in JSON and YAML."""
    found = json.loads(FORMS["json"](ANSWER))
    assert found == yaml.safe_load(FORMS["yaml"](ANSWER))
    (decision,), (change,) = found["decisions"], found["changes"]
    assert (found["at"], found["settled"], decision["settled"]) == ("2026-01-01T12:00:00Z", False, False)
    assert decision["actions"] == [{"action": "RemoveWorker", "name": "w", "uid": "u"}]
    assert change["what"] == "evicted"
    assert change["after"]["eviction"]["lost"] == 5400
