"""The objects of one kind as last seen: never older than seen before, and told apart from mere repetition."""

import math
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import Final, Generic, TypeVar

T = TypeVar("T")

GRAVES: Final = 10_000
"""How many uids of gone objects are remembered: far more than can be on their way at once."""


@dataclass(frozen=True, slots=True)
class Row(Generic[T]):
    """One object in one of its states."""

    uid: str
    version: int
    """Its resourceVersion as an integer; their order is official since Kubernetes 1.35 (KEP-5504)."""
    value: T


class Table(Generic[T]):
    """Objects by uid. A change is told once, as (before, after); None stands for absent."""

    def __init__(self, on_change: Callable[[T | None, T | None], None]) -> None:
        """An empty table; `on_change` may be called from every method that alters it."""
        self._rows: dict[str, Row[T]] = {}
        self._gone: dict[str, float] = {}
        """Uids of gone objects, and the version from which on they may come back."""
        self._on_change = on_change

    def __iter__(self) -> Iterator[T]:
        """Every object, in no particular order."""
        return (row.value for row in self._rows.values())

    def __len__(self) -> int:
        """How many objects there are."""
        return len(self._rows)

    @property
    def uids(self) -> list[str]:
        """Of all objects, in order."""
        return sorted(self._rows)

    def get(self, uid: str) -> T | None:
        """The object with this uid, if it is there."""
        row = self._rows.get(uid)
        return row.value if row else None

    def row(self, uid: str) -> Row[T] | None:
        """The object with this uid with its version, if it is there."""
        return self._rows.get(uid)

    def knows(self, uid: str, version: int) -> bool:
        """Whether it is known in this version, or a later one, or to be gone."""
        row = self._rows.get(uid)
        return row.version >= version if row else version < self._gone.get(uid, 0)

    def put(self, item: Row[T]) -> bool:
        """Take an object unless something newer is known of it; whether anything changed."""
        known = self._rows.get(item.uid)
        if item.version < self._gone.get(item.uid, 0) or (known and known.version > item.version):
            return False
        self._gone.pop(item.uid, None)
        self._rows[item.uid] = item
        if known and known.value == item.value:
            return False
        self._on_change(known.value if known else None, item.value)
        return True

    def drop(self, item: Row[T]) -> bool:
        """Take an object as gone in this version; whether it was there.

        It may come back with a later one: a watch with a selector also calls an object gone whose labels changed.
        """
        return self.forget(item.uid, item.version)

    def forget(self, uid: str, version: float = math.inf) -> bool:
        """As `drop`, where only the uid is known; without a version it is gone for good, since no uid is used twice."""
        self._gone[uid] = version
        if len(self._gone) > GRAVES:
            del self._gone[next(iter(self._gone))]
        known = self._rows.pop(uid, None)
        if known:
            self._on_change(known.value, None)
        return known is not None

    def replace(self, items: Iterable[Row[T]], as_of: int) -> int:
        """Take the whole list of version `as_of`: the difference is applied; how many objects it concerned.

        What is known in a later version than the list's was made meanwhile, and stays.
        """
        listed = {item.uid: item for item in items}
        gone = [uid for uid, row in self._rows.items() if uid not in listed and row.version <= as_of]
        return sum(self.forget(uid) for uid in gone) + sum(self.put(item) for item in listed.values())
