"""The operator as a whole: what runs beside what, and in which order it starts."""

import asyncio
import gc
import signal
from collections.abc import Callable, Coroutine
from contextlib import nullcontext
from typing import Any, Final

from prometheus_client import CollectorRegistry

import trainpush
from trainpush.api import names
from trainpush.controller import reporting
from trainpush.controller.clock import Clock
from trainpush.controller.http import listening, probing
from trainpush.controller.loop import Loop
from trainpush.controller.model_servers import ModelServers
from trainpush.controller.preflight import StartError, check
from trainpush.controller.resync import Resync
from trainpush.controller.settings import Settings
from trainpush.controller.watch import watch_own_kinds
from trainpush.kube import credentials
from trainpush.kube.actions import Actions
from trainpush.kube.apply import Applier
from trainpush.kube.children import read_budget, read_endpoint, read_export, read_revision, read_slice
from trainpush.kube.client import Client, Written
from trainpush.kube.daemons import read_daemon
from trainpush.kube.lease import Elector
from trainpush.kube.node_annotations import NodeAnnotator
from trainpush.kube.priorities import read_priority
from trainpush.kube.records import read_node, read_pod
from trainpush.kube.reflector import Reflector
from trainpush.kube.resources import (
    BUDGETS,
    DAEMONSETS,
    ENDPOINTSLICES,
    JOBS,
    NODES,
    OURS,
    PODS,
    PRIORITYCLASSES,
    REVISIONS,
    SERVICES,
    SERVING,
)
from trainpush.kube.store import Store
from trainpush.telemetry import logs
from trainpush.telemetry.metrics import Metrics

SILENCE_MAX_SECONDS: Final = 300.0
"""A watch that was silent for longer makes the readiness probe fail; a restart would not mend it."""

COLLECT_AFTER: Final = (20_000, 20, 20)
"""New objects until the youngest of them are looked through, and how often that is until older ones are."""

_log = logs.logger(__name__)


class _Stopped(Exception):  # noqa: N818 - not an error
    """A signal asked for an orderly end."""


async def operate(
    settings: Settings, on_write: Callable[[Written], None] | None = None, clock: Clock | None = None
) -> None:
    """Run until SIGTERM or SIGINT; `on_write` is told of each successful write at once.

    Cycles take their time from `clock`, if one is given; what guards the operator itself, such as its Lease, does not.

    Raises:
        StartError: it cannot begin, in one line.
    """
    _collect_less_often()
    metrics = Metrics(CollectorRegistry())
    metrics.build_info.labels(trainpush.__version__).set(1)

    def count(written: Written) -> None:
        metrics.api_writes.labels(written.kind, written.verb).inc()
        if on_write:
            on_write(written)

    try:
        access = credentials.load(settings.kubeconfig, settings.context)
    except credentials.CredentialsError as error:
        raise StartError(str(error)) from None
    async with Client(access, on_write=count) as client, ModelServers() as model_servers:
        await check(client, access.endpoint.source, settings.namespace)
        await _operate(settings, client, access, metrics, model_servers, clock or Clock())


def _collect_less_often() -> None:
    """Leave what is there from the start alone, and look for cycles of garbage only now and then.

    Most of what the operator keeps are plain records; to look through them again and again took a quarter of its time.
    """
    gc.collect()
    gc.freeze()
    gc.set_threshold(*COLLECT_AFTER)


def _reflectors(client: Client, store: Store) -> list[Reflector[Any]]:
    """The views of everything that is not one of our own kinds; of what we make, only what bears our label."""
    return [
        Reflector(client, NODES, read_node, store.nodes),
        Reflector(client, PODS, read_pod, store.pods),
        Reflector(client, PRIORITYCLASSES, read_priority, store.priorities),
        Reflector(client, DAEMONSETS, read_daemon, store.daemons),
        Reflector(client, JOBS, read_export, store.exports, labels=OURS),
        Reflector(client, REVISIONS, read_revision, store.revisions, labels=OURS),
        Reflector(client, SERVICES, read_endpoint, store.endpoints, labels=OURS),
        Reflector(client, ENDPOINTSLICES, read_slice, store.slices, labels=SERVING),
        Reflector(client, BUDGETS, read_budget, store.budgets, labels=OURS),
    ]


async def _operate(
    settings: Settings,
    client: Client,
    access: credentials.Credentials,
    metrics: Metrics,
    model_servers: ModelServers,
    clock: Clock,
) -> None:
    store = Store(home=settings.namespace)
    elector = Elector(client, settings.namespace, names.LEASE, settings.identity)
    reflectors = _reflectors(client, store)
    resync = Resync(client, store, metrics)

    def leads() -> bool:
        return elector.is_leader and resync.fresh.is_set() and all(r.synced.is_set() for r in reflectors)

    for_workers = await reporting.prepare(client, settings)
    actions = Actions(client, store, model_servers.ask, for_workers.address if for_workers else None)
    applier = Applier(client, store, actions, lambda: elector.is_leader, metrics)
    annotator = NodeAnnotator(client, store, lambda: elector.is_leader, metrics)
    loop = Loop(store, applier, annotator, leads, metrics, settings.proxy_image)
    loop.clock = clock
    for reflector in reflectors:
        metrics.watch_lag_seconds.labels(reflector.resource.kind).set_function(reflector.silent_seconds)

    def unready() -> list[str]:
        waits = {r.resource.plural: r.synced for r in reflectors} | {"own kinds": resync.fresh}
        unlisted = [f"{what} not listed yet" for what, event in waits.items() if not event.is_set()]
        silent = (r for r in reflectors if r.synced.is_set() and r.silent_seconds() > SILENCE_MAX_SECONDS)
        return unlisted + [f"no word of {r.resource.kind} for long" for r in silent]

    def unhealthy() -> list[str]:
        return [] if loop.is_healthy else [f"the last {loop.failures} cycles failed"]

    probes = listening(probing(metrics.registry, unhealthy, unready), settings.listen, settings.port, "TRAINPUSH_PORT")
    answering = for_workers.serving(client, store, leads, metrics) if for_workers else nullcontext()
    async with probes as port, answering:
        _log.info("started", port=port, identity=settings.identity, server=access.endpoint.server)
        await _until_stopped(
            *(reflector.run() for reflector in reflectors),
            elector.run(),
            _follow_leadership(elector, resync, metrics),
            _begin(store, *reflectors),
            resync.run(),
            watch_own_kinds(access, store, metrics),
            loop.run(),
            *(for_workers.parts(client, elector) if for_workers else ()),
        )


async def _until_stopped(*parts: Coroutine[None, None, None]) -> None:
    """Run all parts until SIGTERM or SIGINT; one that ends or fails ends all."""
    stop = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    try:
        async with asyncio.TaskGroup() as group:
            for part in parts:
                group.create_task(part)
            await stop.wait()
            raise _Stopped
    except* _Stopped:
        _log.info("stopped")


async def _follow_leadership(elector: Elector, resync: Resync, metrics: Metrics) -> None:
    """Look anew as soon as this replica leads; what it saw as a follower may be old."""
    while True:
        await elector.became_leader()
        metrics.is_leader.set(1)
        resync.renew()
        await elector.lost_leadership()
        metrics.is_leader.set(0)


async def _begin(store: Store, *reflectors: Reflector[Any]) -> None:
    """Decide for the first time when everything was listed, even if there is nothing."""
    for reflector in reflectors:
        await reflector.synced.wait()
    store.dirty.set()
