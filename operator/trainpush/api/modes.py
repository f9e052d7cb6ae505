"""The modes of a pool's nodes: how many of each, when, and within which limits they change."""

from datetime import datetime
from typing import Annotated, Literal

from pydantic import Field

from trainpush.api.base import ApiModel, Count, Distinct, MapBy, Rule
from trainpush.api.quantity import lasts
from trainpush.api.quota import Label
from trainpush.api.text import Message, matches

NODES_MAX = 100_000
"""Largest number of nodes in a bound."""
WINDOWS_MAX = 32
"""Most windows of a schedule."""
SWITCHES_MAX = 32
"""Most switches that a status lists, of those to come and of those that are over."""
VICTIMS_MAX = 16
"""Most jobs and services that a status lists for one switch."""
CLOCK_PATTERN = r"^([01][0-9]|2[0-3]):[0-5][0-9]$"
ZONE_PATTERN = r"^[A-Za-z0-9_+-]+(/[A-Za-z0-9_+-]+){0,2}$"

ModeName = Literal["Training", "Inference", "Shared", "Maintenance"]
Nodes = Annotated[int, Field(ge=0, le=NODES_MAX)]
Pause = Annotated[str, Field(max_length=16), lasts("168h", "5m or 1h", "0s")]
"""A duration of at most a week."""
Clock = Annotated[
    str,
    Field(max_length=5),
    Rule(
        f"self.matches(r'{CLOCK_PATTERN}')",
        'must be hours and minutes in quotes, from "00:00" to "23:59"',
        matches(CLOCK_PATTERN),
    ),
]
"""A time of the day."""
Zone = Annotated[
    str,
    Field(max_length=64),
    Rule(
        f"self.matches(r'{ZONE_PATTERN}')",
        "must be a time zone of the IANA database, such as Europe/Berlin or UTC",
        matches(ZONE_PATTERN),
    ),
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
    """When it begins, on the clocks of timeZone."""
    to: Clock
    """When it ends; a time that is not after from is on the next day."""
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
    schedule: Annotated[list[Window], MapBy("name"), Field(max_length=WINDOWS_MAX)] = []
    """When other bounds hold."""


class Switching(ApiModel):
    """Whether, how fast and how hard nodes change their mode."""

    policy: Literal["DryRun", "Enforce"] = "DryRun"
    """DryRun tells the plan in status and touches no node."""
    max_concurrent: Annotated[int, Field(ge=1, le=1000)] = 1
    """Nodes that switch at the same time."""
    min_time_in_mode: Pause = "10m"
    """How long a node keeps a mode at least."""
    cooldown: Pause = "5m"
    """Least time from the end of a switch to the next plan to take it back."""
    per_hour: Annotated[int, Field(ge=1, le=10_000)] = 20
    """Switches that begin within an hour."""
    drain_deadline: Annotated[str, Field(max_length=16), lasts("24h", "15m", "10s")] = "15m"
    """How long what runs on a node may take to go."""
    on_deadline: Literal["Stop", "Force"] = "Stop"
    """What happens afterwards: Stop leaves the node as it is and tells, Force ends what is left."""


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
    begun: datetime
    """When it was planned."""
    ended: datetime
    """When it was over."""
    outcome: Annotated[str, Field(max_length=16)]
    """Active, or Aborted for a node that kept its mode."""
