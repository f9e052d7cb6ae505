"""What is read of the objects that we make beside pods: only what tells whether they are as we made them, and ended."""

from typing import Final

import msgspec

from trainpush.kube.decode import Condition, Decoded, Part, PodMeta


class JobStatus(Part):
    """The observed state of a Job."""

    conditions: list[Condition] = []


class JobObject(Decoded):
    """A Job of batch/v1 as the API server sends it."""

    metadata: PodMeta
    status: JobStatus = msgspec.field(default_factory=JobStatus)


class RevisionObject(Decoded):
    """A ControllerRevision as the API server sends it."""

    revision: int = 0
    data: dict[str, object] = {}


class Port(Part):
    """A port of a Service."""

    port: int
    name: str = ""
    target_port: int | str | None = None
    protocol: str = ""


class ServiceSpec(Part):
    """What of a Service decides whom it finds, and who finds it."""

    selector: dict[str, str] = {}
    ports: list[Port] = []
    publish_not_ready_addresses: bool = False
    type: str = "ClusterIP"
    internal_traffic_policy: str = "Cluster"


class ServiceObject(Decoded):
    """A Service as the API server sends it."""

    spec: ServiceSpec = msgspec.field(default_factory=ServiceSpec)


class _Ready(Part):
    ready: bool | None = None


class _Target(Part):
    uid: str = ""


class Endpoint(Part):
    """Some addresses of one pod."""

    conditions: _Ready = msgspec.field(default_factory=_Ready)
    target_ref: _Target | None = None


class SliceObject(Decoded):
    """An EndpointSlice as the API server sends it."""

    endpoints: list[Endpoint] | None = None


class Selector(Part):
    """Whom a PodDisruptionBudget is about."""

    match_labels: dict[str, str] = {}
    match_expressions: list[object] = []


class _BudgetSpec(Part):
    min_available: int | str | None = None
    selector: Selector | None = None


class BudgetObject(Decoded):
    """A PodDisruptionBudget as the API server sends it."""

    spec: _BudgetSpec = msgspec.field(default_factory=_BudgetSpec)


# Each decodes an object of its kind from bytes, and raises `msgspec.MsgspecError` where that is malformed.
job: Final = msgspec.json.Decoder(JobObject).decode
revision: Final = msgspec.json.Decoder(RevisionObject).decode
service: Final = msgspec.json.Decoder(ServiceObject).decode
endpoint_slice: Final = msgspec.json.Decoder(SliceObject).decode
budget: Final = msgspec.json.Decoder(BudgetObject).decode
