"""The client against a real API server, and against what a network does to it."""

import asyncio
import json
import os
import time
from collections.abc import AsyncIterator
from contextlib import aclosing, suppress
from dataclasses import replace
from pathlib import Path

import pytest
import yaml
from aiohttp import web

from support.api import CONFIG_MAPS, OF_CONTROLLERS, a_config_map, a_job, admin, exactly, version_of
from support.fault_proxy import FaultProxy, answering, cutting, hanging, is_list, is_watch, is_write, losing_the_answer
from support.given_cluster import Cluster
from trainpush.kube.client import Bounds, Client
from trainpush.kube.concurrency import START
from trainpush.kube.credentials import load
from trainpush.kube.errors import (
    AlreadyExists,
    ApiError,
    Conflict,
    Forbidden,
    Gone,
    Invalid,
    NotFound,
    TooManyRequests,
    Unauthorized,
    Unavailable,
)
from trainpush.kube.resources import EVENTS, NODES, PODS, TRAINPUSHJOBS, Resource
from trainpush.kube.warnings import latest_warning


@pytest.fixture
async def shaken(proxy: FaultProxy) -> AsyncIterator[Client]:
    """A client that talks through `proxy` and is quickly out of patience."""
    async with Client(proxy.credentials, bounds=Bounds(request_seconds=3, silence_seconds=2)) as client:
        yield client


def anything(_request: web.Request) -> bool:
    """Match every request."""
    return True


async def test_an_object_from_its_creation_to_its_deletion(client: Client, namespace: str) -> None:
    """Create, get, patch, delete."""
    made = await client.create(CONFIG_MAPS, a_config_map(namespace, "a", k="1"))
    assert await client.get(CONFIG_MAPS, "a", namespace) == made
    patched = await client.patch(CONFIG_MAPS, namespace, "a", {"metadata": {"labels": {"l": "x"}}})
    assert patched["metadata"]["labels"] == {"l": "x"}
    assert patched["data"] == {"k": "1"}
    await client.delete(CONFIG_MAPS, exactly(made))
    with pytest.raises(NotFound, match='configmaps "a" not found'):
        await client.get(CONFIG_MAPS, "a", namespace)


async def test_apply_is_idempotent_and_takes_over(client: Client, namespace: str) -> None:
    """The same apply twice writes nothing; a field of another manager is taken."""
    await client.create(CONFIG_MAPS, a_config_map(namespace, "a", k="theirs", other="kept"))
    ours = await client.apply(CONFIG_MAPS, a_config_map(namespace, "a", k="ours"))
    assert ours["data"] == {"k": "ours", "other": "kept"}
    again = await client.apply(CONFIG_MAPS, a_config_map(namespace, "a", k="ours"))
    assert version_of(again) == version_of(ours)
    managers = {(entry["manager"], entry["operation"]) for entry in again["metadata"]["managedFields"]}
    assert ("trainpush", "Apply") in managers


async def test_the_latest_warning_about_one_object_is_found_by_its_uid(client: Client, namespace: str) -> None:
    """Among Events about others, and news that are no warnings."""
    told = [("FailedMount", "Warning", "u", 5), ("Other", "Warning", "v", 7), ("Pulled", "Normal", "u", 9)]
    for reason, grade, uid, second in [*told, ("FailedAttachVolume", "Warning", "u", 3)]:
        metadata = {"namespace": namespace, "name": f"{uid}.{second}"}
        about = {"apiVersion": "v1", "kind": "Pod", "namespace": namespace, "name": uid, "uid": uid}
        seen_at = f"2026-01-01T12:00:0{second}.000000Z"
        event = {"apiVersion": "events.k8s.io/v1", "kind": "Event", "metadata": metadata, "regarding": about}
        event |= {"reason": reason, "note": "why", "type": grade, "action": "Start", "eventTime": seen_at}
        await client.create(EVENTS, event | {"reportingController": "test/kubelet", "reportingInstance": "n1"})
    assert await latest_warning(client, namespace, "u") == "FailedMount: why"
    assert await latest_warning(client, namespace, "w") == ""


async def test_a_status_is_written_only_as_it_was_read(client: Client, namespace: str) -> None:
    """The second write on the same reading is refused; the first returns the new object."""
    made = await client.create(TRAINPUSHJOBS, a_job(namespace, "j"))
    changed = await client.patch_status(TRAINPUSHJOBS, namespace, "j", version_of(made), {"phase": "Queued"})
    assert changed["status"]["phase"] == "Queued"
    assert version_of(changed) != version_of(made)
    with pytest.raises(Conflict, match="the object has been modified"):
        await client.patch_status(TRAINPUSHJOBS, namespace, "j", version_of(made), {"phase": "Running"})


async def test_delete_spares_a_later_object_of_the_same_name(client: Client, namespace: str) -> None:
    """By uid, and where wanted by resourceVersion."""
    first = await client.create(CONFIG_MAPS, a_config_map(namespace, "a"))
    await client.delete(CONFIG_MAPS, exactly(first))
    second = await client.create(CONFIG_MAPS, a_config_map(namespace, "a"))
    with pytest.raises(Conflict, match="UID in the precondition"):
        await client.delete(CONFIG_MAPS, exactly(first))
    await client.patch(CONFIG_MAPS, namespace, "a", {"data": {"k": "2"}})
    with pytest.raises(Conflict, match="ResourceVersion"):
        await client.delete(CONFIG_MAPS, exactly(second, version_of(second)))
    assert (await client.get(CONFIG_MAPS, "a", namespace))["metadata"]["uid"] == second["metadata"]["uid"]


async def test_a_grace_period_is_passed_on(client: Client, namespace: str) -> None:
    """A bound pod stays, marked, until its kubelet has stopped it."""
    pod = {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"namespace": namespace, "name": "p"},
        "spec": {"nodeName": "nowhere", "containers": [{"name": "c", "image": "i"}]},
    }
    made = await client.create(PODS, pod)
    grace_seconds = 7
    await client.delete(PODS, exactly(made), grace_seconds=grace_seconds)
    marked = await client.get(PODS, "p", namespace)
    assert marked["metadata"]["deletionGracePeriodSeconds"] == grace_seconds
    await client.delete(PODS, exactly(made), grace_seconds=0)
    with pytest.raises(NotFound):
        await client.get(PODS, "p", namespace)


async def test_lists_come_in_pages_of_one_version(client: Client, namespace: str) -> None:
    """All objects, once each, and the selector holds on every page."""
    names = [f"c{i:02}" for i in range(12)]
    for name in names:
        await client.create(CONFIG_MAPS, a_config_map(namespace, name))
        await client.patch(CONFIG_MAPS, namespace, name, {"metadata": {"labels": {"half": str(int(name[1:]) % 2)}}})
    query = {"limit": "5", "labelSelector": "half"}
    pages = [page async for page in client.pages(CONFIG_MAPS, namespace, query=query)]
    assert [len(page.items) for page in pages] == [5, 5, 2]
    assert len({page.resource_version for page in pages}) == 1
    items, version = await client.list(CONFIG_MAPS, namespace, query=query)
    assert [item["metadata"]["name"] for item in items] == names
    assert int(version) >= int(pages[0].resource_version)
    odd, _ = await client.list(CONFIG_MAPS, namespace, query={"limit": "2", "labelSelector": "half=1"})
    assert [item["metadata"]["name"] for item in odd] == names[1::2]


async def test_refusals_are_told_apart(client: Client, namespace: str) -> None:
    """By type, in one line."""
    await client.create(CONFIG_MAPS, a_config_map(namespace, "a"))
    with pytest.raises(AlreadyExists, match='configmaps "a" already exists'):
        await client.create(CONFIG_MAPS, a_config_map(namespace, "a"))
    with pytest.raises(Invalid, match="a lowercase RFC 1123 subdomain"):
        await client.create(CONFIG_MAPS, a_config_map(namespace, "A_A"))
    with pytest.raises(NotFound, match="404 page not found") as caught:
        await client.list(Resource("absent.example.com", "v1", "things", "Thing", namespaced=True))
    assert "\n" not in str(caught.value)


async def test_a_stranger_is_forbidden(cluster: Cluster, namespace: str) -> None:
    """A ServiceAccount without rights."""
    async with Client(load(str(cluster.kubeconfig_for(namespace, "stranger")))) as client:
        with pytest.raises(Forbidden, match=f"system:serviceaccount:{namespace}:stranger"):
            await client.get(CONFIG_MAPS, "a", namespace)
        assert not await client.is_allowed("get", CONFIG_MAPS)


async def test_a_wrong_token_is_unauthorized_and_a_renewed_one_is_used_at_once(
    cluster: Cluster, namespace: str, tmp_path: Path
) -> None:
    """The kubelet renewed the token file while the old token was still in memory."""
    config = yaml.safe_load(cluster.kubeconfig_for(namespace, "renewed").read_text())
    token_file = tmp_path / "token"
    token_file.write_text("stale")
    user = config["users"][0]["user"]
    good = user.pop("token")
    user["tokenFile"] = str(token_file)
    (tmp_path / "config").write_text(yaml.safe_dump(config))
    async with Client(load(str(tmp_path / "config"))) as client:
        with pytest.raises(Unauthorized):
            await client.is_allowed("get", PODS)
        token_file.write_text(good)
        assert not await client.is_allowed("get", PODS)


async def test_writes_are_told_and_nothing_else(cluster: Cluster, namespace: str) -> None:
    """Once per write that succeeded, as soon as it has."""
    told: list[tuple[str, str]] = []
    async with Client(admin(cluster), on_write=lambda written: told.append((written.kind, written.verb))) as client:
        made = await client.create(CONFIG_MAPS, a_config_map(namespace, "a"))
        await client.apply(CONFIG_MAPS, a_config_map(namespace, "a", k="1"))
        await client.patch(CONFIG_MAPS, namespace, "a", {"data": {"k": "2"}})
        await client.get(CONFIG_MAPS, "a", namespace)
        await client.list(CONFIG_MAPS, namespace)
        await client.is_allowed("get", PODS)
        with pytest.raises(AlreadyExists):
            await client.create(CONFIG_MAPS, a_config_map(namespace, "a"))
        await client.delete(CONFIG_MAPS, exactly(made))
        with pytest.raises(NotFound):
            await client.delete(CONFIG_MAPS, exactly(made))
    assert told == [("ConfigMap", verb) for verb in ("create", "apply", "patch", "delete")]


async def test_a_watch_tells_what_happens_after_a_list(client: Client, namespace: str) -> None:
    """Added, modified, deleted, each as one line."""
    _, version = await client.list(CONFIG_MAPS, namespace)
    made = await client.create(CONFIG_MAPS, a_config_map(namespace, "a"))
    await client.patch(CONFIG_MAPS, namespace, "a", {"data": {"k": "x" * 200_000}})
    await client.delete(CONFIG_MAPS, exactly(made))
    seen = []
    async with asyncio.timeout(10), aclosing(client.watch(CONFIG_MAPS, version, namespace)) as lines:
        async for line in lines:
            event = json.loads(line)
            if event["object"]["metadata"]["name"] != OF_CONTROLLERS:
                seen.append(event["type"])
            if event["type"] == "DELETED":
                break
    assert seen == ["ADDED", "MODIFIED", "DELETED"]


async def test_patience_that_the_server_asks_for(proxy: FaultProxy, shaken: Client, namespace: str) -> None:
    """A 429 is repeated after its Retry-After, also for a create: nothing was done."""
    proxy.fail(is_write, answering(429, Retry_After="1"))
    started = time.monotonic()
    await shaken.create(CONFIG_MAPS, a_config_map(namespace, "a"))
    assert time.monotonic() - started >= 1
    assert proxy.count(is_write) == 2


async def test_patience_has_an_end(proxy: FaultProxy, shaken: Client, namespace: str) -> None:
    """The caller gets the refusal; the next cycle tries again."""
    proxy.fail(is_write, *[answering(429)] * 20)
    with pytest.raises(TooManyRequests):
        await shaken.create(CONFIG_MAPS, a_config_map(namespace, "a"))
    assert proxy.count(is_write) == 5


@pytest.mark.parametrize(
    "fault", [answering(500), answering(503), answering(504), cutting], ids=["500", "503", "504", "cut"]
)
async def test_reads_are_repeated(
    fault: object, proxy: FaultProxy, shaken: Client, client: Client, namespace: str
) -> None:
    """After a failure of the server or the network."""
    await client.create(CONFIG_MAPS, a_config_map(namespace, "a"))
    proxy.fail(anything, fault, fault)  # type: ignore[arg-type]
    assert (await shaken.get(CONFIG_MAPS, "a", namespace))["metadata"]["name"] == "a"


async def test_a_create_of_unknown_outcome_is_not_repeated(proxy: FaultProxy, shaken: Client, namespace: str) -> None:
    """It happened, but the answer was lost: the caller hears so, and finds it on the next try."""
    proxy.fail(is_write, losing_the_answer)
    with pytest.raises(Unavailable, match=r"http://127\.0\.0\.1"):
        await shaken.create(CONFIG_MAPS, a_config_map(namespace, "a"))
    with pytest.raises(AlreadyExists):
        await shaken.create(CONFIG_MAPS, a_config_map(namespace, "a"))


async def test_a_status_write_of_unknown_outcome_is_not_repeated(
    proxy: FaultProxy, shaken: Client, namespace: str
) -> None:
    """A second try could only be a conflict with the first."""
    made = await shaken.create(TRAINPUSHJOBS, a_job(namespace, "j"))
    proxy.fail(is_write, losing_the_answer)
    with pytest.raises(Unavailable):
        await shaken.patch_status(TRAINPUSHJOBS, namespace, "j", version_of(made), {"phase": "Running"})
    assert (await shaken.get(TRAINPUSHJOBS, "j", namespace))["status"]["phase"] == "Running"


async def test_an_apply_of_unknown_outcome_is_repeated(proxy: FaultProxy, shaken: Client, namespace: str) -> None:
    """Twice is the same as once."""
    proxy.fail(is_write, losing_the_answer)
    made = await shaken.apply(CONFIG_MAPS, a_config_map(namespace, "a", k="1"))
    assert made["data"] == {"k": "1"}


async def test_a_delete_of_unknown_outcome_ends_in_not_found(proxy: FaultProxy, shaken: Client, namespace: str) -> None:
    """Which callers take for success."""
    made = await shaken.create(CONFIG_MAPS, a_config_map(namespace, "a"))
    proxy.fail(is_write, losing_the_answer)
    with pytest.raises(NotFound):
        await shaken.delete(CONFIG_MAPS, exactly(made))


async def test_a_server_that_hangs(proxy: FaultProxy, shaken: Client, namespace: str) -> None:
    """Is given up after the time for one request; waiting once more would help nobody."""
    proxy.fail(anything, hanging, hanging)
    with pytest.raises(Unavailable, match="no answer in time"):
        await shaken.get(CONFIG_MAPS, "a", namespace)
    assert len(proxy.requests) == 1


UNREADABLE = {
    "a page of HTML": (answering(200, b"<html>login</html>"), "NotJson: the answer cannot be read"),
    "half an answer": (answering(200, b'{"kind": "ConfigMap", "meta'), "NotJson: the answer cannot be read"),
    "a redirect": (answering(302, b"", Location="http://169.254.169.254/"), r"ApiError \(302\)"),
    "an error of a proxy": (answering(403, b"<html>no</html>"), r"Forbidden \(403\): <html>no</html>"),
}


@pytest.mark.parametrize("case", UNREADABLE)
async def test_answers_that_are_none(case: str, proxy: FaultProxy, shaken: Client, namespace: str) -> None:
    """What stands between us and the API server answers in its stead."""
    fault, expected = UNREADABLE[case]
    proxy.fail(anything, fault)
    with pytest.raises(ApiError, match=expected):
        await shaken.get(CONFIG_MAPS, "a", namespace)


async def test_a_list_that_is_none(proxy: FaultProxy, shaken: Client, namespace: str) -> None:
    """JSON, but not a list."""
    proxy.fail(is_list, answering(200, b'{"items": 3}'))
    with pytest.raises(Unavailable, match="NotJson"):
        await shaken.list(CONFIG_MAPS, namespace)


async def test_an_endless_answer_is_cut_off(proxy: FaultProxy, namespace: str) -> None:
    """Memory stays bounded whatever the other side sends."""

    async def endless(_proxy: FaultProxy, request: web.Request) -> web.StreamResponse:
        response = web.StreamResponse()
        await response.prepare(request)
        with suppress(ConnectionError):
            while True:
                await response.write(b" " * 100_000)
        return response

    async with Client(proxy.credentials, bounds=Bounds(answer_bytes=1_000_000, line_bytes=1_000_000)) as client:
        proxy.fail(anything, endless, endless)
        with pytest.raises(Unavailable, match="more than 1000000 bytes from /api/v1"):
            await client.get(CONFIG_MAPS, "a", namespace)
        with pytest.raises(Unavailable, match="a line of more than 1000000 bytes"):
            _ = [line async for line in client.watch(CONFIG_MAPS, "1")]


async def test_a_silent_watch_is_given_up(proxy: FaultProxy, shaken: Client, namespace: str) -> None:
    """No event and no bookmark for longer than the server would ever be silent."""
    _, version = await shaken.list(CONFIG_MAPS, namespace)
    with pytest.raises(Unavailable, match="no answer in time"):
        _ = [line async for line in shaken.watch(CONFIG_MAPS, version, namespace)]


async def test_a_watch_that_is_refused(proxy: FaultProxy, shaken: Client) -> None:
    """Like any other request."""
    proxy.fail(is_watch, answering(410), answering(503))
    with pytest.raises(Gone):
        _ = [line async for line in shaken.watch(CONFIG_MAPS, "1")]
    with pytest.raises(Unavailable):
        _ = [line async for line in shaken.watch(CONFIG_MAPS, "1")]


async def test_many_writes_at_once_stay_within_the_limit(proxy: FaultProxy, shaken: Client, namespace: str) -> None:
    """Two hundred writes start with sixteen at a time; each success makes room for more, slowly."""
    writes = (shaken.create(CONFIG_MAPS, a_config_map(namespace, f"c{i}")) for i in range(200))
    await asyncio.gather(*writes)
    assert START <= proxy.most_in_flight <= START + 8


async def test_an_overloaded_server_gets_fewer_writes_at_once(
    proxy: FaultProxy, shaken: Client, namespace: str
) -> None:
    """Every write succeeds in the end although the first burst was refused."""
    proxy.fail(is_write, *[answering(429)] * START)
    writes = (shaken.create(CONFIG_MAPS, a_config_map(namespace, f"c{i}")) for i in range(40))
    await asyncio.gather(*writes)
    items, _ = await shaken.list(CONFIG_MAPS, namespace)
    assert {item["metadata"]["name"] for item in items} - {OF_CONTROLLERS} == {f"c{i}" for i in range(40)}


async def test_nobody_listens(cluster: Cluster) -> None:
    """One line that names the server and the reason."""
    known = admin(cluster)
    known.endpoint = replace(known.endpoint, server="https://127.0.0.1:9")
    async with Client(known) as client:
        with pytest.raises(Unavailable) as caught:
            await client.get(NODES, "a")
    assert str(caught.value) == f"Unreachable: https://127.0.0.1:9: {os.strerror(111)}"


async def test_a_server_that_is_not_ours(cluster: Cluster, tmp_path: Path) -> None:
    """Its certificate is signed by somebody else."""
    config = yaml.safe_load(cluster.kubeconfig.read_text())
    for key in ("certificate-authority-data", "certificate-authority"):
        config["clusters"][0]["cluster"].pop(key, None)
    (tmp_path / "config").write_text(yaml.safe_dump(config))
    async with Client(load(str(tmp_path / "config"))) as client:
        with pytest.raises(Unavailable, match="the server's certificate is not trusted"):
            await client.get(NODES, "a")
