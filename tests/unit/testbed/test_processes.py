"""Parts of a bed outlive the program that starts them."""

import contextlib
import os
from collections.abc import Iterator
from itertools import cycle
from pathlib import Path

import pytest

from testbed import processes


@pytest.fixture
def given(tmp_path: Path) -> Iterator[Path]:
    """A file that this program holds open for its children, as flock(1) does with a lock."""
    path = tmp_path / "lock"
    number = os.open(path, os.O_CREAT)
    os.set_inheritable(number, True)
    yield path
    os.close(number)


def test_a_part_keeps_nothing_open_that_its_starter_was_given(tmp_path: Path, given: Path) -> None:
    processes.start(tmp_path, "part", ["sleep", "infinity"])
    try:
        assert given not in open_files(processes.parts(tmp_path)["part"].pid)
    finally:
        processes.stop(tmp_path, "part")


def open_files(pid: int) -> list[Path]:
    """What a process has open; what it has just closed is not in it."""
    found = []
    for file in Path(f"/proc/{pid}/fd").iterdir():
        with contextlib.suppress(FileNotFoundError):
            found.append(file.readlink())
    return found


def test_a_part_is_there_while_it_starts_another_program(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """As a kubelet does in its namespaces: between two programs a process has no environment."""
    command = ["sleep", "infinity"]
    processes.start(tmp_path, "part", command)
    shown, is_hidden = Path.read_bytes, cycle([True, False])
    monkeypatch.setattr(Path, "read_bytes", lambda file: b"" if next(is_hidden) else shown(file))
    try:
        assert processes.is_running(tmp_path, "part", command)
    finally:
        processes.stop(tmp_path, "part")
