"""Pods in governed namespaces: what trainpush adds is let in by Pod Security `restricted` and by quotas."""

from collections.abc import Callable
from typing import Any

import pytest

from support.manifests import GPU, job, pool, resolved, service
from support.pod_security import Manifest, complaints
from trainpush.api.gpupool import GPUPool
from trainpush.api.inferenceservice import InferenceService
from trainpush.api.revision import ResolvedReplica, RevisionData, ServedModel
from trainpush.api.trainpushjob import TrainPushJob
from trainpush.model.actions import MakePrepullPod, MakeWorker
from trainpush.render import children, export, prepull, serving

LIMITED = {"requests": {"cpu": 1, "memory": "1Gi"}, "limits": {"cpu": 2, "memory": "1Gi", GPU: 1}}
NOT_ROOT = {"runAsNonRoot": True}
RESOLVED = resolved(image="i", command=["train"])
WITH_PUSH = {"target": {"inferenceService": "digits"}, "export": {"uri": "pvc://models", "command": ["export"]}}


def a_job(worker: dict[str, Any] | None = None, **spec: Any) -> TrainPushJob:
    """A job that says all that a governed namespace wants of its workers."""
    defaults = {"resources": LIMITED, "worker": {"securityContext": NOT_ROOT} | (worker or {}), "push": WITH_PUSH}
    return TrainPushJob.parse(job("digits", **defaults | spec))


def export_template(made: TrainPushJob) -> Manifest:
    """The pod of its export."""
    (found,) = export.belongings(made, RESOLVED)
    template: Manifest = found["spec"]["template"]
    return template


def replica(**spec: Any) -> Manifest:
    """The pod of a service that says all of its server that a governed namespace wants."""
    asked = InferenceService.parse(service("digits", **{"resources": LIMITED} | spec))
    data = RevisionData(
        model=ServedModel(name="m", uri="pvc://models/m"),
        template=asked.spec.template(),
        resolved=ResolvedReplica(
            pool="pool", image="i", proxy_image="p", accelerator_resource=GPU, accelerators_per_replica=1
        ),
    )
    return serving.replica(asked, "digits-0123abcd", data, 1, "n1")


def worker_pod(**worker: Any) -> Manifest:
    return children.worker(a_job(worker=worker), RESOLVED, MakeWorker(attempt=1, rank=0, node="n1", workers=1))


def pull_pod() -> Manifest:
    return prepull.prepull_pod(GPUPool.parse(pool("pool", "any")), "home", MakePrepullPod("n1", ("i", "j")))


PODS: dict[str, Callable[[], Manifest]] = {
    "a worker": worker_pod,
    "a worker as a user": lambda: worker_pod(securityContext={"runAsUser": 7}),
    "an export as a user": lambda: export_template(a_job(worker={"securityContext": {"runAsUser": 7}})),
    "an export by a program": lambda: export_template(a_job()),
    "an export by a copy": lambda: export_template(
        a_job(checkpoint={"uri": "pvc://data"}, push={**WITH_PUSH, "export": {"uri": "pvc://models"}})
    ),
    "an export that names what it needs": lambda: export_template(
        a_job(push={**WITH_PUSH, "export": {**WITH_PUSH["export"], "resources": {"limits": {"memory": "8Gi"}}}})  # type: ignore[dict-item]
    ),
    "a replica": replica,
    "a replica as a user": lambda: replica(runtime={"securityContext": {"runAsUser": 7}}),
    "a replica as its image's user": lambda: replica(runtime={"securityContext": NOT_ROOT}),
    "a pod that pulls images": pull_pod,
}


@pytest.mark.parametrize("pod", PODS.values(), ids=PODS.keys())
def test_every_container_is_let_in(pod: Callable[[], Manifest]) -> None:
    """As long as users say of their own containers what the namespace wants."""
    assert complaints(pod()["spec"]) == []


@pytest.mark.parametrize("name", ["model", "proxy", "stage", "clean", "publish"])
def test_what_we_add_is_limited_whatever_users_say(name: str) -> None:
    """A quota refuses a pod for containers that nobody but us can reach."""
    specs = [replica(resources={"limits": {GPU: 1}}), export_template(a_job(resources={"limits": {GPU: 1}}))]
    containers = {
        it["name"]: it for pod in specs for it in (*pod["spec"]["initContainers"], *pod["spec"]["containers"])
    }
    assert containers[name]["resources"]["limits"].keys() == {"cpu", "memory"}


class TestServer:
    def test_is_not_root_unless_that_is_asked_for(self) -> None:
        assert replica()["spec"]["securityContext"]["runAsUser"] == 1000
        as_its_image = replica(runtime={"securityContext": {"runAsNonRoot": False}})["spec"]["securityContext"]
        assert as_its_image == {"runAsNonRoot": False, "seccompProfile": {"type": "RuntimeDefault"}}

    def test_keeps_what_else_is_asked_for(self) -> None:
        found = replica(runtime={"securityContext": {"fsGroup": 3, "readOnlyRootFilesystem": True}})["spec"]
        assert (found["securityContext"]["fsGroup"], found["securityContext"]["runAsUser"]) == (3, 1000)
        server = next(it for it in found["initContainers"] if it["name"] == "server")
        assert server["securityContext"]["readOnlyRootFilesystem"] is True

    def test_bears_labels_and_annotations_of_users_beside_ours(self) -> None:
        found = replica(runtime={"labels": {"team": "vision"}, "annotations": {"example.com/note": "x"}})["metadata"]
        assert found["labels"]["team"] == "vision"
        assert found["labels"]["training.ai/revision"] == "digits-0123abcd"
        assert found["annotations"]["example.com/note"] == "x"


class TestExport:
    def test_bears_what_workers_bear(self) -> None:
        """Labels that a policy wants, and annotations that keep a mesh out."""
        told = {"labels": {"team": "vision"}, "annotations": {"example.com/note": "x"}}
        found = export_template(a_job(worker=told))["metadata"]
        assert found["labels"].items() >= {"team": "vision", "training.ai/push-of": ""}.items()
        assert found["annotations"] == {"example.com/note": "x"}

    @pytest.mark.parametrize(
        ("workers", "told", "requests", "limits"),
        [
            ({"cpu": 8, "memory": "64Gi"}, {}, {"cpu": "50m", "memory": "64Mi"}, {"cpu": 8, "memory": "64Gi"}),
            ({"cpu": "20m", "memory": "32Mi"}, {}, {"cpu": "20m", "memory": "32Mi"}, {"cpu": "20m", "memory": "32Mi"}),
            ({}, {}, {"cpu": "50m", "memory": "64Mi"}, {}),
            ({"cpu": 8}, {"limits": {"cpu": 2}}, {"memory": "64Mi"}, {"cpu": 2}),
            ({"memory": "64Gi"}, {"requests": {"memory": "1Ti"}}, {"cpu": "50m", "memory": "1Ti"}, {}),
        ],
        ids=["as workers", "workers that have less", "workers without limits", "a limit", "a request"],
    )
    def test_asks_for_little_and_may_use_what_a_worker_may(
        self, workers: dict[str, Any], told: dict[str, Any], requests: dict[str, Any], limits: dict[str, Any]
    ) -> None:
        """What the user says of an amount is all that is said of it."""
        push = {**WITH_PUSH, "export": {"uri": "pvc://models", "command": ["export"], "resources": told}}
        pod = export_template(a_job(resources={"limits": {**workers, GPU: 1}}, push=push))["spec"]
        program = next(it for it in pod["initContainers"] if it["name"] == "export")
        assert program["resources"] == {"requests": requests, "limits": limits}
