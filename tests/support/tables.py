"""The tables of good and wrong manifests in tests/apiserver, read by the tests of server and Python alike."""

from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any, Final

import yaml

from trainpush.api.base import Resource
from trainpush.api.gpupool import GPUPool
from trainpush.api.inferenceservice import InferenceService
from trainpush.api.trainpushjob import TrainPushJob

Manifest = dict[str, Any]

KINDS: Final[dict[str, type[Resource]]] = {
    "TrainPushJob": TrainPushJob,
    "InferenceService": InferenceService,
    "GPUPool": GPUPool,
}
FOLDER: Final = Path(__file__).parents[1] / "apiserver"
_SOUND: Final = {
    "TrainPushJob": {"metadata": {"name": "wrong"}, "spec": {"resources": {"limits": {"nvidia.com/gpu": 1}}}},
    "InferenceService": {
        "metadata": {"name": "wrong"},
        "spec": {"model": {"name": "a", "uri": "pvc://models/a"}, "resources": {"limits": {"nvidia.com/gpu": 1}}},
    },
    "GPUPool": {"metadata": {"name": "wrong"}, "spec": {"nodeSelector": {"pool": "a100"}}},
}


@dataclass(frozen=True)
class Wrong:
    """A manifest with one mistake, and how it is to be refused."""

    manifest: Manifest
    path: str
    says: str
    only_by_server: bool
    only_by_python: bool


def good() -> dict[str, Manifest]:
    """Manifests that must be accepted, by name."""
    return {path.stem: yaml.safe_load(path.read_text()) for path in sorted((FOLDER / "good").glob("*.yaml"))}


def full_status(kind: str) -> Manifest:
    """A status with every field set."""
    status: Manifest = yaml.safe_load((FOLDER / "status" / f"{kind.lower()}.yaml").read_text())
    return status


def wrong() -> dict[str, Wrong]:
    """Manifests that must be refused, by what is wrong with them."""
    return {mistake: case for kind in KINDS for mistake, case in _wrong(kind).items()}


def merged(target: Any, change: Any) -> Any:
    """A JSON merge patch (RFC 7386) carried out."""
    if not isinstance(change, dict):
        return change
    base = target if isinstance(target, dict) else {}
    result = {key: merged(base.get(key), value) for key, value in change.items() if value is not None}
    return {**{key: value for key, value in base.items() if key not in change}, **result}


def plain(value: Any) -> Any:
    """JSON without what is empty, times as Kubernetes writes them."""
    if isinstance(value, dict):
        kept = {key: plain(inner) for key, inner in value.items()}
        return {key: inner for key, inner in kept.items() if inner not in (None, [], {}, "")}
    if isinstance(value, list):
        return [plain(inner) for inner in value]
    return value.strftime("%Y-%m-%dT%H:%M:%SZ") if isinstance(value, datetime) else value


def _wrong(kind: str) -> dict[str, Wrong]:
    table = yaml.safe_load((FOLDER / "wrong" / f"{kind.lower()}.yaml").read_text())
    sound = {"apiVersion": "training.ai/v1", "kind": kind, **_SOUND[kind]}
    return {
        mistake: Wrong(
            manifest=merged(sound, entry["but"]),
            path=entry["path"],
            says=entry["says"],
            only_by_server=entry.get("by") == "server",
            only_by_python=entry.get("by") == "python",
        )
        for mistake, entry in table.items()
    }
