"""What a bed leaves on the machine when it is taken down, and when the run that uses it is killed."""

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from support.figures import Figures
from support.operator_process import ROOT
from support.wait import until
from testbed import builds, images

USE = """
import signal
from testbed import KindBed, held

with held(KindBed("doomed")) as bed:
    bed.up(workers=3)
    bed.route()
    bed.load_image("busybox")
    print("up", flush=True)
    signal.pause()
"""
TRACES = {
    "mounts": ["cat", "/proc/mounts"],
    "namespaces": ["ip", "netns"],
    "interfaces": ["sh", "-c", "ls /sys/class/net"],
    "routes": ["ip", "route"],
    "rules of the firewall": ["sh", "-c", "iptables-save | sed '/^#/d; s/ *\\[.*\\]//'"],
    "control groups": ["sh", "-c", "ls -d /sys/fs/cgroup/trainpush* /sys/fs/cgroup/*/trainpush* 2>/dev/null; true"],
}


@pytest.fixture
def cache(tmp_path: Path) -> Iterator[Path]:
    """A cache of its own, and so an engine, beside all other beds; programs and images are those of this machine."""
    for place in (builds.folder().parent, images.folder()):
        (tmp_path / place.name).symlink_to(place)
    yield tmp_path
    subprocess.run(["rm", "-rf", tmp_path / "engine"], check=True)


@pytest.mark.story(long=True)
async def test_story_leftovers(cache: Path, figures: Figures) -> None:
    """A run with three workers that is killed whole leaves nothing: its watch takes bed and engine down."""
    before = traces()
    meanwhile = use_and_kill(cache)
    await until(lambda: not processes_of(cache), "no process is left", seconds=120)
    after = traces()
    for what, lines in before.items():
        figures.add(f"{what}: more while it was up", len(meanwhile[what] - lines))
        figures.add(f"{what}: more afterwards", len(after[what] - lines), 0)
    assert after == before
    assert not list((cache / "engine").glob("users/*"))


def use_and_kill(cache: Path) -> dict[str, set[str]]:
    """The traces of a run while its bed is up; then it is killed."""
    here = {**os.environ, "PYTHONPATH": str(ROOT / "hack"), "TRAINPUSH_CACHE": str(cache)}
    command = [sys.executable, "-c", USE]
    with subprocess.Popen(command, env=here, stdout=subprocess.PIPE, text=True, start_new_session=True) as run:
        try:
            said = run.stdout.readline() if run.stdout else ""
            found = traces()
        finally:
            os.killpg(run.pid, signal.SIGKILL)
    assert said == "up\n"
    return found


def traces() -> dict[str, set[str]]:
    """Lines by kind of what a bed could leave."""
    return {what: set(subprocess.check_output(command, text=True).splitlines()) for what, command in TRACES.items()}


def processes_of(cache: Path) -> list[str]:
    """Command lines and environments of all processes that name this cache."""
    found = []
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            words = (folder / "cmdline").read_bytes() + (folder / "environ").read_bytes()
        except OSError:
            continue
        if str(cache).encode() in words:
            found.append(folder.name)
    return found
