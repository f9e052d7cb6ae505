"""What time it is for the cycles: the one place where decisions get their `now`."""

from datetime import UTC, datetime


class Clock:
    """The machine's own clock."""

    def now(self) -> datetime:
        """The present moment, in UTC."""
        return datetime.now(UTC)

    def seconds_until(self, moment: datetime) -> float:
        """How long to wait until `moment`; negative when it is over."""
        return (moment - self.now()).total_seconds()
