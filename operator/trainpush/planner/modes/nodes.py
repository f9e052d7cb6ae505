"""What stands on each node of a pool, as one looks at it who wants to change its mode."""

from collections import Counter, defaultdict
from collections.abc import Container, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from itertools import groupby
from typing import Final

from trainpush.model.gang import Gang
from trainpush.model.modes import Mode, Switch, SwitchStep
from trainpush.model.nodes import HOST
from trainpush.model.plan import Decision, EndPod, ServiceDecision
from trainpush.model.reasons import Reason
from trainpush.model.serving import Service
from trainpush.model.snapshot import Pool
from trainpush.model.workload import Job, Key, Placement
from trainpush.planner.allocations import Allocations, GangAllocation, Owner, gang_at
from trainpush.planner.modes.prepull import Lacking, lacking

EARLY: Final = frozenset({SwitchStep.PLANNED, SwitchStep.CORDONED, SwitchStep.NOTIFIED, SwitchStep.DRAINING})
"""Steps from which there is a way back, and none has failed."""
BEFORE_FLIP: Final = EARLY | {SwitchStep.STUCK}
"""Steps in which a node has its old mode still."""
HARMLESS: Final = frozenset({SwitchStep.PLANNED, SwitchStep.CORDONED})
"""Steps in which nothing that runs has been told to go."""
LATE: Final = frozenset({SwitchStep.FLIPPING, SwitchStep.WARMING})
"""Steps of a node that is empty, and will have its new mode whatever happens."""

_WELCOME: Final = {
    Mode.TRAINING: frozenset({Mode.TRAINING}),
    Mode.INFERENCE: frozenset({Mode.INFERENCE}),
    Mode.SHARED: frozenset({Mode.TRAINING, Mode.INFERENCE}),
    Mode.MAINTENANCE: frozenset[Mode](),
}
"""What may run on nodes of a mode."""

Removal = tuple[Owner, EndPod]
"""The end of a pod, and the job or service to which it belongs."""


@dataclass(frozen=True, slots=True)
class NodeState:
    """One node, with what is on it."""

    name: str
    row: int
    """In the table of the pool."""
    unit: int
    """Nodes of the same unit change their mode together."""
    mode: Mode
    switch: Switch | None
    is_resting: bool
    """Whether nothing is under way."""
    wish: Mode | None
    is_usable: bool
    """Whether it is ready, open and healthy; else it counts for no mode."""
    is_ready: bool
    """Whether it is ready and healthy, whether people have cordoned it or not."""
    lacking: Lacking
    """What it waits for that has turned to its new mode."""
    gangs: Mapping[Key, int]
    """Workers of each job with a place here, by key in order."""
    services: tuple[Key, ...]
    """Services with a place or a live pod here."""
    resets: frozenset[Mode]
    """Other modes for which its accelerators are configured otherwise."""
    work: frozenset[Mode]
    """Training, where a job has a place or a live pod here; Inference, where a service has."""
    is_told: bool
    """Whether every gang here knows that it must give something up."""
    is_foreign: bool
    """Whether a job stays here whatever the pool demands: its spec cannot be read, or names another pool by now."""
    is_rolling: bool
    """Whether a service that rolls out has a replica here."""
    free_domain: int
    """Empty nodes in its innermost domain above the host."""
    removals: tuple[Removal, ...]
    """What would end the pods that are here, whether they were told to or not."""

    @property
    def is_empty(self) -> bool:
        """Whether nothing of ours has a place here, nor a live pod."""
        return not self.work

    def suits(self, mode: Mode) -> bool:
        """Whether all that is here may stay if the node becomes `mode`."""
        return self.is_empty or (mode not in self.resets and self.work <= _WELCOME[mode])

    @property
    def step(self) -> SwitchStep:
        """How far it has come; Active for a node without an annotation."""
        return self.switch.step if self.switch else SwitchStep.ACTIVE

    @property
    def follows(self) -> bool:
        """Whether it changes with its unit: it is in order, and people want nothing else of it."""
        return self.is_usable and not self.wish

    @property
    def begun(self) -> float:
        """When its latest switch was planned, in Unix seconds; 0 for a node without an annotation."""
        return self.switch.begun.timestamp() if self.switch else 0.0

    @property
    def to(self) -> Mode:
        """What it will be; its mode while it rests."""
        return self.switch.to if self.switch and not self.is_resting else self.mode


@dataclass(frozen=True, slots=True)
class NodeStates:
    """The nodes of a pool and the gangs on them."""

    nodes: tuple[NodeState, ...]
    """By row of the table."""
    units: tuple[tuple[NodeState, ...], ...]
    """The same by unit."""
    gangs: Mapping[Key, GangAllocation]
    now: datetime

    def mates(self, node: NodeState) -> Iterator[NodeState]:
        """The others of a node's unit that change together with it; what people want of one node is its own matter."""
        for it in () if node.wish else self.units[node.unit]:
            if it is not node and it.follows and not it.is_resting and it.to is node.to:
                yield it


@dataclass(slots=True)
class _Found:
    """What is on the nodes, by name of the node."""

    running: dict[Key, GangAllocation] = field(default_factory=dict)
    gangs: defaultdict[str, Counter[Key]] = field(default_factory=lambda: defaultdict(Counter))
    services: defaultdict[str, set[Key]] = field(default_factory=lambda: defaultdict(set))
    removals: defaultdict[str, list[Removal]] = field(default_factory=lambda: defaultdict(list))
    work: defaultdict[str, set[Mode]] = field(default_factory=lambda: defaultdict(set))
    rolling: set[str] = field(default_factory=set)
    foreign: set[str] = field(default_factory=set)


def node_states(
    pool: Pool,
    allocations: Allocations,
    stages: Mapping[Key, Decision],
    served: Mapping[Key, ServiceDecision],
    now: datetime,
) -> NodeStates:
    """Everything that has a place or a live pod on the nodes of `pool`, by what was recorded and what was decided."""
    found = _Found()
    for job in allocations.jobs:
        if running := _running(pool, job, stages.get(job.key)):
            found.running[job.key] = running
            for node in running.nodes:
                found.gangs[node][job.key] += 1
                found.work[node].add(Mode.TRAINING)
        _add_job(found, pool, job)
    for service in allocations.services:
        _add_service(found, service, served.get(service.key))
    for pod in allocations.pods:
        found.work[pod.node].add(Mode.INFERENCE if pod.owner.is_service else Mode.TRAINING)
        found.removals[pod.node].append((pod.owner, pod.removal))
        if pod.owner.is_service:
            found.services[pod.node].add(pod.owner.key)
    empty = _empty_in_domain(pool, found.work.keys())
    unit_of = _units(pool)
    nodes = tuple(_post(pool, row, unit_of[row], found, free_domain, now) for row, free_domain in enumerate(empty))
    units = tuple(tuple(together) for _, together in groupby(nodes, key=lambda node: node.unit))
    return NodeStates(nodes, units, found.running, now)


def _running(pool: Pool, job: Job, stage: Decision | None) -> GangAllocation | None:
    gang = job.request
    place = stage.record.placement if stage else job.recorded.placement
    is_over = job.recorded.outcome or (stage and stage.record.outcome) or job.deleting
    if is_over or place is None or not isinstance(gang, Gang) or gang.pool != pool.name:
        return None
    return gang_at(job, gang.of_size(len(place.nodes)), place)


def _add_job(found: _Found, pool: Pool, job: Job) -> None:
    place: Placement | None = None if job.recorded.outcome else job.recorded.placement
    for node in place.nodes if place else ():
        found.work[node].add(Mode.TRAINING)
    if place and not (job.deleting or job.suspend or (isinstance(job.request, Gang) and job.request.pool == pool.name)):
        found.foreign |= set(place.nodes)


def _add_service(found: _Found, service: Service, decision: ServiceDecision | None) -> None:
    places = decision.places if decision else service.places
    nodes = {place.node for place in (*places, *service.places)}
    for node in nodes:
        found.services[node].add(service.key)
        found.work[node].add(Mode.INFERENCE)
    is_rolling = decision is not None and decision.progressing.reason == Reason.ROLLING_OUT
    if is_rolling or len({place.revision for place in places}) > 1:
        found.rolling |= nodes


def _empty_in_domain(pool: Pool, occupied: Container[str]) -> list[int]:
    """How many empty nodes there are in the innermost domain above the host, per node."""
    table = pool.table
    level = table.levels[-2]
    counts: Iterator[list[int]] = (
        [sum(name not in occupied for name in names)] * len(names)
        for index in range(len(level.starts))
        if (names := table.names[level.slice_of(index, len(table.names))])
    )
    return [count for part in counts for count in part]


def _units(pool: Pool) -> list[int]:
    """The unit of each node, by row: its domain at the level at which the pool switches."""
    found: list[int] = pool.table.domains_of_nodes(pool.switching.unit if pool.switching else HOST).tolist()
    return found


def _post(pool: Pool, row: int, unit: int, found: _Found, free_domain: int, now: datetime) -> NodeState:
    name = pool.table.names[row]
    switch = pool.switches.get(name)
    default = pool.switching.default if pool.switching else Mode.SHARED
    mode = switch.mode if switch else pool.labelled.get(name, default)
    is_ready = bool(pool.table.ready[row]) and name not in pool.unhealthy
    here = dict(sorted(found.gangs[name].items())) if name in found.gangs else {}
    return NodeState(
        name=name,
        row=row,
        unit=unit,
        mode=mode,
        switch=switch,
        is_resting=switch is None or switch.is_resting,
        wish=pool.wishes.get(name),
        is_usable=is_ready and not pool.table.cordoned[row],
        is_ready=is_ready,
        lacking=lacking(pool, row, switch, now),
        gangs=here,
        services=tuple(sorted(found.services.get(name, ()))),
        resets=_resets(pool, mode, switch),
        work=frozenset(found.work.get(name, ())),
        is_told=all(found.running[key].job.recorded.eviction is not None for key in here),
        is_foreign=name in found.foreign,
        is_rolling=name in found.rolling,
        free_domain=free_domain,
        removals=tuple(sorted(found.removals.get(name, ()), key=lambda it: (it[0], it[1].name))),
    )


def _resets(pool: Pool, mode: Mode, switch: Switch | None) -> frozenset[Mode]:
    if pool.switching is None or pool.switching.hook is None:
        return frozenset()
    return frozenset(it for it in Mode if it is not mode and pool.switching.is_reset(switch, it))
