"""What the API server lets in: every good manifest, no wrong one, and no change that a running job could not follow."""

from collections import Counter
from datetime import UTC, datetime
from http import HTTPStatus
from typing import Any

import pytest

from support.door import Door, RefusedError
from support.tables import KINDS, Manifest, Wrong, full_status, good, plain, wrong
from trainpush.api import base
from trainpush.api.conditions import Condition
from trainpush.api.quota import NAMESPACES_IN_ALL, NAMESPACES_MAX, QUOTAS_MAX
from trainpush.api.trainpushjob import JobStatus, PlacementStatus


def holds(stored: Any, sent: Any) -> bool:
    """Whether everything that was sent was stored."""
    if isinstance(sent, dict):
        return all(key in stored and holds(stored[key], value) for key, value in sent.items())
    if isinstance(sent, list):
        return len(stored) == len(sent) and all(map(holds, stored, sent))
    return bool(stored == sent)


@pytest.mark.parametrize("manifest", good().values(), ids=good().keys())
def test_a_good_manifest_is_stored_whole_with_the_defaults_of_the_model(door: Door, manifest: Manifest) -> None:
    """Nothing is pruned, and what the server fills in is what Python would."""
    model = KINDS[manifest["kind"]]
    stored = door.create(manifest)
    assert holds(stored, manifest)
    assert plain(stored["spec"]) == plain(model.parse(manifest).model_dump(by_alias=True)["spec"])
    assert model.parse(stored).model_dump()["spec"] == model.parse(manifest).model_dump()["spec"]


AT_THE_DOOR = {mistake: case for mistake, case in wrong().items() if not case.only_by_python}


@pytest.mark.parametrize("case", AT_THE_DOOR.values(), ids=AT_THE_DOOR.keys())
def test_a_wrong_manifest_is_refused_with_path_and_remedy(door: Door, case: Wrong) -> None:
    """By schema or CEL, so also while the operator is down."""
    with pytest.raises(RefusedError) as refusal:
        door.create(case.manifest)
    assert refusal.value.status in {HTTPStatus.BAD_REQUEST, HTTPStatus.UNPROCESSABLE_ENTITY}
    assert case.path in str(refusal.value)
    assert case.says in str(refusal.value)


def test_as_many_teams_as_a_pool_may_have(door: Door) -> None:
    """What the rules cost at most is within what the API server spends on an object."""
    resources = {f"{number:0>240}.example.com/gpu": {"limit": 1} for number in range(8)}
    quotas: list[Manifest] = [
        {
            "name": f"{team:0>63}",
            "namespaces": [f"{team:0>30}-{number:0>32}" for number in range(NAMESPACES_IN_ALL // QUOTAS_MAX)],
            "resources": resources,
        }
        for team in range(QUOTAS_MAX)
    ]
    sound = good()["pool-minimal"]
    pool = {**sound, "spec": {**sound["spec"], "acceleratorResources": list(resources), "quotas": quotas}}
    assert len(door.create(pool)["spec"]["quotas"]) == QUOTAS_MAX
    quotas[-1]["namespaces"] = [*quotas[-1]["namespaces"][1:], *quotas[0]["namespaces"][:1]]
    with pytest.raises(RefusedError, match="must name each namespace in one entry only"):
        door.create(pool)
    for team, quota in enumerate(quotas):
        quota["namespaces"] = [f"{team:0>30}-{number:0>32}" for number in range(NAMESPACES_MAX)]
    with pytest.raises(RefusedError, match="must name at most 512 namespaces in all"):
        door.create(pool)


def test_there_are_enough_wrong_manifests() -> None:
    """The table is read, and nobody emptied it."""
    per_kind = Counter(case.manifest["kind"] for case in wrong().values())
    assert per_kind.keys() == KINDS.keys()
    assert min(per_kind.values()) >= 20


FROZEN: dict[str, Any] = {
    "replicas": 2,
    "resources": {"requests": {"nvidia.com/gpu": 4}, "limits": {"nvidia.com/gpu": 4}},
    "worker": {"image": "other:1"},
    "strategy": {"sharding": {"degree": 4}},
    "placement": {"required": "rack"},
    "checkpoint": {"uri": "pvc://claim"},
}
PUSH = {"target": {"inferenceService": "a"}, "export": {"uri": "pvc://models", "command": ["export"]}}
FREE: dict[str, Any] = {
    "suspend": True,
    "failurePolicy": {"maxRestarts": 9},
    "push": PUSH,
    "elastic": {"allowedReplicas": [2, 4]},
    "scheduling": {"priorityClassName": "high", "preemption": "Never", "minRuntime": "1h"},
}


@pytest.fixture
def placed(door: Door) -> Manifest:
    """The seed job as it stands once it has a place."""
    return door.patch(door.create(good()["seed"]), {"status": plain(_placed().model_dump(by_alias=True))}, "/status")


def _placed() -> JobStatus:
    place = PlacementStatus(level="rack", domain="r1", nodes=["n1"], since=datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC))
    return JobStatus(placement=place)


@pytest.mark.parametrize("field", FROZEN)
def test_a_placed_job_keeps_what_its_pods_were_made_from(door: Door, placed: Manifest, field: str) -> None:
    """An edit that cannot be done to a running gang is refused, not ignored; after the place is gone it is taken."""
    edit = {"spec": {field: FROZEN[field]}}
    with pytest.raises(RefusedError, match=rf"spec\.{field}.*cannot change.*set spec.suspend to true") as refusal:
        door.patch(placed, edit)
    assert refusal.value.status == HTTPStatus.UNPROCESSABLE_ENTITY
    door.patch(placed, {"status": {"placement": None}}, "/status")
    assert door.patch(placed, edit)["metadata"]["generation"] == 2


def test_a_placed_job_keeps_its_checkpoint(door: Door) -> None:
    """Also when the whole section is taken away."""
    job = door.create({**good()["seed"], "spec": {**good()["seed"]["spec"], "checkpoint": {"uri": "pvc://claim"}}})
    door.patch(job, {"status": plain(_placed().model_dump(by_alias=True))}, "/status")
    with pytest.raises(RefusedError, match=r"spec\.checkpoint.*set spec.suspend to true"):
        door.patch(job, {"spec": {"checkpoint": None}})


@pytest.mark.parametrize("field", FROZEN)
@pytest.mark.parametrize("how", [Condition.TRAINING_COMPLETE, Condition.FAILED])
def test_what_became_of_a_job_that_has_ended_stays_as_it_was_asked_for(
    door: Door, placed: Manifest, how: Condition, field: str
) -> None:
    """The way out is one that can be gone: it never gives its place back."""
    ended = plain(JobStatus(conditions=[_stated(how)]).model_dump(by_alias=True))
    door.patch(placed, {"status": ended}, "/status")
    for place in ({}, {"status": {"placement": None}}):
        door.patch(placed, place, "/status")
        with pytest.raises(RefusedError, match=rf"spec\.{field}.*has ended: delete it and make a new one") as refusal:
            door.patch(placed, {"spec": {field: FROZEN[field]}})
        assert "suspend" not in str(refusal.value)


def _stated(kind: Condition) -> base.Condition:
    at = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)
    return base.Condition(type=kind, status="True", reason="Known", message="it is so", last_transition_time=at)


def test_a_job_with_the_longest_command_has_a_status_that_fits(door: Door) -> None:
    """Nothing of it is repeated there, so that both together are what etcd takes."""
    command = ["python3", "-c", *("x" * 4096 for _ in range(250))]
    job = door.create({**good()["seed"], "spec": {**good()["seed"]["spec"], "worker": {"command": command}}})
    door.patch(job, {"status": full_status("TrainPushJob")}, "/status")


@pytest.mark.parametrize("field", FREE)
def test_a_placed_job_may_change_the_rest(door: Door, placed: Manifest, field: str) -> None:
    """Suspending is the way out, so it must always be open."""
    assert holds(door.patch(placed, {"spec": {field: FREE[field]}})["spec"][field], FREE[field])


def test_suspending_and_changing_at_once_is_refused(door: Door, placed: Manifest) -> None:
    """The pods are still there then."""
    with pytest.raises(RefusedError, match=r"wait until status\.placement is gone"):
        door.patch(placed, {"spec": {"suspend": True, "replicas": 2}})


EDITS: dict[str, Any] = {
    "model": {"model": {"uri": "pvc://models/b"}},
    "source": {"model": {"uri": None, "from": {"trainPushJob": "digits"}}},
    "template": {"runtime": {"args": ["--log-verbose=1"]}, "batching": {"maxBatchSize": 4}, "probe": {"request": "{}"}},
    "resources": {"resources": {"limits": {"nvidia.com/gpu": 2}}},
    "placement": {"placement": {"pool": "other"}},
    "size": {"replicas": 9, "minAvailable": 3},
    "scheduling": {"scheduling": {"priorityClassName": "high"}},
}


@pytest.mark.parametrize("edit", EDITS.values(), ids=EDITS.keys())
def test_a_service_that_serves_may_change_everything(door: Door, edit: dict[str, Any]) -> None:
    """Its replicas are made from revisions, which no edit touches."""
    service = door.create(good()["service-stopped"])
    door.patch(service, {"status": full_status("InferenceService")}, "/status")
    assert door.patch(service, {"spec": edit})["metadata"]["generation"] == 2


def test_a_service_is_scaled_by_its_subresource(door: Door) -> None:
    """As `kubectl scale` and autoscalers do it, which read the replicas and their selector from the status."""
    service = door.create(good()["service-minimal"])
    door.patch(service, {"status": full_status("InferenceService")}, "/status")
    scale = door.patch(service, {"spec": {"replicas": 4}}, "/scale")
    assert scale["spec"] == {"replicas": 4}
    assert scale["status"] == {"replicas": 3, "selector": "training.ai/inference-service=digits"}
    with pytest.raises(RefusedError, match="less than or equal to 256"):
        door.patch(service, {"spec": {"replicas": 257}}, "/scale")


def test_users_cannot_write_the_status(door: Door) -> None:
    """It is a subresource: in a manifest it is dropped."""
    status = plain(_placed().model_dump(by_alias=True))
    assert "status" not in door.create({**good()["seed"], "status": status})


@pytest.mark.parametrize("name", ["seed", "service-minimal", "pool-minimal"])
def test_a_full_status_is_taken_and_nothing_is_filled_in(door: Door, name: str) -> None:
    """Every field of the status, as the model reads and writes it; one that was never written is absent."""
    stored = door.create(good()[name])
    assert "status" not in stored
    status = full_status(stored["kind"])
    stored = door.patch(stored, {"status": status}, "/status")
    assert stored["status"] == status
    assert plain(KINDS[stored["kind"]].parse(stored).model_dump(by_alias=True)["status"]) == status
