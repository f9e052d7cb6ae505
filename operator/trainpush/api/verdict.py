"""Why an object is where it is: the part of a status that jobs and services share."""

from typing import Annotated

from pydantic import Field

from trainpush.api.base import ApiModel, Count
from trainpush.api.text import Message


class VerdictStatus(ApiModel):
    """Why the object is where it is; counts are accelerators."""

    reason: Annotated[str, Field(max_length=64)]
    """One word of a closed list."""
    message: Message
    """The same for people, with numbers."""
    needed: Count = 0
    """Accelerators that are asked for: of the whole gang, or of all replicas."""
    free: Count = 0
    """Free accelerators on nodes that would do."""
    largest_free: Count = 0
    """Of these, the accelerators in the domain that has most."""


class Cause(ApiModel):
    """Why something happened."""

    reason: Annotated[str, Field(max_length=64)]
    """One word of a closed list."""
    message: Message
    """The same for people."""
