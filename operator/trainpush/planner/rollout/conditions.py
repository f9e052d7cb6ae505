"""What is said of a service: its conditions, each with reason and message."""

from trainpush.model.plan import Condition, Served, Verdict
from trainpush.model.reasons import Reason
from trainpush.model.wording import count, verb
from trainpush.model.workload import Refusal
from trainpush.planner.rollout.state import RolloutState


def verdict(state: RolloutState) -> Verdict:
    """Why the service is where it is: the worst thing first."""
    service = state.service
    if isinstance(service.request, Refusal):
        return Verdict(service.request.reason, service.request.message)
    if service.trouble:
        return Verdict(Reason.APPLY_FAILED, service.trouble)
    if state.wanted is None and service.request is None:
        message = f"TrainPushJob {service.follows} has released nothing yet: give it a spec.push with this target"
        return Verdict(Reason.WAITING_FOR_MODEL, message)
    if failure := _failure(state):
        return Verdict(failure.reason, failure.message)
    if state.waiting:
        return state.waiting
    said = available(state)
    return Verdict(said.reason, said.message if said.holds else f"{said.message}{_starting(state)}")


def placed(state: RolloutState) -> Condition:
    """Whether every replica of the wanted revision has a node."""
    asked = state.service.replicas
    if state.waiting:
        return Condition(False, state.waiting.reason, state.waiting.message + _remedy(state))
    if state.wanted and len(state.good) >= asked:
        return Condition(True, Reason.PLACED, _places(state, asked))
    return Condition(False, Reason.IN_PROGRESS, f"{_of(len(state.good), asked)} {verb(asked, 'have')} a node")


def scaling(state: RolloutState) -> Condition:
    """Whether a replica finds no room."""
    if state.waiting:
        return Condition(True, state.waiting.reason, state.waiting.message + _remedy(state))
    return Condition(False, Reason.NOT_BLOCKED, "every replica that is asked for has room, or will have")


def loaded(state: RolloutState) -> Condition:
    """Whether the wanted revision's model answers."""
    if not state.wanted:
        return Condition(False, Reason.WAITING_FOR_MODEL, "there is no revision yet")
    if answering := sum(pod.answered for place in state.good if (pod := state.pod(place))):
        words = f"{count(answering, 'replica')} of {state.wanted.name} {verb(answering, 'answer')}"
        return Condition(True, Reason.MODEL_LOADED, words)
    said = f"no replica of {state.wanted.name} answers yet{_starting(state)}"
    return _failure(state) or Condition(False, Reason.MODEL_LOADING, said)


def available(state: RolloutState) -> Condition:
    """Whether enough replicas get requests, of whatever revision."""
    ready, asked = state.ready(state.places), state.service.replicas
    floor = min(state.service.min_available, asked)
    message = f"{_of(ready, asked)} {verb(asked, 'get')} requests, at least {floor} should"
    if ready >= max(floor, min(1, asked)):
        return Condition(True, Reason.MINIMUM_REPLICAS_AVAILABLE, message)
    if unfound := state.unfound:
        message += f"; the Service does not find {unfound} that {verb(unfound, 'are')} ready"
    return Condition(False, Reason.MINIMUM_REPLICAS_UNAVAILABLE, message)


def progressing(state: RolloutState, stable: str) -> Condition:
    """Whether the wanted revision comes or has come; False while something is in its way."""
    if not state.wanted:
        return Condition(False, Reason.WAITING_FOR_MODEL, "there is no revision yet")
    name, asked = state.wanted.name, state.service.replicas
    serving = f"{_of(state.ready(state.good), asked)} {verb(asked, 'serve')} {name}"
    if state.ready(state.good) >= asked and not state.old:
        return Condition(True, Reason.ROLLED_OUT, serving)
    if failure := _failure(state):
        kept = f"; {stable} keeps serving" if stable and stable != name else ""
        return Condition(False, failure.reason, failure.message + kept)
    if state.waiting:
        return Condition(False, state.waiting.reason, state.waiting.message + _remedy(state))
    return Condition(True, Reason.ROLLING_OUT, f"{serving}{_starting(state)}")


def served(state: RolloutState, stable: str) -> tuple[Served, ...]:
    """The revisions that matter now, by number."""
    names = {place.revision for place in state.places} | {stable, state.wanted.name if state.wanted else ""}
    shown = []
    for revision in state.service.revisions:
        if revision.name in names:
            places = [place for place in state.places if place.revision == revision.name]
            ready = state.ready(places)
            shown.append(Served(revision.name, revision.number, revision.digest, len(places), ready))
    return tuple(shown)


def _places(state: RolloutState, asked: int) -> str:
    return f"{count(asked, 'replica')} on {count(len({place.node for place in state.good}), 'node')}"


def _of(some: int, asked: int) -> str:
    return f"{some} of {count(asked, 'replica')}"


def _failure(state: RolloutState) -> Condition | None:
    """What keeps a replica of the wanted revision from answering, as its pod says."""
    for pod in map(state.pod, state.good):
        if pod and pod.message and not pod.ready:
            reason = Reason.PROBE_FAILED if pod.loaded else Reason.MODEL_LOAD_FAILED
            return Condition(False, reason if pod.node else Reason.WAITING_FOR_PODS, f"{pod.name}: {pod.message}")
    return None


def _starting(state: RolloutState) -> str:
    """What the first replica of the wanted revision waits for that has not started."""
    pods = filter(None, map(state.pod, state.good))
    return next((f"; {pod.name}: {pod.starting}" for pod in pods if pod.starting), "")


def _remedy(state: RolloutState) -> str:
    """What a person can do about a roll that finds no spare accelerator."""
    if state.old and state.service.min_available >= state.service.replicas:
        return "; free an accelerator, or lower spec.minAvailable so that a replica may be replaced in place"
    return ""
