"""A strategy as environment: what torchrun and the training program find in their pod, never a rewritten command.

Rendezvous is static, with exact numbers: torchrun's c10d store dies with the pod that hosts it
and sorts ranks by address.
"""

from collections.abc import Mapping

from trainpush.api.trainpushjob import Resolved, TrainPushJob

MASTER_PORT = 29500
"""Port of the store of rank 0, torchrun's default."""
CHECKPOINTS = "/trainpush/checkpoints"
"""Where the volume of spec.checkpoint.uri is mounted."""


def environment(job: TrainPushJob, resolved: Resolved, attempt: int, rank: int, master: str) -> Mapping[str, str]:
    """Variables of the worker with this `rank`; `master` is the DNS name of the pod of rank 0."""
    variables = {
        "PET_NNODES": str(job.spec.replicas),
        "PET_NPROC_PER_NODE": str(resolved.processes_per_worker),
        "PET_NODE_RANK": str(rank),
        "PET_MASTER_ADDR": master,
        "PET_MASTER_PORT": str(MASTER_PORT),
        "TRAINPUSH_JOB": job.name,
        "TRAINPUSH_ATTEMPT": str(attempt),
        "TRAINPUSH_STRATEGY": job.spec.strategy.type,
        "TRAINPUSH_WORLD_SIZE": str(resolved.world_size),
    }
    if resolved.sharding_degree is not None:
        variables["TRAINPUSH_SHARDING_DEGREE"] = str(resolved.sharding_degree)
    if job.spec.checkpoint and job.spec.checkpoint.uri:
        variables["TRAINPUSH_CHECKPOINT_DIR"] = CHECKPOINTS
    return variables
