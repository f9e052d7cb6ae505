"""What stories measured, as tables."""

from dataclasses import dataclass, field


@dataclass
class Figures:
    """The figures of one story, printed when all tests are over."""

    rows: list[tuple[str, str, str]] = field(default_factory=list)
    """What was measured, its value, and its goal, if it has one."""

    def add(self, what: str, value: object, goal: object = "") -> None:
        """One row."""
        self.rows.append((what, f"{value:.3f}" if isinstance(value, float) else str(value), str(goal)))
