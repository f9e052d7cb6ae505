"""Work that takes minutes, one piece beside another: each says what it does, and keeps a log of all of it."""

import os
import subprocess
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor, as_completed
from pathlib import Path

from . import state
from .report import BedError, step

SECONDS_BETWEEN_LINES = 15.0
WIDTH = 100
"""Of what a command said last, in characters."""
_broken_off = threading.Event()


class Work:
    """A piece of work by name; its log, logs/NAME.log in the cache, begins anew each time."""

    def __init__(self, name: str) -> None:
        """Begin."""
        self.name = name
        self.log = state.cache() / "logs" / f"{name.replace(' ', '-')}.log"
        self.log.parent.mkdir(parents=True, exist_ok=True)
        self.log.write_bytes(b"")
        self._begun = time.monotonic()

    def say(self, text: str) -> None:
        """Print a line of progress."""
        step(f"{self.name}: {text}")

    def end(self) -> None:
        """Say how long all of it took."""
        self.say(f"done in {time.monotonic() - self._begun:.0f} s")

    def run(
        self,
        *command: str | Path,
        tell: Callable[[str], str] | None = None,
        folder: Path | None = None,
        **environment: str,
    ) -> str:
        """Run a command to its end and return its output, which the log gets too.

        While it runs, every 15 s one line says how far it is: what `tell` makes of the output, else the last words.
        A failure becomes a BedError with the last words and the log's path.
        """
        words = [str(word) for word in command]
        everything = {**os.environ, "DEBIAN_FRONTEND": "noninteractive", "LC_ALL": "C.UTF-8", **environment}
        begin = self.log.stat().st_size
        try:
            with self.log.open("ab") as log:
                process = subprocess.Popen(
                    words, stdin=subprocess.DEVNULL, stdout=log, stderr=log, cwd=folder, env=everything
                )
        except FileNotFoundError:
            raise BedError(f"{words[0]} is not on the PATH: install it, and have /usr/sbin on the PATH") from None
        said_at = time.monotonic()
        while not _ends(process):
            if time.monotonic() > said_at + SECONDS_BETWEEN_LINES:
                said_at = time.monotonic()
                self.say((tell or _last_words)(self._said_since(begin)))
        said = self._said_since(begin)
        if process.returncode:
            raise BedError(f"{self.name} failed: {_last_words(said)} (all of it: {self.log})")
        return said

    def _said_since(self, begin: int) -> str:
        with self.log.open("rb") as log:
            log.seek(begin)
            return log.read().decode(errors="replace")


def side_by_side(*works: Callable[[], None]) -> None:
    """Do several things at once. When one fails, the commands of the others are ended and its error is raised."""
    try:
        with ThreadPoolExecutor(len(works)) as pool:
            try:
                for done in as_completed([pool.submit(work) for work in works]):
                    done.result()
            except BaseException:
                _broken_off.set()
                raise
    finally:
        _broken_off.clear()


def _ends(process: subprocess.Popen[bytes]) -> bool:
    """Wait a moment and tell whether a process has ended; it is made to when the work is broken off."""
    if _broken_off.is_set():
        process.terminate()
    try:
        process.wait(timeout=0.2)
    except subprocess.TimeoutExpired:
        return False
    return True


def _last_words(said: str) -> str:
    lines = [line for line in said.splitlines() if line.strip()]
    return lines[-1].strip()[:WIDTH] if lines else "begins"
