"""The operator as users run it: a process of its own, under its ServiceAccount, against a real cluster."""

import os
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import yaml

from testbed import Bed
from trainpush.kube import rights

NAMESPACE: Final = "trainpush-system"
ACCOUNT: Final = "trainpush"
ROOT: Final = Path(__file__).parents[2]


def install(bed: Bed) -> Path:
    """Apply CRDs and roles; returns a kubeconfig of the operator's ServiceAccount."""
    bed.kubectl("apply", "--server-side", "-f", str(ROOT / "crds"))
    bed.kubectl("wait", "--for=condition=Established", "--timeout=30s", "-f", str(ROOT / "crds"))
    bed.kubectl("apply", "-f", "-", stdin=yaml.safe_dump_all(rights.manifests(NAMESPACE, ACCOUNT)))
    return bed.kubeconfig_for(NAMESPACE, ACCOUNT)


@dataclass
class OperatorProcess:
    """A running operator."""

    process: subprocess.Popen[bytes]
    port: int
    log: Path

    def get(self, path: str) -> tuple[int, str]:
        """Status and body of one of its HTTP endpoints; status 0 while nobody listens."""
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{self.port}{path}", timeout=5) as answer:
                return answer.status, answer.read().decode()
        except urllib.error.HTTPError as error:
            return error.code, error.read().decode()
        except OSError:
            return 0, ""

    @property
    def rss_mib(self) -> float:
        """Resident memory in MiB."""
        status = Path(f"/proc/{self.process.pid}/status").read_text()
        return int(next(line for line in status.splitlines() if line.startswith("VmRSS")).split()[1]) / 1024

    def stop(self, number: signal.Signals = signal.SIGTERM) -> int:
        """Send a signal and wait for the end; the exit status."""
        if self.process.poll() is None:
            self.process.send_signal(number)
        try:
            return self.process.wait(timeout=20)
        finally:
            # One that hangs must not trouble the tests that follow.
            self.process.kill()


def free_port() -> int:
    """A port that nobody has just now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def start(
    kubeconfig: Path, log: Path, *, module: str = "trainpush", environment: Mapping[str, str] | None = None
) -> OperatorProcess:
    """Start `python -m MODULE run` and return at once."""
    port = free_port()
    clean = {key: value for key, value in os.environ.items() if not key.startswith(("TRAINPUSH_", "KUBE"))}
    variables = {
        **clean,
        "TRAINPUSH_KUBECONFIG": str(kubeconfig),
        "TRAINPUSH_LISTEN": "127.0.0.1",
        "TRAINPUSH_PORT": str(port),
        "TRAINPUSH_NAMESPACE": NAMESPACE,
        "TRAINPUSH_PROXY_IMAGE": "trainpush.local/proxy:dev",
        "PYTHONPATH": f"{ROOT / 'operator'}:{ROOT / 'tests'}:{ROOT / 'hack'}",
        **(environment or {}),
    }
    with log.open("ab") as out:
        process = subprocess.Popen(
            [sys.executable, "-m", module, "run"], env=variables, stdout=out, stderr=out, start_new_session=True
        )
    return OperatorProcess(process, port, log)


def wait_ready(operator: OperatorProcess, seconds: float = 30) -> None:
    """Wait until /readyz says yes."""
    deadline = time.monotonic() + seconds
    while operator.get("/readyz")[0] != 200:
        if operator.process.poll() is not None or time.monotonic() > deadline:
            msg = f"the operator did not get ready:\n{operator.log.read_text()[-4000:]}"
            raise AssertionError(msg)
        time.sleep(0.1)


@contextmanager
def running(kubeconfig: Path, log: Path) -> Iterator[OperatorProcess]:
    """An operator that is ready, ended by SIGTERM afterwards."""
    operator = start(kubeconfig, log)
    try:
        wait_ready(operator)
        yield operator
    finally:
        operator.stop()
