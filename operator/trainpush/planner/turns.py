"""What the turn of a gang that finds no place may come to."""

from datetime import datetime
from typing import NamedTuple

from trainpush.model.gang import Gang
from trainpush.model.plan import Verdict
from trainpush.planner.placing.placement import Assignment
from trainpush.planner.preemption.eligibility import Preemptor


class Coming(NamedTuple):
    """Room that a gang will have, and what is said until then."""

    assignment: Assignment | None
    verdict: Verdict


class Alike(NamedTuple):
    """What decides what a gang is told whose team may have no more."""

    gang: Gang
    team: str
    priority: int
    preempts: bool
    is_retry: bool
    """Whether its pods did not start in its last place."""
    charges: int
    """How often its team was charged before its turn."""


class HeldUp(NamedTuple):
    """What a gang is told whose team may have no more: the same as all that are alike."""

    gang: Gang
    """Of its smallest legal size."""
    resource: str
    """Of which its team may have no more."""
    verdict: Verdict
    wake_at: datetime | None
    """When to look again."""


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
