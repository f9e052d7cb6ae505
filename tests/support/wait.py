"""Waiting for a condition with a deadline; tests never just sleep."""

import asyncio
import time
from collections.abc import Callable


async def until(condition: Callable[[], bool], what: str, *, seconds: float = 20.0) -> None:
    """Return as soon as `condition` holds; fail with `what` when it does not within `seconds`."""
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, f"not within {seconds} s: {what}"
        await asyncio.sleep(0.01)
