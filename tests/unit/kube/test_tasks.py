"""Tasks: what a status says of the gang that runs, which may have another size than was asked for."""

import msgspec
import pytest

from support.build import NOW, a_placement
from support.manifests import job
from trainpush.api.base import Metadata
from trainpush.api.trainpushjob import Resolved, TrainPushJob
from trainpush.kube.store import Seen
from trainpush.kube.tasks import JobTask
from trainpush.model.plan import Decision, Stage, Verdict
from trainpush.model.reasons import Reason
from trainpush.model.workload import Key, Recorded

RESOLVED = Resolved(
    pool="pool",
    image="example.com/train:1",
    accelerator_resource="nvidia.com/gpu",
    processes_per_worker=8,
    world_size=32,
    sharding_degree=32,
)


@pytest.mark.parametrize(("nodes", "world_size"), [((), 32), (("n1",), 8), (("n1", "n2"), 16)], ids=str)
def test_a_status_says_how_large_the_world_is_that_runs(nodes: tuple[str, ...], world_size: int) -> None:
    """Without a place it says what the largest legal size would come to."""
    elastic = {"minReplicas": 1, "maxReplicas": 4}
    made = job("job", replicas=2, elastic=elastic, strategy={"type": "FSDP"})
    seen = Seen(Metadata(), msgspec.json.encode(made), Recorded(), TrainPushJob)
    place = a_placement(*nodes) if nodes else None
    record = Recorded(placement=place)
    decision = Decision(Key("team", "job"), record, Stage.RUNNING, Verdict(Reason.RUNNING, "why"))
    status = JobTask(seen, decision, RESOLVED).status(NOW)
    assert (status["resolved"]["worldSize"], status["resolved"]["shardingDegree"]) == (world_size, world_size)
    assert status["replicas"] == {"desired": 4, "assigned": len(nodes), "running": 0}
