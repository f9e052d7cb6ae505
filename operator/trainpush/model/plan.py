"""What a cycle decided: one decision per job, one summary per pool, and the acts that follow."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum

from trainpush.model.workload import Key, Outcome, Placement, Refusal


class Stage(StrEnum):
    """Where a job stands after this cycle."""

    REFUSED = "Refused"
    SUSPENDED = "Suspended"
    QUEUED = "Queued"
    STARTING = "Starting"
    RUNNING = "Running"
    RESTARTING = "Restarting"
    COMPLETE = "Complete"
    FAILED = "Failed"


@dataclass(frozen=True, slots=True)
class Verdict:
    """Why a job is where it is; counts are accelerators."""

    reason: str
    message: str
    needed: int = 0
    free: int = 0
    largest_free: int = 0


@dataclass(frozen=True, slots=True)
class MakeService:
    """Make the headless Service by which the workers find each other."""


@dataclass(frozen=True, slots=True)
class MakeWorker:
    """Make the pod of one rank on its node."""

    attempt: int
    rank: int
    node: str


@dataclass(frozen=True, slots=True)
class RemoveWorker:
    """Delete one pod, which must still have this uid."""

    name: str
    uid: str


Act = MakeService | MakeWorker | RemoveWorker


@dataclass(frozen=True, slots=True)
class Decision:
    """What becomes of one job; everything but `acts` goes to its status."""

    key: Key
    stage: Stage
    verdict: Verdict
    attempt: int = 0
    placement: Placement | None = None
    failures: int = 0
    infrastructure: int = 0
    running: int = 0
    outcome: Outcome | None = None
    has_run: bool = False
    last: Refusal | None = None
    refusal: Refusal | None = None
    """Why the request cannot be taken as it stands, whatever the stage."""
    report: Mapping[str, object] = field(default_factory=dict)
    acts: tuple[Act, ...] = ()
    """Carried out after the status stands; they follow from what the status said before."""
    wake_at: datetime | None = None
    """When to look again although nothing changed."""


@dataclass(frozen=True, slots=True)
class PoolSummary:
    """What the status of a pool shows; counts of nodes and accelerators."""

    name: str
    nodes: int
    ready: int
    cordoned: int
    not_ready: int
    total: int
    used: int
    free: int
    unavailable: int
    largest_free: Mapping[str, int]
    """Free accelerators of the domain that has most, per level."""
    shared_nodes: tuple[str, ...] = ()
    unlabelled_nodes: int = 0


@dataclass(frozen=True, slots=True)
class Plan:
    """What one cycle wants."""

    decisions: tuple[Decision, ...]
    """One per job that is not being deleted, by key."""
    pools: tuple[PoolSummary, ...]
    wake_at: datetime | None
