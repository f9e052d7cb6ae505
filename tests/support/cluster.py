"""A real cluster as tests use it: make things, change them, and wait by watch until they are as they should be."""

import asyncio
import json
import time
import uuid
from collections.abc import AsyncIterator, Callable, Iterator, Mapping, Sequence
from contextlib import aclosing, asynccontextmanager, contextmanager
from dataclasses import dataclass
from typing import Any, Final
from urllib.parse import quote

from support.api import SERVICE_ACCOUNTS
from testbed import Bed, FakeNode
from trainpush.kube.client import Client, Exactly, Object
from trainpush.kube.resources import GPUPOOLS, NAMESPACES, NODES, PODS, SERVICES, TRAINPUSHJOBS, Resource

Objects = dict[str, Object]
"""Objects of one kind by name."""
KINDS: Final = {resource.kind: resource for resource in (GPUPOOLS, NAMESPACES, NODES, PODS, SERVICES, TRAINPUSHJOBS)}


@dataclass(frozen=True)
class Space:
    """A namespace of its own, with the whole cluster in reach as its administrator."""

    bed: Bed
    client: Client
    name: str

    async def create(self, manifest: Object) -> Object:
        """Create an object, here if its kind has namespaces."""
        resource = KINDS[manifest["kind"]]
        if resource.namespaced:
            manifest = {**manifest, "metadata": {**manifest["metadata"], "namespace": self.name}}
        return await self.client.create(resource, manifest)

    async def edit(self, name: str, **spec: Any) -> None:
        """Change fields of a job's spec by merge patch; None removes one."""
        await self.client.patch(TRAINPUSHJOBS, self.name, name, {"spec": spec})

    async def delete(self, resource: Resource, name: str) -> None:
        """Delete one object."""
        namespace = self.name if resource.namespaced else None
        uid = (await self.client.get(resource, name, namespace))["metadata"]["uid"]
        await self.client.delete(resource, Exactly(namespace, name, uid))

    async def until(
        self, resource: Resource, holds: Callable[[Objects], object], what: str, *, seconds: float = 30.0
    ) -> Objects:
        """Wait until `holds` for all objects of a kind that are here; fails with `what` after `seconds`."""
        found: Objects = {}
        try:
            async with asyncio.timeout(seconds):
                while not await self._watch(resource, holds, found):
                    pass
        except TimeoutError:
            shown = json.dumps([_told(thing) for thing in found.values()], indent=1)[:6000]
            raise AssertionError(f"not within {seconds} s: {what}; there is: {shown}") from None
        return found

    async def _watch(self, resource: Resource, holds: Callable[[Objects], object], found: Objects) -> bool:
        """Keep `found` up to date until it `holds`; False when the server ended the watch before."""
        namespace = self.name if resource.namespaced else None
        items, version = await self.client.list(resource, namespace)
        found.clear()
        found.update({item["metadata"]["name"]: item for item in items})
        async with aclosing(self.client.watch(resource, version, namespace)) as lines:
            while not holds(found):
                line = await anext(lines, None)
                if line is None:
                    return False
                event = json.loads(line)
                if event["type"] == "DELETED":
                    del found[event["object"]["metadata"]["name"]]
                elif event["type"] in {"ADDED", "MODIFIED"}:
                    found[event["object"]["metadata"]["name"]] = event["object"]
        return True

    async def job(self, name: str, holds: Callable[[Object], object], what: str, *, seconds: float = 30.0) -> Object:
        """Wait until `holds` for a job whose status speaks of its present spec."""

        def is_so(jobs: Objects) -> object:
            return name in jobs and is_observed(jobs[name]) and holds(jobs[name])

        return (await self.until(TRAINPUSHJOBS, is_so, f"job {name} {what}", seconds=seconds))[name]

    async def pods(self) -> Objects:
        """The pods that are here now."""
        items, _ = await self.client.list(PODS, self.name)
        return {item["metadata"]["name"]: item for item in items}

    async def end(self, pod: str, exit_code: int, said: str = "") -> None:
        """Let a fake pod end as the kubelet would report it."""
        seen = await self.client.get(PODS, pod, self.name)
        terminated = {"exitCode": exit_code, "reason": "Error" if exit_code else "Completed", "message": said}
        container = seen["status"]["containerStatuses"][0] | {"ready": False, "state": {"terminated": terminated}}
        status = {"phase": "Failed" if exit_code else "Succeeded", "containerStatuses": [container]}
        await self.client.patch_status(PODS, self.name, pod, seen["metadata"]["resourceVersion"], status)

    async def cordon(self, node: str, *, on: bool = True) -> None:
        """Close a node, or open it again."""
        await self.client.patch(NODES, None, node, {"spec": {"unschedulable": on or None}})

    async def clear(self) -> None:
        """Delete every job, pod and Service here, and wait until they are gone."""
        for resource in (TRAINPUSHJOBS, SERVICES, PODS):
            delete_all(self.bed, resource.path(self.name))
        await self.until(TRAINPUSHJOBS, is_empty, "no job left")
        await self.until(PODS, is_empty, "no pod left", seconds=90)


async def new_space(bed: Bed, client: Client) -> Space:
    """A namespace that takes pods."""
    name = f"test-{uuid.uuid4().hex[:8]}"
    bed.kubectl("create", "namespace", name)
    space = Space(bed, client, name)
    # The admission of pods asks for it, and its maker may be late.
    await space.until(SERVICE_ACCOUNTS, lambda found: "default" in found, "the default ServiceAccount is there")
    return space


@asynccontextmanager
async def a_space(bed: Bed, client: Client) -> AsyncIterator[Space]:
    """A namespace for one test; afterwards its jobs and pods are gone, so that their accelerators are free again."""
    space = await new_space(bed, client)
    try:
        yield space
    finally:
        await space.clear()
        bed.kubectl("delete", "namespace", space.name, "--wait=false")


@contextmanager
def fake_nodes(bed: Bed, nodes: Sequence[FakeNode]) -> Iterator[Sequence[FakeNode]]:
    """Fake nodes for as long as the block runs."""
    bed.add_fake_nodes(nodes)
    try:
        yield nodes
    finally:
        names = ",".join(node.name for node in nodes)
        delete_all(bed, f"/api/v1/nodes?labelSelector={quote(f'kubernetes.io/hostname in ({names})')}")


def delete_all(bed: Bed, path: str) -> None:
    """Delete all objects of a collection of the API in one request; kubectl alone would make five a second."""
    bed.kubectl("delete", "--raw", path)


@contextmanager
def a_pool(bed: Bed, manifest: Object) -> Iterator[None]:
    """A GPUPool for as long as the block runs."""
    bed.kubectl("create", "-f", "-", stdin=json.dumps(manifest))
    try:
        yield
    finally:
        bed.kubectl("delete", "--ignore-not-found", "-f", "-", stdin=json.dumps(manifest))


def is_empty(found: Mapping[str, Object]) -> bool:
    """For `Space.until`: nothing is left."""
    return not found


def is_observed(thing: Object) -> bool:
    """Whether the status speaks of the present spec."""
    return bool(thing.get("status", {}).get("observedGeneration") == thing["metadata"]["generation"])


def conditions(thing: Object) -> dict[str, Object]:
    """Conditions by type."""
    return {entry["type"]: entry for entry in thing.get("status", {}).get("conditions", [])}


def says(kind: str, status: str = "True", reason: str | None = None) -> Callable[[Object], bool]:
    """A predicate: the object has this condition, with this reason if one is given."""

    def holds(thing: Object) -> bool:
        found = conditions(thing).get(kind, {})
        return found.get("status") == status and reason in {None, found["reason"]}

    return holds


def nodes_of(thing: Object) -> list[str]:
    """Nodes of a job's placement, in rank order; empty while it has none."""
    return list(thing["status"].get("placement", {}).get("nodes", []))


def now() -> float:
    """Seconds on a clock that only goes forward."""
    return time.monotonic()


def _told(thing: Object) -> Object:
    """What helps to see why a wait failed."""
    return {"name": thing["metadata"]["name"], "status": thing.get("status", {})}
