"""Those that found no place in their turn, and what is said of them once all had theirs."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Final

from trainpush.model.gang import Gang
from trainpush.model.plan import Decision, Verdict
from trainpush.model.reasons import Reason
from trainpush.model.workload import Job, Key
from trainpush.planner import lifecycle
from trainpush.planner.diagnostics import verdicts
from trainpush.planner.preemption.eligibility import Preemptor
from trainpush.planner.preemption.policy import PreemptionPolicy

_HOPEFUL: Final = {
    Reason.WAITING_FOR_CAPACITY,
    Reason.WAITING_FOR_PREEMPTION,
    Reason.BEHIND_HIGHER_PRIORITY,
    Reason.WAITING_FOR_QUOTA,
}
"""Why a gang waits that will have its turn; all other reasons need somebody to change something."""


@dataclass(frozen=True, slots=True)
class _Blocked:
    """A gang for which there was no room in its turn."""

    preemptor: Preemptor
    position: int
    """In the queue, from 1."""
    wake_at: datetime | None


class Waiting:
    """Who waits for room of a pool in this cycle, in the order of their turns."""

    def __init__(self, now: datetime) -> None:
        """Nobody yet."""
        self.is_hopeful = False
        """Whether somebody waits whom room would help."""
        self._now = now
        self._length = 0
        self._blocked: list[_Blocked] = []

    def join(self, job: Job, verdict: Verdict) -> Decision:
        """One more, of whom is known why it waits."""
        self._length += 1
        return self._queued(job, replace(verdict, position=self._length), None)

    def join_blocked(self, preemptor: Preemptor, wake_at: datetime | None) -> None:
        """One more, of whom is said why it waits when all had their turns: only then is known what is left."""
        self._length += 1
        self._blocked.append(_Blocked(preemptor, self._length, wake_at))

    def explained(
        self, why: Callable[[Gang], Verdict], preemption: Callable[[], PreemptionPolicy]
    ) -> dict[Key, Decision]:
        """What becomes of those that are blocked; `why` is asked once for gangs that are alike."""
        found, known = {}, dict[Gang, Verdict]()
        for blocked in self._blocked:
            preemptor, wake_at = blocked.preemptor, blocked.wake_at
            if preemptor.gang not in known:
                known[preemptor.gang] = why(preemptor.gang)
            verdict = known[preemptor.gang]
            if verdict.reason in {Reason.WAITING_FOR_CAPACITY, Reason.BEHIND_HIGHER_PRIORITY}:
                ineligible, until = preemption().ineligible(preemptor.rank)
                verdict = verdicts.not_preempted(verdict, ineligible, until)
                wake_at = min((time for time in (until, wake_at) if time), default=None)
            verdict = replace(verdict, position=blocked.position)
            found[preemptor.job.key] = self._queued(preemptor.job, verdict, wake_at)
        return found

    def _queued(self, job: Job, verdict: Verdict, wake_at: datetime | None) -> Decision:
        """Time in the queue counts only while waiting can help."""
        is_hopeful = verdict.reason in _HOPEFUL
        self.is_hopeful |= is_hopeful
        queued_at = (job.recorded.queued_at or self._now) if is_hopeful else None
        return lifecycle.queued(job, verdict, wake_at, queued_at)
