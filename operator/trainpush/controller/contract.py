"""The checkpoint contract as words: what a program may say, and what it is told by what stands in its job's status."""

from datetime import datetime
from typing import Annotated, Final

import msgspec
from msgspec import Meta

from trainpush.api.base import timestamp
from trainpush.model.workload import Checkpoint, Heard, Recorded

BODY_BYTES: Final = 65_536
"""Longest message."""
STEP_MAX: Final = 2**53
METRICS_MAX: Final = 32

Step = Annotated[int, Meta(ge=0, le=STEP_MAX)]
MetricName = Annotated[str, Meta(min_length=1, max_length=64)]
Metric = Annotated[str, Meta(max_length=256)] | float
Text = Annotated[str, Meta(max_length=1024, pattern=r"^[^\x00-\x1f\x7f]*$")]
"""One line: the next attempt gets it as a variable of its environment."""


class Report(msgspec.Struct, frozen=True, rename="camel"):
    """What a program says of its progress."""

    step: Step
    total_steps: Step | None = None
    metrics: Annotated[dict[MetricName, Metric], Meta(max_length=METRICS_MAX)] = {}

    def heard(self, attempt: int, now: datetime) -> Heard:
        """As it goes to the store."""
        return Heard(attempt, now, self.step, self.total_steps, self.metrics)


class Saved(msgspec.Struct, frozen=True):
    """What a program says of a checkpoint."""

    step: Step
    uri: Text
    digest: Text = ""
    request: Annotated[str, Meta(max_length=128)] = ""
    """Id of the request that it answers; empty where there was none."""

    def heard(self, attempt: int, now: datetime) -> Heard:
        """As it goes to the store."""
        saved = Checkpoint(attempt, self.step, self.uri, now, self.digest)
        return Heard(attempt, now, self.step, saved=saved, request=self.request)


class Standing(msgspec.Struct, frozen=True):
    """A request for a checkpoint."""

    id: str
    deadline: str
    """RFC 3339."""
    reason: str


class Answer(msgspec.Struct, frozen=True):
    """What every message is answered with."""

    request: Standing | None
    stop: bool
    """Whether the program must take no further step."""


def answer(record: Recorded, attempt: int) -> Answer:
    """What the program of an `attempt` is told, by what the status of its job says."""
    if record.attempt != attempt:
        return Answer(None, stop=True)
    eviction = record.eviction
    if eviction is None or eviction.is_done:
        return Answer(None, stop=eviction is not None)
    request = None
    if eviction.asked_at and eviction.deadline:
        request = Standing(eviction.request(attempt), timestamp(eviction.deadline), eviction.reason)
    return Answer(request, stop=eviction.is_answered)


def is_recorded(saved: Saved, record: Recorded, attempt: int) -> bool:
    """Whether the status says this checkpoint, or a newer one, and the answer to the request if it was one.

    Of an attempt that is over nothing more is awaited.
    """
    if record.attempt != attempt:
        return True
    told, known = answer(record, attempt), record.checkpoint
    stands = known is not None and (known.attempt, known.step) >= (attempt, saved.step)
    is_open = told.request is not None and told.request.id == saved.request and not told.stop
    return stands and not is_open
