"""What somebody edited of a Service or a budget of ours: noticed by the reader, and mended by one patch."""

import copy
import json
from collections.abc import Callable
from typing import Any

import msgspec
import pytest

from support.manifests import job, service
from support.tables import merged
from trainpush.api.inferenceservice import InferenceService
from trainpush.api.revision import ResolvedReplica, RevisionData, ServedModel
from trainpush.api.trainpushjob import TrainPushJob
from trainpush.kube.children import read_budget, read_endpoint, read_slice
from trainpush.kube.decode_children import ServiceSpec
from trainpush.kube.drift import mending
from trainpush.kube.records import OwnerId
from trainpush.render import children, serving

Manifest = dict[str, Any]


def parsed(model: Any, manifest: Manifest) -> Any:
    manifest["metadata"] |= {"namespace": "team", "uid": "uid"}
    return model.parse(manifest)


def of_gang() -> Manifest:
    (found,) = children.belongings(parsed(TrainPushJob, job("train", 2)))
    return found


def of_service() -> Manifest:
    return serving.endpoint(parsed(InferenceService, service("digits-of-all")))[0]


def of_budget() -> Manifest:
    return serving.endpoint(parsed(InferenceService, service("digits-of-all", minAvailable=2)))[1]


def of_revision() -> Manifest:
    asked = parsed(InferenceService, service("digits-of-all"))
    resolved = ResolvedReplica(
        pool="p", image="i", proxy_image="p", accelerator_resource="nvidia.com/gpu", accelerators_per_replica=1
    )
    model = ServedModel(name="m", uri="pvc://m/m")
    data = RevisionData(model=model, template=asked.spec.template(), resolved=resolved)
    return serving.belongings("digits-of-all", "team", "digits-of-all-0123abcd", "release", data)[1]


SERVICES = {"gang": of_gang, "service": of_service, "revision": of_revision}


def stored(made: Manifest) -> Manifest:
    """As the API server keeps it: with what it fills in."""
    found = copy.deepcopy(made)
    found["metadata"] |= {"uid": "child", "resourceVersion": "7", "annotations": {"a": "b"}}
    if found["kind"] == "Service":
        found["spec"] |= {"type": "ClusterIP", "sessionAffinity": "None", "ipFamilies": ["IPv4"]}
        found["spec"]["ports"][0] |= {"nodePort": 30000}
    return found


def is_intact(found: Manifest) -> bool:
    return read_endpoint(json.dumps(found).encode()).value.is_intact


@pytest.mark.parametrize("made", SERVICES.values(), ids=SERVICES.keys())
def test_nothing_is_mended_of_what_is_as_it_was_made(made: Callable[[], Manifest]) -> None:
    found = stored(made())
    assert is_intact(found)
    assert mending(found, made()) == {}


EDITS: dict[str, Manifest] = {
    "another value in the selector": {"spec": {"selector": {"training.ai/inference-service": "typo"}}},
    "one more label in the selector": {"spec": {"selector": {"team": "vision"}}},
    "no selector": {"spec": {"selector": None}},
    "another port": {"spec": {"ports": [{"name": "http", "port": 81, "targetPort": 8080, "protocol": "TCP"}]}},
    "another target": {"spec": {"ports": [{"name": "http", "port": 80, "targetPort": 8000, "protocol": "TCP"}]}},
    "one more port": {"spec": {"ports": [{"port": 80}, {"port": 81}]}},
    "no ports": {"spec": {"ports": None}},
    "reached from outside": {"spec": {"type": "NodePort"}},
    "another name": {"spec": {"type": "ExternalName", "externalName": "example.com", "clusterIP": None}},
    "requests of its own node only": {"spec": {"internalTrafficPolicy": "Local"}},
    "another instance": {"metadata": {"labels": {"app.kubernetes.io/instance": "x"}}},
}


@pytest.mark.parametrize("edit", EDITS.values(), ids=EDITS.keys())
@pytest.mark.parametrize("made", SERVICES.values(), ids=SERVICES.keys())
def test_an_edited_service_is_noticed_and_mended(made: Callable[[], Manifest], edit: Manifest) -> None:
    """One patch makes it what it was, and leaves what others said of it."""
    edited = merged(stored(made()), edit)
    assert not is_intact(edited)
    mended = merged(edited, mending(edited, made()))
    assert is_intact(mended)
    assert mending(mended, made()) == {}
    assert mended["metadata"]["annotations"] == {"a": "b"}
    assert mended["spec"]["sessionAffinity"] == "None"


@pytest.mark.parametrize("made", SERVICES.values(), ids=SERVICES.keys())
def test_pods_that_are_not_ready_are_found_as_we_say(made: Callable[[], Manifest]) -> None:
    """Those of a gang, and none of a service."""
    edited = stored(made())
    edited["spec"]["publishNotReadyAddresses"] = not edited["spec"]["publishNotReadyAddresses"]
    assert not is_intact(edited)
    assert is_intact(merged(edited, mending(edited, made())))


@pytest.mark.parametrize("made", SERVICES.values(), ids=SERVICES.keys())
def test_whatever_is_compared_can_be_mended(made: Callable[[], Manifest]) -> None:
    """Else it would be tried again and again, without a pause."""
    compared = {field.encode_name for field in msgspec.structs.fields(ServiceSpec)}
    assert compared <= made()["spec"].keys()


def test_labels_by_which_we_find_it_come_back() -> None:
    """Without them no watch of ours tells of it."""
    edited = merged(stored(of_service()), {"metadata": {"labels": {"app.kubernetes.io/managed-by": None, "x": "y"}}})
    assert mending(edited, of_service()) == {"metadata": {"labels": {"app.kubernetes.io/managed-by": "trainpush"}}}


def budget(edit: Manifest | None = None) -> int | None:
    found = merged(stored(of_budget()), edit or {})
    return read_budget(json.dumps(found).encode()).value.min_available


def test_a_budget_counts_only_where_it_is_about_the_replicas() -> None:
    """Else it keeps nothing available, whatever number it says."""
    assert budget() == 2
    assert budget({"spec": {"selector": {"matchLabels": {"team": "vision"}}}}) is None
    assert budget({"spec": {"minAvailable": "50%"}}) is None
    narrower = {"key": "team", "operator": "Exists"}
    assert budget({"spec": {"selector": {"matchExpressions": [narrower]}}}) is None
    edited = merged(
        stored(of_budget()), {"spec": {"selector": {"matchLabels": {"team": "vision"}, "matchExpressions": [narrower]}}}
    )
    assert merged(edited, mending(edited, of_budget()))["spec"]["selector"] == of_budget()["spec"]["selector"]


def test_a_budget_that_says_it_the_other_way_round_is_mended() -> None:
    """The API server takes no budget that says both."""
    edited = merged(stored(of_budget()), {"spec": {"minAvailable": None, "maxUnavailable": 1}})
    assert mending(edited, of_budget()) == {"spec": {"minAvailable": 2, "maxUnavailable": None}}


def test_whom_a_service_finds_stands_in_its_slices() -> None:
    """Pods that are ready, or of which nothing else is said; not those that start or end, and no other addresses."""
    owner = {"apiVersion": "v1", "kind": "Service", "name": "digits", "uid": "service", "controller": True}
    endpoints: list[Manifest] = [
        {"addresses": ["10.0.0.1"], "conditions": {"ready": True}, "targetRef": {"kind": "Pod", "uid": "ready"}},
        {"addresses": ["10.0.0.2"], "conditions": {"ready": False}, "targetRef": {"kind": "Pod", "uid": "starts"}},
        {"addresses": ["10.0.0.3"], "conditions": {}, "targetRef": {"kind": "Pod", "uid": "silent"}},
        {"addresses": ["10.0.0.4"], "conditions": {"ready": True}},
    ]
    metadata = {"name": "s-x", "namespace": "team", "uid": "s", "resourceVersion": "7", "ownerReferences": [owner]}
    row = read_slice(json.dumps({"metadata": metadata, "endpoints": endpoints}).encode()).value
    assert (row.owner, row.ready) == (OwnerId("service", "team"), frozenset({"ready", "silent"}))
    empty = read_slice(json.dumps({"metadata": metadata, "endpoints": None}).encode()).value
    assert empty.ready == frozenset()
