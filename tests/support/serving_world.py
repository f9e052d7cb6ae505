"""A world of one InferenceService for the planner: carries out its actions, and lets pods load, answer and go."""

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta

from support.build import NOW, a_gang
from trainpush.model.actions import (
    AnnotateStable,
    AskReplica,
    EndPod,
    ForgetPod,
    MakeEndpoint,
    MakeReplica,
    MakeRevision,
    MakeRevisionEndpoint,
    ReadEvents,
    RemoveReplica,
    RemoveRevision,
    ServiceAction,
)
from trainpush.model.gang import Gang
from trainpush.model.plan import ServiceDecision
from trainpush.model.serving import Place, Replica, Revision, Service
from trainpush.model.snapshot import Pool, Snapshot
from trainpush.model.workload import Key, Phase
from trainpush.planner.plan import plan

REPLICA = a_gang(workers=1, gpus=4)


def a_service(request: str | None = "svc-1", **fields: object) -> Service:
    """A service of one replica that asks for its first revision."""
    key = Key("default", "svc")
    defaults: dict[str, object] = {"key": key, "uid": "uid-svc", "created_at": NOW, "request": request}
    return Service(**defaults | fields)  # type: ignore[arg-type]


@dataclass
class World:
    """One service in one pool; a replica takes half of a node."""

    pool: Pool
    service: Service = field(default_factory=a_service)
    gang: Gang = REPLICA
    loads: Callable[[str], bool] = lambda _revision: True
    """Whether the model of a revision loads."""
    lingers: int = 2
    """Steps between the deletion of a pod and its end."""
    now: datetime = NOW
    ready: list[int] = field(default_factory=list)
    """How many replicas got requests, step by step."""
    _ends: dict[str, int] = field(default_factory=dict)

    def step(self) -> ServiceDecision:
        """One cycle, and what the cluster makes of it."""
        self.now += timedelta(seconds=1)
        decision = plan(Snapshot(pools=(self.pool,), jobs=(), services=(self.service,)), self.now).services[0]
        self.service = replace(self.service, places=decision.places, is_new=False)
        for action in decision.actions:
            self._perform(action)
        self._live()
        self.ready.append(sum(pod.ready and not pod.deleting for pod in self.service.pods))
        return decision

    def settle(self, most: int = 60) -> ServiceDecision:
        """Step until nothing changes any more."""
        for _ in range(most):
            before = self.service
            decision = self.step()
            if self.service == before and not self._ends:
                return decision
        raise AssertionError(f"no rest after {most} steps: {self.service}")

    def roll_to(self, revision: str) -> None:
        """Ask for another revision."""
        self.service = replace(self.service, request=revision)

    @property
    def serving(self) -> dict[str, int]:
        """Ready replicas by revision."""
        found: dict[str, int] = {}
        for pod in self.service.pods:
            if pod.ready and not pod.deleting:
                found[pod.revision] = found.get(pod.revision, 0) + 1
        return found

    def _perform(self, action: ServiceAction) -> None:
        service = self.service
        match action:
            case MakeRevision(name, number):
                others = [revision for revision in service.revisions if revision.name != name]
                made = Revision(name, f"uid-{name}", number, self.gang)
                self.service = replace(service, revisions=(*others, made))
            case MakeEndpoint():
                self.service = replace(service, has_endpoint=True, budget=service.min_available)
            case MakeRevisionEndpoint(name):
                self.service = replace(service, revisions=self._mended(name))
            case MakeReplica(place):
                self.service = replace(service, pods=(*service.pods, self._pod(place)))
            case RemoveReplica(name, _uid) | EndPod(name, _uid) | ForgetPod(name, _uid):
                self._ends[name] = self.lingers if isinstance(action, RemoveReplica) else 0
                self._change(name, deleting=True)
            case AskReplica(name, _uid, _address, _revision):
                self._change(name, answered=True)
            case AnnotateStable(revision):
                self.service = replace(service, stable=revision)
            case RemoveRevision(name, _uid):
                left = tuple(revision for revision in service.revisions if revision.name != name)
                self.service = replace(service, revisions=left)
            case ReadEvents():
                pass

    def _mended(self, name: str) -> tuple[Revision, ...]:
        return tuple(replace(it, has_endpoint=True) if it.name == name else it for it in self.service.revisions)

    def _pod(self, place: Place) -> Replica:
        name, request = f"{place.revision}-{place.serial}", self.gang.requirements.request
        return Replica(name, f"uid-{name}", place.serial, place.revision, place.node, request=request)

    def _live(self) -> None:
        for name in list(self._ends):
            self._ends[name] -= 1
            if self._ends[name] <= 0:
                del self._ends[name]
                self.service = replace(self.service, pods=tuple(p for p in self.service.pods if p.name != name))
        for pod in self.service.pods:
            loads = self.loads(pod.revision)
            message = "" if loads else "server: exit code 1 (Error): no such model"
            is_ready = loads and pod.answered and not pod.deleting
            self._change(pod.name, phase=Phase.RUNNING, loaded=loads, ready=is_ready, message=message)

    def _change(self, name: str, **changes: object) -> None:
        pods = tuple(
            replace(pod, **changes) if pod.name == name else pod  # type: ignore[arg-type]
            for pod in self.service.pods
        )
        self.service = replace(self.service, pods=pods)
