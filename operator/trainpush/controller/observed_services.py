"""An InferenceService as it is seen, with what was made for it."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property

from trainpush.admission.pools import patience_of
from trainpush.admission.scheduling import Priorities
from trainpush.admission.services import Asked, asked, replica_gang
from trainpush.api import names
from trainpush.api.demand import PriorityStatus
from trainpush.api.gpupool import GPUPool
from trainpush.api.inferenceservice import InferenceService
from trainpush.controller.observed_jobs import TroubleOf, with_outage
from trainpush.kube.children import EndpointRow, RevisionRow
from trainpush.kube.records import MESSAGE_MAX, OwnerId
from trainpush.kube.store import SeenJob, SeenService, Store
from trainpush.model.reasons import Reason
from trainpush.model.serving import Replica, Revision, Service
from trainpush.model.workload import Key, Refusal


@dataclass
class ObservedService:
    """One look at a service."""

    seen: SeenService
    store: Store
    offers: Sequence[GPUPool]
    priorities: Priorities
    proxy_image: str
    """Goes into a revision that is made now."""

    @property
    def follows(self) -> str:
        """Name of the job whose releases it takes."""
        source = self._found.spec.model.source if self._found else None
        return source.train_push_job if source else ""

    def asked(self, jobs: Mapping[Key, SeenJob]) -> Asked | Refusal | None:
        """The revision that it asks for."""
        seen, found = self.seen, self._found
        if found is None:
            return Refusal(Reason.INVALID_SPEC, seen.fault)
        # What serves already goes on, whatever became of its class.
        name, before = found.spec.scheduling.priority_class_name, found.status.priority
        if not self._stable and (fault := self.priorities.fault(name, before)):
            return fault
        source = jobs.get(Key(seen.metadata.namespace, self.follows)) if self.follows else None
        released = [Asked(row.name, row.data) for row in self._releases]
        return asked(found, self.offers, source.found if source else None, released, self._stable, self.proxy_image)

    @cached_property
    def priority(self) -> PriorityStatus | None:
        """What its PriorityClass says, or last said; None where nobody knows."""
        found = self._found
        return self.priorities.of(found.spec.scheduling.priority_class_name, found.status.priority) if found else None

    def service(self, wanted: Asked | Refusal | None, trouble_of: TroubleOf) -> Service:
        """The service that asks for `wanted`."""
        store, owner, found, record = self.store, self.seen.owner, self._found, self.seen.record
        name, namespace, uid = self.seen.metadata.name, self.seen.metadata.namespace, self.seen.metadata.uid
        kept = next((row.min_available for row in store.budgets_of.of(owner) if row.name == name), None)
        endpoint = store.endpoint(owner, name)
        reached = self._reached_by(endpoint)
        return Service(
            key=Key(namespace, name),
            uid=uid,
            created_at=self.seen.metadata.created_at,
            request=wanted.name if isinstance(wanted, Asked) else wanted,
            replicas=found.spec.replicas if found else len(record.places),
            min_available=found.spec.min_available if found else kept or 0,
            priority=self.priority.value if self.priority else 0,
            is_readable=found is not None,
            follows=self.follows,
            deleting=self.seen.metadata.deletion_timestamp is not None,
            stable=self._stable,
            is_new=record.is_new,
            places=record.places,
            revisions=tuple(map(self._revision, self._releases)),
            pods=tuple(replace(pod, is_found=pod.uid in reached) for pod in self._pods),
            has_endpoint=store.has_endpoint(owner, name),
            budget=kept,
            trouble=trouble_of(uid),
        )

    @property
    def _pods(self) -> list[Replica]:
        """By serial, with what is wrong with their nodes."""
        pools = {row.name: row.data.resolved.pool for row in self._releases}
        found = ((pod, pools.get(pod.revision, "")) for pod in self.store.replicas.of(self.seen.owner))
        pods = (with_outage(pod, self.store.fleet, patience_of(pool, self.offers)) for pod, pool in found)
        return sorted(map(self._warned, pods), key=lambda pod: (pod.serial, pod.uid))

    def _warned(self, pod: Replica) -> Replica:
        """A replica with what its Events say, where its status does not say it."""
        warned = self.store.warnings.get(pod.uid)
        if not (warned.asked and pod.is_unexplained):
            return pod
        return replace(pod, starting=warned.said[:MESSAGE_MAX] or pod.starting, asked=warned.asked)

    @cached_property
    def _found(self) -> InferenceService | None:
        return self.seen.found

    @cached_property
    def _releases(self) -> list[RevisionRow]:
        """By number."""
        return sorted(self.store.revisions_of.of(self.seen.owner), key=lambda row: (row.number, row.name))

    @property
    def _stable(self) -> str:
        """The revision that serves: what the annotation says, else the status."""
        return self.seen.metadata.annotations.get(names.ANNOTATION_STABLE) or self.seen.record.stable

    def _reached_by(self, endpoint: EndpointRow | None) -> frozenset[str]:
        """The uids of the pods to which a Service passes requests."""
        slices = self.store.slices_of.of(OwnerId(endpoint.uid, self.seen.metadata.namespace)) if endpoint else ()
        return frozenset(uid for row in slices for uid in row.ready)

    def _revision(self, row: RevisionRow) -> Revision:
        return Revision(
            name=row.name,
            uid=row.uid,
            number=row.number,
            gang=replica_gang(row.data),
            uri=row.data.model.uri,
            digest=row.data.model.digest or "",
            job_uid=row.data.provenance.job_uid if row.data.provenance else "",
            has_endpoint=self.store.has_endpoint(OwnerId(row.uid, row.owner.namespace), row.name),
        )
