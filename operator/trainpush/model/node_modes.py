"""What the nodes of one pool say of their modes."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Generic, TypeVar

from trainpush.model.modes import MODE_KEY, TURNED, Mode, Switch
from trainpush.model.nodes import Node

T = TypeVar("T")


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


class _Answers(Generic[T]):
    """What nodes answer to one question; copied only when an answer changed."""

    def __init__(self) -> None:
        self._found: dict[str, T] = {}
        self._copy: Mapping[str, T] | None = None
        self._names: frozenset[str] | None = None

    def put(self, name: str, answer: T | None) -> bool:
        """Take the answer of a node, None for none; whether it is another one than before."""
        if self._found.get(name) == answer:
            return False
        if answer is None:
            del self._found[name]
        else:
            self._found[name] = answer
        self._copy = self._names = None
        return True

    @property
    def by_node(self) -> Mapping[str, T]:
        """All answers; the very same as long as none changed."""
        if self._copy is None:
            self._copy = dict(self._found)
        return self._copy

    @property
    def names(self) -> frozenset[str]:
        """The nodes that answered; as `by_node`."""
        if self._names is None:
            self._names = frozenset(self._found)
        return self._names


class Register:
    """The nodes of one pool, and what some or all of them say of their modes."""

    def __init__(self) -> None:
        """No nodes yet."""
        self._labels: dict[str, Mapping[str, str]] = {}
        """Of all nodes."""
        self._switches: _Answers[Switch] = _Answers()
        self._labelled: _Answers[Mode] = _Answers()
        self._wishes: _Answers[Mode] = _Answers()
        self._unhealthy: _Answers[bool] = _Answers()
        self._marked: _Answers[bool] = _Answers()
        self._spoiled: _Answers[bool] = _Answers()
        self._turned: _Answers[Mapping[str, str]] = _Answers()
        self._marks: NodeModes | None = None
        self._telling: set[str] = set()
        """Nodes that say something."""
        self._found: dict[frozenset[tuple[str, str]], bool] = {}
        """Answers of `has_one_with`, as long as no label changes."""

    def put(self, node: Node) -> None:
        """Take a node that is new or may have changed."""
        if self._labels.get(node.name) != node.labels:
            self._labels[node.name] = node.labels
            self._found.clear()
        if node.is_marked or node.wish or node.unhealthy or node.name in self._telling:
            self._hear(node)

    def remove(self, name: str) -> None:
        """Forget a node that is there."""
        self._hear(Node(name, {}, {}))
        del self._labels[name]
        self._found.clear()

    def _hear(self, node: Node) -> None:
        name, switch = node.name, node.switch if node.is_marked else None
        label = node.labels.get(MODE_KEY) if node.is_marked and switch is None else None
        changed = (
            self._switches.put(name, switch),
            self._labelled.put(name, Mode(label) if label in set(Mode) else None),
            self._wishes.put(name, node.wish),
            self._unhealthy.put(name, node.unhealthy or None),
            self._marked.put(name, node.is_marked or None),
            self._spoiled.put(name, (switch is not None and node.is_spoiled) or None),
            self._turned.put(name, node.labels if switch and switch.step in TURNED else None),
        )
        if any(changed):
            self._marks = None
        self._telling.discard(name)
        if node.is_marked or node.wish or node.unhealthy:
            self._telling.add(name)

    def has_one_with(self, labels: Mapping[str, str]) -> bool:
        """Whether some node has all these labels."""
        wanted = frozenset(labels.items())
        if wanted not in self._found:
            self._found[wanted] = any(wanted <= found.items() for found in self._labels.values())
        return self._found[wanted]

    @property
    def modes(self) -> NodeModes:
        """What all say; the very same as long as nothing in it changed."""
        if self._marks is None:
            self._marks = NodeModes(
                switches=self._switches.by_node,
                labelled=self._labelled.by_node,
                wishes=self._wishes.by_node,
                unhealthy=self._unhealthy.names,
                marked=self._marked.names,
                spoiled=self._spoiled.names,
                turned=self._turned.by_node,
            )
        return self._marks
