"""Reference pages of everything that has a name: conditions, labels, settings, metrics, rights."""

import ast
import inspect
from collections.abc import Iterable, Iterator
from enum import StrEnum
from itertools import pairwise
from types import ModuleType
from typing import Any

from prometheus_client import Counter

from trainpush.api import names
from trainpush.api.conditions import Condition, PoolCondition, ServiceCondition
from trainpush.controller.settings import PREFIX, Settings
from trainpush.kube.rights import AT_HOME, EVERYWHERE, Right
from trainpush.model.plan import Stage
from trainpush.model.reasons import IS_READY, Reason
from trainpush.planner.diagnostics.causes import Cause
from trainpush.telemetry import metrics

from .markdown import code, page, table

_RIGHT_HEADS = ("resource", "group", "verbs", "why")


def named_pages() -> dict[str, str]:
    """Page by name."""
    return {
        "conditions": _conditions(),
        "labels": _labels(),
        "settings": page(
            "Settings",
            "`trainpush run` reads these environment variables.",
            table(("variable", "default", "values", "meaning"), _settings()),
        ),
        "metrics": page(
            "Metrics",
            "At `/metrics`, in the Prometheus text format. No metric carries a workload's name.",
            table(("metric", "type", "labels", "meaning"), sorted(_metrics())),
        ),
        "rights": page(
            "Rights of the operator",
            "`trainpush rbac` prints the roles. At its start the operator asks the API server whether it has them.",
            "## In all namespaces",
            table(_RIGHT_HEADS, map(_right, EVERYWHERE)),
            "## In its own namespace",
            table(_RIGHT_HEADS, map(_right, AT_HOME)),
        ),
        "why-pending": page(
            "Why is it pending?",
            "Of all that keeps a job waiting, one cause binds: what would be next is told when that is gone.\n"
            "`status.verdict` says it: `message` in numbers, `holders` who holds what,\n"
            "`advice` the cheapest change that would let it in, and why the operator did not make it.",
            table(("cause", "what it means", "what to do"), _causes()),
        ),
    }


def _conditions() -> str:
    return page(
        "Conditions and reasons",
        "Programs read conditions, never `status.phase`, which is a summary for people.\n"
        "`kubectl wait --for=condition=TYPE` works for each of them.",
        "## Conditions of a TrainPushJob",
        _members(Condition, "type"),
        "## Conditions of an InferenceService",
        _members(ServiceCondition, "type"),
        "## Conditions of a GPUPool",
        _members(PoolCondition, "type"),
        "## Reasons",
        "They appear as `reason` of a condition, in `status.verdict`, in Events and as a label of metrics.",
        _members(Reason, "reason"),
        "## When a TrainPushJob is Ready",
        "`Ready` is True while all is well, and for what passes by itself: others that hold what it needs,\n"
        "a quota that is used, pods that end. It is not True for what a person must mend; `Stalled` is there then.\n"
        "Beside that it is not True while the spec, as it stands, cannot be taken, whatever runs.",
        table(("reason of Ready", "status"), [(code(reason), str(is_ready)) for reason, is_ready in IS_READY.items()]),
        "An InferenceService is Ready while at least minAvailable replicas get requests, its spec can be taken,\n"
        "and nothing that it needs was refused (`ApplyFailed`).",
        "## Phases of a TrainPushJob",
        f"{_listed(Stage)}.",
    )


def _labels() -> str:
    kinds = ("LABEL_", "ANNOTATION_", "GATE_")
    found = {name: text for name, text in _sentences(names).items() if name.startswith(kinds)}
    usual = _listed(getattr(names, name) for name, text in found.items() if not text)
    return page(
        "Labels, annotations and readiness gates",
        table(("name", "meaning"), [(code(getattr(names, name)), text) for name, text in found.items() if text]),
        f"Used with the meaning that they have everywhere: {usual}." if usual else "",
        "## What users may not set on workers, exports and model servers",
        f"Labels and annotations in these domains and their subdomains: {_listed(names.RESERVED_PREFIXES)}. "
        "Workers may set these keys there, exactly, and nothing but these values:",
        table(("key", "as", "values", "what it decides"), _permitted()),
        f"Environment variables that begin with {_listed(names.RESERVED_ENV_PREFIXES)}; "
        f"and these: {_listed(names.RESERVED_ENV)}.",
    )


def _permitted() -> Iterator[tuple[str, ...]]:
    for key, values, reason in names.PERMITTED_ANNOTATIONS:
        kinds = "annotation or label" if key in {it.key for it in names.PERMITTED_LABELS} else "annotation"
        yield code(key), kinds, _listed(values), reason


def _causes() -> Iterator[tuple[str, ...]]:
    for name, text in _sentences(Cause).items():
        meaning, remedy = text.split("\n\n")
        yield code(Cause[name].value), meaning, remedy.strip()


def _members(kind: type[StrEnum], head: str) -> str:
    found = _sentences(kind)
    if silent := [name for name, text in found.items() if not text]:
        raise SystemExit(f"{kind.__module__}.{kind.__name__}.{silent[0]} has no docstring: write one sentence below it")
    return table((head, "meaning"), [(code(kind[name].value), text) for name, text in found.items()])


def _sentences(of: ModuleType | type) -> dict[str, str]:
    """Every name that `of` assigns, with the string below it: Python forgets these, the source does not."""
    body = ast.parse(inspect.getsource(of)).body
    if isinstance(body[0], ast.ClassDef):
        body = body[0].body
    return {name: _text(below) for node, below in pairwise([*body, ast.Pass()]) if (name := _assigned(node))}


def _assigned(node: ast.stmt) -> str:
    target = node.targets[0] if isinstance(node, ast.Assign) else getattr(node, "target", None)
    return target.id if isinstance(target, ast.Name) else ""


def _text(node: ast.stmt) -> str:
    is_text = isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant)
    return str(node.value.value) if is_text else ""  # type: ignore[attr-defined]


def _listed(values: Iterable[str]) -> str:
    return ", ".join(map(code, values))


def _settings() -> Iterator[tuple[str, str, str, str]]:
    for name, field in Settings.model_json_schema()["properties"].items():
        variable, default = code(PREFIX + name.upper()), code(field.get("default") or "")
        yield variable, default, _values(field), field["description"]


def _values(field: dict[str, Any]) -> str:
    if "enum" in field:
        return _listed(field["enum"])
    return f"{field['minimum']} to {field['maximum']}" if "maximum" in field else ""


def _metrics() -> Iterator[tuple[str, str, str, str]]:
    for metric in metrics.TABLE:
        suffix = "_total" if metric.kind is Counter else ""
        yield code(metric.name + suffix), metric.kind.__name__.lower(), _listed(metric.labels), metric.meaning


def _right(right: Right) -> tuple[str, str, str, str]:
    return code(right.plural), code(right.resource.group) or "core", ", ".join(right.verbs), right.why
