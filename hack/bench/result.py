"""What a benchmark found."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field


@dataclass(frozen=True)
class Result:
    """One figure, of which less is better, and what it is made of."""

    value: float
    unit: str
    goal: float
    details: Mapping[str, object] = field(default_factory=dict)
    missed: Sequence[str] = ()
    """Those of the details that miss a goal of their own."""

    @property
    def holds(self) -> bool:
        """Whether every goal is met."""
        return self.value <= self.goal and not self.missed
