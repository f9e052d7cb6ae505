"""The Job that exports a model: what it is told, what it sees, and when it is another one."""

from typing import Any

import pytest

from support.manifests import job, resolved
from trainpush.api.trainpushjob import Resolved, TrainPushJob
from trainpush.render.export import belongings, export_name

RESOLVED = resolved()


def a_job(name: str = "digits", nodes: tuple[str, ...] = ("n1",), uid: str = "uid", **spec: Any) -> TrainPushJob:
    """A job that ran on `nodes`, keeps checkpoints, and pushes to the service digits."""
    defaults = {
        "checkpoint": {"uri": "pvc://data/fsdp"},
        "push": a_push(),
    }
    manifest = job(name, **defaults | spec)
    manifest["metadata"] |= {"namespace": "team", "uid": uid}
    manifest["status"] = {
        "placement": {"level": "rack", "domain": "r1", "nodes": list(nodes), "since": "2026-01-01T00:00:00Z"}
    }
    return TrainPushJob.parse(manifest)


def a_push(**more: Any) -> dict[str, Any]:
    return {"target": {"inferenceService": "digits"}, "export": {"uri": "pvc://models/team/digits", **more}}


def export(made: TrainPushJob, resolved: Resolved) -> dict[str, Any]:
    """All that it needs."""
    (found,) = belongings(made, resolved)
    return found


def pod_of(made: dict[str, Any]) -> dict[str, Any]:
    spec: dict[str, Any] = made["spec"]["template"]["spec"]
    return spec


def steps_of(made: dict[str, Any]) -> dict[str, dict[str, Any]]:
    pod = pod_of(made)
    return {step["name"]: step for step in [*pod["initContainers"], *pod["containers"]]}


def env_of(step: dict[str, Any]) -> dict[str, str]:
    return {entry["name"]: entry.get("value", "") for entry in step["env"]}


def mounts_of(step: dict[str, Any]) -> dict[str, dict[str, Any]]:
    return {mount["mountPath"]: mount for mount in step["volumeMounts"]}


class TestName:
    def test_is_the_same_for_the_same_order(self) -> None:
        first = export_name(a_job(), RESOLVED)
        assert first == export_name(a_job(nodes=("n2",), replicas=4, suspend=True), RESOLVED)
        assert first.startswith("digits-export-")

    @pytest.mark.parametrize(
        ("other", "resolved"),
        [
            (a_job(uid="another"), RESOLVED),
            (a_job(push=a_push(args=["--int8"])), RESOLVED),
            (a_job(push=a_push(env=[{"name": "A", "value": "1"}])), RESOLVED),
            (a_job(), RESOLVED.model_copy(update={"image": "example.com/train:2"})),
        ],
        ids=["another job of the name", "arguments", "environment", "image"],
    )
    def test_is_another_one_for_another_order(self, other: TrainPushJob, resolved: Resolved) -> None:
        assert export_name(other, resolved) != export_name(a_job(), RESOLVED)

    def test_fits_the_longest_name(self) -> None:
        assert len(export_name(a_job("a" * 44), RESOLVED)) == 60


class TestPod:
    def test_goes_to_the_nodes_that_trained_while_they_are_there(self) -> None:
        made = pod_of(export(a_job(nodes=("n1", "n2", "n1")), RESOLVED))
        wishes = made["affinity"]["nodeAffinity"]["preferredDuringSchedulingIgnoredDuringExecution"]
        fields = [wish["preference"]["matchFields"] for wish in wishes]
        assert fields == [[{"key": "metadata.name", "operator": "In", "values": [node]}] for node in ("n1", "n2")]

    def test_asks_for_no_accelerator_and_sees_none(self) -> None:
        made = export(a_job(push=a_push(resources={"limits": {"cpu": 2}})), RESOLVED)
        steps = steps_of(made)
        for step in steps.values():
            assert env_of(step)["NVIDIA_VISIBLE_DEVICES"] == "void"
        for step in steps.values():
            assert step["resources"]["limits"].keys() <= {"cpu", "memory"}
        assert steps["export"]["resources"]["limits"] == {"cpu": 2}

    def test_cleans_up_after_all_other_steps_however_they_end(self) -> None:
        pod = pod_of(export(a_job(), RESOLVED))
        order = [(step["name"], step.get("restartPolicy")) for step in pod["initContainers"]]
        assert order == [("stage", None), ("clean", "Always"), ("export", None)]

    def test_the_service_of_the_gang_does_not_find_it(self) -> None:
        labels = export(a_job(), RESOLVED)["spec"]["template"]["metadata"]["labels"]
        assert labels["training.ai/push-of"] == "uid"
        assert "training.ai/job-uid" not in labels

    def test_belongs_to_its_job(self) -> None:
        made = export(a_job(), RESOLVED)
        assert made["metadata"]["ownerReferences"] == [
            {
                "apiVersion": "training.ai/v1",
                "kind": "TrainPushJob",
                "name": "digits",
                "uid": "uid",
                "controller": True,
                "blockOwnerDeletion": True,
            }
        ]


class TestProgram:
    def test_runs_the_users_command_with_both_environments(self) -> None:
        worker = {"env": [{"name": "A", "value": "1"}, {"name": "B", "value": "1"}], "workingDir": "/app"}
        push = a_push(command=["python3"], args=["export.py"], env=[{"name": "B", "value": "2"}])
        step = steps_of(export(a_job(worker=worker, push=push), RESOLVED))["export"]
        assert (step["command"], step["args"]) == (["python3"], ["export.py"])
        assert (step["image"], step["workingDir"]) == ("example.com/train:1", "/app")
        assert (
            env_of(step).items()
            >= {
                "A": "1",
                "B": "2",
                "TRAINPUSH_EXPORT_DIR": "/trainpush/export",
                "TRAINPUSH_CHECKPOINT_DIR": "/trainpush/checkpoints",
            }.items()
        )

    def test_arguments_alone_are_for_the_images_own_command(self) -> None:
        push = a_push(args=["export"], image="example.com/export:1")
        step = steps_of(export(a_job(push=push, worker={"workingDir": "/app"}), RESOLVED))["export"]
        assert step["image"] == "example.com/export:1"
        assert step["args"] == ["export"]
        assert "command" not in step
        assert "workingDir" not in step

    def test_without_both_the_folder_final_is_copied(self) -> None:
        step = steps_of(export(a_job(), RESOLVED))["export"]
        assert step["command"][:2] == ["/bin/sh", "-ec"]
        assert "/final" in step["command"][2]

    def test_sees_nothing_of_the_models_but_its_own_folder(self) -> None:
        made = export(a_job(), RESOLVED)
        name = made["metadata"]["name"]
        mounts = mounts_of(steps_of(made)["export"])
        assert mounts["/trainpush/export"] == {
            "name": "trainpush-models",
            "mountPath": "/trainpush/export",
            "subPathExpr": f"team/digits/.staging/{name}/$(TRAINPUSH_POD)",
        }
        staging = f"/trainpush/volume/team/digits/.staging/{name}"
        assert env_of(steps_of(made)["stage"])["TRAINPUSH_STAGING"] == staging
        assert (
            env_of(steps_of(made)["publish"]).items()
            >= {
                "TRAINPUSH_STAGING": staging,
                "TRAINPUSH_MODELS": "/trainpush/volume/team/digits",
            }.items()
        )

    def test_a_claim_without_a_path_is_used_at_its_root(self) -> None:
        push = {"target": {"inferenceService": "digits"}, "export": {"uri": "pvc://models"}}
        steps = steps_of(export(a_job(push=push), RESOLVED))
        assert env_of(steps["publish"])["TRAINPUSH_MODELS"] == "/trainpush/volume"
        assert mounts_of(steps["export"])["/trainpush/export"]["subPathExpr"].startswith(".staging/digits-export-")


class TestVolumes:
    def test_each_claim_is_named_once(self) -> None:
        made = export(a_job(checkpoint={"uri": "pvc://models/fsdp"}), RESOLVED)
        claims = [volume["persistentVolumeClaim"] for volume in pod_of(made)["volumes"]]
        assert claims == [{"claimName": "models"}]
        assert mounts_of(steps_of(made)["export"])["/trainpush/checkpoints"]["subPath"] == "fsdp"

    def test_claims_of_the_user_are_only_read_even_if_the_model_goes_there(self) -> None:
        worker = {
            "volumes": [
                {"name": "base", "persistentVolumeClaim": {"claimName": "models", "readOnly": True}},
                {"name": "scratch", "emptyDir": {}},
            ],
            "volumeMounts": [{"name": "base", "mountPath": "/base"}, {"name": "scratch", "mountPath": "/scratch"}],
        }
        made = export(a_job(worker=worker), RESOLVED)
        assert {volume["name"]: volume for volume in pod_of(made)["volumes"]} == {
            "scratch": {"name": "scratch", "emptyDir": {"medium": ""}},
            "base": {"name": "base", "persistentVolumeClaim": {"claimName": "models"}},
            "trainpush-checkpoints": {"name": "trainpush-checkpoints", "persistentVolumeClaim": {"claimName": "data"}},
        }
        mounts = mounts_of(steps_of(made)["export"])
        assert mounts["/base"]["readOnly"]
        assert not mounts["/scratch"]["readOnly"]
        assert mounts["/trainpush/checkpoints"]["readOnly"]
        assert mounts["/trainpush/export"]["name"] == "base"
        assert mounts_of(steps_of(made)["publish"]) == {
            "/trainpush/volume": {"name": "base", "mountPath": "/trainpush/volume"}
        }


def test_runs_as_whoever_trained() -> None:
    """Else it could not read what was written."""
    worker = {"securityContext": {"runAsUser": 1000, "fsGroup": 2000, "readOnlyRootFilesystem": True}}
    made = export(a_job(worker=worker), RESOLVED)
    assert pod_of(made)["securityContext"] == {
        "runAsNonRoot": True,
        "runAsUser": 1000,
        "fsGroup": 2000,
        "seccompProfile": {"type": "RuntimeDefault"},
    }
    assert all(step["securityContext"]["readOnlyRootFilesystem"] for step in steps_of(made).values())


def test_runs_on_nodes_of_any_mode_but_maintenance() -> None:
    """It needs no accelerator."""
    tolerated = [entry["value"] for entry in pod_of(export(a_job(), RESOLVED))["tolerations"]]
    assert tolerated == ["Training", "Inference"]
