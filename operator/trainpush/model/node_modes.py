"""What the nodes of one pool say of their modes."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final

from trainpush.model.modes import MODE_KEY, TURNED, Mode, Switch
from trainpush.model.nodes import Node

_MODES: Final = frozenset(map(str, Mode))


@dataclass(frozen=True, slots=True)
class NodeModes:
    """The annotations of all nodes of one pool, by node."""

    switches: Mapping[str, Switch] = field(default_factory=dict)
    """Only those that can be read."""
    labelled: Mapping[str, Mode] = field(default_factory=dict)
    """What the label says of those that are not in `switches`."""
    wishes: Mapping[str, Mode] = field(default_factory=dict)
    unhealthy: frozenset[str] = frozenset()
    marked: frozenset[str] = frozenset()
    """Those that bear any mark."""
    spoiled: frozenset[str] = frozenset()
    """Those in `switches` whose labels and taints do not fit to it."""
    turned: Mapping[str, Mapping[str, str]] = field(default_factory=dict)
    """All labels of those in `switches` that turned to their new mode and are not ready for it yet."""


class Register:
    """The nodes of one pool, and what some or all of them say of their modes."""

    def __init__(self) -> None:
        """No nodes yet."""
        self._labels: dict[str, Mapping[str, str]] = {}
        """Of all nodes."""
        self._telling: dict[str, Node] = {}
        """Nodes that say something."""
        self._modes: NodeModes | None = None
        """What they say, as long as none of them changes."""
        self._found: dict[frozenset[tuple[str, str]], bool] = {}
        """Answers of `has_one_with`, as long as no label changes."""

    def put(self, node: Node) -> None:
        """Take a node that is new or may have changed."""
        if self._labels.get(node.name) != node.labels:
            self._labels[node.name] = node.labels
            self._found.clear()
        if not (node.is_marked or node.wish or node.unhealthy):
            self._forget(node.name)
        elif self._telling.get(node.name) != node:
            self._telling[node.name] = node
            self._modes = None

    def remove(self, name: str) -> None:
        """Forget a node that is there."""
        self._forget(name)
        del self._labels[name]
        self._found.clear()

    def _forget(self, name: str) -> None:
        if self._telling.pop(name, None):
            self._modes = None

    def has_one_with(self, labels: Mapping[str, str]) -> bool:
        """Whether some node has all these labels."""
        wanted = frozenset(labels.items())
        if wanted not in self._found:
            self._found[wanted] = any(wanted <= found.items() for found in self._labels.values())
        return self._found[wanted]

    @property
    def modes(self) -> NodeModes:
        """What all say; the very same as long as none of those changed that say something."""
        if self._modes is None:
            telling = self._telling.values()
            marked = [node for node in telling if node.is_marked]
            switches = {node.name: node.switch for node in marked if node.switch}
            labels = ((node.name, node.labels.get(MODE_KEY)) for node in marked if node.switch is None)
            self._modes = NodeModes(
                switches=switches,
                labelled={name: Mode(label) for name, label in labels if label in _MODES},
                wishes={node.name: node.wish for node in telling if node.wish},
                unhealthy=frozenset(node.name for node in telling if node.unhealthy),
                marked=frozenset(node.name for node in marked),
                spoiled=frozenset(node.name for node in marked if node.switch and node.is_spoiled),
                turned={node.name: node.labels for node in marked if node.switch and node.switch.step in TURNED},
            )
        return self._modes
