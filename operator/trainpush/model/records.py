"""Records by key that change little from one moment to the next: what changed is found without a look at all."""

from collections.abc import Iterable, Iterator, Sequence
from functools import cached_property
from operator import attrgetter
from typing import Final, Generic, Protocol, TypeVar, overload

from trainpush.model.workload import Key

SHARDS: Final = 256
"""A change copies one of so many parts, a comparison looks into those that differ."""


class Keyed(Protocol):
    """What has a key of its own."""

    @property
    def key(self) -> Key:
        """Namespace and name."""


T = TypeVar("T", bound=Keyed)
_KEY = attrgetter("key")


class Records(Sequence[T], Generic[T]):
    """Immutable, in the order of keys. A changed copy shares all parts in which nothing changed.

    The idea is that of a hash trie, in one level: what is here are thousands, not millions.
    """

    def __init__(self, records: Iterable[T] = ()) -> None:
        """These records; the last of each key counts."""
        self._shards: list[dict[Key, T]] = [{} for _ in range(SHARDS)]
        for record in records:
            self._shards[hash(record.key) % SHARDS][record.key] = record

    @classmethod
    def of(cls, records: "Iterable[T] | Records[T]") -> "Records[T]":
        """These records; the very same if they are such already."""
        return records if isinstance(records, Records) else cls(records)

    def changed(self, put: Iterable[T], gone: Iterable[Key] = ()) -> "Records[T]":
        """A copy without those that are `gone`, and with what is `put`; the very same where that is nothing."""
        fresh: dict[int, dict[Key, T]] = {}

        def shard(key: Key) -> dict[Key, T]:
            number = hash(key) % SHARDS
            if number not in fresh:
                fresh[number] = dict(self._shards[number])
            return fresh[number]

        for key in gone:
            shard(key).pop(key, None)
        for record in put:
            shard(record.key)[record.key] = record
        if not fresh:
            return self
        made: Records[T] = Records.__new__(Records)
        made._shards = [fresh.get(number, kept) for number, kept in enumerate(self._shards)]
        return made

    def since(self, before: "Records[T]") -> tuple[list[T], set[Key]]:
        """The records that are not the very same as `before`, and the keys that are not there any more."""
        new: list[T] = []
        gone: set[Key] = set()
        for mine, theirs in zip(self._shards, before._shards, strict=True):  # noqa: SLF001 - its own kind
            if mine is not theirs:
                new += (record for key, record in mine.items() if theirs.get(key) is not record)
                gone |= theirs.keys() - mine.keys()
        return new, gone

    def get(self, key: Key) -> T | None:
        """The record of this key, if there is one."""
        return self._shards[hash(key) % SHARDS].get(key)

    def __len__(self) -> int:
        """How many there are."""
        return sum(map(len, self._shards))

    def __iter__(self) -> Iterator[T]:
        """All of them, by key."""
        return iter(self._ordered)

    @overload
    def __getitem__(self, index: int) -> T: ...

    @overload
    def __getitem__(self, index: slice) -> Sequence[T]: ...

    def __getitem__(self, index: int | slice) -> T | Sequence[T]:
        """By their order."""
        return self._ordered[index]

    def __eq__(self, other: object) -> bool:
        """Whether the other has the same records."""
        return self._shards == other._shards if isinstance(other, Records) else NotImplemented

    __hash__ = None  # type: ignore[assignment]

    @cached_property
    def _ordered(self) -> Sequence[T]:
        return sorted((record for shard in self._shards for record in shard.values()), key=_KEY)
