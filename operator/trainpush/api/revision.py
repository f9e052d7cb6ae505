"""What a ControllerRevision keeps of a release: all that its replicas are made from, so that no later edit matters."""

import hashlib
import json
from collections.abc import Mapping
from typing import Any, Final, Self

from pydantic import Field, ValidationError

from trainpush.api.base import ApiModel, InvalidObject, complaints
from trainpush.api.inferenceservice import ModelName, ReplicaTemplate
from trainpush.api.pod import Toleration
from trainpush.api.text import Digest, ModelUri

PROXY_REQUESTS: Final = {"cpu": "50m", "memory": "64Mi"}
"""What the proxy in each replica is given, on top of what the spec asks for; other containers of ours get as much."""
_HASH_DIGITS: Final = 8


class ServedModel(ApiModel):
    """One immutable model directory and the name under which it is served."""

    name: ModelName
    """Name under which clients ask for it."""
    uri: ModelUri
    """The model directory."""
    digest: Digest | None = None
    """Its digest; a replica does not start from anything else."""


class ResolvedReplica(ApiModel):
    """What defaults came to when the revision was made; an edited pool does not touch it."""

    pool: str
    """The pool that takes the replicas."""
    image: str
    """Container image of the model server."""
    proxy_image: str
    """Container image of the proxy before it."""
    tolerations: list[Toleration] = []
    """Tolerations that the pool gives."""
    accelerator_resource: str
    """The extended resource that counts."""
    accelerators_per_replica: int = Field(ge=1)
    """How many of it a replica holds."""


class Provenance(ApiModel):
    """Where the model of a release comes from."""

    job: str
    """Name of the TrainPushJob."""
    job_uid: str
    """Its uid."""
    generation: int
    """Generation of its spec."""
    attempt: int
    """The attempt that completed."""
    image: str
    """Container image of its workers."""
    step: int | None = None
    """Steps done, as the program last reported."""
    metrics: dict[str, str] = {}
    """Figures that the program last reported."""


class RevisionData(ApiModel):
    """All that the replicas of one revision are made from."""

    model: ServedModel
    """What is served."""
    template: ReplicaTemplate
    """How each replica is made: a copy of that part of the spec."""
    resolved: ResolvedReplica
    """What defaults came to."""
    provenance: Provenance | None = None
    """Where the model comes from; absent for one that was given by its uri."""

    @classmethod
    def parse(cls, stored: Mapping[str, Any]) -> Self:
        """The data of a ControllerRevision in the cluster; unknown fields are ignored, as in `Resource.parse`.

        Raises:
            InvalidObject: one line, `path: what is accepted; path: …`.
        """
        try:
            return cls.model_validate(stored, extra="ignore")
        except ValidationError as error:
            raise InvalidObject(complaints(error)) from None


def revision_name(
    service: str, model: ServedModel, template: ReplicaTemplate, resolved: ResolvedReplica | None = None
) -> str:
    """Name of the revision of `service` with this content: the same content always gives the same name.

    Defaults count only where they are given: a pool that is edited must not make every service roll.
    """
    # Without defaults: a later version of trainpush that knows more fields must not make new revisions of old specs.
    parts: dict[str, ApiModel | None] = {"model": model, "template": template, "resolved": resolved}
    content = {
        name: part.model_dump(by_alias=True, mode="json", exclude_defaults=True) for name, part in parts.items() if part
    }
    canonical = json.dumps(content, sort_keys=True, separators=(",", ":"))
    return f"{service}-{hashlib.sha256(canonical.encode()).hexdigest()[:_HASH_DIGITS]}"


def service_of(revision: str) -> str:
    """Name of the service whose revision has this name."""
    return revision.rpartition("-")[0]
