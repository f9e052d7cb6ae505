"""When the room of a pod that is ending counts as coming: one answer, whosever the pod is."""

from datetime import datetime, timedelta
from typing import Final

SOON: Final = timedelta(hours=1, minutes=1)
"""Room that comes later than this is not waited for: no pod of ours has a longer grace period."""
OVERDUE: Final = timedelta(seconds=60)
"""A pod that is there so long after its grace period hangs; nobody waits for it any more."""


def is_coming(ends_at: datetime | None, now: datetime) -> bool:
    """Whether others may wait for the room of a pod whose grace period is over then; None where it is not told yet."""
    return ends_at is None or now - OVERDUE < ends_at <= now + SOON


def changes_at(ends_at: datetime | None, now: datetime) -> datetime | None:
    """When that will be answered otherwise; None where it will not."""
    if ends_at is None or ends_at <= now - OVERDUE:
        return None
    return ends_at - SOON if ends_at > now + SOON else ends_at + OVERDUE
