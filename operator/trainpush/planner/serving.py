"""What becomes of one InferenceService: which revision it wants, and which replicas stand where.

Replicas of the wanted revision come one more than asked for at a time, and an older one goes only when there are
enough without it: so a release that never loads changes nothing for whoever is served. A replica on a node that is
cordoned or lost is replaced in the same way.
"""

from collections.abc import Iterable, Mapping
from datetime import datetime, timedelta
from typing import Final

from trainpush.model.modes import Mode
from trainpush.model.plan import (
    AskReplica,
    MakeEndpoint,
    MakeReplica,
    MakeRevision,
    MarkStable,
    RemoveReplica,
    RemoveRevision,
    ServiceAct,
    ServiceDecision,
    Verdict,
)
from trainpush.model.reasons import Reason
from trainpush.model.serving import Place, Replica, Revision, Service
from trainpush.model.workload import Refusal
from trainpush.planner import claims
from trainpush.planner.feasibility.filters import PASSING, FilterReason
from trainpush.planner.placing.ground import Ground
from trainpush.planner.round import Round
from trainpush.planner.stand import Stand

BIND_TIMEOUT: Final = timedelta(seconds=120)
"""A replica that is not bound by then gives its place back."""
FAIL_PAUSE: Final = timedelta(seconds=30)
"""Least time between two pods of one replica that are turned away by their node."""
ASK_INTERVAL: Final = timedelta(seconds=2)
"""Time between two probe requests to a replica that has not answered yet."""
SURGE: Final = 1
"""Replicas beyond those asked for, while one takes the place of another."""
HISTORY: Final = 10
"""Revisions that are kept although nothing serves them any more."""


def decide(service: Service, rounds: Mapping[str, Round], now: datetime) -> ServiceDecision:
    """The whole decision on one service."""
    revisions = {revision.name: revision for revision in service.revisions}
    stand = Stand(service, revisions, wanted(service))
    _take_stock(stand, rounds, now)
    if service.is_readable:
        _shrink(stand)
        _grow(stand, rounds, now)
    stable = stand.wanted.name if stand.wanted and _is_settled(stand) else service.stable
    return ServiceDecision(
        key=service.key,
        verdict=claims.verdict(stand),
        placed=claims.placed(stand),
        scaling=claims.scaling(stand),
        loaded=claims.loaded(stand),
        available=claims.available(stand),
        progressing=claims.progressing(stand, stable),
        replicas=len([place for place in stand.places if stand.pod(place)]),
        ready=stand.ready(stand.places),
        stable=stable,
        wanted=stand.wanted.name if stand.wanted else "",
        places=stand.places,
        revisions=claims.served(stand, stable),
        refusal=service.request if isinstance(service.request, Refusal) else None,
        acts=tuple(_acts(stand, stable)) if service.is_readable else (),
        wake_at=_wake_at(stand, now),
    )


def wanted(service: Service) -> Revision | None:
    """The revision that the spec asks for, once it is recorded; the newest one until then."""
    named = next((revision for revision in service.revisions if revision.name == service.request), None)
    return named or (service.revisions[-1] if service.revisions else None)


def _take_stock(stand: Stand, rounds: Mapping[str, Round], now: datetime) -> None:
    """Sort the places that still hold into good and old ones."""
    wanted = stand.wanted.name if stand.wanted else ""
    for place in stand.service.places:
        revision = stand.revisions.get(place.revision)
        pod = stand.pod(place)
        if stand.service.is_readable and (_is_lost(place, pod, now) or not _is_kept(stand, place, revision)):
            continue
        if revision and _is_bad(place, revision, rounds):
            if pod is None:
                continue
            stand.bad.add(place)
        is_good = place.revision == wanted and place not in stand.bad
        (stand.good if is_good else stand.old).append(place)


def _is_kept(stand: Stand, place: Place, revision: Revision | None) -> bool:
    """Whether a place may stay: one whose revision is gone, or cannot be read, only while it serves."""
    return revision is not None or stand.is_ready(place)


def _is_lost(place: Place, pod: Replica | None, now: datetime) -> bool:
    """Whether a replica ended for good, or never got to its node."""
    if pod is None:
        return False
    if not pod.is_live:
        return now >= place.since + FAIL_PAUSE
    return pod.deleting or (pod.node is None and now >= place.since + BIND_TIMEOUT)


def _is_bad(place: Place, revision: Revision, rounds: Mapping[str, Round]) -> bool:
    round_ = rounds.get(revision.gang.pool)
    if round_ is None:
        return True
    reason = round_.ground.filter_reason(revision.gang, place.node)
    return reason in PASSING and not (reason is FilterReason.SWITCHING and _may_stay(place.node, round_))


def _may_stay(node: str, round_: Round) -> bool:
    """Whether a node that changes its mode will serve as well, with its accelerators as they are."""
    switch, switching = round_.ground.pool.switches.get(node), round_.ground.pool.switching
    if switch is None or switch.to not in {Mode.INFERENCE, Mode.SHARED}:
        return False
    return switching is None or not switching.is_reset(switch, switch.to)


def _shrink(stand: Stand) -> None:
    """Let go what is not needed: surplus of the wanted revision, then what it has replaced."""
    wanted = stand.service.replicas
    stand.good.sort(key=lambda place: (not stand.is_ready(place), place.serial))
    del stand.good[wanted:]
    names = {stand.service.stable, stand.wanted.name if stand.wanted else ""}
    stand.old = [place for place in stand.old if place.revision in names or stand.is_ready(place)]
    # The last of them go first: they serve nobody, are on a node that will not do, or furthest from what is stable.
    stand.old.sort(
        key=lambda place: (not stand.is_ready(place), place in stand.bad, place.revision not in names, place.serial)
    )
    while stand.old and len(stand.old) + stand.ready(stand.good) > wanted:
        last = stand.old[-1]
        if stand.is_ready(last) and stand.ready(stand.places) <= wanted:
            break
        stand.old.pop()


def _grow(stand: Stand, rounds: Mapping[str, Round], now: datetime) -> None:
    """Find places for what is missing."""
    service = stand.service
    stable = stand.revisions.get(service.stable)
    if stable and stable is not stand.wanted:
        floor = min(service.min_available, service.replicas)
        while _hopeful(stand) + stand.ready(stand.good) < floor and _has_room(stand):
            if not _seat(stand, stable, stand.old, rounds, now):
                break
    while stand.wanted and len(stand.good) < service.replicas and _has_room(stand):
        if not _seat(stand, stand.wanted, stand.good, rounds, now):
            _make_way(stand, stand.wanted, rounds)
            break


def _hopeful(stand: Stand) -> int:
    """Old replicas that serve, or may yet."""
    return sum(stand.is_ready(place) or place not in stand.bad for place in stand.old)


def _has_room(stand: Stand) -> bool:
    stable = stand.service.stable
    is_rolling = bool(stand.old or (stable and stand.wanted and stand.wanted.name != stable))
    return len(stand.good) + len(stand.old) < stand.service.replicas + (SURGE if is_rolling else 0)


def _seat(stand: Stand, revision: Revision, among: list[Place], rounds: Mapping[str, Round], now: datetime) -> bool:
    """Give one more replica of `revision` a place; whether there was one."""
    round_ = rounds.get(revision.gang.pool)
    site = round_.seat(stand.service.key, revision.gang) if round_ else None
    if round_ is None or site is None:
        gone = Verdict(Reason.POOL_NOT_FOUND, f"GPUPool {revision.gang.pool} is gone: make it again")
        stand.waiting = round_.refusal(stand.service.key.namespace, revision.gang) if round_ else gone
        return False
    among.append(Place(_next_serial(stand), revision.name, site.nodes(round_.ground.pool.table)[0], now))
    return True


def _next_serial(stand: Stand) -> int:
    known = [*stand.service.places, *stand.places]
    return 1 + max([0, *(place.serial for place in known), *(pod.serial for pod in stand.service.pods)])


def _make_way(stand: Stand, wanted: Revision, rounds: Mapping[str, Round]) -> None:
    """No place is free: give up one old replica whose place would do, if enough others serve and none is going yet."""
    ground = rounds[wanted.gang.pool].ground if wanted.gang.pool in rounds else None
    if ground is None or any(_is_going(stand, pod, ground, wanted) for pod in stand.service.pods):
        return
    for place in reversed(stand.old):
        former = stand.revisions.get(place.revision)
        left = stand.ready(stand.places) - stand.is_ready(place)
        may_go = left >= stand.service.min_available or not stand.is_ready(place)
        if former and may_go and ground.would_seat(wanted.gang, former.gang, place.node):
            stand.old.remove(place)
            return


def _is_going(stand: Stand, pod: Replica, ground: Ground, wanted: Revision) -> bool:
    """Whether a pod will soon free its place; one on a node that is lost may stay for ever."""
    if any(stand.pod(place) == pod for place in stand.places):
        return False
    return pod.node is None or ground.filter_reason(wanted.gang, pod.node) not in PASSING


def _is_settled(stand: Stand) -> bool:
    """Whether the wanted revision serves with all its replicas."""
    wanted = stand.service.replicas
    return wanted > 0 and stand.ready(stand.good) >= wanted


def _acts(stand: Stand, stable: str) -> Iterable[ServiceAct]:
    service = stand.service
    if isinstance(service.request, str) and _must_record(service):
        newest = max((revision.number for revision in service.revisions), default=0)
        yield MakeRevision(service.request, newest + 1)
    if not service.has_endpoint or service.budget != service.min_available:
        yield MakeEndpoint()
    if stable and stable != service.stable:
        yield MarkStable(stable)
    staying = {*stand.places, *service.places}
    for place in stand.places:
        if place in service.places and stand.pod(place) is None:
            yield MakeReplica(place)
    known = {(place.serial, place.revision) for place in staying}
    for pod in service.pods:
        if pod.deleting:
            continue
        if (pod.serial, pod.revision) not in known:
            yield RemoveReplica(pod.name, pod.uid)
        elif pod.loaded and not pod.answered:
            yield AskReplica(pod.name, pod.uid, pod.address, pod.revision)
    yield from _outdated(stand, stable)


def _must_record(service: Service) -> bool:
    """Whether the revision that is asked for is not yet the newest one."""
    return not service.revisions or service.revisions[-1].name != service.request


def _outdated(stand: Stand, stable: str) -> Iterable[RemoveRevision]:
    """Revisions beyond the history that nothing needs any more, oldest first."""
    used = {place.revision for place in stand.places} | {pod.revision for pod in stand.service.pods}
    used |= {stable, stand.service.stable, stand.wanted.name if stand.wanted else ""}
    spare = [revision for revision in stand.service.revisions if revision.name not in used]
    return (RemoveRevision(revision.name, revision.uid) for revision in spare[: max(0, len(spare) - HISTORY)])


def _wake_at(stand: Stand, now: datetime) -> datetime | None:
    pods = [pod for pod in stand.service.pods if not pod.deleting]
    due = [now + ASK_INTERVAL] if any(pod.loaded and not pod.answered for pod in pods) else []
    for place in stand.places:
        pod = stand.pod(place)
        if pod and not pod.is_live:
            due.append(place.since + FAIL_PAUSE)
        elif pod and pod.node is None:
            due.append(place.since + BIND_TIMEOUT)
    return min(due, default=None)
