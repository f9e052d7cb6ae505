"""What stands on each node of a pool, as one looks at it who wants to change its mode."""

from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from itertools import groupby
from typing import Final

from trainpush.model.actions import EndPod
from trainpush.model.gang import Gang
from trainpush.model.modes import Mode, Switch, Switching, SwitchStep
from trainpush.model.plan import Decision, ServiceDecision
from trainpush.model.reasons import Reason
from trainpush.model.records import Records
from trainpush.model.serving import Service
from trainpush.model.snapshot import Pool
from trainpush.model.workload import Job, Key
from trainpush.planner.allocations import Allocations
from trainpush.planner.modes.prepull import Lacking, lacking
from trainpush.planner.places import GangAllocation, Owner, gang_at

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
    """Whether a job stays here whatever the pool wants: its spec cannot be read, or names another pool by now."""
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
        others = () if node.wish else self.units[node.unit]
        return (it for it in others if it is not node and it.follows and not it.is_resting and it.to is node.to)


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
    stages: Records[Decision],
    served: Mapping[Key, ServiceDecision],
    now: datetime,
) -> NodeStates:
    """Everything that has a place or a live pod on the nodes of `pool`, by what was recorded and what was decided."""
    found = _Found()
    for job in allocations.jobs.values():
        _add_job(found, pool, job, stages.get(job.key))
    for service in allocations.services.values():
        _add_service(found, service, served.get(service.key))
    for pod in allocations.pods:
        found.work[pod.node].add(Mode.INFERENCE if pod.is_service else Mode.TRAINING)
        found.removals[pod.node].append((Owner(pod.key, pod.is_service), EndPod(pod.name, pod.uid)))
        if pod.is_service:
            found.services[pod.node].add(pod.key)
    table, switching = pool.table, pool.switching or Switching()
    unit_of: list[int] = table.domains_of_nodes(switching.unit).tolist()
    domain_of: list[int] = table.domains_of_nodes(table.levels[-2].alias).tolist()
    empty = Counter(domain for name, domain in zip(table.names, domain_of, strict=True) if name not in found.work)
    nodes = tuple(_node_state(pool, row, unit, found, empty[domain_of[row]], now) for row, unit in enumerate(unit_of))
    units = tuple(tuple(together) for _, together in groupby(nodes, key=lambda node: node.unit))
    return NodeStates(nodes, units, found.running, now)


def _add_job(found: _Found, pool: Pool, job: Job, stage: Decision | None) -> None:
    gang = job.request if isinstance(job.request, Gang) and job.request.pool == pool.name else None
    before, after = job.recorded, stage.record if stage else job.recorded
    if gang and after.placement and not (before.outcome or after.outcome or job.deleting):
        placed = gang.of_size(len(after.placement.nodes))
        found.running[job.key] = gang_at(job, placed, after.placement)
        for node in after.placement.nodes:
            found.gangs[node][job.key] += 1
            found.work[node].add(Mode.TRAINING)
    nodes = before.placement.nodes if before.placement and not before.outcome else ()
    for node in nodes:
        found.work[node].add(Mode.TRAINING)
    if not (gang or job.deleting or job.suspend):
        found.foreign |= set(nodes)


def _add_service(found: _Found, service: Service, decision: ServiceDecision | None) -> None:
    places = decision.places if decision else service.places
    nodes = {place.node for place in (*places, *service.places)}
    for node in nodes:
        found.services[node].add(service.key)
        found.work[node].add(Mode.INFERENCE)
    is_rolling = decision is not None and decision.progressing.reason == Reason.ROLLING_OUT
    if is_rolling or len({place.revision for place in places}) > 1:
        found.rolling |= nodes


def _node_state(pool: Pool, row: int, unit: int, found: _Found, free_domain: int, now: datetime) -> NodeState:
    name, switching = pool.table.names[row], pool.switching or Switching()
    switch = pool.switches.get(name)
    mode = switch.mode if switch else pool.labelled.get(name, switching.default)
    is_ready = bool(pool.table.ready[row]) and name not in pool.unhealthy
    gangs = dict(sorted(found.gangs[name].items())) if name in found.gangs else {}
    others = set(Mode) - {mode} if switching.hook else ()
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
        gangs=gangs,
        services=tuple(sorted(found.services.get(name, ()))),
        resets=frozenset([other for other in others if switching.is_reset(switch, other)]),
        work=frozenset(found.work.get(name, ())),
        is_told=all(found.running[key].job.recorded.eviction is not None for key in gangs),
        is_foreign=name in found.foreign,
        is_rolling=name in found.rolling,
        free_domain=free_domain,
        removals=tuple(sorted(found.removals.get(name, ()), key=lambda removal: (removal[0], removal[1].name))),
    )
