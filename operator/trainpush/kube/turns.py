"""Whose status is written next."""

from datetime import datetime

from trainpush.kube.tasks import JobTask, PoolTask

Due = JobTask | PoolTask


class Turns:
    """Tasks that wait: each namespace has its turn after the others, pools as well; of one object one at a time."""

    def __init__(self) -> None:
        """None waits."""
        self._lines: dict[str, dict[str, tuple[Due, datetime]]] = {}
        """By namespace, whose turn it is first, and by uid, in the order in which they came."""
        self._under_way: dict[str, bool] = {}
        """By uid, what was taken and is not done, and whether something else came meanwhile."""

    def __len__(self) -> int:
        """How many wait."""
        return sum(map(len, self._lines.values()))

    def __bool__(self) -> bool:
        """Whether any waits."""
        return bool(self._lines)

    def put(self, task: Due, now: datetime) -> bool:
        """One more, decided `now`, instead of an earlier one on its object; not while that object has its turn."""
        metadata = task.seen.metadata
        if metadata.uid in self._under_way:
            self._under_way[metadata.uid] = True
            return False
        self._lines.setdefault(metadata.namespace, {})[metadata.uid] = task, now
        return True

    def waiting(self, task: Due) -> Due | None:
        """What waits of the object of a task."""
        metadata = task.seen.metadata
        found = self._lines.get(metadata.namespace, {}).get(metadata.uid)
        return found[0] if found else None

    def drop(self, task: Due) -> None:
        """Nothing waits any more of the object of a task."""
        metadata = task.seen.metadata
        line = self._lines.get(metadata.namespace, {})
        if line.pop(metadata.uid, None) and not line:
            del self._lines[metadata.namespace]

    def take(self) -> tuple[Due, datetime]:
        """The next one, whose turn lasts until it is `done`, and when it was decided."""
        namespace = next(iter(self._lines))
        line = self._lines.pop(namespace)
        uid = next(iter(line))
        found = line.pop(uid)
        if line:
            self._lines[namespace] = line
        self._under_way[uid] = False
        return found

    def done(self, uid: str) -> bool:
        """The turn of an object is over; whether something else came meanwhile."""
        return self._under_way.pop(uid)
