"""The scripts of our containers, run by the real /bin/sh on real files, as root and as somebody else."""

import asyncio
import json
import os
import re
import stat
import subprocess
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from support.wait import until
from trainpush.render import scripts

NOBODY = 65534
ONE_LINER = "find . -type f -print0 | LC_ALL=C sort -z | xargs -0 sha256sum | sha256sum"
FILES = {"config.pbtxt": 'backend: "python"', "1/model.py": "x = 1\n", "1/a b\n'\"$`\\.npz": "\0\1", "1/.hidden": ""}


def run(script: str, folder: Path, **variables: str | Path) -> subprocess.CompletedProcess[str]:
    """Run as whoever owns `folder`."""
    owner = folder.stat().st_uid
    return subprocess.run(
        ["/bin/sh", "-ec", script],
        env={"PATH": os.environ["PATH"], **{f"TRAINPUSH_{name}": str(value) for name, value in variables.items()}},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
        user=owner if owner != os.getuid() else None,
    )


def digest(directory: Path) -> str:
    """Of a model directory, as the documentation tells it."""
    done = subprocess.run(["/bin/sh", "-c", ONE_LINER], cwd=directory, capture_output=True, text=True, check=True)
    return f"sha256:{done.stdout.split()[0]}"


def fill(directory: Path, files: dict[str, str] = FILES) -> Path:
    """Write a model directory, for whoever owns the folder that it is in."""
    home = next(path for path in directory.parents if path.exists())
    for name, content in files.items():
        path = directory / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(content)
    for path in home.rglob("*"):
        give(path, home.stat().st_uid)
    return directory


def give(path: Path, uid: int) -> None:
    if uid != path.lstat().st_uid:
        os.chown(path, uid, uid, follow_symlinks=False)


@pytest.fixture(params=["as I am", "as nobody"])
def folder(request: pytest.FixtureRequest) -> Iterator[Path]:
    """An empty folder of the user that scripts run as: root may do what others may not."""
    with tempfile.TemporaryDirectory() as name:
        if request.param == "as nobody" and os.getuid() == 0:
            os.chown(name, NOBODY, NOBODY)
        yield Path(name)


@pytest.mark.parametrize("script", [scripts.LOAD, scripts.STAGE, scripts.CLEAN, scripts.COPY, scripts.PUBLISH])
def test_the_kubelet_finds_no_variable_of_its_own_in_a_script(script: str) -> None:
    """It would put a value in place of $(NAME), and $ in place of $$."""
    assert not re.search(r"\$\$|\$\([-._A-Za-z0-9]*\)", script)


class TestLoad:
    @staticmethod
    def load(folder: Path, wanted: str = "") -> subprocess.CompletedProcess[str]:
        (folder / "config").write_text('name: "digits"\n')
        (folder / "repository").mkdir(exist_ok=True)
        give(folder / "repository", folder.stat().st_uid)
        return run(
            scripts.LOAD,
            folder,
            MODEL_DIR=folder / "model",
            MODEL_URI="pvc://models/x",
            MODEL_DIGEST=wanted,
            MODEL_NAME="digits",
            CONFIG=folder / "config",
            REPOSITORY=folder / "repository",
        )

    def test_links_to_every_entry_and_joins_the_two_halves_of_the_configuration(self, folder: Path) -> None:
        model = fill(folder / "model")
        for _ in range(2):
            done = self.load(folder, digest(model))
            assert (done.returncode, done.stderr) == (0, "")
        served = folder / "repository" / "digits"
        assert sorted(path.name for path in served.iterdir()) == ["1", "config.pbtxt"]
        assert (served / "1").readlink() == model / "1"
        assert (served / "config.pbtxt").read_text() == 'backend: "python"\nname: "digits"\n'

    def test_a_server_that_finds_out_by_itself_gets_our_half_alone(self, folder: Path) -> None:
        fill(folder / "model", {"1/model.onnx": "x"})
        assert self.load(folder).returncode == 0
        assert (folder / "repository/digits/config.pbtxt").read_text() == '\nname: "digits"\n'

    @pytest.mark.parametrize(
        "change",
        [
            lambda model: (model / "1/model.py").write_text("x = 2\n"),
            lambda model: (model / "1/model.py").rename(model / "1/other.py"),
            lambda model: (model / "1/model.py").unlink(),
            lambda model: (model / "more").write_text(""),
        ],
        ids=["other content", "other name", "missing file", "new file"],
    )
    def test_another_digest_is_refused(self, folder: Path, change: Callable[[Path], object]) -> None:
        model = fill(folder / "model")
        wanted = digest(model)
        change(model)
        done = self.load(folder, wanted)
        assert done.returncode == 1
        assert done.stderr == f"this is another model: its digest is {digest(model)} instead of {wanted}\n"
        assert len(done.stderr) < 200, "a status keeps no more"
        assert not (folder / "repository/digits").exists()

    def test_a_link_is_refused_since_no_digest_notices_its_change(self, folder: Path) -> None:
        model = fill(folder / "model")
        wanted = digest(model)
        (model / "1/link").symlink_to("/etc/hostname")
        done = self.load(folder, wanted)
        assert done.returncode == 1
        assert done.stderr.startswith("1/link is neither a file nor a folder")
        assert self.load(folder).returncode == 0, "without a digest anything will do"

    @pytest.mark.parametrize("line", ['name: "x"', "max_batch_size : 8", "dynamic_batching { }", "dynamic_batching{"])
    def test_what_the_service_says_must_not_stand_in_the_configuration(self, folder: Path, line: str) -> None:
        """Triton takes nothing that is said twice."""
        nested = 'input [{\n  name: "IMAGE"\n}]\n'
        fill(folder / "model", {"config.pbtxt": f"{nested}# name: x\n{line}\n"})
        done = self.load(folder)
        assert done.returncode == 1
        assert done.stderr.startswith(f"config.pbtxt, line 5:{line}: remove it")
        fill(folder / "model", {"config.pbtxt": nested})
        assert self.load(folder).returncode == 0

    def test_a_missing_directory_is_named_as_its_user_calls_it(self, folder: Path) -> None:
        done = self.load(folder)
        assert (done.returncode, done.stderr) == (1, "pvc://models/x: there is no such directory\n")

    @pytest.mark.parametrize("folder", ["as nobody"], indirect=True)
    def test_a_file_that_cannot_be_read_is_refused(self, folder: Path) -> None:
        model = fill(folder / "model")
        wanted = digest(model)
        (model / "1/model.py").chmod(0)
        done = self.load(folder, wanted)
        assert done.returncode == 1
        assert done.stderr.endswith(f"cannot read {model}\n")


class Export:
    """One export on a volume."""

    def __init__(self, folder: Path, pod: str = "pod-1") -> None:
        self.folder = folder
        self.owner = folder.stat().st_uid
        self.models = folder / "models"
        self.staging = self.models / ".staging" / "job"
        self.made = self.staging / pod
        self.message = folder / f"message-{pod}"
        self.pod = pod

    def stage(self) -> subprocess.CompletedProcess[str]:
        return run(scripts.STAGE, self.folder, STAGING=self.staging, POD=self.pod)

    def publish(self) -> subprocess.CompletedProcess[str]:
        paths = {"STAGING": self.staging, "MODELS": self.models, "MESSAGE": self.message}
        return run(scripts.PUBLISH, self.folder, POD=self.pod, **paths)

    def entries(self) -> list[str]:
        """What is published."""
        return sorted(path.name for path in self.models.iterdir() if path.name != ".staging")

    def done(self) -> str:
        """Export FILES with success; the digest."""
        assert self.stage().returncode == 0
        fill(self.made)
        assert self.publish().returncode == 0
        return str(json.loads(self.message.read_text())["digest"])


class TestPublish:
    def test_names_the_directory_by_its_digest_and_says_it(self, folder: Path) -> None:
        export = Export(folder)
        assert export.stage().returncode == 0
        fill(export.made)
        wanted = digest(export.made)
        done = export.publish()
        assert (done.returncode, done.stderr) == (0, "")
        name = wanted.replace(":", "-")
        assert json.loads(export.message.read_text()) == {"digest": wanted, "directory": name}
        assert export.entries() == [name]
        assert digest(export.models / name) == wanted

    def test_nothing_of_it_can_be_written_and_all_of_it_can_be_read(self, folder: Path) -> None:
        export = Export(folder)
        export.stage()
        secret = fill(export.made) / "1" / "model.py"
        secret.chmod(0o600)
        (export.made / "1").chmod(0o700)
        assert export.publish().returncode == 0
        kept = export.models / export.entries()[0]
        modes = {stat.S_IMODE(path.stat().st_mode) for path in [kept, *kept.rglob("*")]}
        assert modes == {0o555, 0o444}

    def test_the_same_content_is_the_same_release(self, folder: Path) -> None:
        first = Export(folder, "pod-1").done()
        kept = folder / "models" / first.replace(":", "-")
        before = kept.stat().st_ino
        assert Export(folder, "pod-2").done() == first
        assert kept.stat().st_ino == before
        assert Export(folder).entries() == [kept.name]

    def test_what_bears_the_name_but_has_other_content_is_left_alone(self, folder: Path) -> None:
        export = Export(folder)
        kept = folder / "models" / export.done().replace(":", "-")
        (kept / "1" / "model.py").chmod(0o644)
        (kept / "1" / "model.py").write_text("spoilt")
        export.stage()
        fill(export.made)
        done = export.publish()
        assert done.returncode == 1
        assert done.stderr == f"{kept.name} is there with other content: remove it\n"
        assert export.entries() == [kept.name]

    @pytest.mark.parametrize(
        ("spoil", "said"),
        [
            (lambda made: (made / "1" / "link").symlink_to("model.py"), "1/link is neither a file nor a folder"),
            (lambda made: os.mkfifo(made / "pipe"), "pipe is neither a file nor a folder"),
        ],
        ids=["link", "pipe"],
    )
    def test_only_files_and_folders_can_be_published(
        self, folder: Path, spoil: Callable[[Path], object], said: str
    ) -> None:
        export = Export(folder)
        export.stage()
        spoil(fill(export.made))
        done = export.publish()
        assert done.returncode == 1
        assert said in done.stderr
        assert export.entries() == []
        assert not export.message.exists()

    def test_an_empty_export_is_refused(self, folder: Path) -> None:
        export = Export(folder)
        export.stage()
        done = export.publish()
        assert (done.returncode, done.stderr) == (1, "the export left its folder TRAINPUSH_EXPORT_DIR empty\n")
        assert export.entries() == []

    def test_a_try_that_was_given_up_publishes_nothing(self, folder: Path) -> None:
        old, new = Export(folder, "pod-1"), Export(folder, "pod-2")
        old.stage()
        fill(old.made)
        new.stage()
        done = old.publish()
        assert done.returncode == 1
        assert "a later try of this export has taken over" in done.stderr
        assert old.entries() == []


class TestStage:
    def test_removes_what_earlier_tries_left_even_if_it_cannot_be_written(self, folder: Path) -> None:
        old, new = Export(folder, "pod-1"), Export(folder, "pod-2")
        old.stage()
        for path in sorted(fill(old.made).rglob("*"), reverse=True):
            path.chmod(0o555)
        old.made.chmod(0o555)
        other = folder / "models/.staging/another-job/pod"
        fill(other)
        done = new.stage()
        assert (done.returncode, done.stderr) == (0, "")
        assert [path.name for path in new.staging.iterdir()] == ["pod-2"]
        assert list(new.made.iterdir()) == []
        assert (other / "1/model.py").exists()
        assert sorted(path.name for path in new.staging.parent.iterdir()) == ["another-job", "job"]

    def test_goes_on_where_an_earlier_removal_was_cut_short(self, folder: Path) -> None:
        export = Export(folder)
        fill(folder / "models/.staging/job.gone/pod-0")
        fill(folder / "models/.staging/job/pod-1")
        assert export.stage().returncode == 0
        assert [path.name for path in export.staging.parent.iterdir()] == ["job"]


class TestClean:
    async def test_removes_what_was_not_published_when_it_is_told_to_end(self, folder: Path) -> None:
        export = Export(folder)
        export.stage()
        fill(export.made)
        process = await asyncio.create_subprocess_exec(
            *("/bin/sh", "-ec", scripts.CLEAN),
            env={"PATH": os.environ["PATH"], "TRAINPUSH_STAGING": str(export.staging)},
            user=export.owner,
        )
        children = Path(f"/proc/{process.pid}/task/{process.pid}/children")
        await until(lambda: bool(children.read_text()), "it waits")
        assert export.made.exists()
        process.terminate()
        assert await asyncio.wait_for(process.wait(), 20) == 0
        assert list(export.staging.parent.iterdir()) == []


class TestCopy:
    @staticmethod
    def copy(folder: Path, target: Path) -> subprocess.CompletedProcess[str]:
        return run(scripts.COPY, folder, CHECKPOINT_DIR=folder / "checkpoints", EXPORT_DIR=target)

    def test_copies_the_folder_final_and_what_its_links_point_to(self, folder: Path) -> None:
        checkpoints = folder / "checkpoints"
        fill(checkpoints / "step-300")
        (checkpoints / "final").symlink_to("step-300")
        (checkpoints / "step-300/1/latest").symlink_to("model.py")
        export = Export(folder)
        export.stage()
        done = self.copy(folder, export.made)
        assert (done.returncode, done.stderr) == (0, "")
        assert (export.made / "1/latest").read_text() == FILES["1/model.py"]
        assert export.publish().returncode == 0

    def test_without_that_folder_it_says_what_to_do(self, folder: Path) -> None:
        done = self.copy(folder, folder)
        assert done.returncode == 1
        assert done.stderr.splitlines() == [
            "the checkpoints have no folder final: write the model there, or set spec.push.export.command"
        ]


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of 256 KiB."""
    if os.getuid() != 0:
        pytest.skip("only root can mount a file system")
    disk = tmp_path / "disk"
    disk.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=256k,nr_inodes=24", "tmpfs", disk], check=True)
    try:
        yield disk
    finally:
        subprocess.run(["umount", disk], check=True)


class TestFullDisk:
    def test_a_copy_that_does_not_fit_says_so_in_one_line(self, small_disk: Path, tmp_path: Path) -> None:
        fill(tmp_path / "checkpoints/final", {f"1/{number}": "x" * 100_000 for number in range(5)})
        export = Export(small_disk)
        assert export.stage().returncode == 0
        done = TestCopy.copy(tmp_path, export.made)
        assert done.returncode == 1
        assert done.stderr.endswith("No space left on device\n")
        assert len(done.stderr.splitlines()) == 1
        assert export.stage().returncode == 0
        assert os.statvfs(small_disk).f_bfree * 4096 > 240_000, "the next try has the room again"

    def test_a_volume_without_room_for_a_folder_says_so_in_one_line(self, small_disk: Path) -> None:
        for number in range(30):
            try:
                (small_disk / str(number)).touch()
            except OSError:
                break
        done = Export(small_disk).stage()
        assert done.returncode == 1
        assert done.stderr.endswith("No space left on device\n")
        assert len(done.stderr.splitlines()) == 1
