"""When Events are read: only of what does not go on, where nothing else tells why, and a few times only."""

from datetime import datetime, timedelta
from typing import Final

from trainpush.model.actions import ReadEvents

ASKED_AFTER: Final = (timedelta(seconds=20), timedelta(seconds=150), timedelta(minutes=10))
"""So long after something began its Events are read for the first time, the second and the last."""


def question(uid: str, asked: int, since: datetime, now: datetime) -> tuple[tuple[ReadEvents, ...], datetime | None]:
    """What to ask now about something that does not go on `since` then; and when to ask, if that is later."""
    if not uid or asked >= len(ASKED_AFTER):
        return (), None
    due = since + ASKED_AFTER[asked]
    return ((ReadEvents(uid),), None) if now >= due else ((), due)
