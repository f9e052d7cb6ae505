"""The Job that makes a model directory of what a training left.

Its pods have four containers, all of one image: `stage` makes a folder, `export` writes the model into it, `publish`
gives it its final name; `clean` runs beside them and removes what is left of the folder in the end.
"""

import hashlib
import json
from typing import Final

from trainpush.api import names
from trainpush.api.base import plain
from trainpush.api.push import Export
from trainpush.api.quantity import milli
from trainpush.api.text import claim_and_path
from trainpush.api.trainpushjob import Resolved, TrainPushJob
from trainpush.model.modes import Mode
from trainpush.render import scripts
from trainpush.render.environment import CHECKPOINTS
from trainpush.render.modes import tolerated
from trainpush.render.pods import (
    NO_ACCELERATOR,
    OWN_RESOURCES,
    Manifest,
    child_metadata,
    common_labels,
    confined,
    container_security,
    near_nodes,
    pod_security,
)
from trainpush.render.volumes import Volumes

PUBLISH: Final = "publish"
"""Name of the last container: what it leaves as its termination message is the result."""
TRIES: Final = 3
"""How often an export is tried; evictions do not count."""
_HASH_DIGITS: Final = 8
_LITTLE: Final = {"requests": {"cpu": "50m", "memory": "32Mi"}, "limits": {"cpu": "100m", "memory": "64Mi"}}
"""What is given to a step that waits beside the others."""
_VOLUME: Final = "/trainpush/volume"
_EXPORT: Final = "/trainpush/export"
_STAGING: Final = ".staging"
_MESSAGE: Final = "/dev/termination-log"
_POD: Final = "TRAINPUSH_POD"


def export_name(job: TrainPushJob, resolved: Resolved) -> str:
    """Name of the Job: another one if it is told anything else."""
    told = [job.uid, _image(job, resolved), _export(job).model_dump(by_alias=True, mode="json", exclude_defaults=True)]
    canonical = json.dumps(told, sort_keys=True, separators=(",", ":"))
    return f"{job.name}-export-{hashlib.sha256(canonical.encode()).hexdigest()[:_HASH_DIGITS]}"


def belongings(job: TrainPushJob, resolved: Resolved) -> list[Manifest]:
    """What an export needs: the Job, whose pods go to nodes that trained, which see the volumes."""
    name = export_name(job, resolved)
    worker = job.spec.worker
    labels = {**worker.labels, **common_labels("trainpush-job", "export", job.name), names.LABEL_PUSH_OF: job.uid}
    disrupted = {"action": "Ignore", "onPodConditions": [{"type": "DisruptionTarget", "status": "True"}]}
    spec = {
        "backoffLimit": TRIES - 1,
        "podFailurePolicy": {"rules": [disrupted]},
        "template": {
            "metadata": {"labels": labels, "annotations": dict(worker.annotations)},
            "spec": _pod(job, resolved, name),
        },
    }
    metadata = child_metadata(job, name, labels)
    return [{"apiVersion": "batch/v1", "kind": "Job", "metadata": metadata, "spec": spec}]


def _pod(job: TrainPushJob, resolved: Resolved, name: str) -> Manifest:
    worker = job.spec.worker
    nodes = job.status.placement.nodes if job.status.placement else []
    staging = {"TRAINPUSH_STAGING": _staging(job, name)}
    # As the user who will write into the folder that it makes.
    stage = _script("stage", scripts.STAGE, staging, job, resolved)
    # A sidecar: it is told to end when the other steps have ended, well or not.
    clean = _script("clean", scripts.CLEAN, staging, job, resolved) | {"restartPolicy": "Always", "resources": _LITTLE}
    kept = {"TRAINPUSH_MODELS": _models(job), "TRAINPUSH_MESSAGE": _MESSAGE}
    publish = _script(PUBLISH, scripts.PUBLISH, staging | kept, job, resolved)
    return {
        **confined(),
        "restartPolicy": "Never",
        **({"affinity": near_nodes(dict.fromkeys(nodes))} if nodes else {}),
        "tolerations": [*map(plain, resolved.tolerations), *tolerated(Mode.TRAINING, Mode.INFERENCE)],
        "imagePullSecrets": [plain(entry) for entry in worker.image_pull_secrets],
        "securityContext": pod_security(worker.security_context),
        "initContainers": [stage, clean, _program(job, resolved, name)],
        "containers": [publish],
        "volumes": _volumes(job).manifests(),
    }


def _program(job: TrainPushJob, resolved: Resolved, name: str) -> Manifest:
    """What the user gave, or a copy; it sees nothing of the models' volume but its own folder."""
    told, worker = _export(job), job.spec.worker
    step = _container("export", job, resolved)
    own = {"command": told.command, "args": told.args} if told.is_own else {"command": ["/bin/sh", "-ec", scripts.COPY]}
    # A folder that belongs to the workers' image need not be in another one.
    folder = worker.working_dir if told.image is None else None
    variables = {"TRAINPUSH_JOB": job.name, "TRAINPUSH_EXPORT_DIR": _EXPORT}
    if job.checkpoint_uri:
        variables["TRAINPUSH_CHECKPOINT_DIR"] = CHECKPOINTS
    users = {entry.name: plain(entry) for entry in (*worker.env, *told.env)}
    return (
        step
        | {key: value for key, value in own.items() if value}
        | ({"workingDir": folder} if folder else {})
        | {
            "resources": _resources(job),
            "env": [*_env(variables), *users.values()],
            "envFrom": [plain(entry) for entry in worker.env_from],
            "volumeMounts": _program_mounts(job, name),
        }
    )


def _resources(job: TrainPushJob) -> Manifest:
    """What the user says; else a little is set aside, and no more is used than a worker might."""
    told = plain(_export(job).resources)
    requests, limits = told["requests"], told["limits"]
    for name, little in OWN_RESOURCES["requests"].items():
        if name in requests or name in limits:
            continue
        requests[name] = little
        if limit := job.spec.resources.limits.get(name):
            requests[name], limits[name] = min(little, limit, key=milli), limit
    return {"requests": requests, "limits": limits}


def _script(name: str, script: str, variables: dict[str, str], job: TrainPushJob, resolved: Resolved) -> Manifest:
    """A step of ours: it sees the whole volume of the models."""
    return _container(name, job, resolved) | {
        "resources": OWN_RESOURCES,
        "command": ["/bin/sh", "-ec", script],
        "env": _env(variables),
        "volumeMounts": [_volumes(job).root(_export(job).uri, _VOLUME)],
    }


def _container(name: str, job: TrainPushJob, resolved: Resolved) -> Manifest:
    """What the steps have in common."""
    worker = job.spec.worker
    container: Manifest = {
        "name": name,
        "image": _image(job, resolved),
        "terminationMessagePath": _MESSAGE,
        "terminationMessagePolicy": "FallbackToLogsOnError",
        "securityContext": container_security(
            bool(worker.security_context and worker.security_context.read_only_root_filesystem)
        ),
    }
    return container | ({"imagePullPolicy": worker.image_pull_policy} if worker.image_pull_policy else {})


def _env(variables: dict[str, str]) -> list[Manifest]:
    pod = {"name": _POD, "valueFrom": {"fieldRef": {"fieldPath": "metadata.name"}}}
    return [pod, *({"name": name, "value": value} for name, value in variables.items()), NO_ACCELERATOR]


def _export(job: TrainPushJob) -> Export:
    assert job.spec.push is not None  # noqa: S101 - nobody else has anything to export
    return job.spec.push.export


def _image(job: TrainPushJob, resolved: Resolved) -> str:
    return _export(job).image or resolved.image


def _models(job: TrainPushJob) -> str:
    """Folder of all models, as the containers see it."""
    return f"{_VOLUME}/{claim_and_path(_export(job).uri)[1]}".rstrip("/")


def _staging(job: TrainPushJob, name: str) -> str:
    """Folder of this export, beside the models: a rename must not leave the file system."""
    return f"{_models(job)}/{_STAGING}/{name}"


def _volumes(job: TrainPushJob) -> Volumes:
    return Volumes(job.spec.worker, {"trainpush-models": _export(job).uri, "trainpush-checkpoints": job.checkpoint_uri})


def _program_mounts(job: TrainPushJob, name: str) -> list[Manifest]:
    """The user's own volumes, to read only; of the models' one nothing but the folder to write to."""
    volumes, checkpoints = _volumes(job), job.checkpoint_uri
    inside = _staging(job, name).removeprefix(f"{_VOLUME}/")
    return [
        *volumes.mounts(only_read=True),
        *([volumes.mount(checkpoints, CHECKPOINTS, readOnly=True)] if checkpoints else []),
        volumes.root(_export(job).uri, _EXPORT) | {"subPathExpr": f"{inside}/$({_POD})"},
    ]
