"""A bed for as long as somebody needs it, and no longer: not even when that somebody is killed."""

import fcntl
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TextIO, TypeVar

from . import state
from .bed import Bed
from .report import BedError

AnyBed = TypeVar("AnyBed", bound=Bed)
PATIENCE_SECONDS = 60.0
"""For the end of another one's use, which may be taking the bed down."""


@contextmanager
def held(bed: AnyBed) -> Iterator[AnyBed]:
    """Hold a bed, which is down at first and in the end, and which nobody else holds meanwhile.

    A process of its own waits for the death of this one, and then takes the bed down.
    """
    with _lock_file(bed.name).open("w") as lock:
        _take(lock, bed.name)
        command = [sys.executable, "-m", "testbed", "down", f"--name={bed.name}", "--when-free"]
        here = {**os.environ, "PYTHONPATH": str(Path(__file__).parents[1])}
        log = (state.beds_folder() / f".{bed.name}.watch.log").open("w")
        with (
            log,
            subprocess.Popen(
                command, env=here, stdin=subprocess.DEVNULL, stdout=log, stderr=log, start_new_session=True
            ) as watch,
        ):
            try:
                bed.down()
                try:
                    yield bed
                finally:
                    bed.down()
            finally:
                watch.kill()


def wait_until_free(name: str) -> TextIO:
    """Wait until nobody holds a bed, and hold it from then on, as long as what is returned stays open."""
    lock = _lock_file(name).open("w")
    fcntl.flock(lock, fcntl.LOCK_EX)
    return lock


def _take(lock: TextIO, name: str) -> None:
    deadline = time.monotonic() + PATIENCE_SECONDS
    while True:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            if time.monotonic() > deadline:
                raise BedError(f"bed {name} is in use: wait for the end of the other run, or end it") from None
            time.sleep(0.2)
        else:
            return


def _lock_file(name: str) -> Path:
    state.beds_folder().mkdir(parents=True, exist_ok=True)
    return state.beds_folder() / f".{name}.held"
