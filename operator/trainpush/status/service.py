"""The status of an InferenceService: what earlier cycles decided is read from it, what this one decides is written."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from trainpush.api.base import plain
from trainpush.api.conditions import ServiceCondition
from trainpush.api.demand import PriorityStatus
from trainpush.api.inferenceservice import ReplicaPlace, RevisionStatus, ServiceStatus
from trainpush.api.names import REVISIONS_MAX
from trainpush.model.plan import Condition, Served, ServiceDecision
from trainpush.model.reasons import Reason
from trainpush.model.serving import Place, ServiceRecord
from trainpush.status.conditions import Statement, accepted, by_type, part, stamped, verdict


@dataclass(frozen=True, slots=True)
class ServiceSeen:
    """What is known of a service beside what was decided."""

    selector: str
    """Of its pods."""
    url: str
    priority: PriorityStatus | None = None
    """What its PriorityClass says, or last said; None where nobody can tell."""


def read(status: ServiceStatus) -> ServiceRecord:
    """The decisions of earlier cycles."""
    return ServiceRecord(
        is_new=status.observed_generation is None,
        stable=status.stable or "",
        places=tuple(sorted(Place(told.serial, told.revision, told.node, told.since) for told in status.placements)),
    )


def write(
    decision: ServiceDecision, seen: ServiceSeen, generation: int, old: Mapping[str, Any], now: datetime
) -> dict[str, Any]:
    """The whole status of an InferenceService; `old` gives unchanged conditions their times.

    What its PriorityClass last said stays as it stands while nobody can tell.
    """
    before = ServiceStatus.read(part(old, "conditions"))
    status = ServiceStatus(
        observed_generation=generation,
        phase=_phase(decision),
        conditions=stamped(_statements(decision), generation, by_type(before.conditions), now),
        replicas=decision.replicas,
        ready_replicas=decision.ready,
        selector=seen.selector,
        url=seen.url,
        priority=seen.priority,
        stable=decision.stable or None,
        wanted=decision.wanted or None,
        revisions=[_write_revision(served) for served in decision.revisions[-REVISIONS_MAX:]],
        placements=[
            ReplicaPlace(serial=place.serial, revision=place.revision, node=place.node, since=place.since)
            for place in decision.places
        ],
        verdict=verdict(decision.verdict),
    )
    return {**part(old, "priority"), **plain(status)}


def _write_revision(served: Served) -> RevisionStatus:
    return RevisionStatus(
        name=served.name,
        number=served.number,
        digest=served.digest or None,
        replicas=served.replicas,
        ready=served.ready,
    )


def _phase(decision: ServiceDecision) -> str:
    """A summary for people."""
    if decision.refusal:
        return "Refused"
    if not decision.wanted:
        return "Waiting"
    if decision.progressing.reason == Reason.ROLLED_OUT:
        return "Serving" if decision.places else "Stopped"
    return "Rolling" if decision.ready else "Starting"


def _statements(decision: ServiceDecision) -> list[Statement]:
    return [
        _ready(decision),
        accepted(decision.refusal),
        _stated(ServiceCondition.PLACED, decision.placed),
        _stated(ServiceCondition.SCALE_BLOCKED, decision.scaling),
        _stated(ServiceCondition.MODEL_LOADED, decision.loaded),
        _stated(ServiceCondition.AVAILABLE, decision.available),
        _stated(ServiceCondition.PROGRESSING, decision.progressing),
        *_passing(decision),
    ]


def _ready(decision: ServiceDecision) -> Statement:
    verdict = decision.verdict
    if decision.refusal or not decision.available.holds or verdict.reason == Reason.APPLY_FAILED:
        return (ServiceCondition.READY, False, verdict.reason, verdict.message)
    return _stated(ServiceCondition.READY, decision.available)


def _passing(decision: ServiceDecision) -> Iterable[Statement]:
    """The conditions that are there only while true."""
    if refusal := decision.refusal:
        yield (ServiceCondition.STALLED, True, refusal.reason, refusal.message)
    elif decision.wanted and decision.progressing.reason != Reason.ROLLED_OUT:
        progressing = decision.progressing
        yield (ServiceCondition.RECONCILING, True, progressing.reason, progressing.message)


def _stated(condition: ServiceCondition, said: Condition) -> Statement:
    return (condition, said.holds, said.reason, said.message)
