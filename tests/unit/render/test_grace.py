"""Who may end a worker, and how long each of them waits."""

from datetime import timedelta
from typing import Any

import pytest

from support.build import NOW
from support.manifests import job, resolved
from trainpush.api.quantity import seconds
from trainpush.api.trainpushjob import TrainPushJob
from trainpush.model.actions import MakeWorker
from trainpush.planner.terminations import is_coming
from trainpush.render.children import worker

RESOLVED = resolved(world_size=2)


def waits(**spec: Any) -> tuple[int, int, int]:
    """Seconds that the program is told, that torchrun waits for it, and that the kubelet waits for both."""
    made = TrainPushJob.parse(job("job", replicas=2, **spec))
    pod = worker(made, RESOLVED, MakeWorker(attempt=1, rank=1, node="n1", workers=2))["spec"]
    found = {entry["name"]: entry["value"] for entry in pod["containers"][0]["env"]}
    told, launcher = int(found["TRAINPUSH_GRACE_SECONDS"]), int(found["PET_SHUTDOWN_TIMEOUT"])
    return told, launcher, pod["terminationGracePeriodSeconds"]


@pytest.mark.parametrize("asked", ["1s", "29s", "30s", "45s", "90s", "1m30s", "1h"])
@pytest.mark.parametrize("way", ["Request", "Signal"])
def test_each_waits_for_longer_than_the_one_that_it_would_kill(asked: str, way: str) -> None:
    told, launcher, pod = waits(checkpoint={"gracePeriod": asked, "onPreempt": way})
    assert seconds(asked) <= told < launcher < pod


def test_the_room_of_a_gang_that_ends_is_waited_for_however_long_its_grace_is() -> None:
    """Else somebody was evicted in the first seconds of the longest one, for room that comes."""
    *_, pod = waits(checkpoint={"gracePeriod": "1h"})
    assert is_coming(NOW + timedelta(seconds=pod), NOW)


def test_without_a_checkpoint_section_a_program_has_30_seconds() -> None:
    """As torchrun would wait by itself: then a save of 29 s was never safe."""
    told, launcher, pod = waits()
    assert told == seconds("30s") < launcher < pod
