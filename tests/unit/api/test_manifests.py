"""The models and the schema agree: the same tables that go to the real API server, read by Python."""

import json
from typing import Any

import pytest

from support.tables import KINDS, Manifest, Wrong, good, merged, wrong
from trainpush.api.base import InvalidObject
from trainpush.api.inferenceservice import InferenceService
from trainpush.api.text import claim_and_path
from trainpush.api.trainpushjob import JobStatus, TrainPushJob

REFUSED = {mistake: case for mistake, case in wrong().items() if not case.only_by_server}
UNKNOWN = {mistake: case for mistake, case in wrong().items() if case.only_by_server}


@pytest.mark.parametrize("manifest", good().values(), ids=good().keys())
def test_a_good_manifest_is_read(manifest: Manifest) -> None:
    """And written again without loss."""
    model = KINDS[manifest["kind"]]
    job = model.parse(manifest)
    assert model.parse(job.model_dump(by_alias=True, mode="json")) == job


@pytest.mark.parametrize("case", REFUSED.values(), ids=REFUSED.keys())
def test_a_wrong_manifest_is_refused_in_the_same_words(case: Wrong) -> None:
    """An object stored before a rule existed gets the answer that it would get at the door."""
    with pytest.raises(InvalidObject) as refusal:
        KINDS[case.manifest["kind"]].parse(case.manifest)
    assert case.path in str(refusal.value)
    assert case.says in str(refusal.value)
    assert "\n" not in str(refusal.value)


@pytest.mark.parametrize("case", UNKNOWN.values(), ids=UNKNOWN.keys())
def test_an_unknown_field_of_a_stored_object_is_ignored(case: Wrong) -> None:
    """A newer schema may have let it in; none of these may reach a pod, whatever stands in the store."""
    field = case.path.rpartition(".")[2]
    try:
        read = KINDS[case.manifest["kind"]].parse(case.manifest)
    except InvalidObject as error:
        assert case.path.rpartition(".")[0] in str(error)  # noqa: PT017 - what is left of it is wrong by itself
    else:
        assert f'"{field}"' not in json.dumps(read.model_dump(by_alias=True)["spec"])


def test_several_mistakes_make_one_line() -> None:
    """Each with its path."""
    mistakes: dict[str, Any] = {"spec": {"replicas": 0, "suspend": "later", "worker": {"env": [{"name": "1"}]}}}
    with pytest.raises(InvalidObject) as refusal:
        TrainPushJob.parse(merged(good()["seed"], mistakes))
    assert str(refusal.value) == (
        "spec.replicas: must be greater than or equal to 1; "
        "spec.worker.env[0].name: must be a C identifier: letters, digits and _, not starting with a digit; "
        "spec.suspend: must be a valid boolean, unable to interpret input"
    )


@pytest.mark.parametrize("spec", [None, "text", [], 7])
def test_a_spec_that_is_none_is_refused(spec: object) -> None:
    """Whatever stands there."""
    with pytest.raises(InvalidObject, match=r"^spec"):
        TrainPushJob.parse({"metadata": {"name": "a"}, "spec": spec})


def test_a_part_of_a_status_that_cannot_be_read_counts_as_absent() -> None:
    """The operator writes it anew; the rest stands."""
    status = JobStatus.read(
        {"attempt": 3, "phase": "Running", "placement": {"nodes": "n1"}, "restarts": {"failures": "x"}, "later": 1}
    )
    assert status == JobStatus(attempt=3, phase="Running")


@pytest.mark.parametrize("stored", [None, {}, "text", []])
def test_a_status_that_is_none_is_empty(stored: object) -> None:
    """A new object has none."""
    assert JobStatus.read(stored) == JobStatus()


def test_a_probe_request_of_endless_depth_is_refused() -> None:
    """Python's JSON reader gives up on it in its own way, which must not end the operator."""
    deep = f'{{"inputs": {"[" * 30_000}{"]" * 30_000}}}'
    with pytest.raises(InvalidObject, match=r"spec\.probe\.request: must be a JSON object"):
        InferenceService.parse(merged(good()["service-minimal"], {"spec": {"probe": {"request": deep}}}))


@pytest.mark.parametrize(
    ("uri", "want"), {"pvc://models": ("models", ""), "pvc://models/a/b": ("models", "a/b")}.items()
)
def test_a_claim_and_the_path_in_it(uri: str, want: tuple[str, str]) -> None:
    """As a volume and a mount need them."""
    assert claim_and_path(uri) == want
