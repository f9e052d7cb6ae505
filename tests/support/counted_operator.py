"""`python -m support.counted_operator run`: the operator, which tells how many tasks of asyncio it has when asked.

Nothing of the operator is replaced: at SIGUSR1 the number is written to the file $COUNTED. Tasks of all its loops
count, that of kopf too.
"""

import asyncio
import gc
import os
import signal
from pathlib import Path

from trainpush.controller.run import operate
from trainpush.controller.settings import Settings
from trainpush.telemetry import logs


def _tell(*_: object) -> None:
    shown = Path(os.environ["COUNTED"])
    fresh = shown.with_suffix(".new")
    fresh.write_text(str(sum(isinstance(thing, asyncio.Task) and not thing.done() for thing in gc.get_objects())))
    fresh.replace(shown)


def main() -> None:
    """Run the operator as it is."""
    settings = Settings()
    logs.configure(level=settings.log_level, json=True)
    signal.signal(signal.SIGUSR1, _tell)
    asyncio.run(operate(settings))


if __name__ == "__main__":
    main()
