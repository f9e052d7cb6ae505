"""The objects of one kind as last seen: never older than seen before, and told apart from mere repetition."""

from collections.abc import Callable, Iterator, Mapping
from typing import Generic, TypeVar

T = TypeVar("T")


class Table(Generic[T]):
    """Objects by uid. A change is told once, as (before, after); None stands for absent."""

    def __init__(self, on_change: Callable[[T | None, T | None], None]) -> None:
        """An empty table; `on_change` may be called from every method that alters it."""
        self._rows: dict[str, tuple[int, T]] = {}
        self._on_change = on_change

    def __iter__(self) -> Iterator[T]:
        """Every object, in no particular order."""
        return (value for _, value in self._rows.values())

    def __len__(self) -> int:
        """How many objects there are."""
        return len(self._rows)

    def get(self, uid: str) -> T | None:
        """The object with this uid."""
        row = self._rows.get(uid)
        return row[1] if row else None

    def put(self, uid: str, version: int, value: T) -> bool:
        """Take `value` unless something newer is known; whether anything changed.

        Versions are resourceVersions as integers, whose order is official since Kubernetes 1.35 (KEP-5504).
        """
        known = self._rows.get(uid)
        if known and known[0] > version:
            return False
        self._rows[uid] = (version, value)
        if known and known[1] == value:
            return False
        self._on_change(known[1] if known else None, value)
        return True

    def drop(self, uid: str) -> bool:
        """Forget an object; whether it was there."""
        known = self._rows.pop(uid, None)
        if known:
            self._on_change(known[1], None)
        return known is not None

    def replace(self, rows: Mapping[str, tuple[int, T]], as_of: int) -> int:
        """Take the whole list of version `as_of`: the difference is applied; how many objects it concerned.

        What is known in a later version than the list's was made meanwhile, and stays.
        """
        gone = [uid for uid, (version, _) in self._rows.items() if uid not in rows and version <= as_of]
        changed = sum(self.drop(uid) for uid in gone)
        return changed + sum(self.put(uid, version, value) for uid, (version, value) in rows.items())
