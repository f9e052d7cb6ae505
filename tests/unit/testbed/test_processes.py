"""Parts of a bed outlive the program that starts them."""

import os
from collections.abc import Iterator
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
        pid = processes.parts(tmp_path)["part"].pid
        assert given not in [file.readlink() for file in Path(f"/proc/{pid}/fd").iterdir()]
    finally:
        processes.stop(tmp_path, "part")
