"""The reflector against a real API server, and against every fault that ended other watches."""

import asyncio
import json
import time
from collections import Counter
from collections.abc import AsyncIterator, Callable, Iterable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

import msgspec
import pytest

from support.api import CONFIG_MAPS, OF_CONTROLLERS, a_config_map
from support.fault_proxy import FaultProxy, answering, cutting, is_list, is_watch
from support.given_cluster import refuse_given
from support.wait import until
from trainpush.kube import decode
from trainpush.kube.client import PAGE_SIZE, Bounds, Client, Exactly, Object
from trainpush.kube.reflector import Reflector
from trainpush.kube.resources import NODES, PODS, Resource


class Meta(msgspec.Struct, rename="camel"):
    """What these tests look at."""

    name: str
    namespace: str
    uid: str
    resource_version: str


class ConfigMap(msgspec.Struct):
    """A ConfigMap with one value."""

    metadata: Meta
    data: dict[str, str] = {}


_decoder = msgspec.json.Decoder(ConfigMap)


def config_map(body: bytes | msgspec.Raw) -> ConfigMap:
    """Decode one; a value `malformed` cannot be decoded."""
    item = _decoder.decode(body)
    if "malformed" in item.data:
        msg = "malformed"
        raise ValueError(msg)
    return item


@dataclass
class View:
    """The objects of one namespace as the reflector tells them, and how often it told what."""

    namespace: str
    told: Counter[str] = field(default_factory=Counter)

    def __post_init__(self) -> None:
        """Nothing is known yet."""
        self.data: dict[str, dict[str, str]] = {}

    def replace(self, items: Iterable[ConfigMap], as_of: int) -> None:
        """Take a list."""
        mine = [item for item in items if self._is_mine(item)]
        assert all(int(item.metadata.resource_version) <= as_of for item in mine)
        self.data = {item.metadata.name: item.data for item in mine}

    def put(self, item: ConfigMap) -> None:
        """Take an addition or a change."""
        if self._is_mine(item):
            self.told[item.metadata.name] += 1
            self.data[item.metadata.name] = item.data

    def drop(self, item: ConfigMap) -> None:
        """Take a deletion."""
        if self._is_mine(item):
            del self.data[item.metadata.name]

    def _is_mine(self, item: ConfigMap) -> bool:
        return item.metadata.namespace == self.namespace and item.metadata.name != OF_CONTROLLERS


@dataclass
class Scene:
    """A reflector that runs through a proxy, and a client that does not."""

    client: Client
    proxy: FaultProxy
    namespace: str
    reflector: Reflector[ConfigMap]
    view: View

    async def write(self, name: str, **data: str) -> Object:
        """Create or change an object behind the proxy's back."""
        return await self.client.apply(CONFIG_MAPS, a_config_map(self.namespace, name, **data))

    async def delete(self, made: Object) -> None:
        """Delete an object behind the proxy's back."""
        meta = made["metadata"]
        await self.client.delete(CONFIG_MAPS, Exactly(self.namespace, meta["name"], meta["uid"]))

    async def shows(self, **expected: dict[str, str]) -> None:
        """Wait until the view is this."""
        await until(lambda: self.view.data == expected, f"the view is {expected}")

    async def watching(self) -> None:
        """Wait until the reflector has a watch that goes through."""
        await until(lambda: self.proxy.open_watches == 1, "a watch is open")


@asynccontextmanager
async def running(reflector: Reflector[ConfigMap]) -> AsyncIterator[None]:
    """Run it; at the end it must still run, and end when it is told to."""
    task = asyncio.create_task(reflector.run())
    try:
        yield
        assert not task.done()
    finally:
        task.cancel()
        (outcome,) = await asyncio.gather(task, return_exceptions=True)
    assert isinstance(outcome, asyncio.CancelledError)


@pytest.fixture
async def scene(client: Client, namespace: str, proxy: FaultProxy) -> AsyncIterator[Scene]:
    """A reflector that has seen one object, `a`."""
    async with Client(proxy.credentials, bounds=Bounds(request_seconds=3, silence_seconds=1.5)) as shaken:
        view = View(namespace)
        scene = Scene(client, proxy, namespace, Reflector(shaken, CONFIG_MAPS, config_map, view), view)
        await scene.write("a", k="1")
        async with running(scene.reflector):
            await scene.reflector.synced.wait()
            await scene.watching()
            await scene.shows(a={"k": "1"})
            yield scene


async def test_a_list_and_then_events(scene: Scene) -> None:
    """Additions, changes and deletions arrive, each once, without another list."""
    made = await scene.write("b", k="1")
    await scene.shows(a={"k": "1"}, b={"k": "1"})
    await scene.write("b", k="2")
    await scene.shows(a={"k": "1"}, b={"k": "2"})
    await scene.delete(made)
    await scene.shows(a={"k": "1"})
    assert scene.view.told == {"b": 2}
    assert scene.reflector.lists == 1


async def test_more_objects_than_a_page_holds(scene: Scene) -> None:
    """The first list comes in pages."""
    writes = (scene.write(f"c{i}") for i in range(PAGE_SIZE + 50))
    await asyncio.gather(*writes)
    view = View(scene.namespace)
    reflector = Reflector(scene.client, CONFIG_MAPS, config_map, view)
    async with running(reflector):
        await reflector.synced.wait()
        assert len(view.data) == PAGE_SIZE + 51


def an_error(code: int) -> bytes:
    """An ERROR event."""
    status = {"kind": "Status", "apiVersion": "v1", "metadata": {}, "code": code, "reason": "R", "message": "m"}
    return json.dumps({"type": "ERROR", "object": status}).encode() + b"\n"


NEEDS_A_LIST = {
    "an ERROR event 410": an_error(410),
    "a line that is not JSON": b'{"type": "ADDED", "object": {"meta\n',
    "a line that is not an event": b"[]\n",
    "an event without a version": b'{"type": "BOOKMARK", "object": {"metadata": {}}}\n',
}


@pytest.mark.parametrize("case", NEEDS_A_LIST)
async def test_faults_that_need_a_new_list(case: str, scene: Scene) -> None:
    """What happened meanwhile is found in the list, deletions included."""
    gone = await scene.write("gone")
    await scene.shows(a={"k": "1"}, gone={})
    scene.proxy.is_silent = True
    await scene.delete(gone)
    await scene.write("a", k="2")
    await scene.proxy.say(NEEDS_A_LIST[case])
    await until(lambda: scene.proxy.open_watches == 0, "the watch is given up")
    scene.proxy.is_silent = False
    await scene.shows(a={"k": "2"})
    assert scene.reflector.lists == 2
    await scene.watching()
    await scene.write("a", k="3")
    await scene.shows(a={"k": "3"})


ENDS_THE_WATCH = {
    "an ERROR event 500": an_error(500),
    "an ERROR event 504": an_error(504),
    "an ERROR event that says nothing": b'{"type": "ERROR", "object": {}}\n',
}


@pytest.mark.parametrize("case", ENDS_THE_WATCH)
async def test_faults_after_which_the_watch_goes_on(case: str, scene: Scene) -> None:
    """From the last version seen: nothing is lost and nothing is listed again."""
    await scene.proxy.say(ENDS_THE_WATCH[case])
    await until(lambda: scene.proxy.open_watches == 0, "the watch is given up")
    await scene.write("b")
    await scene.shows(a={"k": "1"}, b={})
    assert scene.reflector.lists == 1


async def test_a_cut_in_the_middle_of_a_line(scene: Scene) -> None:
    """The half line is forgotten; the whole one comes again."""
    await scene.proxy.say(b'{"type": "DELETED", "object": {"metadata": {"name": "a"')
    scene.proxy.cut()
    await scene.write("b")
    await scene.shows(a={"k": "1"}, b={})
    assert scene.reflector.lists == 1


async def test_a_silent_stream(scene: Scene) -> None:
    """A connection that died without a word is replaced, and what it swallowed is found in a new list."""
    scene.proxy.is_silent = True
    await scene.write("b")
    await scene.shows(a={"k": "1"}, b={})
    assert scene.reflector.lists == 2


REFUSALS = {
    "500": (answering(500), 1),
    "503": (answering(503), 1),
    "429": (answering(429, Retry_After="1"), 1),
    "403 while RBAC changes": (answering(403), 1),
    "401": (answering(401), 1),
    "404 while the CRD is away": (answering(404), 1),
    "HTML of a proxy": (answering(200, b"<html>\n"), 2),
    "no connection": (cutting, 1),
    "410": (answering(410), 2),
    "400 for a version it does not like": (answering(400), 2),
}


@pytest.mark.parametrize("case", REFUSALS)
async def test_a_watch_that_is_refused_several_times(case: str, scene: Scene) -> None:
    """It is tried again until it works."""
    fault, lists = REFUSALS[case]
    scene.proxy.fail(is_watch, fault)
    scene.proxy.cut()
    await scene.write("b")
    await scene.shows(a={"k": "1"}, b={})
    assert scene.reflector.lists == lists


async def test_a_server_that_ends_every_watch_at_once(scene: Scene) -> None:
    """Must not be asked in a hot loop."""
    scene.proxy.fail(is_watch, *[answering(200, b"")] * 100)
    scene.proxy.cut()
    seen = scene.proxy.count(is_watch)
    await until(lambda: scene.proxy.count(is_watch) >= seen + 3, "three more watches")
    started = time.monotonic()
    await until(lambda: scene.proxy.count(is_watch) >= seen + 4, "a fourth")
    assert time.monotonic() - started > 1


async def test_a_server_that_is_down(scene: Scene) -> None:
    """Connections are refused for a while; then everything that happened is seen."""
    await scene.proxy.close()
    await scene.write("b")
    tries = scene.reflector.lists
    await scene.proxy.open()
    await scene.shows(a={"k": "1"}, b={})
    assert scene.reflector.lists == tries


async def test_a_first_list_that_fails(proxy: FaultProxy, namespace: str) -> None:
    """Whatever the answer, the reflector goes on trying."""
    async with Client(proxy.credentials) as client:
        proxy.fail(is_list, answering(404), answering(403), answering(200, b'{"items": []}x'))
        reflector = Reflector(client, CONFIG_MAPS, config_map, View(namespace))
        async with running(reflector), asyncio.timeout(20):
            await reflector.synced.wait()
        assert proxy.count(is_list) >= 4
        assert reflector.lists == 1


async def test_a_list_that_takes_longer_than_its_token_lives(proxy: FaultProxy, namespace: str) -> None:
    """The continue token is refused with 410: the next list comes in one piece."""
    async with Client(proxy.credentials) as client:
        writes = (client.create(CONFIG_MAPS, a_config_map(namespace, f"c{i}")) for i in range(PAGE_SIZE + 1))
        await asyncio.gather(*writes)
        proxy.fail(lambda request: "continue" in request.query, answering(410))
        view = View(namespace)
        reflector = Reflector(client, CONFIG_MAPS, config_map, view)
        async with running(reflector), asyncio.timeout(20):
            await reflector.synced.wait()
        assert len(view.data) == PAGE_SIZE + 1
        limits = [request.query["limit"] for request in proxy.requests if is_list(request)]
        assert limits == [str(PAGE_SIZE), str(PAGE_SIZE), "0"]


async def test_a_version_that_the_server_never_had(scene: Scene) -> None:
    """As after a restore from a backup: a real server says nothing until it gets there, which may be never."""
    bookmark = {"kind": "ConfigMap", "metadata": {"resourceVersion": "999999999"}}
    await scene.proxy.say(json.dumps({"type": "BOOKMARK", "object": bookmark}).encode() + b"\n")
    scene.proxy.cut()
    await scene.write("b")
    await scene.shows(a={"k": "1"}, b={})


async def test_malformed_objects_are_skipped(scene: Scene) -> None:
    """They are counted, in events and in lists, and the others arrive."""
    await scene.write("bad", malformed="yes")
    await scene.write("b")
    await scene.shows(a={"k": "1"}, b={})
    assert scene.reflector.malformed == 1
    await scene.proxy.say(an_error(410))
    await until(lambda: scene.reflector.lists == 2, "a second list")
    assert scene.reflector.malformed == 2
    await scene.shows(a={"k": "1"}, b={})


async def test_the_time_of_the_last_word(scene: Scene) -> None:
    """It moves with events and bookmarks, so that a stuck watch can be seen from outside."""
    before = scene.reflector.last_heard
    bookmark = {"kind": "ConfigMap", "metadata": {"resourceVersion": "1"}}
    await scene.proxy.say(json.dumps({"type": "BOOKMARK", "object": bookmark}).encode() + b"\n")
    await until(lambda: scene.reflector.last_heard > before, "the bookmark is heard")


class Count:
    """A sink that only counts."""

    def __init__(self) -> None:
        """Nothing yet."""
        self.names: set[str] = set()

    def replace(self, items: Iterable[decode.PodObject | decode.NodeObject], as_of: int) -> None:
        """Take a list."""
        self.names = {item.name for item in items}

    def put(self, item: decode.PodObject | decode.NodeObject) -> None:
        """Take an addition or a change."""
        self.names.add(item.name)

    def drop(self, item: decode.PodObject | decode.NodeObject) -> None:
        """Take a deletion."""
        self.names.discard(item.name)


async def test_a_real_pod_can_be_decoded(client: Client, namespace: str) -> None:
    """What the API server makes of a pod with all its defaults."""
    container = {"name": "c", "image": "i", "resources": {"limits": {"cpu": "0.5", "memory": "1Gi"}}}
    meta = {"namespace": namespace, "name": f"{namespace}-pod"}
    pod = await check_kind(client, PODS, {"metadata": meta, "spec": {"containers": [container]}})
    assert isinstance(pod, decode.PodObject)
    assert pod.requests == {"cpu": 500, "memory": 2**30}


async def test_a_real_node_can_be_decoded(
    client: Client, namespace: str, required: Callable[[Callable[[], None]], None]
) -> None:
    """What the API server makes of a node with all its defaults."""
    required(lambda: refuse_given("this test makes a Node"))
    await check_kind(client, NODES, {"metadata": {"name": f"{namespace}-node"}})


async def check_kind(client: Client, resource: Resource, body: Object) -> decode.PodObject | decode.NodeObject:
    """Create an object, wait until a reflector tells of it and of its deletion; return it as decoded."""
    kept: list[decode.PodObject | decode.NodeObject] = []

    def keeping(raw: bytes | msgspec.Raw) -> decode.PodObject | decode.NodeObject:
        kept.append(decode.pod(raw) if resource is PODS else decode.node(raw))
        return kept[-1]

    sink = Count()
    reflector = Reflector(client, resource, keeping, sink)
    task = asyncio.create_task(reflector.run())
    await reflector.synced.wait()
    made = await client.create(resource, {"apiVersion": resource.api_version, "kind": resource.kind, **body})
    meta = made["metadata"]
    await until(lambda: meta["name"] in sink.names, "the object is told")
    found = next(item for item in kept if item.name == meta["name"])
    await client.delete(resource, Exactly(meta.get("namespace"), meta["name"], meta["uid"]), grace_seconds=0)
    await until(lambda: meta["name"] not in sink.names, "its deletion is told")
    task.cancel()
    assert reflector.malformed == 0
    return found
