"""Annotations of nodes: how far each is on its way to another mode, in one patch that changes nothing of others."""

import time
from collections.abc import Callable, Iterable
from typing import Final

import msgspec

from trainpush.kube.apply import RETRY_SECONDS, Later
from trainpush.kube.client import Client, Object
from trainpush.kube.errors import ApiError, Conflict, NotFound
from trainpush.kube.records import read_node
from trainpush.kube.resources import NODES
from trainpush.kube.store import Store
from trainpush.model.nodes import Node
from trainpush.model.plan import AnnotateNode, NodeDecision
from trainpush.render.modes import node_patch
from trainpush.telemetry.logs import logger
from trainpush.telemetry.metrics import Metrics

_CHANGED: Final = ("annotations", "labels")

_log = logger(__name__)


class NodeAnnotator:
    """Annotates nodes beside the cycles, each node once at a time; may be stopped after any write."""

    def __init__(
        self,
        client: Client,
        store: Store,
        may_write: Callable[[], bool],
        metrics: Metrics,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """Write through `client` as long as `may_write`; `clock` is monotonic, in seconds."""
        self._client = client
        self._store = store
        self._may_write = may_write
        self._metrics = metrics
        self._clock = clock
        self._under_way: set[str] = set()
        self._held: dict[str, float] = {}
        """Nodes that the API server refused to change, and when to try again."""

    def begin(self, decisions: Iterable[NodeDecision], later: Later) -> float | None:
        """Begin to annotate nodes; seconds until one that was refused may be tried again, or None."""
        now = self._clock()
        self._held = {name: until for name, until in self._held.items() if until > now}
        waits = []
        for decision in decisions:
            if decision.name in self._held:
                waits.append(self._held[decision.name] - now)
            elif decision.name not in self._under_way:
                self._under_way.add(decision.name)
                later(self._survive(decision.action))
        return min(waits, default=None)

    async def _survive(self, action: AnnotateNode) -> None:
        """Mark a node; what was refused is tried again later, on what the node is like then."""
        try:
            await self.annotate(action)
        except (Conflict, NotFound) as error:
            _log.debug("node not marked", name=action.node, error=str(error))
        except ApiError as error:
            self._held[action.node] = self._clock() + RETRY_SECONDS
            self._metrics.api_refusals.labels(error.reason).inc()
            _log.warning("the API server refused", what=f"mode of Node {action.node}", error=str(error))
        finally:
            self._under_way.discard(action.node)
            self._store.dirty.set()

    async def annotate(self, action: AnnotateNode) -> None:
        """Annotate a node, unless its annotation is another than was decided on.

        Raises:
            Conflict: the node changed meanwhile.
            ApiError: the API server refused.
        """
        found = await self._client.get(NODES, action.node)
        if self._take(found).switch != action.before or not self._may_write():
            return
        patch = node_patch(found, action.after)
        if not _changes(found, patch):
            return
        self._take(await self._client.patch(NODES, None, action.node, patch))
        step = action.after.step if action.after else "none"
        _log.info("marked", kind=NODES.kind, name=action.node, step=step, why=action.after.why if action.after else "")

    def _take(self, found: Object) -> Node:
        row = read_node(msgspec.json.encode(found))
        self._store.nodes.put(row)
        return row.value


def _changes(found: Object, patch: Object) -> bool:
    """Whether the node would be another one afterwards."""
    metadata, wanted = found["metadata"], patch["metadata"]
    texts = [((metadata.get(part) or {}).get(key), text) for part in _CHANGED for key, text in wanted[part].items()]
    same_taints = (found.get("spec", {}).get("taints") or []) == patch["spec"]["taints"]
    return not same_taints or any(before != after for before, after in texts)
