"""Why a gang waits, in numbers: one verdict, whoever asks.

`waiting` looks at nodes and what is used of them; the others say what the queue decided.
All are pure: gangs alike get verdicts alike, so that the first one's may be kept for all.
"""

from collections.abc import Mapping
from dataclasses import replace
from datetime import datetime
from typing import Final

from trainpush.model.gang import Gang
from trainpush.model.nodes import POOL, Amounts
from trainpush.model.plan import Verdict
from trainpush.model.reasons import Reason
from trainpush.model.wording import amount, count, listed, moment, of_size, share, verb, work
from trainpush.model.workload import Eviction, Refusal
from trainpush.planner.diagnostics.advice import advice
from trainpush.planner.diagnostics.causes import Cause
from trainpush.planner.diagnostics.diagnosis import Circumstances, Situation, finding, turned_away
from trainpush.planner.feasibility.filters import WORDS, FilterReason, NodeFilters

_SPARED: Final = {
    Cause.PROTECTED_BY_MIN_RUNTIME: ("within its minRuntime", "within their minRuntime"),
    Cause.PREEMPTION_NEVER: ("with preemption Never",) * 2,
    Cause.PROTECTED_DOWN_TO_MINIMUM: (
        "already at its smallest size, with preemption BeyondMin",
        "already at their smallest size, with preemption BeyondMin",
    ),
    Cause.WITHIN_GUARANTEES: ("of a team within its guarantee", "of teams within their guarantees"),
    Cause.VICTIMS_NOT_ENOUGH: (
        "could, but that does not make enough",
        "could, but even together they do not make enough",
    ),
    Cause.NOBODY_TO_PREEMPT: ("of its own team, with no lower priority",) * 2,
    Cause.PRIORITY_UNKNOWN: (
        "of its own team, of a priority that nobody knows, since its PriorityClass is gone",
        "of its own team, of priorities that nobody knows, since their PriorityClasses are gone",
    ),
    Cause.BEYOND_GUARANTEE: (
        "of another team, from which one takes only within one's own guarantee",
        "of other teams, from which one takes only within one's own guarantee",
    ),
    Cause.CLASS_NEVER_PREEMPTS: ("of lower priority, which its PriorityClass spares (preemptionPolicy Never)",) * 2,
}
"""What is said of one gang, and of several."""
_BY_RANK: Final = (Cause.NOBODY_TO_PREEMPT, Cause.PRIORITY_UNKNOWN, Cause.BEYOND_GUARANTEE)
"""What keeps gangs out of question, whatever else there is to say of them."""
_HELD: Final = {Cause.HELD_BY_JOBS, Cause.HELD_BY_SERVICES, Cause.HELD_BY_OTHER_PODS}
_NAMED_MAX: Final = 3
"""Victims that a message names; it counts the others."""
_NOTHING: Final = Circumstances()


def waiting(gang: Gang, filters: NodeFilters, used: Amounts, around: Circumstances = _NOTHING) -> Verdict:
    """The verdict on a gang that found no place; reasons that no waiting can cure come first.

    `filters` are those for its workers; `used` has shape (resources, nodes).
    """
    needs, here = _needs(gang), Situation.of(gang, filters, used, around)
    found, nodes = finding(here), turned_away(here)
    kept = here.kept if around.reserved_for and found.cause is not Cause.ROOM_RESERVED else 0
    beside = f" and {kept} kept for {around.reserved_for}" if kept else ""
    free, largest = int(here.free.sum()), here.largest * gang.requirements.accelerators
    return Verdict(
        reason=found.reason,
        message=(
            f"{share(int((here.now > 0).sum()), len(here.table.names), 'node')} {verb(len(here.table.names), 'fit')}"
            f"{': ' if nodes else ''}{nodes}; {needs}, {free} free{beside}, room for {largest} in {_site(gang)}"
            f"{'; ' if found.words else ''}{found.words}"
        ),
        needed=gang.accelerators,
        free=free,
        largest_free=largest,
        holders=here.shares.largest,
        advice=advice(here, found),
        cause=found.cause,
    )


def quota(gang: Gang, team: str, resource: str, limit: int, used: int, reserved: int = 0) -> Verdict:
    """The team's limit of `resource` is in the way.

    `used` is what it holds, and `reserved` what is kept for others of it; all amounts in thousandths.
    """
    each = gang.requirements.request.get(resource, 0)
    whole = gang.least * each
    size = min(max(limit - used - reserved, 0) // max(each, 1), gang.least - 1)
    size -= size % gang.step
    is_alone = whole > limit
    kept = f", {amount(resource, reserved)} more kept for others of it that wait" if reserved else ""
    return Verdict(
        reason=Reason.EXCEEDS_QUOTA_LIMIT if is_alone else Reason.WAITING_FOR_QUOTA,
        message=(
            f"team {team} may use {amount(resource, limit)} and uses {amount(resource, used)}{kept}; "
            f"{count(gang.least, 'worker')} {verb(gang.least, 'need')} {amount(resource, whole)}"
        ),
        needed=gang.accelerators,
        advice=(
            f"{of_size(gang, size)} would stay within the limit; the operator does not change a spec"
            if size > 0
            else ""
        ),
        cause=Cause.QUOTA_TOO_SMALL if is_alone else Cause.QUOTA_USED,
    )


def place_kept(gang: Gang, lost: Mapping[str, FilterReason], until: datetime) -> Verdict:
    """It waits for nodes of its place that are `lost`, and keeps the others until then."""
    nodes = listed([f"{node} ({WORDS[reason]})" for node, reason in lost.items()], _NAMED_MAX)
    message = f"its place lacks {nodes}; the rest of it is kept for the gang until {moment(until)}; {_needs(gang)}"
    return Verdict(Reason.WAITING_FOR_CAPACITY, message, needed=gang.accelerators, cause=Cause.PLACE_KEPT)


def awaiting_terminations(gang: Gang) -> Verdict:
    """Pods are ending anyway, whosever they are."""
    message = f"{_needs(gang)}; there is room as soon as pods have ended that are ending"
    return Verdict(Reason.WAITING_FOR_CAPACITY, message, needed=gang.accelerators, cause=Cause.PODS_ENDING)


def preempting(gang: Gang, victims: Mapping[str, Eviction], *, is_announced: bool) -> Verdict:
    """Others make room: what is taken by namespace and name, announced for the next cycle, else ending already."""
    names, many = list(victims), len(victims)
    how = f"{verb(many, 'make')} room in the next cycle" if is_announced else f"{verb(many, 'are')} ending to make room"
    # What it cost is not on record any more for those that are ending already.
    lost = sum(taken.lost for taken in victims.values())
    cost = f" ({verb(many, 'lose')} {work(lost)})" if lost else ""
    return Verdict(
        Reason.WAITING_FOR_PREEMPTION,
        message=f"{listed(names, _NAMED_MAX)} {how}{cost}; {_needs(gang)}",
        needed=gang.accelerators,
        cause=Cause.PREEMPTION_ANNOUNCED if is_announced else Cause.VICTIMS_ENDING,
    )


def not_preempted(verdict: Verdict, spared: Mapping[Cause, int], until: datetime | None = None) -> Verdict:
    """As `verdict`, with why nobody makes room: how many gangs are spared for which cause; none where none is there.

    `until` is when the first minimum run time ends. Where jobs hold the accelerators, or some could be asked but for
    a reason of their own, the main cause becomes the verdict's.
    """
    counts = sorted(spared.items(), key=lambda item: (item[0] in _BY_RANK, -item[1], item[0]))
    why = ", ".join(_spared(cause, gangs, until) for cause, gangs in counts) or "no gang runs there"
    # A higher priority or a guarantee may help where jobs are in the way, not services or others' pods.
    is_main = bool(counts) and (verdict.cause is Cause.HELD_BY_JOBS or counts[0][0] not in _BY_RANK)
    cause = counts[0][0] if is_main and verdict.cause in _HELD else verdict.cause
    return replace(_unhelped(verdict, why), cause=cause)


def not_asked(verdict: Verdict) -> Verdict:
    """As `verdict`, for a gang whose last try came to nothing: nobody gives anything up for the next one."""
    return _unhelped(verdict, "its pods did not start when it last had a place")


def _unhelped(verdict: Verdict, why: str) -> Verdict:
    return replace(verdict, advice=f"{verdict.advice}{'; ' if verdict.advice else ''}nobody makes room: {why}")


def held_back(last: Refusal, tries: int, until: datetime) -> Verdict:
    """After so many tries that came to nothing: `last` tells why, and until when no other is made."""
    message = f"{last.message}; try {tries + 1} is made from {moment(until)} on, or at once when the spec is edited"
    cause = Cause.START_TIMEOUT if last.reason == Reason.START_TIMEOUT else Cause.BIND_TIMEOUT
    return Verdict(last.reason, message, cause=cause)


def suspended() -> Verdict:
    """The user wants it to wait."""
    return Verdict(Reason.SUSPENDED, "spec.suspend is set; set it to false to queue the job", cause=Cause.SUSPENDED)


def _spared(cause: Cause, gangs: int, until: datetime | None) -> str:
    said = f"{count(gangs, 'gang')} {_SPARED[cause][gangs > 1]}"
    first = "the first until" if gangs > 1 else "until"
    return f"{said} ({first} {moment(until)})" if until and cause is Cause.PROTECTED_BY_MIN_RUNTIME else said


def _site(gang: Gang) -> str:
    """`the pool`, or `the largest rack`."""
    return f"the largest {gang.topology.required}" if gang.topology.required else f"the {POOL}"


def _needs(gang: Gang) -> str:
    """`4 workers need 32 nvidia.com/gpu`; of an elastic gang also the fewest that will do."""
    fewest = f", at least {gang.least}," if gang.least < gang.workers else ""
    accelerators = f"{gang.accelerators} {gang.requirements.accelerator}"
    return f"{count(gang.workers, 'worker')}{fewest} {verb(gang.workers, 'need')} {accelerators}"
