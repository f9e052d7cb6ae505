"""The programs of a bed, built once from pinned Go modules and kept in the cache."""

import functools
import hashlib
import json
import os
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path

from . import state
from .report import BedError, step

MODULE_SETS = Path(__file__).parent / "go"


@dataclass(frozen=True)
class Program:
    """One Go program: the module set that pins it, its import path, and how long a first build takes (2 cores)."""

    module_set: str
    package: str
    seconds: int


PROGRAMS = {
    "kube-apiserver": Program("kubernetes", "k8s.io/kubernetes/cmd/kube-apiserver", 230),
    "kube-controller-manager": Program("kubernetes", "k8s.io/kubernetes/cmd/kube-controller-manager", 60),
    "kube-scheduler": Program("kubernetes", "k8s.io/kubernetes/cmd/kube-scheduler", 10),
    "kube-proxy": Program("kubernetes", "k8s.io/kubernetes/cmd/kube-proxy", 10),
    "kubelet": Program("kubernetes", "k8s.io/kubernetes/cmd/kubelet", 20),
    "kubectl": Program("kubernetes", "k8s.io/kubernetes/cmd/kubectl", 60),
    "etcd": Program("etcd", "go.etcd.io/etcd/server/v3", 40),
    "kwok": Program("kwok", "sigs.k8s.io/kwok/cmd/kwok", 90),
    "coredns": Program("coredns", "github.com/coredns/coredns", 120),
    "helm": Program("helm", "helm.sh/helm/v3/cmd/helm", 100),
    "deviceplugin": Program("deviceplugin", ".", 30),
}

# These learn versions at link time. Without it the API server calls itself v0.0.0 and clients misbehave, and helm takes
# a cluster that it does not see for Kubernetes 1.20.
VERSION_FLAGS = {
    "kubernetes": " -X k8s.io/component-base/version.gitVersion=v1.36.3"
    " -X k8s.io/component-base/version.gitMajor=1 -X k8s.io/component-base/version.gitMinor=36",
    "helm": " -X helm.sh/helm/v3/internal/version.version=v3.22.0"
    " -X helm.sh/helm/v3/pkg/chartutil.k8sVersionMajor=1 -X helm.sh/helm/v3/pkg/chartutil.k8sVersionMinor=36"
    " -X helm.sh/helm/v3/pkg/lint/rules.k8sVersionMajor=1 -X helm.sh/helm/v3/pkg/lint/rules.k8sVersionMinor=36",
}


def binary(name: str) -> Path:
    """Return the path of a program, building it first if the cache does not hold it.

    Several processes may ask at once: one builds, the others wait.
    """
    program = PROGRAMS[name]
    target = folder(program.module_set) / name
    if not target.exists():
        with state.locked(target.parent / ".lock"):
            if not target.exists():
                _build(name, program, target)
    return target


def make_all() -> None:
    """Build every program that the cache lacks, one after the other."""
    for name in PROGRAMS:
        binary(name)


@functools.cache
def folder(module_set: str) -> Path:
    """The cache folder of a module set; its name changes with anything that could change the binaries."""
    sources = sorted(file for file in (MODULE_SETS / module_set).iterdir() if file.suffix in {".mod", ".sum", ".go"})
    parts = [file.read_bytes() for file in sources]
    parts += [_go_version().encode(), " ".join(_flags(module_set)).encode()]
    key = hashlib.sha256(b"\0".join(parts)).hexdigest()[:12]
    return state.cache() / "bin" / f"{module_set}-{key}"


def module_source(module_set: str, module: str) -> Path:
    """The folder of a module's source at the version that the set pins, fetched if need be; read-only."""
    answer = _go(["mod", "download", "-json", module], module_set)
    if answer.returncode:
        raise BedError(f"fetching the Go module {module} failed: {_last_line(answer)}")
    return Path(json.loads(answer.stdout)["Dir"])


def _build(name: str, program: Program, target: Path) -> None:
    minutes = max(1, round(program.seconds / 60))
    step(f"building {name} (first time about {minutes} min) ...")
    partial = target.with_suffix(".part")
    answer = _go(["build", *_flags(program.module_set), "-o", str(partial), program.package], program.module_set)
    if answer.returncode:
        log = target.with_suffix(".log")
        log.write_text(answer.stdout + answer.stderr)
        raise BedError(f"building {name} failed: {_last_line(answer)} (all of it: {log})")
    partial.replace(target)


def _flags(module_set: str) -> list[str]:
    return ["-trimpath", "-ldflags", "-s -w" + VERSION_FLAGS.get(module_set, "")]


def _go(arguments: list[str], module_set: str) -> subprocess.CompletedProcess[str]:
    # CGO_ENABLED=0: static binaries, so that no C compiler is needed. GOWORK=off: a workspace must not change versions.
    environment = {**os.environ, "CGO_ENABLED": "0", "GOWORK": "off"}
    where = MODULE_SETS / module_set
    return subprocess.run([_go_command(), *arguments], cwd=where, env=environment, capture_output=True, text=True)


@functools.cache
def _go_version() -> str:
    return subprocess.check_output([_go_command(), "env", "GOVERSION"], text=True).strip()


def _go_command() -> str:
    found = shutil.which("go")
    if found is None:
        raise BedError("the test bed builds Kubernetes and needs Go 1.26 or newer on the PATH: see https://go.dev/dl")
    return found


def _last_line(answer: subprocess.CompletedProcess[str]) -> str:
    lines = (answer.stderr.strip() or answer.stdout.strip()).splitlines()
    return lines[-1] if lines else f"exit status {answer.returncode}"
