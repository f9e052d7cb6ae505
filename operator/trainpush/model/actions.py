"""What is done about a decision: the least steps, each made safe to repeat."""

from dataclasses import dataclass

from trainpush.model.serving import Place
from trainpush.model.workload import Checkpoint


@dataclass(frozen=True, slots=True)
class MakeBelongings:
    """Make what the workers of a gang need besides their pods, before any of them."""


@dataclass(frozen=True, slots=True)
class MakeWorker:
    """Make the pod of one rank on its node."""

    attempt: int
    rank: int
    node: str
    workers: int
    """Workers of this attempt."""
    resume: Checkpoint | None = None
    """What was saved last."""


@dataclass(frozen=True, slots=True)
class RemoveWorker:
    """Delete one pod, which must still have this uid."""

    name: str
    uid: str


@dataclass(frozen=True, slots=True)
class EndPod:
    """Delete a pod that had its time to end, or was told to already: it gets no more than a second."""

    name: str
    uid: str


@dataclass(frozen=True, slots=True)
class ForgetPod:
    """Delete a pod of a node that is gone or out of service, where nobody is left to say that it has ended."""

    name: str
    uid: str
    node: str


@dataclass(frozen=True, slots=True)
class MakeExport:
    """Make what exports the trained model."""


@dataclass(frozen=True, slots=True)
class ReadEvents:
    """Ask what Kubernetes last warned of about the object with this uid."""

    uid: str


JobAction = MakeBelongings | MakeWorker | RemoveWorker | EndPod | ForgetPod | MakeExport | ReadEvents


@dataclass(frozen=True, slots=True)
class MakeRevision:
    """Record a release under this name and number; one that is there already gets the number."""

    name: str
    number: int


@dataclass(frozen=True, slots=True)
class MakeEndpoint:
    """Make the Service that stays the same over all revisions, and the PodDisruptionBudget."""


@dataclass(frozen=True, slots=True)
class MakeRevisionEndpoint:
    """Make the Service that finds the replicas of one revision, whose pods are there."""

    revision: str


@dataclass(frozen=True, slots=True)
class MakeReplica:
    """Make the pod of one place, after what its revision needs."""

    place: Place


@dataclass(frozen=True, slots=True)
class RemoveReplica:
    """Delete one pod, which must still have this uid; it ends when its requests are answered."""

    name: str
    uid: str


@dataclass(frozen=True, slots=True)
class AskReplica:
    """Send the probe request to a pod that has loaded its model, and set its readiness gate by the answer."""

    name: str
    uid: str
    address: str
    revision: str


@dataclass(frozen=True, slots=True)
class AnnotateStable:
    """Write down which revision all replicas serve."""

    revision: str


@dataclass(frozen=True, slots=True)
class RemoveRevision:
    """Delete a revision that is too old to go back to, which must still have this uid."""

    name: str
    uid: str


ServiceAction = (
    MakeRevision
    | MakeEndpoint
    | MakeRevisionEndpoint
    | MakeReplica
    | RemoveReplica
    | EndPod
    | ForgetPod
    | AskReplica
    | AnnotateStable
    | RemoveRevision
    | ReadEvents
)


@dataclass(frozen=True, slots=True)
class MakePrepullPod:
    """Make the pod that pulls images onto a node."""

    node: str
    images: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class RemovePrepullPod:
    """Delete one pod, which must still have this uid."""

    name: str
    uid: str


PoolAction = MakePrepullPod | RemovePrepullPod
