"""When work goes and what others may take from it: priority classes, and what a spec says of preemption."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import timedelta

from trainpush.api.quantity import seconds
from trainpush.api.trainpushjob import TrainPushJobSpec
from trainpush.model.reasons import Reason
from trainpush.model.wording import listed
from trainpush.model.workload import Preemption, Refusal

_SHOWN_MAX = 16
"""Most names that a message offers."""


@dataclass(frozen=True, slots=True)
class Priorities:
    """The PriorityClasses of the cluster."""

    values: Mapping[str, int] = field(default_factory=dict)
    """Value by name; larger goes first."""
    default: int = 0
    """Value of the global default class, 0 where there is none."""

    def of(self, name: str | None) -> int:
        """The value of the class of this name; the default one without a name, or where there is no such class."""
        return self.default if name is None else self.values.get(name, self.default)

    def fault(self, name: str | None) -> Refusal | None:
        """Why work cannot be queued under this name."""
        if name is None or name in self.values:
            return None
        known = listed(sorted(self.values), _SHOWN_MAX) or "none"
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
