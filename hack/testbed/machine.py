"""What real nodes need of this machine: Debian packages, mounts, and running commands with one-line errors."""

import os
import re
import shutil
import subprocess
import tempfile
from pathlib import Path

from .report import BedError
from .work import Work

CNI_PLUGINS = Path("/usr/lib/cni")
# A file or program that tells whether a package is there. By that, and not by the package's name, containerd from
# another source counts too, which Debian's package would throw out.
PACKAGES = {
    "buildah": "buildah",
    "containerd": "containerd",
    "ip": "iproute2",
    "mmdebstrap": "mmdebstrap",
    "nft": "nftables",
    "runc": "runc",
    str(CNI_PLUGINS / "bridge"): "containernetworking-plugins",
    "/usr/share/keyrings/debian-archive-keyring.gpg": "debian-archive-keyring",
}


def check_root() -> None:
    """Refuse to go on without the rights that real nodes and their images need."""
    if os.geteuid() != 0:
        raise BedError("real nodes need root: run this as root, or without real nodes")


def install_packages() -> None:
    """Install what is missing of the packages that real nodes and images need."""
    missing = [package for sign, package in PACKAGES.items() if not shutil.which(sign) and not Path(sign).exists()]
    if not missing:
        return
    if os.geteuid() != 0 or not shutil.which("apt-get"):
        raise BedError(f"real nodes need {', '.join(missing)}: install them, or run this as root on Debian or Ubuntu")
    work = Work("packages")
    work.say(f"installing {', '.join(missing)}")
    patience = "-oDPkg::Lock::Timeout=300"
    work.run("apt-get", patience, "update", "--quiet")
    work.run("apt-get", patience, "install", "--yes", "--quiet", "--no-install-recommends", "--no-remove", *missing)


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
