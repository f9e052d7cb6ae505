"""How large a gang may be, which of its workers stay together, and when it goes."""

from typing import Annotated, Literal

from pydantic import Field

from trainpush.api import names
from trainpush.api.base import ApiModel, Distinct, Rule
from trainpush.api.demand import Scheduling
from trainpush.api.quantity import lasts
from trainpush.api.topology import Alias

SLICES_MAX = 3
"""Most layers of slices in a spec."""

Workers = Annotated[int, Field(ge=1, le=names.GANG_MAX)]


class Slice(ApiModel):
    """Neighbours in the order of ranks that must stay close to each other."""

    level: Alias
    """Level of topology, such as rack: each slice lies in one domain of it."""
    size: Workers
    """Workers of each slice."""


class Elastic(ApiModel):
    """Sizes of the gang: it starts at the largest one that finds a place, and may be made smaller for others."""

    min_replicas: Workers | None = None
    """Fewest workers; a multiple of multipleOf."""
    max_replicas: Workers | None = None
    """Most workers, a multiple of multipleOf; none means spec.replicas."""
    multiple_of: Workers | None = None
    """Every size is a multiple of it; none means 1."""
    allowed_replicas: Annotated[list[Workers], Distinct(), Field(max_length=64)] = []
    """All sizes one by one, instead of the bounds."""

    rules = (
        Rule(
            "(has(self.allowedReplicas) && self.allowedReplicas.size() > 0) != has(self.minReplicas)",
            "must have exactly one of minReplicas and allowedReplicas",
            lambda elastic: bool(elastic.allowed_replicas) != (elastic.min_replicas is not None),
        ),
        Rule(
            "!has(self.maxReplicas) || has(self.minReplicas)",
            "must only be set with minReplicas: allowedReplicas names every size",
            lambda elastic: elastic.max_replicas is None or elastic.min_replicas is not None,
            field=".maxReplicas",
        ),
        Rule(
            "!has(self.multipleOf) || has(self.minReplicas)",
            "must only be set with minReplicas: allowedReplicas names every size",
            lambda elastic: elastic.multiple_of is None or elastic.min_replicas is not None,
            field=".multipleOf",
        ),
        Rule(
            "!has(self.minReplicas) || !has(self.maxReplicas) || self.minReplicas <= self.maxReplicas",
            "must not be less than minReplicas: raise it, or lower minReplicas",
            lambda elastic: (elastic.min_replicas or 1) <= (elastic.max_replicas or names.GANG_MAX),
            field=".maxReplicas",
        ),
        Rule(
            "!has(self.multipleOf) || !has(self.minReplicas) || self.minReplicas % self.multipleOf == 0",
            "must be a multiple of multipleOf",
            lambda elastic: (elastic.min_replicas or 0) % (elastic.multiple_of or 1) == 0,
            field=".minReplicas",
        ),
        Rule(
            "!has(self.multipleOf) || !has(self.maxReplicas) || self.maxReplicas % self.multipleOf == 0",
            "must be a multiple of multipleOf",
            lambda elastic: (elastic.max_replicas or 0) % (elastic.multiple_of or 1) == 0,
            field=".maxReplicas",
        ),
    )

    def sizes(self, replicas: int) -> tuple[int, ...]:
        """Every legal number of workers, largest first; `replicas` is what the spec says."""
        if self.min_replicas is None:
            return tuple(sorted(self.allowed_replicas, reverse=True))
        most = self.max_replicas or replicas
        return tuple(range(self.min_replicas, most + 1, self.multiple_of or 1))[::-1]


class JobScheduling(Scheduling):
    """When the gang goes, and what others may take from it."""

    preemption: Literal["Never", "BeyondMin", "Always"] | None = None
    """What others may take from it while it runs: nothing, its workers beyond its smallest size, or all. None means
    BeyondMin with spec.elastic, else Always."""
    min_runtime: Annotated[str, Field(max_length=16), lasts("168h", "10m", shortest="0s")] = "0s"
    """How long nothing is taken from it after it got its place, from 0s to 168h; a restart does not prolong it."""
