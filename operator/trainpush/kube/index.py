"""What belongs to whom."""

from collections import defaultdict
from typing import Generic, TypeVar

from trainpush.kube.records import OwnerId

T = TypeVar("T")


class Index(Generic[T]):
    """Things by their owner, or by the node where they are, and by their own uid."""

    def __init__(self) -> None:
        """Nothing yet."""
        self._by_owner: dict[OwnerId | str, dict[str, T]] = defaultdict(dict)

    def of(self, owner: OwnerId | str) -> list[T]:
        """What belongs to `owner`, in no particular order."""
        return list(self._by_owner[owner].values()) if owner in self._by_owner else []

    def put(self, owner: OwnerId | str, uid: str, thing: T) -> None:
        """Take one."""
        self._by_owner[owner][uid] = thing

    def drop(self, owner: OwnerId | str, uid: str) -> None:
        """Forget one."""
        self._by_owner[owner].pop(uid, None)
        if not self._by_owner[owner]:
            del self._by_owner[owner]
