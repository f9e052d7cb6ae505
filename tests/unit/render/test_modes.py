"""What a node bears of its mode, and what of it is repaired."""

from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from support.build import NOW
from trainpush.api import names
from trainpush.model import modes as model
from trainpush.model.modes import Mode, Setting, Switch, SwitchStep
from trainpush.model.nodes import Taint, Toleration
from trainpush.render import modes

SERVES = Switch(Mode.INFERENCE, Mode.INFERENCE, SwitchStep.ACTIVE, NOW, NOW, "the calendar")
MODE, SWITCHING = names.LABEL_MODE, names.LABEL_SWITCHING
MIG, STATE = "nvidia.com/mig.config", "nvidia.com/mig.config.state"
SLICED = Setting(MIG, "all-1g.10gb", STATE)
SWITCHES = st.builds(
    Switch,
    mode=st.sampled_from(Mode),
    to=st.sampled_from(Mode),
    step=st.sampled_from(SwitchStep),
    begun=st.integers(0, 10**6).map(lambda seconds: NOW + timedelta(seconds=seconds)),
    since=st.integers(0, 10**6).map(lambda seconds: NOW + timedelta(seconds=seconds)),
    why=st.text(max_size=80),
    setting=st.none()
    | st.builds(Setting, st.just(MIG), st.sampled_from(["all-disabled", "all-1g.10gb"]), st.just(STATE)),
)


def going(step: SwitchStep) -> Switch:
    """A node on its way from inference to training."""
    return replace(SERVES, to=Mode.TRAINING, step=step)


def test_the_planner_and_the_api_mean_the_same_keys() -> None:
    """They may not import each other."""
    assert (model.MODE_KEY, model.SWITCHING_KEY) == (MODE, SWITCHING)


@given(SWITCHES)
def test_an_annotation_is_read_as_it_was_written(switch: Switch) -> None:
    """Whatever it says."""
    assert modes.read(modes.written(switch)) == switch


GOOD = (
    '{"mode":"Training","to":"Training","step":"Active","begun":"2026-01-01T00:00:00Z","since":"2026-01-01T00:00:00Z"}'
)


@pytest.mark.parametrize(
    "annotation",
    [
        *(None, "", "{", "null", "7", "[]", "[" * 100_000, '"Training"', "{}"),
        GOOD.replace("Training", "Serving"),
        GOOD.replace("Active", "Done"),
        GOOD.replace("2026-01-01T00:00:00Z", "2026-01-01T00:00:00"),
        GOOD.replace('"2026-01-01T00:00:00Z"', "1767225600"),
        GOOD.replace("2026-01-01T00:00:00Z", "today"),
        GOOD.replace('"Active"', "[1]"),
        GOOD.replace('"Training"', "{}"),
        GOOD.replace("}", ',"setting":null}'),
        GOOD.replace("}", ',"setting":{"label":"a/b","value":1,"stateLabel":"a/c"}}'),
        GOOD.replace("}", ',"setting":{"label":"a/b","value":"c"}}'),
    ],
    ids=lambda text: str(text)[:40],
)
def test_a_broken_annotation_counts_as_none(annotation: str | None) -> None:
    """People may write anything."""
    assert modes.read(GOOD) is not None
    assert modes.read(annotation) is None


@pytest.mark.parametrize(
    ("switch", "label", "taints"),
    [
        (None, None, {}),
        (SERVES, "Inference", {MODE: "Inference"}),
        (replace(SERVES, mode=Mode.SHARED, to=Mode.SHARED), "Shared", {}),
        (replace(SERVES, mode=Mode.MAINTENANCE, to=Mode.MAINTENANCE), "Maintenance", {MODE: "Maintenance"}),
        (going(SwitchStep.PLANNED), "Inference", {MODE: "Inference"}),
        (going(SwitchStep.CORDONED), "Inference", {MODE: "Inference", SWITCHING: "Training"}),
        (going(SwitchStep.NOTIFIED), "Inference", {MODE: "Inference", SWITCHING: "Training"}),
        (going(SwitchStep.DRAINING), "Inference", {MODE: "Inference", SWITCHING: "Training"}),
        (going(SwitchStep.STUCK), "Inference", {MODE: "Inference", SWITCHING: "Training"}),
        (going(SwitchStep.FLIPPING), "Training", {MODE: "Training", SWITCHING: "Training"}),
        (going(SwitchStep.WARMING), "Training", {MODE: "Training", SWITCHING: "Training"}),
        (replace(SERVES, step=SwitchStep.ABORTED), "Inference", {MODE: "Inference"}),
    ],
    ids=str,
)
def test_label_and_taints_follow_from_the_step(
    switch: Switch | None, label: str | None, taints: dict[str, str]
) -> None:
    """Nothing new comes from Cordoned to Warming; the new mode shows from Flipping on."""
    found = modes.picture(switch)
    assert found.label == label
    assert {taint.key: taint.value for taint in found.taints} == taints
    assert {taint.effect for taint in found.taints} <= {"NoSchedule"}


def a_node(switch: Switch | None, *taints: dict[str, Any], **labels: str) -> dict[str, Any]:
    """A node of the API server that bears what follows from `switch`, and more."""
    wanted = modes.picture(switch)
    ours = [{"key": taint.key, "value": taint.value, "effect": taint.effect} for taint in wanted.taints]
    return {
        "metadata": {"uid": "u", "resourceVersion": "7", "labels": labels, "annotations": {"other": "kept"}},
        "spec": {"taints": [*taints, *ours]} if taints or ours else {},
    }


FOREIGN = [
    {"key": "node.kubernetes.io/unreachable", "effect": "NoExecute", "timeAdded": "2026-01-01T00:00:00Z"},
    {"key": "nvidia.com/gpu", "value": "present", "effect": "NoSchedule"},
    {"key": "training.ai/other", "value": "x", "effect": "PreferNoSchedule"},
]


@given(st.none() | SWITCHES, st.none() | SWITCHES)
def test_a_patch_changes_nothing_of_others(before: Switch | None, after: Switch | None) -> None:
    """Foreign taints stay whole and in order; annotation, label and our taints are those of `after`."""
    patch = modes.node_patch(a_node(before, *FOREIGN), after)
    taints = patch["spec"]["taints"]
    assert taints[:3] == FOREIGN
    assert {(it["key"], it["value"]) for it in taints[3:]} == {(it.key, it.value) for it in modes.picture(after).taints}
    assert patch["metadata"] == {
        "uid": "u",
        "resourceVersion": "7",
        "annotations": {names.ANNOTATION_SWITCH: modes.written(after) if after else None},
        "labels": {names.LABEL_MODE: modes.picture(after).label, **vendors(after)},
    }


def vendors(after: Switch | None) -> dict[str, str | None]:
    """What is written of a vendor's labels on a node that has none of them."""
    return {after.setting.label: after.setting.value, STATE: None} if after and after.setting else {}


@pytest.mark.parametrize(
    ("labels", "written"),
    [
        ({}, {MIG: "all-1g.10gb", STATE: None}),
        ({MIG: "all-disabled", STATE: "success"}, {MIG: "all-1g.10gb", STATE: None}),
        ({MIG: "all-1g.10gb", STATE: "success"}, {MIG: "all-1g.10gb"}),
        ({MIG: "all-1g.10gb", STATE: "pending"}, {MIG: "all-1g.10gb"}),
    ],
    ids=str,
)
def test_what_was_said_of_another_setting_goes_with_it(labels: dict[str, str], written: dict[str, Any]) -> None:
    """And what was said of this one stays: written twice, it says the same."""
    after = replace(SERVES, setting=SLICED)
    patched = modes.node_patch(a_node(SERVES) | {"metadata": a_node(SERVES, **labels)["metadata"]}, after)
    assert patched["metadata"]["labels"] == {MODE: "Inference", **written}
    assert not modes.bears(after, {MODE: "Inference", **labels} | {MIG: "other"}, [])


@pytest.mark.parametrize("after", [None, SERVES], ids=["no mode", "no hook"])
def test_a_setting_that_nobody_asks_for_is_left_alone(after: Switch | None) -> None:
    """It is what the node is like."""
    patch = modes.node_patch(a_node(SERVES, **{MIG: "mine", STATE: "success"}), after)
    assert patch["metadata"]["labels"].keys() == {MODE}


@given(st.none() | SWITCHES)
def test_a_patched_node_bears_what_it_should(after: Switch | None) -> None:
    """So nothing is left to repair; and any other label or taint of ours is."""
    patch = modes.node_patch(a_node(SERVES, *FOREIGN), after)
    taints = [Taint(it["key"], it.get("value", ""), it["effect"]) for it in patch["spec"]["taints"]]
    labels = {key: value for key, value in patch["metadata"]["labels"].items() if value is not None}
    assert modes.bears(after, labels, taints)
    assert not modes.bears(after, {**labels, MODE: "Mine"}, taints)
    assert not modes.bears(after, labels, [*taints, Taint(SWITCHING, "Mine", "NoSchedule")])
    assert not modes.bears(after, labels, [*taints, Taint(MODE, "Training", "NoExecute")])


@pytest.mark.parametrize(
    ("tolerations", "is_repelled"),
    [
        ([], True),
        ([Toleration("", "Exists", "", "")], False),
        ([Toleration("", "Exists", "", "NoSchedule")], False),
        ([Toleration("", "Exists", "", "NoExecute")], True),
        ([Toleration(MODE, "Exists", "", "")], True),
        ([Toleration(MODE, "Exists", "", ""), Toleration(SWITCHING, "Exists", "", "NoSchedule")], False),
        ([Toleration(MODE, "Equal", "Training", ""), Toleration(SWITCHING, "Exists", "", "")], True),
        ([Toleration("nvidia.com/gpu", "Exists", "", "NoSchedule")], True),
    ],
    ids=str,
)
def test_who_comes_back_on_a_node_with_a_mode(tolerations: list[Toleration], is_repelled: bool) -> None:
    """Pods of a DaemonSet are made anew while a node switches, too."""
    assert modes.is_repelled(tolerations) == is_repelled


def test_nobody_is_let_in_where_people_work() -> None:
    """What runs on nodes of any mode stays off those in maintenance."""
    tolerated = [
        Toleration(it["key"], it["operator"], it["value"], it["effect"])
        for it in modes.tolerated(Mode.TRAINING, Mode.INFERENCE)
    ]
    let_in = {mode: any(it.covers(Taint(MODE, mode, "NoSchedule")) for it in tolerated) for mode in Mode}
    assert let_in == {Mode.TRAINING: True, Mode.INFERENCE: True, Mode.SHARED: False, Mode.MAINTENANCE: False}


@pytest.mark.parametrize(("text", "mode"), [("Training", Mode.TRAINING), ("training", None), ("", None), (None, None)])
def test_what_people_want(text: str | None, mode: Mode | None) -> None:
    """Another word is no wish."""
    assert modes.wished(text) is mode
