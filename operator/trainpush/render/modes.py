"""What a node bears of its mode: the annotation that is the truth, and label and taints that follow from it."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Final

from trainpush.api import names
from trainpush.api.base import timestamp
from trainpush.model.modes import LEAVING, TURNED, Mode, Setting, Switch, SwitchStep
from trainpush.model.nodes import Taint, Toleration
from trainpush.render.pods import Manifest

WHY_MAX: Final = 256
"""Longest reason in an annotation, in characters."""
_SHUT: Final = LEAVING | TURNED | {SwitchStep.CORDONED}
"""Steps in which nothing new comes to a node."""
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
    setting: Setting | None = None
    """The label of a vendor, which is left as it is where nothing follows for it."""


def picture(switch: Switch | None) -> Picture:
    """What a node bears that has come so far."""
    if switch is None:
        return Picture()
    mode = switch.to if switch.step in TURNED else switch.mode
    taints = [Taint(names.LABEL_MODE, mode, _EFFECT)] if mode in EXCLUSIVE else []
    if switch.step in _SHUT:
        taints.append(Taint(names.LABEL_SWITCHING, switch.to, _EFFECT))
    return Picture(written(switch), mode, frozenset(taints), switch.setting)


def written(switch: Switch) -> str:
    """The annotation; times in whole seconds, as statuses have them."""
    told: Manifest = {
        "mode": switch.mode,
        "to": switch.to,
        "step": switch.step,
        "begun": timestamp(switch.begun),
        "since": timestamp(switch.since),
        "why": switch.why[:WHY_MAX],
    }
    if setting := switch.setting:
        told["setting"] = {"label": setting.label, "value": setting.value, "stateLabel": setting.state_label}
    return json.dumps(told, separators=(",", ":"), ensure_ascii=False)


def read(annotation: str | None) -> Switch | None:
    """What an annotation says; None where there is none, or none that can be read."""
    try:
        told = json.loads(annotation or "")
        return Switch(
            mode=Mode(told["mode"]),
            to=Mode(told["to"]),
            step=SwitchStep(told["step"]),
            begun=_parsed(told["begun"]),
            since=_parsed(told["since"]),
            why=str(told.get("why", ""))[:WHY_MAX],
            setting=_setting(told["setting"]) if "setting" in told else None,
        )
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError, OverflowError):
        return None


def _parsed(text: str) -> datetime:
    moment = datetime.fromisoformat(text)
    if moment.tzinfo is None:
        raise ValueError(text)
    return moment.astimezone(UTC)


def _setting(told: Mapping[str, Any]) -> Setting:
    label, value, state_label = (told[key] for key in ("label", "value", "stateLabel"))
    if not all(isinstance(text, str) and text for text in (label, value, state_label)):
        raise ValueError(str(told))
    return Setting(label, value, state_label)


def wished(annotation: str | None) -> Mode | None:
    """The mode that people want; None where they want none, or none that there is."""
    return Mode(annotation) if annotation in set(Mode) else None


def bears(switch: Switch | None, labels: Mapping[str, str], taints: Sequence[Taint]) -> bool:
    """Whether a node with these labels and taints bears what follows from `switch`."""
    wanted = picture(switch)
    setting = wanted.setting
    is_set = setting is None or labels.get(setting.label) == setting.value
    is_told = labels.get(names.LABEL_MODE) == wanted.label
    return is_told and is_set and {taint for taint in taints if taint.key in KEYS} == wanted.taints


def node_patch(found: Mapping[str, Any], after: Switch | None) -> Manifest:
    """The merge patch that makes `found`, a node of the API server, bear `after`; nothing of others is changed.

    The list of taints is patched as a whole, so the patch holds for this very state of the node only.
    """
    metadata, wanted = found["metadata"], picture(after)
    others = [taint for taint in found.get("spec", {}).get("taints") or [] if taint["key"] not in KEYS]
    labels: Manifest = {}
    if setting := wanted.setting:
        labels[setting.label] = setting.value
        if (metadata.get("labels") or {}).get(setting.label) != setting.value:
            # With another value goes what the agent said of the one before.
            labels[setting.state_label] = None
    ours = [{"key": taint.key, "value": taint.value, "effect": taint.effect} for taint in sorted(wanted.taints)]
    return {
        "metadata": {
            "uid": metadata["uid"],
            "resourceVersion": metadata["resourceVersion"],
            "annotations": {names.ANNOTATION_SWITCH: wanted.annotation},
            "labels": {**labels, names.LABEL_MODE: wanted.label},
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
