"""How a container ended, and which words of its log say why."""

import re
from collections.abc import Iterator
from typing import Final

import msgspec

from trainpush.kube.decode import Terminated

LOG_MAX: Final = 4096
"""So much of a log is looked at, from its end, in characters: as much as a kubelet leaves of it."""
SAID_MAX: Final = 300
"""So much is told of an error, in characters."""
_WORDS_MAX: Final = 200
_CONTROL: Final = re.compile(
    r"\x1b\[[0-?]*[ -/]*[@-~]|\x1b\][^\x07\x1b\n]*(?:\x07|\x1b\\)|[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f]"
)
"""Colours, and whatever else a terminal would obey: a status is shown on the terminals of others."""


def _entry(levels: str) -> str:
    """How an entry of one of these `levels` begins in a log of Google's libraries.

    With --log-format=ISO8601 Triton writes the time first.
    """
    return rf"(?:[{levels}]\d{{4}} |\d{{4}}-\d\d-\d\dT[\d:.]+Z [{levels}] )"


_IDLE: Final = re.compile(
    rf"^({_entry('IW')}[^\]\n]*\].*|.*CudaDriverHelper has not been initialized.*)$", re.MULTILINE
)
"""What is no error; where there is no driver, Triton calls something one that harms nothing."""
_NEXT: Final = rf"(?:{_entry('IWEF')}|error: creating server:)"
"""How an entry begins, or Triton's very last line, which never says why."""
_OF_MODEL: Final = re.compile(
    # Continued until the next entry, where it is not in quotes: other libraries write between entries.
    # That the model's process ended is no reason: what it said before is.
    rf"^{_entry('E')}[^\]\n]*\] *(\"?(?:failed to load|Poll failed for model directory) '(?!.*Stub process )"
    rf".*(?:(?<!\")\n(?!{_NEXT}).*)*)",
    re.MULTILINE,
)
"""What Triton says of a model that it cannot load."""
_OF_OTHERS: Final = (
    r"torch\.distributed\.elastic\.|subprocess\.CalledProcessError: |RuntimeError: Engine core initialization failed"
)
"""Errors of launchers and servers that only tell that a process of theirs failed."""
_RAISED: Final = re.compile(
    rf'^  File ".*\n(?:[ \t].*\n)*((?!{_OF_OTHERS})\S.*(?:\n[ \t]+\S.*)*)',
    re.MULTILINE,
)
"""What a traceback of Python ends with, and what is indented below that."""
_ERROR: Final = re.compile(rf"^{_entry('EF')}[^\]\n]*\] *(.+)$", re.MULTILINE)
"""An error as Google's libraries log it."""
_LOGGED: Final = re.compile(
    r"^(?:\S+[ \t]+){0,5}?\[?(?:ERROR|CRITICAL|FATAL)\b[\]:| \t-]*([^\]:| \t\n-].*)$", re.MULTILINE
)
"""An error as most other loggers write it: its level is among the first words of a line."""
_PREFIX: Final = re.compile(
    r"^(?:\[[a-z_]+\d+\]: ?)*(?:\(\S+ pid=\d+[^)\n]*\) ?)?"
    r"(?:(?:ERROR|CRITICAL) \d\d-\d\d [\d:]+ \[?[^\]\s]+:\d+\] ?)?",
    re.MULTILINE,
)
"""What torch and torchrun write before each line of a process of theirs, and Ray and vLLM."""
_LEVELS: Final = ("level", "levelname", "severity")
_TEXTS: Final = ("event", "msg", "message", "error", "exception", "exc_info", "traceback", "stack_trace")
"""Keys under which an entry in JSON has its level, and says what happened."""


def how(ended: Terminated) -> str:
    """How a container ended, and by which error, in one line."""
    said, reason = last_error(ended.message), f" ({ended.reason})" if ended.reason else ""
    return f"exit code {ended.exit_code}{reason}{': ' + said if said else ''}"


def last_error(log: str) -> str:
    """The error by which a program ended, in one line, from the end of its log; else its last words.

    The last that Triton says of the model goes first, then the last that Python raised, then the last entry that is
    an error.
    """
    said = _IDLE.sub("", "\n".join(_lines(log[-LOG_MAX:])))
    bare = _PREFIX.sub("", said)
    found = (_OF_MODEL.findall(said), _RAISED.findall(bare), _ERROR.findall(said), _LOGGED.findall(said))
    errors = next(filter(None, found), None)
    return (_line(errors[-1]) if errors else _last_words(_line(bare)))[:SAID_MAX]


def _lines(log: str) -> Iterator[str]:
    """Its lines without what is meant for a terminal; of one in JSON what it says."""
    # A bar of progress goes back to the beginning of its line.
    for line in _CONTROL.sub("", log.replace("\r", "\n")).split("\n"):
        yield _of_json(line) if line.startswith("{") and line.endswith("}") else line


def _of_json(line: str) -> str:
    """An entry of JSON as a logger would write it as text."""
    try:
        entry = msgspec.json.decode(line, type=dict[str, object])
    except (msgspec.MsgspecError, RecursionError):
        return line
    level = next((text for key in _LEVELS if isinstance(text := entry.get(key), str)), "")
    texts = [text for key in _TEXTS if isinstance(text := entry.get(key), str)]
    said = "".join(f"\n{text}" if "\n" in text else f": {text}" for text in texts)
    return f"{level.upper()}{said}" if said else line


def _last_words(line: str) -> str:
    """The end of a long line, from the beginning of a word."""
    end = line[-_WORDS_MAX:]
    return end if len(line) <= _WORDS_MAX else end.partition(" ")[2] or end


def _line(text: str) -> str:
    """One line; since 24.05 Triton writes an entry in quotes and with escapes."""
    if text.startswith('"'):
        text = text.strip().strip('"').replace(r"\n", " ").replace(r"\"", '"')
    return " ".join(text.split())
