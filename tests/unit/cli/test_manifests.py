"""What people ask about: read strictly, and put into a snapshot as the API server would."""

import json
from pathlib import Path
from typing import Any

import pytest

from support.manifests import job, pool, service
from support.snapshots import AT, live, snapshot
from support.tables import wrong
from trainpush.cli import manifests
from trainpush.cli.document import Document
from trainpush.cli.text import BadInput
from trainpush.kube.client import Object

PLACED = {"placement": {"nodes": ["n"], "level": "host", "domain": "n", "since": "2026-01-01T11:00:00Z"}}
JOB = "apiVersion: training.ai/v1\nkind: TrainPushJob\n"
SPEC = "spec: {resources: {limits: {nvidia.com/gpu: 8}}}\n"


def given(folder: Path, *texts: str) -> list[Object]:
    """What files with these texts ask for."""
    paths = [folder / f"{number}.yaml" for number in range(len(texts))]
    for path, text in zip(paths, texts, strict=True):
        path.write_text(text)
    return manifests.read(map(str, paths))


def the_job(document: Document) -> Object:
    """The only job of a snapshot."""
    (found,) = [item for item in document.items if item["kind"] == "TrainPushJob"]
    return found


WRONG = {
    "no file": (None, "0.yaml: No such file or directory"),
    "nothing in it": ("---\n---\n", "0.yaml: holds no object"),
    "no kind": ("apiVersion: training.ai/v1", "0.yaml: apiVersion or kind is missing"),
    "a kind that is not ours": ("apiVersion: v1\nkind: Pod", "0.yaml: Pod of v1: give TrainPushJob, InferenceService"),
    "another version": (JOB.replace("v1", "v2"), "0.yaml: TrainPushJob of training.ai/v2: give TrainPushJob"),
    "no name": (JOB + SPEC, "0.yaml: metadata.name: must be the name of the TrainPushJob"),
    "a name that is a number": (JOB + "metadata: {name: 7}\n" + SPEC, "0.yaml: metadata.name: must be the name"),
    "a namespace that is none": (JOB + "metadata: {name: j, namespace: 7}\n" + SPEC, "j: metadata.namespace: must be"),
    "no spec": (JOB + "metadata: {name: j}", "0.yaml: TrainPushJob j: spec: Field required"),
    "an unknown field": (JOB + "metadata: {name: j}\n" + SPEC + "specs: {}", "j: specs: there is no such field"),
    "an unknown field of the spec": (
        JOB + "metadata: {name: j}\nspec: {replica: 2, resources: {limits: {nvidia.com/gpu: 8}}}",
        "0.yaml: TrainPushJob j: spec.replica: ",
    ),
    "NaN": (JOB + "metadata: {name: j}\nspec: {replicas: .nan}", "0.yaml: spec.replicas: nan is no number"),
    "the second of two": (
        JOB + "metadata: {name: j}\n" + SPEC + "---\n" + JOB + "metadata: {name: k}\nspec: {replicas: -1}",
        "0.yaml: document 2: TrainPushJob k: spec.replicas: must be greater than or equal to 1",
    ),
    "one name twice": (
        JOB + "metadata: {name: j}\n" + SPEC + "---\n" + JOB + "metadata: {name: j, namespace: default}\n" + SPEC,
        "0.yaml: document 2: TrainPushJob default/j: is given twice",
    ),
}


@pytest.mark.parametrize(("text", "says"), WRONG.values(), ids=WRONG.keys())
def test_a_wrong_manifest_is_refused(tmp_path: Path, text: str | None, says: str) -> None:
    """In one line with file, document, object and field."""
    with pytest.raises(BadInput) as refusal:
        manifests.read([str(tmp_path / "0.yaml")]) if text is None else given(tmp_path, text)
    assert says in str(refusal.value)
    assert "\n" not in str(refusal.value)


@pytest.mark.parametrize("case", (cases := wrong()).values(), ids=cases.keys())
def test_what_the_api_server_refuses_is_refused(tmp_path: Path, case: Any) -> None:
    """Misspelt fields too, which the reader of stored objects lets pass."""
    with pytest.raises(BadInput) as refusal:
        given(tmp_path, json.dumps(case.manifest))
    assert case.path in str(refusal.value)


def test_a_new_object_is_the_youngest(tmp_path: Path) -> None:
    """In the namespace that kubectl would take."""
    found = the_job(manifests.applied(snapshot(), given(tmp_path, JOB + "metadata: {name: j}\n" + SPEC)))
    assert found["metadata"]["namespace"] == "default"
    assert found["metadata"]["creationTimestamp"] == AT.isoformat()


def test_an_edit_keeps_status_and_age() -> None:
    """Only the spec is new, and the generation tells so."""
    old = live(job("j", 2), generation=3) | {"status": {"attempt": 2}}
    edit = job("j", 3)
    edit["metadata"]["namespace"] = "default"
    found = the_job(manifests.applied(snapshot(old), [edit]))
    assert found["spec"]["replicas"] == 3
    assert found["status"] == {"attempt": 2}
    assert found["metadata"]["generation"] == 4
    assert found["metadata"]["creationTimestamp"] == old["metadata"]["creationTimestamp"]


def test_the_same_spec_is_no_edit() -> None:
    """However it is written: defaults that the API server filled in do not count."""
    old = live(job("j", 1, failurePolicy={"maxRestarts": 3}))
    again = job("j")
    again["metadata"]["namespace"] = "default"
    del again["spec"]["replicas"]
    assert manifests.applied(snapshot(old), [again]) == snapshot(old)


def test_an_edit_that_the_api_server_would_refuse_is_refused() -> None:
    """Fields of a placed job stand still."""
    edit = job("j", 3)
    edit["metadata"]["namespace"] = "default"
    with pytest.raises(BadInput, match=r"^TrainPushJob default/j: spec.replicas: cannot change while .* is placed"):
        manifests.applied(snapshot(live(job("j", 1)) | {"status": PLACED}), [edit])


def test_what_is_being_deleted_is_not_edited() -> None:
    """The API server would wait for its end too."""
    old = live(job("j"), deletionTimestamp="2026-01-01T11:59:00Z")
    edit = job("j", 3)
    edit["metadata"]["namespace"] = "default"
    with pytest.raises(BadInput, match="it is being deleted"):
        manifests.applied(snapshot(old), [edit])


def test_every_kind_of_ours_can_be_given(tmp_path: Path) -> None:
    """Pools are in no namespace."""
    found = given(tmp_path, *(json.dumps(thing) for thing in (job("a"), service("b"), pool("c", "fake"))))
    assert [thing["metadata"].get("namespace") for thing in found] == ["default", "default", None]
