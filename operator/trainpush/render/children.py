"""The pods of a gang and what they need besides, rendered from an allow-list."""

from typing import Final

from trainpush.api import names
from trainpush.api.base import plain
from trainpush.api.trainpushjob import Resolved, TrainPushJob
from trainpush.model.actions import MakeWorker
from trainpush.model.modes import Mode
from trainpush.render.environment import CHECKPOINTS, IDENTITY, MASTER_PORT, TOKEN, Address, environment
from trainpush.render.grace import Grace
from trainpush.render.modes import tolerated
from trainpush.render.pods import (
    Manifest,
    child_metadata,
    common_labels,
    confined,
    container_security,
    memory_mount,
    memory_volume,
    on_nodes,
    pod_security,
)
from trainpush.render.volumes import Volumes

CONTAINER: Final = "worker"
"""Name of the container that runs the user's program: what else is in the pod was put there by others."""
TOKEN_SECONDS = 3600
"""Life of a token; the kubelet writes the next one long before its end."""
_IDENTITY_VOLUME = "trainpush-identity"
_SILENT: Final = [
    {"key": f"node.kubernetes.io/{key}", "operator": "Exists", "effect": "NoExecute"}
    for key in ("not-ready", "unreachable")
]
"""How long a silent node is waited for is the pool's to say, and the job's: without these it would be 300 s."""


def service_name(job_name: str) -> str:
    """Name of the headless Service of a job."""
    return f"{job_name}-workers"


def worker_name(job_name: str, rank: int, attempt: int) -> str:
    """Name of a worker pod: says who, which and which try."""
    return f"{job_name}-worker-{rank}-a{attempt}"


def is_alone(job: TrainPushJob) -> bool:
    """Whether its worker never has to find another."""
    return job.spec.sizes() == (1,)


def belongings(job: TrainPushJob) -> list[Manifest]:
    """What all workers need: the headless Service that gives each a DNS name, before it is ready too."""
    if is_alone(job):
        return []
    metadata = child_metadata(job, service_name(job.name), labels_of(job.name, job.uid))
    return [{"apiVersion": "v1", "kind": "Service", "metadata": metadata, "spec": endpoint(job.uid)}]


def endpoint(job_uid: str) -> Manifest:
    """What the Service of a gang says."""
    return {
        "type": "ClusterIP",
        "clusterIP": "None",
        "internalTrafficPolicy": "Cluster",
        "publishNotReadyAddresses": True,
        "selector": {names.LABEL_JOB_UID: job_uid},
        "ports": [{"name": "torchrun", "port": MASTER_PORT, "targetPort": MASTER_PORT, "protocol": "TCP"}],
    }


def worker(job: TrainPushJob, resolved: Resolved, action: MakeWorker, endpoint: Address | None = None) -> Manifest:
    """The pod of one worker, pinned to its node by affinity, so that kube-scheduler still checks and binds it.

    Where there is an `endpoint`, the worker of rank 0 may report to it; from others the operator would take nothing.
    """
    spec = job.spec.worker
    endpoint = endpoint if action.rank == 0 else None
    volumes, mounts = _storage(job, endpoint)
    labels = {
        **spec.labels,
        **labels_of(job.name, job.uid),
        names.LABEL_ATTEMPT: str(action.attempt),
        names.LABEL_RANK: str(action.rank),
        names.LABEL_POOL: resolved.pool,
    }
    metadata = child_metadata(job, worker_name(job.name, action.rank, action.attempt), labels)
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {**metadata, "annotations": dict(spec.annotations)},
        "spec": {
            "hostname": _hostname(action.rank, action.attempt),
            **({} if is_alone(job) else {"subdomain": service_name(job.name)}),
            "restartPolicy": "Never",
            **confined(),
            "terminationGracePeriodSeconds": Grace.of(job).pod,
            "affinity": on_nodes([action.node]),
            "tolerations": [*map(plain, resolved.tolerations), *tolerated(Mode.TRAINING), *_SILENT],
            "imagePullSecrets": [plain(entry) for entry in spec.image_pull_secrets],
            "securityContext": pod_security(spec.security_context),
            "containers": [_container(job, resolved, action, endpoint) | {"volumeMounts": mounts}],
            "volumes": volumes,
        },
    }


def labels_of(job_name: str, job_uid: str) -> dict[str, str]:
    """What the workers of a job bear, and their Service."""
    ours = {names.LABEL_JOB_NAME: job_name, names.LABEL_JOB_UID: job_uid}
    return common_labels("trainpush-job", "worker", job_name) | ours


def _hostname(rank: int, attempt: int) -> str:
    """Carries the attempt, so that no resolver's memory of an earlier pod can answer."""
    return f"worker-{rank}-a{attempt}"


def _storage(job: TrainPushJob, endpoint: Address | None) -> tuple[list[Manifest], list[Manifest]]:
    """The volumes of a worker, and where they appear in its container."""
    spec, uri = job.spec.worker, job.checkpoint_uri
    claims = Volumes(spec, {"trainpush-checkpoints": uri})
    volumes = [*claims.manifests(), memory_volume(spec.shared_memory)]
    mounts = [*claims.mounts(), memory_mount()]
    if uri:
        mounts.append(claims.mount(uri, CHECKPOINTS))
    if endpoint:
        # Good for the operator alone, and dies with the pod.
        token = {"audience": names.AUDIENCE, "expirationSeconds": TOKEN_SECONDS, "path": TOKEN}
        volumes.append({"name": _IDENTITY_VOLUME, "projected": {"sources": [{"serviceAccountToken": token}]}})
        mounts.append({"name": _IDENTITY_VOLUME, "mountPath": IDENTITY, "readOnly": True})
    return volumes, mounts


def _container(job: TrainPushJob, resolved: Resolved, action: MakeWorker, endpoint: Address | None) -> Manifest:
    spec = job.spec.worker
    wanted = spec.security_context
    master = "localhost" if is_alone(job) else f"{_hostname(0, action.attempt)}.{service_name(job.name)}"
    variables = environment(job, resolved, action, master, endpoint)
    container: Manifest = {
        "name": CONTAINER,
        "image": resolved.image,
        "env": [{"name": name, "value": value} for name, value in variables.items()]
        + [plain(entry) for entry in spec.env],
        "envFrom": [plain(entry) for entry in spec.env_from],
        "resources": plain(job.spec.resources),
        "ports": [{"name": "torchrun", "containerPort": MASTER_PORT, "protocol": "TCP"}],
        "terminationMessagePolicy": "FallbackToLogsOnError",
        "securityContext": container_security(bool(wanted and wanted.read_only_root_filesystem)),
    }
    optional = {
        # Nobody can change these of a job that has a place.
        "command": resolved.command or spec.command,
        "args": resolved.args or spec.args,
        "workingDir": spec.working_dir,
        "imagePullPolicy": spec.image_pull_policy,
    }
    return container | {name: value for name, value in optional.items() if value}
