"""Tries that come to nothing: when a gang gives its place back because its pods do not start, and what it learns.

Accelerators are not held for what cannot start. The next try is made later each time, and elsewhere if there is room.
"""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Final

from trainpush.model.actions import ReadEvents
from trainpush.model.gang import Gang
from trainpush.model.reasons import Reason
from trainpush.model.workload import FailedStarts, Job, Phase, Placement, Refusal, Worker
from trainpush.planner import asking

BIND_TIMEOUT: Final = timedelta(minutes=2)
"""A gang whose pods are not all bound by then gives its place back."""
START_TIMEOUT: Final = timedelta(minutes=5)
"""So does one of which a bound pod is hindered from its start."""
HINDERED_AFTER: Final = timedelta(minutes=1)
"""A pod that is hindered from its start for so long needs a person, as far as anybody can tell."""
PULL_TIMEOUT: Final = timedelta(minutes=30)
"""So does one of which a bound pod still pulls an image, or runs an init container: large images are normal."""
PAUSE: Final = timedelta(seconds=30)
"""From the end of the first such try to the next one; doubles with each further one."""
PAUSE_MAX: Final = timedelta(minutes=30)
FORGOTTEN_AFTER: Final = timedelta(hours=2)
"""What a try has taught is forgotten so long after its end."""


@dataclass(frozen=True, slots=True)
class Start:
    """An attempt of a gang on its way."""

    job: Job
    placement: Placement
    pods: Sequence[Worker]
    """Those of the attempt."""
    done: set[int]
    """The ranks that have finished."""
    begins: datetime
    """When its pods are made."""
    is_unbound: bool
    """Whether a pod is not there or not bound."""

    @property
    def deadline(self) -> datetime | None:
        """When the place is given back if the pods stay as they are; None if it never is."""
        if self.is_unbound:
            return self.begins + BIND_TIMEOUT
        if self.job.recorded.has_run or not self._late:
            return None
        return self.begins + (START_TIMEOUT if self._is_hindered else PULL_TIMEOUT)

    @property
    def is_late_at(self) -> datetime | None:
        """From when on somebody has to see to a pod that is hindered; None where none is."""
        return self.begins + HINDERED_AFTER if self._is_hindered and not self.job.recorded.has_run else None

    def question(self, now: datetime) -> tuple[tuple[ReadEvents, ...], datetime | None]:
        """What to ask about the first pod of which nobody says why it is hindered; and when, if that is later."""
        silent = next((worker for worker in self._late if worker.is_unexplained), None)
        return asking.question(silent.uid, silent.asked, self.begins, now) if silent else ((), None)

    def refusal(self, now: datetime) -> Refusal:
        """Why the attempt comes to nothing: which pod waited for what."""
        if self.is_unbound:
            said = self.waits or self.job.trouble or "kube-scheduler gave no reason"
            return Refusal(Reason.BIND_TIMEOUT, f"not all pods were bound within {BIND_TIMEOUT.seconds} s: {said}")
        minutes = (now - self.begins).total_seconds() / 60
        return Refusal(
            Reason.START_TIMEOUT,
            f"not all workers ran within {minutes:.0f} min: {self.waits or 'no reason is known'}",
        )

    def learned(self, now: datetime) -> FailedStarts:
        """What the next try knows after this one."""
        nodes, before = dict(enumerate(self.placement.nodes)), lately(self.job, now)
        bad = [nodes[worker.rank] for worker in self._late if worker.rank in nodes]
        known = before.nodes if before else ()
        return FailedStarts(1 + (before.count if before else 0), now, tuple(dict.fromkeys([*bad, *known])))

    @property
    def waits(self) -> str:
        """What most of the pods wait for that keep the gang from its start; empty where nobody says."""
        nodes = dict(enumerate(self.placement.nodes))
        told = [worker for worker in self._late if worker.message and worker.rank in nodes]
        if not told:
            return ""
        words, alike = Counter(worker.message for worker in told).most_common(1)[0]
        first = next(worker for worker in told if worker.message == words)
        more = f" and {alike - 1} more" if alike > 1 else ""
        return f"worker {first.rank} (node {nodes[first.rank]}){more}: {words}"

    @property
    def _is_hindered(self) -> bool:
        return any(worker.is_hindered for worker in self._late)

    @property
    def _late(self) -> list[Worker]:
        """The pods because of which it does not start: those that are not bound, that are hindered, or that wait."""
        late = [worker for worker in self.pods if worker.phase is Phase.PENDING]
        unbound = [worker for worker in late if worker.node is None]
        return unbound or [worker for worker in late if worker.is_hindered] or late


def lately(job: Job, now: datetime) -> FailedStarts | None:
    """What the last tries have taught, if they came to nothing and it is not too long ago."""
    failed = job.recorded.failed_starts
    return failed if failed and now < failed.at + FORGOTTEN_AFTER else None


def is_retry(job: Job, now: datetime) -> bool:
    """Whether its pods did not start in its last place: nobody need give up anything again."""
    return lately(job, now) is not None


def paused_until(failed: FailedStarts) -> datetime:
    """When the next try may be made."""
    return failed.at + backoff(PAUSE, PAUSE_MAX, failed.count - 1)


def backoff(first: timedelta, most: timedelta, before: int) -> timedelta:
    """A pause that begins with `first` and doubles with each of those `before` it, up to `most`."""
    return min(first * (1 << min(before, 10)), most)


def elsewhere(job: Job, gang: Gang, now: datetime) -> Gang | None:
    """The gang where it avoids the nodes on which it did not start; None if there are none."""
    failed = lately(job, now)
    if failed is None or not failed.nodes:
        return None
    return replace(gang, requirements=replace(gang.requirements, avoided=frozenset(failed.nodes)))
