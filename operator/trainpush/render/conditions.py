"""Conditions with their times, and other parts that the statuses of several kinds share."""

from collections.abc import Iterable, Mapping
from datetime import datetime
from typing import Any, Final

from trainpush.model.plan import Verdict

MESSAGE_MAX: Final = 1024
"""Longest message of a condition, in characters."""

Status = dict[str, Any]
Statement = tuple[str, bool, str, str]
"""A condition before it has a time: type, status, reason, message."""


def stamped(statements: Iterable[Statement], generation: int, old: Mapping[str, Any], now: datetime) -> list[Status]:
    """Conditions with times: the time of a condition moves only when its status flips."""
    before = {entry["type"]: entry for entry in old.get("conditions", [])}
    return [_condition(statement, before.get(statement[0], {}), generation, now) for statement in statements]


def _condition(statement: Statement, before: Mapping[str, Any], generation: int, now: datetime) -> Status:
    kind, holds, reason, message = statement
    status = "True" if holds else "False"
    since = before["lastTransitionTime"] if before.get("status") == status else timestamp(now)
    return {
        "type": str(kind),
        "status": status,
        "reason": str(reason),
        "message": message[:MESSAGE_MAX],
        "observedGeneration": generation,
        "lastTransitionTime": since,
    }


def timestamp(moment: datetime) -> str:
    """As metav1.Time: UTC, whole seconds."""
    return moment.strftime("%Y-%m-%dT%H:%M:%SZ")


def counted(count: int, noun: str) -> str:
    """A number with its `noun`."""
    return f"{count} {noun}" if count == 1 else f"{count} {noun}s"


def coarse(position: int) -> int:
    """A place in the queue, in hundreds beyond 100: else one start would rewrite every status behind it."""
    return position if position <= 100 else position // 100 * 100  # noqa: PLR2004  the sentence above says it


def verdict_status(verdict: Verdict) -> Status:
    """Why an object is where it is; what there is nothing to say of is left out."""
    status: Status = {
        "reason": verdict.reason,
        "message": verdict.message[:MESSAGE_MAX],
        "needed": verdict.needed,
        "free": verdict.free,
        "largestFree": verdict.largest_free,
    }
    if verdict.cause:
        status["cause"] = verdict.cause
    if verdict.holders:
        status["holders"] = [{"name": held.name, "accelerators": held.accelerators} for held in verdict.holders]
    if verdict.position:
        status["position"] = coarse(verdict.position)
    if verdict.advice:
        status["advice"] = verdict.advice[:MESSAGE_MAX]
    return status
