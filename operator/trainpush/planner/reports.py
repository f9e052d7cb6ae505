"""What the program of a job says of itself: while it runs, and as its termination message when it ends."""

from collections.abc import Mapping
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Final

from trainpush.model.workload import Checkpoint, Heard, Job

PERIOD: Final = timedelta(seconds=30)
"""Progress of a running program is written down no more often."""
SAVES: Final = timedelta(seconds=5)
"""As long as its gang runs on, a checkpoint that nobody asked for is written down no sooner after the one before."""
METRICS_MAX: Final = 32
METRIC_CHARACTERS: Final = 64
"""Most in the name of a metric, and in its value as text."""
TEXT_CHARACTERS: Final = 1024
"""Most in where a checkpoint lies, and in its digest."""
COUNT_MAX: Final = 2**53
"""Largest count that every reader of JSON understands."""


def has_spoken(job: Job) -> bool:
    """Whether there may be a word of its program."""
    known = job.recorded
    return bool(job.heard or job.left or known.heard or known.checkpoint or any(pod.report for pod in job.workers))


def progress(job: Job, now: datetime) -> Heard | None:
    """What status shows of the program's progress: the latest word, but of a running program one in `PERIOD` only."""
    known, ended = job.recorded.heard, _last_words(job, now)
    word = max(filter(None, (ended, _live(job))), key=lambda heard: heard.attempt, default=None)
    if word is None or (known and (word.attempt < known.attempt or _content(word) == _content(known))):
        return known
    is_news = known is None or word is ended or word.attempt > known.attempt or word.at - known.at >= PERIOD
    return replace(word, saved=None, request="") if is_news else known


def checkpoint(job: Job, now: datetime) -> Checkpoint | None:
    """The checkpoint that status shows: the latest that the program told of, or the one before until `wake_at`."""
    return job.recorded.checkpoint if wake_at(job, now) else _latest(job, now)


def wake_at(job: Job, now: datetime) -> datetime | None:
    """When a checkpoint will be written down that came too soon after the one before; None where none did.

    None comes too soon where it is asked for, or where a pod of its attempt goes: it may be the last.
    """
    known, told = job.recorded.checkpoint, job.recorded.eviction
    if known is None or not known.at <= now < known.at + SAVES:
        return None
    is_asked = told and told.asked_at and not told.is_done
    mine = [worker for worker in job.workers if job.heard and worker.attempt == job.heard.attempt]
    goes_on = bool(mine) and all(not (worker.has_ended or worker.deleting) for worker in mine)
    return None if is_asked or not goes_on or _latest(job, now) == known else known.at + SAVES


def can_be_asked(job: Job) -> bool:
    """Whether the program of this attempt reports, and so hears of a request for a checkpoint."""
    heard = (job.heard, job.recorded.heard)
    return job.is_asked and any(it is not None and it.attempt == job.recorded.attempt for it in heard)


def _latest(job: Job, now: datetime) -> Checkpoint | None:
    """The latest checkpoint that the program told of; of an earlier attempt, if this one has saved nothing yet."""
    known, news = job.recorded.checkpoint, (_last_words(job, now), _live(job))
    told = (*(heard.saved for heard in news if heard), known)
    latest = max(filter(None, told), key=lambda saved: (saved.attempt, saved.step), default=None)
    # When it was learned of does not change by hearing it again.
    return known if latest and known and latest == replace(known, at=latest.at) else latest


def _counts(job: Job, attempt: int) -> bool:
    """Whether it matters what the program of an attempt says: not once a later one has begun with what was known then.

    Of attempts that there were not nothing matters: anybody may make such a pod.
    """
    latest = job.recorded.attempt
    return attempt <= latest and not any(attempt < worker.attempt <= latest for worker in job.workers)


def _live(job: Job) -> Heard | None:
    """What the program told while it ran."""
    if job.heard is None or not _counts(job, job.heard.attempt):
        return None
    return replace(job.heard, metrics=_as_written(job.heard.metrics))


def _content(heard: Heard) -> tuple[object, ...]:
    return (heard.attempt, heard.step, heard.total, heard.metrics)


def _as_written(metrics: Mapping[str, object]) -> dict[str, str]:
    """As status takes them: what comes back from there must be no news."""
    entries = list(metrics.items())[:METRICS_MAX]
    return {key[:METRIC_CHARACTERS]: str(value)[:METRIC_CHARACTERS] for key, value in entries}


def _last_words(job: Job, now: datetime) -> Heard | None:
    """What the lowest rank of the latest attempt that left a termination message said there.

    Only what is understood: anything of another type is left out.
    """
    seen = (*job.workers, job.left) if job.left else job.workers
    told = [worker for worker in seen if worker.report and _counts(job, worker.attempt)]
    worker = min(told, key=lambda worker: (-worker.attempt, worker.rank, worker.name), default=None)
    if worker is None:
        return None
    said, attempt = worker.report, worker.attempt
    metrics, saved = said.get("metrics"), said.get("checkpoint")
    return Heard(
        attempt=attempt,
        at=now,
        step=_count(said.get("step")),
        total=_count(said.get("totalSteps")),
        metrics=_as_written(metrics) if isinstance(metrics, Mapping) else {},
        saved=_saved(saved, attempt, now) if isinstance(saved, Mapping) else None,
    )


def _saved(said: Mapping[str, object], attempt: int, now: datetime) -> Checkpoint | None:
    step = _count(said.get("step"))
    texts = (text if isinstance(text := said.get(key), str) else "" for key in ("uri", "digest"))
    uri, digest = (text[:TEXT_CHARACTERS] for text in texts)
    return None if step is None else Checkpoint(attempt, step, uri, now, digest)


def _count(value: object) -> int | None:
    is_count = isinstance(value, int) and not isinstance(value, bool) and 0 <= value <= COUNT_MAX
    return value if is_count and isinstance(value, int) else None
