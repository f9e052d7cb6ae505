"""Which sizes of a gang will do, and which of its workers stay together: what strategy and slices ask for."""

import math
from collections.abc import Sequence

from trainpush.api.gang import Slice
from trainpush.api.gpupool import GPUPool
from trainpush.api.topology import HOST, aliases_of
from trainpush.api.trainpushjob import Resolved, Strategy, TrainPushJobSpec
from trainpush.model.gang import Leeway
from trainpush.model.reasons import Reason
from trainpush.model.wording import count
from trainpush.model.workload import Refusal

_SHOWN_MAX = 32
"""Most numbers that a message offers."""


def sharding_degree(strategy: Strategy, world_size: int) -> int | None:
    """Ranks that share one copy of the parameters in a gang of `world_size`; None where every rank has its own."""
    if strategy.type != "FSDP":
        return None
    return strategy.sharding.degree if strategy.sharding else world_size


def slices_of(spec: TrainPushJobSpec, per_worker: int) -> list[Slice]:
    """The slices that are asked for, and inside them the workers of one host that share each layer."""
    asked = spec.placement.slices
    together = spec.strategy.tensor_parallel // per_worker
    is_on_host = bool(asked) and asked[-1].level == HOST
    return [*asked, Slice(level=HOST, size=together)] if together > 1 and not is_on_host else asked


def legal_sizes(spec: TrainPushJobSpec, resolved: Resolved) -> tuple[int, ...]:
    """Numbers of workers that will do, largest first.

    Of those that the spec names now, these are the ones that suit what was resolved, perhaps before the spec changed.
    """
    step = _step(spec, resolved)
    return tuple(size for size in spec.sizes() if size % step == 0)


def leeway(spec: TrainPushJobSpec, resolved: Resolved, pool: GPUPool) -> Leeway:
    """What of the gang its user may ask for otherwise."""
    elastic, placement = spec.elastic, spec.placement
    is_named = elastic and elastic.min_replicas is None
    elastic_field = f"spec.elastic.{'allowedReplicas' if is_named else 'minReplicas'}"
    levels = {
        "spec.placement.required": placement.required,
        f"spec.defaults.training.required of GPUPool {pool.name}": pool.spec.defaults.training.required,
    }
    return Leeway(
        size_field=elastic_field if elastic else "spec.replicas",
        multiple=math.lcm(_step(spec, resolved), elastic.multiple_of or 1 if elastic else 1),
        required_field=" and ".join(field for field, level in levels.items() if level),
        fixes_accelerators=bool(spec.strategy.sharding) or spec.strategy.tensor_parallel > 1,
        fixes_slices=spec.strategy.tensor_parallel > resolved.processes_per_worker,
    )


def _step(spec: TrainPushJobSpec, resolved: Resolved) -> int:
    """Of what every number of workers is a multiple that suits strategy and slices."""
    per_worker = resolved.processes_per_worker
    degree = spec.strategy.sharding.degree if spec.strategy.sharding else 1
    slice_size = resolved.slices[0].size if resolved.slices else 1
    return math.lcm(slice_size, degree // math.gcd(degree, per_worker))


def strategy_fault(spec: TrainPushJobSpec, accelerator: str, per_worker: int) -> Refusal | None:
    """What of the strategy does not suit a worker, or a size of the gang."""
    strategy, sizes = spec.strategy, spec.sizes()
    if strategy.sharding:
        degree = strategy.sharding.degree
        size = next((size for size in sizes if size * per_worker % degree), None)
        if size is not None:
            return Refusal(
                Reason.INVALID_SPEC,
                f"spec.strategy.sharding.degree: {degree} does not divide the world size {size * per_worker} "
                f"({count(size, 'worker')} x {per_worker} {accelerator}); "
                f"use one of {_listed(_divisors(math.gcd(*sizes) * per_worker))}",
            )
    return _tensor_fault(strategy.tensor_parallel, sizes, accelerator, per_worker) or _tensor_slice_fault(
        spec, per_worker
    )


def slices_fault(spec: TrainPushJobSpec, required: str | None, pool: GPUPool) -> Refusal | None:
    """Which slice names a level that the pool has not, or one that does not lie inside those further out."""
    aliases = aliases_of(pool.spec.topology)
    outer = required
    for position, entry in enumerate(spec.placement.slices):
        # The first slice may lie at the required level itself, the others inside the one before.
        start = aliases.index(outer) + (1 if position else 0) if outer in aliases else 0
        inside = aliases[start:]
        if entry.level not in inside:
            trouble = (
                f"{entry.level} does not lie inside {outer}"
                if entry.level in aliases
                else f'GPUPool {pool.name} has no level "{entry.level}"'
            )
            remedy = f"use one of: {', '.join(inside)}" if inside else "remove this entry"
            return Refusal(Reason.INVALID_SPEC, f"spec.placement.slices[{position}].level: {trouble}; {remedy}")
        outer = entry.level
    return None


def _tensor_fault(degree: int, sizes: Sequence[int], accelerator: str, per_worker: int) -> Refusal | None:
    groups = math.gcd(*sizes)
    if per_worker % degree == 0 or (degree % per_worker == 0 and groups % (degree // per_worker) == 0):
        return None
    legal = sorted({*_divisors(per_worker), *(per_worker * workers for workers in _divisors(groups))})
    *shown, last = sizes[:_SHOWN_MAX]
    listed = f"{', '.join([*map(str, shown), count(last, 'worker')])}"
    return Refusal(
        Reason.INVALID_SPEC,
        f"spec.strategy.tensorParallel: {degree} ranks cannot be groups of neighbours on one host, "
        f"with {per_worker} {accelerator} in each of {listed}; use one of {_listed(legal)}",
    )


def _tensor_slice_fault(spec: TrainPushJobSpec, per_worker: int) -> Refusal | None:
    together = spec.strategy.tensor_parallel // per_worker
    asked = spec.placement.slices
    if together <= 1 or not asked or asked[-1].size % together == 0:
        return None
    return Refusal(
        Reason.INVALID_SPEC,
        f"spec.placement.slices[{len(asked) - 1}].size: {asked[-1].size} cannot be divided into groups of "
        f"{together} that share layers on one host (strategy.tensorParallel {spec.strategy.tensor_parallel}); "
        f"use a multiple of {together}",
    )


def _divisors(number: int) -> list[int]:
    small = [divisor for divisor in range(1, math.isqrt(number) + 1) if number % divisor == 0]
    return sorted({*small, *(number // divisor for divisor in small)})


def _listed(numbers: Sequence[int]) -> str:
    shown = ", ".join(map(str, numbers[:_SHOWN_MAX]))
    return shown if len(numbers) <= _SHOWN_MAX else f"{shown}, …"
