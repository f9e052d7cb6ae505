"""Single actions, carried out on the cluster. Each may be done twice: names and uids are exact."""

from collections.abc import Callable, Coroutine
from contextlib import suppress
from http import HTTPStatus
from typing import Any, Final

import msgspec

from trainpush.api import names
from trainpush.api.inferenceservice import InferenceService
from trainpush.api.revision import RevisionData
from trainpush.kube.children import RevisionRow, read_budget, read_endpoint, read_export, read_revision
from trainpush.kube.client import Client, Exactly, Object
from trainpush.kube.drift import mending
from trainpush.kube.errors import AlreadyExists, ApiError, Conflict, NotFound
from trainpush.kube.records import MESSAGE_MAX, OwnerId, read_pod
from trainpush.kube.resources import (
    BUDGETS,
    CONFIGMAPS,
    INFERENCESERVICES,
    JOBS,
    NODES,
    PODS,
    REVISIONS,
    SERVICES,
    Resource,
)
from trainpush.kube.store import Store
from trainpush.kube.table import Row, Table
from trainpush.kube.tasks import Act, JobTask, PoolTask, ServiceTask, Task
from trainpush.kube.warnings import latest_warning
from trainpush.model.actions import (
    AnnotateStable,
    AskReplica,
    EndPod,
    ForgetPod,
    MakeBelongings,
    MakeEndpoint,
    MakeExport,
    MakePrepullPod,
    MakeReplica,
    MakeRevision,
    MakeRevisionEndpoint,
    MakeWorker,
    ReadEvents,
    RemovePrepullPod,
    RemoveReplica,
    RemoveRevision,
    RemoveWorker,
)
from trainpush.model.outage import OUT_OF_SERVICE
from trainpush.model.serving import Place
from trainpush.render import children, export, prepull, serving
from trainpush.render.environment import Address
from trainpush.telemetry.logs import logger

Ask = Callable[[str, RevisionData], Coroutine[Any, Any, str]]
"""Asks the model server at an address whether it serves that revision; empty, or why not."""
BY_KIND: Final = {it.kind: it for it in (PODS, SERVICES, CONFIGMAPS, BUDGETS, JOBS, REVISIONS)}
"""What is made for our objects."""

_log = logger(__name__)


class Actions:
    """Carries out actions, and lets the store know at once what came of them."""

    def __init__(self, client: Client, store: Store, ask: Ask, endpoint: Address | None = None) -> None:
        """Write through `client`; new workers report to `endpoint`, if there is one."""
        self._endpoint = endpoint
        self._client = client
        self._store = store
        self._ask = ask
        self._tables: dict[str, tuple[Callable[[bytes], Row[Any]], Table[Any]]] = {
            PODS.kind: (read_pod, store.pods),
            JOBS.kind: (read_export, store.exports),
            SERVICES.kind: (read_endpoint, store.endpoints),
            BUDGETS.kind: (read_budget, store.budgets),
        }

    async def perform(self, task: Task, action: Act) -> None:
        """Carry out one action of `task`.

        Raises:
            ApiError: the API server refused.
        """
        # What has no namespace has its pods in the operator's own.
        namespace, owner = task.seen.metadata.namespace or self._store.home, task.seen.metadata.uid
        match action:
            case RemoveWorker(name, uid) | RemoveReplica(name, uid) | RemovePrepullPod(name, uid):
                await self._remove(PODS, Exactly(namespace, name, uid))
            case EndPod(name, uid):
                # Not 0: then the API server forgets it at once, and it may run on.
                await self._remove(PODS, Exactly(namespace, name, uid), grace_seconds=1)
            case ForgetPod(name, uid, node):
                # By force only where that is so at this moment: what was decided on may be older than the node.
                grace = 0 if await self._is_lost(node) else None
                await self._remove(PODS, Exactly(namespace, name, uid), grace_seconds=grace)
            case RemoveRevision(name, uid):
                await self._remove(REVISIONS, Exactly(namespace, name, uid))
            case AnnotateStable(revision):
                body = {"metadata": {"uid": owner, "annotations": {names.ANNOTATION_STABLE: revision}}}
                written = await self._client.patch(INFERENCESERVICES, namespace, task.seen.metadata.name, body)
                self._store.services.take(written)
            case MakeBelongings() | MakeWorker() | MakeExport() if isinstance(task, JobTask):
                await self._for_job(task, action, owner)
            case MakeRevision() | MakeEndpoint() | MakeRevisionEndpoint() | MakeReplica() if isinstance(
                task, ServiceTask
            ):
                await self._for_service(task, action, owner)
            case ReadEvents(uid):
                await self._learn(namespace, uid)
            case MakePrepullPod() if isinstance(task, PoolTask) and task.seen.found:
                await self._create(prepull.prepull_pod(task.seen.found, namespace, action), owner)
            case _:
                _log.error("an action that does not fit its object", action=str(action))

    async def _for_job(self, task: JobTask, action: MakeBelongings | MakeWorker | MakeExport, owner: str) -> None:
        job, resolved = task.seen.found, task.resolved
        if job is None or resolved is None:
            _log.error("an action on a job that cannot be read", job=str(task.decision.key))
            return
        match action:
            case MakeBelongings():
                for manifest in children.belongings(job):
                    await self._apply(manifest, owner)
            case MakeWorker():
                await self._create(children.worker(job, resolved, action, self._endpoint), owner)
            case MakeExport():
                for manifest in export.belongings(job, resolved):
                    await self._create(manifest, owner)

    async def _learn(self, namespace: str, uid: str) -> None:
        """Let the store know what was last warned of about an object; that it cannot be read is nobody's trouble."""
        said = ""
        try:
            said = await latest_warning(self._client, namespace, uid)
        except (ApiError, msgspec.MsgspecError) as error:
            _log.warning("events not read", namespace=namespace, uid=uid, error=str(error))
        self._store.warnings.put(uid, said)

    async def _for_service(
        self, task: ServiceTask, action: MakeRevision | MakeEndpoint | MakeRevisionEndpoint | MakeReplica, owner: str
    ) -> None:
        service = task.seen.found
        match action:
            case MakeEndpoint() if service:
                for manifest in serving.endpoint(service):
                    await self._apply(manifest, owner)
            case MakeRevision(name, number) if service and task.data:
                await self._record(serving.revision(service, task.data, name, number), number, owner)
            case MakeRevisionEndpoint(name) if service:
                await self._prepare(service, name)
            case MakeReplica(place) if service:
                await self._make_replica(service, place)
            case _:
                _log.error("an action on a service that cannot be read", service=str(task.decision.key))

    async def _make_replica(self, service: InferenceService, place: Place) -> None:
        """Make a replica's pod, after what all pods of its revision use."""
        if revision := await self._prepare(service, place.revision):
            name, data = revision.name, revision.data
            await self._create(serving.replica(service, name, data, place.serial, place.node), service.uid)

    async def _prepare(self, service: InferenceService, revision_name: str) -> RevisionRow | None:
        """Make what the pods of a revision use, and the Service that finds them; the revision, if it can be read."""
        revision = self._revision(OwnerId(service.uid, service.namespace), revision_name)
        if revision:
            name, uid = revision.name, revision.uid
            for manifest in serving.belongings(service.name, service.namespace, name, uid, revision.data):
                await (self._create if manifest.get("immutable") else self._apply)(manifest, uid)
        return revision

    def _revision(self, owner: OwnerId, name: str) -> RevisionRow | None:
        return next((row for row in self._store.revisions_of.of(owner) if row.name == name), None)

    async def _record(self, revision: Object, number: int, owner: str) -> None:
        made = await self._create(revision, owner)
        metadata, labels = made["metadata"], revision["metadata"]["labels"]
        if made["revision"] != number or not labels.items() <= metadata.get("labels", {}).items():
            body = {"metadata": {"uid": metadata["uid"], "labels": labels}, "revision": number}
            made = await self._client.patch(REVISIONS, metadata["namespace"], metadata["name"], body)
        try:
            self._store.revisions.put(read_revision(msgspec.json.encode(made)))
        except ValueError as error:
            message = f"ControllerRevision {metadata['name']} cannot be read: {error}; delete it"
            raise ApiError(HTTPStatus.CONFLICT, "Unreadable", message) from None

    async def _remove(self, resource: Resource, target: Exactly, grace_seconds: int | None = None) -> None:
        with suppress(NotFound, Conflict):
            await self._client.delete(resource, target, grace_seconds=grace_seconds)
            _log.info("deleted", kind=resource.kind, namespace=target.namespace, name=target.name)

    async def _is_lost(self, node: str) -> bool:
        """Whether a node is gone or out of service, as the API server says now."""
        try:
            found = await self._client.get(NODES, node)
        except NotFound:
            return True
        return any(taint["key"] == OUT_OF_SERVICE for taint in found["spec"].get("taints", []))

    async def ask(self, owner: OwnerId, action: AskReplica) -> str:
        """Why a replica does not serve its revision; empty when it does."""
        revision = self._revision(owner, action.revision)
        if revision is None:
            return f"revision {action.revision} cannot be read"
        return await self._ask(action.address, revision.data)

    async def note_answer(self, owner: OwnerId, action: AskReplica, complaint: str) -> None:
        """Write the readiness gate of a replica, unless it says the same already.

        Raises:
            ApiError: the API server refused.
        """
        pod = next((pod for pod in self._store.replicas.of(owner) if pod.uid == action.uid), None)
        if pod is None or (complaint and pod.message == complaint[:MESSAGE_MAX]):
            return
        condition = {
            "type": names.GATE_ANSWERED,
            "status": "False" if complaint else "True",
            "reason": "NotAnswered" if complaint else "Answered",
            "message": complaint[:MESSAGE_MAX],
        }
        manifest = {
            "apiVersion": PODS.api_version,
            "kind": PODS.kind,
            "metadata": {"name": action.name, "namespace": owner.namespace, "uid": action.uid},
            "status": {"conditions": [condition]},
        }
        with suppress(NotFound, Conflict):
            written = await self._client.apply(PODS, manifest, subresource="status")
            self._store.pods.put(read_pod(msgspec.json.encode(written)))

    async def _apply(self, manifest: Object, owner_uid: str) -> None:
        """Make an object, or make it what it should be."""
        resource = BY_KIND[manifest["kind"]]
        metadata = manifest["metadata"]
        try:
            made = await self._client.create(resource, manifest)
        except AlreadyExists:
            found = await self._client.get(resource, metadata["name"], metadata["namespace"])
            _check_owner(found, resource.kind, owner_uid)
            made = found
            if patch := mending(found, manifest):
                uid = {"uid": found["metadata"]["uid"]}
                body = {**patch, "metadata": {**patch.get("metadata", {}), **uid}}
                made = await self._client.patch(resource, metadata["namespace"], metadata["name"], body)
        self._note(resource, made)

    async def _create(self, manifest: Object, owner_uid: str) -> Object:
        """Make an object, or find it made."""
        resource = BY_KIND[manifest["kind"]]
        metadata = manifest["metadata"]
        try:
            made = await self._client.create(resource, manifest)
            _log.info("created", kind=resource.kind, namespace=metadata["namespace"], name=metadata["name"])
        except AlreadyExists:
            made = await self._client.get(resource, metadata["name"], metadata["namespace"])
            _check_owner(made, resource.kind, owner_uid)
        self._note(resource, made)
        return made

    def _note(self, resource: Resource, made: Object) -> None:
        """Tell the store of what was made, where it keeps such objects."""
        if resource.kind in self._tables:
            read, table = self._tables[resource.kind]
            table.put(read(msgspec.json.encode(made)))


def _check_owner(found: Object, kind: str, owner_uid: str) -> None:
    """Raise unless the object with `owner_uid` controls what was found under a name of ours."""
    metadata = found["metadata"]
    what = f"{kind} {metadata['namespace']}/{metadata['name']}"
    if "deletionTimestamp" in metadata:
        raise ApiError(HTTPStatus.CONFLICT, "Terminating", f"{what} of an earlier owner still ends: waiting for it")
    if any(owner.get("controller") and owner["uid"] == owner_uid for owner in metadata.get("ownerReferences", [])):
        return
    message = f"{what} exists and belongs to somebody else: delete it, or choose another metadata.name"
    raise ApiError(HTTPStatus.CONFLICT, "NotOurs", message)
