"""The volumes of workers: each claim once, and writable only where that was asked for."""

from typing import Any

from support.manifests import job, resolved
from trainpush.api.trainpushjob import TrainPushJob
from trainpush.model.actions import MakeWorker
from trainpush.render.children import worker

RESOLVED = resolved()
ACTION = MakeWorker(attempt=1, rank=0, node="n1", workers=1)


def a_pod(read_only: bool, checkpoint: str | None) -> dict[str, Any]:
    """The spec of a worker that mounts claim `data` itself."""
    spec: dict[str, Any] = {
        "worker": {
            "volumes": [{"name": "d", "persistentVolumeClaim": {"claimName": "data", "readOnly": read_only}}],
            "volumeMounts": [{"name": "d", "mountPath": "/data"}],
        }
    }
    if checkpoint:
        spec["checkpoint"] = {"uri": checkpoint}
    pod: dict[str, Any] = worker(TrainPushJob.parse(job("job", **spec)), RESOLVED, ACTION)["spec"]
    pod["claims"] = [entry["persistentVolumeClaim"] for entry in pod["volumes"] if "persistentVolumeClaim" in entry]
    pod["mounts"] = {mount["mountPath"]: mount for mount in pod["containers"][0]["volumeMounts"]}
    return pod


def test_checkpoints_on_a_claim_of_the_user_share_its_volume() -> None:
    pod = a_pod(True, "pvc://data/checkpoints")
    assert pod["claims"] == [{"claimName": "data"}]
    assert pod["mounts"]["/data"] == {"name": "d", "mountPath": "/data", "readOnly": True}
    assert pod["mounts"]["/trainpush/checkpoints"] == {
        "name": "d",
        "mountPath": "/trainpush/checkpoints",
        "subPath": "checkpoints",
    }


def test_checkpoints_elsewhere_have_a_volume_of_their_own() -> None:
    pod = a_pod(False, "pvc://other")
    assert pod["claims"] == [{"claimName": "other"}, {"claimName": "data"}]
    assert pod["mounts"]["/trainpush/checkpoints"] == {
        "name": "trainpush-checkpoints",
        "mountPath": "/trainpush/checkpoints",
    }
    assert not pod["mounts"]["/data"]["readOnly"]


def test_a_claim_that_nobody_writes_to_is_attached_only_to_read() -> None:
    pod = a_pod(True, None)
    assert pod["claims"] == [{"claimName": "data", "readOnly": True}]
