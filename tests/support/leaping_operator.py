"""`python -m support.leaping_operator run`: the operator on a clock that leaps over the time in which nothing happens.

Nothing of the operator is replaced: it is given another clock, and a hook that it offers tells of each write.
While nodes are under way the clock runs `RATE` times as fast as ours. When none is, and the operator has neither
decided anything nor marked a node for `PAUSE_SECONDS`, the clock leaps to the moment for which it waits, but never
further than `LEAP`, so that it looks at the nodes several times a day whatever the calendar says.
$BEGIN is the first moment; the present one always stands in the file $CLOCK.
"""

import asyncio
import json
import math
import os
import time
from datetime import datetime, timedelta
from pathlib import Path
from typing import Final

from trainpush.controller.clock import Clock
from trainpush.controller.run import operate
from trainpush.controller.settings import Settings
from trainpush.kube.client import Written
from trainpush.render.modes import read
from trainpush.telemetry import logs

RATE: Final = 30
PAUSE_SECONDS: Final = 1.0
"""Longer than it is patient with changes before it decides, and than it reads nodes before it annotates the first."""
LEAP: Final = timedelta(hours=6)
SWITCH: Final = "training.ai/switch"


class LeapingClock(Clock):
    """Runs fast while something happens, and leaps while nothing does."""

    def __init__(self, begin: datetime, shown: Path) -> None:
        """Start at `begin`; what it says is written to `shown`."""
        self._at, self._read_at = begin, time.monotonic()
        self._shown = shown
        self._awaited = begin
        self._decided_at = time.monotonic()
        self._marked_at = math.inf  # to read and annotation every node for the first time takes longer than the pause
        self._under_way: set[str] = set()

    def now(self) -> datetime:
        """The present moment; later than any that was told before."""
        passed = time.monotonic() - self._read_at
        self._read_at += passed
        self._at += passed * RATE * timedelta(seconds=1)
        quiet = time.monotonic() - max(self._decided_at, self._marked_at)
        if not self._under_way and quiet >= PAUSE_SECONDS:
            self._at = max(self._at, min(self._awaited, self._at + LEAP))
        fresh = self._shown.with_suffix(".new")
        fresh.write_text(self._at.isoformat())
        fresh.replace(self._shown)
        return self._at

    def seconds_until(self, moment: datetime) -> float:
        """No longer than until it may leap."""
        self._decided_at, self._awaited = time.monotonic(), moment
        return min(PAUSE_SECONDS, (moment - self._at).total_seconds() / RATE)

    def note(self, written: Written) -> None:
        """Know which nodes are under way."""
        if written.kind == "Node":
            self._marked_at = time.monotonic()
            metadata = json.loads(written.answer)["metadata"]
            switch = read(metadata.get("annotations", {}).get(SWITCH))
            is_resting = switch is None or switch.is_resting
            (self._under_way.discard if is_resting else self._under_way.add)(metadata["name"])


def main() -> None:
    """Run the operator through a time of its own."""
    settings = Settings()
    logs.configure(level=settings.log_level, json=True)
    clock = LeapingClock(datetime.fromisoformat(os.environ["BEGIN"]), Path(os.environ["CLOCK"]))
    asyncio.run(operate(settings, clock.note, clock))


if __name__ == "__main__":
    main()
