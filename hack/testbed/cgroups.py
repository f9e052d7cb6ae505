"""The control group of a real node: it holds every process of the node's containers and none other.

A kubelet takes processes in its group that it does not know for orphans. So each node has a group of its own.
"""

import contextlib
import os
import signal
import time
from pathlib import Path

from .report import BedError

ROOT = Path("/sys/fs/cgroup")


def create(name: str) -> None:
    """Make a node's group in every hierarchy; an existing one is left alone."""
    for group in _groups(name):
        group.mkdir(exist_ok=True)
        # A new cpuset of cgroup v1 is empty, and nothing may run in it until it has CPUs and memory.
        for file in ("cpuset.cpus", "cpuset.mems"):
            if not _is_unified() and (group / file).exists():
                (group / file).write_text((group.parent / file).read_text())


def remove(name: str) -> None:
    """Kill every process of the group and remove it, with the groups of pods and containers in it."""
    deadline = time.monotonic() + 10
    while left := processes(name):
        if time.monotonic() > deadline:
            raise BedError(f"process {min(left)} of {name} does not end, not even by SIGKILL: see `dmesg`")
        for pid in left:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        time.sleep(0.02)
    for group in _groups(name):
        for folder in reversed(_with_children(group)):
            folder.rmdir()


def processes(name: str) -> set[int]:
    """Process ids in the group, at any depth and in any hierarchy."""
    folders = [folder for group in _groups(name) for folder in _with_children(group)]
    return {int(pid) for folder in folders for pid in (folder / "cgroup.procs").read_text().split()}


def _groups(name: str) -> list[Path]:
    """The group's folder in each hierarchy: one in cgroup v2, one per controller in v1."""
    hierarchies = [ROOT] if _is_unified() else [part for part in sorted(ROOT.iterdir()) if not part.is_symlink()]
    return [hierarchy / name for hierarchy in hierarchies if (hierarchy / "cgroup.procs").exists()]


def _is_unified() -> bool:
    return (ROOT / "cgroup.controllers").exists()


def _with_children(group: Path) -> list[Path]:
    """A group and all groups in it, outer ones first."""
    return [Path(folder) for folder, _, _ in os.walk(group)]
