"""Which pool takes a request, which of its accelerators are meant, and what its teams may have."""

from collections.abc import Sequence
from datetime import datetime, timedelta

from trainpush.api.demand import Resources
from trainpush.api.gpupool import GPUPool, LostNodes
from trainpush.api.quantity import milli, seconds
from trainpush.api.quota import Share as ShareSpec
from trainpush.model.nodes import counted
from trainpush.model.reasons import Reason
from trainpush.model.snapshot import Quota, Share
from trainpush.model.workload import Refusal


def age(pool: GPUPool) -> tuple[datetime, str]:
    """Orders pools from the oldest: of two that want the same, it has the older right."""
    return (pool.metadata.created_at, pool.name)


def requests_of(resources: Resources) -> dict[str, int]:
    """Per pod, as `counted`; a limit without a request counts as one, as in Kubernetes."""
    asked = {**resources.limits, **resources.requests}
    return {name: counted(name, milli(quantity)) for name, quantity in asked.items()}


def pool_for(wanted: str | None, pools: Sequence[GPUPool]) -> GPUPool | Refusal:
    """The pool of the name `wanted`; without one the default pool, else the only one."""
    known = ", ".join(sorted(pool.name for pool in pools)) or "none"
    if wanted is not None:
        named = next((pool for pool in pools if pool.name == wanted), None)
        return named or Refusal(
            Reason.POOL_NOT_FOUND, f'spec.placement.pool: there is no GPUPool "{wanted}"; there are: {known}'
        )
    defaults = sorted((pool for pool in pools if pool.spec.default), key=age)
    if defaults:
        return defaults[0]
    if len(pools) == 1:
        return pools[0]
    return Refusal(
        Reason.POOL_REQUIRED,
        f"spec.placement.pool: name a GPUPool (there are: {known}), or mark one with spec.default: true",
    )


def accelerator_of(resources: Resources, pool: GPUPool) -> tuple[str, int] | Refusal:
    """The one accelerator resource of `pool` that a pod asks for, and how many of it."""
    asked = requests_of(resources)
    known = [name for name in pool.spec.accelerator_resources if asked.get(name)]
    if len(known) == 1:
        return known[0], asked[known[0]] // 1000
    listed = ", ".join(pool.spec.accelerator_resources)
    if known:
        return Refusal(Reason.INVALID_SPEC, f"spec.resources: ask for one of {', '.join(known)}, not for several")
    return Refusal(
        Reason.INVALID_SPEC, f"spec.resources.requests: ask for at least 1 of what GPUPool {pool.name} holds: {listed}"
    )


def patience_of(name: str, pools: Sequence[GPUPool]) -> timedelta:
    """How long the work of a pool waits for nodes that do not answer; of one that is gone, as long as is usual."""
    pool = next((pool for pool in pools if pool.name == name), None)
    return timedelta(seconds=seconds((pool.spec.lost_nodes if pool else LostNodes()).after))


def quotas_of(pool: GPUPool) -> tuple[Quota, ...]:
    """The teams of a pool, by name; amounts in thousandths."""
    return tuple(
        Quota(
            name=quota.name,
            namespaces=frozenset(quota.namespaces),
            shares={resource: _share(share) for resource, share in quota.resources.items()},
        )
        for quota in sorted(pool.spec.quotas, key=lambda quota: quota.name)
    )


def _share(share: ShareSpec) -> Share:
    limit = None if share.limit is None else share.limit * 1000
    return Share(guarantee=share.guarantee * 1000, weight=share.weight, limit=limit)
