"""A cluster on paper: the production planner decides, and its plans are carried out at once, in simulated time.

A gang makes progress from `START_SECONDS` after its start on, and saves every `SAVE_SECONDS`; a replica serves
`LOAD_SECONDS` after it got its place. Pods come and go between two cycles, which are `CYCLE` apart as long as
something changes.
"""

from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import Final

from bench.day_night_load import Asked, Load
from support.build import GPU, LEVELS, NOW, a_gang, a_node
from trainpush.model.gang import Gang
from trainpush.model.modes import MODE_KEY, Bounds, Mode, Switch, Switching, SwitchStep
from trainpush.model.nodes import Node, NodeTable, Toleration, node_table
from trainpush.model.plan import Decision, NodeDecision
from trainpush.model.serving import Replica, Revision, Service
from trainpush.model.snapshot import Pool, Snapshot
from trainpush.model.workload import Checkpoint, Heard, Job, Key, Phase, Recorded, Worker
from trainpush.planner.plan import plan
from trainpush.render.modes import picture

GPUS: Final = 8
START_SECONDS: Final = 180.0
SAVE_SECONDS: Final = 3600.0
LOAD_SECONDS: Final = 120.0
CYCLE: Final = 15.0
CYCLES_MAX: Final = 30
"""Cycles in a row, of one tick."""
SERVICES: Final = 16


@dataclass
class Training:
    """How far a job has come."""

    asked: Asked
    saved: float = 0.0
    """Seconds of work that are safe from former attempts."""
    begun: float | None = None
    """When the present attempt began to run."""
    stopped: float | None = None
    """When it took its last step, for it has saved and waits for its end."""
    first_start: float | None = None
    end: float | None = None

    def progress(self, now: float) -> float:
        """Seconds of work of the present attempt."""
        if self.begun is None:
            return 0.0
        return max(0.0, (self.stopped or now) - self.begun - START_SECONDS)

    def periodic(self, now: float) -> float:
        """As far as it has saved by itself."""
        return self.progress(now) // SAVE_SECONDS * SAVE_SECONDS

    def safe(self, now: float) -> float:
        """Seconds of work that were not in vain, if all goes well."""
        return self.asked.seconds if self.end is not None else self.saved + self.progress(now)

    def due(self) -> float | None:
        """When it will be over."""
        if self.begun is None or self.stopped is not None:
            return None
        return self.begun + START_SECONDS + self.asked.seconds - self.saved


@dataclass
class ModeCounts:
    """What a policy came to."""

    lost: float = 0.0
    """GPU-seconds that were done twice."""
    missed: float = 0.0
    """Replica-seconds."""
    served: float = 0.0
    """Replica-seconds, as far as they were asked for."""
    evictions: int = 0
    switches: int = 0
    aborted: int = 0
    stuck: int = 0
    plans: int = 0


def switching(nodes: int) -> Switching:
    """How nodes may change."""
    return Switching(
        default=Mode.TRAINING,
        bounds={Mode.TRAINING: Bounds(nodes // 2), Mode.INFERENCE: Bounds(nodes // 20)},
        is_enforced=True,
        max_concurrent=64,
        per_hour=600,
        min_time_in_mode=timedelta(minutes=20),
        cooldown=timedelta(minutes=10),
        drain_deadline=timedelta(minutes=10),
    )


@dataclass
class World:
    """One cluster under one policy."""

    load: Load
    nodes: dict[str, Node]
    switching: Switching | None
    is_asked: bool
    """Whether programs save when they are asked to."""
    serves: bool
    """Whether replicas are in this cluster too."""
    now: float = 0.0
    jobs: dict[Key, Job] = field(default_factory=dict)
    services: dict[Key, Service] = field(default_factory=dict)
    trainings: dict[Key, Training] = field(default_factory=dict)
    tally: ModeCounts = field(default_factory=ModeCounts)
    _table: NodeTable | None = None
    _next: int = 0

    @classmethod
    def of(cls, load: Load, nodes: int, *, switches: bool, is_asked: bool) -> "World":
        """A cluster in which nothing runs yet; one that does not switch trains only."""
        made = {f"n{i:04}": a_node(f"n{i:04}", rack=f"r{i // 16:03}", block=f"b{i // 256}") for i in range(nodes)}
        world = cls(load, made, switching(nodes) if switches else None, is_asked, switches)
        if switches:
            world.services = {it.key: it for it in map(_service, range(SERVICES))}
            first = load.demand(0)
            for number, name in enumerate(sorted(made, reverse=True)):
                mode = Mode.INFERENCE if number < first else Mode.TRAINING
                old = NOW - timedelta(days=1)
                world._bear(name, Switch(mode, mode, SwitchStep.ACTIVE, old, old))
        return world

    def tick(self, until: float) -> None:
        """What is due by now, planned to the end; then time passes until `until`."""
        self._arrive()
        self._ask()
        for _ in range(CYCLES_MAX):
            self._finish()
            is_marking = self._cycle()
            if not is_marking and self._is_settled():
                break
            self._pass(min(self.now + CYCLE, until))
        self._pass(until)

    def _arrive(self) -> None:
        jobs = self.load.jobs
        while self._next < len(jobs) and jobs[self._next].at <= self.now:
            asked = jobs[self._next]
            key = Key("default", asked.name)
            workers, gpus = max(1, asked.gpus // GPUS), min(asked.gpus, GPUS)
            gang = a_gang(workers, gpus, tolerations=(_tolerance(Mode.TRAINING),))
            at = NOW + timedelta(seconds=asked.at)
            self.jobs[key] = Job(
                key, f"uid-{asked.name}", at, gang, recorded=Recorded(queued_at=at), is_asked=self.is_asked
            )
            self.trainings[key] = Training(asked)
            self._next += 1

    def _finish(self) -> None:
        """Jobs that are over leave, as of the moment when they were."""
        for key in list(self.jobs):
            training = self.trainings[key]
            due = training.due()
            if due is not None and due <= self.now:
                training.end = due
                del self.jobs[key]

    def _ask(self) -> None:
        """Each service gets its part of what is asked for."""
        demand = self.load.demand(self.now)
        for number, (key, service) in enumerate(sorted(self.services.items())):
            asked = demand // SERVICES + (number < demand % SERVICES)
            self.services[key] = replace(service, replicas=asked)

    def _pass(self, until: float) -> None:
        """Time passes; replicas that are asked for and do not serve are missed."""
        loaded = self._loaded_at()
        while self.now < until:
            edge = min((edge for edge in loaded if self.now < edge < until), default=until)
            demand = self.load.demand(self.now)
            ready = min(demand, sum(at <= self.now for at in loaded))
            self.tally.missed += (demand - ready) * (edge - self.now)
            self.tally.served += ready * (edge - self.now)
            self.now = edge

    def _loaded_at(self) -> list[float]:
        """When each replica began to serve, or will; a partition of its own has a node for each at once."""
        if not self.serves:
            before, after = self.load.demand(max(0.0, self.now - self.load.interval)), self.load.demand(self.now)
            begun = self.now // self.load.interval * self.load.interval
            return [0.0] * min(before, after) + [begun + LOAD_SECONDS] * max(0, after - before)
        since = (place.since for service in self.services.values() for place in service.places)
        return [(it - NOW).total_seconds() + LOAD_SECONDS for it in since]

    def _cycle(self) -> bool:
        """One plan, carried out; whether it marked any node."""
        self._tell()
        jobs = tuple(self.jobs[key] for key in sorted(self.jobs))
        services = tuple(self._seen(self.services[key]) for key in sorted(self.services))
        decided = plan(Snapshot((self._pool(),), jobs, services), self._moment())
        self.tally.plans += 1
        for decision in decided.decisions:
            self._write(decision)
        for served in decided.services:
            service = self.services[served.key]
            self.services[served.key] = replace(service, places=served.places, stable=served.stable)
        for annotation in decided.nodes:
            self._mark(annotation)
        return bool(decided.nodes)

    def _is_settled(self) -> bool:
        """Whether no node is on its way and nobody was told to go: until something comes, a plan changes nothing."""
        told = (job.recorded.eviction for job in self.jobs.values())
        nodes = (node.switch for node in self.nodes.values())
        return all(it is None or it.is_done for it in told) and all(it is None or it.is_resting for it in nodes)

    def _moment(self) -> datetime:
        return NOW + timedelta(seconds=self.now)

    def _pool(self) -> Pool:
        if self._table is None:
            self._table = node_table(list(self.nodes.values()), LEVELS, {})
        switches = {node.name: node.switch for node in self.nodes.values() if node.switch}
        return Pool("pool", (GPU,), self._table, switching=self.switching, switches=switches)

    def _tell(self) -> None:
        """Programs report what they saved."""
        for key, job in self.jobs.items():
            told = job.recorded.eviction
            if self.trainings[key].begun is None or (told and told.is_answered and not told.is_done):
                continue
            is_asked = told is not None and told.asked_at is not None and not told.is_done
            self.jobs[key] = self._answering(job) if is_asked else self._going_on(job)

    def _answering(self, job: Job) -> Job:
        """It was asked: it has saved, and takes no further step."""
        training, attempt, at = self.trainings[job.key], job.recorded.attempt, self._moment()
        training.stopped = self.now if training.stopped is None else training.stopped
        request = job.recorded.eviction.request(attempt) if job.recorded.eviction else ""
        saved = Checkpoint(attempt, int(self.now), "", at)
        return replace(job, heard=Heard(attempt, at, saved=saved, request=request))

    def _going_on(self, job: Job) -> Job:
        """It saves from time to time; one that was asked for nothing goes on."""
        training, recorded = self.trainings[job.key], job.recorded
        if training.begun is not None and training.stopped is not None:
            training.begun += self.now - training.stopped
            training.stopped = None
        saved, before = training.periodic(self.now), recorded.checkpoint
        if (
            training.begun is None
            or not saved
            or (before and before.attempt == recorded.attempt and before.step == saved)
        ):
            return job
        at = NOW + timedelta(seconds=training.begun + START_SECONDS + saved)
        return replace(job, recorded=replace(recorded, checkpoint=Checkpoint(recorded.attempt, int(saved), "", at)))

    def _write(self, decision: Decision) -> None:
        """Status, and what a later cycle would make of it: pods come and go at once."""
        job, training, recorded = self.jobs[decision.key], self.trainings[decision.key], decision.record
        place = recorded.placement
        if recorded.attempt == job.recorded.attempt and place == job.recorded.placement:
            self.jobs[job.key] = replace(job, recorded=recorded)
            return
        self._stop(job)
        heard: Heard | None = None
        workers: tuple[Worker, ...] = ()
        if place:
            training.begun = self.now
            training.first_start = self.now if training.first_start is None else training.first_start
            heard = Heard(recorded.attempt, self._moment())
            workers = tuple(_worker(job, recorded.attempt, rank, node) for rank, node in enumerate(place.nodes))
            recorded = replace(recorded, has_run=True)
        self.jobs[job.key] = replace(job, recorded=recorded, workers=workers, heard=heard)

    def _stop(self, job: Job) -> None:
        """The end of an attempt that was not the last."""
        training = self.trainings[job.key]
        if training.begun is None:
            return
        progress = training.progress(self.now)
        safe = progress if training.stopped is not None else training.periodic(self.now)
        training.saved += safe
        self.tally.lost += (progress - safe) * training.asked.gpus
        self.tally.evictions += 1
        training.begun = training.stopped = None

    def _seen(self, service: Service) -> Service:
        pods = []
        for place in service.places:
            is_loaded = (place.since - NOW).total_seconds() + LOAD_SECONDS <= self.now
            name = f"{service.key.name}-{place.serial}"
            pods.append(
                Replica(
                    name, name, place.serial, place.revision, place.node, Phase.RUNNING, is_loaded, is_loaded, is_loaded
                )
            )
        return replace(service, pods=tuple(pods))

    def _mark(self, decision: NodeDecision) -> None:
        after = decision.action.after
        if after is None:
            return
        self._bear(decision.name, after)
        self.tally.switches += after.step is SwitchStep.ACTIVE
        self.tally.aborted += after.step is SwitchStep.ABORTED
        self.tally.stuck += after.step is SwitchStep.STUCK

    def _bear(self, name: str, switch: Switch) -> None:
        self.nodes[name] = replace(self.nodes[name], switch=switch, taints=tuple(sorted(picture(switch).taints)))
        self._table = None


def _service(number: int) -> Service:
    name = f"s{number:02}"
    gang = a_gang(1, GPUS, tolerations=(_tolerance(Mode.INFERENCE),))
    revision = Revision(name, f"uid-{name}", 1, gang)
    key = Key("default", name)
    return Service(
        key,
        f"uid-{name}",
        NOW,
        name,
        replicas=0,
        min_available=0,
        stable=name,
        revisions=(revision,),
        has_endpoint=True,
        budget=0,
    )


def _worker(job: Job, attempt: int, rank: int, node: str) -> Worker:
    request = job.request.requirements.request if isinstance(job.request, Gang) else {}
    name = f"{job.key.name}-{rank}-a{attempt}"
    return Worker(name, name, attempt, rank, Phase.RUNNING, node, request=request)


def _tolerance(mode: Mode) -> Toleration:
    return Toleration(MODE_KEY, "Equal", mode, "NoSchedule")
