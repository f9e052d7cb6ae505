"""How many writes may be in flight at once, found out from how the API server answers."""

import asyncio
from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

START: Final = 4
MOST: Final = 8
"""More were no faster where it was measured (`make bench NAME=fill`), but everybody else's writes took longer."""
LEAST: Final = 1


class WriteLimit:
    """A bound on concurrent writes: one more after each window of successes, half when the server is overloaded.

    Source: AIMD congestion control, D. Chiu and R. Jain, 1989. A fixed rate would be too slow for an idle cluster and
    too fast for a busy one.
    """

    def __init__(self) -> None:
        """Start in the middle."""
        self.limit = START
        self._in_flight = 0
        self._successes = 0
        self._window = 0
        self._line: deque[asyncio.Future[None]] = deque()
        """Those that wait, who came first at its head."""

    async def __aenter__(self) -> int:
        """Wait for room, in line; the number returned goes to `overloaded` if the answer is bad."""
        if self._in_flight < self.limit and not self._line:
            self._in_flight += 1
            return self._window
        turn: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._line.append(turn)
        try:
            await turn
        except asyncio.CancelledError:
            if turn.done() and not turn.cancelled():
                self._leave()
            raise
        return self._window

    async def __aexit__(self, *_: object) -> None:
        """Make room for whoever is first in line."""
        self._leave()

    def _leave(self) -> None:
        """Hand the room over; more of them may go on, since the limit may just have grown."""
        self._in_flight -= 1
        while self._line and self._in_flight < self.limit:
            turn = self._line.popleft()
            if not turn.done():
                self._in_flight += 1
                turn.set_result(None)

    @contextmanager
    def learning(self, window: int, *overload: type[Exception]) -> Iterator[None]:
        """Takes note of how a request of `window` ends: any of `overload` is a bad answer, no error is a good one."""
        try:
            yield
        except overload:
            self.overloaded(window)
            raise
        self.succeeded()

    def succeeded(self) -> None:
        """Count one good answer; a whole window of them raises the limit by one."""
        self._successes += 1
        if self._successes >= self.limit:
            self._successes = 0
            self.limit = min(MOST, self.limit + 1)

    def overloaded(self, window: int) -> None:
        """Halve the limit, unless that was done since the request of `window` began: many answers are one sign."""
        if window == self._window:
            self.limit = max(LEAST, self.limit // 2)
            self._successes = 0
            self._window += 1
