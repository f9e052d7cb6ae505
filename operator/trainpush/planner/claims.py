"""What is said of a service: its conditions, each with reason and message."""

from collections.abc import Iterable

from trainpush.model.plan import Claim, Served, Verdict
from trainpush.model.reasons import Reason
from trainpush.model.serving import Place, Replica
from trainpush.model.workload import Refusal
from trainpush.planner.stand import Stand


def verdict(stand: Stand) -> Verdict:
    """Why the service is where it is: the worst thing first."""
    service = stand.service
    if isinstance(service.request, Refusal):
        return Verdict(service.request.reason, service.request.message)
    if service.trouble:
        return Verdict(Reason.APPLY_FAILED, service.trouble)
    if stand.wanted is None and service.request is None:
        message = f"TrainPushJob {service.follows} has released nothing yet: give it a spec.push with this target"
        return Verdict(Reason.WAITING_FOR_MODEL, message)
    if failure := _failure(stand):
        return Verdict(failure.reason, failure.message)
    if stand.waiting:
        return stand.waiting
    said = available(stand)
    return Verdict(said.reason, said.message)


def placed(stand: Stand) -> Claim:
    """Whether every replica of the wanted revision has a node."""
    asked = stand.service.replicas
    if stand.waiting:
        return Claim(False, stand.waiting.reason, stand.waiting.message + _remedy(stand))
    if stand.wanted and len(stand.good) >= asked:
        return Claim(True, Reason.PLACED, f"{asked} replicas on {len({p.node for p in stand.good})} nodes")
    return Claim(False, Reason.IN_PROGRESS, f"{len(stand.good)} of {asked} replicas have a node")


def scaling(stand: Stand) -> Claim:
    """Whether a replica finds no room."""
    if stand.waiting:
        return Claim(True, stand.waiting.reason, stand.waiting.message + _remedy(stand))
    return Claim(False, Reason.NOT_BLOCKED, "every replica that is asked for has room, or will have")


def loaded(stand: Stand) -> Claim:
    """Whether the wanted revision's model answers."""
    if not stand.wanted:
        return Claim(False, Reason.WAITING_FOR_MODEL, "there is no revision yet")
    pods = _pods(stand, stand.good)
    answering = sum(pod.answered for pod in pods)
    if answering:
        return Claim(True, Reason.MODEL_LOADED, f"{answering} replicas of {stand.wanted.name} answer")
    return _failure(stand) or Claim(False, Reason.MODEL_LOADING, f"no replica of {stand.wanted.name} answers yet")


def available(stand: Stand) -> Claim:
    """Whether enough replicas get requests, of whatever revision."""
    ready, asked = stand.ready(stand.places), stand.service.replicas
    floor = min(stand.service.min_available, asked)
    message = f"{ready} of {asked} replicas get requests, at least {floor} should"
    if ready >= max(floor, min(1, asked)):
        return Claim(True, Reason.MINIMUM_REPLICAS_AVAILABLE, message)
    return Claim(False, Reason.MINIMUM_REPLICAS_UNAVAILABLE, message)


def progressing(stand: Stand, stable: str) -> Claim:
    """Whether the wanted revision comes or has come; False while something is in its way."""
    if not stand.wanted:
        return Claim(False, Reason.WAITING_FOR_MODEL, "there is no revision yet")
    name, asked = stand.wanted.name, stand.service.replicas
    serving = f"{stand.ready(stand.good)} of {asked} replicas serve {name}"
    if stand.ready(stand.good) >= asked and not stand.old:
        return Claim(True, Reason.ROLLED_OUT, serving)
    if failure := _failure(stand):
        kept = f"; {stable} keeps serving" if stable and stable != name else ""
        return Claim(False, failure.reason, failure.message + kept)
    if stand.waiting:
        return Claim(False, stand.waiting.reason, stand.waiting.message + _remedy(stand))
    return Claim(True, Reason.ROLLING_OUT, serving)


def served(stand: Stand, stable: str) -> tuple[Served, ...]:
    """The revisions that matter now, by number."""
    names = {place.revision for place in stand.places} | {stable, stand.wanted.name if stand.wanted else ""}
    shown = []
    for revision in stand.service.revisions:
        if revision.name in names:
            places = [place for place in stand.places if place.revision == revision.name]
            ready = stand.ready(places)
            shown.append(Served(revision.name, revision.number, revision.digest, len(places), ready))
    return tuple(shown)


def _failure(stand: Stand) -> Claim | None:
    """What keeps a replica of the wanted revision from answering, as its pod says."""
    for pod in _pods(stand, stand.good):
        if pod.message and not pod.ready:
            return Claim(False, _cause(pod), f"{pod.name}: {pod.message}")
    return None


def _cause(pod: Replica) -> Reason:
    if pod.node is None:
        return Reason.WAITING_FOR_PODS
    return Reason.PROBE_FAILED if pod.loaded else Reason.MODEL_LOAD_FAILED


def _pods(stand: Stand, places: Iterable[Place]) -> list[Replica]:
    return [pod for place in places if (pod := stand.pod(place))]


def _remedy(stand: Stand) -> str:
    """What a person can do about a roll that finds no spare accelerator."""
    if stand.old and stand.service.min_available >= stand.service.replicas:
        return "; free an accelerator, or lower spec.minAvailable so that a replica may be replaced in place"
    return ""
