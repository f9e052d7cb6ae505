"""Whose status is written next."""

from datetime import datetime

from trainpush.kube.tasks import JobTask, PoolTask


class Turns:
    """Tasks that wait: each namespace has its turn after the others, pools as well; of one object the last counts."""

    def __init__(self) -> None:
        """None waits."""
        self._lines: dict[str, dict[str, tuple[JobTask | PoolTask, datetime]]] = {}
        """By namespace, whose turn it is first, and by uid, in the order in which they came."""

    def __len__(self) -> int:
        """How many wait."""
        return sum(map(len, self._lines.values()))

    def __bool__(self) -> bool:
        """Whether any waits."""
        return bool(self._lines)

    def put(self, task: JobTask | PoolTask, now: datetime) -> None:
        """One more, decided `now`; it takes the place of an earlier one on the same object."""
        metadata = task.seen.metadata
        self._lines.setdefault(metadata.namespace, {})[metadata.uid] = task, now

    def take(self) -> tuple[JobTask | PoolTask, datetime]:
        """The next one, which waits no longer, and when it was decided."""
        namespace = next(iter(self._lines))
        line = self._lines.pop(namespace)
        found = line.pop(next(iter(line)))
        if line:
            self._lines[namespace] = line
        return found
