"""What becomes of a trained model: exported once, as an immutable directory, and served by one InferenceService."""

from typing import Annotated

from pydantic import Field

from trainpush.api.base import ApiModel
from trainpush.api.demand import PlainResources
from trainpush.api.env import Env
from trainpush.api.text import ClaimUri, Digest, Image, ModelUri, Name, Words


class PushTarget(ApiModel):
    """Who serves the model."""

    inference_service: Name
    """An InferenceService of the same namespace; it takes the model if its spec.model.from names this job."""


class Export(ApiModel):
    """How the trained model becomes a model directory: a Job that runs once, when training is complete."""

    uri: ClaimUri
    """Where model directories are kept, each named by its digest: pvc://CLAIM or pvc://CLAIM/PATH."""
    image: Image | None = None
    """Container image; none means the workers'. It needs a shell and GNU coreutils and findutils."""
    command: Words = []
    """Reads TRAINPUSH_CHECKPOINT_DIR and writes the model into TRAINPUSH_EXPORT_DIR. Without command and args the
    folder final of the checkpoints is copied."""
    args: Words = []
    """Arguments of the command, or of the image's own one."""
    env: Env = []
    """Environment variables, besides the workers'."""
    resources: PlainResources = PlainResources()
    """What the export needs; it gets no accelerator. Of cpu and memory, what is not named here is a little as request
    and, where workers have one, their limit."""

    @property
    def is_own(self) -> bool:
        """Whether a program of the user makes the model directory; else a folder is copied."""
        return bool(self.command or self.args)


class Push(ApiModel):
    """Where the trained model goes, and how."""

    target: PushTarget
    """Who serves it."""
    export: Export
    """How it becomes a model directory."""


class PushStatus(ApiModel):
    """How far the trained model came."""

    export_job: Annotated[str, Field(max_length=63)] | None = None
    """Name of the Job that exports it."""
    digest: Digest | None = None
    """Digest of the model directory; known once it is exported."""
    uri: ModelUri | None = None
    """The model directory."""
    revision: Annotated[str, Field(max_length=63)] | None = None
    """Name of the ControllerRevision that serves it."""
