"""What a snapshot keeps, what it leaves out, and that nothing is lost on the way."""

import json
import random

from hypothesis import given
from hypothesis import strategies as st

from support.manifests import GPU, job, pool, service
from support.snapshots import AT, PROXY, live, node, nodes, pod, snapshot
from trainpush.cli.document import read
from trainpush.cli.holdings import HOLDINGS
from trainpush.kube import rights
from trainpush.kube.client import Object
from trainpush.kube.records import read_node, read_pod
from trainpush.render.children import worker_name

AMOUNTS = st.sampled_from(["0", "1", "8", "1500m", "250u", "64Gi", "1e3", ".5", "9223372036854775807", "1Ei"])
REQUESTS = st.dictionaries(st.sampled_from([GPU, "cpu", "memory"]), AMOUNTS)
TEXT = st.sampled_from(["", "OOMKilled", '{"step": 3}', "exit", "Evicted"])


def body(thing: Object) -> bytes:
    """As the API server sends it."""
    return json.dumps(thing).encode()


@st.composite
def raw_pods(draw: st.DrawFn) -> Object:
    """A pod of anybody, in any state; a worker, a replica, or one that only claims to be."""
    kind = draw(st.sampled_from(["TrainPushJob", "InferenceService", "Job", "ReplicaSet", "DaemonSet"]))
    rank, attempt = draw(st.integers(0, 2)), draw(st.integers(1, 2))
    name = draw(st.sampled_from([worker_name("owner", rank, attempt), "owner-abc-1", "other"]))
    labels = {
        "training.ai/worker-rank": str(rank),
        "training.ai/attempt": str(attempt),
        "training.ai/revision": "owner-abc",
        "training.ai/replica": "1",
        "app": "x",
    }
    owner = {"kind": kind, "name": "owner", "uid": "uid-owner", "controller": draw(st.booleans())}
    ended = {"terminated": {"exitCode": draw(st.integers(0, 1)), "reason": "Error", "message": draw(TEXT)}}
    state = draw(st.sampled_from([ended, {"waiting": {"reason": "ImagePullBackOff", "message": "no"}}, {}]))
    containers = [{"name": "c", "image": "i", "resources": {"requests": draw(REQUESTS)}} for _ in range(2)]
    sidecar = {"name": "s", "restartPolicy": "Always", "resources": {"requests": draw(REQUESTS)}}
    made = pod(name, draw(st.sampled_from(["", "n1"])), labels=labels, ownerReferences=[owner])
    if draw(st.booleans()):
        made["metadata"]["deletionTimestamp"] = "2026-01-01T11:59:00.5Z"
    spec = {**made["spec"], "containers": containers, "initContainers": [sidecar], "overhead": draw(REQUESTS)}
    if draw(st.booleans()):
        spec["resources"] = {"requests": draw(REQUESTS)}
    status = {
        "phase": draw(st.sampled_from(["Pending", "Running", "Succeeded", "Failed"])),
        "reason": draw(TEXT),
        "podIP": "10.0.0.1",
        "conditions": [{"type": draw(st.sampled_from(["Ready", "DisruptionTarget"])), "status": "True"}],
        "containerStatuses": [{"name": "c", "state": state, "lastState": ended, "ready": draw(st.booleans())}],
    }
    return {**made, "spec": spec, "status": status}


@given(raw_pods())
def test_a_reduced_pod_is_the_same_record(raw: Object) -> None:
    """Whoever it belongs to, and reduced a second time too."""
    reduced = HOLDINGS["Pod"].reduced(body(raw))
    assert read_pod(body(reduced)) == read_pod(body(raw))
    assert HOLDINGS["Pod"].reduced(body(reduced)) == reduced


@given(st.booleans(), st.booleans(), st.sampled_from(["NoSchedule", "NoExecute", "PreferNoSchedule"]), REQUESTS)
def test_a_reduced_node_is_the_same_record(
    is_closed: bool, is_ready: bool, effect: str, amounts: dict[str, str]
) -> None:
    """With its labels, since any of them may be a level or a selector."""
    raw = node("n", "r1", unschedulable=is_closed, taints=[{"key": "k", "effect": effect, "value": ""}])
    raw["status"]["conditions"][0]["status"] = str(is_ready)
    raw["status"]["allocatable"] = amounts
    assert read_node(body(HOLDINGS["Node"].reduced(body(raw)))) == read_node(body(raw))


def test_every_kind_that_the_operator_watches_is_held() -> None:
    """A reader that is added to the operator is added here; what it only looks up now and then decides nothing."""
    watched = {right.resource for right in rights.EVERYWHERE if "watch" in right.verbs}
    assert {holding.resource for holding in HOLDINGS.values()} == watched


def test_what_nobody_decides_on_is_not_in_the_file() -> None:
    """A snapshot may be sent to somebody else."""
    wanted = live(job("j"), annotations={"kubectl.kubernetes.io/last-applied-configuration": "secret"})
    text = snapshot(*nodes(1), pod("p", "gpu-1-00", labels={"a": "secret"}), wanted).written()
    assert "secret" not in text
    assert "managedFields" not in text
    assert "token" not in text


def test_a_file_is_read_as_it_was_written() -> None:
    """Nothing is lost between."""
    document = snapshot(*nodes(1, 2), pod("p", "gpu-1-00"), live(job("j")), live(pool("p", "fake")), live(service("s")))
    found = read(document.written(), document.source)
    assert (found.at, found.proxy_image) == (AT, PROXY)
    assert found == document


@given(st.randoms(use_true_random=False))
def test_the_order_of_items_does_not_matter(draw: random.Random) -> None:
    """Neither for what is read nor for what is written again."""
    document = snapshot(*nodes(2, 2), pod("p", "gpu-1-00"), live(job("j")), live(job("k")), live(pool("p", "fake")))
    written = json.loads(document.written())
    draw.shuffle(written["items"])
    assert read(json.dumps(written), document.source).written() == document.written()
