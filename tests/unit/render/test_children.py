"""Workers of an attempt: what each is told follows from the place of its gang, not from what was asked for."""

from typing import Any

import pytest

from support.manifests import job, resolved
from trainpush.api.trainpushjob import Resolved, TrainPushJob
from trainpush.model.actions import MakeWorker
from trainpush.render.children import belongings, worker
from trainpush.render.environment import of_attempt


def a_job(**strategy: Any) -> TrainPushJob:
    """A job that asks for 4 workers."""
    return TrainPushJob.parse(job("job", replicas=4, gpus=2, strategy=strategy))


def of_eight(**fields: Any) -> Resolved:
    """What 4 workers of 2 accelerators come to."""
    return resolved(processes_per_worker=2, world_size=8, **fields)


def environment(made: TrainPushJob, told: Resolved, workers: int) -> dict[str, str]:
    """Of the last worker of so many, in attempt 3."""
    pod = worker(made, told, MakeWorker(attempt=3, rank=workers - 1, node="n1", workers=workers))
    return {entry["name"]: entry["value"] for entry in pod["spec"]["containers"][0]["env"]}


@pytest.mark.parametrize("workers", [1, 2, 4, 8], ids=str)
def test_the_world_is_as_large_as_the_gang_that_runs(workers: int) -> None:
    """Whatever number of an elastic gang found a place."""
    found = environment(a_job(), of_eight(), workers)
    assert (found["PET_NNODES"], found["PET_NODE_RANK"]) == (str(workers), str(workers - 1))
    assert found["TRAINPUSH_WORLD_SIZE"] == str(2 * workers)
    assert found["PET_NPROC_PER_NODE"] == "2"
    assert found["PET_MASTER_ADDR"] == "worker-0-a3.job-workers"


@pytest.mark.parametrize("workers", [2, 4, 8], ids=str)
def test_a_model_that_is_cut_over_all_ranks_is_cut_over_those_that_are_there(workers: int) -> None:
    found = environment(a_job(type="FSDP"), of_eight(sharding_degree=8), workers)
    assert found["TRAINPUSH_SHARDING_DEGREE"] == found["TRAINPUSH_WORLD_SIZE"]


@pytest.mark.parametrize("workers", [2, 4, 8], ids=str)
def test_a_chosen_degree_stays(workers: int) -> None:
    """Also where it happens to be all ranks."""
    made = a_job(type="FSDP", sharding={"degree": 4})
    assert environment(made, of_eight(sharding_degree=4), workers)["TRAINPUSH_SHARDING_DEGREE"] == "4"


def test_what_an_attempt_resolved_to_resolves_to_itself() -> None:
    """It is read back from status as long as the gang has its place."""
    once = of_attempt(of_eight(sharding_degree=8), 3, is_degree_chosen=False)
    assert (once.world_size, once.sharding_degree) == (6, 6)
    assert of_attempt(once, 3, is_degree_chosen=False) == once
    assert of_attempt(once, 4, is_degree_chosen=False) == of_eight(sharding_degree=8)


def test_only_a_program_that_splits_layers_is_told_of_it() -> None:
    assert "TRAINPUSH_TENSOR_PARALLEL" not in environment(a_job(), of_eight(), 4)
    assert environment(a_job(), of_eight(tensor_parallel=2), 4)["TRAINPUSH_TENSOR_PARALLEL"] == "2"


def test_a_worker_may_run_on_nodes_that_train() -> None:
    """Beside what its pool tolerates; never on nodes that serve, or that change their mode."""
    theirs = [{"key": "nvidia.com/gpu", "operator": "Exists"}]
    told = Resolved.model_validate(of_eight().model_dump(by_alias=True) | {"tolerations": theirs})
    pod = worker(a_job(), told, MakeWorker(attempt=1, rank=0, node="n1", workers=4))
    ours = {"key": "training.ai/mode", "operator": "Equal", "value": "Training", "effect": "NoSchedule"}
    assert pod["spec"]["tolerations"][:2] == [*theirs, ours]


def test_only_the_operator_says_how_long_a_silent_node_is_waited_for() -> None:
    """Else Kubernetes deletes the worker after 300 s, whatever the pool says, and the job."""
    pod = worker(a_job(), of_eight(), MakeWorker(attempt=1, rank=0, node="n1", workers=4))
    assert [it for it in pod["spec"]["tolerations"] if it["effect"] == "NoExecute"] == [
        {"key": "node.kubernetes.io/not-ready", "operator": "Exists", "effect": "NoExecute"},
        {"key": "node.kubernetes.io/unreachable", "operator": "Exists", "effect": "NoExecute"},
    ]


def test_workers_find_each_other_before_they_are_ready() -> None:
    """By the name that each has in the Service that is made before them."""
    made = a_job()
    (found,) = belongings(made)
    pod = worker(made, of_eight(), MakeWorker(attempt=3, rank=0, node="n1", workers=1))
    assert found["kind"] == "Service"
    assert found["spec"]["publishNotReadyAddresses"] is True
    assert found["spec"]["selector"].items() <= pod["metadata"]["labels"].items()
    assert pod["spec"]["subdomain"] == found["metadata"]["name"]
    assert found["metadata"]["ownerReferences"] == pod["metadata"]["ownerReferences"]


def test_one_worker_that_stays_alone_needs_nobody_to_be_found_by() -> None:
    """No Service is made for it; one that may grow has its Service from the start."""
    alone = TrainPushJob.parse(job("job", replicas=1, gpus=2))
    pod = worker(alone, of_eight(), MakeWorker(attempt=1, rank=0, node="n1", workers=1))
    assert belongings(alone) == []
    assert "subdomain" not in pod["spec"]
    assert {"name": "PET_MASTER_ADDR", "value": "localhost"} in pod["spec"]["containers"][0]["env"]
    assert belongings(TrainPushJob.parse(job("job", replicas=1, gpus=2, elastic={"minReplicas": 1, "maxReplicas": 2})))


def test_a_worker_runs_what_its_job_says_or_else_what_its_pool_gave() -> None:
    """The status repeats only the latter."""
    own = TrainPushJob.parse(job("job", worker={"image": "i", "command": ["python3"], "args": ["train.py"]}))
    given = of_eight(command=["torchrun"], args=["pool.py"])
    assert runs(own, of_eight()) == (["python3"], ["train.py"])
    assert runs(a_job(), given) == (["torchrun"], ["pool.py"])


def runs(made: TrainPushJob, told: Resolved) -> tuple[list[str], list[str]]:
    """Command and arguments of the first worker."""
    pod = worker(made, told, MakeWorker(attempt=1, rank=0, node="n1", workers=1))
    container = pod["spec"]["containers"][0]
    return container["command"], container["args"]
