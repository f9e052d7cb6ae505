"""What a pool wants of its nodes' modes, or a refusal with field and remedy; and whose pods go to which nodes."""

from datetime import time, timedelta
from typing import Final
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from trainpush.api.gpupool import GPUPoolSpec
from trainpush.api.modes import Hook as HookSpec
from trainpush.api.modes import ModeBounds
from trainpush.api.modes import Window as WindowSpec
from trainpush.api.pod import Toleration as TolerationSpec
from trainpush.api.quantity import seconds
from trainpush.api.topology import aliases_of
from trainpush.model.modes import MODE_KEY, Bounds, Hook, Mode, Switching, Window
from trainpush.model.nodes import Toleration
from trainpush.model.reasons import Reason
from trainpush.model.workload import Refusal

_OF_MACHINES: Final = ("localtime", "posixrules", "Factory")
"""Files beside the zones that stand for whatever a machine is set to, or for nothing."""
_DAYS: Final = ("Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun")


def switching_of(spec: GPUPoolSpec) -> Switching | Refusal | None:
    """What `spec` comes to; None where the nodes of the pool have no modes."""
    modes, limits = spec.modes, spec.switching
    if modes is None:
        return None
    windows = [_window(index, window) for index, window in enumerate(modes.schedule)]
    fault = next((window for window in windows if isinstance(window, Refusal)), None) or _unit_fault(spec)
    if fault:
        return fault
    return Switching(
        default=Mode(modes.default),
        bounds={Mode.TRAINING: _bounds(modes.training), Mode.INFERENCE: _bounds(modes.inference)},
        windows=tuple(window for window in windows if isinstance(window, Window)),
        is_enforced=limits.policy == "Enforce",
        unit=limits.unit,
        max_concurrent=limits.max_concurrent,
        per_hour=limits.per_hour,
        min_time_in_mode=_lasting(limits.min_time_in_mode),
        cooldown=_lasting(limits.cooldown),
        drain_deadline=_lasting(limits.drain_deadline),
        is_forced=limits.on_deadline == "Force",
        hook=_hook(limits.hook) if limits.hook else None,
        warm_images=tuple(limits.warm_images),
    )


def _unit_fault(spec: GPUPoolSpec) -> Refusal | None:
    levels, unit = aliases_of(spec.topology), spec.switching.unit
    if unit in levels:
        return None
    said = f'spec.switching.unit: the topology of this pool has no level "{unit}"; it has: {", ".join(levels)}'
    return Refusal(Reason.INVALID_SPEC, said)


def _window(index: int, window: WindowSpec) -> Window | Refusal:
    zone = _zone(window.time_zone)
    if zone is None:
        return Refusal(
            Reason.INVALID_SPEC,
            f'spec.modes.schedule[{index}].timeZone: there is no time zone "{window.time_zone}"; '
            "use a name of the IANA database, such as Europe/Berlin, Asia/Shanghai or UTC",
        )
    said = ((Mode.TRAINING, window.training), (Mode.INFERENCE, window.inference))
    return Window(
        name=window.name,
        begin=time.fromisoformat(window.begin),
        end=time.fromisoformat(window.to),
        zone=zone,
        days=frozenset(_DAYS.index(day) for day in window.days or _DAYS),
        bounds={mode: _bounds(bounds) for mode, bounds in said if bounds},
    )


def _zone(name: str) -> ZoneInfo | None:
    """The time zone of this name; None where there is none that is the same on every machine."""
    try:
        return None if name in _OF_MACHINES else ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError, OSError):
        return None


def _hook(hook: HookSpec) -> Hook:
    said = hook.values.model_dump(exclude_none=True)
    values = {mode: said[mode.lower()] for mode in Mode if mode.lower() in said}
    return Hook(hook.label, values, hook.state_label, hook.done, hook.failed)


def _bounds(bounds: ModeBounds) -> Bounds:
    return Bounds(bounds.min, bounds.max)


def _lasting(duration: str) -> timedelta:
    return timedelta(seconds=seconds(duration))


def tolerance(mode: Mode) -> Toleration:
    """The toleration of pods that belong on nodes of `mode`."""
    return Toleration(MODE_KEY, "Equal", mode, "NoSchedule")


def toleration(spec: TolerationSpec) -> Toleration:
    """A toleration as the planner reads it."""
    return Toleration(key=spec.key or "", operator=spec.operator, value=spec.value or "", effect=spec.effect or "")
