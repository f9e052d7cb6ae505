"""The modes of a pool's nodes: how many of each, when, and within which limits they change."""

from typing import Annotated, Literal

from pydantic import Field

from trainpush.api.base import ApiModel, Count, Distinct, MapBy, Rule, Time
from trainpush.api.quantity import lasts
from trainpush.api.quota import Label
from trainpush.api.text import KEY_MAX, LABEL_KEY_PATTERN, LABEL_VALUE_PATTERN, Image, Message, like, matches
from trainpush.api.topology import HOST, Alias

SWITCHES_MAX = 32
"""Most switches that a status lists, of those to come and of those that are over."""
HISTORY_MAX = 1000
"""Most switches that are over that a status keeps where more than `SWITCHES_MAX` began within an hour."""
VICTIMS_MAX = 16
"""Most jobs and services that a status lists for one switch."""
CLOCK_PATTERN = r"^([01][0-9]|2[0-3]):[0-5][0-9]$"
NO_VENDOR_PATTERN = r"^([^/]*[.])?(training[.]ai|kubernetes[.]io|k8s[.]io)/"
ZONE_PATTERN = r"^[A-Za-z0-9_+-]+(/[A-Za-z0-9_+-]+){0,2}$"

ModeName = Literal["Training", "Inference", "Shared", "Maintenance"]
Nodes = Annotated[int, Field(ge=0, le=100_000)]
Pause = Annotated[str, Field(max_length=16), lasts("168h", "5m or 1h", "0s")]
"""A duration of at most a week."""
Clock = Annotated[
    str, Field(max_length=5), like(CLOCK_PATTERN, 'must be hours and minutes in quotes, from "00:00" to "23:59"')
]
"""A time of the day."""
Zone = Annotated[
    str,
    Field(max_length=64),
    like(ZONE_PATTERN, "must be a time zone of the IANA database, such as Europe/Berlin or UTC"),
]
"""A time zone by name; whether there is such a one is checked by the operator."""


class ModeBounds(ApiModel):
    """How many nodes have a mode."""

    min: Nodes = 0
    """At least so many."""
    max: Nodes | None = None
    """At most so many; none means no limit."""

    rules = (
        Rule(
            "!has(self.max) || self.max >= self.min",
            "must not be less than min: raise it, or lower min",
            lambda bounds: bounds.max is None or bounds.max >= bounds.min,
            field=".max",
        ),
    )


class Window(ApiModel):
    """A part of the week in which other bounds hold; of two at once, the later entry counts."""

    name: Label
    """Name of the window."""
    begin: Annotated[Clock, Field(alias="from")]
    """When it begins, on the clocks of timeZone; if they skip that time, when they have jumped."""
    to: Clock
    """When it ends, likewise; a time that is not after from is on the next day."""
    time_zone: Zone = "UTC"
    """Time zone of its clocks; they follow daylight saving time."""
    days: Annotated[
        list[Literal["Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun"]], Distinct(), Field(max_length=7)
    ] = []
    """Days on which it begins; none means every day."""
    training: ModeBounds | None = None
    """Nodes that train meanwhile; none means as else."""
    inference: ModeBounds | None = None
    """Nodes that serve meanwhile; none means as else."""

    rules = (
        Rule(
            "has(self.training) || has(self.inference)",
            "must say what holds meanwhile: add training or inference",
            lambda window: window.training is not None or window.inference is not None,
        ),
    )


class Modes(ApiModel):
    """How many nodes have which mode."""

    training: ModeBounds = ModeBounds()
    """Nodes for training only."""
    inference: ModeBounds = ModeBounds()
    """Nodes for inference only."""
    default: ModeName = "Shared"
    """Mode of a node that has none yet, and of those that nobody needs otherwise."""
    schedule: Annotated[list[Window], MapBy("name"), Field(max_length=32)] = []
    """When other bounds hold."""


VendorKey = Annotated[
    str,
    Field(max_length=KEY_MAX),
    Rule(
        f"self.contains('/') && self.matches(r'{LABEL_KEY_PATTERN}') && !self.matches(r'{NO_VENDOR_PATTERN}')",
        "must be the key of a label with the domain of a vendor, such as nvidia.com/mig.config",
        lambda key: "/" in key and matches(LABEL_KEY_PATTERN)(key) and not matches(NO_VENDOR_PATTERN)(key),
    ),
]
"""Key of a label that neither Kubernetes nor trainpush gives a meaning."""
LabelValue = Annotated[
    str,
    Field(min_length=1, max_length=63),
    like(LABEL_VALUE_PATTERN, "must be the value of a label: letters, digits, -, _ and ., at most 63"),
]
"""Value of a label, not empty."""


class HookValues(ApiModel):
    """Values of a label by mode; a mode without one leaves the label as it is."""

    training: LabelValue | None = None
    """On nodes for training only."""
    inference: LabelValue | None = None
    """On nodes for inference only."""
    shared: LabelValue | None = None
    """On nodes for both."""
    maintenance: LabelValue | None = None
    """On nodes for neither."""

    rules = (
        Rule(
            "has(self.training) || has(self.inference) || has(self.shared) || has(self.maintenance)",
            "must name a value for some mode: add training or inference",
            lambda values: any((values.training, values.inference, values.shared, values.maintenance)),
        ),
    )


class Hook(ApiModel):
    """A label by which the vendor's agent configures a node's accelerators, set when the node gets its new mode."""

    label: VendorKey
    """The label that the agent reads, such as nvidia.com/mig.config."""
    values: HookValues
    """What it says in which mode."""
    state_label: VendorKey
    """The label in which the agent tells how far it is, such as nvidia.com/mig.config.state."""
    done: LabelValue = "success"
    """What it tells when the accelerators are as they should be: only then does the node take work."""
    failed: LabelValue = "failed"
    """What it tells when it gave up: the pool's condition says so at once, not only after drainDeadline."""

    rules = (
        Rule(
            "self.stateLabel != self.label",
            "must not be label: name the label that the agent writes",
            lambda hook: hook.state_label != hook.label,
            field=".stateLabel",
        ),
        Rule(
            "!has(self.done) || !has(self.failed) || self.done != self.failed",
            "must not be done: name what the agent tells when it gave up",
            lambda hook: hook.done != hook.failed,
            field=".failed",
        ),
    )


class Switching(ApiModel):
    """Whether, how fast and how hard nodes change their mode."""

    policy: Literal["DryRun", "Enforce"] = "DryRun"
    """DryRun tells the plan in status and touches no node."""
    unit: Alias = HOST
    """Level of the topology whose domains switch as a whole, such as rack; host means each node for itself."""
    max_concurrent: Annotated[int, Field(ge=1, le=1000)] = 1
    """Units that switch at the same time."""
    min_time_in_mode: Pause = "10m"
    """How long a node keeps a mode at least."""
    cooldown: Pause = "5m"
    """Least time from the end of a switch to the next plan to take it back."""
    per_hour: Annotated[int, Field(ge=1, le=10_000)] = 20
    """Units that begin to switch within an hour."""
    drain_deadline: Annotated[str, Field(max_length=16), lasts("24h", "15m", "10s")] = "15m"
    """How long what runs on a node may take to go, and how long an empty node may take to get ready."""
    on_deadline: Literal["Stop", "Force"] = "Stop"
    """What happens to what has not gone by then: Stop leaves it and tells, Force ends it."""
    hook: Hook | None = None
    """What the vendor's agent does to the accelerators of a node that gets another mode; none means nothing."""
    warm_images: Annotated[list[Image], Distinct(), Field(max_length=16)] = []
    """Images that an empty node pulls before it takes work in its new mode; registries must need no pull secrets."""


class ModeCounts(ApiModel):
    """Nodes by what they are now."""

    training: Count = 0
    """For training only."""
    inference: Count = 0
    """For inference only."""
    shared: Count = 0
    """For both."""
    maintenance: Count = 0
    """For neither."""
    switching: Count = 0
    """Those of them that change their mode."""


class PlannedStatus(ApiModel):
    """A switch that is under way or, in a dry run, would be."""

    node: Annotated[str, Field(max_length=253)]
    """Name of the node."""
    old: Annotated[str, Field(max_length=16, alias="from")]
    """What it is."""
    to: Annotated[str, Field(max_length=16)]
    """What it will be."""
    step: Annotated[str, Field(max_length=16)]
    """How far it has come."""
    why: Message = ""
    """For whose sake."""
    victims: Annotated[list[Annotated[str, Field(max_length=320)]], Field(max_length=VICTIMS_MAX)] = []
    """Jobs and services that have to go from it."""
    lost_accelerator_seconds: Count = 0
    """Work that they do twice."""


class SwitchStatus(ApiModel):
    """A switch that is over."""

    node: Annotated[str, Field(max_length=253)]
    """Name of the node."""
    old: Annotated[str, Field(max_length=16, alias="from")]
    """What it was."""
    to: Annotated[str, Field(max_length=16)]
    """What it was to be."""
    begun: Time
    """When it was planned."""
    ended: Time
    """When it was over."""
    outcome: Annotated[str, Field(max_length=16)]
    """Active, or Aborted for a node that kept its mode."""
