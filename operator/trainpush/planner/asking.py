"""Asking a program for a checkpoint before its gang gives something up.

A request has an id and a deadline. It stands in status before the program hears of it, and so does the answer before
the program is told to stop; from then on there is no way back.
"""

from dataclasses import replace
from datetime import datetime

from trainpush.model.workload import Eviction, Job


def is_due(job: Job, told: Eviction, now: datetime) -> bool:
    """Whether what was `told` to a gang, and is still wanted, is to be carried out now."""
    if told.is_answered or not _listens(job):
        return True
    return told.deadline is not None and now >= told.deadline


def asked(job: Job, told: Eviction, now: datetime) -> Eviction:
    """What was `told`, with the request to the program, or with its answer."""
    if not _listens(job) or told.is_answered:
        return told
    if told.asked_at is None:
        whole = now.replace(microsecond=0)  # as status will say it
        return replace(told, asked_at=whole, deadline=whole + job.grace)
    return replace(told, is_answered=has_answered(job, told))


def has_answered(job: Job, told: Eviction) -> bool:
    """Whether the program has saved for the sake of this request, and waits for the word to stop."""
    heard, request = job.heard, told.request(job.recorded.attempt)
    return bool(request and heard and heard.saved and heard.request == request)


def _listens(job: Job) -> bool:
    """Whether the program of this attempt reports, and so can be asked."""
    attempt = job.recorded.attempt
    told = (job.heard, job.recorded.heard)
    return job.is_asked and any(it is not None and it.attempt == attempt for it in told)
