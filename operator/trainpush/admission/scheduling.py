"""When work goes and what others may take from it: priority classes, and what a spec says of preemption."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Literal

from trainpush.api.demand import PriorityStatus
from trainpush.api.quantity import seconds
from trainpush.api.trainpushjob import TrainPushJobSpec
from trainpush.model.reasons import Reason
from trainpush.model.wording import listed
from trainpush.model.workload import Preemption, Refusal

_SHOWN_MAX = 16
"""Most names that a message offers."""


@dataclass(frozen=True, slots=True)
class PriorityClass:
    """What a class says of work."""

    value: int
    """Larger goes first."""
    preempts: bool = True
    """Whether others of lower priority make room for it."""


@dataclass(frozen=True, slots=True)
class Priorities:
    """The PriorityClasses of the cluster.

    Whatever a class said stays with its work while it is gone: its value cannot be changed, so people delete a class
    and make it anew.
    """

    classes: Mapping[str, PriorityClass] = field(default_factory=dict)
    """By name."""
    default: PriorityClass | None = None
    """That of work which names none; None where there is no global default."""

    def of(self, name: str | None, before: PriorityStatus | None = None) -> PriorityStatus | None:
        """What the class of this `name` says, else what the status says that it said `before`; None: nobody knows.

        A name of no class changes nothing; no name where there is no default class is priority 0, unless there was one.
        """
        found = self.default if name is None else self.classes.get(name)
        if found:
            policy: Literal["PreemptLowerPriority", "Never"] = "PreemptLowerPriority" if found.preempts else "Never"
            return PriorityStatus(class_name=name, value=found.value, preemption_policy=policy)
        if before and (name or before.class_name is None):
            return before
        return None if name else PriorityStatus()

    def fault(self, name: str | None, before: PriorityStatus | None = None) -> Refusal | None:
        """Why work cannot be queued under this name, of which the status says what it said `before`."""
        if name is None or name in self.classes or (before and before.class_name == name):
            return None
        known = listed(sorted(self.classes), _SHOWN_MAX) or "none"
        return Refusal(
            Reason.INVALID_SPEC,
            f'spec.scheduling.priorityClassName: there is no PriorityClass "{name}"; there are: {known}',
        )


def preemption_of(spec: TrainPushJobSpec) -> Preemption:
    """What others may take from the gang."""
    if spec.scheduling.preemption:
        return Preemption(spec.scheduling.preemption)
    return Preemption.BEYOND_MIN if spec.elastic else Preemption.ALWAYS


def min_runtime_of(spec: TrainPushJobSpec) -> timedelta:
    """How long nothing is taken from the gang after it got its place."""
    return timedelta(seconds=seconds(spec.scheduling.min_runtime))


def is_asked(spec: TrainPushJobSpec) -> bool:
    """Whether the program is asked for a checkpoint before others take something from the gang."""
    return spec.checkpoint is None or spec.checkpoint.on_preempt == "Request"
