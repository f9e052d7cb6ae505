"""Clients that ask a model server all the time, and never ask twice for the same answer."""

import http.client
import json
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

IMAGE = json.dumps({"inputs": [{"name": "IMAGE", "datatype": "FP32", "shape": [1, 64], "data": [0.0] * 64}]})
PATIENCE_SECONDS = 20
"""A request that takes longer has failed."""


@dataclass
class Traffic:
    """What became of all requests."""

    seconds: list[float] = field(default_factory=list)
    """How long each answered request took."""
    failures: list[str] = field(default_factory=list)
    """Why each other request failed."""
    began: float = field(default_factory=time.monotonic)
    ended: float = 0.0

    @property
    def rate(self) -> float:
        """Requests per second."""
        return (len(self.seconds) + len(self.failures)) / ((self.ended or time.monotonic()) - self.began)

    def percentile(self, share: float) -> float:
        """Seconds within which this share (0..1) of the answers came."""
        return sorted(self.seconds)[int(share * (len(self.seconds) - 1))]


@contextmanager
def traffic(host: str, model: str, clients: int = 10, rate: float = 60.0) -> Iterator[Traffic]:
    """Requests at `rate` per second in all, from `clients` threads: half keep their connection, half make a new one."""
    seen, over = Traffic(), threading.Event()
    threads = [
        threading.Thread(target=_ask, args=(host, model, clients / rate, number % 2 == 0, seen, over))
        for number in range(clients)
    ]
    for thread in threads:
        thread.start()
    try:
        yield seen
    finally:
        over.set()
        for thread in threads:
            thread.join(timeout=PATIENCE_SECONDS + 5)
        seen.ended = time.monotonic()


def _ask(host: str, model: str, pause: float, keeps: bool, seen: Traffic, over: threading.Event) -> None:
    # http.client sends each request once, and opens a new connection only after the server has announced the end
    # of the old one; a connection that breaks is a failure.
    connection = http.client.HTTPConnection(host, 80, timeout=PATIENCE_SECONDS)
    due = time.monotonic()
    while not over.is_set():
        started = time.monotonic()
        try:
            connection.request("POST", f"/v2/models/{model}/infer", IMAGE, {"Content-Type": "application/json"})
            answer = connection.getresponse()
            body = answer.read()
            if answer.status != http.HTTPStatus.OK or not json.loads(body)["outputs"]:
                seen.failures.append(f"{answer.status}: {body[:200]!r}")
            else:
                seen.seconds.append(time.monotonic() - started)
        except (OSError, http.client.HTTPException, ValueError, KeyError) as error:
            kind = "kept" if keeps else "new"
            seen.failures.append(f"{kind} connection, after {time.monotonic() - started:.2f} s: {error!r}")
            connection.close()
        if not keeps:
            connection.close()
        due = max(due + pause, time.monotonic() - 1)
        over.wait(max(0.0, due - time.monotonic()))
    connection.close()
