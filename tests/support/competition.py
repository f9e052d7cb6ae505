"""A rack of four nodes, and what one cycle decides for those that compete for it."""

from dataclasses import replace

from support.build import NOW, a_cluster, a_gang, a_pool, three_racks
from trainpush.model.plan import Decision
from trainpush.model.snapshot import Pool, Quota
from trainpush.model.workload import Job
from trainpush.planner.plan import plan

FOUR = a_pool(*three_racks(4))
ONE = a_gang(workers=1)


def decide(pool: Pool, *jobs: Job) -> dict[str, Decision]:
    """What one cycle decides, by name."""
    return {decision.key.name: decision for decision in plan(a_cluster(*jobs, pool=pool), NOW).decisions}


def placed(decided: dict[str, Decision]) -> set[str]:
    """Who has a place."""
    return {name for name, decision in decided.items() if decision.record.placement}


def with_quotas(*quotas: Quota) -> Pool:
    """Four nodes of eight GPUs, shared by teams."""
    return replace(FOUR, quotas=quotas)
