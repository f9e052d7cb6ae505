"""How the model of a trained job gets to its InferenceService: exported, recorded as a release, rolled out."""

from collections.abc import Mapping
from dataclasses import replace
from datetime import datetime

from trainpush.model.actions import JobAction, MakeExport, ReadEvents, RemoveWorker
from trainpush.model.plan import Decision, Pushing
from trainpush.model.reasons import Reason
from trainpush.model.serving import Revision, Service
from trainpush.model.workload import Export, ExportState, Job, Key, Outcome, Push, Refusal
from trainpush.planner import asking, outages, reports


def completed(job: Job, decision: Decision, services: Mapping[Key, Service], now: datetime) -> Decision:
    """The decision with what it says whatever the stage: what the program told, and what becomes of its model."""
    if not (job.push or isinstance(job.request, Refusal) or reports.has_spoken(job)):
        return decision
    refusal = job.request if isinstance(job.request, Refusal) and not job.recorded.outcome else None
    heard, checkpoint = reports.progress(job, now), reports.checkpoint(job, now)
    if not (refusal or job.push or heard or checkpoint):
        return decision
    pushed, actions = push(job, services)
    asked, ask_at = _question(job, now)
    return replace(
        decision,
        record=replace(decision.record, heard=heard, checkpoint=checkpoint),
        refusal=refusal,
        wake_at=min(filter(None, (decision.wake_at, reports.wake_at(job, now), ask_at)), default=None),
        push=pushed,
        actions=(*decision.actions, *actions, *asked, *_endings(job)),
    )


def _endings(job: Job) -> list[JobAction]:
    """Pods of exports to delete, once what they said is known: no Job ends while a container of others goes on."""
    is_known = job.push is not None and bool(job.push.digest)
    over = (export for export in job.exports if is_known or not export.digest)
    return [RemoveWorker(name, uid) for export in over for name, uid in export.lingering]


def _question(job: Job, now: datetime) -> tuple[tuple[ReadEvents, ...], datetime | None]:
    """What to ask about an export that does not go on; and when, if that is later."""
    silent = next((it for it in job.exports if job.push and it.name == job.push.export and it.unexplained), None)
    if silent is None or silent.since is None or silent.state is not ExportState.ACTIVE:
        return (), None
    return asking.question(silent.unexplained, silent.asked, silent.since, now)


def push(job: Job, services: Mapping[Key, Service]) -> tuple[Pushing | None, tuple[JobAction, ...]]:
    """What stands in status about the push of `job`, and what is to be done for it; None where it pushes nothing."""
    if job.push is None:
        return None, ()
    if job.recorded.outcome is not Outcome.COMPLETE:
        return Pushing(Reason.IN_PROGRESS, "training is not over"), ()
    export = next((export for export in job.exports if export.name == job.push.export), None)
    target = services.get(Key(job.key.namespace, job.push.target))
    digest = job.push.digest or (export.digest if export else "")
    uri = f"{job.push.uri}/{digest.replace(':', '-')}"
    if job.push.is_new and not digest and target:
        # The latest release of this job, in case its status was lost.
        mine = (revision for revision in reversed(target.revisions) if revision.job_uid == job.uid)
        digest, uri = next(((release.digest, release.uri) for release in mine), (digest, uri))
    if not digest:
        return _exporting(job.push, export, job.trouble), () if export else (MakeExport(),)
    found = Pushing(Reason.RELEASING, "", export=job.push.export, digest=digest, uri=uri)
    if over := job.push.over:
        return replace(found, reason=over.reason, message=over.message, is_over=True, revision=job.push.revision), ()
    return _releasing(job, found, job.push.target, target), ()


def _exporting(push: Push, export: Export | None, trouble: str) -> Pushing:
    if export is None and trouble:
        return Pushing(Reason.APPLY_FAILED, trouble, has_failed=True, export=push.export)
    if export is None:
        return Pushing(Reason.EXPORTING, f"Job {push.export} is being made", export=push.export)
    remedy = f"delete Job {export.name} to export again"
    match export.state:
        case ExportState.ACTIVE:
            is_stuck = export.outage is not None and not export.outage.is_final
            said = outages.stuck([export.outage]) if export.outage and is_stuck else export.message
            message = f"Job {export.name} exports the model{': ' if said else ''}{said}"
            return Pushing(Reason.EXPORTING, message, export=export.name)
        case ExportState.FAILED:
            message = f"Job {export.name} failed: {export.message or 'its pods left no word'}; {remedy}"
        case ExportState.SUCCEEDED:
            message = f"Job {export.name} succeeded, but its pod is gone and with it the model's digest; {remedy}"
    return Pushing(Reason.EXPORT_FAILED, message, has_failed=True, export=export.name)


def _releasing(job: Job, found: Pushing, name: str, target: Service | None) -> Pushing:
    if target is None or target.deleting:
        message = f"spec.push.target: make InferenceService {name} in namespace {job.key.namespace}, or name another"
        return replace(found, reason=Reason.TARGET_NOT_FOUND, message=message, has_failed=True)
    if target.follows != job.key.name:
        message = (
            f"InferenceService {name} does not take releases of this job: "
            f"set its spec.model.from.trainPushJob to {job.key.name}"
        )
        return replace(found, reason=Reason.TARGET_DOES_NOT_CONSENT, message=message, has_failed=True)
    # The newest revision that serves this content.
    if release := next((it for it in reversed(target.revisions) if it.digest == found.digest), None):
        return _rolling(found, release, target)
    return replace(found, message=f"InferenceService {name} takes {found.digest}")


def _rolling(found: Pushing, release: Revision, target: Service) -> Pushing:
    stable = next((revision for revision in target.revisions if revision.name == target.stable), None)
    if stable is None or stable.number < release.number:
        message = f"InferenceService {target.key.name} rolls to revision {release.name}"
        return replace(found, message=message, revision=release.name)
    if stable.digest == found.digest:
        message = f"InferenceService {target.key.name} serves it as revision {stable.name}"
        return replace(found, reason=Reason.PUSHED, message=message, is_over=True, revision=stable.name)
    message = f"revision {release.name} was followed by {stable.name}"
    return replace(found, reason=Reason.SUPERSEDED, message=message, is_over=True, revision=release.name)
