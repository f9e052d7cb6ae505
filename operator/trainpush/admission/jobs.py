"""What a TrainPushJob means in its pool: a gang to place, or a refusal with field and remedy.

Checked here is what the schema cannot know: which pool takes the job, and so its image, levels,
accelerators and world size.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import Final

from trainpush.admission.modes import tolerance, toleration
from trainpush.admission.pools import accelerator_of, pool_for, requests_of
from trainpush.admission.scheduling import Priorities
from trainpush.admission.sizes import leeway, legal_sizes, sharding_degree, slices_fault, slices_of, strategy_fault
from trainpush.api.demand import PriorityStatus
from trainpush.api.gpupool import GPUPool
from trainpush.api.topology import aliases_of
from trainpush.api.trainpushjob import Resolved, TrainPushJob
from trainpush.model.gang import Gang, Leeway, Requirements, Slices, Topology
from trainpush.model.modes import Mode
from trainpush.model.nodes import PODS
from trainpush.model.reasons import Reason
from trainpush.model.workload import Refusal

KINDS: Final = 1024
"""Of so many gangs that were asked for last, one record serves all jobs that ask for the same."""


@dataclass(frozen=True, slots=True)
class Admission:
    """A job that its pool takes, with what defaults came to."""

    gang: Gang
    resolved: Resolved
    is_degree_chosen: bool
    """Whether the user says how a model is sharded."""


def admit(job: TrainPushJob, pools: Sequence[GPUPool], priorities: Priorities) -> Admission | Refusal:
    """The gang that `job` asks for. A job that holds a place keeps its size and what was resolved when it got it.

    Whether there is its PriorityClass is not asked here: that bars only those that have begun nothing.
    """
    priority = priorities.of(job.spec.scheduling.priority_class_name, priority_before(job))
    if job.status.placement is not None and job.status.resolved is not None:
        kept = job.status.resolved.model_copy(update={"priority": priority})
        workers = len(job.status.placement.nodes)
        held = sorted({*legal_sizes(job.spec, kept), workers}, reverse=True)
        return _admitted(job, kept, workers, held, Leeway())
    pool = pool_for(job.spec.placement.pool, pools)
    if isinstance(pool, Refusal):
        return pool
    resolved = _resolve(job, pool, priority)
    if isinstance(resolved, Refusal):
        return resolved
    if fault := _level_fault(job, pool) or slices_fault(job.spec, resolved.required, pool):
        return fault
    sizes = legal_sizes(job.spec, resolved)
    return _admitted(job, resolved, sizes[0], sizes, leeway(job.spec, resolved, pool))


def _admitted(job: TrainPushJob, resolved: Resolved, workers: int, sizes: Sequence[int], leeway: Leeway) -> Admission:
    gang, is_chosen = _gang(job, resolved, workers, sizes), job.spec.strategy.sharding is not None
    return Admission(_shared(replace(gang, leeway=leeway)), resolved, is_chosen)


@lru_cache(maxsize=KINDS)
def _shared(gang: Gang) -> Gang:
    """The same gang: thousands of jobs most often ask for a few, and those that are the very same compare at once."""
    return gang


def priority_before(job: TrainPushJob) -> PriorityStatus | None:
    """What its PriorityClass said when the job was last looked at."""
    return job.status.resolved.priority if job.status.resolved else None


def _resolve(job: TrainPushJob, pool: GPUPool, priority: PriorityStatus | None) -> Resolved | Refusal:
    defaults = pool.spec.defaults.training
    worker = job.spec.worker
    image = worker.image or defaults.image
    if not image:
        return Refusal(
            Reason.IMAGE_REQUIRED,
            f"spec.worker.image: name an image; GPUPool {pool.name} has no spec.defaults.training.image",
        )
    accelerator = accelerator_of(job.spec.resources, pool)
    if isinstance(accelerator, Refusal):
        return accelerator
    name, per_worker = accelerator
    if fault := strategy_fault(job.spec, name, per_worker):
        return fault
    world_size = job.spec.sizes()[0] * per_worker
    takes_defaults = not (worker.image or worker.command or worker.args)
    return Resolved(
        pool=pool.name,
        image=image,
        command=defaults.command if takes_defaults else [],
        args=defaults.args if takes_defaults else [],
        tolerations=[*worker.tolerations, *pool.spec.tolerations],
        accelerator_resource=name,
        processes_per_worker=per_worker,
        world_size=world_size,
        sharding_degree=sharding_degree(job.spec.strategy, world_size),
        tensor_parallel=job.spec.strategy.tensor_parallel,
        required=job.spec.placement.required or defaults.required,
        preferred=job.spec.placement.preferred or defaults.preferred,
        slices=slices_of(job.spec, per_worker),
        priority=priority,
    )


def _level_fault(job: TrainPushJob, pool: GPUPool) -> Refusal | None:
    aliases = aliases_of(pool.spec.topology)
    placement = job.spec.placement
    for field, alias in (("required", placement.required), ("preferred", placement.preferred)):
        if alias is not None and alias not in aliases:
            return Refusal(
                Reason.INVALID_SPEC,
                f'spec.placement.{field}: GPUPool {pool.name} has no level "{alias}"; it has: {", ".join(aliases)}',
            )
    inside = aliases[aliases.index(placement.required) :] if placement.required else aliases
    if placement.preferred and placement.preferred not in inside:
        return Refusal(
            Reason.INVALID_SPEC,
            f"spec.placement.preferred: {placement.preferred} is wider than the required {placement.required}; "
            f"use one of: {', '.join(inside)}",
        )
    return None


def _gang(job: TrainPushJob, resolved: Resolved, workers: int, sizes: Sequence[int]) -> Gang:
    return Gang(
        pool=resolved.pool,
        workers=workers,
        requirements=Requirements(
            request={**requests_of(job.spec.resources), PODS: 1000},
            accelerator=resolved.accelerator_resource,
            accelerators=resolved.processes_per_worker,
            products=frozenset(job.spec.placement.accelerator_products),
            tolerations=(*map(toleration, resolved.tolerations), tolerance(Mode.TRAINING)),
        ),
        topology=Topology(
            required=resolved.required,
            preferred=resolved.preferred,
            slices=tuple(Slices(entry.level, entry.size) for entry in resolved.slices),
        ),
        sizes=tuple(sizes) if len(sizes) > 1 else (),
    )
