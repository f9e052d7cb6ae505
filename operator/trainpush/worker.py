"""Progress and checkpoints, told to the operator from inside a training program; docs/checkpoints.md shows how.

This file needs nothing but Python 3.9 or newer, and may be copied into an image by itself. Every process of a training
may call everything; only the process of rank 0 talks to the operator. Training never depends on the operator: where
there is none, where it cannot be reached or says nonsense, the calls return at once or after a bounded time.

Environment, all of it set by trainpush or torchrun: TRAINPUSH_ENDPOINT, TRAINPUSH_ENDPOINT_CA (PEM text),
TRAINPUSH_TOKEN_FILE (read anew for each message), TRAINPUSH_ATTEMPT, TRAINPUSH_GRACE_SECONDS, TRAINPUSH_RESUME_STEP,
TRAINPUSH_RESUME_URI, TRAINPUSH_RESUME_DIGEST; RANK or, without it, PET_NODE_RANK.
"""

from __future__ import annotations

import atexit
import http.client
import json
import logging
import math
import os
import random
import signal
import ssl
import sys
import threading
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from types import FrameType
from typing import Any
from urllib.parse import urlsplit

PERIOD_SECONDS = 5.0
"""Between two reports."""
PAUSE_MAX_SECONDS = 60.0
"""Longest pause after a report that did not arrive."""
REPORT_SECONDS = 5.0
"""For one report and its answer."""
SAVED_SECONDS = 15.0
"""For one message of a checkpoint: the operator answers when the checkpoint stands in the job's status, within 10 s."""
AFTER_SIGTERM_SECONDS = 3.0
"""How long `saved` may wait then: the rest of the grace period is the program's."""
GRACE_SECONDS = 30.0
"""The grace period of a pod that says nothing else."""
MESSAGE_BYTES = 4096
"""Longest termination message that Kubernetes keeps."""
TERMINATION_LOG = Path("/dev/termination-log")
SIGTERM = "sigterm"
"""Id of the request that a SIGTERM is."""
SUPERSEDED = "superseded"
"""Id of the request to stop that an attempt gets after whose eviction, or beside a newer attempt, it still runs."""
_REFUSED = (400, 403, 413)  # the same message would only meet them again

_log = logging.getLogger("trainpush.worker")


@dataclass(frozen=True)
class Request:
    """Somebody needs a checkpoint now."""

    id: str
    deadline: float
    """Unix seconds; what is saved later may be lost."""
    reason: str


@dataclass(frozen=True)
class Checkpoint:
    """What was saved."""

    step: int
    uri: str
    digest: str = ""


@dataclass(frozen=True)
class Resume:
    """Where this attempt begins."""

    attempt: int
    checkpoint: Checkpoint | None
    """The last one that the operator knows of; None if it knows of none: there may be a later one on the volume."""


@dataclass
class _Told:
    """What the program has said so far."""

    step: int | None = None
    total: int | None = None
    metrics: dict[str, Any] = field(default_factory=dict)
    checkpoint: Checkpoint | None = None

    def as_report(self) -> dict[str, Any]:
        found = {"step": self.step, "totalSteps": self.total, "metrics": self.metrics}
        return {key: value for key, value in found.items() if value is not None}

    def as_message(self) -> str:
        """The termination message; without metrics where they would make it too long to be read."""
        whole = self.as_report()
        if self.checkpoint:
            whole["checkpoint"] = vars(self.checkpoint)
        text = json.dumps(whole)
        return text if len(text) <= MESSAGE_BYTES else json.dumps({**whole, "metrics": {}})


class Worker:
    """One process's part of the contract; the module's functions are the methods of one that is made at import."""

    def __init__(self) -> None:
        """Read the environment; nothing runs yet."""
        self._told = _Told()
        self._terminated_at: float | None = None
        self._asked: Request | None = None
        """The operator's request that the program was last told of, and has not answered yet."""
        self._speaks = os.environ.get("RANK", os.environ.get("PET_NODE_RANK", "0")) == "0"
        self._operator: _Operator | None = None
        self._has_begun = False

    def catch_sigterm(self) -> None:
        """Take SIGTERM as a request for a checkpoint instead of dying of it; what handled it before is called as well.

        Call it once, early, in the main thread. Importing this module installs nothing.
        """
        before = signal.getsignal(signal.SIGTERM)

        def remember(number: int, frame: FrameType | None) -> None:
            # Nothing that takes a lock: the main thread may be holding it right now.
            self._terminated_at = self._terminated_at or time.time()
            if callable(before):
                before(number, frame)

        signal.signal(signal.SIGTERM, remember)
        # A data loader's process must still die of it.
        os.register_at_fork(after_in_child=lambda: signal.signal(signal.SIGTERM, before))
        self._begin()

    def report(self, step: int, total: int | None = None, metrics: Mapping[str, float | str] | None = None) -> None:
        """Tell how many steps were taken, of how many; never waits, so it may be called after every step.

        At most every 5 s the latest report is posted. Of `metrics` 32 entries count, each a number or a short text.
        """
        self._begin()
        told = self._told
        told.step, told.total, told.metrics = int(step), None if total is None else int(total), _plain(metrics or {})
        if self._operator:
            self._operator.report(told.as_report())
        if self._terminated_at is not None:
            self._leave_message()

    def should_checkpoint(self) -> Request | None:
        """Whether a checkpoint is wanted now; never waits, so it may be called after every step.

        All ranks must agree before they act on it, for instance by an all_reduce of the maximum: rank 0 alone hears of
        the operator's requests, and SIGTERM reaches the pods one after the other.
        """
        self._begin()
        if self._terminated_at is not None:
            return Request(SIGTERM, self._terminated_at + _grace_seconds(), "SIGTERM")
        wanted = self._operator.wanted() if self._operator else None
        self._asked = wanted or self._asked
        return wanted

    def saved(self, step: int, uri: str, digest: str = "") -> bool:
        """Tell that a checkpoint is complete and durable; True when the program must take no further step.

        After a request from `should_checkpoint` it waits until the operator has written the checkpoint down, at most
        until the request's deadline; otherwise it does not wait. True after SIGTERM, and when the operator says that
        this was the last step. All ranks must agree on the answer, too.
        """
        self._begin()
        self._told.checkpoint = checkpoint = Checkpoint(int(step), str(uri), str(digest))
        answered, self._asked, begun = self._asked, None, time.time()
        if self._terminated_at is not None:
            self._leave_message()
        if self._operator is None:
            return self._terminated_at is not None
        delivery = self._operator.saved(checkpoint, answered.id if answered else "")
        while not delivery.over.is_set() and (left := self._patience_until(begun, answered) - time.time()) > 0:
            # In short pieces: a SIGTERM meanwhile leaves less time.
            delivery.over.wait(min(left, 1.0))
        return self._operator.stop or self._terminated_at is not None

    def await_end(self) -> None:
        """Wait for SIGTERM, at most a grace period, after `saved` said that this was the last step.

        The pods are deleted now. A program that ends by itself before would look like one that failed, or succeeded.
        """
        until = time.time() + _grace_seconds()
        while self._terminated_at is None and time.time() < until:
            time.sleep(0.1)

    def resume_info(self) -> Resume:
        """Which attempt this is, and from which checkpoint it should go on."""
        number, uri, digest = (os.environ.get(f"TRAINPUSH_RESUME_{name}", "") for name in ("STEP", "URI", "DIGEST"))
        checkpoint = Checkpoint(int(number), uri, digest) if number.isdecimal() else None
        attempt = os.environ.get("TRAINPUSH_ATTEMPT", "")
        return Resume(int(attempt) if attempt.isdecimal() else 1, checkpoint)

    def _patience_until(self, begun: float, answered: Request | None) -> float:
        """Until when a `saved` that has `begun` may wait, in Unix seconds."""
        if self._terminated_at is None:
            return answered.deadline if answered else begun
        is_reached = self._operator is not None and self._operator.pause == 0
        return min(begun + AFTER_SIGTERM_SECONDS, answered.deadline if answered else math.inf) if is_reached else begun

    def _begin(self) -> None:
        if not self._has_begun and self._speaks:
            self._operator = _operator_of_environment()
            atexit.register(self._leave_message_at_exit, os.getpid())
        self._has_begun = True

    def _leave_message_at_exit(self, process: int) -> None:
        # After an error the kubelet takes the end of the log in its place, which says why.
        if os.getpid() == process and not hasattr(sys, "last_value"):
            self._leave_message()

    def _leave_message(self) -> None:
        if self._speaks and self._told != _Told() and TERMINATION_LOG.exists():
            try:
                TERMINATION_LOG.write_text(self._told.as_message())
            except OSError as error:
                _log.warning("no termination message: %s", error)


@dataclass(eq=False)
class _Delivery:
    """One checkpoint on its way to the operator."""

    body: dict[str, Any]
    over: threading.Event = field(default_factory=threading.Event)
    """Set when it was acknowledged, refused for good, or replaced by a newer one."""


class _Operator:
    """The operator as seen from here: one daemon thread posts what is new and keeps the latest answer."""

    def __init__(self, link: _Link) -> None:
        self._link = link
        self._news = threading.Condition()
        self._report: dict[str, Any] = {}
        self._delivery: _Delivery | None = None
        self._answered: set[str] = set()
        self._wanted: Request | None = None
        self.pause = 0.0
        """Seconds to wait before the next message; grows while the operator cannot be reached, else 0."""
        self.stop = False
        """Whether the operator has said that this attempt must take no further step."""
        threading.Thread(target=self._run, name="trainpush-worker", daemon=True).start()

    def report(self, body: dict[str, Any]) -> None:
        with self._news:
            self._report = body
            self._news.notify()

    def saved(self, checkpoint: Checkpoint, request: str) -> _Delivery:
        """Begin to tell of a checkpoint, as the answer to the request with this id; empty where nobody asked."""
        is_operators = request not in ("", SUPERSEDED)
        delivery = _Delivery({**vars(checkpoint), "request": request if is_operators else ""})
        with self._news:
            if self._delivery:
                self._delivery.over.set()
            self._answered.add(request)
            self._delivery = delivery
            self._news.notify()
        return delivery

    def wanted(self) -> Request | None:
        if self.stop:
            return Request(SUPERSEDED, time.time(), "this attempt is over")
        wanted = self._wanted
        return wanted if wanted and wanted.id not in self._answered else None

    def _run(self) -> None:
        tried: _Delivery | None = None
        due = retry = 0.0
        while True:
            with self._news:
                while (now := time.monotonic()) < (until := self._next_at(due, retry, tried)):
                    self._news.wait(None if until == math.inf else until - now)
                delivery, body = self._delivery, self._report
            if delivery and (delivery is not tried or now >= retry):
                tried = delivery
                if self._post("/v1/saved", delivery.body, SAVED_SECONDS):
                    with self._news:
                        self._delivery = None if self._delivery is delivery else self._delivery
                    delivery.over.set()
                # Somebody waits for the answer to a request.
                retry = time.monotonic() + (min(self.pause, 1.0) if delivery.body["request"] else self.pause)
            else:
                self._post("/v1/report", body, REPORT_SECONDS)
                due = now + max(PERIOD_SECONDS, self.pause)

    def _next_at(self, due: float, retry: float, tried: _Delivery | None) -> float:
        """When the next message is to be posted: a new checkpoint at once, one that did not arrive at `retry`."""
        reporting = due if self._report else math.inf
        if self._delivery is None:
            return reporting
        return min(reporting, retry if self._delivery is tried else 0.0)

    def _post(self, path: str, body: dict[str, Any], seconds: float) -> bool:
        """Post a message and take the answer; whether a second try is needless."""
        try:
            status, answer = self._link.post(path, body, seconds)
            if status == http.HTTPStatus.OK:
                self._take(json.loads(answer))
                self.pause = 0.0
                return True
            trouble = f"{status}: {answer.decode(errors='replace').strip()[:200]}"
        except (OSError, http.client.HTTPException, ValueError, KeyError, TypeError, AttributeError) as error:
            status, trouble = 0, str(error) or type(error).__name__
        # The first may be a kept connection that was closed; of the others one is enough to read: training goes on.
        level = logging.WARNING if 0 < self.pause <= 1 else logging.DEBUG
        _log.log(level, "the operator does not take what is reported: %s", trouble)
        self.pause = min(PAUSE_MAX_SECONDS, max(1.0, 2 * self.pause)) * random.uniform(0.75, 1.0)  # noqa: S311
        return status in _REFUSED

    def _take(self, answer: dict[str, Any]) -> None:
        self.stop, wanted, self._wanted = answer["stop"] is True, answer["request"], None
        if wanted:
            # Python took the Z of RFC 3339 only from 3.11 on.
            deadline = datetime.fromisoformat(wanted["deadline"].replace("Z", "+00:00"))
            self._wanted = Request(wanted["id"], deadline.timestamp(), wanted["reason"])


class _Link:
    """One connection to the operator, kept open between messages and made anew after every trouble."""

    def __init__(self, url: str, authority: str, token_file: Path) -> None:
        parts = urlsplit(url)
        if parts.scheme != "https" or not parts.hostname:
            msg = f"TRAINPUSH_ENDPOINT is {url}: https://HOST:PORT is needed"
            raise ValueError(msg)
        self._host, self._port = parts.hostname, parts.port
        self._context = ssl.create_default_context(cadata=authority)
        self._token_file = token_file
        self._connection: http.client.HTTPSConnection | None = None

    def post(self, path: str, body: dict[str, Any], seconds: float) -> tuple[int, bytes]:
        """Status and body of the answer; each wait for the network takes at most so many seconds."""
        bearer = f"Bearer {self._token_file.read_text().strip()}"
        headers = {"Authorization": bearer, "Content-Type": "application/json"}
        connection = self._connection or http.client.HTTPSConnection(self._host, self._port, context=self._context)
        self._connection = None
        try:
            connection.timeout = seconds
            if connection.sock:
                connection.sock.settimeout(seconds)
            connection.request("POST", path, json.dumps(body, allow_nan=False), headers)
            answer = connection.getresponse()
            found = answer.status, answer.read(65_536)
            # One that says no may lead no longer: the next connection finds who does.
            if answer.status == http.HTTPStatus.OK and not answer.will_close:
                self._connection = connection
            return found
        finally:
            if self._connection is None:
                connection.close()


def _operator_of_environment() -> _Operator | None:
    url = os.environ.get("TRAINPUSH_ENDPOINT")
    if not url:
        return None
    try:
        authority, token_file = os.environ["TRAINPUSH_ENDPOINT_CA"], Path(os.environ["TRAINPUSH_TOKEN_FILE"])
        return _Operator(_Link(url, authority, token_file))
    except (KeyError, OSError, ValueError) as error:
        _log.warning("nothing is reported: %r", error)
        return None


def _plain(metrics: Mapping[str, Any]) -> dict[str, float | str]:
    """Metrics as the operator takes them: 32 at most; a number that JSON does not know becomes a text."""
    return {str(key)[:64]: _value(value) for key, value in list(metrics.items())[:32]}


def _value(value: Any) -> float | str:
    try:
        number = value if type(value) in (int, str) else float(value)
        return number if not isinstance(number, str) and math.isfinite(number) else str(number)[:256]
    except (ArithmeticError, RuntimeError, TypeError, ValueError):  # tensors raise more than numbers do
        return str(value)[:256]


def _grace_seconds() -> float:
    try:
        return float(os.environ["TRAINPUSH_GRACE_SECONDS"])
    except (KeyError, ValueError):
        return GRACE_SECONDS


_worker = Worker()
catch_sigterm = _worker.catch_sigterm
report = _worker.report
should_checkpoint = _worker.should_checkpoint
saved = _worker.saved
await_end = _worker.await_end
resume_info = _worker.resume_info
