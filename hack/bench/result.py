"""What a benchmark found, and on which machine."""

import os
import platform
import subprocess
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path


@dataclass(frozen=True)
class Result:
    """One figure, of which less is better, and what it is made of."""

    value: float
    unit: str
    goal: float
    details: Mapping[str, object] = field(default_factory=dict)
    missed: Sequence[str] = ()
    """Those of the details that miss a goal of their own."""

    @property
    def holds(self) -> bool:
        """Whether every goal is met."""
        return self.value <= self.goal and not self.missed


def circumstances() -> dict[str, str]:
    """Commit and machine."""
    cpu = next((line for line in _lines("/proc/cpuinfo") if line.startswith("model name")), ": ").partition(": ")[2]
    memory = int(next(line for line in _lines("/proc/meminfo") if line.startswith("MemTotal")).split()[1]) >> 20
    machine = (
        f"{os.cpu_count()} x {cpu or platform.machine()}, {memory} GiB, Linux {platform.release()}, "
        f"Python {platform.python_version()}"
    )
    return {"commit": _commit(), "machine": machine}


def _lines(path: str) -> list[str]:
    return Path(path).read_text().splitlines()


def _commit() -> str:
    described = subprocess.run(
        ["git", "describe", "--always", "--dirty"], cwd=Path(__file__).parent, capture_output=True, text=True
    )
    return described.stdout.strip() or "unknown"
