"""A strategy as environment: what torchrun and the training program find in their pod, never a rewritten command.

Rendezvous is static, with exact numbers: torchrun's c10d store dies with the pod that hosts it
and sorts ranks by address.
"""

from collections.abc import Mapping
from dataclasses import dataclass

from trainpush.api.trainpushjob import Resolved, TrainPushJob
from trainpush.model.actions import MakeWorker
from trainpush.render.grace import Grace

MASTER_PORT = 29500
"""Port of the store of rank 0, torchrun's default."""
CHECKPOINTS = "/trainpush/checkpoints"
"""Where the volume of spec.checkpoint.uri is mounted."""
IDENTITY = "/trainpush/identity"
"""Where the token is mounted by which a worker tells the operator who it is."""
TOKEN = "token"  # noqa: S105 - a file's name
"""Its file there."""


@dataclass(frozen=True, slots=True)
class Address:
    """Where workers reach the operator."""

    url: str
    authority: str
    """Certificate of the authority that they trust, as PEM: good for longer than any training."""


def of_attempt(resolved: Resolved, workers: int, *, is_degree_chosen: bool) -> Resolved:
    """What defaults come to in an attempt of so many `workers`, which may be another number than was asked for."""
    world_size = workers * resolved.processes_per_worker
    degree = resolved.sharding_degree
    if degree is not None and not is_degree_chosen:
        # Nobody chose it: it is a part of the world, and stays that part.
        degree = degree * world_size // resolved.world_size
    return resolved.model_copy(update={"world_size": world_size, "sharding_degree": degree})


def environment(
    job: TrainPushJob, resolved: Resolved, action: MakeWorker, master: str, endpoint: Address | None
) -> Mapping[str, str]:
    """Variables of the worker that `action` makes; `master` is the DNS name of the pod of rank 0."""
    resolved = of_attempt(resolved, action.workers, is_degree_chosen=job.spec.strategy.sharding is not None)
    grace = Grace.of(job)
    variables = {
        "PET_NNODES": str(action.workers),
        "PET_NPROC_PER_NODE": str(resolved.processes_per_worker),
        "PET_NODE_RANK": str(action.rank),
        "PET_MASTER_ADDR": master,
        "PET_MASTER_PORT": str(MASTER_PORT),
        "PET_SHUTDOWN_TIMEOUT": str(grace.launcher),
        "TRAINPUSH_JOB": job.name,
        "TRAINPUSH_ATTEMPT": str(action.attempt),
        "TRAINPUSH_STRATEGY": job.spec.strategy.type,
        "TRAINPUSH_WORLD_SIZE": str(resolved.world_size),
        "TRAINPUSH_GRACE_SECONDS": str(grace.program),
    }
    if resolved.sharding_degree is not None:
        variables["TRAINPUSH_SHARDING_DEGREE"] = str(resolved.sharding_degree)
    if resolved.tensor_parallel > 1:
        variables["TRAINPUSH_TENSOR_PARALLEL"] = str(resolved.tensor_parallel)
    if job.checkpoint_uri:
        variables["TRAINPUSH_CHECKPOINT_DIR"] = CHECKPOINTS
    if endpoint:
        variables["TRAINPUSH_ENDPOINT"] = endpoint.url
        variables["TRAINPUSH_ENDPOINT_CA"] = endpoint.authority
        variables["TRAINPUSH_TOKEN_FILE"] = f"{IDENTITY}/{TOKEN}"
    if saved := action.resume:
        texts = {"TRAINPUSH_RESUME_URI": saved.uri, "TRAINPUSH_RESUME_DIGEST": saved.digest}
        variables["TRAINPUSH_RESUME_STEP"] = str(saved.step)
        variables |= {name: text for name, text in texts.items() if text}
    return variables
