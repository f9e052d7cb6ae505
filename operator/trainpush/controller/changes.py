"""What a cycle has to carry out: what is decided otherwise than in the cycle before."""

from typing import Final

from trainpush.admission.jobs import Admission
from trainpush.admission.services import Asked
from trainpush.controller.observe import Observation
from trainpush.kube.tasks import JobTask, PoolTask, ServiceTask, Task
from trainpush.model.plan import Decision, Plan, ServiceDecision
from trainpush.model.records import Records
from trainpush.model.workload import Key
from trainpush.render.environment import of_attempt

WORDING_MAX: Final = 20
"""Of so many statuses of which only the wording changes the writing begins while others are written: when something
happens to a pool, the explanations of all that wait for it change, and what was decided must not wait for these."""


class Changes:
    """Finds out what is new of each plan."""

    def __init__(self) -> None:
        """Nothing was decided yet."""
        self._before: Records[Decision] = Records()
        """What was carried out."""
        self._after = self._before
        self._late: dict[Key, None] = {}
        """Jobs of which only the wording changed, those that have waited longest first."""
        self.jobs: list[Decision] = []
        """Of the last cycle, what is new of jobs."""
        self.gone: set[Key] = set()
        """The jobs of which nothing is decided any more."""

    @property
    def is_more_left(self) -> bool:
        """Whether something waits for a later cycle."""
        return bool(self._late)

    def tasks(self, seen: Observation, decided: Plan, backlog: int = 0) -> list[Task]:
        """What is new of `decided`; of pools all, since they say something of everybody, and of services.

        What only says it in other words waits as long as there is a `backlog` of others.
        """
        self._after = decided.decisions
        self.jobs, self.gone = decided.decisions.since(self._before)
        urgent: list[Decision] = []
        for decision in self.jobs:
            before = self._before.get(decision.key)
            stands = seen.jobs[decision.key].record == decision.record
            if before and stands and _says_the_same(before, decision):
                self._late.setdefault(decision.key)
            else:
                urgent.append(decision)
                self._late.pop(decision.key, None)
        late = [key for key, _ in zip(self._late, range(WORDING_MAX - backlog), strict=False)]
        for key in late:
            del self._late[key]
        wording = filter(None, map(decided.decisions.get, late))
        pools = (PoolTask(seen.pools[pool.name], pool, seen.modes.get(pool.name)) for pool in decided.pools)
        jobs = (_job_task(seen, decision) for decision in (*urgent, *wording))
        return [*pools, *jobs, *(_service_task(seen, decision) for decision in decided.services)]

    def carried_out(self) -> None:
        """What the last tasks said need not be said again."""
        self._before = self._after

    def forget(self) -> None:
        """All has to be said again."""
        self._before = Records()


def _says_the_same(before: Decision, after: Decision) -> bool:
    """Whether nothing but the wording of the verdict changed, and its numbers, and there is nothing to do."""
    return (
        not after.actions
        and (before.verdict.reason, before.verdict.cause) == (after.verdict.reason, after.verdict.cause)
        and (before.stage, before.running, before.record) == (after.stage, after.running, after.record)
        and (before.refusal, before.push) == (after.refusal, after.push)
    )


def _job_task(seen: Observation, decision: Decision) -> JobTask:
    admission = seen.admissions[decision.key]
    job, workers = seen.jobs[decision.key], seen.workers[decision.key]
    if not isinstance(admission, Admission):
        return JobTask(job, decision, resolved=None, stands=None, workers=workers)
    resolved, place = admission.resolved, decision.record.placement
    # What defaults come to with the workers that it has.
    size = len(place.nodes) if place else 0
    stands = of_attempt(resolved, size, is_degree_chosen=admission.is_degree_chosen) if size else resolved
    return JobTask(job, decision, resolved, stands, workers)


def _service_task(seen: Observation, decision: ServiceDecision) -> ServiceTask:
    asked = seen.asked[decision.key]
    data = asked.data if isinstance(asked, Asked) else None
    return ServiceTask(seen.services[decision.key], decision, data, seen.priorities[decision.key])
