"""Plans carried out: status first, then its Events and the actions that earlier statuses announced.

No cycle waits for the statuses of jobs and pools. Until that of a job stands it is assumed: others are placed as if it
stood, and of its own job nothing more is carried out, so that nothing is made for a place that stands nowhere.
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
from trainpush.kube.errors import AlreadyExists, ApiError, Conflict, NotFound
from trainpush.kube.records import OwnerId
from trainpush.kube.resources import EVENTS
from trainpush.kube.store import Store
from trainpush.kube.tasks import FOUNDATION, Act, JobTask, PoolTask, ServiceTask, Task, batches
from trainpush.kube.turns import Turns
from trainpush.model.plan import AskReplica
from trainpush.status.patch import merge_patch
from trainpush.telemetry.logs import logger
from trainpush.telemetry.metrics import Metrics

QUIET_SECONDS: Final = 5.0
"""Least time between two writes of one object's status that change only counts and wording."""
SPARE: Final = 1000
"""So much of what is remembered may be of objects that are gone."""
RETRY_SECONDS: Final = 15.0
"""Wait after the API server refused a child, before it is tried again."""

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
        self._acting: dict[str, bool] = {}
        """Objects whose actions are under way, and whether a later cycle wanted more of them."""
        self._asking: set[str] = set()
        """Pods whose model server is being asked."""
        self._standing: dict[str, Task] = {}
        """What each status already says, so that it need not be rendered again to find out."""
        self._put_off: dict[str, tuple[float, Task]] = {}
        """What could not be done yet, and when to try again."""
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

    async def carry_out(self, tasks: Sequence[Task], now: datetime, later: Later) -> None:
        """Write the statuses of services; all the rest is done `later`.

        `tasks` are those that are not as in the cycle before; of the others, what was put off goes on where it is due.
        """
        if len(self._standing) > sum(map(len, self._store.own_kinds.values())) + SPARE:
            self._forget_gone()
        clock = self._clock()
        due = {uid: task for uid, (at, task) in self._put_off.items() if at <= clock}
        due |= {task.seen.metadata.uid: task for task in tasks}
        serving: list[ServiceTask] = []
        for uid, task in due.items():
            self._put_off.pop(uid, None)
            if isinstance(task, ServiceTask):
                serving.append(task)
            elif isinstance(task, PoolTask) or self._is_assumed(task):
                self._turns.put(task, now)
        for _ in range(min(MOST - self._writers, self.backlog)):
            later(self._write_in_turn(later))
        await asyncio.gather(*(self._carry_out(task, now, later) for task in serving))

    def _is_assumed(self, task: JobTask) -> bool:
        """Whether what a task says of a job counts from now on; what was decided before comes first."""
        uid = task.seen.metadata.uid
        if uid in self._store.assumed:
            return False
        if task.decision.record != task.seen.record:
            self._store.assume(uid, task.decision.record)
        return True

    async def _write_in_turn(self, later: Later) -> None:
        """Carry out what waits, until nothing does."""
        self._writers += 1
        try:
            while self._turns:
                task, now = self._turns.take()
                uid = task.seen.metadata.uid
                try:
                    # Of an object that is not the same any more something else is decided, or was already.
                    if self._store.own_kinds[task.resource].get(uid) is task.seen:
                        await self._carry_out(task, now, later)
                except Exception:
                    self._store.touch(uid)  # what was lost is decided anew
                    raise
                finally:
                    self._store.settle(uid)
        finally:
            self._writers -= 1
            if not self._turns:
                self._store.dirty.set()

    def _forget_gone(self) -> None:
        memories: tuple[dict[str, Any], ...] = (
            *(self._written, self._held, self._troubles, self._standing, self._put_off),
        )
        known = {seen.metadata.uid for kind in self._store.own_kinds.values() for seen in kind}
        for memory in memories:
            for gone in memory.keys() - known:
                del memory[gone]

    async def _carry_out(self, task: Task, now: datetime, later: Later) -> None:
        wait = await self._tried(task, now, later)
        if wait is not None:
            self._put_off[task.seen.metadata.uid] = (self._clock() + wait, task)
            asyncio.get_running_loop().call_later(wait, self._store.dirty.set)

    async def _tried(self, task: Task, now: datetime, later: Later) -> float | None:
        """Carry out one task as far as may be; seconds until the rest may be tried."""
        metadata = task.seen.metadata
        held = self._held.get(metadata.uid, 0.0) - self._clock()
        if held > 0:
            return held
        try:
            wait = None
            if self._standing.get(metadata.uid) != task:
                wait = await self._say(task, now, later)
            return self._begin(task, later) or wait
        except (Conflict, NotFound) as error:
            await self._reread(task, error)
            return None
        except ApiError as error:
            self._held[metadata.uid] = self._clock() + RETRY_SECONDS
            return self._refused(f"status of {task.resource.kind} {metadata.namespace}/{metadata.name}", error)
        except Deposed:
            return RETRY_SECONDS

    async def _say(self, task: Task, now: datetime, later: Later) -> float | None:
        """Write a status and its Events; seconds to wait if that was put off."""
        try:
            status = task.status(now)
        except ValidationError as error:
            # As the API server would refuse it: nobody else's status waits for this one.
            raise ApiError(HTTPStatus.UNPROCESSABLE_ENTITY, "Invalid", complaints(error)) from None
        wait = await self._write_status(task, status)
        if wait is None:
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
        self._check()
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
        elif uid in self._acting:
            self._acting[uid] = True
        else:
            self._acting[uid] = False
            self._store.begin(uid)
            later(self._act(task, actions))
        return None

    async def _act(self, task: Task, actions: Sequence[Act]) -> None:
        """Kind after kind, all of a kind at once; a refusal keeps only those from being done that build on it."""
        uid = task.seen.metadata.uid
        refusals: list[ApiError] = []
        try:
            for batch in batches(actions):
                refused = await _all(self._one(task, action) for action in batch)
                refusals += refused
                if refused and isinstance(batch[0], FOUNDATION):
                    break
            if refusals:
                self._troubles[uid] = _Trouble(str(refusals[0]), self._clock() + RETRY_SECONDS)
                self._refused(f"child of {task.resource.kind} {task.seen.metadata.name}", refusals[0])
                self._store.touch(uid)
            elif self._troubles.pop(uid, None):
                self._store.touch(uid)
        except Deposed:
            self._store.touch(uid)
        finally:
            self._store.end(uid)
            if self._acting.pop(uid):
                self._store.dirty.set()

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

    async def _reread(self, task: Task, error: ApiError) -> None:
        """A decision on an outdated view was refused: look anew, and decide anew."""
        metadata: Metadata = task.seen.metadata
        _log.debug("status not written", namespace=metadata.namespace, name=metadata.name, error=str(error))
        kind = self._store.own_kinds[task.resource]
        try:
            kind.take(await self._client.get(task.resource, metadata.name, metadata.namespace or None))
        except NotFound:
            kind.forget(metadata.uid)
            return
        except ApiError as problem:
            _log.warning("object not read", namespace=metadata.namespace, name=metadata.name, error=str(problem))
        self._store.touch(metadata.uid)

    def _refused(self, what: str, error: ApiError) -> float:
        self._metrics.api_refusals.labels(error.reason).inc()
        _log.warning("the API server refused", what=what, error=str(error))
        return RETRY_SECONDS

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
