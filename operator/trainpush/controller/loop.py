"""The cycle: observe, plan, apply; again whenever something changed or falls due."""

import asyncio
import time
from collections.abc import Callable, Coroutine
from typing import Any, Final

from trainpush.controller.changes import Changes
from trainpush.controller.clock import Clock
from trainpush.controller.measure import Milestones, Waiting, measure
from trainpush.controller.observe import Observation, Observer
from trainpush.kube.apply import Applier, Later
from trainpush.kube.node_annotations import NodeAnnotator
from trainpush.kube.store import Store
from trainpush.model.plan import NodeDecision, Plan
from trainpush.planner.memory import Memory
from trainpush.planner.plan import plan
from trainpush.telemetry.logs import logger
from trainpush.telemetry.metrics import Metrics

QUIET_SECONDS: Final = 0.02
"""A cycle begins when nothing has changed for so long …"""
PATIENCE_SECONDS: Final = (0.04, 0.5)
"""… or after as long as the last cycle took, but at least and at most this: half of the time is left for reading."""
BUSY_SECONDS: Final = 0.2
"""As long as statuses of earlier cycles wait for their turn, the next one begins only after as long as the last cycle
took, and no sooner than after this: writing has half of the time."""
IDLE_SECONDS: Final = 60.0
"""Longest time between two cycles."""
FAILURES_MAX: Final = 5
"""Cycles in a row that may end in an unexpected error before the liveness probe fails."""

_log = logger(__name__)


class Loop:
    """Decides and acts as long as it leads; otherwise it only keeps up."""

    def __init__(
        self,
        store: Store,
        applier: Applier,
        annotator: NodeAnnotator,
        leads: Callable[[], bool],
        metrics: Metrics,
        proxy_image: str,
    ) -> None:
        """Read from `store`, write through `applier` and `annotator` while `leads()`.

        `proxy_image` goes into new revisions.
        """
        self._store = store
        self._applier = applier
        self._annotator = annotator
        self._leads = leads
        self._metrics = metrics
        self._observer = Observer(store, applier.trouble_of, proxy_image)
        self._memory = Memory()
        self._changes = Changes()
        self._waiting = Waiting(metrics)
        self._milestones = Milestones(metrics, store)
        self._wake_after: float = IDLE_SECONDS
        self._took = 0.0
        self.failures = 0
        self.clock = Clock()
        """Says what time it is for all that is decided."""

    @property
    def is_healthy(self) -> bool:
        """Whether cycles end well."""
        return self.failures < FAILURES_MAX

    async def run(self) -> None:
        """Cycle for ever."""
        async with asyncio.TaskGroup() as work:
            while True:
                await self._until_due()
                if await self._survives(self.cycle(lambda coroutine: work.create_task(self._survives(coroutine)))):
                    self.failures = 0
                else:
                    await asyncio.sleep(min(2.0**self.failures, 30.0))
                    self._wake_after = 0.0

    async def cycle(self, later: Later) -> None:
        """One cycle, if this replica leads; what need not be waited for is handed to `later`."""
        if not self._leads():
            self._wake_after = IDLE_SECONDS
            self._changes.forget()
            self._waiting.forget()
            # What was touched must not pile up; and who leads next begins at once.
            self._observer.observe()
            return
        begun, now = time.monotonic(), self.clock.now()
        stages = self._metrics.cycle_duration_seconds
        with stages.labels("observe").time():
            seen = self._observer.observe()
        started = time.perf_counter()
        with stages.labels("plan").time():
            decided = plan(seen.snapshot, now, self._memory)
        took = time.perf_counter() - started
        changes = self._changes
        tasks = changes.tasks(seen, decided, self._applier.backlog)
        measure(self._metrics, decided)
        self._waiting.count(seen, changes.jobs, changes.gone)
        if self._milestones.count(seen, changes.jobs, now):
            self._metrics.placement_duration_seconds.observe(took)
        with stages.labels("apply").time():
            await self._applier.carry_out(tasks, now, later)
            held = self._annotator.begin(_annotations(seen, decided), later)
        changes.carried_out()
        self._took = time.monotonic() - begun
        due = self.clock.seconds_until(decided.wake_at) if decided.wake_at else IDLE_SECONDS
        left = BUSY_SECONDS if changes.is_more_left else IDLE_SECONDS
        self._wake_after = max(0.05, min(due, left, IDLE_SECONDS if held is None else held))

    async def _survives(self, work: Coroutine[Any, Any, None]) -> bool:
        """Whether `work` ended well. The one place where an unexpected error is survived."""
        try:
            await work
        except Exception:
            self.failures += 1
            self._metrics.cycle_errors.inc()
            # What it remembers may be half of what it was to remember.
            self._memory = Memory()
            _log.exception("cycle failed", failures=self.failures)
            return False
        return True

    async def _until_due(self) -> None:
        dirty = self._store.dirty
        try:
            # Not wait_for: before Python 3.12 it loses a cancellation that comes together with the event.
            async with asyncio.timeout(self._wake_after):
                await dirty.wait()
        except TimeoutError:
            return
        if self._applier.backlog:
            await asyncio.sleep(max(BUSY_SECONDS, self._took))
            dirty.clear()
            return
        least, most = PATIENCE_SECONDS
        deadline = time.monotonic() + min(max(least, self._took), most)
        while dirty.is_set() and time.monotonic() < deadline:
            dirty.clear()
            await asyncio.sleep(QUIET_SECONDS)
        dirty.clear()


def _annotations(seen: Observation, decided: Plan) -> list[NodeDecision]:
    """What was decided of nodes, and of the others those whose label or taints somebody changed."""
    names = {decision.name for decision in decided.nodes}
    return [*decided.nodes, *(repair for repair in seen.repairs if repair.name not in names)]
