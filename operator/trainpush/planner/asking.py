"""Asking a program for a checkpoint before its gang gives something up, or gets more.

A request has an id and a deadline. It stands in status before the program hears of it, and so does the answer before
the program is told to stop; from then on there is no way back.
"""

from dataclasses import replace
from datetime import datetime, timedelta
from typing import Final

from trainpush.model.reasons import Reason
from trainpush.model.workload import Eviction, Job

AGAIN: Final = timedelta(hours=1)
"""A program that did not answer when its gang was to grow is asked again so long after the deadline."""


def is_due(job: Job, told: Eviction, now: datetime) -> bool:
    """Whether what was `told` to a gang, and is still wanted, is to be carried out now.

    Growth waits for an answer for ever: nobody needs it so much as the work that would be lost.
    """
    if told.is_answered or not job.is_asked:
        return True
    if _is_favour(told):
        return False
    return not reports(job) or (told.deadline is not None and now >= told.deadline)


def asked(job: Job, told: Eviction, now: datetime) -> Eviction:
    """What was `told`, with the request to the program, or with its answer; without it where that was no use."""
    if told.is_answered or not reports(job):
        return told
    if told.asked_at is None:
        is_refused = told.deadline is not None and now < told.deadline + AGAIN
        whole = now.replace(microsecond=0)  # as status will say it
        return told if is_refused else replace(told, asked_at=whole, deadline=whole + job.grace)
    if has_answered(job, told):
        return replace(told, is_answered=True)
    is_over = _is_favour(told) and told.deadline is not None and now >= told.deadline
    return replace(told, asked_at=None) if is_over else told


def wake_at(told: Eviction) -> datetime | None:
    """When to look again at what was `told`."""
    if told.deadline is None or told.is_answered:
        return None
    return told.deadline if told.asked_at else told.deadline + AGAIN


def has_answered(job: Job, told: Eviction) -> bool:
    """Whether the program has saved for the sake of this request, and waits for the word to stop."""
    heard, request = job.heard, told.request(job.recorded.attempt)
    return bool(request and heard and heard.saved and heard.request == request)


def reports(job: Job) -> bool:
    """Whether the program of this attempt reports, and so can be asked."""
    attempt = job.recorded.attempt
    told = (job.heard, job.recorded.heard)
    return job.is_asked and any(it is not None and it.attempt == attempt for it in told)


def _is_favour(told: Eviction) -> bool:
    """Whether it is done for the gang itself."""
    return told.reason == Reason.RESIZED
