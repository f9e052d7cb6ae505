"""Container images without a container engine: made by mmdebstrap and buildah, kept as archives, put into containerds.

Each folder of hack/images is one image, called trainpush.local/FOLDER:dev. Its Dockerfile takes its base image as the
argument BASE, so that a container engine can build it too.
"""

import functools
import hashlib
import shutil
import tempfile
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

from . import machine, state
from .cluster import Cluster
from .machine import run
from .node import Node, running
from .report import BedError, step
from .work import Work

REPOSITORY = Path(__file__).parents[2]
KEY_LABEL = "trainpush.recipe"
TRUST = Path("/etc/ssl/certs/ca-certificates.crt")


@dataclass(frozen=True)
class Recipe:
    """What goes into an image: a Debian base of a suite and mmdebstrap variant, files of this repository, the time.

    `files` are patterns; the first one is the Dockerfile. `seconds` is what a first build takes on 2 cores.
    """

    suite: str
    variant: str
    packages: tuple[str, ...]
    files: tuple[str, ...]
    seconds: int

    @property
    def context(self) -> list[Path]:
        """All files, from the repository's root, sorted behind the Dockerfile."""
        found = [sorted(REPOSITORY.glob(pattern)) for pattern in self.files]
        return [file.relative_to(REPOSITORY) for files in found for file in files]


RECIPES = {
    # The pause container of every pod, and a shell for tests.
    "busybox": Recipe("forky", "extract", ("busybox-static",), ("hack/images/busybox/Dockerfile",), 5),
    "training": Recipe(
        "forky",
        "minbase",
        (),
        (
            *("hack/images/training/Dockerfile", "hack/images/training/install-torch.sh"),
            *("examples/digits/*.py", "operator/trainpush/worker.py"),
        ),
        120,
    ),
    # The wheel of Triton brings Python backends up to 3.13, and Debian's 3.11 is the one it was tried with.
    "triton": Recipe(
        "bookworm",
        "essential",
        ("libpython3.11", "libstdc++6", "python3-pip"),
        ("hack/images/triton/Dockerfile", "hack/images/triton/install-triton.sh"),
        60,
    ),
    "proxy": Recipe("trixie", "essential", ("haproxy",), ("hack/images/proxy/Dockerfile",), 30),
    "operator": Recipe(
        "trixie",
        "essential",
        ("libstdc++6", "python3-pip", "python3-venv"),
        ("Dockerfile", "pyproject.toml", "README.md", "LICENSE", "operator/**/*.py"),
        90,
    ),
}


def load(bed: Cluster, name: str) -> None:
    """Build an image, unless the cache holds it, and put it into every real node of a bed."""
    nodes = running(bed)
    if not nodes:
        raise BedError(f"bed {bed.name} has no real nodes to load images into: bring it up with real nodes first")
    archive(name)
    step(f"loading image {name} into {', '.join(node.name for node in nodes)}")
    with ThreadPoolExecutor() as pool:
        list(pool.map(lambda node: put(node, name), nodes))


def put(node: Node, name: str) -> None:
    """Import an image into one node's containerd, unless it is there."""
    containerd = ("ctr", f"--address={node.containerd_socket}", "--namespace=k8s.io", "images")
    key = _key(RECIPES[name])
    if run(*containerd, "list", "--quiet", f'name=={reference(name)},labels."{KEY_LABEL}"=={key}').strip():
        return
    work = Work(f"image {name} into {node.name}")
    work.run(*containerd, "import", f"--snapshotter={snapshotter(node)}", archive(name))
    run(*containerd, "label", reference(name), f"{KEY_LABEL}={key}")


def archive(name: str) -> Path:
    """Return an image as an archive, building it if the cache does not hold it."""
    if name not in RECIPES:
        raise BedError(f"there is no image {name!r}: the images are {', '.join(sorted(RECIPES))}")
    target = _folder() / f"{name}-{_key(RECIPES[name])}.tar"
    with state.locked(_folder() / ".lock"):
        if not target.exists():
            _build(name, target)
    return target


def make_all() -> None:
    """Build every image that the cache lacks, one after the other."""
    machine.check_root()
    for name in RECIPES:
        archive(name)


def reference(name: str) -> str:
    """What a pod writes as its `image`."""
    return f"trainpush.local/{name}:dev"


def snapshotter(node: Node) -> str:
    """How the node's containerd lays out images: stacked where the kernel can, else copied."""
    return "overlayfs" if machine.overlay_works(node.image_store) else "native"


def _build(name: str, target: Path) -> None:
    machine.install_packages()
    recipe, work = RECIPES[name], Work(f"image {name}")
    work.say(f"building (first time about {recipe.seconds} s)")
    base = _base(work, recipe)
    with tempfile.TemporaryDirectory(dir=_folder()) as place:
        for file in recipe.context:
            (Path(place) / file).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(REPOSITORY / file, Path(place) / file)
        before = _built(name)
        dockerfile = f"--file={place}/{recipe.context[0]}"
        options = [f"--build-arg=BASE={base}", f"--tag={reference(name)}", *_trust(Path(place)), dockerfile]
        work.run(*_buildah("bud"), *options, place)
        partial = target.with_suffix(".part")
        partial.unlink(missing_ok=True)
        # Docker's form is not compressed: it takes less time, on both sides, than it takes room.
        work.run(*_buildah("push"), reference(name), f"docker-archive:{partial}:{reference(name)}")
    for image in before - _built(name):
        run(*_buildah("rmi"), image)
    for old in _folder().glob(f"{name}-*.tar"):
        old.unlink()
    partial.replace(target)
    work.end()


def _trust(place: Path) -> list[str]:
    """Options by which pip in build steps trusts whom this machine trusts: it may be told to go by a proxy."""
    if not TRUST.exists():
        return []
    settings = place / "pip.conf"
    settings.write_text("[global]\ncert = /run/certificates\n")
    return [f"--volume={TRUST}:/run/certificates:ro", f"--volume={settings}:/etc/pip.conf:ro"]


def _built(name: str) -> set[str]:
    """The image in buildah's store that bears the name, if there is one."""
    return set(run(*_buildah("images"), "--quiet", f"--filter=reference={reference(name)}").split())


def _base(work: Work, recipe: Recipe) -> str:
    """Return the name of the base image in buildah's store, made at the first call."""
    key = _hash(recipe.suite, recipe.variant, *recipe.packages)
    tar, name = _folder() / f"base-{key}.tar", f"localhost/base:{key}"
    if not tar.exists():
        partial = tar.with_name(f"{key}.part.tar")
        # Release files expire; a mirror that lags or a machine whose clock is wrong must not stop a build.
        options = ['--aptopt=Acquire::Check-Valid-Until "false"', '--aptopt=Acquire::Retries "3"']
        options += [f"--dpkgopt=path-exclude=/usr/share/{part}/*" for part in ("doc", "info", "locale", "man")]
        packages = [f"--include={','.join(recipe.packages)}"] if recipe.packages else []
        work.run("mmdebstrap", f"--variant={recipe.variant}", *options, *packages, recipe.suite, partial)
        partial.replace(tar)
    with tempfile.TemporaryDirectory(dir=_folder()) as place:
        (Path(place) / "base.tar").hardlink_to(tar)
        (Path(place) / "Dockerfile").write_text("FROM scratch\nADD base.tar /\n")
        work.run(*_buildah("bud"), f"--tag={name}", place)
    return name


def _buildah(command: str) -> list[str]:
    """What begins one of buildah's commands."""
    folder = _folder() / "buildah"
    driver = "overlay" if machine.overlay_works(folder) else "vfs"
    store = [f"--root={folder}/store", f"--runroot={folder}/run", f"--storage-driver={driver}"]
    # Without a container engine's services a build step can only run in a chroot.
    options = ["--layers", "--isolation=chroot"] if command == "bud" else []
    return ["buildah", *store, command, *options]


def _key(recipe: Recipe) -> str:
    """Changes with anything that could change the image, except what Debian publishes."""
    files = [part for file in recipe.context for part in (str(file), (REPOSITORY / file).read_text())]
    return _hash(recipe.suite, recipe.variant, *recipe.packages, *files)


def _hash(*parts: str) -> str:
    return hashlib.sha256("\0".join(parts).encode()).hexdigest()[:12]


@functools.cache
def _folder() -> Path:
    folder = state.cache() / "images"
    folder.mkdir(parents=True, exist_ok=True)
    return folder
