"""What a person sees of work that takes minutes."""

import time
from collections.abc import Callable
from pathlib import Path

import pytest

from testbed import BedError
from testbed.work import Work, side_by_side


@pytest.fixture(autouse=True)
def _cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TRAINPUSH_CACHE", str(tmp_path))


def _shell(name: str, script: str) -> Callable[[], None]:
    def work() -> None:
        Work(name).run("sh", "-c", script)

    return work


def test_the_log_keeps_what_all_commands_said() -> None:
    """Each command's output is returned, and only its own."""
    work = Work("image proxy")
    assert work.run("echo", "one") == "one\n"
    assert work.run("sh", "-c", "echo two >&2") == "two\n"
    assert work.log.read_text() == "one\ntwo\n"


def test_a_failure_is_told_with_the_last_words_and_the_log() -> None:
    """One line that says where the rest is."""
    with pytest.raises(BedError, match=r"^image proxy failed: no space left \(all of it: .*/image-proxy.log\)$"):
        _shell("image proxy", "echo begun; echo no space left; exit 3")()


def test_a_program_that_is_missing_is_named() -> None:
    """Instead of a traceback."""
    with pytest.raises(BedError, match="nosuchprogram is not on the PATH"):
        Work("image proxy").run("nosuchprogram")


def test_what_runs_beside_a_failure_is_broken_off() -> None:
    """Nobody waits ten minutes to read that something was missing; the next time all of it works again."""
    begun = time.monotonic()
    with pytest.raises(BedError, match="image proxy failed"):
        side_by_side(_shell("programs", "exec sleep 600"), _shell("image proxy", "exit 3"))
    assert time.monotonic() - begun < 60
    side_by_side(_shell("programs", "true"), _shell("image proxy", "true"))
