"""When a pod of ours is cut off: it counts as ended, although nobody is there to say that it has."""

from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Final

OUT_OF_SERVICE: Final = "node.kubernetes.io/out-of-service"
"""Key of the taint by which people say that a node was shut down, and that nothing runs there any more."""


@dataclass(frozen=True, slots=True)
class Outage:
    """Why a node does not tell what becomes of its pods."""

    node: str
    since: datetime | None = None
    """Since when it has not been ready; None where nothing runs there any more: it is gone, or out of service."""
    patience: timedelta | None = None
    """How long it is waited for; None: until it is ready again, or gone, or out of service."""

    @property
    def is_final(self) -> bool:
        """Whether nothing runs there any more."""
        return self.since is None

    @property
    def is_awaited(self) -> bool:
        """Whether it is waited for until something becomes of the node, however long that takes."""
        return self.since is not None and self.patience is None

    @property
    def lost_at(self) -> datetime | None:
        """When its pods will be cut off, or were, only because time passes."""
        return None if self.since is None or self.patience is None else self.since + self.patience

    def following(self, before: "Outage | None") -> "Outage":
        """The same, as the end of what was told `before`: a kubelet that comes and goes was not ready in between."""
        if before is None or before.since is None or self.since is None:
            return self
        return replace(self, since=min(before.since, self.since))

    def cuts_off(self, now: datetime) -> bool:
        """Whether what ran there, and was not seen to end, counts as ended."""
        return self.is_final or (self.lost_at is not None and now >= self.lost_at)
