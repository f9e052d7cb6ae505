"""The control group of an engine: it holds every process of its containers and none other, also when it is dead."""

import contextlib
import os
import signal
import time
from pathlib import Path

from .report import BedError

ROOT = Path("/sys/fs/cgroup")


def remove(name: str) -> None:
    """Kill every process of the group and remove it, with all groups in it; they may go meanwhile."""
    deadline = time.monotonic() + 10
    while _groups(name):
        left = processes(name)
        for pid in left:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        for group in _groups(name):
            for folder in reversed(_with_children(group)):
                with contextlib.suppress(OSError):
                    folder.rmdir()
        if time.monotonic() > deadline:
            raise BedError(f"the control group {name} does not go, with processes {sorted(left)}: see `dmesg`")
        time.sleep(0.02)


def processes(name: str) -> set[int]:
    """Process ids in the group, at any depth and in any hierarchy."""
    folders = [folder for group in _groups(name) for folder in _with_children(group)]
    return {int(pid) for folder in folders for pid in _processes_in(folder)}


def _processes_in(folder: Path) -> list[str]:
    try:
        return (folder / "cgroup.procs").read_text().split()
    except OSError:  # the group has gone
        return []


def _groups(name: str) -> list[Path]:
    """The group's folder in each hierarchy that has one: there is one in cgroup v2, one per controller in v1."""
    hierarchies = [ROOT] if _is_unified() else [part for part in sorted(ROOT.iterdir()) if not part.is_symlink()]
    return [hierarchy / name for hierarchy in hierarchies if (hierarchy / name).exists()]


def _is_unified() -> bool:
    return (ROOT / "cgroup.controllers").exists()


def _with_children(group: Path) -> list[Path]:
    """A group and all groups in it, outer ones first."""
    return [Path(folder) for folder, _, _ in os.walk(group)]
