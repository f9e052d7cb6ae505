"""Cases that people report of peers, on real nodes: each was wrong here once, and is right now."""

import asyncio
import json
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import contextmanager, suppress
from datetime import datetime
from typing import Final

import pytest

from support.api import admin
from support.cluster import fake_nodes, is_empty, nodes_of, now, says
from support.digits import DigitsBed
from support.figures import Figures
from support.installed_operator import InstalledOperator
from support.living import Scene, both, containers, names, refusal, runs_again, told
from support.look import look_at_all
from testbed import BedError, FakeNode, KindBed
from trainpush.api.names import LABEL_SERVICE
from trainpush.kube.client import Client, Object
from trainpush.kube.resources import ENDPOINTSLICES, PODS, SERVICES
from trainpush.model.outage import OUT_OF_SERVICE
from trainpush.model.reasons import Reason
from trainpush.planner.retries import BIND_TIMEOUT, PAUSE, START_TIMEOUT

Words = dict[str, str]
"""What the cluster says, by the line of the table."""
Case = Callable[[Scene], Awaitable[Words]]
SECONDS: Final = 120.0
"""Most that a pod and what follows from it take on a busy machine."""
BIND_SECONDS: Final = BIND_TIMEOUT.total_seconds() + SECONDS
START_SECONDS: Final = START_TIMEOUT.total_seconds() + SECONDS
MENDED_SECONDS: Final = 10.0
TAINT: Final = f"{OUT_OF_SERVICE}=nodeshutdown:NoExecute"
"""The taint by which people say that a node is shut down."""
BEFORE: Final = {
    "a sidecar is injected, the program ends": "Running for ever",
    "a sidecar is injected, the program fails": "Running for ever",
    "a job opts out of meshes, and of being moved": "the annotations are refused as reserved",
    "a claim can be mounted on one node only": "the same wrong node five times",
    "a Secret is missing": "0/1 workers run, Ready=True, for ever",
    "an init container is injected, and fails": "no exit code known",
    "a quota wants limits: an export": "waits silently for ever",
    "a quota wants limits: a replica": "refused for containers that the user cannot reach",
    "Pod Security is restricted": "refused",
    "evicted for its own use": "restarts without end as infrastructure",
    "evicted for its own use, exits with 0": "Complete",
    "the same of one rank of two": "nobody notices, the other one waits for it",
    "its node shuts down, exits with 0": "Complete, and the half-trained model is exported",
    "somebody edits a Service": "no endpoints, Ready=True",
    "a model raises": "an unrelated line of the server's log",
    "the pod of a finished rank is removed": "the whole gang starts anew",
    "a pod is too large to be bound": "accelerators held 120 s of every 150 s",
    "a finished job is edited": '"suspend, wait until status.placement is gone": never',
    "a program is not there": "",
    "a program needs more memory than its limit": "",
    "a node has no kubelet": "neither the node nor the remedy is named",
}
"""What was seen when each case was found, as far as it was wrong."""


@pytest.fixture
async def scene(real: DigitsBed, operator: InstalledOperator) -> AsyncIterator[Callable[[str], Awaitable[Scene]]]:
    """Makes namespaces; in the end nothing is left of them, and the operator is on both nodes again."""
    made: list[Scene] = []

    async def make(name: str) -> Scene:
        found = Scene(real.bed, client, f"living-{name}")
        made.append(found)
        await found.make()
        return found

    async with Client(admin(real.bed), user_agent="tests") as client:
        yield make
        await asyncio.gather(*(one.leave() for one in made))
        for one in made:
            real.bed.kubectl("wait", "--for=delete", f"namespace/{one.name}", "--timeout=120s")
    operator.stop()
    operator.run()


@pytest.mark.story(long=True)
async def test_story_living(scene: Callable[[str], Awaitable[Scene]], figures: Figures) -> None:
    """What goes wrong on clusters that are lived in, case by case; each comes out as it should."""
    words: Words = {}

    async def tell(case: Case) -> None:
        words.update(await case(await scene(case.__name__)))

    async def tell_most() -> None:
        """The last one needs a node for itself."""
        await all_of(*map(tell, QUICK))
        await tell(lost)

    try:
        await all_of(*map(tell, SLOW), tell_most())
    finally:
        for line, before in BEFORE.items():
            if line in words:
                figures.add(f"{line}; before: {before}" if before else line, words[line])
    assert words.keys() == BEFORE.keys()


async def all_of(*cases: Awaitable[None]) -> None:
    """Wait for all of them, also where one goes wrong."""
    ended = await asyncio.gather(*cases, return_exceptions=True)
    if faults := [fault for fault in ended if isinstance(fault, Exception)]:
        raise ExceptionGroup("what came out wrong", faults)


async def mesh(at: Scene) -> Words:
    """The worker's container decides, and who does not want another one may say so."""
    await at.apply("mesh-policy")
    await at.until_injected("mesh-proxy")
    await at.apply("mesh")
    pods = await at.until(PODS, lambda found: len(found) == 3, "all pods are there", seconds=SECONDS)
    assert {name: len(containers(pod)) for name, pod in pods.items()} == {
        "ends-worker-0-a1": 2,
        "fails-worker-0-a1": 2,
        "outside-worker-0-a1": 1,
    }
    ends = await at.job("ends", says("TrainingComplete"), "is complete", seconds=SECONDS)
    fails = await at.job("fails", says("Failed"), "has failed", seconds=SECONDS)
    outside = await at.job("outside", says("TrainingComplete"), "is complete", seconds=SECONDS)
    assert "exit code 3 (Error): no such data set" in told(fails)
    return {
        "a sidecar is injected, the program ends": told(ends),
        "a sidecar is injected, the program fails": told(fails),
        "a job opts out of meshes, and of being moved": told(outside),
    }


async def rwo(at: Scene) -> Words:
    """The node that can mount the claim is found at the second try."""
    await at.apply("rwo")
    wrong = nodes_of(await at.job("pinned", says("Placed"), "has a place", seconds=SECONDS))
    (right,) = set(at.bed.workers) - set(wrong)
    await at.apply("rwo-volume", node=right)
    held_back = await at.job("pinned", says("Ready", "False", Reason.BIND_TIMEOUT), "is told", seconds=BIND_SECONDS)
    assert not nodes_of(held_back)
    job = await at.job("pinned", says("TrainingComplete"), "is complete", seconds=PAUSE.total_seconds() + SECONDS)
    assert (nodes_of(job), job["status"]["attempt"]) == ([right], 2)
    return {"a claim can be mounted on one node only": f"attempt 2 on the right node; {told(job)}"}


async def mount(at: Scene) -> Words:
    """What is missing is told, and after a time the accelerators are given back."""
    await at.apply("mount")
    missing = names('secret "tracker-key" not found')
    await at.job("secretless", both(says("Ready", "False"), missing), "needs a person", seconds=SECONDS)
    given_back = both(says("Ready", "False", Reason.START_TIMEOUT), missing)
    job = await at.job("secretless", given_back, "gave its place back", seconds=START_SECONDS)
    assert not nodes_of(job)
    await at.until(PODS, is_empty, "no pod holds anything", seconds=SECONDS)
    return {"a Secret is missing": told(job)}


async def init(at: Scene) -> Words:
    """Which init container ended how."""
    await at.apply("init-policy")
    await at.until_injected("secrets-agent")
    await at.apply("init")
    job = await at.job("guarded", says("Failed"), "has failed", seconds=2 * SECONDS)
    assert "init container secrets-agent: exit code 7" in told(job)
    return {"an init container is injected, and fails": told(job)}


async def quota(at: Scene) -> Words:
    """Every pod of ours may live where a quota wants limits."""
    await at.models("echo")
    await at.apply("quota")
    job = await at.job("exports", is_exported, "is exported", seconds=2 * SECONDS)
    assert (at.folder / "models" / job["status"]["push"]["uri"].rpartition("/")[2] / "weights").exists()
    service = await at.service("served", says("Ready"), "serves", seconds=2 * SECONDS)
    return {
        "a quota wants limits: an export": f"exported to {job['status']['push']['uri']}",
        "a quota wants limits: a replica": told(service),
    }


def is_exported(job: Object) -> bool:
    """Whether its model directory has its name."""
    return "digest" in job["status"].get("push", {})


async def restricted(at: Scene) -> Words:
    """A replica runs where Pod Security lets in only what is harmless."""
    await at.kubectl("label", "namespace", at.name, "pod-security.kubernetes.io/enforce=restricted")
    await at.models("echo")
    await at.apply("restricted")
    service = await at.service("served", says("Ready"), "serves", seconds=2 * SECONDS)
    return {"Pod Security is restricted": told(service)}


async def evict(at: Scene) -> Words:
    """Whoever uses more than it may is to blame, where its pod shows that."""
    await at.apply("evict")
    overruns = await at.job("overruns", says("Failed"), "has failed", seconds=2 * SECONDS)
    assert "Evicted: Usage of EmptyDir volume" in told(overruns)
    half = await at.pod("half-worker-0-a1", has_ended, "has ended", seconds=2 * SECONDS)
    of_one = says("Failed") if shows_why(half) else says("TrainingComplete")
    job = await at.job("half", of_one, "is over", seconds=SECONDS)
    rank = await at.pod("halfgang-worker-1-a1", has_ended, "has ended", seconds=2 * SECONDS)
    of_two = says("Failed") if shows_why(rank) else both(says("Running"), names("1 has finished"))
    gang = await at.job("halfgang", of_two, "has noticed", seconds=SECONDS)
    return {
        "evicted for its own use": told(overruns),
        "evicted for its own use, exits with 0": told(job) + trace(half),
        "the same of one rank of two": told(gang) + trace(rank),
    }


def has_ended(pod: Object) -> bool:
    """Whether it runs no more."""
    return pod["status"]["phase"] in {"Succeeded", "Failed"}


def shows_why(pod: Object) -> bool:
    """Whether a pod tells that somebody ended it: kubelets forget it where the program ends with 0."""
    return bool(pod["status"].get("reason")) or says("DisruptionTarget")(pod)


def trace(pod: Object) -> str:
    """What is to be said of a pod that shows nothing of its eviction."""
    return "" if shows_why(pod) else f"; its pod is {pod['status']['phase']} and shows no reason and no disruption"


async def spot(at: Scene) -> Words:
    """Whom the cluster interrupts has not finished, although it ends with 0."""
    with fake_nodes(at.bed, [FakeNode(at.name, labels={"trainpush.test/pool": at.name})]):
        await at.apply("spot")
        await at.job("spot", says("Running"), "runs", seconds=SECONDS)
        pod = await at.pod("spot-worker-0-a1", lambda _: True, "is there")
        version = pod["metadata"]["resourceVersion"]
        await at.client.patch_status(PODS, at.name, "spot-worker-0-a1", version, shut_down(pod))
        job = await at.job("spot", runs_again, "runs again", seconds=SECONDS)
        assert job["status"]["restarts"] == {"failures": 0, "infrastructure": 1, "preemptions": 0}
        await at.kubectl("delete", "tpj", "spot")
        return {"its node shuts down, exits with 0": f"{told(job)}; {job['status']['lastFailure']['message']}"}


def shut_down(pod: Object) -> Object:
    """What a kubelet writes of a pod whose program ends with 0 while its node shuts down (kubernetes#118310)."""
    why = {"reason": "TerminationByKubelet", "message": "Pod was terminated in response to imminent node shutdown."}
    disrupted = {"type": "DisruptionTarget", "status": "True", "lastTransitionTime": pod["status"]["startTime"], **why}
    ended = {"ready": False, "state": {"terminated": {"exitCode": 0, "reason": "Completed"}}}
    return {
        "phase": "Succeeded",
        "reason": "Terminated",
        "message": why["message"],
        "conditions": [*pod["status"]["conditions"], disrupted],
        "containerStatuses": [pod["status"]["containerStatuses"][0] | ended],
    }


async def service(at: Scene) -> Words:
    """An edited Service is mended at once, and of a server's log the line is told that says why."""
    await at.models("echo", "raises")
    await at.apply("service")
    await at.service("echo", says("Ready"), "serves", seconds=2 * SECONDS)
    seconds = await mended(at, "echo", endpoints=2)
    echo = await at.service("echo", says("Ready"), "serves", seconds=SECONDS)
    failed = says("ModelLoaded", "False", Reason.MODEL_LOAD_FAILED)
    raises = await at.service("raises", failed, "is not loaded", seconds=SECONDS)
    assert "RuntimeError: weights are for 3 layers, not 2" in told(raises, "ModelLoaded")
    return {
        "somebody edits a Service": f"endpoints again after {seconds:.1f} s; {told(echo)}",
        "a model raises": told(raises, "ModelLoaded"),
    }


async def mended(at: Scene, name: str, endpoints: int) -> float:
    """Edit the selector of a Service; seconds until it finds as many as before."""
    selector = (await at.client.get(SERVICES, name, at.name))["spec"]["selector"]
    began = now()
    await at.client.patch(SERVICES, at.name, name, {"spec": {"selector": {LABEL_SERVICE: "typo"}}})
    await at.until(
        SERVICES, lambda found: found[name]["spec"]["selector"] == selector, "it is whole", seconds=MENDED_SECONDS
    )
    await at.until(ENDPOINTSLICES, lambda found: ready(found, name) == endpoints, "endpoints", seconds=MENDED_SECONDS)
    return now() - began


def ready(slices: dict[str, Object], service: str) -> int:
    """How many endpoints of a Service get requests."""
    mine = [one for one in slices.values() if one["metadata"]["labels"]["kubernetes.io/service-name"] == service]
    return sum(bool(end["conditions"].get("ready")) for one in mine for end in one["endpoints"] or ())


async def done(at: Scene) -> Words:
    """A rank that has finished is finished, whatever becomes of its pod."""
    await at.apply("done")
    await at.job("uneven", both(says("Running"), names("1 has finished")), "runs on", seconds=SECONDS)
    await at.kubectl("delete", "pod", "uneven-worker-1-a1")
    await at.kubectl("exec", "uneven-worker-0-a1", "--", "touch", "/tmp/enough")  # noqa: S108 - in a container
    job = await at.job("uneven", says("TrainingComplete"), "is complete", seconds=SECONDS)
    assert (job["status"]["attempt"], sum(job["status"]["restarts"].values())) == (1, 0)
    return {"the pod of a finished rank is removed": f"attempt 1, no restart; {told(job)}"}


async def limitrange(at: Scene) -> Words:
    """Nothing is held between the tries, and they come ever more seldom."""
    await at.apply("limitrange")
    pauses = []
    for tries in (1, 2):
        given_back = both(says("Ready", "False", Reason.BIND_TIMEOUT), names(f"try {tries + 1} is made from"))
        job = await at.job("swollen", given_back, "gave its place back", seconds=BIND_SECONDS)
        assert not nodes_of(job)
        await at.until(PODS, is_empty, "no pod is there", seconds=SECONDS)
        pauses.append(pause(job))
    assert pauses == [PAUSE.total_seconds(), 2 * PAUSE.total_seconds()]
    shown = " and ".join(f"{seconds:.0f} s" for seconds in pauses)
    return {"a pod is too large to be bound": f"nothing held for {shown}; {told(job)}"}


def pause(job: Object) -> float:
    """Seconds from the end of the last try to the next one."""
    until = told(job).partition(" is made from ")[2].partition(" on,")[0]
    ended = datetime.fromisoformat(job["status"]["failedStarts"]["at"])
    return (datetime.fromisoformat(until) - ended).total_seconds()


async def edit(at: Scene) -> Words:
    """What is advised can be done, and why a program could not run is told."""
    await at.apply("edit")
    await at.job("short", says("TrainingComplete"), "is complete", seconds=SECONDS)
    change = json.dumps({"spec": {"worker": {"command": ["/bin/sh", "-c", "exit 1"]}}})
    said = await refusal(at.kubectl("patch", "tpj", "short", "--type=merge", "--patch", change))
    assert "since the job has ended: delete it and make a new one" in said
    broken = await at.job("broken", says("Failed"), "has failed", seconds=SECONDS)
    assert "no-such-program" in told(broken)
    greedy = await at.job("greedy", says("Failed"), "has failed", seconds=SECONDS)
    assert "exit code 137" in told(greedy)
    return {
        "a finished job is edited": said.rpartition("Invalid value: ")[2],
        "a program is not there": told(broken),
        "a program needs more memory than its limit": told(greedy),
    }


async def lost(at: Scene) -> Words:
    """The message names the node and the remedy, and whoever does so has the gang run again."""
    with a_node_alone(at.bed) as node:
        await at.apply("lost", node=node)
        await at.job("gone", says("Running"), "runs", seconds=SECONDS)
        at.bed.docker("exec", node, "systemctl", "stop", "kubelet")
        remedy = f"if it is shut down for good: `kubectl taint nodes {node} {TAINT}`, or delete the Node"
        waits = both(says("Ready", "True", Reason.WAITING_FOR_CAPACITY), names(remedy))
        job = await at.job("gone", waits, "names the remedy", seconds=SECONDS)
        assert f"node {node} has not been ready since" in told(job)
        at.bed.kubectl("taint", "nodes", node, TAINT)
        await at.until(PODS, is_empty, "the pod that hung is gone", seconds=SECONDS)
        at.bed.kubectl("taint", "nodes", node, f"{TAINT}-")
        at.bed.docker("exec", node, "systemctl", "start", "kubelet")
        await at.job("gone", runs_again, "runs again", seconds=SECONDS)
        return {"a node has no kubelet": told(job)}


@contextmanager
def a_node_alone(bed: KindBed) -> Iterator[str]:
    """A node that leaves the pool `real` for a while, and on which nobody waits for anything; then all is as before."""
    waiting = {pod["spec"].get("nodeName") for pod in look_at_all(bed, "/api/v1/namespaces/living-mount/pods")}
    node = next(node for node in bed.workers if node not in waiting)
    other = next(other for other in bed.workers if other != node)
    choose(bed, other)
    try:
        yield node
    finally:
        with suppress(BedError):  # nothing to take away
            bed.kubectl("taint", "nodes", node, f"{TAINT}-")
        bed.docker("exec", node, "systemctl", "start", "kubelet")
        choose(bed, None)


def choose(bed: KindBed, node: str | None) -> None:
    """Let the pool `real` have one node only, or all of them again."""
    patch = {"spec": {"nodeSelector": {"kubernetes.io/hostname": node}}}
    bed.kubectl("patch", "gpupool", "real", "--type=merge", "--patch", json.dumps(patch))


QUICK: Final[tuple[Case, ...]] = (mesh, rwo, init, quota, restricted, evict, spot, service, done, edit)
SLOW: Final[tuple[Case, ...]] = (mount, limitrange)
"""Those in which minutes have to go by."""
