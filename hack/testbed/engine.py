"""The container engine in which kind's nodes run: the one that answers, else Debian's for as long as a bed needs it.

Debian's engine leaves this machine's firewall and routing as they are: its containers reach one another and this
machine over one bridge, and nothing else.
"""

import functools
import os
import shlex
import shutil
import subprocess
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path

from . import cgroups, machine, processes, state
from .report import BedError, step

NETWORK = "kind"
"""The network of all clusters of kind; kind makes it where it is missing."""
SUBNETS = [f"10.{number}.0.0/16" for number in range(180, 200)]
WRAPPER = Path(__file__).parent / "runc-without-sys-resource.sh"
CAP_SYS_RESOURCE = 24
# It would take this machine's containerd for its own, and that one does not see what it mounts.
WITH_OWN_CONTAINERD = 'if [ -d /run/containerd ]; then mount -t tmpfs tmpfs /run/containerd; fi; exec "$@"'


@dataclass(frozen=True)
class Engine:
    """An engine that answers. `socket` is None for the one that the environment names, which is somebody else's."""

    socket: Path | None = None

    @property
    def is_shut_in(self) -> bool:
        """Whether its containers reach nothing outside, names neither."""
        return self.socket is not None

    @property
    def environment(self) -> dict[str, str]:
        """What a program must find in its environment to reach it."""
        return {"DOCKER_HOST": f"unix://{self.socket}"} if self.socket else {}

    def docker(self, *arguments: str | Path) -> str:
        """Run the docker command and return its output; what it says on failure becomes a BedError."""
        command = ["docker", *map(str, arguments)]
        try:
            answer = subprocess.run(command, capture_output=True, text=True, env=os.environ | self.environment)
        except FileNotFoundError:
            raise BedError("there is no docker command: install docker.io, or Docker") from None
        if answer.returncode:
            raise BedError(f"docker {' '.join(command[1:])}: {answer.stderr.strip()}")
        return answer.stdout

    def wrapped(self, program: Path, folder: Path) -> Path:
        """A script in this folder that runs a program which finds this engine."""
        script = folder / program.name
        folder.mkdir(parents=True, exist_ok=True)
        words = ["exec", "env", *(f"{name}={value}" for name, value in self.environment.items()), str(program)]
        partial = script.with_suffix(f".{os.getpid()}")
        partial.write_text(f'#!/bin/sh\n{shlex.join(words)} "$@"\n')
        partial.chmod(0o755)
        partial.replace(script)
        return script

    def has_image(self, name: str) -> bool:
        """Tell whether an image is there, without asking a registry."""
        return _answers(self) and bool(self.docker("images", "--quiet", name).strip())

    def pulls(self, name: str) -> bool:
        """Pull an image, and tell whether that went well. Our own engine reaches no registry, and is not asked."""
        return not self.is_shut_in and machine.succeeds("docker", "pull", "--quiet", name)


def take(user: str) -> Engine:
    """Return the engine that answers; start Debian's if there is none. It runs until every `user` has left."""
    with _locked():
        if not _is_running() and _answers(Engine()):
            return Engine()
        is_first = not any(_users().glob("*"))
        _users().mkdir(parents=True, exist_ok=True)
        (_users() / user).touch()
        try:
            _start(is_first)
        except BaseException:
            _leave(user)
            raise
    return _own()


def current() -> Engine:
    """Debian's engine where it was taken, else the one that the environment names."""
    return _own() if _is_running() else Engine()


def runs() -> bool:
    """Tell whether any engine answers."""
    return _answers(current())


def is_taken(user: str) -> bool:
    """Tell whether a user has taken Debian's engine, be it alive or not."""
    return (_users() / user).exists()


def leave(user: str) -> None:
    """Give back what `take` gave; the last one to leave ends Debian's engine, with all that it made but its images."""
    with _locked():
        _leave(user)


def _leave(user: str) -> None:
    (_users() / user).unlink(missing_ok=True)
    if not any(_users().glob("*")):
        _remove_containers()
        _end()


def _start(is_first: bool) -> None:
    if not _is_running():
        machine.check_root("a container engine")
        machine.install_packages()
        _end()
        step("starting a container engine")
        _run_folder().mkdir(parents=True, exist_ok=True)
        processes.start(_folder(), "dockerd", _command())
    processes.wait_until("dockerd's start", lambda: _answers(_own()), 60, _folder(), "dockerd")
    if is_first:
        _remove_containers()  # of somebody who was killed with the engine
    if NETWORK not in _own().docker("network", "ls", "--format={{.Name}}").split():
        bridge = f"--opt=com.docker.network.bridge.name={_bridge()}"
        _own().docker("network", "create", f"--subnet={_free_subnet()}", bridge, NETWORK)


def _remove_containers() -> None:
    if _is_running() and (left := _own().docker("ps", "--all", "--quiet").split()):
        _own().docker("rm", "--force", "--volumes", *left)


def _command() -> list[str | Path]:
    data = _folder() / "data"
    driver = "overlay2" if machine.overlay_works(data) else "vfs"
    command: list[str | Path] = [
        # What it mounts is gone with it.
        *("unshare", "--mount", "--propagation=slave", "--", "sh", "-c", WITH_OWN_CONTAINERD, "dockerd", "dockerd"),
        f"--data-root={data}",
        f"--exec-root={_run_folder()}/exec",
        f"--pidfile={_run_folder()}/dockerd.pid",
        f"--host=unix://{_own().socket}",
        f"--storage-driver={driver}",
        f"--cgroup-parent=/{_cgroup()}",
        "--exec-opt=native.cgroupdriver=cgroupfs",
        # Its own rules would cut off whatever else this machine forwards.
        *("--bridge=none", "--iptables=false", "--ip6tables=false", "--ip-forward=false", "--ip-masq=false"),
        "--log-level=warn",
    ]
    if _lacks(CAP_SYS_RESOURCE):
        wrapper = shutil.copy2(WRAPPER, _folder())
        command += [f"--add-runtime=sandbox={wrapper}", "--default-runtime=sandbox"]
    return command


def _end() -> None:
    """End the engine and whatever a crash of it has left."""
    processes.stop(_folder(), "dockerd")
    processes.sweep(_folder())
    cgroups.remove(_cgroup())
    if Path("/sys/class/net", _bridge()).exists():
        machine.run("ip", "link", "delete", _bridge())
    machine.remove_folder(_run_folder())


def _answers(engine: Engine) -> bool:
    return bool(shutil.which("docker")) and machine.succeeds(
        "env", *(f"{name}={value}" for name, value in engine.environment.items()), "docker", "version"
    )


def _is_running() -> bool:
    return processes.is_running(_folder(), "dockerd")


def _own() -> Engine:
    return Engine(_run_folder() / "docker.sock")


def _lacks(capability: int) -> bool:
    """Whether no process here may have this capability (its number in the kernel)."""
    (line,) = (line for line in Path("/proc/self/status").read_text().splitlines() if line.startswith("CapBnd:"))
    return not int(line.split()[1], 16) >> capability & 1


def _folder() -> Path:
    """Images and the log; they outlive the engine."""
    return state.cache() / "engine"


def _users() -> Path:
    return _folder() / "users"


@functools.cache
def _run_folder() -> Path:
    """Sockets; a path of at most 107 characters."""
    return Path(f"/run/trainpush/engine-{state.mark(_folder())}")


def _bridge() -> str:
    """The interface by which containers reach one another and this machine."""
    return f"tp{state.mark(_folder())}"


def _free_subnet() -> str:
    free = [subnet for subnet in SUBNETS if not state.is_routed(subnet)]
    if not free:
        raise BedError(f"all of {SUBNETS[0]} to {SUBNETS[-1]} is in use: free some, or start Docker yourself")
    return free[0]


def _cgroup() -> str:
    """The control group of all containers."""
    return f"trainpush-engine-{state.mark(_folder())}"


def _locked() -> AbstractContextManager[None]:
    return state.locked(state.cache() / ".engine.lock")
