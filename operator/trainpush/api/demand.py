"""What a pod needs and where it may go: the parts of a spec that jobs and services share."""

from typing import Annotated, Literal

from pydantic import Field

from trainpush.api.base import ApiModel, Distinct, Rule
from trainpush.api.quantity import Quantity, milli
from trainpush.api.text import KEY_MAX, RESOURCE_PATTERN, Name, matches

_is_resource = matches(RESOURCE_PATTERN)
_is_whole = matches("^[1-9][0-9]{0,5}$")

Amounts = Annotated[
    dict[str, Quantity],
    Field(max_length=16),
    Rule(
        f"self.all(k, k.size() <= {KEY_MAX} && k.matches(r'{RESOURCE_PATTERN}'))",
        "must have names of resources as keys: cpu, memory, ephemeral-storage, hugepages-2Mi, nvidia.com/gpu, …",
        lambda amounts: all(len(name) <= KEY_MAX and _is_resource(name) for name in amounts),
    ),
    Rule(
        "self.all(k, !k.contains('/') || string(self[k]).matches('^[1-9][0-9]{0,5}$'))",
        "must give a whole number from 1 for an accelerator, as in nvidia.com/gpu: 8",
        lambda amounts: all(_is_whole(str(amount)) for name, amount in amounts.items() if "/" in name),
    ),
]
"""Amounts by name of the resource."""
_NO_MORE_THAN_LIMITS = Rule(
    "!has(self.requests) || !has(self.limits) || "
    "self.requests.all(k, k.contains('/') || !(k in self.limits) || "
    "quantity(string(self.requests[k])).compareTo(quantity(string(self.limits[k]))) <= 0)",
    "must not exceed limits: lower the request or raise the limit",
    lambda resources: all(
        milli(amount) <= milli(resources.limits.get(name, amount)) for name, amount in resources.requests.items()
    ),
    field=".requests",
)


class PlainResources(ApiModel):
    """What a pod needs that runs on processors alone, on any node."""

    requests: Amounts = {}
    """What is set aside for a pod; what is missing here counts as its limit."""
    limits: Amounts = {}
    """What a pod may use at most."""

    rules = (
        Rule(
            "[has(self.requests) ? self.requests : {}, has(self.limits) ? self.limits : {}]"
            ".all(amounts, !amounts.exists(k, k.contains('/')))",
            "must not ask for an accelerator, which only workers and replicas get: remove it",
            lambda resources: not any("/" in name for name in (*resources.requests, *resources.limits)),
        ),
        _NO_MORE_THAN_LIMITS,
    )


class Resources(ApiModel):
    """What one worker or replica needs."""

    requests: Amounts = {}
    """What is set aside for a pod; what is missing here counts as its limit."""
    limits: Amounts = {}
    """What a pod may use at most."""

    rules = (
        Rule(
            "has(self.limits) && self.limits.exists(k, k.contains('/'))",
            "must ask for an accelerator: add one, such as nvidia.com/gpu: 8",
            lambda resources: any("/" in name for name in resources.limits),
            field=".limits",
        ),
        Rule(
            "!has(self.requests) || self.requests.all(k, !k.contains('/') || (has(self.limits) && "
            "k in self.limits && string(self.requests[k]) == string(self.limits[k])))",
            "must equal limits for an accelerator, which cannot be overcommitted: set both to the same number",
            lambda resources: all(
                str(amount) == str(resources.limits.get(name))
                for name, amount in resources.requests.items()
                if "/" in name
            ),
            field=".requests",
        ),
        _NO_MORE_THAN_LIMITS,
    )


class Placement(ApiModel):
    """Where pods may go."""

    pool: Name | None = None
    """Name of a GPUPool; none means the default pool, or the only one."""
    accelerator_products: Annotated[
        list[Annotated[str, Field(min_length=1, max_length=63)]], Distinct(), Field(max_length=16)
    ] = []
    """Accelerator products that will do, as the node label nvidia.com/gpu.product names them; none means any."""


class Scheduling(ApiModel):
    """What goes before what."""

    priority_class_name: Name | None = None
    """Name of a PriorityClass: inside a team, the larger value goes first. None means the cluster's default class."""


class PriorityStatus(ApiModel):
    """What a PriorityClass came to."""

    class_name: Name | None = None
    """The class that the spec named; absent where it named none."""
    value: Annotated[int, Field(ge=-(2**31), lt=2**31)] = 0
    """Its value."""
    preemption_policy: Literal["PreemptLowerPriority", "Never"] = "PreemptLowerPriority"
    """Never: nobody of lower priority makes room for it."""
