"""Plans carried out: what goes wrong with one object is no affair of the others."""

import msgspec
from prometheus_client import CollectorRegistry

from support.build import NOW
from support.manifests import job
from trainpush.api.base import Metadata
from trainpush.api.trainpushjob import TrainPushJob
from trainpush.kube.apply import RETRY_SECONDS, Applier
from trainpush.kube.store import Seen, Store
from trainpush.kube.tasks import JobTask
from trainpush.model.plan import Decision, Stage, Verdict
from trainpush.model.reasons import Reason
from trainpush.model.workload import Key, Recorded
from trainpush.telemetry.metrics import Metrics


async def test_a_status_that_the_schema_does_not_take_is_refused_and_tried_again_later() -> None:
    """The cycle goes on: it is as if the API server had refused it."""
    seen = Seen(Metadata(), msgspec.json.encode(job("job")), Recorded(), TrainPushJob)
    decision = Decision(Key("team", "job"), Recorded(), Stage.RUNNING, Verdict(Reason.RUNNING, "why"), running=-1)
    task = JobTask(seen, decision, resolved=None, stands=None, workers=1)
    metrics = Metrics(CollectorRegistry())
    applier = Applier(None, Store(), None, lambda: True, metrics, clock=lambda: 0.0)  # type: ignore[arg-type]
    assert await applier.carry_out([task], NOW, later=lambda work: None) == RETRY_SECONDS
    assert metrics.registry.get_sample_value("trainpush_api_refusals_total", {"reason": "Invalid"}) == 1
