"""Everything that is made for an InferenceService: its endpoint, its revisions, and the pods of its replicas."""

from typing import Final

from trainpush.api import names
from trainpush.api.base import plain
from trainpush.api.inferenceservice import InferenceService, Runtime
from trainpush.api.pod import SecurityContext
from trainpush.api.revision import RevisionData
from trainpush.api.text import claim_and_path
from trainpush.model.modes import Mode
from trainpush.render import scripts, triton
from trainpush.render.modes import tolerated
from trainpush.render.pods import (
    NO_ACCELERATOR,
    OWN_RESOURCES,
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

DRAIN_SECONDS: Final = 10
"""Time between the end of a replica being known and its proxy being told: nobody sends new clients by then."""
LOAD_SECONDS: Final = 3600
"""Longest time that a model may take to load."""
_MARGIN_SECONDS: Final = 5
_SERVER_USER: Final = 1000
"""That of Triton's own images."""
_PROXY_USER: Final = 65532
_VOLUME: Final = "/trainpush/volume"
_REPOSITORY: Final = "/trainpush/repository"
_REVISION: Final = "/trainpush/revision"
_MODEL_CONFIG: Final = "config.pbtxt"
_PROXY_CONFIG: Final = "haproxy.cfg"


def url(service_name: str, namespace: str) -> str:
    """Where clients inside the cluster ask."""
    return f"http://{service_name}.{namespace}.svc"


def selector(service_name: str) -> str:
    """What finds the replicas of a service."""
    return ",".join(f"{key}={value}" for key, value in replicas_of(service_name).items())


def replicas_of(service_name: str, revision_name: str = "") -> dict[str, str]:
    """The labels that all replicas of a service bear, or those of one of its revisions, and nothing else."""
    of_revision = {names.LABEL_REVISION: revision_name} if revision_name else {}
    return {names.LABEL_SERVICE: service_name, names.LABEL_COMPONENT: "replica", **of_revision}


def endpoint_of(service_name: str, revision_name: str = "") -> Manifest:
    """What the Service over all revisions says, or that of one of them: also what Kubernetes would say by itself."""
    port = {"name": "http", "port": 80, "targetPort": triton.PROXY_PORT, "protocol": "TCP"}
    return {
        "type": "ClusterIP",
        "internalTrafficPolicy": "Cluster",
        "publishNotReadyAddresses": False,
        "selector": replicas_of(service_name, revision_name),
        "ports": [port],
    }


def replica_name(revision_name: str, serial: int) -> str:
    """Name of a replica's pod: says what it serves, and which it is."""
    return f"{revision_name}-{serial}"


def endpoint(service: InferenceService) -> list[Manifest]:
    """What stays the same over all revisions: the Service for clients, and the PodDisruptionBudget."""
    metadata = child_metadata(service, service.name, labels_of(service.name))
    budget = {
        "minAvailable": service.spec.min_available,
        "maxUnavailable": None,
        "selector": {"matchLabels": replicas_of(service.name)},
        "unhealthyPodEvictionPolicy": "AlwaysAllow",
    }
    return [
        {"apiVersion": "v1", "kind": "Service", "metadata": metadata, "spec": endpoint_of(service.name)},
        {"apiVersion": "policy/v1", "kind": "PodDisruptionBudget", "metadata": metadata, "spec": budget},
    ]


def revision(service: InferenceService, data: RevisionData, name: str, number: int) -> Manifest:
    """The record of a release."""
    return {
        "apiVersion": "apps/v1",
        "kind": "ControllerRevision",
        "metadata": child_metadata(service, name, labels_of(service.name)),
        "data": plain(data),
        "revision": number,
    }


def belongings(
    service_name: str, namespace: str, revision_name: str, revision_uid: str, data: RevisionData
) -> list[Manifest]:
    """What the replicas of a revision need, and a Service that finds them alone."""
    record = {"apiVersion": "apps/v1", "kind": "ControllerRevision", "name": revision_name, "uid": revision_uid}
    metadata = {
        "name": revision_name,
        "namespace": namespace,
        "labels": labels_of(service_name, revision_name),
        "ownerReferences": [{**record, "controller": True}],
    }
    files = {_MODEL_CONFIG: triton.config(data.model.name, data.template.batching), _PROXY_CONFIG: triton.PROXY}
    found_by = endpoint_of(service_name, revision_name)
    return [
        {"apiVersion": "v1", "kind": "ConfigMap", "metadata": metadata, "immutable": True, "data": files},
        {"apiVersion": "v1", "kind": "Service", "metadata": metadata, "spec": found_by},
    ]


def replica(service: InferenceService, revision_name: str, data: RevisionData, serial: int, node: str) -> Manifest:
    """The pod of one replica, made from its revision alone; pinned to its node by affinity, as workers are."""
    runtime = data.template.runtime
    labels = {
        **runtime.labels,
        **labels_of(service.name, revision_name),
        names.LABEL_SERIAL: str(serial),
        names.LABEL_POOL: data.resolved.pool,
    }
    metadata = child_metadata(service, replica_name(revision_name, serial), labels)
    annotations = {**runtime.annotations, "kubectl.kubernetes.io/default-container": "server"}
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {**metadata, "annotations": annotations},
        "spec": {
            **confined(),
            "restartPolicy": "Always",
            "readinessGates": [{"conditionType": names.GATE_ANSWERED}],
            "terminationGracePeriodSeconds": (
                DRAIN_SECONDS + triton.SOFT_STOP_SECONDS + triton.EXIT_SECONDS + _MARGIN_SECONDS
            ),
            "affinity": on_nodes([node]),
            "tolerations": [*map(plain, data.resolved.tolerations), *tolerated(Mode.INFERENCE)],
            "imagePullSecrets": [plain(entry) for entry in runtime.image_pull_secrets],
            "securityContext": _security(runtime),
            "initContainers": [_model(data), _server(data)],
            "containers": [_proxy(data)],
            "volumes": [
                {"name": "model", "persistentVolumeClaim": {"claimName": claim_and_path(data.model.uri)[0]}},
                {"name": "repository", "emptyDir": {}},
                {"name": "revision", "configMap": {"name": revision_name}},
                memory_volume(runtime.shared_memory),
            ],
        },
    }


def _security(runtime: Runtime) -> Manifest:
    """As whom the server runs: never as root unless asked for, since many namespaces refuse that."""
    wanted = runtime.security_context or SecurityContext()
    if wanted.run_as_user is None and wanted.run_as_non_root is None:
        wanted = wanted.model_copy(update={"run_as_user": _SERVER_USER, "run_as_non_root": True})
    return pod_security(wanted)


def _model(data: RevisionData) -> Manifest:
    """Checks the model directory and puts the repository together, then ends."""
    model = data.model
    # The whole volume, since the kubelet would make a directory that is missing on it, if a mount asked for that.
    directory = f"{_VOLUME}/{claim_and_path(model.uri)[1]}".rstrip("/")
    variables = {
        "TRAINPUSH_MODEL_DIR": directory,
        "TRAINPUSH_MODEL_URI": model.uri,
        "TRAINPUSH_MODEL_DIGEST": model.digest or "",
        "TRAINPUSH_MODEL_NAME": model.name,
        "TRAINPUSH_CONFIG": f"{_REVISION}/{_MODEL_CONFIG}",
        "TRAINPUSH_REPOSITORY": _REPOSITORY,
    }
    return {
        "name": "model",
        **_runtime_image(data),
        "command": ["/bin/sh", "-ec", scripts.LOAD],
        "env": [{"name": name, "value": value} for name, value in variables.items()] + [NO_ACCELERATOR],
        # As little as the proxy, so that it never makes the pod larger than the server and the proxy together.
        "resources": OWN_RESOURCES,
        "volumeMounts": [
            {"name": "model", "mountPath": _VOLUME, "readOnly": True},
            {"name": "repository", "mountPath": _REPOSITORY},
            {"name": "revision", "mountPath": _REVISION, "readOnly": True},
        ],
        "terminationMessagePolicy": "FallbackToLogsOnError",
        "securityContext": container_security(read_only=True),
    }


def _server(data: RevisionData) -> Manifest:
    """Triton, as a sidecar: it begins before the proxy and ends after it."""
    runtime = data.template.runtime
    wanted = runtime.security_context
    return {
        "name": "server",
        **_runtime_image(data),
        "restartPolicy": "Always",
        # As arguments, so that an entrypoint of the image, which may set the driver's libraries up, stays.
        "args": [*triton.options(_REPOSITORY), *runtime.args],
        "env": [plain(entry) for entry in runtime.env],
        "resources": plain(data.template.resources),
        "ports": [
            {"name": "triton-http", "containerPort": triton.SERVER_PORT, "protocol": "TCP"},
            {"name": "triton-grpc", "containerPort": triton.GRPC_PORT, "protocol": "TCP"},
            {"name": "triton-metrics", "containerPort": triton.METRICS_PORT, "protocol": "TCP"},
        ],
        "startupProbe": {
            **_get(triton.ready_path(data.model.name), triton.SERVER_PORT),
            "periodSeconds": 1,
            "failureThreshold": LOAD_SECONDS,
        },
        "livenessProbe": {**_get("/v2/health/live", triton.SERVER_PORT), "periodSeconds": 10, "failureThreshold": 6},
        "volumeMounts": [
            {"name": "model", "mountPath": _VOLUME, "readOnly": True},
            {"name": "repository", "mountPath": _REPOSITORY, "readOnly": True},
            memory_mount(),
        ],
        "terminationMessagePolicy": "FallbackToLogsOnError",
        "securityContext": container_security(bool(wanted and wanted.read_only_root_filesystem)),
    }


def _proxy(data: RevisionData) -> Manifest:
    """HAProxy, which gets the requests and lets the replica go without failing one; its image says SIGUSR1."""
    return {
        "name": "proxy",
        "image": data.resolved.proxy_image,
        "command": ["haproxy", "-db", "-f", f"{_REVISION}/{_PROXY_CONFIG}"],
        "resources": OWN_RESOURCES,
        "ports": [{"name": "http", "containerPort": triton.PROXY_PORT, "protocol": "TCP"}],
        "readinessProbe": {
            **_get(triton.ready_path(data.model.name), triton.PROXY_PORT),
            "periodSeconds": 2,
            "failureThreshold": 3,
        },
        "lifecycle": {"preStop": {"sleep": {"seconds": DRAIN_SECONDS}}},
        "volumeMounts": [{"name": "revision", "mountPath": _REVISION, "readOnly": True}],
        "terminationMessagePolicy": "FallbackToLogsOnError",
        "securityContext": {
            **container_security(read_only=True),
            "runAsNonRoot": True,
            "runAsUser": _PROXY_USER,
            "runAsGroup": _PROXY_USER,
        },
    }


def _runtime_image(data: RevisionData) -> Manifest:
    policy = data.template.runtime.image_pull_policy
    return {"image": data.resolved.image} | ({"imagePullPolicy": policy} if policy else {})


def _get(path: str, port: int) -> Manifest:
    return {"httpGet": {"path": path, "port": port}, "timeoutSeconds": 5}


def labels_of(service_name: str, revision_name: str = "") -> dict[str, str]:
    """What is made for a service bears, or for one of its revisions."""
    return common_labels("trainpush-service", "replica", service_name) | replicas_of(service_name, revision_name)
