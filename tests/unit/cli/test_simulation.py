"""What would happen, and to whom."""

import json
import random
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from support.manifests import GPU, job, pool, service
from support.snapshots import AT, PROXY, live, nodes, pod, snapshot, trains
from trainpush.__main__ import main
from trainpush.cli.document import Identity
from trainpush.cli.holdings import HOLDINGS
from trainpush.cli.outlook import Change, Outlook, What, changes
from trainpush.cli.simulation import simulate
from trainpush.controller.observe import observe
from trainpush.kube.client import Object
from trainpush.kube.store import Store
from trainpush.model.modes import Mode, SwitchStep
from trainpush.model.plan import Verdict
from trainpush.model.workload import Eviction
from trainpush.planner.plan import plan

RACKS = [*nodes(4, 4), live(pool("racks", "fake", default=True))]
"""Two racks of four nodes."""


def asked(manifest: Object, **metadata: Any) -> Object:
    """A manifest as it is read from a file."""
    namespace = {} if manifest["kind"] == "GPUPool" else {"namespace": "default"}
    return {**manifest, "metadata": {**manifest["metadata"], **namespace, **metadata}}


def name(kind: str, of: str) -> Identity:
    """An identity in the default namespace."""
    return kind, "default", of


def test_a_job_that_fits_has_a_place() -> None:
    """One rack is enough for it, and nobody else notices."""
    answer = simulate(snapshot(*RACKS), [asked(job("mine", 4))])
    (mine,) = answer.asked_about
    assert answer.is_settled
    assert (mine.level, mine.pool, len(set(mine.nodes))) == ("rack", "racks", 4)
    assert not answer.changes


def test_a_job_that_does_not_fit_waits() -> None:
    """With the operator's own words."""
    answer = simulate(snapshot(*RACKS, pod("other", "gpu-1-00")), [asked(job("mine", 8))])
    (mine,) = answer.asked_about
    assert not answer.is_settled
    assert mine.verdict.reason == "WaitingForCapacity"


def test_a_service_has_a_place_although_its_release_is_not_on_record() -> None:
    """The operator takes a cycle for that before it looks for nodes."""
    answer = simulate(snapshot(*RACKS), [asked(service("answers", 2))])
    (answers,) = answer.asked_about
    assert answer.is_settled
    assert len(answers.nodes) == 2


def test_a_pool_brings_its_nodes() -> None:
    """So that what waits for it gets a place."""
    answer = simulate(snapshot(*nodes(4), live(job("waits"))), [asked(pool("racks", "fake", default=True))])
    (change,) = answer.changes
    assert change.after.identity == name("TrainPushJob", "waits")
    assert change.what is What.PLACED


def test_a_job_that_shrinks_lets_another_in() -> None:
    """What becomes better is told too."""
    before = snapshot(*RACKS, live(job("a", 8)), live(job("b", 4)))
    (change,) = simulate(before, [asked(job("a", 4))]).changes
    assert (change.what, change.after.identity) == (What.PLACED, name("TrainPushJob", "b"))


MODES = live(pool("racks", "fake", default=True, modes={"default": "Training"}, switching={"policy": "Enforce"}))
PLACE = {"level": "host", "domain": "gpu-1-00", "nodes": ["gpu-1-00"], "since": "2026-01-01T11:00:00Z"}
RESOLVED = {"pool": "racks", "image": "i", "acceleratorResource": GPU, "processesPerWorker": 8, "worldSize": 8}
RUNS = {"type": "Running", "status": "True", "reason": "Running", "message": "", "lastTransitionTime": PLACE["since"]}
STATUS = {"attempt": 1, "placement": PLACE, "resolved": RESOLVED, "conditions": [RUNS]}
RUNNING = live(job("runs")) | {"status": STATUS}


def test_a_service_makes_nodes_change_their_mode() -> None:
    """Each is told, with whom it takes away from there."""
    document = snapshot(*map(trains, nodes(1, 1)), MODES, RUNNING)
    (change,) = simulate(document, [asked(service("answers", 16))]).changes
    assert (change.what, change.before.switches) == (What.SWITCHED, ())
    assert [(it.node, it.old, it.new, it.step, it.victims) for it in change.after.switches] == [
        ("gpu-1-00", Mode.TRAINING, Mode.INFERENCE, SwitchStep.PLANNED, ("default/runs",)),
        ("gpu-2-00", Mode.TRAINING, Mode.INFERENCE, SwitchStep.PLANNED, ()),
    ]


WINDOW = {"name": "day", "from": "08:00", "to": "20:00", "inference": {"min": 1}}
IMPOSSIBLE: dict[str, tuple[Object, Object, str]] = {
    "a time zone that is none": (
        {"schedule": [WINDOW | {"timeZone": "Europe/Pragg"}]},
        {},
        'no node is touched: spec.modes.schedule[0].timeZone: there is no time zone "Europe/Pragg"; use a name of',
    ),
    "one in a dry run": (
        {"schedule": [WINDOW, WINDOW | {"name": "night", "timeZone": "Berlin"}]},
        {"policy": "DryRun"},
        "no node is touched: spec.modes.schedule[1].timeZone",
    ),
    "a unit that is no level": (
        {"inference": {"min": 1}},
        {"unit": "row"},
        'no node is touched: spec.switching.unit: the topology of this pool has no level "row"; it has: block, rack',
    ),
    "more nodes than there are": ({"inference": {"min": 9}}, {}, "Inference needs 9 nodes, and 8 of 8 are left for it"),
}


@pytest.mark.parametrize(("modes", "switching", "said"), IMPOSSIBLE.values(), ids=IMPOSSIBLE.keys())
def test_modes_that_cannot_be_had_are_told(modes: Object, switching: Object, said: str) -> None:
    """A pool that asks for them is not settled, whether it is new, edited or there already."""
    asking = pool("racks", "fake", default=True, modes=modes, switching={"policy": "Enforce", **switching})
    for document in (snapshot(*nodes(4, 4)), snapshot(*RACKS)):
        answer = simulate(document, [asked(asking)])
        (racks,) = answer.asked_about
        assert not answer.is_settled
        assert racks.modes.startswith(said)
        # Jobs of that pool are placed all the same.
        assert simulate(snapshot(*nodes(4, 4), live(asking)), [asked(job("mine"))]).is_settled
    (racks,) = simulate(snapshot(*nodes(4, 4), live(asking)), []).asked_about
    assert racks.modes.startswith(said)


def test_modes_that_can_be_had_are_settled() -> None:
    """Also while nodes are on their way."""
    asking = pool("racks", "fake", default=True, modes={"inference": {"min": 1}}, switching={"policy": "Enforce"})
    answer = simulate(snapshot(*RACKS), [asked(asking)])
    assert answer.is_settled
    assert [it.modes for it in answer.asked_about] == [""]


def test_a_pool_without_modes_changes_no_node() -> None:
    before = snapshot(*map(trains, nodes(1)), RACKS[-1])
    assert not simulate(before, []).outlooks["GPUPool", "", "racks"].switches


def test_without_manifests_it_is_the_plan_of_that_moment() -> None:
    """Of everything, and nothing is compared."""
    document = snapshot(*RACKS, live(job("a", 8)), live(job("b", 4)), live(service("s")))
    decided = plan(observe(document.store(), lambda _: "", PROXY).snapshot, AT)
    answer = simulate(document, [])
    assert not answer.changes
    assert answer.is_settled
    for decision in decided.decisions:
        found = answer.outlooks["TrainPushJob", decision.key.namespace, decision.key.name]
        assert found.verdict == decision.verdict
        assert found.nodes == (decision.record.placement.nodes if decision.record.placement else ())


@settings(max_examples=25)
@given(st.randoms(use_true_random=False))
def test_the_order_of_items_does_not_matter(draw: random.Random) -> None:
    """Neither to the plan nor to what becomes different."""
    document = snapshot(*RACKS, pod("o", "gpu-2-01"), live(job("a", 3)), live(job("b", 4)), live(service("s")))
    items = list(document.items)
    draw.shuffle(items)
    mine = [asked(job("mine", 2))]
    assert simulate(replace(document, items=tuple(items)), mine) == simulate(document, mine)


def test_a_store_filled_from_a_snapshot_knows_what_the_live_one_knows() -> None:
    """By the same readers, from the same objects with everything that the API server sends."""
    things = [*RACKS, pod("o", "gpu-2-01"), live(job("a", 3)), live(service("s"))]
    store = Store()
    for thing in things:
        HOLDINGS[thing["kind"]].put(store, json.dumps(thing).encode())
    full, reduced = (observe(it, lambda _: "", PROXY).snapshot for it in (store, snapshot(*things).store()))
    assert plan(full, AT) == plan(reduced, AT)


def outlook(of: str = "j", *on: str, reason: str = "WaitingForCapacity", position: int = 0, **more: Any) -> Outlook:
    """A job that waits, or is placed `on` nodes."""
    verdict = Verdict(reason, "because", position=position)
    return Outlook(name("TrainPushJob", of), bool(on), "", verdict, nodes=on, **more)


EVICTION = Eviction("default/big", "Preempted", "its room is needed", lost=7200)
BEFORE_AND_AFTER = {
    "nothing new": (outlook(), outlook(), None),
    "evicted": (outlook("j", "n"), outlook("j", "n", eviction=EVICTION), What.EVICTED),
    "shrunk": (outlook("j", "n"), outlook("j", "n", eviction=replace(EVICTION, workers=1)), What.SHRUNK),
    "shrunk at once": (outlook("j", "n", "m"), outlook("j", "n"), What.SHRUNK),
    "spared": (outlook("j", "n", eviction=EVICTION), outlook("j", "n"), What.RESTORED),
    "without a place": (outlook("j", "n"), outlook(), What.UNPLACED),
    "elsewhere": (outlook("j", "n"), outlook("j", "m"), What.MOVED),
    "with a place": (outlook(), outlook("j", "n"), What.PLACED),
    "where it kept one": (replace(outlook("j", "n"), is_settled=False), outlook("j", "n"), What.PLACED),
    "keeping one": (outlook("j", "n"), replace(outlook("j", "n"), is_settled=False), What.UNPLACED),
    "further back": (outlook(position=1), outlook(position=2), What.DELAYED),
    "further ahead": (outlook(position=2), outlook(position=1), What.ADVANCED),
    "for another reason": (outlook(), outlook(reason="WaitingForQuota"), What.DELAYED),
}


@pytest.mark.parametrize(("old", "new", "what"), BEFORE_AND_AFTER.values(), ids=BEFORE_AND_AFTER.keys())
def test_what_becomes_different(old: Outlook, new: Outlook, what: What | None) -> None:
    """In one word for each object."""
    want = (Change(what, old, new),) if what else ()
    assert changes({old.identity: old}, {new.identity: new}, []) == want


def test_the_worst_comes_first_and_what_was_given_is_no_change() -> None:
    """Nobody needs to be told what happens to his own manifest twice."""
    before = [outlook("a"), outlook("b", "n"), outlook("mine")]
    after = [outlook("a", "m"), outlook("b", "n", eviction=EVICTION), outlook("mine", "n")]
    old, new = ({one.identity: one for one in found} for found in (before, after))
    found = changes(old, new, [name("TrainPushJob", "mine")])
    assert [change.what for change in found] == [What.EVICTED, What.PLACED]


@pytest.fixture
def file(tmp_path: Path) -> Path:
    """A snapshot in a file."""
    path = tmp_path / "snapshot.json"
    path.write_text(snapshot(*RACKS, live(job("other", 2))).written())
    return path


def manifest(folder: Path, *things: Object) -> str:
    """A file with manifests."""
    path = folder / "manifest.yaml"
    path.write_text("\n---\n".join(json.dumps(thing) for thing in things))
    return str(path)


def test_the_exit_status_tells_whether_something_waits(tmp_path: Path, file: Path) -> None:
    """0: all placed; 2: one waits or is refused."""
    command = ["simulate", "--snapshot", str(file), "-f"]
    assert main([*command, manifest(tmp_path, job("fits"))]) == 0
    assert main([*command, manifest(tmp_path, job("fits"), job("waits", 99))]) == 2
    assert main([*command, manifest(tmp_path, job("refused", placement={"pool": "none"}))]) == 2
    refused = {"schedule": [WINDOW | {"timeZone": "Europe/Pragg"}]}
    assert main([*command, manifest(tmp_path, pool("racks", "fake", modes=refused))]) == 2
    assert main(command[:-1]) == 0


def test_bad_input_is_one_line_and_exit_status_1(
    tmp_path: Path, file: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Nothing is printed that looks like an answer."""
    file.write_text(file.read_text()[:-100])
    assert main(["simulate", "--snapshot", str(file)]) == 1
    assert main(["simulate", "--snapshot", str(tmp_path / "none")]) == 1
    assert main(["simulate", "--snapshot", str(file), "--context", "c"]) == 1
    with pytest.raises(SystemExit) as end:
        main(["simulate", "--what"])
    assert end.value.code == 1
    said = capsys.readouterr()
    assert said.out == ""
    assert len(said.err.splitlines()) == 4
    assert "snapshot.json: Input data was truncated" in said.err
