"""What lets workers report, with the operator's rights on a real API server: authority, leader, tokens of pods."""

import asyncio
import base64
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from pathlib import Path
from urllib.parse import urlsplit

import msgspec
import pytest
from prometheus_client import CollectorRegistry

from support.api import a_job
from support.given_cluster import Cluster
from support.manifests import resolved
from support.operator_process import free_port
from support.training_program import training_program
from support.wait import until
from trainpush.api import names
from trainpush.api.trainpushjob import TrainPushJob
from trainpush.controller import reporting
from trainpush.controller.endpoint import Endpoint
from trainpush.controller.http import listening
from trainpush.controller.preflight import StartError
from trainpush.controller.settings import Settings
from trainpush.kube import certificates, leader_label
from trainpush.kube.certificates import BadAuthorityError
from trainpush.kube.client import Client, Object
from trainpush.kube.credentials import load
from trainpush.kube.errors import Forbidden, NotFound
from trainpush.kube.lease import Elector, Timing
from trainpush.kube.records import read_pod
from trainpush.kube.resources import PODS, SECRETS, TRAINPUSHJOBS
from trainpush.kube.store import Store
from trainpush.kube.tokens import Tokens
from trainpush.model.actions import MakeWorker
from trainpush.render import children
from trainpush.render.environment import Address
from trainpush.telemetry.metrics import Metrics

RESOLVED = resolved(image="i")
ACCOUNT = {"serviceAccountName": "default"}
"""What the admission of a whole cluster adds."""
FAST = Timing(lease=3, renew=2.0, retry=0.4)


def a_plain_pod(namespace: str, name: str) -> Object:
    """A pod that no kubelet will ever see."""
    spec = {"containers": [{"name": "c", "image": "i"}], "automountServiceAccountToken": False, **ACCOUNT}
    return {"apiVersion": "v1", "kind": "Pod", "metadata": {"namespace": namespace, "name": name}, "spec": spec}


def a_token(cluster: Cluster, pod: Object | None, namespace: str, audience: str = names.AUDIENCE) -> str:
    """A token as the kubelet gets it for a pod; without one it is the ServiceAccount's alone."""
    binding = []
    if pod:
        name, uid = pod["metadata"]["name"], pod["metadata"]["uid"]
        binding = [f"--bound-object-name={name}", f"--bound-object-uid={uid}", "--bound-object-kind=Pod"]
    command = ("create", "token", "default", f"--namespace={namespace}", f"--audience={audience}", *binding)
    return cluster.kubectl(*command).strip()


async def test_replicas_that_start_together_agree_on_the_authority(operator: Client, namespace: str) -> None:
    """Whoever is first makes it, and it stays."""
    found = await asyncio.gather(*(certificates.authority(operator, namespace) for _ in range(5)))
    assert len({each.pem for each in found}) == 1
    assert (await certificates.authority(operator, namespace)).pem == found[0].pem


async def test_a_broken_authority_is_not_replaced(client: Client, operator: Client, namespace: str) -> None:
    """Workers that run trust the old one alone; a person may have it still."""
    await certificates.authority(operator, namespace)
    broken = base64.b64encode(b"torn").decode()
    await client.patch(SECRETS, namespace, names.CA_SECRET, {"data": {"tls.key": broken}})
    for _ in range(2):
        with pytest.raises(BadAuthorityError, match=f"Secret {namespace}/trainpush-ca"):
            await certificates.authority(operator, namespace)
    assert (await client.get(SECRETS, names.CA_SECRET, namespace))["data"]["tls.key"] == broken


async def test_no_other_secret_can_be_read(client: Client, operator: Client, namespace: str) -> None:
    other = {"apiVersion": "v1", "kind": "Secret", "metadata": {"namespace": namespace, "name": "other"}}
    await client.create(SECRETS, other)
    with pytest.raises(Forbidden):
        await operator.get(SECRETS, "other", namespace)


async def test_the_label_follows_the_lease(client: Client, operator: Client, namespace: str) -> None:
    """It is taken from a pod that bears it from an earlier life, set when it leads, and taken when it does not."""
    pods = [a_plain_pod(namespace, name) for name in ("first", "second")]
    for pod in pods:
        await client.create(PODS, {**pod, "metadata": {**pod["metadata"], "labels": {names.LABEL_LEADER: "true"}}})

    async def leading(*expected: str) -> None:
        async with asyncio.timeout(20):
            while True:
                listed, _ = await client.list(PODS, namespace, query={"labelSelector": f"{names.LABEL_LEADER}=true"})
                if [pod["metadata"]["name"] for pod in listed] == list(expected):
                    return

    async with asyncio.TaskGroup() as group:
        electors = [Elector(operator, namespace, "l", name, timing=FAST) for name in ("first", "second")]
        labels = [group.create_task(leader_label.follow(operator, e, namespace, e.identity)) for e in electors]
        await leading()
        terms = [group.create_task(elector.run()) for elector in electors]
        await asyncio.wait([asyncio.create_task(e.became_leader()) for e in electors], return_when="FIRST_COMPLETED")
        first = next(index for index, elector in enumerate(electors) if elector.is_leader)
        await leading(electors[first].identity)
        terms[first].cancel()
        await leading(electors[1 - first].identity)
        for task in (*terms, *labels):
            task.cancel()


async def test_whose_pod_a_token_is(cluster: Cluster, client: Client, operator: Client, namespace: str) -> None:
    """It must be good, for us, of a pod, and of one that is known."""
    pod = await client.create(PODS, a_plain_pod(namespace, "p"))
    uid = pod["metadata"]["uid"]
    token = a_token(cluster, pod, namespace)
    tokens = Tokens(operator, lambda known: known == uid)
    assert await tokens.pod_of(token) == uid
    head, body, seal = token.split(".")
    forged = ".".join((head, body, seal[::-1]))
    bad = {
        "nothing": "",
        "not one": "a.b.c",
        "too long": "x" * 20_000,
        "forged": forged,
        "for others": a_token(cluster, pod, namespace, audience="elsewhere"),
        "of no pod": a_token(cluster, None, namespace),
    }
    assert {name: await tokens.pod_of(each) for name, each in bad.items()} == dict.fromkeys(bad)
    assert await Tokens(operator, lambda _: False).pod_of(token) is None


async def test_a_token_is_asked_for_once_and_until_its_end(
    cluster: Cluster, client: Client, operator: Client, namespace: str
) -> None:
    pod = await client.create(PODS, a_plain_pod(namespace, "p"))
    token = a_token(cluster, pod, namespace)
    now = datetime.now(UTC).timestamp()
    clock = [now]
    async with Client(load(str(cluster.kubeconfig_for(namespace, "operator")))) as asking:
        tokens = Tokens(asking, lambda _: True, lambda: clock[0])
        uid = await tokens.pod_of(token)
    # The connection is closed: another question could not be asked.
    assert await tokens.pod_of(token) == uid == pod["metadata"]["uid"]
    clock[0] = now + 100_000
    assert await tokens.pod_of(token) is None


@asynccontextmanager
async def an_endpoint(operator: Client, store: Store) -> AsyncIterator[Address]:
    """The endpoint over TLS, under a name of this machine."""
    authority = certificates.new_authority(datetime.now(UTC))
    context = certificates.server_context()
    certificates.use(context, certificates.serving(authority, ["localhost"], datetime.now(UTC)))
    tokens = Tokens(operator, lambda uid: store.pods.get(uid) is not None)
    app = Endpoint(store, tokens.pod_of, lambda: True, Metrics(CollectorRegistry())).app()
    async with listening(app, "127.0.0.1", 0, "", context) as port:
        yield Address(f"https://localhost:{port}", authority.pem)


async def test_a_worker_reports_and_answers_an_eviction(
    cluster: Cluster, client: Client, operator: Client, namespace: str, tmp_path: Path
) -> None:
    """The rendered pod is taken by the API server, and its program gets through with nothing but what is in it."""
    store = Store()
    created = await client.create(TRAINPUSHJOBS, a_job(namespace, "j"))
    job = TrainPushJob.parse(created)
    async with an_endpoint(operator, store) as address:
        action = MakeWorker(attempt=1, rank=0, node="n", workers=1)
        rendered = children.worker(job, RESOLVED, action, address)
        pod = await client.create(PODS, {**rendered, "spec": {**rendered["spec"], **ACCOUNT}})
        store.pods.put(read_pod(msgspec.json.encode(pod)))

        async def status(**status: object) -> None:
            version = (await client.get(TRAINPUSHJOBS, "j", namespace))["metadata"]["resourceVersion"]
            store.jobs.take(await operator.patch_status(TRAINPUSHJOBS, namespace, "j", version, {**status}))

        await status(attempt=1)
        variables = {entry["name"]: entry["value"] for entry in pod["spec"]["containers"][0]["env"]}
        token = tmp_path / "token"
        token.write_text(a_token(cluster, pod, namespace))
        async with training_program(tmp_path, {**variables, "TRAINPUSH_TOKEN_FILE": str(token)}) as program:
            await program.call("report", 4, 10)
            await until(lambda: len(store.reports) == 1, "a report")
            eviction = {"by": "ns/other", "reason": "Preempted", "message": "m"}
            deadline = datetime.fromtimestamp(datetime.now(UTC).timestamp() + 60, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
            asked = {**eviction, "askedAt": "2026-01-01T00:00:00Z", "deadline": deadline}
            await status(attempt=1, eviction=asked)
            assert (await program.until_asked())["id"] == "1-2026-01-01T00:00:00Z"
            answering_it = asyncio.create_task(program.call("saved", 5, "pvc://c/p"))
            await until(lambda: bool((said := store.reports.get(pod["metadata"]["uid"])) and said.saved), "the answer")
            checkpoint = {"attempt": 1, "step": 5, "uri": "pvc://c/p", "at": "2026-01-01T00:00:01Z"}
            await status(attempt=1, eviction={**asked, "answered": True}, checkpoint=checkpoint)
            assert await answering_it is True


async def test_the_server_shows_a_certificate_for_the_name_that_workers_are_told(
    operator: Client, namespace: str
) -> None:
    """Of the authority in the Secret; and a port that is taken is told in one line."""
    settings = Settings(namespace=namespace, pod="p", listen="127.0.0.1", endpoint_port=free_port())
    made = await reporting.prepare(operator, settings)
    assert made
    metrics = Metrics(CollectorRegistry())
    assert made.address.authority == (await certificates.authority(operator, namespace)).pem
    host = urlsplit(made.address.url).hostname
    assert host == f"trainpush-operator.{namespace}.svc"
    async with made.serving(operator, Store(), lambda: True, metrics):
        trust = ssl.create_default_context(cadata=made.address.authority)
        _, writer = await asyncio.open_connection("127.0.0.1", settings.endpoint_port, ssl=trust, server_hostname=host)
        writer.close()
        await writer.wait_closed()
        with pytest.raises(StartError, match=f"cannot listen on 127.0.0.1:{settings.endpoint_port}: "):
            async with made.serving(operator, Store(), lambda: True, metrics):
                pass


async def test_outside_of_the_cluster_workers_are_told_nothing(operator: Client, namespace: str) -> None:
    """And no Secret is made."""
    assert await reporting.prepare(operator, Settings(namespace=namespace)) is None
    with pytest.raises(NotFound):
        await operator.get(SECRETS, names.CA_SECRET, namespace)
