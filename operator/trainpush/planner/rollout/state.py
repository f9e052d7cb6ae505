"""The replicas of one service while a cycle decides on them."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from trainpush.model.plan import Verdict
from trainpush.model.serving import Place, Replica, Revision, Service


@dataclass(slots=True)
class RolloutState:
    """The replicas of a service while a cycle decides on them."""

    service: Service
    revisions: Mapping[str, Revision]
    wanted: Revision | None
    good: list[Place] = field(default_factory=list)
    """Of the wanted revision, on nodes that will do."""
    old: list[Place] = field(default_factory=list)
    """To be replaced."""
    bad: set[Place] = field(default_factory=set)
    """Of these, those on a node that is lost or cordoned."""
    left: str = ""
    """A node where a replica was not bound or not started in time; empty where there is none."""
    waiting: Verdict | None = None
    """Why a replica found no place."""
    _pods: dict[tuple[int, str], Replica] = field(default_factory=dict)
    """By serial number and revision."""

    def __post_init__(self) -> None:
        for pod in self.service.pods:
            self._pods.setdefault((pod.serial, pod.revision), pod)

    @property
    def places(self) -> tuple[Place, ...]:
        """All replicas that should be there, by serial."""
        return tuple(sorted([*self.good, *self.old]))

    def is_ready(self, place: Place) -> bool:
        """Whether the replica gets requests."""
        pod = self.pod(place)
        return pod is not None and pod.ready and pod.is_found and not pod.deleting

    @property
    def unfound(self) -> int:
        """How many replicas are ready and get no requests, since the Service does not find them."""
        return sum(pod.ready and not (pod.is_found or pod.deleting) for pod in self.service.pods)

    def ready(self, places: Iterable[Place]) -> int:
        """How many of `places` get requests."""
        return sum(map(self.is_ready, places))

    def pod(self, place: Place) -> Replica | None:
        """The pod of a place."""
        return self._pods.get((place.serial, place.revision))
