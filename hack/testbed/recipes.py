"""What goes into each image of hack/images: a base, files of this repository, and what the test bed built."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

REPOSITORY = Path(__file__).parents[2]


@dataclass(frozen=True)
class Recipe:
    """A Debian base of a suite and mmdebstrap variant, and the files that the Dockerfile finds in its context.

    `files` are patterns in this repository; the first one is the Dockerfile. `programs` of the test bed lie in
    programs/, `images` are archives NAME.tar. `modules` says which folder of which Go module lies where.
    `seconds` is what a first build takes on 2 cores.
    """

    suite: str
    variant: str
    packages: tuple[str, ...]
    files: tuple[str, ...]
    seconds: int
    programs: tuple[str, ...] = ()
    images: tuple[str, ...] = ()
    modules: Mapping[str, tuple[str, str]] = field(default_factory=dict)

    @property
    def context(self) -> list[Path]:
        """The files of this repository, from its root, sorted behind the Dockerfile."""
        found = [sorted(REPOSITORY.glob(pattern)) for pattern in self.files]
        return [file.relative_to(REPOSITORY) for files in found for file in files]


def _files(name: str, *more: str) -> tuple[str, ...]:
    return (f"hack/images/{name}/Dockerfile", *(f"hack/images/{name}/{file}" for file in more))


OF_NODES = ("control-plane", "node")
"""Needed only where kind's own image of nodes cannot be had."""
RECIPES = {
    # A shell for tests.
    "busybox": Recipe("forky", "extract", ("busybox-static",), _files("busybox"), 5),
    "training": Recipe(
        "forky",
        "minbase",
        (),
        (*_files("training", "install-torch.sh"), "examples/digits/*.py", "operator/trainpush/worker.py"),
        120,
    ),
    # The wheel of Triton brings Python backends up to 3.13, and Debian's 3.11 is the one it was tried with.
    "triton": Recipe(
        "bookworm",
        "essential",
        ("libpython3.11", "libstdc++6", "python3-pip"),
        _files("triton", "install-triton.sh"),
        60,
    ),
    "proxy": Recipe("trixie", "essential", ("haproxy",), _files("proxy"), 30),
    "operator": Recipe(
        "trixie",
        "essential",
        ("libstdc++6", "python3-pip", "python3-venv"),
        ("Dockerfile", "pyproject.toml", "README.md", "LICENSE", "operator/**/*.py"),
        90,
    ),
    "deviceplugin": Recipe(
        "forky", "extract", ("busybox-static",), _files("deviceplugin"), 5, programs=("deviceplugin",)
    ),
    "control-plane": Recipe(
        "bookworm",
        "extract",
        ("busybox-static", "conntrack", "iptables", "kmod", "nftables"),
        _files("control-plane", "entrypoint", "routes"),
        60,
        programs=(
            *("coredns", "etcd", "kube-apiserver", "kube-controller-manager", "kube-proxy", "kube-scheduler"),
            "kubectl",
        ),
    ),
    "node": Recipe(
        "bookworm",
        "minbase",
        (
            *("bash", "ca-certificates", "conntrack", "containerd", "containernetworking-plugins", "curl", "e2fsprogs"),
            *("ebtables", "ethtool", "iproute2", "iptables", "jq", "kmod", "libseccomp2", "mount", "nftables", "pigz"),
            *("procps", "runc", "socat", "systemd", "systemd-sysv", "util-linux"),
        ),
        _files("node", "cgroup-v1.conf", "default-cni.yaml", "default-storage.yaml", "import-images.sh", "prepare.sh"),
        180,
        programs=("kubeadm", "kubectl", "kubelet"),
        images=("control-plane",),
        modules={"kind": ("sigs.k8s.io/kind", "images/base/files")},
    ),
}
