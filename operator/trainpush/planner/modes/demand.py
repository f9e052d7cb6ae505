"""Who would have room, or more of it, if nodes had another mode."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import Final

from trainpush.model.gang import Gang
from trainpush.model.modes import Mode
from trainpush.model.plan import Decision, ServiceDecision, Stage
from trainpush.model.reasons import Reason
from trainpush.model.records import Records
from trainpush.model.serving import Service
from trainpush.model.snapshot import Pool
from trainpush.model.workload import Job, Key
from trainpush.planner.allocations import Allocations
from trainpush.planner.places import Owner
from trainpush.planner.preemption import resizing
from trainpush.planner.quota import QuotaUsage
from trainpush.planner.rollout import rollout

CURABLE: Final = frozenset({Reason.WAITING_FOR_CAPACITY, Reason.BEHIND_HIGHER_PRIORITY, Reason.WAITING_FOR_MODE_SWITCH})
"""Why somebody waits whom a node of another mode may help; the rest is a matter of quotas, or of pods that end."""


@dataclass(frozen=True, slots=True)
class Demand:
    """Room for somebody, all of it or none. Two that ask for the same are equal, whoever asks."""

    mode: Mode
    """Of the nodes that would do, beside shared ones."""
    owner: Owner = field(compare=False)
    """Who wants it."""
    gangs: tuple[Gang, ...]
    """What would do, the best first."""
    may_switch: bool = True
    """Whether nodes may switch for it; else it only takes the room that others cannot have then."""
    instead_of: tuple[str, ...] = ()
    """What it would give up for it: one node per worker."""

    @property
    def of_one_worker(self) -> "Demand":
        """The same for one worker: what helps none of the demands for which that is equal helps no larger one."""
        return replace(self, gangs=(self.gangs[-1].of_size(1),))


def demands(
    pool: Pool,
    quota: QuotaUsage,
    allocations: Allocations,
    stages: Records[Decision],
    served: Mapping[Key, ServiceDecision],
) -> list[Demand]:
    """What is missing after everybody had a turn: users first, then gangs that wait, then gangs that could grow."""
    here = (job for job in allocations.jobs.values() if isinstance(job.request, Gang) and job.request.pool == pool.name)
    jobs = [(job, stage) for job in here if (stage := stages.get(job.key))]
    line = sorted(jobs, key=lambda it: (it[1].verdict.position, it[0].created_at, it[0].key))
    known = [service for service in allocations.services.values() if service.key in served]
    order = sorted(known, key=lambda service: (-service.priority, service.created_at, service.key))
    return [
        *(demand for service in order for demand in _of_service(pool, service, served[service.key])),
        *(demand for job, stage in line for demand in _of_waiting(job, stage)),
        *(demand for job, stage in line for demand in _of_running(job, stage, quota)),
    ]


def _of_service(pool: Pool, service: Service, decision: ServiceDecision) -> Iterator[Demand]:
    """One demand for each replica that is missing; one more than asked for where none may be missed for a moment."""
    revision = rollout.wanted(service)
    if revision is None or revision.gang.pool != pool.name:
        return
    if decision.placed.holds or decision.placed.reason not in CURABLE:
        return
    leaving = {node for node, switch in pool.switches.items() if switch.is_leaving}
    staying = sum(place.node not in leaving for place in decision.places)
    surge = 1 if service.min_available >= service.replicas else 0
    for _ in range(max(service.replicas - staying, surge)):
        yield Demand(Mode.INFERENCE, Owner(service.key, is_service=True), (revision.gang,))


def _of_waiting(job: Job, stage: Decision) -> Iterator[Demand]:
    gang, reason = job.request, stage.verdict.reason
    # Nodes of one that keeps a place for a while may be back before others have changed their mode.
    if stage.stage is not Stage.QUEUED or stage.record.placement or not isinstance(gang, Gang):
        return
    is_promised = reason == Reason.WAITING_FOR_PREEMPTION
    if is_promised or reason in CURABLE:
        owner = Owner(job.key, is_service=False)
        yield Demand(Mode.TRAINING, owner, (gang.of_size(gang.least),), may_switch=not is_promised)


def _of_running(job: Job, stage: Decision, quota: QuotaUsage) -> Iterator[Demand]:
    """A larger place for an elastic gang, as far as its team may have more."""
    gang, place = job.request, stage.record.placement
    if place is None or stage.record.outcome or stage.record.eviction or job.suspend or not isinstance(gang, Gang):
        return
    if stage.stage is Stage.QUEUED or not resizing.is_growth_wanted(job):
        return
    workers = len(place.nodes)
    more = {size: gang.of_size(size - workers) for size in gang.sizes if size > workers}
    may = [size for size, extras in more.items() if not quota.over_limit(job.key.namespace, extras)]
    if may:
        owner = Owner(job.key, is_service=False)
        yield Demand(Mode.TRAINING, owner, tuple(map(gang.of_size, may)), instead_of=place.nodes)
