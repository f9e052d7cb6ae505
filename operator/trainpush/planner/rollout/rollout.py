"""What becomes of one InferenceService: which revision it wants, and which replicas stand where.

Replicas of the wanted revision come one more than asked for at a time, and an older one goes only when there are
enough without it: so a release that never loads changes nothing for whoever is served. A replica on a node that is
cordoned or lost is replaced in the same way.
"""

from collections.abc import Iterable, Mapping
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Final

from trainpush.model.actions import (
    AnnotateStable,
    AskReplica,
    ForgetPod,
    MakeEndpoint,
    MakeReplica,
    MakeRevision,
    MakeRevisionEndpoint,
    ReadEvents,
    RemoveReplica,
    RemoveRevision,
    ServiceAction,
)
from trainpush.model.gang import Gang
from trainpush.model.modes import Mode
from trainpush.model.plan import ServiceDecision, Verdict
from trainpush.model.reasons import Reason
from trainpush.model.serving import Place, Replica, Revision, Service
from trainpush.model.workload import Refusal
from trainpush.planner import asking, outages
from trainpush.planner.feasibility.filters import PASSING, FilterReason
from trainpush.planner.placing.free_capacity import FreeCapacity
from trainpush.planner.pool_cycle import PoolCycle
from trainpush.planner.retries import BIND_TIMEOUT, START_TIMEOUT
from trainpush.planner.rollout import conditions
from trainpush.planner.rollout.state import RolloutState

FAIL_PAUSE: Final = timedelta(seconds=30)
"""Least time between two pods of one replica that are turned away by their node."""
ASK_INTERVAL: Final = timedelta(seconds=2)
"""Time between two probe requests to a replica that has not answered yet."""
SURGE: Final = 1
"""Replicas beyond those asked for, while one takes the place of another."""
HISTORY: Final = 10
"""Revisions that are kept although nothing serves them any more."""


def decide(service: Service, cycles: Mapping[str, PoolCycle], now: datetime) -> ServiceDecision:
    """The whole decision on one service."""
    revisions = {revision.name: revision for revision in service.revisions}
    state = RolloutState(service, revisions, wanted(service))
    _take_stock(state, cycles, now)
    if service.is_readable:
        _shrink(state)
        _grow(state, cycles, now)
    is_settled = 0 < service.replicas <= state.ready(state.good)
    stable = state.wanted.name if state.wanted and is_settled else service.stable
    asked, ask_at = _question(state, now)
    return ServiceDecision(
        key=service.key,
        verdict=outages.noted(conditions.verdict(state), _silent(state), now),
        placed=conditions.placed(state),
        scaling=conditions.scaling(state),
        loaded=conditions.loaded(state),
        available=conditions.available(state),
        progressing=conditions.progressing(state, stable),
        replicas=len([place for place in state.places if state.pod(place)]),
        ready=state.ready(state.places),
        stable=stable,
        wanted=state.wanted.name if state.wanted else "",
        places=state.places,
        revisions=conditions.served(state, stable),
        refusal=service.request if isinstance(service.request, Refusal) else None,
        actions=(*_actions(state, stable), *asked) if service.is_readable else (),
        wake_at=min(filter(None, (_wake_at(state, now), ask_at)), default=None),
    )


def wanted(service: Service) -> Revision | None:
    """The revision that the spec asks for, once it is recorded; the newest one until then."""
    named = next((revision for revision in service.revisions if revision.name == service.request), None)
    return named or (service.revisions[-1] if service.revisions else None)


def _take_stock(state: RolloutState, cycles: Mapping[str, PoolCycle], now: datetime) -> None:
    """Sort the places that still hold into good and old ones."""
    wanted = state.wanted.name if state.wanted else ""
    for place in state.service.places:
        revision, pod = state.revisions.get(place.revision), state.pod(place)
        # One whose revision is gone, or cannot be read, stays only while it serves.
        is_kept = revision is not None or state.is_ready(place)
        if state.service.is_readable and (_is_lost(state, place, now) or not is_kept):
            state.left = place.node if pod and _is_stuck(place, pod, now) and not pod.deleting else state.left
            continue
        if revision and _is_bad(place, revision, cycles):
            if pod is None:
                continue
            state.bad.add(place)
        is_good = place.revision == wanted and place not in state.bad
        (state.good if is_good else state.old).append(place)


def _is_lost(state: RolloutState, place: Place, now: datetime) -> bool:
    """Whether a replica ended for good, or counts as ended, or does not start, or its pod is refused all the time."""
    pod = state.pod(place)
    if pod is None:
        return bool(state.service.trouble) and now >= place.since + BIND_TIMEOUT
    if not pod.is_live:
        return now >= place.since + FAIL_PAUSE
    return pod.deleting or pod.is_cut_off(now) or _is_stuck(place, pod, now)


def _is_stuck(place: Place, pod: Replica, now: datetime) -> bool:
    """Whether a replica had its time to get to its node, or to be started there."""
    due = _starts_by(place, pod)
    return due is not None and now >= due


def _starts_by(place: Place, pod: Replica) -> datetime | None:
    """Until when it has time, if kube-scheduler or its node holds it up; None where that is the program's matter."""
    if not pod.is_live:
        return None
    if pod.node is None:
        return place.since + BIND_TIMEOUT
    return place.since + START_TIMEOUT if pod.is_hindered else None


def _is_bad(place: Place, revision: Revision, cycles: Mapping[str, PoolCycle]) -> bool:
    """Whether the node of a place is lost, cordoned, or changes its mode to one in which the replica may not stay."""
    cycle = cycles.get(revision.gang.pool)
    if cycle is None:
        return True
    reason, pool = cycle.capacity.filter_reason(revision.gang, place.node), cycle.capacity.pool
    switch = pool.switches.get(place.node)
    if reason is not FilterReason.SWITCHING or switch is None or switch.to not in {Mode.INFERENCE, Mode.SHARED}:
        return reason in PASSING
    return pool.switching is not None and pool.switching.is_reset(switch, switch.to)


def _shrink(state: RolloutState) -> None:
    """Let go what is not needed: surplus of the wanted revision, then what it has replaced."""
    asked = state.service.replicas
    state.good.sort(key=lambda place: (not state.is_ready(place), place.serial))
    del state.good[asked:]
    names = {state.service.stable, state.wanted.name if state.wanted else ""}
    state.old = [place for place in state.old if place.revision in names or state.is_ready(place)]
    # The last of them go first: they serve nobody, are on a node that will not do, or furthest from what is stable.
    state.old.sort(
        key=lambda place: (not state.is_ready(place), place in state.bad, place.revision not in names, place.serial)
    )
    while state.old and len(state.old) + state.ready(state.good) > asked:
        if state.is_ready(state.old[-1]) and state.ready(state.places) <= asked:
            break
        state.old.pop()


def _grow(state: RolloutState, cycles: Mapping[str, PoolCycle], now: datetime) -> None:
    """Find places for what is missing."""
    service = state.service
    stable = state.revisions.get(service.stable)
    if stable and stable is not state.wanted:
        floor = min(service.min_available, service.replicas)
        while _serving(state) < floor and _has_room(state):
            if not _assign(state, stable, state.old, cycles, now):
                break
    while state.wanted and len(state.good) < service.replicas and _has_room(state):
        if not _assign(state, state.wanted, state.good, cycles, now):
            _make_way(state, state.wanted, cycles)
            break


def _serving(state: RolloutState) -> int:
    """Replicas that serve, and old ones that may yet."""
    hopeful = sum(state.is_ready(place) or place not in state.bad for place in state.old)
    return hopeful + state.ready(state.good)


def _has_room(state: RolloutState) -> bool:
    stable = state.service.stable
    is_rolling = bool(state.old or (stable and state.wanted and state.wanted.name != stable))
    return len(state.good) + len(state.old) < state.service.replicas + (SURGE if is_rolling else 0)


def _assign(
    state: RolloutState, revision: Revision, among: list[Place], cycles: Mapping[str, PoolCycle], now: datetime
) -> bool:
    """Give one more replica of `revision` a place; whether there was one."""
    service, gang, cycle = state.service, revision.gang, cycles.get(revision.gang.pool)
    if cycle is None:
        state.waiting = Verdict(Reason.POOL_NOT_FOUND, f"GPUPool {gang.pool} is gone: make it again")
        return False
    wanted = (*_elsewhere(gang, state.left, cycle), gang)
    assignment = next(filter(None, (cycle.assign(service.key, it) for it in wanted)), None)
    if assignment is None:
        state.waiting = cycle.refusal(service.key.namespace, gang)
        return False
    serials = [place.serial for place in (*service.places, *state.places)]
    serial = 1 + max([*serials, *(pod.serial for pod in service.pods)], default=0)
    among.append(Place(serial, revision.name, assignment.nodes(cycle.capacity.pool.table)[0], now))
    return True


def _elsewhere(gang: Gang, left: str, cycle: PoolCycle) -> tuple[Gang, ...]:
    """The gang where it goes only to nodes behind the one on which its replica did not start, then to all others.

    So each node has its turn, although nobody remembers where it was tried before.
    """
    table = cycle.capacity.pool.table
    if left not in table.rows:
        return ()
    avoided = (frozenset(table.names[: table.rows[left] + 1]), frozenset([left]))
    return tuple(replace(gang, requirements=replace(gang.requirements, avoided=it)) for it in avoided)


def _make_way(state: RolloutState, wanted: Revision, cycles: Mapping[str, PoolCycle]) -> None:
    """No place is free: give up one old replica whose place would do, if enough others serve and none is going yet."""
    cycle = cycles.get(wanted.gang.pool)
    if cycle is None or any(_is_going(state, pod, cycle.capacity, wanted) for pod in state.service.pods):
        return
    for place in reversed(state.old):
        former = state.revisions.get(place.revision)
        left = state.ready(state.places) - state.is_ready(place)
        may_go = left >= state.service.min_available or not state.is_ready(place)
        if former and may_go and cycle.capacity.would_fit(wanted.gang, former.gang, place.node):
            state.old.remove(place)
            return


def _is_going(state: RolloutState, pod: Replica, capacity: FreeCapacity, wanted: Revision) -> bool:
    """Whether a pod will soon free its place; one on a node that is lost may stay for ever."""
    if any(state.pod(place) == pod for place in state.places):
        return False
    return pod.node is None or capacity.filter_reason(wanted.gang, pod.node) not in PASSING


def _actions(state: RolloutState, stable: str) -> Iterable[ServiceAction]:
    service = state.service
    newest = service.revisions[-1] if service.revisions else None
    if isinstance(service.request, str) and (newest is None or newest.name != service.request):
        yield MakeRevision(service.request, newest.number + 1 if newest else 1)
    yield from _endpoints(state)
    if stable and stable != service.stable:
        yield AnnotateStable(stable)
    for place in state.places:
        if place in service.places and state.pod(place) is None:
            yield MakeReplica(place)
    yield from _on_pods(state)
    yield from _outdated(state, stable)


def _on_pods(state: RolloutState) -> Iterable[ServiceAction]:
    """What is done with the pods that are there."""
    known = {(place.serial, place.revision) for place in (*state.places, *state.service.places)}
    for pod in state.service.pods:
        if node := outages.forgotten_by(pod):
            yield ForgetPod(pod.name, pod.uid, node)
        elif pod.deleting:
            continue
        elif (pod.serial, pod.revision) not in known:
            yield RemoveReplica(pod.name, pod.uid)
        elif pod.loaded and not pod.answered:
            yield AskReplica(pod.name, pod.uid, pod.address, pod.revision)


def _endpoints(state: RolloutState) -> Iterable[ServiceAction]:
    """What finds the replicas, where it is missing or somebody edited it."""
    service = state.service
    if not service.has_endpoint or service.budget != service.min_available:
        yield MakeEndpoint()
    for name in sorted({place.revision for place in state.places if state.pod(place)} & state.revisions.keys()):
        if not state.revisions[name].has_endpoint:
            yield MakeRevisionEndpoint(name)


def _outdated(state: RolloutState, stable: str) -> Iterable[RemoveRevision]:
    """Revisions beyond the history that nothing needs any more, oldest first."""
    used = {place.revision for place in state.places} | {pod.revision for pod in state.service.pods}
    used |= {stable, state.service.stable, state.wanted.name if state.wanted else ""}
    spare = [revision for revision in state.service.revisions if revision.name not in used]
    return (RemoveRevision(revision.name, revision.uid) for revision in spare[: max(0, len(spare) - HISTORY)])


def _question(state: RolloutState, now: datetime) -> tuple[tuple[ReadEvents, ...], datetime | None]:
    """What to ask about the first replica of which nobody says why it does not start; and when, if that is later."""
    for place in state.places:
        pod = state.pod(place)
        if pod and pod.is_unexplained:
            return asking.question(pod.uid, pod.asked, place.since, now)
    return (), None


def _silent(state: RolloutState) -> list[Replica]:
    """Replicas of which nothing is heard; those that were given up only where that leaves too little room."""
    return outages.silent_of(state.service.pods if state.waiting else filter(None, map(state.pod, state.places)))


def _wake_at(state: RolloutState, now: datetime) -> datetime | None:
    due = [now + ASK_INTERVAL for pod in state.service.pods if pod.loaded and not (pod.answered or pod.deleting)]
    for place in state.places:
        pod = state.pod(place)
        if pod and not pod.is_live:
            due.append(place.since + FAIL_PAUSE)
        elif pod and (starts_by := _starts_by(place, pod)) and now < starts_by:
            due.append(starts_by)
    return min(filter(None, (*due, outages.wake_at(_silent(state), now))), default=None)
