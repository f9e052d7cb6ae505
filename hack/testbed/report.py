"""What a person sees of the test bed: one line per step, one line per error."""

import sys
import time

_begun = time.monotonic()


class BedError(Exception):
    """Something a user can put right; its text is one line that says what is wrong and what to do."""


def step(text: str) -> None:
    """Print one line of progress on stderr, with the seconds since this program began."""
    print(f"[{time.monotonic() - _begun:6.1f} s] {text}", file=sys.stderr, flush=True)
