"""What the statuses of several kinds share: conditions with their times, verdicts, and the form of sentences."""

from collections.abc import Iterable, Mapping
from datetime import datetime
from typing import Any, Final, Literal

from trainpush.api.base import Condition
from trainpush.api.verdict import HolderStatus, VerdictStatus
from trainpush.model.plan import Verdict

MESSAGE_MAX: Final = 1024
"""Longest message that is written, in characters."""

Statement = tuple[str, bool, str, str]
"""A condition before it has a time: type, status, reason, message."""


def part(status: Mapping[str, Any], *names: str) -> dict[str, Any]:
    """The fields of a status with these `names`, as they stand."""
    return {name: status[name] for name in names if name in status}


def by_type(conditions: Iterable[Condition]) -> dict[str, Condition]:
    """Conditions by their type."""
    return {condition.type: condition for condition in conditions}


def stamped(
    statements: Iterable[Statement], generation: int, before: Mapping[str, Condition], now: datetime
) -> list[Condition]:
    """Conditions with times: the time of a condition moves only when its status flips."""
    return [_condition(statement, before.get(statement[0]), generation, now) for statement in statements]


def _condition(statement: Statement, before: Condition | None, generation: int, now: datetime) -> Condition:
    kind, holds, reason, message = statement
    status: Literal["True", "False"] = "True" if holds else "False"
    said = (status, reason, cut(message), generation)
    if before and said == (before.status, before.reason, before.message, before.observed_generation):
        return before
    return Condition(
        type=str(kind),
        status=status,
        reason=str(reason),
        message=cut(message),
        observed_generation=generation,
        last_transition_time=before.last_transition_time if before and before.status == status else now,
    )


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
        position=coarse(said.position),
        advice=cut(said.advice),
    )


def cut(message: str) -> str:
    """A message of a length that is written."""
    return message[:MESSAGE_MAX]


def counted(count: int, noun: str) -> str:
    """A number with its `noun`."""
    return f"{count} {noun}" if count == 1 else f"{count} {noun}s"


def coarse(position: int) -> int:
    """A place in the queue, in hundreds beyond 100: else one start would rewrite every status behind it."""
    return position if position <= 100 else position // 100 * 100  # noqa: PLR2004  the sentence above says it
