"""What is made for an InferenceService: from the revision alone, whatever the spec says by now."""

import json
from typing import Any

import pytest

from support.manifests import GPU, service
from trainpush.api.inferenceservice import Batching, InferenceService
from trainpush.api.revision import PROXY_REQUESTS, Provenance, ResolvedReplica, RevisionData, ServedModel
from trainpush.render import serving, triton

DIGEST = "sha256:" + "0" * 64
URI = "pvc://models/team/digits/sha256-" + "0" * 64


def a_service(**spec: Any) -> InferenceService:
    manifest = service("digits", **spec)
    manifest["metadata"] |= {"namespace": "team", "uid": "uid"}
    return InferenceService.parse(manifest)


def a_revision(uri: str = URI, digest: str | None = DIGEST, **spec: Any) -> RevisionData:
    """What the spec of a service comes to."""
    return RevisionData(
        model=ServedModel(name="Digits_v1", uri=uri, digest=digest),
        template=a_service(**spec).spec.template(),
        resolved=ResolvedReplica(
            pool="pool",
            image="example.com/triton:1",
            proxy_image="example.com/haproxy:1",
            accelerator_resource=GPU,
            accelerators_per_replica=1,
        ),
    )


def a_replica(data: RevisionData) -> dict[str, Any]:
    return serving.replica(a_service(), "digits-0123abcd", data, 7, "n1")


def containers_of(pod: dict[str, Any]) -> dict[str, dict[str, Any]]:
    spec = pod["spec"]
    return {container["name"]: container for container in [*spec["initContainers"], *spec["containers"]]}


class TestRevision:
    def test_can_be_read_back(self) -> None:
        provenance = Provenance(job="j", job_uid="u", generation=1, attempt=2, image="i", metrics={"accuracy": "0.9"})
        data = a_revision(batching={"maxBatchSize": 8}, probe={"request": "{}"}).model_copy(
            update={"provenance": provenance}
        )
        made = serving.revision(a_service(), data, "digits-0123abcd", 3)
        stored = json.loads(json.dumps(made))
        assert RevisionData.parse(stored["data"]) == data
        assert (stored["revision"], stored["metadata"]["namespace"]) == (3, "team")
        assert stored["metadata"]["ownerReferences"][0]["uid"] == "uid"


class TestEndpoint:
    def test_finds_replicas_of_every_revision(self) -> None:
        found, budget = serving.endpoint(a_service(minAvailable=2))
        labels = a_replica(a_revision())["metadata"]["labels"]
        assert labels.items() >= found["spec"]["selector"].items()
        assert found["spec"]["ports"] == [{"name": "http", "port": 80, "targetPort": 8080, "protocol": "TCP"}]
        assert budget["spec"] == {
            "minAvailable": 2,
            "maxUnavailable": None,
            "selector": {"matchLabels": found["spec"]["selector"]},
            "unhealthyPodEvictionPolicy": "AlwaysAllow",
        }

    def test_says_the_same_to_whoever_scales(self) -> None:
        found, _ = serving.endpoint(a_service())
        stated = dict(term.split("=") for term in serving.selector("digits").split(","))
        assert stated == found["spec"]["selector"]
        assert serving.url("digits", "team") == "http://digits.team.svc"


class TestBelongings:
    def test_go_with_their_revision_and_cannot_change(self) -> None:
        config, found = serving.belongings("digits", "team", "digits-0123abcd", "revision-uid", a_revision())
        for made in (config, found):
            assert made["metadata"]["name"] == "digits-0123abcd"
            assert made["metadata"]["ownerReferences"] == [
                {
                    "apiVersion": "apps/v1",
                    "kind": "ControllerRevision",
                    "name": "digits-0123abcd",
                    "uid": "revision-uid",
                    "controller": True,
                }
            ]
        assert config["immutable"]
        assert set(config["data"]) == {"config.pbtxt", "haproxy.cfg"}

    def test_the_service_of_a_revision_finds_its_replicas_alone(self) -> None:
        _, found = serving.belongings("digits", "team", "digits-0123abcd", "uid", a_revision())
        labels = a_replica(a_revision())["metadata"]["labels"]
        assert labels.items() >= found["spec"]["selector"].items()
        other = serving.replica(a_service(), "digits-ffffffff", a_revision(), 8, "n1")["metadata"]["labels"]
        assert not other.items() >= found["spec"]["selector"].items()


class TestReplica:
    def test_comes_from_its_revision_whatever_the_spec_says_by_now(self) -> None:
        data = a_revision(resources={"limits": {GPU: 2}}, runtime={"args": ["--log-verbose=1"], "sharedMemory": "2Gi"})
        edited = a_service(resources={"limits": {GPU: 8}}, runtime={"image": "example.com/other:1"})
        pod = serving.replica(edited, "digits-0123abcd", data, 7, "n1")
        server = containers_of(pod)["server"]
        assert pod["metadata"]["name"] == "digits-0123abcd-7"
        assert server["image"] == "example.com/triton:1"
        assert server["resources"]["limits"] == {GPU: 2}
        assert server["args"][0] == "tritonserver"
        assert server["args"][-1] == "--log-verbose=1"
        assert {"name": "trainpush-shared-memory", "emptyDir": {"medium": "Memory", "sizeLimit": "2Gi"}} in pod["spec"][
            "volumes"
        ]

    def test_takes_what_the_server_and_the_proxy_ask_for(self) -> None:
        found = containers_of(a_replica(a_revision()))
        assert found["proxy"]["resources"]["requests"] == PROXY_REQUESTS
        assert found["model"]["resources"] == found["proxy"]["resources"]

    def test_only_the_server_gets_accelerators(self) -> None:
        found = containers_of(a_replica(a_revision()))
        assert [name for name, container in found.items() if GPU in container["resources"].get("limits", {})] == [
            "server"
        ]

    def test_the_proxy_begins_after_the_server_and_ends_before_it(self) -> None:
        pod = a_replica(a_revision())
        names = [container["name"] for container in pod["spec"]["initContainers"]]
        assert names == ["model", "server"]
        assert containers_of(pod)["server"]["restartPolicy"] == "Always"
        assert "startupProbe" in containers_of(pod)["server"]
        assert [container["name"] for container in pod["spec"]["containers"]] == ["proxy"]

    def test_has_time_to_end_in_order(self) -> None:
        pod = a_replica(a_revision())
        drain = containers_of(pod)["proxy"]["lifecycle"]["preStop"]["sleep"]["seconds"]
        assert pod["spec"]["terminationGracePeriodSeconds"] == drain + 30 + 15
        assert f"hard-stop-after {triton.SOFT_STOP_SECONDS}s" in triton.PROXY
        assert f"--exit-timeout-secs={triton.EXIT_SECONDS}" in containers_of(pod)["server"]["args"]

    def test_is_ready_when_the_model_is_and_has_answered(self) -> None:
        pod = a_replica(a_revision())
        assert pod["spec"]["readinessGates"] == [{"conditionType": "training.ai/answered"}]
        get = containers_of(pod)["proxy"]["readinessProbe"]["httpGet"]
        assert get == {"path": "/v2/models/Digits_v1/ready", "port": 8080}

    @pytest.mark.parametrize(
        ("uri", "directory"),
        [(URI, f"/trainpush/volume/{URI.removeprefix('pvc://models/')}"), ("pvc://models", "/trainpush/volume")],
    )
    def test_looks_below_the_whole_volume_which_it_cannot_write(self, uri: str, directory: str) -> None:
        """A mount of a directory that is missing would make it."""
        pod = a_replica(a_revision(uri, None))
        assert pod["spec"]["volumes"][0]["persistentVolumeClaim"]["claimName"] == "models"
        model = containers_of(pod)["model"]
        environment = {entry["name"]: entry["value"] for entry in model["env"]}
        assert environment["TRAINPUSH_MODEL_DIR"] == directory
        assert environment["TRAINPUSH_MODEL_DIGEST"] == ""
        for container in (model, containers_of(pod)["server"]):
            mount = next(mount for mount in container["volumeMounts"] if mount["name"] == "model")
            assert mount == {"name": "model", "mountPath": "/trainpush/volume", "readOnly": True}

    def test_may_do_nothing_beyond_its_work(self) -> None:
        pod = a_replica(a_revision())
        assert pod["spec"]["automountServiceAccountToken"] is False
        assert pod["spec"]["enableServiceLinks"] is False
        assert pod["spec"]["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}
        for container in containers_of(pod).values():
            assert container["securityContext"]["allowPrivilegeEscalation"] is False
            assert container["securityContext"]["capabilities"] == {"drop": ["ALL"]}
        assert containers_of(pod)["proxy"]["securityContext"]["runAsNonRoot"]


class TestConfig:
    def test_without_batching_rows_come_one_by_one(self) -> None:
        assert triton.config("digits", None) == 'name: "digits"\nmax_batch_size: 0\n'

    def test_sizes_and_delay_are_written_as_triton_reads_them(self) -> None:
        batching = Batching(max_batch_size=64, preferred=[32, 8], max_queue_delay="2ms")
        assert triton.config("digits", batching).splitlines() == [
            'name: "digits"',
            "max_batch_size: 64",
            "dynamic_batching {",
            "  preferred_batch_size: 8",
            "  preferred_batch_size: 32",
            "  max_queue_delay_microseconds: 2000",
            "}",
        ]

    def test_a_size_alone_is_batching_too(self) -> None:
        assert "max_queue_delay_microseconds: 0" in triton.config("digits", Batching(max_batch_size=1))


def test_a_replica_may_run_on_nodes_that_serve() -> None:
    """Whatever its revision was made with."""
    assert a_replica(a_revision())["spec"]["tolerations"] == [
        {"key": "training.ai/mode", "operator": "Equal", "value": "Inference", "effect": "NoSchedule"}
    ]
