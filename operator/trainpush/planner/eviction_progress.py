"""How far an eviction goes in this cycle: at most one step, which stands in status before anything follows from it.

    Announced ────> Requested ────> Answered ────> Done
        │            │  ^   │                       ^
        │            v  │   └── deadline is over ───┤
        │          Unanswered                       │
        └── of a program that cannot be asked ──────┘

Before a gang gives something up, or gets more, its program is asked for a checkpoint. It hears of that, and is told to
stop, by what stands in status; from its answer on there is no way back. Until then an eviction that nobody wants any
more is taken back. One that is done stands until the gang that needed the room has its place, so that nobody else
takes it.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Final

from trainpush.model.gang import Gang
from trainpush.model.plan import Decision, Stage
from trainpush.model.reasons import Reason
from trainpush.model.workload import Eviction, EvictionStep, Job, Key, Recorded
from trainpush.planner import lifecycle, reports
from trainpush.planner.pool_cycle import PoolCycle

_LASTS: Final = {EvictionStep.REQUESTED: timedelta(0), EvictionStep.UNANSWERED: timedelta(hours=1)}
"""How long after the deadline a step is over; a program is asked again then."""


@dataclass(frozen=True, slots=True)
class Order:
    """What is wanted of a gang that goes on as it is recorded."""

    eviction: Eviction | None = None
    """What this cycle would take from it, or give to it."""
    are_all_told: bool = True
    """Whether all who make room for the same gang know of it: nobody gives anything up before."""
    is_forced: bool = False
    """Whether its program is waited for no more."""


def progressed(
    jobs: Mapping[Key, Job],
    stages: Mapping[Key, Decision],
    wanted: Mapping[Key, Eviction],
    cycles: Mapping[str, PoolCycle],
    now: datetime,
) -> dict[Key, Decision]:
    """The decisions on jobs once all had their turns, with what becomes of their evictions: `wanted` among them."""
    concerned = {key: stage for key, stage in stages.items() if key in wanted or jobs[key].recorded.eviction}
    if not concerned:
        return dict(stages)
    untold = {it.by for key, it in wanted.items() if not _is_told(jobs[key].recorded.eviction, it)}
    waiting = {str(key) for key, stage in stages.items() if stage.stage is Stage.QUEUED}
    decisions = dict(stages)
    for key, stage in concerned.items():
        job, eviction, after = jobs[key], wanted.get(key), None
        cycle = cycles.get(job.request.pool) if isinstance(job.request, Gang) else None
        if cycle and _goes_on(job, stage):
            order = Order(eviction, not eviction or eviction.by not in untold, cycle.resizing.is_forced(job))
            after = advanced(job, order, now)
        if cycle and after and after.is_done:
            decisions[key] = _carried_out(job, after, cycle)
        else:
            told = job.recorded.eviction
            # What was done to a gang stands as long as the one for whom it was waits.
            kept = told if told and told.is_done and told.by in waiting else None
            decisions[key] = _noted(stage, after or kept)
    return decisions


def advanced(job: Job, order: Order, now: datetime) -> Eviction | None:
    """The eviction of a gang, at most one step further; None where nothing is wanted of it any more."""
    told, wanted = job.recorded.eviction, order.eviction
    if told and told.step is EvictionStep.ANSWERED:
        return replace(told, is_done=True, lost=0)  # whether it is wanted or not
    if wanted is None or told is None or not _is_told(told, wanted):
        return wanted
    after = _next(job, told, order, now)
    return told if after is told.step else _stepped(told, after, wanted, job.grace, now)


def _next(job: Job, told: Eviction, order: Order, now: datetime) -> EvictionStep:
    """The step after this one of what is wanted still; the same where it has to wait."""
    if not order.are_all_told:
        return told.step
    if order.is_forced or not reports.can_be_asked(job):
        return EvictionStep.DONE
    ends_at, is_growth = _ends_at(told), told.reason == Reason.RESIZED
    is_over = ends_at is not None and now >= ends_at
    heard, request = job.heard, told.request(job.recorded.attempt)
    # It has saved for the sake of this request, and waits for the word to stop.
    has_answered = bool(request and heard and heard.saved and heard.request == request)
    ways = {
        EvictionStep.ANNOUNCED: ((True, EvictionStep.REQUESTED),),
        EvictionStep.REQUESTED: (
            (is_over and not is_growth, EvictionStep.DONE),
            (has_answered, EvictionStep.ANSWERED),
            # Nobody needs the growth of a gang so much as what it has done since it last saved.
            (is_over, EvictionStep.UNANSWERED),
        ),
        EvictionStep.UNANSWERED: ((is_over, EvictionStep.REQUESTED),),
    }
    return next((after for is_open, after in ways[told.step] if is_open), told.step)


def _stepped(told: Eviction, after: EvictionStep, wanted: Eviction, grace: timedelta, now: datetime) -> Eviction:
    """The eviction that has come to `after`."""
    whole = now.replace(microsecond=0)  # as status will say it
    match after:
        case EvictionStep.REQUESTED:
            return replace(told, asked_at=whole, deadline=whole + grace)
        case EvictionStep.UNANSWERED:
            return replace(told, asked_at=None)
        case EvictionStep.ANSWERED:
            return replace(told, is_answered=True)
        case _:
            return replace(told, is_done=True, message=wanted.message, lost=wanted.lost)


def _is_told(told: Eviction | None, wanted: Eviction) -> bool:
    """Whether what is wanted was told before, and is not done."""
    return told is not None and not told.is_done and (told.by, told.workers) == (wanted.by, wanted.workers)


def _goes_on(job: Job, stage: Decision) -> bool:
    """Whether the gang goes on as it is recorded: one that ended or failed meanwhile makes room by itself."""
    old, new = job.recorded, stage.record
    return (old.attempt, old.outcome, _since(old)) == (new.attempt, new.outcome, _since(new))


def _since(recorded: Recorded) -> tuple[tuple[str, ...], datetime] | None:
    """On which nodes the gang is, and since when; where these are in the topology may be told otherwise at any time."""
    place = recorded.placement
    return (place.nodes, place.since) if place else None


def _carried_out(job: Job, eviction: Eviction, cycle: PoolCycle) -> Decision:
    placement, gang = job.recorded.placement, job.request
    if eviction.workers and placement and isinstance(gang, Gang):
        return cycle.resizing.resized(job, gang, placement, eviction)
    return lifecycle.evicted(job, eviction)


def _noted(stage: Decision, eviction: Eviction | None) -> Decision:
    """The decision on a gang, with what stands of its eviction."""
    due = _ends_at(eviction) if eviction else None
    wake_at = min(filter(None, (stage.wake_at, due)), default=None)
    if eviction == stage.record.eviction and wake_at == stage.wake_at:
        return stage
    return replace(stage, record=replace(stage.record, eviction=eviction), wake_at=wake_at)


def _ends_at(told: Eviction) -> datetime | None:
    """When a step is over though nothing happens; None where it is not."""
    return told.deadline + _LASTS[told.step] if told.deadline and told.step in _LASTS else None
