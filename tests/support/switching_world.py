"""A small cluster for the switching of modes: nodes bear annotations, work goes where there is room, and when told.

Everybody is as simple as can be: a gang that is told goes two steps later, a replica that has to move goes at once.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import Any

from support.build import GPU, LEVELS, NOW, RACK, a_gang, a_node
from trainpush.model.gang import Gang
from trainpush.model.modes import MODE_KEY, Mode, PrepullPod, Switch, Switching, SwitchStep
from trainpush.model.nodes import HOST, Node, Toleration, node_table
from trainpush.model.plan import Condition, Decision, NodeDecision, ServiceDecision, Stage, Verdict
from trainpush.model.reasons import Reason
from trainpush.model.records import Records
from trainpush.model.serving import Place, Revision, Service
from trainpush.model.snapshot import Pool, Quota
from trainpush.model.workload import Eviction, Job, Key, Placement, Recorded
from trainpush.planner.allocations import Allocations
from trainpush.planner.modes.messages import Help
from trainpush.planner.modes.mode_switch import ModeDecision, decide
from trainpush.planner.places import Owner
from trainpush.planner.placing.free_capacity import FreeCapacity
from trainpush.planner.quota import QuotaUsage
from trainpush.render.modes import picture

MINUTE = timedelta(minutes=1)
FULL = Condition(True, Reason.PLACED, "placed")
SHORT = Condition(False, Reason.WAITING_FOR_CAPACITY, "no room")


def a_trainer(name: str = "job", *nodes: str, workers: int = 1, gpus: int = 8, age: float = 100, **fields: Any) -> Job:
    """A job whose workers take a whole node each; it has been on `nodes` for `age` seconds, if there are any."""
    gang = a_gang(len(nodes) or workers, gpus, tolerations=(tolerance(Mode.TRAINING),), **_of_gang(fields))
    place = Placement(nodes, "host", "x", NOW - timedelta(seconds=age)) if nodes else None
    recorded = Recorded(attempt=1 if nodes else 0, placement=place, has_run=bool(nodes))
    return Job(Key("default", name), f"uid-{name}", NOW, gang, **{"recorded": recorded, **fields})


def a_server(name: str = "svc", *nodes: str, replicas: int | None = None, gpus: int = 8, **fields: Any) -> Service:
    """A service whose replicas take a whole node each; one on each of `nodes`, and as many as asked for."""
    gang = a_gang(1, gpus, tolerations=(tolerance(Mode.INFERENCE),))
    places = tuple(Place(number, name, node, NOW) for number, node in enumerate(nodes, 1))
    asked = len(nodes) if replicas is None else replicas
    defaults: dict[str, Any] = {
        "request": name,
        "revisions": (Revision(name, "uid", 1, gang),),
        "min_available": 0,
        "stable": name,
    }
    return Service(Key("default", name), f"uid-{name}", NOW, replicas=asked, places=places, **defaults | fields)


def tolerance(mode: Mode) -> Toleration:
    """Of work that belongs on nodes of `mode`."""
    return Toleration(MODE_KEY, "Equal", mode, "NoSchedule")


def a_switch(mode: Mode, to: Mode | None = None, **fields: Any) -> Switch:
    """The annotation of a node that has been so for a day."""
    old = NOW - timedelta(days=1)
    defaults: dict[str, Any] = {
        "step": SwitchStep.ACTIVE if to is None else SwitchStep.PLANNED,
        "begun": old,
        "since": old,
        "why": "a test",
    }
    return Switch(mode=mode, to=to or mode, **defaults | fields)


def _of_gang(fields: dict[str, Any]) -> dict[str, Any]:
    return {name: fields.pop(name) for name in ("sizes", "required", "products", "slices") if name in fields}


def books(pool: Pool, jobs: Sequence[Job] = (), services: Sequence[Service] = ()) -> tuple[QuotaUsage, Allocations]:
    """What teams hold of the pool, and what each job and service does."""
    allocations = Allocations.of(jobs, services)
    return QuotaUsage(pool, allocations.charged(pool.name)), allocations


def help_for(decided: ModeDecision, work: Job | Service) -> Help:
    """What switches do for a job or service that waits."""
    return decided.help[Owner(work.key, is_service=isinstance(work, Service))]


@dataclass
class World:
    """Nodes of one pool with what is on them."""

    nodes: dict[str, Node]
    switching: Switching
    jobs: dict[Key, Job] = field(default_factory=dict)
    services: dict[Key, Service] = field(default_factory=dict)
    wishes: dict[str, Mode] = field(default_factory=dict)
    quotas: tuple[Quota, ...] = ()
    now: datetime = NOW
    prepull_pods: list[PrepullPod] = field(default_factory=list)
    history: list[tuple[str, datetime]] = field(default_factory=list)
    diary: list[tuple[datetime, str, Switch]] = field(default_factory=list)
    """Every annotation that was written."""
    is_written: Callable[[str], bool] = lambda _node: True
    """Whether the write of the annotation of a node succeeds."""

    @classmethod
    def of(cls, switching: Switching, *work: Job | Service, nodes: int = 4, **switches: Switch) -> "World":
        """Nodes n1, n2, … in one rack, with these annotations."""
        names = [f"n{number}" for number in range(1, nodes + 1)]
        made = {name: _bearing(a_node(name, rack="r1"), switches.get(name)) for name in names}
        jobs = {it.key: it for it in work if isinstance(it, Job)}
        return cls(made, switching, jobs, {it.key: it for it in work if isinstance(it, Service)})

    def in_racks(self, size: int) -> "World":
        """The same with so many nodes in each rack."""
        racks = {name: f"r{number // size}" for number, name in enumerate(self.nodes)}
        labels = {name: {**node.labels, RACK.label: racks[name]} for name, node in self.nodes.items()}
        self.nodes = {name: replace(node, labels=labels[name]) for name, node in self.nodes.items()}
        return self

    @property
    def pool(self) -> Pool:
        """The pool as it is seen."""
        nodes = self.nodes.values()
        return Pool(
            name="pool",
            accelerators=(GPU,),
            quotas=self.quotas,
            table=node_table(list(nodes), LEVELS, {}),
            switching=self.switching,
            switches={node.name: node.switch for node in nodes if node.switch},
            wishes=self.wishes,
            unhealthy=frozenset(node.name for node in nodes if node.unhealthy),
            states={node.name: self._state(node) for node in nodes},
            prepull_pods=tuple(self.prepull_pods),
            history=tuple(self.history),
        )

    def _state(self, node: Node) -> str:
        """What the vendor's agent says of what the node bears."""
        hook = self.switching.hook if self.switching else None
        return hook.state(node.switch.setting, node.labels) if hook and node.switch else ""

    def decide(self) -> ModeDecision:
        """What is decided now; nothing changes."""
        return self._cycle()[0]

    def step(self, seconds: float = 10) -> ModeDecision:
        """One cycle, and what the cluster makes of it."""
        self.now += timedelta(seconds=seconds)
        decided, stages, served = self._cycle()
        for key, stage in stages.items():
            self._write(key, stage)
        for decision in served:
            self.services[decision.key] = replace(self.services[decision.key], places=decision.places)
        for node in decided.nodes:
            self._mark(node)
        self.history += [(it.node, it.begun) for it in decided.summary.finished] if decided.summary else []
        self._leave()
        return decided

    def seated(self) -> "World":
        """The same once all for whom there is room have their place, before any node changes."""
        made = replace(self, jobs=dict(self.jobs), services=dict(self.services))
        _, stages, served = made._cycle()  # noqa: SLF001 - its own
        for key, stage in stages.items():
            made._write(key, stage)  # noqa: SLF001
        made.services |= {it.key: replace(made.services[it.key], places=it.places) for it in served}
        return made

    def settle(self, most: int = 200) -> ModeDecision:
        """Step until no node is under way, nor anything else changes."""
        for _ in range(most):
            before = (dict(self.nodes), dict(self.jobs), dict(self.services))
            decided = self.step()
            if (self.nodes, self.jobs, self.services) == before:
                return decided
        raise AssertionError(f"no rest: {self.diary[-10:]}")

    def modes(self) -> dict[str, Mode]:
        """What each node is."""
        return {it.name: it.switch.mode if it.switch else self.switching.default for it in self.nodes.values()}

    def units(self) -> dict[str, str]:
        """The unit of each node."""
        is_host = self.switching.unit == HOST
        return {name: name if is_host else node.labels[RACK.label] for name, node in self.nodes.items()}

    def under_way(self) -> set[str]:
        """Units of which some node is under way."""
        annotations = {name: node.switch for name, node in self.nodes.items() if node.switch}
        return {self.units()[name] for name, switch in annotations.items() if not switch.is_resting}

    def steps(self, node: str) -> list[str]:
        """The steps that were written on a node."""
        return [switch.step.value for _, name, switch in self.diary if name == node]

    def _cycle(self) -> tuple[ModeDecision, Mapping[Key, Decision], list[ServiceDecision]]:
        pool, jobs, services = self.pool, list(self.jobs.values()), list(self.services.values())
        accounts, allocations = books(pool, jobs, services)
        ground = FreeCapacity.at_rest(pool, allocations.used(pool))
        served = [self.served(ground, it) for it in sorted(services, key=lambda it: it.key)]
        stages = {it.key: self.staged(ground, it) for it in sorted(jobs, key=lambda it: it.key)}
        return decide(ground, accounts, allocations, Records(stages.values()), served, self.now), stages, served

    def staged(self, ground: FreeCapacity, job: Job) -> Decision:
        """What becomes of a job: its place, if it has one or there is room."""
        gang, place = job.request, job.recorded.placement
        assert isinstance(gang, Gang)
        if place:
            verdict = Verdict(Reason.RUNNING, "runs")
            return Decision(job.key, job.recorded, Stage.RUNNING, verdict)
        size = ground.largest(gang)
        site = ground.assign(gang.of_size(size)) if size else None
        if site is None:
            verdict = Verdict(Reason.WAITING_FOR_CAPACITY, "no room", position=1)
            return Decision(job.key, job.recorded, Stage.QUEUED, verdict)
        nodes = site.nodes(ground.pool.table)
        place = Placement(nodes, "host", "x", self.now)
        record = replace(job.recorded, placement=place)
        return Decision(job.key, record, Stage.STARTING, Verdict(Reason.WAITING_FOR_PODS, "placed"))

    def served(self, ground: FreeCapacity, service: Service) -> ServiceDecision:
        """What becomes of a service: as many replicas as there is room for."""
        gang, name = service.revisions[0].gang, service.revisions[0].name
        places = list(service.places[: service.replicas])
        while len(places) < service.replicas and (site := ground.assign(gang)):
            serial = 1 + max([place.serial for place in places], default=0)
            places.append(Place(serial, name, site.nodes(ground.pool.table)[0], self.now))
        placed = FULL if len(places) >= service.replicas else SHORT
        settled = Condition(True, Reason.ROLLED_OUT, "serves")
        return ServiceDecision(
            key=service.key,
            verdict=Verdict(placed.reason, placed.message),
            placed=placed,
            loaded=settled,
            available=settled,
            scaling=replace(placed, holds=not placed.holds),
            progressing=settled,
            replicas=len(places),
            ready=len(places),
            stable=name,
            wanted=name,
            places=tuple(places),
            revisions=(),
        )

    def _write(self, key: Key, stage: Decision) -> None:
        job = self.jobs[key]
        assert isinstance(job.request, Gang)
        place = stage.record.placement
        size = len(place.nodes) if place else max(job.request.sizes, default=job.request.workers)
        recorded = replace(job.recorded, placement=place)
        self.jobs[key] = replace(job, recorded=recorded, request=job.request.of_size(size))

    def bear(self, name: str, switch: Switch | None) -> None:
        """Give a node an annotation, and the labels and taints that follow from it."""
        self.nodes[name] = _bearing(self.nodes[name], switch)

    def _mark(self, decision: NodeDecision) -> None:
        if self.is_written(decision.name) and decision.action.after:
            self.diary.append((self.now, decision.name, decision.action.after))
            self.bear(decision.name, decision.action.after)

    def _leave(self) -> None:
        """Gangs are told to leave, and go when they were told; replicas go."""
        leaving = {name for name, switch in self.pool.switches.items() if switch.is_leaving}
        for key, job in self.jobs.items():
            place = job.recorded.placement
            if place is None or not leaving & set(place.nodes):
                self.jobs[key] = replace(job, recorded=replace(job.recorded, eviction=None))
            elif job.recorded.eviction is None:
                told = Eviction("a node", Reason.MODE_SWITCH, "goes")
                self.jobs[key] = replace(job, recorded=replace(job.recorded, eviction=told))
            else:
                self.jobs[key] = self._gone(job, tuple(node for node in place.nodes if node not in leaving))
        for name, service in self.services.items():
            staying = tuple(place for place in service.places if place.node not in leaving)
            self.services[name] = replace(service, places=staying)

    def _gone(self, job: Job, left: tuple[str, ...]) -> Job:
        gang, place = job.request, job.recorded.placement
        assert isinstance(gang, Gang)
        assert place
        size = max((size for size in gang.sizes if size <= len(left)), default=0)
        kept = replace(place, nodes=left[:size], since=self.now) if size else None
        most = max(gang.sizes, default=gang.workers)
        return replace(
            job, recorded=replace(job.recorded, placement=kept, eviction=None), request=gang.of_size(size or most)
        )


def _bearing(node: Node, switch: Switch | None) -> Node:
    labels, setting = dict(node.labels), switch.setting if switch else None
    if setting and labels.get(setting.label) != setting.value:
        labels[setting.label] = setting.value
        labels.pop(setting.state_label, None)
    return replace(node, switch=switch, labels=labels, taints=tuple(sorted(picture(switch).taints)))
