"""When and where something was measured."""

import os
import platform
import subprocess
from datetime import UTC, datetime
from pathlib import Path


def circumstances() -> dict[str, str]:
    """Commit, date (UTC) and machine."""
    cpu = next((line for line in _lines("/proc/cpuinfo") if line.startswith("model name")), ": ").partition(": ")[2]
    memory = int(next(line for line in _lines("/proc/meminfo") if line.startswith("MemTotal")).split()[1]) >> 20
    machine = (
        f"{os.cpu_count()} x {cpu or platform.machine()}, {memory} GiB, Linux {platform.release()}, "
        f"Python {platform.python_version()}"
    )
    return {"commit": _commit(), "date": datetime.now(UTC).date().isoformat(), "machine": machine}


def _lines(path: str) -> list[str]:
    return Path(path).read_text().splitlines()


def _commit() -> str:
    """Short; `-dirty` where anything but recorded results is not as committed: a recording changes these itself."""
    commit = _git("rev-parse", "--short", "HEAD")
    changed = _git("status", "--porcelain", "--", ":/", ":(top,exclude)docs/results*")
    return f"{commit}{'-dirty' if changed else ''}" if commit else "unknown"


def _git(*words: str) -> str:
    return subprocess.run(["git", *words], cwd=Path(__file__).parent, capture_output=True, text=True).stdout.strip()
