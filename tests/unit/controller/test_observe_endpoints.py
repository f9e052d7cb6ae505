"""What is seen of the Services that we made: whether they are as they were made, and whom they find."""

import pytest

from support.manifests import PLACED, job, pool, service
from trainpush.api.inferenceservice import InferenceService
from trainpush.api.revision import ResolvedReplica, RevisionData, ServedModel
from trainpush.controller.observe import Observer
from trainpush.kube.children import EndpointRow, RevisionRow, SliceRow
from trainpush.kube.records import OwnerId, PodRow
from trainpush.kube.store import Store
from trainpush.kube.table import Row
from trainpush.model.serving import Replica, Service
from trainpush.model.workload import Job

SVC, RELEASE, ENDPOINT = (OwnerId(uid, "team") for uid in ("svc", "release", "endpoint"))
IDENTITY = {"namespace": "team", "resourceVersion": "1", "creationTimestamp": "2026-01-01T11:00:00Z"}


class Cluster:
    """A service of one ready replica with a Service for it and one for its release, and a gang with its own."""

    def __init__(self) -> None:
        self.store = Store()
        self._version = 1
        self._observer = Observer(self.store, lambda _uid: "", "proxy")
        for kind, manifest, uid in (
            (self.store.pools, pool("pool", "any"), "pool"),
            (self.store.services, service("svc"), "svc"),
            (self.store.jobs, job("train", 2), "train"),
        ):
            status = {"status": {**PLACED, "attempt": 1}} if uid == "train" else {}
            kind.take({**manifest, "metadata": {**manifest["metadata"], "uid": uid, **IDENTITY}, **status})
        template = InferenceService.parse(service("svc")).spec.template()
        resolved = ResolvedReplica(
            pool="pool", image="i", proxy_image="p", accelerator_resource="nvidia.com/gpu", accelerators_per_replica=1
        )
        data = RevisionData(model=ServedModel(name="m", uri="pvc://m/m"), template=template, resolved=resolved)
        self.store.revisions.put(Row("release", 1, RevisionRow("svc-1", "release", SVC, 1, data)))
        replica = Replica("svc-1-1", "pod", 1, "svc-1", "n1", ready=True)
        self.store.pods.put(Row("pod", 1, PodRow("n1", is_live=True, requests={}, owner=SVC, ours=replica)))
        self.puts("svc", SVC)
        self.puts("svc-1", RELEASE)
        self.puts("train-workers", OwnerId("train", "team"))
        self.finds("pod")

    def puts(self, name: str, owner: OwnerId, *, is_intact: bool = True) -> None:
        """A Service is there, or is another one now."""
        self._version += 1
        uid = "endpoint" if owner == SVC else f"endpoint-of-{owner.uid}"
        self.store.endpoints.put(Row(uid, self._version, EndpointRow(name, uid, owner, is_intact)))

    def finds(self, *pods: str) -> None:
        """The endpoints of the service's own Service."""
        self._version += 1
        self.store.slices.put(Row("slice", self._version, SliceRow("svc-x", ENDPOINT, frozenset(pods))))

    @property
    def service(self) -> Service:
        (found,) = self._observer.observe().snapshot.services
        return found

    @property
    def job(self) -> Job:
        (found,) = self._observer.observe().snapshot.jobs
        return found


def test_all_is_well() -> None:
    cluster = Cluster()
    seen = cluster.service
    assert (seen.has_endpoint, seen.revisions[0].has_endpoint, seen.pods[0].is_found) == (True, True, True)
    assert cluster.job.has_belongings


def test_a_service_that_was_edited_is_to_be_made_again() -> None:
    """Of a gang, of a service, or of one release; a later look tells each."""
    cluster = Cluster()
    assert cluster.service.has_endpoint
    cluster.puts("svc", SVC, is_intact=False)
    assert not cluster.service.has_endpoint
    cluster.puts("svc-1", RELEASE, is_intact=False)
    assert not cluster.service.revisions[0].has_endpoint
    cluster.puts("train-workers", OwnerId("train", "team"), is_intact=False)
    assert not cluster.job.has_belongings


@pytest.mark.parametrize("uid", ["endpoint", "endpoint-of-release", "endpoint-of-train"])
def test_a_service_that_is_gone_is_to_be_made_again(uid: str) -> None:
    cluster = Cluster()
    assert cluster.service.has_endpoint
    cluster.store.endpoints.forget(uid)
    seen = cluster.service
    lacking = {
        "endpoint": seen.has_endpoint,
        "endpoint-of-release": seen.revisions[0].has_endpoint,
        "endpoint-of-train": cluster.job.has_belongings,
    }
    assert [name for name, there in lacking.items() if not there] == [uid]


@pytest.mark.parametrize(("is_unexplained", "said"), [(True, "FailedMount: no claim"), (False, "pulls")], ids=str)
def test_what_events_say_of_a_replica_stands_where_its_pod_is_silent(is_unexplained: bool, said: str) -> None:
    """As of a worker."""
    cluster = Cluster()
    replica = Replica("svc-1-1", "pod", 1, "svc-1", "n1", starting="pulls", is_unexplained=is_unexplained)
    cluster.store.pods.put(Row("pod", 2, PodRow("n1", is_live=True, requests={}, owner=SVC, ours=replica)))
    cluster.store.warnings.put("pod", "FailedMount: no claim")
    (found,) = cluster.service.pods
    assert (found.starting, found.asked) == (said, int(is_unexplained))


def test_a_replica_that_no_endpoint_names_gets_no_requests() -> None:
    """Whatever its pod says, and again when one does."""
    cluster = Cluster()
    cluster.finds()
    assert not cluster.service.pods[0].is_found
    cluster.finds("pod", "another")
    assert cluster.service.pods[0].is_found
    cluster.store.slices.forget("slice")
    assert not cluster.service.pods[0].is_found
