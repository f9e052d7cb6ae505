"""Which words of a log say why a program ended."""

import re
from typing import Final

LOG_MAX: Final = 4096
"""So much of a log is looked at, from its end, in characters: as much as a kubelet leaves of it."""
_WORDS_MAX: Final = 200
_IDLE: Final = re.compile(r"^([IW]\d{4} [^\]\n]*\].*|.*CudaDriverHelper has not been initialized.*)$", re.MULTILINE)
"""What is no error; where there is no driver, Triton calls something one that harms nothing."""
_NEXT: Final = r"(?:[IWEF]\d{4} |error: creating server:)"
"""How an entry begins that Google's libraries log, and Triton's very last line, which never says why."""
_OF_MODEL: Final = re.compile(
    # Continued until the next entry, where it is not in quotes: other libraries write between entries.
    # That the model's process ended is no reason: what it said before is.
    rf"^E\d{{4}} [^\]\n]*\] *(\"?(?:failed to load|Poll failed for model directory) '(?!.*Stub process )"
    rf".*(?:(?<!\")\n(?!{_NEXT}).*)*)",
    re.MULTILINE,
)
"""What Triton says of a model that it cannot load."""
_RAISED: Final = re.compile(
    # torchrun's own traceback only tells that some worker failed.
    r'^  File ".*\n(?:[ \t].*\n)*((?!torch\.distributed\.elastic\.)\S.*(?:\n[ \t]+\S.*)*)',
    re.MULTILINE,
)
"""What a traceback of Python ends with, and what is indented below that."""
_ERROR: Final = re.compile(r"^[EF]\d{4} [^\]\n]*\] *(.+)$", re.MULTILINE)
"""An error as Google's libraries log it."""
_RANK: Final = re.compile(r"^\[rank\d+\]: ?", re.MULTILINE)
"""What torch writes before each line of a traceback."""


def last_error(log: str) -> str:
    """The error by which a program ended, in one line, from the end of its log; else its last words.

    The last that Triton says of the model goes first, then the last that Python raised, then the last entry that is
    an error.
    """
    said = _IDLE.sub("", _RANK.sub("", log[-LOG_MAX:]))
    errors = next(filter(None, (kind.findall(said) for kind in (_OF_MODEL, _RAISED, _ERROR))), None)
    return _line(errors[-1]) if errors else _last_words(_line(said))


def _last_words(text: str) -> str:
    """Whole ones, of a long text."""
    end = text[-_WORDS_MAX:]
    return end if end == text else end.partition(" ")[2] or end


def _line(text: str) -> str:
    """One line; since 24.05 Triton writes an entry in quotes and with escapes."""
    if text.startswith('"'):
        text = text.strip().strip('"').replace(r"\n", " ").replace(r"\"", '"')
    return " ".join(text.split())
