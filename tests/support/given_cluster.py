"""A cluster that somebody gave to the tests on purpose, in place of a bed: `TRAINPUSH_TEST_KUBECONFIG`."""

import json
import os
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final, Protocol

import yaml

from support.operator_process import ACCOUNT, NAMESPACE, ROOT
from testbed import BedError
from trainpush.kube import rights

VARIABLE: Final = "TRAINPUSH_TEST_KUBECONFIG"
OURS: Final = {"trainpush.test/namespace": "ours"}
"""Label of every namespace that a test makes, by which a given cluster is freed of them in the end."""


class Cluster(Protocol):
    """What tests ask of any cluster, be it a bed or a given one."""

    @property
    def kubeconfig(self) -> Path:
        """The administrator's kubeconfig."""

    def kubectl(self, *arguments: str, stdin: str | None = None) -> str:
        """Run kubectl as the administrator and return its output; what it says on failure becomes a BedError."""

    def kubeconfig_for(self, namespace: str, service_account: str) -> Path:
        """A kubeconfig of this ServiceAccount, whose namespace and account are created if absent."""


def given() -> Path | None:
    """The kubeconfig that the tests were given, if any."""
    path = os.environ.get(VARIABLE)
    return Path(path) if path else None


def refuse_given(why: str) -> None:
    """Raise a BedError with the reason if a cluster is given: what follows needs a bed of its own."""
    if path := given():
        raise BedError(f"not on the cluster of {path}: {why}")


class GivenCluster:
    """Somebody's cluster; `folder` holds kubeconfigs."""

    def __init__(self, given: Path, folder: Path) -> None:
        """Keep the current context of `given` alone, with all that it points at."""
        if not given.is_file():
            raise BedError(f"{VARIABLE}: {given}: no such file")
        self._folder = folder
        self.kubeconfig = given
        self.kubeconfig = self._written("admin", self.kubectl("config", "view", "--minify", "--flatten", "--raw"))

    def kubectl(self, *arguments: str, stdin: str | None = None) -> str:
        """Run the machine's own kubectl as whoever the given kubeconfig names."""
        program = shutil.which("kubectl")
        if not program:
            raise BedError(f"{VARIABLE} is given, but there is no kubectl on the PATH: install it")
        command = [program, f"--kubeconfig={self.kubeconfig}", *arguments]
        answer = subprocess.run(command, check=False, input=stdin, capture_output=True, text=True)
        if answer.returncode:
            raise BedError(f"kubectl {' '.join(arguments)}: {answer.stderr.strip()}")
        return answer.stdout

    def kubeconfig_for(self, namespace: str, service_account: str) -> Path:
        """The given kubeconfig with a token of this ServiceAccount in place of its user."""
        metadata = {"name": service_account, "namespace": namespace}
        wanted = [
            {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": namespace}},
            {"apiVersion": "v1", "kind": "ServiceAccount", "metadata": metadata},
        ]
        self.kubectl("apply", "--server-side", "-f", "-", stdin=yaml.safe_dump_all(wanted))
        config = yaml.safe_load(self.kubeconfig.read_text())
        token = self.kubectl("create", "token", service_account, "--namespace", namespace, "--duration=2h").strip()
        config["users"][0]["user"] = {"token": token}
        return self._written(f"{namespace}.{service_account}", json.dumps(config))

    def _written(self, name: str, text: str) -> Path:
        path = self._folder / f"{name}.kubeconfig"
        path.touch(mode=0o600)
        path.write_text(text)
        return path


@contextmanager
def given_cluster(given: Path) -> Iterator[GivenCluster]:
    """Somebody's cluster, if trainpush is not installed there; afterwards nothing of it is."""
    with tempfile.TemporaryDirectory() as folder:
        cluster = GivenCluster(given, Path(folder))
        ours = ["-f", str(ROOT / "crds"), "-f", "-"]
        manifests = yaml.safe_dump_all(_cluster_wide())
        if found := cluster.kubectl("get", "--ignore-not-found", "-o", "name", *ours, stdin=manifests).split():
            raise BedError(
                f"the cluster of {given} has {', '.join(found)}: give one without trainpush, "
                "since the tests take away all of it in the end"
            )
        try:
            yield cluster
        finally:
            (label,) = OURS.items()
            cluster.kubectl("delete", "namespaces", "--selector", "=".join(label), "--timeout=300s")
            cluster.kubectl("delete", "--ignore-not-found", "--timeout=60s", *ours, stdin=manifests)


def _cluster_wide() -> list[dict[str, object]]:
    """What the operator's roles put outside any namespace, and its namespace."""
    return [thing for thing in rights.manifests(NAMESPACE, ACCOUNT) if "namespace" not in thing["metadata"]]
