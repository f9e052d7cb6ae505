"""What switches of nodes mean for those whom they help, hold up or end: put into their decisions."""

from collections.abc import Sequence
from dataclasses import replace
from typing import TypeVar

from trainpush.model.plan import Claim, Decision, EndPod, ServiceDecision, Stage
from trainpush.planner.allocations import Owner
from trainpush.planner.switching.deciding import Switched

Act = TypeVar("Act")


def on_job(decision: Decision, switched: Switched) -> Decision:
    """The decision on a job: if it waits, with what switches do for it; and its pods on nodes whose time is over go."""
    owner = Owner(decision.key, is_service=False)
    helping, ends = switched.help.get(owner), switched.removals.get(owner)
    if helping and decision.stage is Stage.QUEUED:
        decision = replace(decision, verdict=helping.on(decision.verdict))
    return replace(decision, acts=(*_but_of(ends, decision.acts), *ends)) if ends else decision


def on_service(decision: ServiceDecision, switched: Switched) -> ServiceDecision:
    """The decision on a service, likewise."""
    owner = Owner(decision.key, is_service=True)
    helping, ends = switched.help.get(owner), switched.removals.get(owner)
    if helping:
        claim = Claim(not helping.is_coming, helping.reason, helping.message)
        decision = replace(decision, verdict=helping.on(decision.verdict), scaling=claim)
    return replace(decision, acts=(*_but_of(ends, decision.acts), *ends)) if ends else decision


def _but_of(ends: Sequence[EndPod], acts: Sequence[Act]) -> list[Act]:
    """The acts that are not on pods which are ended anyway."""
    ended = {end.uid for end in ends}
    return [act for act in acts if getattr(act, "uid", "") not in ended]
