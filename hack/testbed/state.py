"""What a bed remembers between two runs: its number, its ports, what it was last asked to be."""

import fcntl
import hashlib
import ipaddress
import json
import os
import random
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field, fields
from pathlib import Path

from .report import BedError

BEDS = 40
# Below the kernel's range for outgoing connections, which could otherwise take a port while its owner restarts.
PORTS = range(20000, 32000)


def cache() -> Path:
    """The folder that holds beds, binaries and images: `TRAINPUSH_CACHE`, else trainpush/ in the user's cache."""
    given = os.environ.get("TRAINPUSH_CACHE")
    if given:
        return Path(given).absolute()
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache").absolute() / "trainpush"


def beds_folder() -> Path:
    """The folder that holds one folder per bed."""
    return cache() / "beds"


@contextmanager
def locked(file: Path) -> Iterator[None]:
    """Hold an exclusive lock on a file for the length of a `with` block; waits for other processes."""
    file.parent.mkdir(parents=True, exist_ok=True)
    with file.open("w") as handle:
        fcntl.flock(handle, fcntl.LOCK_EX)
        yield


@dataclass
class State:
    """The memory of one bed, kept as state.json in its folder.

    `index` (0 to 39) sets its addresses apart from those of other beds; `layer` is the most that was asked for since
    the bed came up, so that a smaller request does not take anything away; `workers` are those of a cluster of kind,
    which `is_complete` once all of it was made.
    """

    index: int
    layer: int = 0
    workers: int = 0
    is_complete: bool = False
    ports: dict[str, int] = field(default_factory=dict)

    @property
    def pod_range(self) -> str:
        """Addresses of pods, as a /16."""
        return f"10.{200 + self.index}.0.0/16"

    @property
    def service_range(self) -> str:
        """Addresses of Services, as a /16."""
        return f"10.{140 + self.index}.0.0/16"

    def port(self, part: str) -> int:
        """The port of a part, chosen free at the first question and remembered."""
        if part not in self.ports:
            self.ports[part] = _free_port(set(self.ports.values()))
        return self.ports[part]


def read(folder: Path) -> State | None:
    """Return what the bed in this folder remembers, None when there is nothing; what another version added is left."""
    try:
        found = json.loads((folder / "state.json").read_text())
    except FileNotFoundError:
        return None
    known = {part.name for part in fields(State)}
    return State(**{name: value for name, value in found.items() if name in known})


def write(folder: Path, state: State) -> None:
    """Remember; a reader sees either the old state or the new one."""
    partial = folder / "state.json.new"
    partial.write_text(json.dumps(asdict(state), indent=2) + "\n")
    partial.replace(folder / "state.json")


def begin(folder: Path) -> None:
    """Let a bed start anew; it keeps its number and its ports where nobody else has taken them."""
    with locked(beds_folder() / ".lock"):
        others = [read(file.parent) for file in beds_folder().glob("*/state.json") if file.parent != folder]
        taken = {other.index for other in others if other} | routed()
        free = [index for index in range(BEDS) if index not in taken]
        if not free:
            raise BedError(f"all {BEDS} bed numbers are taken: remove beds with `down --purge` ({beds_folder()})")
        folder.mkdir(parents=True, exist_ok=True)
        old = read(folder) or State(index=free[0])
        ports = {part: port for part, port in old.ports.items() if is_free(port)}
        write(folder, State(index=old.index if old.index in free else free[0], ports=ports))


def routed() -> set[int]:
    """Bed numbers whose pods this machine already routes somewhere, for instance a bed of another user."""
    return {index for index in range(BEDS) if is_routed(State(index).pod_range)}


def is_routed(subnet: str) -> bool:
    """Tell whether this machine routes some address of a subnet somewhere."""
    lines = Path("/proc/net/route").read_text().splitlines()[1:]
    # The kernel prints addresses as little-endian numbers in hexadecimal.
    targets = [ipaddress.ip_address(int.from_bytes(bytes.fromhex(line.split()[1]), "little")) for line in lines]
    return any(target in ipaddress.ip_network(subnet) for target in targets)


def mark(folder: Path) -> str:
    """Eight hexadecimal digits, a folder's own on this machine: for names of what lives outside of it."""
    return hashlib.sha256(str(folder).encode()).hexdigest()[:8]


def _free_port(taken: set[int]) -> int:
    for port in random.sample(PORTS, k=200):
        if port not in taken and is_free(port):
            return port
    raise BedError(f"no free port between {PORTS.start} and {PORTS.stop}: stop what listens there")


def is_free(port: int) -> bool:
    """Tell whether nobody listens on this port, on any address of this machine."""
    with socket.socket() as probe:
        # Like the servers that will listen here: connections in their last minute do not count.
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("0.0.0.0", port))  # noqa: S104 (bound for a moment, never listened on)
        except OSError:
            return False
    return True
