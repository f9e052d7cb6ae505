"""The pods and the Service of a gang, rendered from an allow-list."""

from trainpush.api import names
from trainpush.api.quantity import seconds
from trainpush.api.trainpushjob import Resolved, TrainPushJob
from trainpush.model.plan import MakeWorker
from trainpush.render.environment import CHECKPOINTS, MASTER_PORT, environment
from trainpush.render.pods import (
    Manifest,
    confined,
    container_security,
    memory_mount,
    memory_volume,
    on_nodes,
    owner,
    plain,
    pod_security,
)
from trainpush.render.volumes import Volumes


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
            "ownerReferences": [owner(job)],
        },
        "spec": {
            "clusterIP": "None",
            "publishNotReadyAddresses": True,
            "selector": {names.LABEL_JOB_UID: job.uid},
            "ports": [{"name": "torchrun", "port": MASTER_PORT, "targetPort": MASTER_PORT, "protocol": "TCP"}],
        },
    }


def worker(job: TrainPushJob, resolved: Resolved, act: MakeWorker) -> Manifest:
    """The pod of one worker, pinned to its node by affinity, so that kube-scheduler still checks and binds it."""
    spec = job.spec.worker
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {
            "name": worker_name(job.name, act.rank, act.attempt),
            "namespace": job.namespace,
            "labels": {
                **spec.labels,
                **_labels(job),
                names.LABEL_ATTEMPT: str(act.attempt),
                names.LABEL_RANK: str(act.rank),
                names.LABEL_POOL: resolved.pool,
            },
            "annotations": dict(spec.annotations),
            "ownerReferences": [owner(job)],
        },
        "spec": {
            "hostname": _hostname(act.rank, act.attempt),
            "subdomain": service_name(job.name),
            "restartPolicy": "Never",
            **confined(),
            "terminationGracePeriodSeconds": _grace_seconds(job),
            "affinity": on_nodes([act.node]),
            "tolerations": [plain(entry) for entry in resolved.tolerations],
            "imagePullSecrets": [plain(entry) for entry in spec.image_pull_secrets],
            "securityContext": pod_security(spec.security_context),
            "containers": [_container(job, resolved, act)],
            "volumes": [*_volumes(job).manifests(), memory_volume(spec.shared_memory)],
        },
    }


def _container(job: TrainPushJob, resolved: Resolved, act: MakeWorker) -> Manifest:
    spec = job.spec.worker
    wanted = spec.security_context
    variables = environment(job, resolved, act, f"{_hostname(0, act.attempt)}.{service_name(job.name)}")
    container: Manifest = {
        "name": "worker",
        "image": resolved.image,
        "env": [{"name": name, "value": value} for name, value in variables.items()]
        + [plain(entry) for entry in spec.env],
        "envFrom": [plain(entry) for entry in spec.env_from],
        "resources": plain(job.spec.resources),
        "ports": [{"name": "torchrun", "containerPort": MASTER_PORT, "protocol": "TCP"}],
        "volumeMounts": _mounts(job),
        "terminationMessagePolicy": "FallbackToLogsOnError",
        "securityContext": container_security(bool(wanted and wanted.read_only_root_filesystem)),
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


def _hostname(rank: int, attempt: int) -> str:
    """Carries the attempt, so that no resolver's memory of an earlier pod can answer."""
    return f"worker-{rank}-a{attempt}"


def _grace_seconds(job: TrainPushJob) -> int:
    return round(seconds(job.grace_period))


def _checkpoints(job: TrainPushJob) -> str | None:
    """URI of the checkpoints."""
    return job.spec.checkpoint.uri if job.spec.checkpoint else None


def _volumes(job: TrainPushJob) -> Volumes:
    return Volumes(job.spec.worker, {"trainpush-checkpoints": _checkpoints(job)})


def _mounts(job: TrainPushJob) -> list[Manifest]:
    volumes, uri = _volumes(job), _checkpoints(job)
    return [*volumes.mounts(), memory_mount(), *([volumes.mount(uri, CHECKPOINTS)] if uri else [])]
