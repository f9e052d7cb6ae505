"""What becomes of one InferenceService: which revision it wants, and which replicas stand where.

Replicas of the wanted revision come one more than asked for at a time, and an older one goes only when there are
enough without it: so a release that never loads changes nothing for whoever is served. A replica on a node that is
cordoned or lost is replaced in the same way.
"""

from collections.abc import Iterable, Mapping
from datetime import datetime, timedelta
from typing import Final

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
from trainpush.planner.capacity import Hindrance
from trainpush.planner.ground import Ground
from trainpush.planner.stand import Stand

BIND_TIMEOUT: Final = timedelta(seconds=120)
"""A replica that is not bound by then gives its place back."""
ASK_INTERVAL: Final = timedelta(seconds=2)
"""Time between two probe requests to a replica that has not answered yet."""
SURGE: Final = 1
"""Replicas beyond those asked for, while one takes the place of another."""
HISTORY: Final = 10
"""Revisions that are kept although nothing serves them any more."""
_BAD: Final = {Hindrance.NOT_READY, Hindrance.CORDONED}


def decide(service: Service, grounds: Mapping[str, Ground], now: datetime) -> ServiceDecision:
    """The whole decision on one service."""
    revisions = {revision.name: revision for revision in service.revisions}
    stand = Stand(service, revisions, _wanted(service))
    _take_stock(stand, grounds, now)
    _shrink(stand)
    _grow(stand, grounds, now)
    stable = stand.wanted.name if stand.wanted and _is_settled(stand) else service.stable
    return ServiceDecision(
        key=service.key,
        verdict=claims.verdict(stand),
        placed=claims.placed(stand),
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
        acts=tuple(_acts(stand, stable)),
        wake_at=_wake_at(stand, now),
    )


def _wanted(service: Service) -> Revision | None:
    """The revision that the spec asks for, once it is recorded; the newest one until then."""
    named = next((revision for revision in service.revisions if revision.name == service.request), None)
    return named or (service.revisions[-1] if service.revisions else None)


def _take_stock(stand: Stand, grounds: Mapping[str, Ground], now: datetime) -> None:
    """Sort the places that still hold into good and old ones."""
    for place in _recorded(stand.service, now):
        revision = stand.revisions.get(place.revision)
        pod = stand.pod(place)
        if revision is None or _is_lost(place, pod, now):
            continue
        is_bad = _is_bad(place, revision, grounds)
        if is_bad and pod is None:
            continue
        is_good = stand.wanted is not None and place.revision == stand.wanted.name and not is_bad
        (stand.good if is_good else stand.old).append(place)


def _recorded(service: Service, now: datetime) -> list[Place]:
    """The places that status names; those of the pods that are there, where no status stands."""
    if not service.is_new:
        return list(service.places)
    found = [pod for pod in service.pods if pod.node and not pod.deleting]
    return [Place(pod.serial, pod.revision, pod.node or "", now) for pod in found]


def _is_lost(place: Place, pod: Replica | None, now: datetime) -> bool:
    """Whether a replica ended for good, or never got to its node."""
    if pod is None:
        return False
    is_unbound = pod.node is None and now >= place.since + BIND_TIMEOUT
    return pod.deleting or not pod.is_live or is_unbound


def _is_bad(place: Place, revision: Revision, grounds: Mapping[str, Ground]) -> bool:
    ground = grounds.get(revision.gang.pool)
    return ground is None or ground.hindrance_of(revision.gang, place.node) in _BAD


def _shrink(stand: Stand) -> None:
    """Let go what is not needed: surplus of the wanted revision, then what it has replaced."""
    wanted = stand.service.replicas
    stand.good.sort(key=lambda place: (not stand.is_ready(place), place.serial))
    del stand.good[wanted:]
    names = {stand.service.stable, stand.wanted.name if stand.wanted else ""}
    stand.old = [place for place in stand.old if place.revision in names or stand.is_ready(place)]
    # The first to go serve nobody, or are furthest from what is stable.
    stand.old.sort(key=lambda place: (not stand.is_ready(place), place.revision not in names, place.serial))
    while stand.old and len(stand.old) + stand.ready(stand.good) > wanted:
        last = stand.old[-1]
        if stand.is_ready(last) and stand.ready(stand.places) <= wanted:
            break
        stand.old.pop()


def _grow(stand: Stand, grounds: Mapping[str, Ground], now: datetime) -> None:
    """Find places for what is missing."""
    service = stand.service
    stable = stand.revisions.get(service.stable)
    if stable and stable is not stand.wanted:
        floor = min(service.min_available, service.replicas)
        while len(stand.old) + stand.ready(stand.good) < floor and _has_room(stand):
            if not _seat(stand, stable, stand.old, grounds, now):
                break
    while stand.wanted and len(stand.good) < service.replicas and _has_room(stand):
        if not _seat(stand, stand.wanted, stand.good, grounds, now):
            _make_way(stand)
            break


def _has_room(stand: Stand) -> bool:
    stable = stand.service.stable
    is_rolling = bool(stand.old or (stable and stand.wanted and stand.wanted.name != stable))
    return len(stand.good) + len(stand.old) < stand.service.replicas + (SURGE if is_rolling else 0)


def _seat(stand: Stand, revision: Revision, among: list[Place], grounds: Mapping[str, Ground], now: datetime) -> bool:
    """Give one more replica of `revision` a place; whether there was one."""
    ground = grounds.get(revision.gang.pool)
    site = ground.seat(revision.gang) if ground else None
    if ground is None or site is None:
        gone = Verdict(Reason.POOL_NOT_FOUND, f"GPUPool {revision.gang.pool} is gone: make it again")
        stand.waiting = ground.waiting(revision.gang) if ground else gone
        return False
    among.append(Place(_next_serial(stand), revision.name, site.nodes(ground.pool.table)[0], now))
    return True


def _next_serial(stand: Stand) -> int:
    known = [*stand.service.places, *stand.places]
    return 1 + max([0, *(place.serial for place in known), *(pod.serial for pod in stand.service.pods)])


def _make_way(stand: Stand) -> None:
    """No place is free: give up one old replica, if enough others serve and none is going already."""
    staying = {place.serial for place in stand.places}
    if any(pod.serial not in staying for pod in stand.service.pods):
        return
    if stand.old:
        left = stand.ready(stand.places) - stand.is_ready(stand.old[-1])
        if left >= stand.service.min_available or not stand.is_ready(stand.old[-1]):
            stand.old.pop()


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
    staying = {place.serial for place in stand.places}
    recorded = {place.serial for place in service.places} | (staying if service.is_new else set())
    for place in stand.places:
        if place in service.places and stand.pod(place) is None:
            yield MakeReplica(place)
    for pod in service.pods:
        if pod.serial not in staying | recorded and not pod.deleting:
            yield RemoveReplica(pod.name, pod.uid)
        elif pod.loaded and not pod.answered and not pod.deleting:
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
    unbound = [place for place in stand.places if (pod := stand.pod(place)) is None or pod.node is None]
    due += [place.since + BIND_TIMEOUT for place in unbound]
    return min(due, default=None)
