"""A strategy as environment: what torchrun and the training program find in their pod, never a rewritten command.

Rendezvous is static, with exact numbers: torchrun's c10d store dies with the pod that hosts it
and sorts ranks by address.
"""

from collections.abc import Mapping

from trainpush.api.trainpushjob import Resolved, Strategy, TrainPushJob
from trainpush.model.plan import MakeWorker

MASTER_PORT = 29500
"""Port of the store of rank 0, torchrun's default."""
CHECKPOINTS = "/trainpush/checkpoints"
"""Where the volume of spec.checkpoint.uri is mounted."""


def of_attempt(strategy: Strategy, resolved: Resolved, workers: int) -> Resolved:
    """What defaults come to in an attempt of so many `workers`, which may be another number than was asked for."""
    world_size = workers * resolved.processes_per_worker
    degree = resolved.sharding_degree
    if degree is not None and strategy.sharding is None:
        # Nobody chose it: it is a part of the world, and stays that part.
        degree = degree * world_size // resolved.world_size
    return resolved.model_copy(update={"world_size": world_size, "sharding_degree": degree})


def environment(job: TrainPushJob, resolved: Resolved, act: MakeWorker, master: str) -> Mapping[str, str]:
    """Variables of the worker that `act` makes; `master` is the DNS name of the pod of rank 0."""
    resolved = of_attempt(job.spec.strategy, resolved, act.workers)
    variables = {
        "PET_NNODES": str(act.workers),
        "PET_NPROC_PER_NODE": str(resolved.processes_per_worker),
        "PET_NODE_RANK": str(act.rank),
        "PET_MASTER_ADDR": master,
        "PET_MASTER_PORT": str(MASTER_PORT),
        "TRAINPUSH_JOB": job.name,
        "TRAINPUSH_ATTEMPT": str(act.attempt),
        "TRAINPUSH_STRATEGY": job.spec.strategy.type,
        "TRAINPUSH_WORLD_SIZE": str(resolved.world_size),
    }
    if resolved.sharding_degree is not None:
        variables["TRAINPUSH_SHARDING_DEGREE"] = str(resolved.sharding_degree)
    if resolved.tensor_parallel > 1:
        variables["TRAINPUSH_TENSOR_PARALLEL"] = str(resolved.tensor_parallel)
    if job.spec.checkpoint and job.spec.checkpoint.uri:
        variables["TRAINPUSH_CHECKPOINT_DIR"] = CHECKPOINTS
    return variables
