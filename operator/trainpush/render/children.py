"""The pods and the Service of a gang. Every pod that trainpush makes is rendered here, from an allow-list."""

from typing import Any, Final

from trainpush.api import names
from trainpush.api.base import ApiModel
from trainpush.api.quantity import seconds
from trainpush.api.trainpushjob import Resolved, TrainPushJob
from trainpush.render.environment import CHECKPOINTS, MASTER_PORT, environment

Manifest = dict[str, Any]

PRIORITY_CLASS: Final = "trainpush"
"""Priority class of every pod; it never preempts, since kube-scheduler knows nothing of checkpoints."""
_SHARED_MEMORY = "trainpush-shared-memory"
_CHECKPOINTS = "trainpush-checkpoints"


def service_name(job_name: str) -> str:
    """Name of the headless Service of a job."""
    return f"{job_name}-workers"


def worker_name(job_name: str, rank: int, attempt: int) -> str:
    """Name of a worker pod: says who, which and which try."""
    return f"{job_name}-worker-{rank}-a{attempt}"


def service(job: TrainPushJob) -> Manifest:
    """The headless Service that gives every worker a DNS name, before it is ready too."""
    return {
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": {
            "name": service_name(job.name),
            "namespace": job.namespace,
            "labels": _labels(job),
            "ownerReferences": [_owner(job)],
        },
        "spec": {
            "clusterIP": "None",
            "publishNotReadyAddresses": True,
            "selector": {names.LABEL_JOB_UID: job.uid},
            "ports": [{"name": "torchrun", "port": MASTER_PORT, "targetPort": MASTER_PORT, "protocol": "TCP"}],
        },
    }


def worker(job: TrainPushJob, resolved: Resolved, attempt: int, rank: int, node: str) -> Manifest:
    """The pod of one worker, pinned to its node by affinity, so that kube-scheduler still checks and binds it."""
    spec = job.spec.worker
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {
            "name": worker_name(job.name, rank, attempt),
            "namespace": job.namespace,
            "labels": {
                **spec.labels,
                **_labels(job),
                names.LABEL_ATTEMPT: str(attempt),
                names.LABEL_RANK: str(rank),
                names.LABEL_POOL: resolved.pool,
            },
            "annotations": dict(spec.annotations),
            "ownerReferences": [_owner(job)],
        },
        "spec": {
            "hostname": _hostname(rank, attempt),
            "subdomain": service_name(job.name),
            "restartPolicy": "Never",
            "priorityClassName": PRIORITY_CLASS,
            "automountServiceAccountToken": False,
            "enableServiceLinks": False,
            "terminationGracePeriodSeconds": _grace_seconds(job),
            "affinity": _pinned_to(node),
            "tolerations": [_plain(entry) for entry in resolved.tolerations],
            "imagePullSecrets": [_plain(entry) for entry in spec.image_pull_secrets],
            "securityContext": _pod_security(job),
            "containers": [_container(job, resolved, attempt, rank)],
            "volumes": [*(_plain(volume) for volume in spec.volumes), *_own_volumes(job)],
        },
    }


def _container(job: TrainPushJob, resolved: Resolved, attempt: int, rank: int) -> Manifest:
    spec = job.spec.worker
    variables = environment(job, resolved, attempt, rank, f"{_hostname(0, attempt)}.{service_name(job.name)}")
    container: Manifest = {
        "name": "worker",
        "image": resolved.image,
        "env": [{"name": name, "value": value} for name, value in variables.items()]
        + [_plain(entry) for entry in spec.env],
        "envFrom": [_plain(entry) for entry in spec.env_from],
        "resources": _plain(job.spec.resources),
        "ports": [{"name": "torchrun", "containerPort": MASTER_PORT, "protocol": "TCP"}],
        "volumeMounts": [*(_plain(mount) for mount in spec.volume_mounts), *_own_mounts(job)],
        "terminationMessagePolicy": "FallbackToLogsOnError",
        "securityContext": _container_security(job),
    }
    optional = {
        "command": resolved.command,
        "args": resolved.args,
        "workingDir": spec.working_dir,
        "imagePullPolicy": spec.image_pull_policy,
    }
    return container | {name: value for name, value in optional.items() if value}


def _labels(job: TrainPushJob) -> dict[str, str]:
    return {
        names.LABEL_MANAGED_BY: names.FIELD_MANAGER,
        names.LABEL_APP: "trainpush-job",
        names.LABEL_COMPONENT: "worker",
        names.LABEL_INSTANCE: job.name,
        names.LABEL_JOB_NAME: job.name,
        names.LABEL_JOB_UID: job.uid,
    }


def _owner(job: TrainPushJob) -> Manifest:
    return {
        "apiVersion": names.API_VERSION,
        "kind": "TrainPushJob",
        "name": job.name,
        "uid": job.uid,
        "controller": True,
        "blockOwnerDeletion": True,
    }


def _hostname(rank: int, attempt: int) -> str:
    """Carries the attempt, so that no resolver's memory of an earlier pod can answer."""
    return f"worker-{rank}-a{attempt}"


def _pinned_to(node: str) -> Manifest:
    term = {"matchFields": [{"key": "metadata.name", "operator": "In", "values": [node]}]}
    return {"nodeAffinity": {"requiredDuringSchedulingIgnoredDuringExecution": {"nodeSelectorTerms": [term]}}}


def _pod_security(job: TrainPushJob) -> Manifest:
    wanted = _plain(job.spec.worker.security_context) if job.spec.worker.security_context else {}
    kept: Manifest = {
        key: wanted[key] for key in ("runAsUser", "runAsGroup", "runAsNonRoot", "fsGroup") if key in wanted
    }
    return {**kept, "seccompProfile": {"type": "RuntimeDefault"}}


def _container_security(job: TrainPushJob) -> Manifest:
    wanted = job.spec.worker.security_context
    read_only = bool(wanted and wanted.read_only_root_filesystem)
    return {
        "allowPrivilegeEscalation": False,
        "capabilities": {"drop": ["ALL"]},
        "readOnlyRootFilesystem": read_only,
    }


def _grace_seconds(job: TrainPushJob) -> int:
    return round(seconds(job.grace_period))


def _checkpoint_claim(job: TrainPushJob) -> tuple[str, str] | None:
    """Claim and path inside it, from `pvc://claim/path`."""
    if not (job.spec.checkpoint and job.spec.checkpoint.uri):
        return None
    claim, _, path = job.spec.checkpoint.uri.removeprefix("pvc://").partition("/")
    return claim, path


def _own_volumes(job: TrainPushJob) -> list[Manifest]:
    memory = {"medium": "Memory", "sizeLimit": job.spec.worker.shared_memory}
    volumes: list[Manifest] = [{"name": _SHARED_MEMORY, "emptyDir": memory}]
    if claim := _checkpoint_claim(job):
        volumes.append({"name": _CHECKPOINTS, "persistentVolumeClaim": {"claimName": claim[0]}})
    return volumes


def _own_mounts(job: TrainPushJob) -> list[Manifest]:
    mounts: list[Manifest] = [{"name": _SHARED_MEMORY, "mountPath": "/dev/shm"}]  # noqa: S108 - the pod's own
    if claim := _checkpoint_claim(job):
        mount = {"name": _CHECKPOINTS, "mountPath": CHECKPOINTS}
        mounts.append(mount | ({"subPath": claim[1]} if claim[1] else {}))
    return mounts


def _plain(model: ApiModel) -> Manifest:
    return model.model_dump(by_alias=True, exclude_none=True, mode="json", exclude_defaults=False)
