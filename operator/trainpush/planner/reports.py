"""What the program of a job says of itself: while it runs, and as its termination message when it ends."""

from collections.abc import Mapping
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Final

from trainpush.model.workload import Checkpoint, Heard, Job, Worker

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


def progress(job: Job, now: datetime) -> Heard | None:
    """What status shows of the program's progress: the latest word, but of a running program one in `PERIOD` only."""
    known, ended = job.recorded.heard, _last_words(job, now)
    found = max((it for it in (ended, _live(job)) if it), key=lambda it: it.attempt, default=None)
    if found is None or (known and (found.attempt < known.attempt or _content(found) == _content(known))):
        return known
    is_news = known is None or found is ended or found.attempt > known.attempt or found.at - known.at >= PERIOD
    return replace(found, saved=None, request="") if is_news else known


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
    return None if is_asked or not _goes_on(job) or _latest(job, now) == known else known.at + SAVES


def can_be_asked(job: Job) -> bool:
    """Whether the program of this attempt reports, and so hears of a request for a checkpoint."""
    heard = (job.heard, job.recorded.heard)
    return job.is_asked and any(it is not None and it.attempt == job.recorded.attempt for it in heard)


def _goes_on(job: Job) -> bool:
    """Whether no pod of the attempt that last spoke has ended, or is about to."""
    mine = [it for it in job.workers if job.heard and it.attempt == job.heard.attempt]
    return bool(mine) and all(it.is_live and not it.deleting for it in mine)


def _latest(job: Job, now: datetime) -> Checkpoint | None:
    """The latest checkpoint that the program told of; of an earlier attempt, if this one has saved nothing yet."""
    known, news = job.recorded.checkpoint, (_last_words(job, now), _live(job))
    told = [*(it.saved for it in news if it), known]
    found = max((it for it in told if it), key=lambda it: (it.attempt, it.step), default=None)
    # When it was learned of does not change by hearing it again.
    return known if found and known and found == replace(known, at=found.at) else found


def _live(job: Job) -> Heard | None:
    """What the program told while it ran; nothing of attempts that there were not: anybody may make such a pod."""
    if job.heard is None or job.heard.attempt > job.recorded.attempt:
        return None
    return replace(job.heard, metrics=_as_written(job.heard.metrics))


def _content(heard: Heard) -> tuple[object, ...]:
    return (heard.attempt, heard.step, heard.total, heard.metrics)


def _as_written(metrics: Mapping[str, object]) -> dict[str, str]:
    """As status takes them: what comes back from there must be no news."""
    entries = list(metrics.items())[:METRICS_MAX]
    return {key[:METRIC_CHARACTERS]: str(value)[:METRIC_CHARACTERS] for key, value in entries}


def _last_words(job: Job, now: datetime) -> Heard | None:
    """What the lowest rank of the latest attempt that left a termination message said there."""
    seen = (*job.workers, job.left) if job.left else job.workers
    told = [worker for worker in seen if worker.report and worker.attempt <= job.recorded.attempt]
    found = min(told, key=lambda worker: (-worker.attempt, worker.rank, worker.name), default=None)
    return _read(found, now) if found else None


def _read(worker: Worker, now: datetime) -> Heard:
    """The parts of a termination message that are understood; anything of another type is left out."""
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
