"""What was made for our objects, as read: exports, releases, and the Services and budgets of model servers."""

from dataclasses import dataclass

import msgspec

from trainpush.api.base import InvalidObject
from trainpush.api.revision import RevisionData
from trainpush.kube import decode
from trainpush.kube.records import OwnerId
from trainpush.kube.table import Row
from trainpush.model.workload import ExportState


@dataclass(frozen=True, slots=True)
class ExportRow:
    """A Job that exports a model."""

    name: str
    identity: OwnerId
    """Its own; its pods belong to it."""
    owner: OwnerId
    """The TrainPushJob whose model it exports."""
    state: ExportState
    message: str = ""
    """Why it failed."""


@dataclass(frozen=True, slots=True)
class RevisionRow:
    """A release of an InferenceService."""

    name: str
    uid: str
    owner: OwnerId
    number: int
    data: RevisionData


@dataclass(frozen=True, slots=True)
class OwnedRow:
    """A Service or a PodDisruptionBudget of an InferenceService."""

    name: str
    owner: OwnerId
    min_available: int | None = None


def read_export(body: bytes | msgspec.Raw) -> Row[ExportRow]:
    """A Job, from the bytes of the API server.

    Raises:
        msgspec.MsgspecError: it is malformed.
        ValueError: nobody owns it.
    """
    job = decode.job(body)
    ends = {c.type: c.message for c in job.status.conditions if c.status == "True"}
    state = ExportState.ACTIVE
    if "Failed" in ends or "FailureTarget" in ends:
        state = ExportState.FAILED
    elif "Complete" in ends:
        state = ExportState.SUCCEEDED
    message = ends.get("Failed") or ends.get("FailureTarget") or ""
    identity = OwnerId(job.uid, job.namespace)
    return Row(job.uid, job.version, ExportRow(job.name, identity, _owner(job), state, message))


def read_revision(body: bytes | msgspec.Raw) -> Row[RevisionRow]:
    """A ControllerRevision, from the bytes of the API server.

    Raises:
        msgspec.MsgspecError: it is malformed.
        ValueError: nobody owns it, or its data are not ours.
    """
    found = decode.revision(body)
    try:
        data = RevisionData.parse(found.data)
    except InvalidObject as error:
        raise ValueError(str(error)) from None
    row = RevisionRow(found.name, found.uid, _owner(found), found.revision, data)
    return Row(found.uid, found.version, row)


def read_owned(body: bytes | msgspec.Raw) -> Row[OwnedRow]:
    """A Service or a PodDisruptionBudget, from the bytes of the API server.

    Raises:
        msgspec.MsgspecError: it is malformed.
        ValueError: nobody owns it.
    """
    found = decode.owned(body)
    kept = found.spec.min_available
    row = OwnedRow(found.name, _owner(found), kept if isinstance(kept, int) else None)
    return Row(found.uid, found.version, row)


def _owner(found: decode.JobObject | decode.RevisionObject | decode.OwnedObject) -> OwnerId:
    owner = found.controller
    if owner is None:
        msg = f"{found.namespace}/{found.name} has no owner"
        raise ValueError(msg)
    return OwnerId(owner.uid, found.namespace)
