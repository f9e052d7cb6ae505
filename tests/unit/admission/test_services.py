"""Which revision a service asks for."""

from typing import Any

from support.manifests import pool, service
from trainpush.admission.services import Asked, asked, replica_gang
from trainpush.api.gpupool import GPUPool
from trainpush.api.inferenceservice import InferenceService
from trainpush.model.nodes import Toleration
from trainpush.model.reasons import Reason
from trainpush.model.workload import Refusal

PROXY = "example.com/haproxy:1"


def a_pool(**spec: Any) -> GPUPool:
    """A pool that takes whatever names none."""
    return GPUPool.parse(pool("pool", "any", default=True, **spec))


def a_service(**spec: Any) -> InferenceService:
    """A service of a model that was given by its URI."""
    return InferenceService.parse(service("svc", **spec))


def revision(
    made: InferenceService, released: tuple[Asked, ...] = (), stable: str = "", proxy: str = PROXY, **spec: Any
) -> Asked:
    """The revision that it comes to."""
    found = asked(made, [a_pool(**spec)], None, released, stable, proxy)
    assert isinstance(found, Asked)
    return found


def test_the_same_spec_is_the_same_revision() -> None:
    """The number of replicas and what goes before what are none of it; anything that a pod is made from is."""
    first = revision(a_service())
    assert revision(a_service(replicas=5, minAvailable=3)).name == first.name
    assert revision(a_service(scheduling={"priorityClassName": "high"})).name == first.name
    assert revision(a_service(batching={"maxBatchSize": 8})).name != first.name
    assert revision(a_service(model={"name": "svc", "uri": "pvc://models/other"})).name != first.name


def test_a_changed_default_touches_nothing_that_serves() -> None:
    """Neither the pool's image nor the proxy's: the stable revision stays as it was made."""
    first = revision(a_service())
    later = revision(a_service(), (first,), stable=first.name, proxy="example.com/haproxy:2")
    assert later == first


def test_a_changed_default_mends_what_never_served() -> None:
    """An image that nobody could pull is not kept for ever."""
    first = revision(a_service())
    mended = revision(a_service(), (first,), proxy="example.com/haproxy:2")
    assert mended.name != first.name
    assert mended.data.resolved.proxy_image == "example.com/haproxy:2"
    assert revision(a_service(), (first, mended), proxy="example.com/haproxy:2") == mended
    assert revision(a_service(), (first, mended), stable=mended.name, proxy="example.com/haproxy:3") == mended


def test_a_service_that_follows_a_job_has_nothing_to_serve_at_first() -> None:
    """Later, what was released stays, though the job be gone."""
    follower = a_service(model={"name": "svc", "from": {"trainPushJob": "job"}})
    assert asked(follower, [a_pool()], None, (), "", PROXY) is None


def test_without_any_image_it_is_refused_with_the_field() -> None:
    """Neither the service nor its pool names one."""
    found = asked(a_service(), [a_pool(defaults={})], None, (), "", PROXY)
    assert isinstance(found, Refusal)
    assert found.reason == Reason.IMAGE_REQUIRED
    assert found.message.startswith("spec.runtime.image: ")


def test_a_replica_takes_room_for_its_proxy_too() -> None:
    """What kube-scheduler will count, the planner counts."""
    asks = a_service(resources={"requests": {"cpu": "1"}, "limits": {"nvidia.com/gpu": 1}})
    gang = replica_gang(revision(asks).data)
    assert gang.requirements.request["cpu"] == 1050
    assert (gang.workers, gang.accelerators) == (1, 1)


def test_a_replica_goes_where_its_pod_may_run() -> None:
    """To nodes that serve, also for what was recorded before there were modes."""
    gang = replica_gang(revision(a_service()).data)
    assert gang.requirements.tolerations[-1] == Toleration("training.ai/mode", "Equal", "Inference", "NoSchedule")
