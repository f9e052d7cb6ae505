"""What the statuses of several kinds share: conditions with their times, verdicts, and the form of sentences."""

from collections.abc import Iterable, Mapping
from datetime import datetime
from typing import Any, Final, Literal

from trainpush.api import base
from trainpush.api.conditions import Condition
from trainpush.api.verdict import HolderStatus, VerdictStatus
from trainpush.model.plan import Verdict
from trainpush.model.reasons import Reason
from trainpush.model.workload import Refusal

MESSAGE_MAX: Final = 1024
"""Longest message that is written, in characters."""

Statement = tuple[str, bool, str, str]
"""A condition before it has a time: type, status, reason, message."""


def part(status: Mapping[str, Any], *names: str) -> dict[str, Any]:
    """The fields of a status with these `names`, as they stand."""
    return {name: status[name] for name in names if name in status}


def by_type(conditions: Iterable[base.Condition]) -> dict[str, base.Condition]:
    """Conditions by their type."""
    return {condition.type: condition for condition in conditions}


def stamped(
    statements: Iterable[Statement], generation: int, before: Mapping[str, base.Condition], now: datetime
) -> list[base.Condition]:
    """Conditions with times: the time of a condition moves only when its status flips."""
    return [_condition(statement, before.get(statement[0]), generation, now) for statement in statements]


def _condition(statement: Statement, before: base.Condition | None, generation: int, now: datetime) -> base.Condition:
    kind, holds, reason, message = statement
    status: Literal["True", "False"] = "True" if holds else "False"
    said = (status, reason, cut(message), generation)
    if before and said == (before.status, before.reason, before.message, before.observed_generation):
        return before
    return base.Condition(
        type=str(kind),
        status=status,
        reason=str(reason),
        message=cut(message),
        observed_generation=generation,
        last_transition_time=before.last_transition_time if before and before.status == status else now,
    )


def accepted(refusal: Refusal | None) -> Statement:
    """Whether admission takes a job or a service."""
    if refusal:
        return (Condition.ACCEPTED, False, refusal.reason, refusal.message)
    return (Condition.ACCEPTED, True, Reason.ACCEPTED, "the spec is sound and its pool takes it")


def verdict(said: Verdict) -> VerdictStatus:
    """Why an object is where it is."""
    return VerdictStatus(
        reason=said.reason,
        message=cut(said.message),
        cause=said.cause,
        needed=said.needed,
        free=said.free,
        largest_free=said.largest_free,
        holders=[HolderStatus(name=held.name, accelerators=held.accelerators) for held in said.holders],
        # In hundreds beyond 100: else one start would rewrite every status behind it.
        position=said.position if said.position <= 100 else said.position // 100 * 100,  # noqa: PLR2004
        advice=cut(said.advice),
    )


def cut(message: str) -> str:
    """A message of a length that is written."""
    return message[:MESSAGE_MAX]
