"""What an engine and images need of this machine: Debian packages, mounts, commands that fail in one line."""

import os
import re
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from . import state
from .report import BedError
from .work import Work

# A file or program that tells whether a package is there. By that, and not by the package's name, a program from
# another source counts too, which Debian's package would throw out.
PACKAGES = {
    "buildah": "buildah",
    "dockerd": "docker.io",
    "ip": "iproute2",
    "mmdebstrap": "mmdebstrap",
    "/usr/share/keyrings/debian-archive-keyring.gpg": "debian-archive-keyring",
}


def check_root(what: str) -> None:
    """Refuse to go on without the rights that something needs where no Docker does it."""
    if os.geteuid() != 0:
        raise BedError(f"{what} takes root here: start Docker where it can pull images, or run this as root on Debian")


def install_packages() -> None:
    """Install what is missing of the packages that an engine and images of our own need."""
    with state.locked(state.cache() / ".packages.lock"):
        if missing := [name for sign, name in PACKAGES.items() if not shutil.which(sign) and not Path(sign).exists()]:
            _install(missing)
        if not shutil.which("docker"):
            _install(["docker-cli"])  # from Debian 13 on no part of docker.io


def _install(packages: list[str]) -> None:
    if os.geteuid() != 0 or not shutil.which("apt-get"):
        raise BedError(f"{', '.join(packages)} missing: install them, or run this as root on Debian or Ubuntu")
    work = Work("packages")
    work.say(f"installing {', '.join(packages)}")
    patience = "-oDPkg::Lock::Timeout=300"
    work.run("apt-get", patience, "update", "--quiet")
    with _nothing_started():
        work.run(
            "apt-get", patience, "install", "--yes", "--quiet", "--no-install-recommends", "--no-remove", *packages
        )


@contextmanager
def _nothing_started() -> Iterator[None]:
    """Keep packages from starting services: a Docker of this machine's own would stay, and make rules."""
    policy = Path("/usr/sbin/policy-rc.d")
    if policy.exists():
        yield
        return
    policy.write_text("#!/bin/sh\nexit 101\n")
    policy.chmod(0o755)
    try:
        yield
    finally:
        policy.unlink()


def run(*command: str | Path) -> str:
    """Run a command and return its output; a failure becomes a BedError with its last words."""
    words = [str(word) for word in command]
    environment = {**os.environ, "DEBIAN_FRONTEND": "noninteractive", "LC_ALL": "C.UTF-8"}
    try:
        answer = subprocess.run(words, capture_output=True, text=True, env=environment)
    except FileNotFoundError:
        raise BedError(f"{words[0]} is not on the PATH: install it, and have /usr/sbin on the PATH") from None
    if answer.returncode:
        last = (answer.stderr.strip() or answer.stdout.strip() or f"status {answer.returncode}").splitlines()[-1]
        raise BedError(f"{' '.join(words)[:200]} failed: {last}")
    return answer.stdout


def succeeds(*command: str | Path) -> bool:
    """Run a command and tell whether its status is 0."""
    try:
        run(*command)
    except BedError:
        return False
    return True


def overlay_works(folder: Path) -> bool:
    """Tell whether the kernel can stack file systems in this folder, which makes images cheap; needs root."""
    folder.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=folder) as place:
        lower, upper, work, merged = (Path(place) / part for part in ("lower", "upper", "work", "merged"))
        for part in (lower, upper, work, merged):
            part.mkdir()
        layers = f"lowerdir={lower},upperdir={upper},workdir={work}"
        works = succeeds("mount", "-t", "overlay", "overlay", "-o", layers, merged)
        if works:
            run("umount", merged)
        return works


def remove_folder(folder: Path) -> None:
    """Delete a folder after unmounting all that is mounted below it, so that no volume's content is deleted with it."""
    # In reverse order of mounting: later mounts may lie inside earlier ones.
    for mount in reversed(mounts_below(folder)):
        succeeds("umount", "--lazy", mount)
    left = mounts_below(folder)
    if left:
        raise BedError(f"cannot unmount {left[0]}: unmount it, then go on")
    if folder.exists():
        shutil.rmtree(folder)


def mounts_below(folder: Path) -> list[str]:
    """Mount points at or below a folder, in the order of mounting."""
    points = [line.split()[1] for line in Path("/proc/self/mounts").read_text().splitlines()]
    # The kernel writes blanks and the like as octal numbers.
    points = [re.sub(r"\\(\d{3})", lambda code: chr(int(code[1], 8)), point) for point in points]
    return [point for point in points if Path(point).is_relative_to(folder)]
