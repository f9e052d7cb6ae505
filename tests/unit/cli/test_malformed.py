"""A snapshot that is not sound is refused whole, in one line with file, item and field."""

import json
from typing import Any

import pytest

from support.manifests import GPU, job, pool
from support.snapshots import a_list, live, metadata, node, pod
from trainpush.cli.document import read
from trainpush.cli.text import BadInput
from trainpush.kube.client import Object

NODE, POD, POOL, JOB = node("n", "r1"), pod("p", "n"), live(pool("racks", "fake")), live(job("j"))
OWNER = {"kind": "InferenceService", "name": "s", "uid": "u", "controller": True}
REVISION: Object = {
    "apiVersion": "apps/v1",
    "kind": "ControllerRevision",
    "metadata": metadata("r", "default", ownerReferences=[OWNER]),
    "revision": 1,
    "data": {},
}


_GONE = object()


def but(thing: Object, *path: str, to: Any = _GONE) -> Object:
    """The object with the field at `path` set `to` a value, or removed."""
    first, *rest = path
    if rest:
        return {**thing, first: but(thing.get(first, {}), *rest, to=to)}
    kept = {key: value for key, value in thing.items() if key != first}
    return kept if to is _GONE else {**kept, first: to}


def items(*found: Any) -> str:
    """A file with these items."""
    return json.dumps(a_list(found))


def noted(name: str, to: Any = _GONE) -> str:
    """A file whose annotation of this name is set, or removed."""
    return json.dumps(but(a_list([]), "metadata", "annotations", f"training.ai/{name}", to=to))


FILES = {
    "an empty file": ("", "f: must be one v1 List, as `trainpush snapshot` writes it"),
    "no JSON": ("{a: [", "f: JSON is malformed"),
    "no YAML": ("a: [\nb: {", "f: not valid YAML (line 3)"),
    "a key twice": ("kind: List\nkind: List", "f: not valid YAML (line 1): the key 'kind' comes twice"),
    "a file that is cut off": (items(NODE, POD)[:-40], "f: Input data was truncated"),
    "no text": ("\0", "f: not valid YAML"),
    "another object": (json.dumps(NODE), "f: must be one v1 List"),
    "a list of values": ("[1, 2]", "f: must be one v1 List"),
    "two documents": ("kind: List\n---\nkind: List", "f: must be one v1 List"),
    "a list inside itself": ("&a [*a]", "f: nested too deeply, or inside itself"),
    "deep JSON": ('{"a":' * 100_000, "f: nested too deeply"),
    "NaN in YAML": ("kind: List\nitems: [{a: .nan}]", "f: items[0].a: nan is no number that JSON knows"),
    "NaN in JSON": ('{"kind": "List", "items": [NaN]}', "f: JSON is malformed"),
    "infinity": ('{"kind": "List", "items": [1e999]}', "Number out of range"),
    "a key that is no string": ("kind: List\nitems: [{1: a}]", "f: items[0]: the key 1 must be a string"),
    "bytes": ("kind: List\nitems: !!binary aGk=", "f: items: a bytes is nothing that JSON knows"),
    "no metadata": (json.dumps(but(a_list([]), "metadata")), "f: Object missing required field metadata"),
    "no time": (noted("at"), "f: metadata.annotations: Object missing required field training.ai/at"),
    "no such time": (noted("at", to="yesterday"), "f: metadata.annotations.training.ai/at: Invalid RFC3339"),
    "no time zone": (
        noted("at", to="2026-01-01T12:00:00"),
        "f: metadata.annotations.training.ai/at: Expected datetime",
    ),
    "no version": (noted("snapshot"), "f: metadata.annotations: Object missing required field training.ai/snapshot"),
    "another version": (noted("snapshot", to="7"), "f: training.ai/snapshot: this program reads version 1, not '7'"),
    "no proxy image": (noted("proxy-image", to=""), "f: metadata.annotations.training.ai/proxy-image: Expected str"),
    "no items": (json.dumps(but(a_list([]), "items")), "f: Object missing required field items"),
    "items that are none": (json.dumps(but(a_list([]), "items", to="x")), "f: items: Expected array, got str"),
}
ITEMS: dict[str, tuple[list[Any], str]] = {
    "no object": (["x"], "items[0]: Expected object, got str"),
    "no kind": ([NODE, but(POD, "kind")], "items[1]: Object missing required field kind"),
    "an unknown kind": (
        [but(POD, "kind", to="Secret")],
        "Secret others/p: Secret of v1 is no kind of a snapshot; it h",
    ),
    "an unknown version": (
        [but(JOB, "apiVersion", to="training.ai/v2")],
        "j: TrainPushJob of training.ai/v2 is no kind of a snapshot",
    ),
    "no metadata": ([but(POD, "metadata")], "items[0]: Object missing required field metadata"),
    "no name": ([but(POD, "metadata", "name")], "items[0]: metadata: Object missing required field name"),
    "no uid": ([but(POD, "metadata", "uid")], "Pod others/p: metadata: Object missing required field uid"),
    "an empty uid": ([but(POD, "metadata", "uid", to="")], "Pod others/p: metadata.uid: Expected str of length >= 1"),
    "no resourceVersion": (
        [but(JOB, "metadata", "resourceVersion")],
        "TrainPushJob default/j: metadata: Object missing required field resourceVersion",
    ),
    "a resourceVersion that is none": (
        [but(NODE, "metadata", "resourceVersion", to="x")],
        "Node n: metadata.resourceVersion: Expected str matching regex",
    ),
    "no namespace": ([but(POD, "metadata", "namespace")], "Pod p: metadata.namespace: missing"),
    "a namespace too many": (
        [but(NODE, "metadata", "namespace", to="x")],
        "Node x/n: metadata.namespace: a Node is in none",
    ),
    "no age": (
        [but(JOB, "metadata", "creationTimestamp")],
        "TrainPushJob default/j: metadata.creationTimestamp: missing",
    ),
    "no such age": (
        [but(JOB, "metadata", "creationTimestamp", to="soon")],
        "TrainPushJob default/j: metadata.creationTimestamp: Invalid RFC3339",
    ),
    "no such amount": (
        [but(NODE, "status", "allocatable", GPU, to="x")],
        "Node n: status.allocatable[nvidia.com/gpu]: 'x' must be a quantity",
    ),
    "a negative amount": (
        [but(POD, "spec", "containers", to=[{"resources": {"requests": {"cpu": "-1"}}}])],
        "Pod others/p: spec.containers[0].resources.requests[cpu]: '-1' must be a quantity",
    ),
    "a number where a string belongs": (
        [but(NODE, "status", "allocatable", "cpu", to=8)],
        "Node n: status.allocatable[cpu]: Expected str, got int",
    ),
    "a number beyond all bounds": (
        [but(NODE, "status", "allocatable", "cpu", to=10**400)],
        "Node n: status.allocatable[cpu]: Expected str, got int",
    ),
    "a string where a flag belongs": (
        [but(NODE, "spec", "unschedulable", to="no")],
        "Node n: spec.unschedulable: Expected bool, got str",
    ),
    "labels that are none": (
        [but(POD, "metadata", "labels", to={"a": 1})],
        "Pod others/p: metadata.labels[...]: Expected str, got int",
    ),
    "annotations that are none": (
        [but(JOB, "metadata", "annotations", to={"training.ai/a": 1})],
        "TrainPushJob default/j: metadata.annotations",
    ),
    "a status that is none": ([but(JOB, "status", to="Running")], "TrainPushJob default/j: status: Expected object"),
    "a revision without owner": (
        [but(REVISION, "metadata", "ownerReferences")],
        "ControllerRevision default/r: ",
    ),
    "a revision of others": ([REVISION], "ControllerRevision default/r: "),
    "one pool twice": ([POOL, but(POOL, "metadata", "uid", to="other")], "GPUPool racks: comes twice"),
    "one uid twice": (
        [JOB, but(but(JOB, "metadata", "name", to="k"), "metadata", "uid", to=JOB["metadata"]["uid"])],
        "TrainPushJob default/k: metadata.uid: TrainPushJob default/j has the same",
    ),
}
ALL = FILES | {f"an item: {name}": (items(*found), says) for name, (found, says) in ITEMS.items()}


@pytest.mark.parametrize(("text", "says"), ALL.values(), ids=ALL.keys())
def test_a_malformed_snapshot_is_refused(text: str, says: str) -> None:
    """By reading it and filling a store from it, as every use of it begins."""
    with pytest.raises(BadInput) as refusal:
        read(text, "f").store()
    assert says in str(refusal.value)
    assert str(refusal.value).startswith("f: ")
    assert "\n" not in str(refusal.value)


def test_a_spec_that_this_version_cannot_read_is_not_malformed() -> None:
    """The operator knows such a job too, and says why it is refused."""
    (seen,) = read(items(but(JOB, "spec", "replicas", to=-1)), "f").store().jobs
    assert seen.found is None
    assert "spec.replicas" in seen.fault


def test_yaml_will_do() -> None:
    """With times as Kubernetes writes them, which YAML would take for something else."""
    found = read(
        """
        apiVersion: v1
        kind: List
        metadata:
          annotations: {training.ai/snapshot: "1", training.ai/at: 2026-01-01T12:00:00Z, training.ai/proxy-image: p}
        items:
        - apiVersion: training.ai/v1
          kind: GPUPool
          metadata: {name: p, uid: u, resourceVersion: "1", creationTimestamp: 2026-01-01T11:00:00Z}
          spec: {nodeSelector: {a: b}}
        """,
        "f",
    )
    assert [seen.metadata.name for seen in found.store().pools] == ["p"]
