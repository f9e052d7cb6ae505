"""An operator that starts where 5,000 nodes, 50,000 pods and 2,000 running jobs are there already.

No controllers and no kubelets run, so that nothing else takes the processor: pods are bound when they are made.
The processor time of the operator's process counts, from its start until a status shows that a job which waited was
placed; less what the same client takes to list and decode the same objects by the same decoders, and keeps nothing.
"""

import asyncio
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Final

from bench.fill import at_once, cpu_seconds
from bench.growing_cluster import NODES as NODES_IN_ALL
from bench.growing_cluster import GrowingCluster, node_name, running
from bench.result import Result
from support import operator_process
from support.api import SERVICE_ACCOUNTS, admin
from support.cluster import Space
from support.manifests import GPU, job, pool
from testbed import Layer, LocalBed, held
from trainpush.api import names
from trainpush.kube.client import Client, Object
from trainpush.kube.records import read_node, read_pod
from trainpush.kube.resources import GPUPOOLS, NAMESPACES, NODES, PODS, TRAINPUSHJOBS, Resource
from trainpush.render.children import worker_name

JOBS: Final = 2_000
PODS_IN_ALL: Final = 50_000
GOAL_SECONDS: Final = 5.0
GOAL_MIB: Final = 400.0
DECODERS: Final[Mapping[Resource, Callable[[Any], object]]] = {NODES: read_node, PODS: read_pod}


async def measure(seed: int, folder: Path) -> Result:
    """Seconds of processor time beyond listing and decoding; memory stands beside it."""
    del seed
    with held(LocalBed("bench")) as bed:
        bed.up(Layer.API)
        kubeconfig = operator_process.install(bed)
        async with Client(admin(bed), user_agent="bench") as client:
            space = Space(bed, client, "bench")
            await _populate(space)
            await space.create(job("waits", gpus=8))
            bare = await _listed(client)
            begun = time.monotonic()
            with operator_process.running(kubeconfig, folder / "operator.log") as operator:
                await space.job("waits", lambda it: "placement" in it.get("status", {}), "it is placed", seconds=120)
                wall, cpu, mebibytes = time.monotonic() - begun, cpu_seconds(operator), operator.rss_mib
    details = {
        "nodes": NODES_IN_ALL,
        "pods": PODS_IN_ALL,
        "jobs": JOBS,
        "s until placed": round(wall, 1),
        "processor time, s": round(cpu, 2),
        "of that list and decode, s": round(bare, 2),
        "MiB": round(mebibytes, 1),
    }
    missed = ["MiB"] if mebibytes > GOAL_MIB else []
    return Result(round(cpu - bare, 2), "s", GOAL_SECONDS, details, missed)


async def _populate(space: Space) -> None:
    """Nodes first, then the pool, the jobs with their statuses, and pods."""
    client = space.client
    await client.create(NAMESPACES, {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": space.name}})
    account = {"name": "default", "namespace": space.name}
    await client.create(SERVICE_ACCOUNTS, {"apiVersion": "v1", "kind": "ServiceAccount", "metadata": account})
    await client.create(GPUPOOLS, pool("bench", "bench", default=True))
    await at_once(NODES_IN_ALL, lambda number: _node(client, number))
    await at_once(JOBS, lambda number: _job(space, number))
    await at_once(PODS_IN_ALL - JOBS, lambda number: client.create(PODS, _foreign(space, number)))


async def _node(client: Client, number: int) -> None:
    wanted = GrowingCluster.node_manifest(number)
    await client.create(NODES, {"apiVersion": "v1", "kind": "Node", **wanted})
    # Every node begins as not ready, and no controller is there to see that it is.
    made = await client.patch(NODES, None, node_name(number), {"spec": {"taints": None}})
    status, version = wanted["status"], made["metadata"]["resourceVersion"]
    await client.patch_status(NODES, None, node_name(number), version, status)


async def _job(space: Space, number: int) -> None:
    client, name, node = space.client, f"job-{number}", node_name(number)
    made = await space.create(job(name, gpus=1))
    version, status = made["metadata"]["resourceVersion"], running(node)
    status["resolved"]["pool"] = "bench"
    await client.patch_status(TRAINPUSHJOBS, space.name, name, version, status)
    owner = {"apiVersion": names.API_VERSION, "kind": "TrainPushJob", "name": name, "controller": True}
    labels = {names.LABEL_RANK: "0", names.LABEL_ATTEMPT: "1"}
    pod = _pod(space, worker_name(name, 0, 1), node, labels=labels)
    pod["metadata"]["ownerReferences"] = [{**owner, "uid": made["metadata"]["uid"]}]
    pod["spec"]["containers"][0]["resources"] = {"limits": {GPU: 1}}
    made = await client.create(PODS, pod)
    version = made["metadata"]["resourceVersion"]
    await client.patch_status(PODS, space.name, pod["metadata"]["name"], version, {"phase": "Running"})


def _foreign(space: Space, number: int) -> Object:
    return _pod(space, f"other-{number}", node_name(number % NODES_IN_ALL), labels={"app": "other"})


def _pod(space: Space, name: str, node: str, labels: Mapping[str, str]) -> Object:
    container = {"name": "worker", "image": "example.com/train:1", "resources": {"requests": {"cpu": "1"}}}
    metadata = {"name": name, "namespace": space.name, "labels": dict(labels)}
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": metadata,
        "spec": {"nodeName": node, "containers": [container]},
    }


async def _listed(client: Client) -> float:
    """Processor time that it takes to list and decode nodes and pods, and to keep nothing."""
    begun = time.process_time()
    for resource, decode in DECODERS.items():
        async for page in client.pages(resource):
            for body in page.items:
                decode(body)
            await asyncio.sleep(0)
    return time.process_time() - begun
