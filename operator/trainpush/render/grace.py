"""One chain of grace: each that may kill waits for longer than the one that it would kill.

The kubelet kills the pod, the launcher its processes, and the program is told how long it has: all of what was asked.
"""

from dataclasses import dataclass
from typing import Final

from trainpush.api.quantity import seconds
from trainpush.api.trainpushjob import TrainPushJob

STEP_SECONDS: Final = 5
"""What each link lasts beyond the one before: to pass the signal on, and to say how it ended."""


@dataclass(frozen=True, slots=True)
class Grace:
    """Seconds from SIGTERM to SIGKILL of a worker."""

    program: int
    """As spec.checkpoint.gracePeriod says."""

    @classmethod
    def of(cls, job: TrainPushJob) -> "Grace":
        """What the workers of `job` have."""
        return cls(seconds(job.grace_period))

    @property
    def launcher(self) -> int:
        """After which torchrun kills the processes that it started; 30 by itself, whatever its pod has."""
        return self.program + STEP_SECONDS

    @property
    def pod(self) -> int:
        """After which the kubelet kills the launcher, and with it whatever is left."""
        return self.launcher + STEP_SECONDS
