"""Whose status is written next."""

from datetime import datetime

from trainpush.kube.tasks import JobTask, PoolTask

Due = JobTask | PoolTask


class Turns:
    """Tasks that wait: each namespace has its turn after the others, pools as well; of one object one at a time.

    In a namespace first those with something to do, which the status of before announced: what was begun goes on before
    more is begun.
    """

    def __init__(self) -> None:
        """None waits."""
        self._lines: dict[str, _Line] = {}
        """By namespace, whose turn it is first."""
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
        self._lines.setdefault(metadata.namespace, _Line()).put(task, now)
        return True

    def waiting(self, task: Due) -> Due | None:
        """What waits of the object of a task."""
        line = self._lines.get(task.seen.metadata.namespace)
        return line.get(task.seen.metadata.uid) if line else None

    def drop(self, task: Due) -> None:
        """Nothing waits any more of the object of a task."""
        namespace = task.seen.metadata.namespace
        line = self._lines.get(namespace)
        if line and line.drop(task.seen.metadata.uid) and not len(line):
            del self._lines[namespace]

    def take(self) -> tuple[Due, datetime]:
        """The next one, whose turn lasts until it is `done`, and when it was decided."""
        namespace = next(iter(self._lines))
        line = self._lines.pop(namespace)
        task, now = line.take()
        if len(line):
            self._lines[namespace] = line
        self._under_way[task.seen.metadata.uid] = False
        return task, now

    def done(self, uid: str) -> bool:
        """The turn of an object is over; whether something else came meanwhile."""
        return self._under_way.pop(uid)


class _Line:
    """Those of one namespace, by uid, in the order in which they came."""

    def __init__(self) -> None:
        self._acting: dict[str, tuple[Due, datetime]] = {}
        self._others: dict[str, tuple[Due, datetime]] = {}

    def __len__(self) -> int:
        return len(self._acting) + len(self._others)

    def put(self, task: Due, now: datetime) -> None:
        uid = task.seen.metadata.uid
        joined, left = (self._acting, self._others) if task.decision.actions else (self._others, self._acting)
        left.pop(uid, None)
        joined[uid] = task, now

    def get(self, uid: str) -> Due | None:
        found = self._acting.get(uid) or self._others.get(uid)
        return found[0] if found else None

    def drop(self, uid: str) -> bool:
        return bool(self._acting.pop(uid, None) or self._others.pop(uid, None))

    def take(self) -> tuple[Due, datetime]:
        line = self._acting or self._others
        return line.pop(next(iter(line)))
