"""How nodes change between training and inference: what a pool wants and allows, and how far each node has come."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, time, timedelta, tzinfo
from enum import StrEnum
from hashlib import sha256
from typing import Final

MODE_KEY: Final = "training.ai/mode"
"""Key of the label that names a node's mode, and of the taint that keeps other work away."""
SWITCHING_KEY: Final = "training.ai/switching"
"""Key of the taint that keeps all new work away from a node that switches."""


class Mode(StrEnum):
    """What a node may be used for."""

    TRAINING = "Training"
    INFERENCE = "Inference"
    SHARED = "Shared"
    """Both, as there is room."""
    MAINTENANCE = "Maintenance"
    """Neither."""


class SwitchStep(StrEnum):
    """How far a node has come on its way to another mode."""

    PLANNED = "Planned"
    """Said, and nothing done yet: the next cycle must want the same."""
    CORDONED = "Cordoned"
    """Nothing new comes to it."""
    NOTIFIED = "Notified"
    """What runs on it is told to go: training is asked for a checkpoint or gets its new size, replicas are replaced."""
    DRAINING = "Draining"
    """What was told is going."""
    FLIPPING = "Flipping"
    """It is empty, and bears its new mode."""
    WARMING = "Warming"
    """It is made ready for what will come."""
    ACTIVE = "Active"
    """It has its mode; nothing is under way."""
    ABORTED = "Aborted"
    """It kept its mode, since nobody needed the other one any more."""
    STUCK = "Stuck"
    """What was told did not go in time."""


RESTING = frozenset({SwitchStep.ACTIVE, SwitchStep.ABORTED})
"""Steps in which nothing is under way."""
LEAVING = frozenset({SwitchStep.NOTIFIED, SwitchStep.DRAINING, SwitchStep.STUCK})
"""Steps in which what runs on the node has to go."""
TURNED = frozenset({SwitchStep.FLIPPING, SwitchStep.WARMING})
"""Steps in which a node bears its new mode, and takes no work yet."""


@dataclass(frozen=True, slots=True)
class Setting:
    """How a vendor's agent is to configure a node's accelerators: a label that it reads, and one that it writes."""

    label: str
    value: str
    state_label: str
    """Where it says how far it has come; what it said of another value is not believed."""


@dataclass(frozen=True, slots=True)
class Hook:
    """Which configuration of its accelerators a node gets with a mode, and how its vendor's agent tells of it."""

    label: str
    values: Mapping[Mode, str]
    """A mode that is not here leaves the label alone."""
    state_label: str
    done: str = "success"
    failed: str = "failed"

    def setting(self, mode: Mode) -> Setting | None:
        """What a node of `mode` gets; None where its label is left alone."""
        value = self.values.get(mode)
        return None if value is None else Setting(self.label, value, self.state_label)

    def state(self, setting: Setting | None, labels: Mapping[str, str]) -> str:
        """What the agent says of `setting` on a node with `labels`; empty where it says nothing of this value."""
        bears = setting is not None and labels.get(setting.label) == setting.value
        return labels.get(self.state_label, "") if bears else ""


def digest_of(images: Sequence[str]) -> str:
    """Tells lists of images apart, in 12 hexadecimal digits."""
    return sha256("\n".join(images).encode()).hexdigest()[:12]


@dataclass(frozen=True, slots=True)
class PrepullPod:
    """A pod that makes its node pull images; whether they run there does not matter."""

    name: str
    uid: str
    node: str
    digest: str
    """Of the list of images that it was made for."""
    created: datetime
    pulled: frozenset[int] = frozenset()
    """Positions in that list of images that are on the node."""
    troubles: Mapping[int, str] = field(default_factory=dict)
    """Why others are not, as far as the kubelet says so."""
    is_over: bool = False
    deleting: bool = False


@dataclass(frozen=True, slots=True)
class Switch:
    """How far a node has come: the truth about its mode, of which label and taints are only the picture."""

    mode: Mode
    """What it is now."""
    to: Mode
    """What it will be; the same as `mode` when nothing is under way."""
    step: SwitchStep
    begun: datetime
    """When the latest switch was planned."""
    since: datetime
    """When this step began."""
    why: str = ""
    """For whose sake."""
    setting: Setting | None = None
    """How its accelerators were to be configured when it last got a mode; None where their label is left alone."""

    @property
    def is_resting(self) -> bool:
        """Whether nothing is under way."""
        return self.step in RESTING

    @property
    def is_leaving(self) -> bool:
        """Whether what runs on the node has to go."""
        return self.step in LEAVING


@dataclass(frozen=True, slots=True)
class Bounds:
    """How many nodes a mode has."""

    least: int = 0
    most: int | None = None
    """None means no limit."""


@dataclass(frozen=True, slots=True)
class Window:
    """A part of the week in which other bounds hold."""

    name: str
    begin: time
    """On the clocks of `zone`."""
    end: time
    """On the clocks of `zone`; not after `begin` means on the next day."""
    zone: tzinfo
    days: frozenset[int]
    """Days on which it begins, Monday is 0."""
    bounds: Mapping[Mode, Bounds] = field(default_factory=dict)
    """Replaces the pool's own, mode by mode."""


@dataclass(frozen=True, slots=True)
class Switching:
    """What a pool wants of its nodes' modes, and within which limits they change."""

    default: Mode = Mode.SHARED
    """Of a node that has none yet, and of those that nobody needs otherwise."""
    bounds: Mapping[Mode, Bounds] = field(default_factory=dict)
    windows: tuple[Window, ...] = ()
    """Of two that hold at once the later one in the list counts."""
    is_enforced: bool = False
    """Whether nodes are touched at all; else the plan is only told."""
    unit: str = "host"
    """Level of the topology whose domains change as a whole."""
    max_concurrent: int = 1
    """Units that switch at the same time."""
    per_hour: int = 20
    """Units that begin to switch within an hour."""
    min_time_in_mode: timedelta = timedelta(minutes=10)
    cooldown: timedelta = timedelta(minutes=5)
    """Least time between the end of a node's switch and the next plan to move that node back; and between two resizes
    of a gang."""
    drain_deadline: timedelta = timedelta(minutes=15)
    """Time for what runs on a node to go; afterwards the node is stuck. Also for an empty one to get ready."""
    is_forced: bool = False
    """Whether at the deadline what is left is ended."""
    hook: Hook | None = None
    """What the vendor's agent does to a node with its new mode; None for nothing."""
    warm_images: tuple[str, ...] = ()
    """What a node pulls before it takes work in its new mode."""

    def is_reset(self, switch: Switch | None, mode: Mode) -> bool:
        """Whether a node with this annotation is configured otherwise for `mode`: nothing there may stay then."""
        wanted = self.hook.setting(mode) if self.hook else None
        return wanted is not None and (switch is None or switch.setting != wanted)
