"""What a node bears of its mode: the annotation that is the truth, and label and taints that follow from it."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Final

from trainpush.api import names
from trainpush.model.modes import Mode, Step, Switch
from trainpush.model.nodes import Taint, Toleration
from trainpush.render.conditions import timestamp
from trainpush.render.pods import Manifest

WHY_MAX: Final = 256
"""Longest reason in an annotation, in characters."""
_SHUT: Final = frozenset({Step.CORDONED, Step.NOTIFIED, Step.DRAINING, Step.FLIPPING, Step.WARMING, Step.STUCK})
"""Steps in which nothing new comes to a node."""
_TURNED: Final = frozenset({Step.FLIPPING, Step.WARMING})
"""Steps in which it bears its new mode already."""
EXCLUSIVE: Final = (Mode.TRAINING, Mode.INFERENCE, Mode.MAINTENANCE)
"""Modes that keep other work away."""
_EFFECT: Final = "NoSchedule"
KEYS: Final = frozenset({names.LABEL_MODE, names.LABEL_SWITCHING})
"""Keys of our taints."""


@dataclass(frozen=True, slots=True)
class Picture:
    """What follows from a switch; all None and empty for a node without one."""

    annotation: str | None = None
    label: str | None = None
    taints: frozenset[Taint] = frozenset()


def picture(switch: Switch | None) -> Picture:
    """What a node bears that has come so far."""
    if switch is None:
        return Picture()
    mode = switch.to if switch.step in _TURNED else switch.mode
    taints = [Taint(names.LABEL_MODE, mode, _EFFECT)] if mode in EXCLUSIVE else []
    if switch.step in _SHUT:
        taints.append(Taint(names.LABEL_SWITCHING, switch.to, _EFFECT))
    return Picture(written(switch), mode, frozenset(taints))


def written(switch: Switch) -> str:
    """The annotation; times in whole seconds, as statuses have them."""
    told = {
        "mode": switch.mode,
        "to": switch.to,
        "step": switch.step,
        "begun": timestamp(switch.begun),
        "since": timestamp(switch.since),
        "why": switch.why[:WHY_MAX],
    }
    return json.dumps(told, separators=(",", ":"), ensure_ascii=False)


def read(annotation: str | None) -> Switch | None:
    """What an annotation says; None where there is none, or none that can be read."""
    try:
        told = json.loads(annotation or "")
        return Switch(
            mode=Mode(told["mode"]),
            to=Mode(told["to"]),
            step=Step(told["step"]),
            begun=_parsed(told["begun"]),
            since=_parsed(told["since"]),
            why=str(told.get("why", ""))[:WHY_MAX],
        )
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError, OverflowError):
        return None


def wished(annotation: str | None) -> Mode | None:
    """The mode that people want; None where they want none, or none that there is."""
    return Mode(annotation) if annotation in set(Mode) else None


def bears(switch: Switch | None, label: str | None, taints: Sequence[Taint]) -> bool:
    """Whether a node with this mode label and these taints bears what follows from `switch`."""
    wanted = picture(switch)
    return label == wanted.label and {taint for taint in taints if taint.key in KEYS} == wanted.taints


def node_patch(found: Mapping[str, Any], after: Switch | None) -> Manifest:
    """The merge patch that makes `found`, a node of the API server, bear `after`; nothing of others is changed.

    The list of taints is patched as a whole, so the patch holds for this very state of the node only.
    """
    metadata, wanted = found["metadata"], picture(after)
    others = [taint for taint in found.get("spec", {}).get("taints") or [] if taint["key"] not in KEYS]
    ours = [{"key": taint.key, "value": taint.value, "effect": taint.effect} for taint in sorted(wanted.taints)]
    return {
        "metadata": {
            "uid": metadata["uid"],
            "resourceVersion": metadata["resourceVersion"],
            "annotations": {names.ANNOTATION_SWITCH: wanted.annotation},
            "labels": {names.LABEL_MODE: wanted.label},
        },
        "spec": {"taints": [*others, *ours]},
    }


def tolerated(*modes: Mode) -> list[Manifest]:
    """Tolerations of pods that may run on nodes of these modes."""
    return [{"key": names.LABEL_MODE, "operator": "Equal", "value": mode.value, "effect": _EFFECT} for mode in modes]


def is_repelled(tolerations: Sequence[Toleration]) -> bool:
    """Whether pods with these tolerations could not come back on some node with a mode, or while it switches."""
    taints = [Taint(key, mode, _EFFECT) for key in sorted(KEYS) for mode in EXCLUSIVE]
    return not all(any(toleration.covers(taint) for toleration in tolerations) for taint in taints)


def _parsed(text: str) -> datetime:
    moment = datetime.fromisoformat(text)
    if moment.tzinfo is None:
        raise ValueError(text)
    return moment.astimezone(UTC)
