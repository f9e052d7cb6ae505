"""What an InferenceService asks for: the revision that should be served, or a refusal with field and remedy."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from trainpush.admission.modes import tolerance, toleration
from trainpush.admission.pools import accelerator_of, pool_for, requests_of
from trainpush.api.gpupool import GPUPool
from trainpush.api.inferenceservice import InferenceService
from trainpush.api.quantity import milli
from trainpush.api.revision import PROXY_REQUESTS, Provenance, ResolvedReplica, RevisionData, ServedModel, revision_name
from trainpush.api.trainpushjob import TrainPushJob
from trainpush.model.gang import Gang, Requirements
from trainpush.model.modes import Mode
from trainpush.model.nodes import PODS, counted
from trainpush.model.reasons import Reason
from trainpush.model.workload import Refusal


@dataclass(frozen=True, slots=True)
class Asked:
    """The revision that a service asks for."""

    name: str
    data: RevisionData


def asked(
    service: InferenceService,
    pools: Sequence[GPUPool],
    source: TrainPushJob | None,
    released: Sequence[Asked],
    stable: str,
    proxy_image: str,
) -> Asked | Refusal | None:
    """The revision that the spec of `service` comes to; None while the job that it follows has released nothing.

    `source` is that job, and `released` what revisions are there, oldest first: a job may be gone, its releases stay.
    `stable` is the name of the one that serves.
    """
    found = _model(service, source, [entry.data for entry in released])
    if found is None:
        return None
    resolved = _resolve(service, pools, proxy_image)
    if isinstance(resolved, Refusal):
        return resolved
    model, provenance = found
    template = service.spec.template()
    data = RevisionData(model=model, template=template, resolved=resolved, provenance=provenance)
    alike = [entry for entry in released if (entry.data.model, entry.data.template) == (model, template)]
    # What serves keeps the defaults that it was made with; what never served may be mended by better ones.
    kept = [entry for entry in alike if entry.name == stable or entry.data.resolved == resolved]
    if kept:
        return next((entry for entry in kept if entry.name == stable), kept[-1])
    return Asked(revision_name(service.name, model, template, resolved if alike else None), data)


def replica_gang(data: RevisionData) -> Gang:
    """One replica of a revision, as the planner places it."""
    template, resolved = data.template, data.resolved
    request = requests_of(template.resources)
    for name, amount in PROXY_REQUESTS.items():
        request[name] = request.get(name, 0) + counted(name, milli(amount))
    return Gang(
        pool=resolved.pool,
        workers=1,
        requirements=Requirements(
            request={**request, PODS: 1000},
            accelerator=resolved.accelerator_resource,
            accelerators=resolved.accelerators_per_replica,
            products=frozenset(template.placement.accelerator_products),
            tolerations=(*map(toleration, resolved.tolerations), tolerance(Mode.INFERENCE)),
        ),
    )


def _model(
    service: InferenceService, source: TrainPushJob | None, released: Iterable[RevisionData]
) -> tuple[ServedModel, Provenance | None] | None:
    wanted = service.spec.model
    if wanted.source is None:
        return ServedModel(name=wanted.name, uri=wanted.uri or "", digest=wanted.digest), None
    if source and (pushed := _pushed(service, source)):
        return pushed
    earlier = [data for data in released if data.provenance and data.provenance.job == wanted.source.train_push_job]
    if not earlier:
        return None
    model = earlier[-1].model
    return ServedModel(name=wanted.name, uri=model.uri, digest=model.digest), earlier[-1].provenance


def _pushed(service: InferenceService, job: TrainPushJob) -> tuple[ServedModel, Provenance] | None:
    """What `job` has exported for `service`, once that stands in its status."""
    push, done = job.spec.push, job.status.push
    if not push or push.target.inference_service != service.name or not done or not done.digest or not done.uri:
        return None
    progress = job.status.progress
    provenance = Provenance(
        job=job.name,
        job_uid=job.uid,
        generation=job.status.observed_generation or job.metadata.generation,
        attempt=job.status.attempt,
        image=job.status.resolved.image if job.status.resolved else "",
        step=progress.step if progress else None,
        metrics=progress.metrics if progress else {},
    )
    return ServedModel(name=service.spec.model.name, uri=done.uri, digest=done.digest), provenance


def _resolve(service: InferenceService, pools: Sequence[GPUPool], proxy_image: str) -> ResolvedReplica | Refusal:
    spec = service.spec
    pool = pool_for(spec.placement.pool, pools)
    if isinstance(pool, Refusal):
        return pool
    image = spec.runtime.image or pool.spec.defaults.inference.image
    if not image:
        where = f"GPUPool {pool.name} has no spec.defaults.inference.image"
        return Refusal(Reason.IMAGE_REQUIRED, f"spec.runtime.image: name an image; {where}")
    accelerator = accelerator_of(spec.resources, pool)
    if isinstance(accelerator, Refusal):
        return accelerator
    name, each = accelerator
    return ResolvedReplica(
        pool=pool.name,
        image=image,
        proxy_image=proxy_image,
        tolerations=pool.spec.tolerations,
        accelerator_resource=name,
        accelerators_per_replica=each,
    )
