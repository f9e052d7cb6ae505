"""What the operator knows of the cluster: fed by watches, read by the loop, never a source of truth."""

import asyncio
import math
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any, Final, Generic, Protocol, TypeVar

import msgspec

from trainpush.api.base import InvalidObject, Metadata, Resource
from trainpush.api.gpupool import GPUPool
from trainpush.api.inferenceservice import InferenceService
from trainpush.api.trainpushjob import TrainPushJob
from trainpush.kube import resources
from trainpush.kube.children import BudgetRow, EndpointRow, ExportRow, RevisionRow, SliceRow
from trainpush.kube.daemons import DaemonRow
from trainpush.kube.index import Index
from trainpush.kube.priorities import PriorityRow
from trainpush.kube.records import Exporter, OwnerId, PodRow
from trainpush.kube.reports import Reports
from trainpush.kube.table import Row, Table
from trainpush.kube.warnings import Warnings
from trainpush.model.fleet import Fleet
from trainpush.model.modes import PrepullPod
from trainpush.model.nodes import Ending, Node
from trainpush.model.serving import Replica, ServiceRecord
from trainpush.model.workload import Recorded, Worker
from trainpush.status import job, pool, service

RECENT: Final = 256
"""So many objects are kept as they were parsed."""
SPECS: Final = 1024
"""So many specs are."""

R = TypeVar("R", bound=Resource)
T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Seen(Generic[R, T]):
    """One of our own objects: what decisions look at, and the bytes from which all else is read when it is needed."""

    metadata: Metadata
    body: bytes
    """The object as JSON, without `managedFields`: a tenth of what it takes when it is parsed."""
    record: T
    """What the status says, also where this version cannot read the rest."""
    model: type[R]
    fault: str = ""
    """Why this version cannot read it; then `found` is None."""

    @property
    def found(self) -> R | None:
        """The object."""
        return None if self.fault else _parsed(self.model, self.body)

    @property
    def status(self) -> Mapping[str, Any]:
        """The status as it stands; to be read only."""
        return _decoded(self.body).get("status") or {}

    @property
    def owner(self) -> OwnerId:
        """What its pods name as their owner."""
        return OwnerId(self.metadata.uid, self.metadata.namespace)


SeenJob = Seen[TrainPushJob, Recorded]
SeenService = Seen[InferenceService, ServiceRecord]
SeenPool = Seen[GPUPool, pool.History]


# What was read is most often asked for once more a moment later: by a cycle, for a pod, for a status.
@lru_cache(maxsize=RECENT)
def _decoded(body: bytes) -> dict[str, Any]:
    return msgspec.json.decode(body, type=dict[str, Any])


@lru_cache(maxsize=RECENT)
def _parsed(model: type[R], body: bytes) -> R:
    stored = _decoded(body)
    # Most often it asks for what it asked for a moment ago, or for what many others ask for.
    asked = {"spec": _asking(model, msgspec.json.encode(stored["spec"]))} if "spec" in stored else {}
    return model.parse({**stored, **asked})


@lru_cache(maxsize=SPECS)
def _asking(model: type[R], spec: bytes) -> object:
    return model.read_spec(msgspec.json.decode(spec))


class _Identity(msgspec.Struct, gc=False, rename="camel"):
    uid: str
    resource_version: str


class _Identified(msgspec.Struct, gc=False):
    metadata: _Identity


_identity = msgspec.json.Decoder(_Identified)


class Kind(Table[Seen[R, T]]):
    """All objects of one of our own kinds."""

    def __init__(
        self,
        model: type[R],
        read: Callable[[Any], T],
        on_change: Callable[[Seen[R, T] | None, Seen[R, T] | None], None],
    ) -> None:
        """An empty table of `model`s, whose statuses `read` makes records of."""
        super().__init__(on_change)
        self._model = model
        self._read = read
        self._uids: dict[tuple[str, str], str] = {}
        """By namespace and name."""

    def put(self, item: Row[Seen[R, T]]) -> bool:
        """As of every table; and of one name there is one object: a later one tells that the one before is gone."""
        name = _name(item.value)
        former = self.row(self._uids.get(name, item.uid))
        if former and former.uid != item.uid:
            if former.version > item.version:
                return False
            self.forget(former.uid)
        is_news = super().put(item)
        if self.get(item.uid):
            self._uids[name] = item.uid
        return is_news

    def forget(self, uid: str, version: float = math.inf) -> bool:
        """As of every table."""
        if known := self.get(uid):
            self._uids.pop(_name(known), None)
        return super().forget(uid, version)

    def take(self, raw: Mapping[str, Any]) -> bool:
        """Take an object as the API server sent it; whether anything changed."""
        metadata = raw["metadata"]
        # Most often it is told of twice: by the answer to a write, and by the watch.
        if self.knows(metadata["uid"], int(metadata["resourceVersion"])):
            return False
        return self.put(self._row(raw))

    def take_all(self, raws: Iterable[bytes | msgspec.Raw], as_of: int) -> int:
        """Take the list of all objects; how many were not as known. One whose version is known is not parsed."""
        rows = []
        for raw in raws:
            identity = _identity.decode(raw).metadata
            row = self.row(identity.uid)
            if row is None or row.version != int(identity.resource_version):
                row = self._row(msgspec.json.decode(raw))
            rows.append(row)
        return self.replace(rows, as_of)

    def _row(self, raw: Mapping[str, Any]) -> Row[Seen[R, T]]:
        kept = {**raw, "metadata": {key: it for key, it in raw["metadata"].items() if key != "managedFields"}}
        body, fault = msgspec.json.encode(kept), ""
        try:
            found = _parsed(self._model, body)
            metadata, status = found.metadata, found.status
        except InvalidObject as error:
            metadata = Metadata.model_validate(raw["metadata"], extra="ignore")
            status, fault = self._model.read_status(raw), str(error)
        seen = Seen(metadata, body, self._read(status), self._model, fault)
        return Row(metadata.uid, int(metadata.resource_version), seen)


def _name(seen: Seen[Any, Any]) -> tuple[str, str]:
    return seen.metadata.namespace, seen.metadata.name


class Owned(Protocol):
    """Something that was made for a job or a service."""

    @property
    def name(self) -> str:
        """Its name."""

    @property
    def owner(self) -> OwnerId:
        """What it was made for."""


@dataclass
class Store:
    """All tables, the nodes with what is taken on them, and our pods by owner."""

    fleet: Fleet = field(default_factory=Fleet)
    """The nodes, and what pods take that no known job or service answers for."""
    dirty: asyncio.Event = field(default_factory=asyncio.Event)
    """Set whenever something changed that a decision may depend on."""
    touched: set[str] = field(default_factory=set)
    """The uids of jobs and services of which something changed, until whoever looks at them clears it."""
    assumed: dict[str, Recorded] = field(default_factory=dict)
    """By uid, what the status of a job is about to say; it counts as if it stood there."""
    acting: set[str] = field(default_factory=set)
    """The uids of jobs and services of which something is being carried out."""
    home: str = "trainpush-system"
    """The operator's own namespace, with what belongs to no other."""

    def __post_init__(self) -> None:
        """Make the tables."""
        self.reports = Reports(self._pod_spoke)
        self.nodes: Table[Node] = Table(self._node_changed)
        self.pods: Table[PodRow] = Table(self._pod_changed)
        self.jobs: Kind[TrainPushJob, Recorded] = Kind(TrainPushJob, job.read, self._owner_changed)
        self.services: Kind[InferenceService, ServiceRecord] = Kind(InferenceService, service.read, self._owner_changed)
        self.pools: Kind[GPUPool, pool.History] = Kind(GPUPool, pool.read, self._changed)
        self.priorities: Table[PriorityRow] = Table(self._changed)
        self.daemons: Table[DaemonRow] = Table(self._changed)
        self.exports_of: Index[ExportRow] = Index()
        self.exports: Table[ExportRow] = Table(self._owned_by(self.exports_of))
        self.revisions_of: Index[RevisionRow] = Index()
        self.revisions: Table[RevisionRow] = Table(self._owned_by(self.revisions_of))
        self.endpoints_of: Index[EndpointRow] = Index()
        self.endpoints: Table[EndpointRow] = Table(self._owned_by(self.endpoints_of))
        """Services that were made for gangs, services and releases."""
        self.slices_of: Index[SliceRow] = Index()
        self.slices: Table[SliceRow] = Table(self._owned_by(self.slices_of))
        """Whom those find that were made for services."""
        self.budgets_of: Index[BudgetRow] = Index()
        self.budgets: Table[BudgetRow] = Table(self._owned_by(self.budgets_of))
        """PodDisruptionBudgets that were made for our services."""
        self.workers: Index[Worker] = Index()
        self.replicas: Index[Replica] = Index()
        self.exporters: Index[Exporter] = Index()
        self.prepull_pods: Index[PrepullPod] = Index()
        self.own_kinds: dict[resources.Resource, Kind[Any, Any]] = {
            resources.GPUPOOLS: self.pools,
            resources.TRAINPUSHJOBS: self.jobs,
            resources.INFERENCESERVICES: self.services,
        }
        """Our own objects by what the API server calls them."""
        self._indexes: dict[type, Index[Any]] = {
            Worker: self.workers,
            Replica: self.replicas,
            Exporter: self.exporters,
            PrepullPod: self.prepull_pods,
        }
        self.warnings = Warnings(self.dirty.set)
        self.last_words: dict[OwnerId, Worker] = {}
        """Of the pods of each job that are gone, the one whose termination message counts."""
        self._hosted: Index[OwnerId] = Index()
        """Whose pods are on each node."""
        self._next_change = asyncio.Event()
        self._owners: set[OwnerId] = set()
        """Jobs and services that are known: what their pods take counts with them."""

    async def changed(self) -> None:
        """Wait until a job or a service is not as it was when this was called."""
        await self._next_change.wait()

    def touch(self, uid: str) -> None:
        """Take note that something changed of a job or a service."""
        self.touched.add(uid)
        self.dirty.set()

    def assume(self, uid: str, record: Recorded) -> None:
        """From now on a job counts as if its status said this. Whoever decided it needs no new cycle for that."""
        self.assumed[uid] = record
        self.touched.add(uid)

    def settle(self, uid: str) -> None:
        """What was assumed of a job, if anything, stands by now or will not."""
        if self.assumed.pop(uid, None):
            self.touch(uid)

    def begin(self, uid: str) -> None:
        """From now on something that was decided of a job or a service is carried out."""
        self.acting.add(uid)
        self.touched.add(uid)

    def end(self, uid: str) -> None:
        """It was carried out, or could not be."""
        self.acting.discard(uid)
        self.touched.add(uid)

    def _changed(self, before: object, after: object) -> None:
        self.dirty.set()

    def _owned_by(self, index: "Index[Any]") -> Callable[["Owned | None", "Owned | None"], None]:
        """Keeps `index` in step with a table of things that were made for jobs or services."""

        def changed(before: Owned | None, after: Owned | None) -> None:
            if before:
                index.drop(before.owner, before.name)
                self._touch_owner(before.owner)
            if after:
                index.put(after.owner, after.name, after)
                self._touch_owner(after.owner)
            self.dirty.set()

        return changed

    def _pod_spoke(self, uid: str) -> None:
        row = self.pods.get(uid)
        if row and row.owner:
            self.touched.add(row.owner.uid)
        self.dirty.set()

    def _node_changed(self, before: Node | None, after: Node | None) -> None:
        if after:
            self.fleet.put(after)
        elif before:
            self.fleet.remove(before.name)
        node = after or before
        if node and (before is None or after is None or before.outage != after.outage):
            for owner in self._hosted.of(node.name):
                self._touch_owner(owner)
        self.dirty.set()

    def _owner_changed(self, before: Seen[Any, Any] | None, after: Seen[Any, Any] | None) -> None:
        if before is None and after:
            self._owners.add(after.owner)
            self._count_pods_of(after.owner, -1)
        elif before and after is None:
            self._owners.discard(before.owner)
            self.last_words.pop(before.owner, None)
            self._count_pods_of(before.owner, +1)
        self.touched.update(seen.metadata.uid for seen in (before, after) if seen)
        self._next_change.set()
        self._next_change = asyncio.Event()
        self.dirty.set()

    def _pod_changed(self, before: PodRow | None, after: PodRow | None) -> None:
        if before:
            self._count(before, -1)
        if after:
            self._count(after, +1)
        elif before and isinstance(before.ours, Worker):
            self.reports.forget(before.ours.uid)
            self._keep_last_words(before.ours, before.owner)
        self.dirty.set()

    def endpoint(self, owner: OwnerId, name: str) -> EndpointRow | None:
        """The Service of this name that was made for `owner`."""
        return next((row for row in self.endpoints_of.of(owner) if row.name == name), None)

    def has_endpoint(self, owner: OwnerId, name: str) -> bool:
        """Whether that is there as it was made."""
        found = self.endpoint(owner, name)
        return found is not None and found.is_intact

    def _touch_owner(self, owner: OwnerId) -> None:
        """Take note that something changed that belongs to a job or a service, or to what was made for one."""
        uid = owner.uid
        if made := self.exports.get(uid) or self.revisions.get(uid) or self.endpoints.get(uid):
            self._touch_owner(made.owner)
        else:
            self.touched.add(uid)

    def _keep_last_words(self, gone: Worker, owner: OwnerId | None) -> None:
        """Its end and its deletion often come so close together that no cycle sees what it left."""
        if not gone.report or owner is None or owner not in self._owners:
            return
        before = self.last_words.get(owner)
        if before is None or (gone.attempt, -gone.rank) >= (before.attempt, -before.rank):
            self.last_words[owner] = gone

    def _count(self, row: PodRow, sign: int) -> None:
        if row.ours and row.owner:
            self._touch_owner(row.owner)
            index = self._indexes[type(row.ours)]
            if sign > 0:
                index.put(row.owner, row.ours.uid, row.ours)
                self._hosted.put(row.node or "", row.ours.uid, row.owner)
            else:
                index.drop(row.owner, row.ours.uid)
                self._hosted.drop(row.node or "", row.ours.uid)
        if isinstance(row.ours, Worker | Replica) and row.owner in self._owners:
            return
        if isinstance(row.ours, PrepullPod) and row.owner and row.owner.namespace == self.home:
            # It is gone when work comes.
            return
        if row.node and row.is_live:
            pod = Ending(row.node, row.requests, row.ends_at, row.maker)
            self._take(pod, sign, is_orphan=isinstance(row.ours, Worker | Replica))

    def _count_pods_of(self, owner: OwnerId, sign: int) -> None:
        """Count what the pods of a job or a service take as usage, or no more."""
        pods: list[Worker | Replica] = [*self.workers.of(owner), *self.replicas.of(owner)]
        for pod in pods:
            if pod.node and pod.is_live:
                self._take(Ending(pod.node, pod.request, pod.ends_at), sign, is_orphan=True)

    def _take(self, pod: Ending, sign: int, *, is_orphan: bool) -> None:
        """Count what a pod takes for which nobody answers; what has no owner any more is collected soon."""
        self.fleet.add_usage(pod.node, pod.request, sign)
        if pod.ends_at or is_orphan:
            self.fleet.add_ending(pod, sign)
