"""A world of training jobs for the planner: writes statuses down, carries out actions, and lets pods run and end."""

from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta

from support.build import NOW
from trainpush.model.actions import (
    EndPod,
    ForgetPod,
    JobAction,
    MakeBelongings,
    MakeExport,
    MakeWorker,
    ReadEvents,
    RemoveWorker,
)
from trainpush.model.gang import Gang
from trainpush.model.plan import Decision, Plan
from trainpush.model.snapshot import Pool, Snapshot
from trainpush.model.workload import Job, Key, Phase, Recorded, Worker
from trainpush.planner.plan import plan


@dataclass
class World:
    """Jobs in one pool; pods run a step after they were made, and are gone `lingers` steps after they were told."""

    pool: Pool
    jobs: dict[Key, Job]
    lingers: int = 1
    now: datetime = NOW
    diary: list[str] = field(default_factory=list)
    """What changed, step by step, in words."""
    _ends: dict[str, int] = field(default_factory=dict)

    @classmethod
    def of(cls, pool: Pool, *jobs: Job, lingers: int = 1) -> "World":
        """A world with these jobs."""
        return cls(pool, {job.key: job for job in jobs}, lingers)

    def add(self, job: Job) -> None:
        """One more job, as new as the moment."""
        self.jobs[job.key] = replace(job, created_at=self.now, recorded=Recorded())

    def step(self) -> Plan:
        """One cycle, and what the cluster makes of it."""
        self.now += timedelta(seconds=1)
        decided = plan(Snapshot(pools=(self.pool,), jobs=tuple(self.jobs.values())), self.now)
        for decision in decided.decisions:
            self._write(decision)
            for action in decision.actions:
                self._perform(decision.key, action)
        self._live()
        return decided

    def settle(self, most: int = 60) -> Plan:
        """Step until nothing changes any more."""
        for _ in range(most):
            before = dict(self.jobs)
            decided = self.step()
            if self.jobs == before and not self._ends:
                return decided
        raise AssertionError(f"no rest after {most} steps: {self.diary}")

    def places(self) -> dict[str, tuple[str, ...]]:
        """Nodes of every placed job by its name."""
        placed = {job.key.name: job.recorded.placement for job in self.jobs.values()}
        return {name: place.nodes for name, place in sorted(placed.items()) if place}

    def _write(self, decision: Decision) -> None:
        job, recorded = self.jobs[decision.key], decision.record
        self._tell(job, recorded)
        gang = job.request
        if isinstance(gang, Gang) and recorded.placement:
            gang = gang.of_size(len(recorded.placement.nodes))
        elif isinstance(gang, Gang):
            gang = gang.of_size(max(gang.sizes, default=gang.workers))
        self.jobs[job.key] = replace(job, recorded=recorded, request=gang)

    def _tell(self, job: Job, recorded: Recorded) -> None:
        name, old = job.key.name, job.recorded
        if recorded.eviction and not recorded.eviction.is_done and not old.eviction:
            self.diary.append(f"{name}: told to make room for {recorded.eviction.by}")
        if recorded.preemptions > old.preemptions:
            left = len(recorded.placement.nodes) if recorded.placement else 0
            self.diary.append(f"{name}: {recorded.last.reason if recorded.last else ''}, {left} workers left")
        elif recorded.placement and (not old.placement or old.placement.nodes != recorded.placement.nodes):
            self.diary.append(f"{name}: placed on {', '.join(recorded.placement.nodes)}")
        if recorded.has_run and not old.has_run:
            self.diary.append(f"{name}: runs")

    def _perform(self, key: Key, action: JobAction) -> None:
        job = self.jobs[key]
        match action:
            case MakeWorker(attempt, rank, node, _):
                gang = job.request
                request = gang.requirements.request if isinstance(gang, Gang) else {}
                name = f"{key.name}-{rank}-a{attempt}"
                made = Worker(name, f"uid-{name}", attempt, rank, node=node, request=request)
                workers = sorted((*job.workers, made), key=lambda worker: (worker.attempt, worker.rank))
                self.jobs[key] = replace(job, workers=tuple(workers))
            case RemoveWorker(name, _):
                self._ends.setdefault(name, self.lingers)
                self._change(key, name, deleting=True)
            case EndPod(name, _) | ForgetPod(name, _):
                self._ends[name] = 0
                self._change(key, name, deleting=True)
            case MakeBelongings() | MakeExport() | ReadEvents():
                pass

    def _live(self) -> None:
        self._ends = {name: left - 1 for name, left in self._ends.items()}
        over = {name for name, left in self._ends.items() if left < 0}
        self._ends = {name: left for name, left in self._ends.items() if left >= 0}
        for key, job in self.jobs.items():
            alive = [worker for worker in job.workers if worker.name not in over]
            running = (replace(it, phase=Phase.RUNNING) if it.phase is Phase.PENDING else it for it in alive)
            self.jobs[key] = replace(job, workers=tuple(running))

    def _change(self, key: Key, name: str, **changes: bool) -> None:
        job = self.jobs[key]
        workers = tuple(replace(it, **changes) if it.name == name else it for it in job.workers)  # type: ignore[arg-type]
        self.jobs[key] = replace(job, workers=workers)
