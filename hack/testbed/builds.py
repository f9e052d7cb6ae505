"""The programs of a bed, built once from pinned Go modules and kept in the cache.

They share one set of modules, so that what several of them need is compiled once.
"""

import functools
import hashlib
import json
import os
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path

from . import state
from .report import BedError
from .work import Work

SOURCE = Path(__file__).parent / "go"
PACKAGES = {
    "tools": (
        "helm.sh/helm/v3/cmd/helm",
        "k8s.io/kubernetes/cmd/kubectl",
        "sigs.k8s.io/kind",
        "sigs.k8s.io/kwok/cmd/kwok",
        "./deviceplugin",
    ),
    "kubernetes": (
        "go.etcd.io/etcd/server/v3",
        *(f"k8s.io/kubernetes/cmd/kube-{part}" for part in ("apiserver", "controller-manager", "proxy", "scheduler")),
        "k8s.io/kubernetes/cmd/kubeadm",
        "k8s.io/kubernetes/cmd/kubelet",
        "./coredns",
    ),
}
"""What every bed needs, and what runs a control plane here and goes into our image of kind's nodes."""

# These learn versions at link time. Without it the API server calls itself v0.0.0 and clients misbehave, and helm takes
# a cluster that it does not see for Kubernetes 1.20.
VERSIONS = {
    "k8s.io/component-base/version.gitVersion": "v1.36.3",
    "k8s.io/component-base/version.gitMajor": "1",
    "k8s.io/component-base/version.gitMinor": "36",
    "helm.sh/helm/v3/internal/version.version": "v3.21.4",
    "helm.sh/helm/v3/pkg/chartutil.k8sVersionMajor": "1",
    "helm.sh/helm/v3/pkg/chartutil.k8sVersionMinor": "36",
    "helm.sh/helm/v3/pkg/lint/rules.k8sVersionMajor": "1",
    "helm.sh/helm/v3/pkg/lint/rules.k8sVersionMinor": "36",
}
FLAGS = (
    "-trimpath",
    # No debugger reads these programs, and what it would need takes time to make.
    "-gcflags=all=-dwarf=false",
    "-ldflags=-s -w " + " ".join(f"-X {name}={value}" for name, value in VERSIONS.items()),
)
# CGO_ENABLED=0: static binaries, so that no C compiler is needed. GOWORK=off: a workspace must not change versions.
ENVIRONMENT = {"CGO_ENABLED": "0", "GOWORK": "off"}
MINUTES = {"tools": 4, "kubernetes": 5}
"""What a first build takes on 2 cores."""


def binary(name: str) -> Path:
    """Return the path of a program, building it and its like first if the cache does not hold them.

    Several processes may ask at once: one builds, the others wait.
    """
    make(_kind(name))
    return path(name)


def path(name: str) -> Path:
    """Where a program is once it is built."""
    return folder() / _kind(name) / name


def make_all() -> None:
    """Build all programs that the cache lacks."""
    for kind in PACKAGES:
        make(kind)


def make(kind: str) -> None:
    """Build the programs of a kind, unless the cache holds them."""
    if not (folder() / kind).exists():
        with state.locked(folder().with_suffix(".lock")):
            if not (folder() / kind).exists():
                _build(kind)


@functools.cache
def folder() -> Path:
    """The folder of the programs, one folder of a kind each; its name changes with anything that could change them."""
    sources = sorted(file for file in SOURCE.rglob("*") if file.suffix in {".mod", ".sum", ".go"})
    parts = [file.read_bytes() for file in sources]
    parts += [subprocess.check_output([_go(), "env", "GOVERSION"]), " ".join(FLAGS).encode()]
    return state.cache() / "bin" / hashlib.sha256(b"\0".join(parts)).hexdigest()[:12]


@functools.cache
def module_source(module: str) -> Path:
    """The folder of a module's source at the version that is pinned, fetched if need be; read-only."""
    command = [_go(), "mod", "download", "-json", module]
    answer = subprocess.run(command, cwd=SOURCE, env=os.environ | ENVIRONMENT, capture_output=True, text=True)
    if answer.returncode:
        raise BedError(f"fetching the Go module {module} failed: {answer.stdout.strip()}")
    return Path(json.loads(answer.stdout)["Dir"])


def _kind(name: str) -> str:
    return "tools" if any(package.endswith(f"/{name}") for package in PACKAGES["tools"]) else "kubernetes"


def _build(kind: str) -> None:
    work, packages = Work(f"programs of {kind}"), PACKAGES[kind]
    work.say(f"fetching and compiling (first time about {MINUTES[kind]} min)")
    total = len(_packages(_run(work, _fetched, "list", "-deps", *packages)))
    partial = (folder() / kind).with_suffix(".part")
    shutil.rmtree(partial, ignore_errors=True)
    _run(work, lambda said: _compiled(said, total), "build", "-v", *FLAGS, f"-o={partial}/", *packages)
    if (partial / "server").exists():
        (partial / "server").rename(partial / "etcd")  # Go names a program by its folder
    partial.replace(folder() / kind)
    work.end()


def _run(work: Work, tell: Callable[[str], str], *arguments: str) -> str:
    return work.run(_go(), *arguments, tell=tell, folder=SOURCE, **ENVIRONMENT)


def _fetched(said: str) -> str:
    modules = said.count("go: downloading ")
    return f"{modules} modules fetched" if modules else "looking through what is there"


def _compiled(said: str, total: int) -> str:
    # Go names what it compiles, not what it still has from an earlier time.
    packages = _packages(said)
    return f"{len(packages):,} of {total:,} packages compiled, now {packages[-1]}" if packages else _fetched(said)


def _packages(said: str) -> list[str]:
    """The import paths that Go printed, one a line, among what it says of itself."""
    return [line for line in said.splitlines() if not line.startswith("go: ")]


def _go() -> str:
    found = shutil.which("go")
    if found is None:
        raise BedError("the test bed builds Kubernetes and needs Go 1.26 or newer on the PATH: see https://go.dev/dl")
    return found
