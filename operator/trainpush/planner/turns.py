"""What the turn of a gang that finds no place may come to."""

from datetime import datetime
from typing import NamedTuple

from trainpush.model.plan import Verdict
from trainpush.planner.placing.placement import Assignment
from trainpush.planner.preemption.eligibility import Preemptor


class Coming(NamedTuple):
    """Room that a gang will have, and what is said until then."""

    assignment: Assignment | None
    verdict: Verdict


class Standing(NamedTuple):
    """Where in the line a gang waits, as far as it is told of it."""

    late: int
    """For how many that have waited long room was kept before its turn."""
    is_behind: bool
    """Whether others got room before it in this cycle, or wait for some: of more room they would have the first."""


class Blocked(NamedTuple):
    """A gang for which there was no room in its turn."""

    preemptor: Preemptor
    position: int
    """In the queue, from 1."""
    standing: Standing
    wake_at: datetime | None
    """When to look again."""
