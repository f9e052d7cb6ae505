"""Container images, kept as archives: made by docker where their bases can be pulled, else by mmdebstrap and buildah.

Each folder of hack/images is one image, called trainpush.local/FOLDER:dev. Its Dockerfile takes its base image as the
argument BASE, so that a container engine can build it too.
"""

import functools
import hashlib
import re
import shutil
import tempfile
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from . import builds, engine, machine, state
from .recipes import RECIPES, REPOSITORY, Recipe
from .report import BedError
from .work import Work

KEY_LABEL = "trainpush.recipe"
TRUST = Path("/etc/ssl/certs/ca-certificates.crt")


def archive(name: str) -> Path:
    """Return an image as an archive, building it if the cache does not hold it."""
    if name not in RECIPES:
        raise BedError(f"there is no image {name!r}: the images are {', '.join(sorted(RECIPES))}")
    target = _target(name)
    with state.locked(folder() / f".{name}.lock"):
        if not target.exists():
            _build(name, target)
    return target


def _target(name: str) -> Path:
    return folder() / f"{name}-{_key(RECIPES[name])}.tar"


def make(names: Iterable[str]) -> None:
    """Build images that the cache lacks, two at a time: each of them waits for a disk or a network most of the time."""
    with ThreadPoolExecutor(2) as pool:
        list(pool.map(archive, names))


def reference(name: str) -> str:
    """What a pod writes as its `image`."""
    return f"trainpush.local/{name}:dev"


def base(name: str) -> Path:
    """Return the base of an image as an archive of a file system, made by mmdebstrap if the cache does not hold it."""
    return _base_archive(Work(f"base of {name}"), RECIPES[name])


def _build(name: str, target: Path) -> None:
    recipe, work = RECIPES[name], Work(f"image {name}")
    work.say(f"building (first time about {recipe.seconds} s)")
    partial = target.with_suffix(".part")
    partial.unlink(missing_ok=True)
    by = _by_docker if _base_can_be_pulled(recipe) else _by_buildah
    if by is _by_buildah:
        _base_archive(work, recipe)  # what comes next may have to wait for programs
    for part in recipe.images:
        archive(part)
    with tempfile.TemporaryDirectory(dir=folder()) as place:
        _fill(Path(place), recipe)
        by(work, recipe, Path(place), reference(name), partial)
    for old in folder().glob(f"{name}-*.tar"):
        old.unlink()
    partial.replace(target)
    work.end()


def _base_can_be_pulled(recipe: Recipe) -> bool:
    text = (REPOSITORY / recipe.context[0]).read_text()
    base = re.search(r"^ARG BASE=(.*)$", text, flags=re.MULTILINE)
    return base is not None and (engine.current().has_image(base[1]) or engine.current().pulls(base[1]))


def _by_docker(work: Work, recipe: Recipe, place: Path, tag: str, target: Path) -> None:
    docker = engine.current().wrapped(Path("docker"), folder())
    work.run(docker, "build", f"--tag={tag}", f"--file={place / recipe.context[0]}", place)
    work.run(docker, "save", f"--output={target}", tag)


def _by_buildah(work: Work, recipe: Recipe, place: Path, tag: str, target: Path) -> None:
    base = _base(work, recipe)
    before = _built(tag)
    options = [f"--build-arg=BASE={base}", f"--tag={tag}", *_trust(place), f"--file={place / recipe.context[0]}"]
    work.run(*_buildah("bud"), *options, place)
    # Docker's form is not compressed: it takes less time, on both sides, than it takes room.
    work.run(*_buildah("push"), tag, f"docker-archive:{target}:{tag}")
    for image in before - _built(tag):
        machine.run(*_buildah("rmi"), image)


def _fill(place: Path, recipe: Recipe) -> None:
    """Put into a folder what a Dockerfile finds in its context."""
    for name in recipe.programs:
        builds.binary(name)
    for file in recipe.context:
        (place / file).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy2(REPOSITORY / file, place / file)
    for there, made in _made(recipe).items():
        _put(made, place / there)


def _made(recipe: Recipe) -> dict[str, Path]:
    """What an image holds of what was made or fetched elsewhere: where it is, by where it goes."""
    programs = {f"programs/{name}": builds.path(name) for name in recipe.programs}
    archives = {f"{name}.tar": _target(name) for name in recipe.images}
    modules = {to: builds.module_source(module) / folder for to, (module, folder) in recipe.modules.items()}
    return programs | archives | modules


def _put(made: Path, there: Path) -> None:
    there.parent.mkdir(exist_ok=True)
    if made.is_dir():
        shutil.copytree(made, there, copy_function=shutil.copyfile)
        for made_folder in [there, *there.rglob("*/")]:  # the cache of Go modules can only be read
            made_folder.chmod(0o755)
    else:
        there.hardlink_to(made)


def _trust(place: Path) -> list[str]:
    """Options by which pip in build steps trusts whom this machine trusts: it may be told to go by a proxy."""
    if not TRUST.exists():
        return []
    settings = place / "pip.conf"
    settings.write_text("[global]\ncert = /run/certificates\n")
    return [f"--volume={TRUST}:/run/certificates:ro", f"--volume={settings}:/etc/pip.conf:ro"]


def _built(tag: str) -> set[str]:
    """The image in buildah's store that bears the tag, if there is one."""
    return set(machine.run(*_buildah("images"), "--quiet", f"--filter=reference={tag}").split())


def _base(work: Work, recipe: Recipe) -> str:
    """Return the name of the base image in buildah's store, made at the first call."""
    tar = _base_archive(work, recipe)
    name = f"localhost/{tar.stem.replace('-', ':')}"
    with tempfile.TemporaryDirectory(dir=folder()) as place:
        (Path(place) / "base.tar").hardlink_to(tar)
        (Path(place) / "Dockerfile").write_text("FROM scratch\nADD base.tar /\n")
        work.run(*_buildah("bud"), f"--tag={name}", place)
    return name


def _base_archive(work: Work, recipe: Recipe) -> Path:
    tar = folder() / f"base-{_hash(recipe.suite, recipe.variant, *recipe.packages)}.tar"
    machine.check_root("an image")
    machine.install_packages()
    with state.locked(tar.with_suffix(".lock")):
        if not tar.exists():
            _make_base(work, recipe, tar)
    return tar


def _make_base(work: Work, recipe: Recipe, tar: Path) -> None:
    partial = tar.with_name(f"{tar.stem}.part.tar")
    # Release files expire; a mirror that lags or a machine whose clock is wrong must not stop a build.
    options = ['--aptopt=Acquire::Check-Valid-Until "false"', '--aptopt=Acquire::Retries "3"']
    options += [f"--dpkgopt=path-exclude=/usr/share/{part}/*" for part in ("doc", "info", "locale", "man")]
    packages = [f"--include={','.join(recipe.packages)}"] if recipe.packages else []
    work.run("mmdebstrap", f"--variant={recipe.variant}", *options, *packages, recipe.suite, partial)
    partial.replace(tar)


def _buildah(command: str) -> list[str]:
    """What begins one of buildah's commands."""
    place = folder() / "buildah"
    driver = "overlay" if machine.overlay_works(place) else "vfs"
    store = [f"--root={place}/store", f"--runroot={place}/run", f"--storage-driver={driver}"]
    # Without a container engine's services a build step can only run in a chroot.
    options = ["--layers", "--isolation=chroot"] if command == "bud" else []
    return ["buildah", *store, command, *options]


def _key(recipe: Recipe) -> str:
    """Changes with anything that could change the image, except what Debian publishes."""
    files = [part for file in recipe.context for part in (str(file), (REPOSITORY / file).read_text())]
    made = [builds.folder().name] if recipe.programs or recipe.modules else []
    made += [_target(name).name for name in recipe.images]
    return _hash(recipe.suite, recipe.variant, *recipe.packages, *files, *recipe.programs, *made)


def _hash(*parts: str) -> str:
    return hashlib.sha256("\0".join(parts).encode()).hexdigest()[:12]


@functools.cache
def folder() -> Path:
    """The folder of the archives."""
    made = state.cache() / "images"
    made.mkdir(parents=True, exist_ok=True)
    return made
