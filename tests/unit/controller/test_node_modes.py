"""What observing makes of nodes with modes: which pool says what, what is nobody's, and what is to be repaired."""

import json
from datetime import UTC, datetime
from typing import Any

from support.manifests import GPU, pool
from trainpush.controller.observe import Observation, observe
from trainpush.kube.daemons import read_daemon
from trainpush.kube.records import read_node
from trainpush.kube.store import Store
from trainpush.model.modes import Mode, Switch, SwitchStep
from trainpush.model.plan import AnnotateNode, NodeDecision

BEGUN = datetime(2026, 1, 1, tzinfo=UTC)
TRAINS = Switch(Mode.TRAINING, Mode.TRAINING, SwitchStep.ACTIVE, BEGUN, BEGUN)
ENFORCED = {"modes": {}, "switching": {"policy": "Enforce"}}
UNKNOWN = {"schedule": [{"name": "a", "from": "08:00", "to": "09:00", "timeZone": "Here", "training": {"min": 1}}]}


def put_pool(store: Store, name: str, **spec: Any) -> None:
    """A pool that has the nodes with the label pool=NAME."""
    made = pool(name, name, **spec)
    identity = {"uid": name, "resourceVersion": str(version()), "creationTimestamp": "2026-01-01T11:59:00Z"}
    store.pools.take({**made, "metadata": {**made["metadata"], **identity}})


def put_node(store: Store, name: str, of: str, *, switch: bool = False, taint: bool = True, wish: str = "") -> None:
    """A node of a pool, which trains if it has a switch; without its taint somebody has changed it."""
    labels = {**pool("any", of)["spec"]["nodeSelector"], **({"training.ai/mode": "Training"} if switch else {})}
    annotations = {"training.ai/wanted-mode": wish} if wish else {}
    if switch:
        told = {"mode": "Training", "to": "Training", "step": "Active"}
        annotations["training.ai/switch"] = json.dumps(
            {**told, **dict.fromkeys(("begun", "since"), "2026-01-01T00:00:00Z")}
        )
    taints = [{"key": "training.ai/mode", "value": "Training", "effect": "NoSchedule"}] if switch and taint else []
    metadata = {"name": name, "uid": name, "resourceVersion": str(version()), "labels": labels}
    node = {
        "metadata": {**metadata, "annotations": annotations},
        "spec": {"taints": taints},
        "status": {"allocatable": {GPU: "8"}, "capacity": {GPU: "8"}},
    }
    store.nodes.put(read_node(json.dumps(node).encode()))


_versions = iter(range(1, 1000))


def version() -> int:
    """Later than all before."""
    return next(_versions)


def seen(store: Store) -> Observation:
    """What the planner gets, and the rest."""
    return observe(store, lambda uid: "", "example.com/haproxy:1")


def test_a_pool_with_modes_says_what_its_nodes_say() -> None:
    """And the very same as long as nothing changed."""
    store = Store()
    put_pool(store, "a", **ENFORCED)
    put_node(store, "n1", "a", switch=True)
    put_node(store, "n2", "a", wish="Maintenance")
    found = seen(store).snapshot.pools[0]
    assert found.switching is not None
    assert found.switching.is_enforced
    assert (found.switches, found.wishes, found.labelled) == ({"n1": TRAINS}, {"n2": Mode.MAINTENANCE}, {})
    again = seen(store).snapshot.pools[0]
    assert again.table is found.table
    assert again.switches is found.switches


def test_what_the_agent_says_is_believed_of_its_own_value_only() -> None:
    """On a node that waits for it; what it said of another value says nothing, and the label is put right."""
    hook = {"label": "a.com/b", "stateLabel": "a.com/c", "values": {"training": "whole"}}
    store = Store()
    put_pool(store, "a", modes={}, switching={"policy": "Enforce", "hook": hook})
    told = {"mode": "Inference", "to": "Training", "step": "Warming", "begun": "2026-01-01T00:00:00Z"}
    setting = {"label": "a.com/b", "value": "whole", "stateLabel": "a.com/c"}
    annotation = json.dumps({**told, "since": "2026-01-01T00:00:00Z", "setting": setting})
    taints = [
        {"key": f"training.ai/{key}", "value": "Training", "effect": "NoSchedule"} for key in ("mode", "switching")
    ]
    for name, value, state in (("n1", "whole", "success"), ("n2", "sliced", "success"), ("n3", "whole", None)):
        labels = {**pool("any", "a")["spec"]["nodeSelector"], "training.ai/mode": "Training", "a.com/b": value}
        labels |= {"a.com/c": state} if state else {}
        metadata = {"name": name, "uid": name, "resourceVersion": str(version()), "labels": labels}
        metadata |= {"annotations": {"training.ai/switch": annotation}}
        store.nodes.put(read_node(json.dumps({"metadata": metadata, "spec": {"taints": taints}}).encode()))
    found = seen(store)
    assert found.snapshot.pools[0].states == {"n1": "success"}
    assert [it.name for it in found.repairs] == ["n2"]


def test_an_annotation_that_changes_leaves_the_table_as_it_is() -> None:
    """Nothing in it speaks of modes."""
    store = Store()
    put_pool(store, "a", **ENFORCED)
    put_node(store, "n1", "a")
    before = seen(store).snapshot.pools[0]
    put_node(store, "n1", "a", wish="Inference")
    after = seen(store).snapshot.pools[0]
    assert after.table is before.table
    assert (before.wishes, after.wishes) == ({}, {"n1": Mode.INFERENCE})


def test_nodes_that_no_pool_gives_a_mode_are_orphans() -> None:
    """Of a pool without modes, and of none at all; but not while some pool cannot be understood."""
    store = Store()
    put_pool(store, "a", **ENFORCED)
    put_pool(store, "b")
    for name, of in (("n3", "nobody"), ("n1", "a"), ("n2", "b")):
        put_node(store, name, of, switch=True)
    put_node(store, "n4", "b")
    assert seen(store).snapshot.orphans == (("n2", TRAINS), ("n3", TRAINS))
    put_pool(store, "c", acceleratorResources=[])
    assert seen(store).snapshot.orphans == ()


def test_a_refused_calendar_touches_no_node() -> None:
    """The fault is told; neither are nodes marked, nor are annotations taken away or repaired."""
    store = Store()
    put_pool(store, "a", modes=UNKNOWN, switching={"policy": "Enforce"})
    put_node(store, "n1", "a", switch=True, taint=False)
    found = seen(store)
    assert found.snapshot.pools[0].switching is None
    assert (found.snapshot.orphans, found.repairs) == ((), ())
    fault = found.modes["a"].fault
    assert fault is not None
    assert "timeZone" in fault.message


def test_what_was_changed_by_hand_is_to_be_repaired() -> None:
    """Where modes are enforced."""
    store = Store()
    put_pool(store, "a", **ENFORCED)
    put_node(store, "n1", "a", switch=True, taint=False)
    put_node(store, "n2", "a", switch=True)
    assert seen(store).repairs == (NodeDecision("n1", AnnotateNode("n1", TRAINS, TRAINS)),)
    put_pool(store, "a", modes={})
    assert seen(store).repairs == ()


def test_daemon_sets_are_named_where_they_run() -> None:
    """Those that do not tolerate the taints of modes, on pools that have modes and such nodes."""
    store = Store()
    put_pool(store, "a", modes={})
    put_pool(store, "b")
    put_node(store, "n1", "a")
    for name, selector, tolerations in (
        ("everywhere", {}, []),
        ("here", pool("any", "a")["spec"]["nodeSelector"], []),
        ("elsewhere", {"other": "label"}, []),
        ("patient", {}, [{"operator": "Exists"}]),
    ):
        pod = {"nodeSelector": selector, "tolerations": tolerations}
        metadata = {"name": name, "namespace": "ns", "uid": name, "resourceVersion": "1"}
        store.daemons.put(read_daemon(json.dumps({"metadata": metadata, "spec": {"template": {"spec": pod}}}).encode()))
    found = seen(store).modes
    assert found.keys() == {"a"}
    assert found["a"].repelled == ("ns/everywhere", "ns/here")
