"""What teams may have of a pool: their guarantees, weights and limits."""

from typing import Annotated

from pydantic import Field

from trainpush.api.base import ApiModel, Count, Distinct, Rule
from trainpush.api.text import DNS_LABEL_PATTERN, like

QUOTAS_MAX = 64
"""Most entries of a pool; all namespaces that none of them names are one team more."""
NAMESPACES_MAX = 32
"""Most namespaces of a team."""
NAMESPACES_IN_ALL = 512
"""Most namespaces that the teams of a pool name together."""

Accelerators = Annotated[int, Field(ge=0, le=1_000_000)]
Label = Annotated[
    str, Field(max_length=63), like(DNS_LABEL_PATTERN, "must be at most 63 lower case letters, digits and -")
]


class Share(ApiModel):
    """What a team may have of one resource."""

    guarantee: Accelerators = 0
    """Its own: others may borrow what it leaves idle, and give it back when it is needed."""
    weight: Annotated[int, Field(ge=1, le=1000)] = 1
    """Of what nobody needs for a guarantee, teams get parts in proportion to their weights."""
    limit: Accelerators | None = None
    """Never more than this; none means no limit."""

    rules = (
        Rule(
            "!has(self.limit) || self.limit >= self.guarantee",
            "must not be less than guarantee: raise it, or lower guarantee",
            lambda share: share.limit is None or share.limit >= share.guarantee,
            field=".limit",
        ),
    )


class Quota(ApiModel):
    """A team: namespaces that share one account."""

    name: Label
    """Name of the team."""
    namespaces: Annotated[list[Label], Distinct(), Field(min_length=1, max_length=NAMESPACES_MAX)]
    """Its namespaces; each belongs to one team. All that no entry names share one account without guarantee."""
    resources: Annotated[dict[str, Share], Field(max_length=8)] = {}
    """By accelerator resource; what is not named is neither guaranteed nor limited, with weight 1."""


class ResourceUse(ApiModel):
    """What a team holds of one resource."""

    used: Count = 0
    """Held by its jobs and services."""
    guarantee: Count = 0
    """Its own."""
    limit: Count | None = None
    """Never more than this; absent where there is no limit."""


class QuotaStatus(ApiModel):
    """What a team holds."""

    name: Annotated[str, Field(max_length=63)]
    """Name of the team."""
    resources: Annotated[dict[str, ResourceUse], Field(max_length=8)] = {}
    """By accelerator resource."""


def _namespaces(quotas: list[Quota]) -> list[str]:
    return [namespace for quota in quotas for namespace in quota.namespaces]


_IN_ALL = "self.map(q, q.namespaces.size()).sum()"
FEW_NAMESPACES = Rule(
    f"{_IN_ALL} <= {NAMESPACES_IN_ALL}",
    f"must name at most {NAMESPACES_IN_ALL} namespaces in all: name fewer, the rest share one account",
    lambda quotas: len(_namespaces(quotas)) <= NAMESPACES_IN_ALL,
)
NAMESPACES_ONCE = Rule(
    # The API server stops a rule that costs too much, and each namespace is compared with each.
    f"{_IN_ALL} > {NAMESPACES_IN_ALL} || self.all(q, self.exists_one(p, sets.intersects(q.namespaces, p.namespaces)))",
    "must name each namespace in one entry only: remove it from the others",
    lambda quotas: len(set(_namespaces(quotas))) == len(_namespaces(quotas)),
)
