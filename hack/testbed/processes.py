"""The running parts of a bed: started in sessions of their own, found again and stopped by process id.

Every part carries a mark in its environment (which bed, which part, which command line). The pid file only says where
to look: a process is ours when it bears the mark, so a recycled process id is never signalled, and what a crash left
behind without a pid file is found all the same.
"""

import contextlib
import hashlib
import os
import signal
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from .report import BedError

MARK = "TRAINPUSH_TESTBED"
# Proxies in particular must not be inherited: they would swallow what the parts say to one another.
INHERITED = ("PATH", "HOME", "TMPDIR", "LANG")

_children: set[int] = set()


@dataclass(frozen=True)
class Part:
    """One running process of a bed; `since` is the time of its start in seconds since 1970, `memory` resident bytes."""

    pid: int
    since: float
    memory: int


def start(bed_dir: Path, name: str, argv: Sequence[str | Path], env: Mapping[str, str] | None = None) -> bool:
    """See to it that a part runs with this command line and tell whether it had to be started.

    A part that runs with another command line is stopped first. Its output goes to logs/NAME.log.
    """
    if is_running(bed_dir, name, argv, env):
        return False
    stop(bed_dir, name)
    mark = _mark(bed_dir, name, argv, env)
    log = log_file(bed_dir, name)
    for file in (log, _pid_file(bed_dir, name)):
        file.parent.mkdir(parents=True, exist_ok=True)
    inherited = {key: os.environ[key] for key in INHERITED if key in os.environ}
    environment = {**inherited, **(env or {}), MARK: mark.removeprefix(f"{MARK}=")}
    pid = _spawn([str(word) for word in argv], environment, log)
    _pid_file(bed_dir, name).write_text(f"{pid}\n")
    # The kernel shows a new program's environment a moment after it has begun.
    while mark not in _environment(pid) and not _has_exited(pid):
        time.sleep(0.001)
    return True


def stop(bed_dir: Path, name: str) -> None:
    """Stop a part: SIGTERM, then after 5 seconds SIGKILL to it and its process group. No part, no error."""
    pid = _pid(bed_dir, name)
    if pid is not None:
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGTERM)
        if not _ends(pid, 5):
            with contextlib.suppress(ProcessLookupError):
                os.killpg(pid, signal.SIGKILL)
            if not _ends(pid, 10):
                raise BedError(f"{name} (process {pid}) does not end, not even by SIGKILL: see `dmesg`")
    _pid_file(bed_dir, name).unlink(missing_ok=True)


def is_running(
    bed_dir: Path, name: str, argv: Sequence[str | Path] | None = None, env: Mapping[str, str] | None = None
) -> bool:
    """Tell whether a part runs; given a command line, whether it runs with that one."""
    pid = _pid(bed_dir, name)
    return pid is not None and (argv is None or _mark(bed_dir, name, argv, env) in _settled_environment(pid))


def parts(bed_dir: Path) -> dict[str, Part]:
    """The parts that run, by name, oldest first."""
    running = {}
    for file in (bed_dir / "pids").glob("*.pid"):
        pid = _pid(bed_dir, file.stem)
        # A part may end, and its pid file go, between two looks.
        with contextlib.suppress(FileNotFoundError, ProcessLookupError):
            if pid is not None:
                running[file.stem] = Part(pid, since=file.stat().st_mtime, memory=_resident_bytes(pid))
    return dict(sorted(running.items(), key=lambda item: item[1].since))


def sweep(bed_dir: Path) -> list[int]:
    """Kill whatever still bears the bed's mark, with or without a pid file, and return the process ids."""
    left = [pid for pid in _all_pids() if _is_program(pid) and _is_marked(_settled_environment(pid), bed_dir)]
    for pid in left:
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)
    for pid in left:
        _ends(pid, 10)
    for file in (bed_dir / "pids").glob("*.pid"):
        file.unlink()
    return left


def wait_until(what: str, condition: Callable[[], bool], seconds: float, bed_dir: Path, part: str) -> None:
    """Wait for a condition that a part is to bring about; fails at once when the part ends."""
    deadline = time.monotonic() + seconds
    while not condition():
        if not is_running(bed_dir, part):
            raise BedError(f"{part} stopped while waiting for {what}: {_last_words(bed_dir, part)}")
        if time.monotonic() > deadline:
            raise BedError(f"{what} took more than {seconds:.0f} s: see {log_file(bed_dir, part)}")
        time.sleep(0.05)


def log_file(bed_dir: Path, name: str) -> Path:
    """Where a part's output goes."""
    return bed_dir / "logs" / f"{name}.log"


def _spawn(words: list[str], environment: dict[str, str], log: Path) -> int:
    write = os.O_WRONLY | os.O_CREAT | os.O_APPEND
    actions = [
        (os.POSIX_SPAWN_OPEN, 0, os.devnull, os.O_RDONLY, 0),
        (os.POSIX_SPAWN_OPEN, 1, str(log), write, 0o644),
        (os.POSIX_SPAWN_DUP2, 1, 2),
        # A part outlives this program, and must not keep what that was given, such as a lock.
        *((os.POSIX_SPAWN_CLOSE, number) for number in _inheritable()),
    ]
    try:
        # Python ignores SIGPIPE, which a program started from it must not inherit.
        pid = os.posix_spawnp(
            words[0], words, environment, file_actions=actions, setsid=True, setsigdef=[signal.SIGPIPE]
        )
    except OSError as error:
        raise BedError(f"cannot start {words[0]}: {error.strerror}") from None
    _bury()
    _children.add(pid)
    return pid


def _inheritable() -> list[int]:
    """Open files that a new program would get, beside standard input and output."""
    found = []
    for entry in Path("/proc/self/fd").iterdir():
        number = int(entry.name)
        with contextlib.suppress(OSError):  # the listing itself is closed again
            if number > 2 and os.get_inheritable(number):  # noqa: PLR2004
                found.append(number)
    return found


def _has_exited(child: int) -> bool:
    return os.waitid(os.P_PID, child, os.WEXITED | os.WNOHANG | os.WNOWAIT) is not None


def _pid_file(bed_dir: Path, name: str) -> Path:
    return bed_dir / "pids" / f"{name}.pid"


def _pid(bed_dir: Path, name: str) -> int | None:
    """The process id of a part, None unless it runs."""
    try:
        pid = int(_pid_file(bed_dir, name).read_text())
    except (FileNotFoundError, ValueError):
        return None
    return pid if _is_marked(_settled_environment(pid), bed_dir, name) else None


def _mark(bed_dir: Path, name: str, argv: Sequence[str | Path], env: Mapping[str, str] | None) -> str:
    words = [*map(str, argv), *(f"{key}={value}" for key, value in sorted((env or {}).items()))]
    fingerprint = hashlib.sha256("\0".join(words).encode()).hexdigest()[:12]
    return f"{MARK}={bed_dir}|{name}|{fingerprint}"


def _is_marked(environment: list[str], bed_dir: Path, name: str | None = None) -> bool:
    wanted = f"{MARK}={bed_dir}|" + (f"{name}|" if name else "")
    return any(entry.startswith(wanted) for entry in environment)


def _settled_environment(pid: int) -> list[str]:
    """The environment of a process that may be just starting a program, or just dying: it shows none for a moment.

    What is found is to be judged as it is: a second look may meet the start of the next program.
    """
    deadline = time.monotonic() + 2
    while (environment := _environment(pid)) in ([], [""]) and not _has_ended(pid) and time.monotonic() < deadline:
        time.sleep(0.01)
    return environment


def _environment(pid: int) -> list[str]:
    """The environment of a process, empty when it has ended or belongs to somebody else."""
    try:
        return Path(f"/proc/{pid}/environ").read_bytes().decode(errors="replace").split("\0")
    except (FileNotFoundError, ProcessLookupError, PermissionError):
        return []


def _is_program(pid: int) -> bool:
    """Whether a process runs a program: those of the kernel do not, and show no environment ever."""
    try:
        return bool(Path(f"/proc/{pid}/exe").readlink())
    except (FileNotFoundError, ProcessLookupError, PermissionError):
        return False


def _all_pids() -> list[int]:
    pids = [int(entry.name) for entry in Path("/proc").iterdir() if entry.name.isdigit()]
    return [pid for pid in pids if pid != os.getpid()]


def _ends(pid: int, seconds: float) -> bool:
    """Wait until a process has ended and let go of its files and ports; tell whether it did in time."""
    deadline = time.monotonic() + seconds
    while not _has_ended(pid):
        if time.monotonic() > deadline:
            return False
        time.sleep(0.02)
    _bury()
    return True


def _has_ended(pid: int) -> bool:
    """Tell whether a process and all its threads are gone, or wait only to be collected by their parent."""
    try:
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except (FileNotFoundError, ProcessLookupError):
        return True
    state, threads = fields[0], int(fields[17])
    return state in {"Z", "X"} and threads <= 1


def _bury() -> None:
    """Collect the exit status of parts that this very process started, so that no zombies stay."""
    for pid in list(_children):
        with contextlib.suppress(ChildProcessError):
            if os.waitpid(pid, os.WNOHANG) == (0, 0):
                continue
        _children.discard(pid)


def _resident_bytes(pid: int) -> int:
    return int(Path(f"/proc/{pid}/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")


def _last_words(bed_dir: Path, name: str) -> str:
    log = log_file(bed_dir, name)
    lines = log.read_text(errors="replace").strip().splitlines()
    return f"{lines[-1] if lines else 'no output'} (log: {log})"
