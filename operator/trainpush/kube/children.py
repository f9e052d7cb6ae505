"""What was made for our objects, as read: exports, releases, Services with whom they find, and budgets."""

from dataclasses import dataclass
from datetime import datetime

import msgspec

from trainpush.api.base import InvalidObject
from trainpush.api.revision import RevisionData, service_of
from trainpush.kube import decode_children
from trainpush.kube.decode import Owner
from trainpush.kube.records import OwnerId
from trainpush.kube.table import Row
from trainpush.model.workload import ExportState
from trainpush.render import children, serving
from trainpush.render.pods import Manifest


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
    since: datetime | None = None
    """When it was made."""


@dataclass(frozen=True, slots=True)
class RevisionRow:
    """A release of an InferenceService."""

    name: str
    uid: str
    owner: OwnerId
    number: int
    data: RevisionData


@dataclass(frozen=True, slots=True)
class EndpointRow:
    """A Service of a gang, of an InferenceService or of a release."""

    name: str
    uid: str
    owner: OwnerId
    is_intact: bool = True
    """Whether it still finds the pods that it was made for, at their ports, and bears our labels, by which its
    EndpointSlices are found: anybody may have edited it."""


@dataclass(frozen=True, slots=True)
class SliceRow:
    """A part of the endpoints of a Service."""

    name: str
    owner: OwnerId
    """The Service."""
    ready: frozenset[str] = frozenset()
    """The uids of the pods that get requests."""


@dataclass(frozen=True, slots=True)
class BudgetRow:
    """The PodDisruptionBudget of an InferenceService."""

    name: str
    owner: OwnerId
    min_available: int | None = None
    """None where it does not say it of the replicas, or not as a number."""


def read_export(body: bytes | msgspec.Raw) -> Row[ExportRow]:
    """A Job, from the bytes of the API server.

    Raises:
        msgspec.MsgspecError: it is malformed.
        ValueError: nobody owns it.
    """
    job = decode_children.job(body)
    ends = {c.type: c.message for c in job.status.conditions if c.status == "True"}
    state = ExportState.ACTIVE
    if "Failed" in ends or "FailureTarget" in ends:
        state = ExportState.FAILED
    elif "Complete" in ends:
        state = ExportState.SUCCEEDED
    message = ends.get("Failed") or ends.get("FailureTarget") or ""
    identity = OwnerId(job.uid, job.namespace)
    return Row(
        job.uid,
        job.version,
        ExportRow(job.name, identity, _owner(job), state, message, job.metadata.creation_timestamp),
    )


def read_revision(body: bytes | msgspec.Raw) -> Row[RevisionRow]:
    """A ControllerRevision, from the bytes of the API server.

    Raises:
        msgspec.MsgspecError: it is malformed.
        ValueError: nobody owns it, or its data are not ours.
    """
    found = decode_children.revision(body)
    try:
        data = RevisionData.parse(found.data)
    except InvalidObject as error:
        raise ValueError(str(error)) from None
    row = RevisionRow(found.name, found.uid, _owner(found), found.revision, data)
    return Row(found.uid, found.version, row)


def read_endpoint(body: bytes | msgspec.Raw) -> Row[EndpointRow]:
    """A Service, from the bytes of the API server.

    Raises:
        msgspec.MsgspecError: it is malformed.
        ValueError: nobody owns it.
    """
    found = decode_children.service(body)
    owner = _controller(found)
    labels, spec = _as_made(owner)
    is_intact = (
        found.spec == msgspec.convert(spec, decode_children.ServiceSpec) and labels.items() <= found.labels.items()
    )
    row = EndpointRow(found.name, found.uid, OwnerId(owner.uid, found.namespace), is_intact)
    return Row(found.uid, found.version, row)


def _as_made(owner: Owner) -> tuple[dict[str, str], Manifest]:
    """Labels and spec that we give to the Service that belongs to `owner`."""
    if owner.kind == "TrainPushJob":
        return children.labels_of(owner.name, owner.uid), children.endpoint(owner.uid)
    whose = (service_of(owner.name), owner.name) if owner.kind == "ControllerRevision" else (owner.name,)
    return serving.labels_of(*whose), serving.endpoint_of(*whose)


def read_slice(body: bytes | msgspec.Raw) -> Row[SliceRow]:
    """An EndpointSlice, from the bytes of the API server.

    Raises:
        msgspec.MsgspecError: it is malformed.
        ValueError: nobody owns it.
    """
    found = decode_children.endpoint_slice(body)
    # By the API, one that does not say whether it is ready is.
    ready = (it.target_ref.uid for it in found.endpoints or () if it.target_ref and it.conditions.ready is not False)
    return Row(found.uid, found.version, SliceRow(found.name, _owner(found), frozenset(ready)))


def read_budget(body: bytes | msgspec.Raw) -> Row[BudgetRow]:
    """A PodDisruptionBudget, from the bytes of the API server.

    Raises:
        msgspec.MsgspecError: it is malformed.
        ValueError: nobody owns it.
    """
    found = decode_children.budget(body)
    owner, spec = _controller(found), found.spec
    is_intact = spec.selector == decode_children.Selector(serving.replicas_of(owner.name))
    kept = spec.min_available if is_intact and isinstance(spec.min_available, int) else None
    return Row(found.uid, found.version, BudgetRow(found.name, OwnerId(owner.uid, found.namespace), kept))


_Found = (
    decode_children.JobObject
    | decode_children.RevisionObject
    | decode_children.ServiceObject
    | decode_children.SliceObject
    | decode_children.BudgetObject
)


def _owner(found: _Found) -> OwnerId:
    return OwnerId(_controller(found).uid, found.namespace)


def _controller(found: _Found) -> Owner:
    owner = found.controller
    if owner is None:
        msg = f"{found.namespace}/{found.name} has no owner"
        raise ValueError(msg)
    return owner
