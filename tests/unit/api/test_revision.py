"""What a revision keeps, and how it gets its name."""

from typing import Any

import pytest

from support.tables import good, merged
from trainpush.api.base import InvalidObject
from trainpush.api.inferenceservice import InferenceService
from trainpush.api.revision import RevisionData, ServedModel, revision_name

MODEL = ServedModel(name="digits", uri="pvc://models/a")
STORED: dict[str, Any] = {
    "model": {"name": "digits", "uri": "pvc://models/a"},
    "template": {"resources": {"limits": {"nvidia.com/gpu": 1}}},
    "resolved": {
        "pool": "a100",
        "image": "triton:1",
        "proxyImage": "proxy:1",
        "acceleratorResource": "nvidia.com/gpu",
        "acceleratorsPerReplica": 1,
    },
    "provenance": {"job": "digits", "jobUid": "u", "generation": 1, "attempt": 2, "image": "train:1", "step": 200},
}


def name(**spec: Any) -> str:
    """Name of the revision of the minimal service with these changes."""
    service = InferenceService.parse(merged(good()["service-minimal"], {"spec": spec}))
    return revision_name("digits", MODEL, service.spec.template())


def test_the_same_content_has_the_same_name() -> None:
    """In every process and every version: this very one."""
    assert name() == "digits-4a55241b"


@pytest.mark.parametrize(
    "spec",
    [
        {"runtime": {"args": ["--log-verbose=1"]}},
        {"resources": {"limits": {"cpu": 1}}},
        {"batching": {"maxBatchSize": 8}},
        {"probe": {"request": "{}"}},
        {"placement": {"pool": "a100"}},
    ],
)
def test_other_content_has_another_name(spec: dict[str, Any]) -> None:
    """A change of how replicas are made is a new revision."""
    assert name(**spec) != name()


@pytest.mark.parametrize(
    "spec",
    [{"replicas": 9}, {"minAvailable": 0}, {"model": {"name": "other"}}],
    ids=["replicas", "minAvailable", "model"],
)
def test_what_no_replica_is_made_from_does_not_matter(spec: dict[str, Any]) -> None:
    """Scaling is no release; the model that counts is the directory, not the way to it."""
    assert name(**spec) == name()


def test_a_default_that_is_written_out_does_not_matter() -> None:
    """Else a later version with more fields would roll every service, for nothing."""
    assert name(runtime={"type": "Triton", "sharedMemory": "1Gi"}, placement={"pool": None}) == name()


def test_another_model_has_another_name() -> None:
    """Another directory or another digest."""
    template = InferenceService.parse(good()["service-minimal"]).spec.template()
    models = [MODEL, ServedModel(name="digits", uri="pvc://models/b"), ServedModel(**_with_digest("0"))]
    assert len({revision_name("digits", model, template) for model in models}) == 3


def _with_digest(digit: str) -> dict[str, str]:
    return {"name": "digits", "uri": "pvc://models/a", "digest": f"sha256:{digit * 64}"}


def test_data_is_read_as_it_was_written() -> None:
    """Through JSON and back."""
    data = RevisionData.parse(STORED)
    written = data.model_dump(by_alias=True, mode="json", exclude_none=True)
    assert RevisionData.parse(written) == data
    assert written["provenance"]["jobUid"] == "u"
    assert data.template.runtime.shared_memory == "1Gi"


def test_data_of_a_newer_version_is_read() -> None:
    """What it says more is ignored."""
    newer = merged(STORED, {"later": 1, "model": {"later": {}}, "template": {"runtime": {"later": []}}})
    assert RevisionData.parse(newer) == RevisionData.parse(STORED)


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"model": {"uri": "file:///etc"}}, "model.uri: must be pvc://CLAIM"),
        ({"template": None}, "template: Field required"),
        ({"resolved": {"image": 7}}, "resolved.image: must be a valid string"),
    ],
)
def test_data_that_cannot_be_read_is_refused_in_one_line(change: dict[str, Any], says: str) -> None:
    """Whoever wrote it."""
    with pytest.raises(InvalidObject) as refusal:
        RevisionData.parse(merged(STORED, change))
    assert says in str(refusal.value)
    assert "\n" not in str(refusal.value)
