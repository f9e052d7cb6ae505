"""The gangs of one pool that run, or are about to: looked through only where somebody has to know them one by one."""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property

from trainpush.planner.allocations import Allocations
from trainpush.planner.places import GangAllocation


@dataclass(eq=False)
class RunningGangs:
    """Those that have a place here, and keep it unless others need it more."""

    allocations: Allocations
    pool: str
    keeps: Callable[[GangAllocation], bool]
    """Whether a place will still do."""

    def __iter__(self) -> Iterator[GangAllocation]:
        """All of them, in no particular order."""
        return iter(self._all)

    @property
    def elastic(self) -> Iterator[GangAllocation]:
        """Those with several legal sizes, by key."""
        found = self.allocations.elastic_of(self.pool)
        return (found[key] for key in sorted(found) if self.keeps(found[key]))

    @property
    def ranks(self) -> Mapping[tuple[str, int], int]:
        """How many there are of each namespace and priority, and of those that lose their place."""
        return self.allocations.ranks_of(self.pool)

    @cached_property
    def placed(self) -> list[GangAllocation]:
        """Those that have not begun."""
        return list(filter(self.keeps, self.allocations.placed_of(self.pool).values()))

    @cached_property
    def _all(self) -> list[GangAllocation]:
        return [*self.allocations.begun_of(self.pool).values(), *self.placed]
