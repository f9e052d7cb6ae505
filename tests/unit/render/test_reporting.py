"""What a worker is given so that it can report, and go on from where another stopped."""

from typing import Any

from support.build import NOW
from support.manifests import job, resolved
from trainpush.api.trainpushjob import TrainPushJob
from trainpush.model.actions import MakeWorker
from trainpush.model.workload import Checkpoint
from trainpush.render.children import worker
from trainpush.render.environment import Address

ADDRESS = Address("https://operator.ns.svc", "PEM")
RESOLVED = resolved(world_size=2)


def a_pod(address: Address | None, rank: int = 0, resume: Checkpoint | None = None, **spec: Any) -> dict[str, Any]:
    """The spec of one of two workers."""
    made = TrainPushJob.parse(job("job", replicas=2, **spec))
    action = MakeWorker(attempt=1, rank=rank, node="n1", workers=2, resume=resume)
    pod: dict[str, Any] = worker(made, RESOLVED, action, address)["spec"]
    return pod


def variables(pod: dict[str, Any]) -> dict[str, str]:
    """What its program finds in the environment."""
    return {entry["name"]: entry["value"] for entry in pod["containers"][0]["env"]}


def test_the_worker_of_rank_0_is_told_where_to_report_and_gets_a_token_for_nothing_else() -> None:
    pod = a_pod(ADDRESS)
    found = variables(pod)
    assert found["TRAINPUSH_ENDPOINT"] == "https://operator.ns.svc"
    assert found["TRAINPUSH_ENDPOINT_CA"] == "PEM"
    (volume,) = (volume for volume in pod["volumes"] if "projected" in volume)
    token = {"audience": "trainpush", "expirationSeconds": 3600, "path": "token"}
    assert volume["projected"]["sources"] == [{"serviceAccountToken": token}]
    (mount,) = (mount for mount in pod["containers"][0]["volumeMounts"] if mount["name"] == volume["name"])
    assert mount["readOnly"] is True
    assert found["TRAINPUSH_TOKEN_FILE"] == f"{mount['mountPath']}/token"
    assert pod["automountServiceAccountToken"] is False


def test_others_get_none() -> None:
    """From them the operator would take nothing; and outside of the cluster there is nobody to report to."""
    for pod in (a_pod(ADDRESS, rank=1), a_pod(None)):
        assert not [name for name in variables(pod) if name.startswith(("TRAINPUSH_ENDPOINT", "TRAINPUSH_TOKEN"))]
        assert not [volume for volume in pod["volumes"] if "projected" in volume]


def test_all_know_the_last_checkpoint_if_there_is_one() -> None:
    resume = Checkpoint(2, 120, "pvc://c/p", NOW)
    found = variables(a_pod(ADDRESS, rank=1, resume=resume))
    given = {name: value for name, value in found.items() if name.startswith("TRAINPUSH_RESUME_")}
    assert given == {"TRAINPUSH_RESUME_STEP": "120", "TRAINPUSH_RESUME_URI": "pvc://c/p"}
    assert not [name for name in variables(a_pod(ADDRESS)) if name.startswith("TRAINPUSH_RESUME_")]
