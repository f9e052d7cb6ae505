"""What one plan worked out, for the next: it spares work and never changes an answer.

Whatever is kept depends on one object, which is the very same as before, and on nothing else but time: a decision is
kept until its `wake_at`, or until a node of its job is labelled otherwise. Everything that others, the state of nodes
or services have a say in is asked again in every cycle. So memory may be thrown away at any time.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime

from trainpush.model.nodes import NodeTable, moved
from trainpush.model.plan import Decision, Stage
from trainpush.model.records import Records
from trainpush.model.serving import Service
from trainpush.model.snapshot import Snapshot
from trainpush.model.workload import Job, Key, Outcome
from trainpush.planner import lifecycle, recovery
from trainpush.planner.allocations import Allocations


@dataclass(eq=False)
class Memory:
    """The jobs and services of the last plan, who holds what, and what was decided."""

    allocations: Allocations = field(default_factory=Allocations)
    decisions: Records[Decision] = field(default_factory=Records)
    """Before nodes had a say in them."""
    due: dict[Key, datetime] = field(default_factory=dict)
    """When those that are not asked in every cycle are to be asked again, where they are."""
    _open: dict[Key, None] = field(default_factory=dict)
    """Jobs that are asked in every cycle, in the order of their last turns: a line that was in order is soon sorted."""
    _new: dict[str, Key] = field(default_factory=dict)
    """By uid, jobs that are not asked in every cycle and of which no attempt is known."""
    _jobs: Records[Job] = field(default_factory=Records)
    """As they came: what status has lost is not recovered."""
    _services: Records[Service] = field(default_factory=Records)
    """As they came."""
    _tables: Mapping[str, NodeTable] = field(default_factory=dict)
    """The nodes of each pool."""
    _changed: set[Key] = field(default_factory=set)
    """Keys of the jobs that are new or not the very same as in the plan before."""
    _released: frozenset[str] = frozenset()
    """The uids of jobs that revisions name."""
    _now: datetime | None = None

    def take(self, snapshot: Snapshot, now: datetime) -> dict[Key, Job]:
        """The jobs to ask: those that are not the very same as in the last plan, that are due, or always asked."""
        if self._now and now < self._now:
            self.__dict__.update(Memory().__dict__)
        self._now = now
        reopened = self._take_services(Records.of(snapshot.services), now)
        self._changed = self._take_jobs(Records.of(snapshot.jobs))
        tables = {pool.name: pool.table for pool in snapshot.pools}
        reopened |= self._take_tables(tables)
        due = (key for key, at in self.due.items() if at <= now)
        asked = dict.fromkeys((*self._open, *due, *reopened, *self._changed))
        self.allocations.forget_pools_but(tables)
        return {key: job for key in asked if (job := self._asked(key, tables, now))}

    def keep(self, asked: Mapping[Key, Job], fresh: Mapping[Key, Decision]) -> Records[Decision]:
        """All decisions: those of before, and the `fresh` ones on the jobs that were `asked` and on some others.

        A decision on the very same job that comes out as before is the very same. Of those that were asked, those are
        asked again in the next cycle in any case that others have a say in.
        """
        for key, decision in fresh.items():
            job = asked.get(key)
            if job is None or not self._rests(job, decision):
                self._open[key] = None
        gone = [key for key in asked if key not in fresh]
        # A job that is not the same may want another status for the same decision.
        new = (it for key, it in fresh.items() if key in self._changed or it != self.decisions.get(key))
        self.decisions = self.decisions.changed(new, gone)
        return self.decisions

    def _asked(self, key: Key, tables: Mapping[str, NodeTable], now: datetime) -> Job | None:
        """The job of that key with what is recovered of it; what was kept of it is forgotten."""
        self._forget(key)
        if (came := self._jobs.get(key)) is None:
            return None
        job = recovery.recovered(came, tables, self._released, now)
        if self.allocations.jobs.get(key) is not job:
            self.allocations.put_job(job)
        return job

    def _rests(self, job: Job, decision: Decision) -> bool:
        """Whether it need not be asked before something of itself changes, or its time has come: noted is when."""
        if not _lasts(job, decision) or job is not self._jobs.get(job.key):
            return False
        if decision.wake_at:
            self.due[job.key] = decision.wake_at
        if not job.recorded.attempt:
            self._new[job.uid] = job.key
        return True

    def _forget(self, key: Key) -> None:
        self.due.pop(key, None)
        self._open.pop(key, None)
        if job := self.allocations.jobs.get(key):
            self._new.pop(job.uid, None)

    def _take_jobs(self, jobs: Records[Job]) -> set[Key]:
        """Keys of jobs that are new or changed."""
        changed, gone = jobs.since(self._jobs)
        self._jobs = jobs
        for key in gone:
            self._forget(key)
            self.allocations.drop_job(key)
        self.decisions = self.decisions.changed((), gone)
        return {job.key for job in changed}

    def _take_tables(self, tables: Mapping[str, NodeTable]) -> set[Key]:
        """Keys of jobs with a place on a node that is in other domains than before: what is told of it is not true."""
        before, self._tables = self._tables, tables
        found = {name: moved(before.get(name), tables.get(name)) for name in before.keys() | tables.keys()}
        if not any(found.values()):
            return set()
        return {it.key for it in self.allocations.gangs if not found.get(it.gang.pool, set()).isdisjoint(it.nodes)}

    def _take_services(self, services: Records[Service], now: datetime) -> set[Key]:
        """Keys of jobs whose status may be understood otherwise by what was released meanwhile."""
        changed, gone = services.since(self._services)
        self._services = services
        for key in gone:
            self.allocations.drop_service(key)
        for service in {it.key: it for it in (*changed, *(it for it in services if it.is_new))}.values():
            self.allocations.put_service(recovery.recovered_service(service, now))
        if not (changed or gone):
            return set()
        released = frozenset(revision.job_uid for service in services for revision in service.revisions)
        others, self._released = released ^ self._released, released
        return {self._new[uid] for uid in others & self._new.keys()}


def _lasts(job: Job, decision: Decision) -> bool:
    """Whether nothing but the job, labels of its nodes, and time until `wake_at` can make it come out otherwise."""
    record, push = job.recorded, job.push
    if decision.stage is Stage.QUEUED or record.eviction:
        return False  # a matter of those with whom it competes
    if decision.record != record and decision.record != replace(record, has_run=True):
        return False  # once that stands in status it is another job; what it says of now would be too old by then
    if push and record.outcome is Outcome.COMPLETE and not push.over:
        return False  # a matter of the service that takes its model
    # A place without a pod is lost with its node.
    return lifecycle.has_begun(job) or not record.placement or bool(record.outcome)
