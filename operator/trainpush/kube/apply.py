"""Plans carried out: status first, then its Events and the actions that earlier statuses announced.

No cycle waits for the statuses of pools, nor for those of jobs that get a place or give one back. A place that a status
is about to tell is assumed: others are placed as if it stood. What is given back counts until the status says so.
A cycle waits for all other changes of places, for evictions and for services.
Everything here may be done twice, and may stop after any write.

Source: what kube-scheduler calls to assume a pod.
"""

import asyncio
import time
from collections.abc import Callable, Coroutine, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from http import HTTPStatus
from typing import Any, Final

from pydantic import ValidationError

from trainpush.api.base import Metadata, complaints
from trainpush.kube.actions import Actions
from trainpush.kube.client import Client, Object
from trainpush.kube.concurrency import MOST
from trainpush.kube.errors import AlreadyExists, ApiError, Conflict, NotFound, Unavailable
from trainpush.kube.records import OwnerId
from trainpush.kube.resources import EVENTS
from trainpush.kube.store import Store
from trainpush.kube.tasks import FOUNDATION, Act, Change, JobTask, PoolTask, ServiceTask, Task, batches, change_of_place
from trainpush.kube.turns import Due, Turns
from trainpush.model.actions import AskReplica
from trainpush.render.events import untold
from trainpush.status.patch import merge_patch
from trainpush.telemetry.logs import logger
from trainpush.telemetry.metrics import Metrics

QUIET_SECONDS: Final = 5.0
"""Least time between two writes of one object's status that change only counts and wording."""
SPARE: Final = 1000
"""So much of what is remembered may be of objects that are gone."""
RETRY_SECONDS: Final = 15.0
"""Wait after the API server refused a child, before it is tried again."""
_LASTING: Final = {400, 403, 413, 422}
"""Statuses of answers that come again however often it is tried."""
_TOO_LARGE: Final = "request is too large"
"""What etcd says of more than it takes: a 500 to whoever asked."""

_log = logger(__name__)
Later = Callable[[Coroutine[Any, Any, None]], object]
"""Goes on with some work beside the cycles."""


@dataclass(frozen=True, slots=True)
class _Trouble:
    message: str
    until: float


class Deposed(Exception):  # noqa: N818 - a state, not an error
    """The replica may no longer write."""


class Applier:
    """Carries out plans; remembers only what makes it patient, nothing that a restart would miss."""

    def __init__(
        self,
        client: Client,
        store: Store,
        actions: Actions,
        may_write: Callable[[], bool],
        metrics: Metrics,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """Write through `client` as long as `may_write`; `clock` is monotonic, in seconds."""
        self._client = client
        self._store = store
        self._acts = actions
        self._may_write = may_write
        self._metrics = metrics
        self._clock = clock
        self._troubles: dict[str, _Trouble] = {}
        self._written: dict[str, float] = {}
        self._held: dict[str, float] = {}
        """Objects whose status was refused, and when to try again."""
        self._more: set[str] = set()
        """Objects of which a later cycle wanted more while something was carried out."""
        self._asking: set[str] = set()
        """Pods whose model server is being asked."""
        self._standing: dict[str, Task] = {}
        """What the status of each pool and service says, which have a task in every cycle: it is not rendered again."""
        self._timers: dict[str, asyncio.TimerHandle] = {}
        """When objects are decided anew of which something could not be done yet."""
        self._turns = Turns()
        self._writers = 0
        """How many take their turns now."""

    @property
    def backlog(self) -> int:
        """Statuses that wait for their turn."""
        return len(self._turns)

    def trouble_of(self, uid: str) -> str:
        """What the API server said when it last refused a child of this object."""
        trouble = self._troubles.get(uid)
        return trouble.message if trouble else ""

    async def carry_out(self, tasks: Iterable[Task], now: datetime, later: Later) -> None:
        """Write what the next cycle has to know; the rest is done `later`.

        `tasks` are those that are not as in the cycle before. An object of which something cannot be done yet is
        touched when it can, so that it is decided anew.
        """
        if len(self._written) > sum(map(len, self._store.own_kinds.values())) + SPARE:
            self._forget_gone()
        pressing = [task for task in tasks if isinstance(task, ServiceTask) or self._presses(task, now, later)]
        for _ in range(min(MOST - self._writers, self.backlog)):
            later(self._write_in_turn(later))
        await asyncio.gather(*(self._carry_out(task, now, later) for task in pressing))

    def _presses(self, task: Due, now: datetime, later: Later) -> bool:
        """Whether the next cycle has to wait for a task; any other has its turn, if something is to be said."""
        uid = task.seen.metadata.uid
        if self._is_held(uid):
            return False
        if self._standing.get(uid) == task:
            self._again(uid, self._begin(task, later))
            return False
        if uid in self._store.assumed:
            self._drop_outdated(task)
            return False
        if not self._turns.put(task, now) or isinstance(task, PoolTask):
            return False
        if (change := change_of_place(task)) is Change.TAKES:
            self._store.assume(uid, task.decision.record)
        elif change is Change.MOVES:
            self._turns.drop(task)
        return change is Change.MOVES

    def _drop_outdated(self, task: Due) -> None:
        """If what waits was decided of the object as it was before, it must not count any longer."""
        waiting = self._turns.waiting(task)
        if waiting and waiting.seen is not task.seen:
            self._turns.drop(task)
            self._store.settle(task.seen.metadata.uid)

    async def _write_in_turn(self, later: Later) -> None:
        """Carry out what waits, until nothing does."""
        self._writers += 1
        try:
            while self._turns:
                task, now = self._turns.take()
                await self._have_turn(task, now, later)
        finally:
            self._writers -= 1

    async def _have_turn(self, task: Due, now: datetime, later: Later) -> None:
        uid = task.seen.metadata.uid
        try:
            await asyncio.sleep(0)  # those that have nothing to write must not hold up all else
            # Of an object that is not the same any more something else is decided, or was already.
            if self._store.own_kinds[task.resource].get(uid) is task.seen:
                await self._carry_out(task, now, later)
        finally:
            is_more_wanted = self._turns.done(uid)
            self._store.settle(uid)
            if is_more_wanted:
                self._store.touch(uid)

    def _forget_gone(self) -> None:
        memories: tuple[dict[str, Any], ...] = (self._written, self._held, self._troubles, self._standing)
        known = {seen.metadata.uid for kind in self._store.own_kinds.values() for seen in kind}
        for memory in memories:
            for gone in memory.keys() - known:
                del memory[gone]

    async def _carry_out(self, task: Task, now: datetime, later: Later) -> None:
        """Carry out one task as far as may be."""
        uid = task.seen.metadata.uid
        if self._is_held(uid):
            return
        try:
            self._check()
            wait = None if self._standing.get(uid) == task else await self._say(task, now, later)
            self._again(uid, self._begin(task, later) or wait)
        except (Conflict, NotFound) as error:
            await self._reread(task, error)
        except Unavailable as error:
            self._refuse(task, error, now, later)
            # It may stand or not, and until that is known it counts.
            while not await self._reread(task, error):  # noqa: ASYNC110 - nobody tells when it can be read again
                await asyncio.sleep(RETRY_SECONDS)
        except ApiError as error:
            self._refuse(task, error, now, later)
        except Deposed:
            self._again(uid, RETRY_SECONDS)
        except Exception:
            self._hold(uid)  # what fails for one must not be tried without a pause
            raise

    def _refuse(self, task: Task, error: ApiError, now: datetime, later: Later) -> None:
        metadata, kind = task.seen.metadata, task.resource.kind
        self._hold(metadata.uid)
        self._refused(f"status of {kind} {metadata.namespace}/{metadata.name}", error)
        if error.status in _LASTING or _TOO_LARGE in error.message:
            # Nothing else can tell of it.
            later(self._tell([untold(kind, metadata, str(error), now)]))

    def _hold(self, uid: str) -> None:
        """Leave the status of an object alone for a while."""
        self._held[uid] = self._clock() + RETRY_SECONDS
        self._again(uid, RETRY_SECONDS)

    def _is_held(self, uid: str) -> bool:
        if self._held.get(uid, 0.0) > self._clock():
            return True
        self._held.pop(uid, None)
        return False

    def _again(self, uid: str, wait: float | None) -> None:
        """Decide anew of an object in so many seconds, or not because of this."""
        if wait is None:
            return
        loop = asyncio.get_running_loop()
        due, known = loop.time() + wait, self._timers.get(uid)
        if known and known.when() <= due:
            return
        if known:
            known.cancel()
        self._timers[uid] = loop.call_at(due, self._touch_again, uid)

    def _touch_again(self, uid: str) -> None:
        del self._timers[uid]
        self._store.touch(uid)

    async def _say(self, task: Task, now: datetime, later: Later) -> float | None:
        """Write a status and its Events; seconds to wait if that was put off."""
        try:
            status = task.status(now)
        except ValidationError as error:
            # As the API server would refuse it: nobody else's status waits for this one.
            raise ApiError(HTTPStatus.UNPROCESSABLE_ENTITY, "Invalid", complaints(error)) from None
        wait = await self._write_status(task, status)
        if wait is None:
            if not isinstance(task, JobTask):
                self._standing[task.seen.metadata.uid] = task
            if told := task.events(status, now):
                later(self._tell(told))
        return wait

    async def _write_status(self, task: Task, status: Mapping[str, Any]) -> float | None:
        """Write what differs; seconds to wait if it differs only in counts and was written a moment ago."""
        seen, metadata = task.seen, task.seen.metadata
        patch = merge_patch(seen.status, status)
        if not patch:
            return None
        since = self._clock() - self._written.get(metadata.uid, float("-inf"))
        if since < QUIET_SECONDS and _outline(seen.status) == _outline(status):
            return QUIET_SECONDS - since
        written = await self._client.patch_status(
            task.resource, metadata.namespace or None, metadata.name, metadata.resource_version, patch
        )
        self._written[metadata.uid] = self._clock()
        self._store.own_kinds[task.resource].take(written)
        return None

    async def _tell(self, told: Sequence[Object]) -> None:
        for event in told:
            try:
                self._check()
                await self._client.create(EVENTS, event)
            except (AlreadyExists, Deposed):
                continue
            except ApiError as error:
                _log.warning("event not written", name=event["metadata"]["name"], error=str(error))

    def _begin(self, task: Task, later: Later) -> float | None:
        """Begin the actions of an object, unless its last ones still go on; seconds to wait if some were refused."""
        uid = task.seen.metadata.uid
        self._begin_asking(task, later)
        trouble = self._troubles.get(uid)
        actions = [action for action in task.decision.actions if not isinstance(action, AskReplica)]
        if not actions:
            if self._troubles.pop(uid, None):
                self._store.touch(uid)
        elif trouble and self._clock() < trouble.until:
            return trouble.until - self._clock()
        elif uid in self._store.acting:
            self._more.add(uid)
        else:
            self._store.begin(uid)
            later(self._act(task, actions))
        return None

    async def _act(self, task: Task, actions: Sequence[Act]) -> None:
        """Kind after kind, all of a kind at once; a refusal keeps only those from being done that build on it."""
        uid = task.seen.metadata.uid
        refusals: list[ApiError] = []
        is_done = False
        try:
            for batch in batches(actions):
                refused = await _all(self._one(task, action) for action in batch)
                refusals += refused
                if refused and isinstance(batch[0], FOUNDATION):
                    break
            is_done = not refusals and not self._troubles.pop(uid, None)
            if refusals:
                self._troubles[uid] = _Trouble(str(refusals[0]), self._clock() + RETRY_SECONDS)
                self._refused(f"child of {task.resource.kind} {task.seen.metadata.name}", refusals[0])
        except Deposed:
            _log.debug("actions left to whoever leads", kind=task.resource.kind, name=task.seen.metadata.name)
        finally:
            self._store.end(uid)
            if not is_done or uid in self._more:
                self._more.discard(uid)
                self._store.touch(uid)

    async def _one(self, task: Task, action: Act) -> None:
        self._check()
        await self._acts.perform(task, action)

    def _begin_asking(self, task: Task, later: Later) -> None:
        """Ask replicas beside everything else: one that hangs must not hold up its service."""
        for action in task.decision.actions:
            if isinstance(action, AskReplica) and action.uid not in self._asking:
                self._asking.add(action.uid)
                later(self._question(task, action))

    async def _question(self, task: Task, action: AskReplica) -> None:
        owner = OwnerId(task.seen.metadata.uid, task.seen.metadata.namespace)
        try:
            complaint = await self._acts.ask(owner, action)
            self._check()
            await self._acts.note_answer(owner, action, complaint)
        except ApiError as error:
            self._refused(f"readiness gate of {action.name}", error)
        except Deposed:
            return
        finally:
            self._asking.discard(action.uid)

    async def _reread(self, task: Task, error: ApiError) -> bool:
        """Look anew at an object of which a decision was refused, and decide anew; whether it could be read."""
        metadata: Metadata = task.seen.metadata
        _log.debug("status not written", namespace=metadata.namespace, name=metadata.name, error=str(error))
        kind = self._store.own_kinds[task.resource]
        try:
            kind.take(await self._client.get(task.resource, metadata.name, metadata.namespace or None))
        except NotFound:
            kind.forget(metadata.uid)
        except ApiError as problem:
            _log.warning("object not read", namespace=metadata.namespace, name=metadata.name, error=str(problem))
            return False
        self._store.touch(metadata.uid)
        return True

    def _refused(self, what: str, error: ApiError) -> None:
        self._metrics.api_refusals.labels(error.reason).inc()
        _log.warning("the API server refused", what=what, error=str(error))

    def _check(self) -> None:
        if not self._may_write():
            raise Deposed


async def _all(actions: Iterable[Coroutine[Any, Any, None]]) -> list[ApiError]:
    """Carry out all; what the API server refused of them, in their order. Any other error is raised."""
    outcomes = await asyncio.gather(*actions, return_exceptions=True)
    for outcome in outcomes:
        if isinstance(outcome, BaseException) and not isinstance(outcome, ApiError):
            raise outcome
    return [outcome for outcome in outcomes if isinstance(outcome, ApiError)]


def _outline(status: Mapping[str, Any]) -> tuple[object, ...]:
    """A status without wording and counts: what a person would call a change."""
    conditions = [(c["type"], c["status"], c["reason"]) for c in status.get("conditions", [])]
    loose = {
        *("conditions", "verdict", "replicas", "nodes", "accelerators", "largestFree", "quotas", "modes"),
        "readyReplicas",
        "revisions",
    }
    return (conditions, {key: value for key, value in status.items() if key not in loose})
