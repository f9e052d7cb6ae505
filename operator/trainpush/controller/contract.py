"""The checkpoint contract as words: what a program may say, and what it is told by what stands in its job's status."""

from collections.abc import Mapping
from datetime import datetime
from typing import Annotated, Any, Final

import msgspec
from msgspec import Meta

from trainpush.model.workload import Checkpoint, Heard

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


def answer(status: Mapping[str, Any], attempt: int) -> Answer:
    """What the program of an `attempt` is told, by the status of its job."""
    if status.get("attempt") != attempt:
        return Answer(None, stop=True)
    eviction = status.get("eviction") or {}
    is_over = bool(eviction.get("carriedOut"))
    asked_at, deadline = eviction.get("askedAt"), eviction.get("deadline")
    request = None
    if asked_at and deadline and not is_over:
        request = Standing(f"{attempt}-{asked_at}", deadline, eviction.get("reason", ""))
    return Answer(request, stop=is_over or bool(eviction.get("answered")))


def is_recorded(saved: Saved, status: Mapping[str, Any], attempt: int) -> bool:
    """Whether the status speaks of this checkpoint, or a newer one, and of the answer to the request if it was one.

    Of an attempt that is over nothing more is awaited.
    """
    told = answer(status, attempt)
    if told.stop and status.get("attempt") != attempt:
        return True
    checkpoint = status.get("checkpoint") or {}
    stands = (checkpoint.get("attempt", 0), checkpoint.get("step", -1)) >= (attempt, saved.step)
    is_open = told.request is not None and told.request.id == saved.request and not told.stop
    return stands and not is_open
