"""Why an object is where it is: the part of a status that jobs and services share."""

from typing import Annotated

from pydantic import Field

from trainpush.api.base import OMIT_EMPTY, ApiModel, Count
from trainpush.api.text import Message


class HolderStatus(ApiModel):
    """Who holds accelerators that would do."""

    name: Annotated[str, Field(max_length=512)]
    """Namespace and name of a job or service, or a word for what is none of ours."""
    accelerators: Count = 0
    """How many."""


class VerdictStatus(ApiModel):
    """Why the object is where it is; counts are accelerators."""

    reason: Annotated[str, Field(max_length=64)]
    """One word of a closed list."""
    message: Message
    """The same for people, with numbers."""
    cause: Annotated[str, Field(max_length=64), OMIT_EMPTY] = ""
    """What binds, finer than the reason, while it waits: docs/reference/why-pending.md has all of them."""
    needed: Count = 0
    """Accelerators that are asked for: of the whole gang, or of all replicas."""
    free: Count = 0
    """Free accelerators on nodes that would do."""
    largest_free: Count = 0
    """Of these, the accelerators in the domain that has most."""
    holders: Annotated[list[HolderStatus], Field(max_length=5), OMIT_EMPTY] = []
    """Those that hold most of what would do."""
    position: Annotated[Count, OMIT_EMPTY] = 0
    """Place in the queue of its pool, from 1; absent where it does not wait."""
    advice: Annotated[Message, OMIT_EMPTY] = ""
    """The smallest change that would let it in, and why that was not done."""


class Cause(ApiModel):
    """Why something happened."""

    reason: Annotated[str, Field(max_length=64)]
    """One word of a closed list."""
    message: Message
    """The same for people."""
