"""The decision on an InferenceService as its status."""

from collections.abc import Iterable, Mapping
from datetime import datetime
from typing import Any

from trainpush.api.conditions import ServiceCondition
from trainpush.api.names import REVISIONS_MAX
from trainpush.model.plan import Claim, Served, ServiceDecision
from trainpush.model.reasons import Reason
from trainpush.model.serving import Place
from trainpush.render.conditions import Statement, Status, stamped, timestamp, verdict_status


def service_status(
    decision: ServiceDecision, selector: str, url: str, generation: int, old: Mapping[str, Any], now: datetime
) -> Status:
    """The whole status of an InferenceService; `old` gives unchanged conditions their times."""
    status: Status = {
        "observedGeneration": generation,
        "phase": _phase(decision),
        "conditions": stamped(_claims(decision), generation, old, now),
        "replicas": decision.replicas,
        "readyReplicas": decision.ready,
        "selector": selector,
        "url": url,
        "revisions": [_revision(served) for served in decision.revisions[-REVISIONS_MAX:]],
        "placements": [_place(place) for place in decision.places],
        "verdict": verdict_status(decision.verdict),
    }
    if decision.stable:
        status["stable"] = decision.stable
    if decision.wanted:
        status["wanted"] = decision.wanted
    return status


def _phase(decision: ServiceDecision) -> str:
    """A summary for people."""
    if decision.refusal:
        return "Refused"
    if not decision.wanted:
        return "Waiting"
    if decision.progressing.reason == Reason.ROLLED_OUT:
        return "Serving" if decision.places else "Stopped"
    return "Rolling" if decision.ready else "Starting"


def _claims(decision: ServiceDecision) -> list[Statement]:
    return [
        _ready(decision),
        _accepted(decision),
        _stated(ServiceCondition.PLACED, decision.placed),
        _stated(ServiceCondition.SCALE_BLOCKED, decision.scaling),
        _stated(ServiceCondition.MODEL_LOADED, decision.loaded),
        _stated(ServiceCondition.AVAILABLE, decision.available),
        _stated(ServiceCondition.PROGRESSING, decision.progressing),
        *_passing_claims(decision),
    ]


def _accepted(decision: ServiceDecision) -> Statement:
    if refusal := decision.refusal:
        return (ServiceCondition.ACCEPTED, False, refusal.reason, refusal.message)
    return (ServiceCondition.ACCEPTED, True, Reason.ACCEPTED, "the spec is sound and its pool takes it")


def _ready(decision: ServiceDecision) -> Statement:
    verdict = decision.verdict
    if decision.refusal or not decision.available.holds or verdict.reason == Reason.APPLY_FAILED:
        return (ServiceCondition.READY, False, verdict.reason, verdict.message)
    return _stated(ServiceCondition.READY, decision.available)


def _passing_claims(decision: ServiceDecision) -> Iterable[Statement]:
    """The conditions that are there only while true."""
    if refusal := decision.refusal:
        yield (ServiceCondition.STALLED, True, refusal.reason, refusal.message)
    elif decision.wanted and decision.progressing.reason != Reason.ROLLED_OUT:
        progressing = decision.progressing
        yield (ServiceCondition.RECONCILING, True, progressing.reason, progressing.message)


def _stated(condition: ServiceCondition, claim: Claim) -> Statement:
    return (condition, claim.holds, claim.reason, claim.message)


def _revision(served: Served) -> Status:
    digest = {"digest": served.digest} if served.digest else {}
    return {
        "name": served.name,
        "number": served.number,
        **digest,
        "replicas": served.replicas,
        "ready": served.ready,
    }


def _place(place: Place) -> Status:
    return {
        "serial": place.serial,
        "revision": place.revision,
        "node": place.node,
        "since": timestamp(place.since),
    }
