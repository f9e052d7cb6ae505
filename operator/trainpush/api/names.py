"""Every name that Kubernetes sees and that is not a field: groups, labels, annotations, managers."""

from typing import Final, NamedTuple

GROUP: Final = "training.ai"
VERSION: Final = "v1"
API_VERSION: Final = f"{GROUP}/{VERSION}"
CATEGORY: Final = "trainpush"

FIELD_MANAGER: Final = "trainpush"
"""Field manager of every server-side apply; also `app.kubernetes.io/managed-by` on every child."""

REPORTING_CONTROLLER: Final = f"{GROUP}/trainpush"
"""`reportingController` of the Events that the operator writes."""

LEASE: Final = "trainpush-operator"
"""Name of the Lease that decides which replica writes."""

ENDPOINT_SERVICE: Final = "trainpush-operator"
"""Name of the Service by which workers reach the replica that writes."""
AUDIENCE: Final = "trainpush"
"""Whom the tokens of workers are for: nobody else takes them."""
CA_SECRET: Final = "trainpush-ca"  # noqa: S105 - a name
"""Name of the Secret with the authority that signs the operator's certificates."""
LABEL_LEADER: Final = f"{GROUP}/leader"
"""On a pod of the operator: `true` while it is the one that writes; the Service for workers selects by it."""

LABEL_JOB_NAME: Final = f"{GROUP}/job-name"
"""On a worker pod: name of its TrainPushJob."""
LABEL_JOB_UID: Final = f"{GROUP}/job-uid"
"""On a worker pod: uid of its TrainPushJob; the Service of a gang selects by it."""
LABEL_ATTEMPT: Final = f"{GROUP}/attempt"
"""On a worker pod: number of the attempt that made it, counted from 1."""
LABEL_RANK: Final = f"{GROUP}/worker-rank"
"""On a worker pod: its rank among the workers, counted from 0 along the topology."""
LABEL_POOL: Final = f"{GROUP}/pool"
"""On a worker pod or a replica: the GPUPool it was placed in; on a pod that pulls images: the one it pulls for."""
LABEL_IMAGES: Final = f"{GROUP}/warm-images"
"""On a pod that makes a node pull images: digest of the list of these images."""
LABEL_PUSH_OF: Final = f"{GROUP}/push-of"
"""On an export Job and its pods: uid of the TrainPushJob whose model is exported."""
LABEL_SERVICE: Final = f"{GROUP}/inference-service"
"""On everything that is made for an InferenceService: its name; the service's Service selects by it."""
LABEL_REVISION: Final = f"{GROUP}/revision"
"""On the replicas of an InferenceService: name of the ControllerRevision that they were made from."""
LABEL_SERIAL: Final = f"{GROUP}/replica"
"""On a replica of an InferenceService: its serial number, counted from 1."""
ANNOTATION_STABLE: Final = f"{GROUP}/stable-revision"
"""On an InferenceService: name of the ControllerRevision that all its replicas last served."""
ANNOTATION_FORMAT: Final = f"{GROUP}/snapshot"
"""On a file of `trainpush snapshot`: version of its form."""
ANNOTATION_AT: Final = f"{GROUP}/at"
"""On a file of `trainpush snapshot`: when the cluster was like that."""
ANNOTATION_VERSION: Final = f"{GROUP}/version"
"""On a file of `trainpush snapshot`: version of the program that wrote it."""
ANNOTATION_PROXY_IMAGE: Final = f"{GROUP}/proxy-image"
"""On a file of `trainpush snapshot`: the operator's setting of that name, which goes into new revisions."""
GATE_ANSWERED: Final = f"{GROUP}/answered"
"""Readiness gate and condition of a replica: whether its model answered the probe request."""
LABEL_MODE: Final = f"{GROUP}/mode"
"""On a node of a GPUPool with modes: its mode. A taint of the same key keeps other work away, unless it is Shared."""
LABEL_SWITCHING: Final = f"{GROUP}/switching"
"""Key of the taint that keeps all new work from a node that changes its mode; its value is the new one."""
ANNOTATION_SWITCH: Final = f"{GROUP}/switch"
"""On a node: how far it has come on its way to another mode. Label and taints follow from it, never the other way."""
ANNOTATION_WISH: Final = f"{GROUP}/wanted-mode"
"""On a node: the mode that people want it to have, within the bounds of its GPUPool."""
LABEL_DRIVER_UPGRADE: Final = "nvidia.com/gpu-driver-upgrade-state"
"""On a node: how far the GPU operator has come with a new driver; until it is done, the node counts as cordoned."""
LABEL_MANAGED_BY: Final = "app.kubernetes.io/managed-by"
"""On every child: always `trainpush`."""
LABEL_APP: Final = "app.kubernetes.io/name"
"""On every child: `trainpush-job`, `trainpush-service` or `trainpush-pool`."""
LABEL_COMPONENT: Final = "app.kubernetes.io/component"
"""On every child: `worker`, `export`, `replica` or `prepull`."""
LABEL_INSTANCE: Final = "app.kubernetes.io/instance"
"""On every child: name of its owner."""

LABEL_PRODUCT: Final = "nvidia.com/gpu.product"
"""On a node: the accelerator product, written by GPU feature discovery."""
LABEL_CAPACITY_KARPENTER: Final = "karpenter.sh/capacity-type"
"""On a node that Karpenter made: `reserved`, `on-demand` or `spot`."""
LABEL_CAPACITY_EKS: Final = "eks.amazonaws.com/capacityType"
"""On a node of a managed group of EKS: `ON_DEMAND`, `SPOT` or `CAPACITY_BLOCK`."""
LABEL_SPOT_GKE: Final = "cloud.google.com/gke-spot"
"""On a node of GKE: `true` on spot capacity."""
LABEL_PRIORITY_AKS: Final = "kubernetes.azure.com/scalesetpriority"
"""On a node of AKS: `spot` on spot capacity."""
LABEL_HOSTNAME: Final = "kubernetes.io/hostname"
"""On a node: its host name; no level of a topology may use it, since the host is a level by itself."""

RESERVED_PREFIXES: Final = (
    GROUP,
    "kubernetes.io",
    "k8s.io",
    "nvidia.com",
    "x-k8s.io",
    "karpenter.sh",
    "argoproj.io",
    "istio.io",
    "linkerd.io",
)
"""Label and annotation domains (and their subdomains) that a worker may not set, but for what is permitted."""


class Permitted(NamedTuple):
    """A key of a reserved domain that a worker may set all the same, to nothing but these values.

    Never a whole prefix: neighbours of these keys bring volumes, images and templates of others into a pod.
    """

    key: str
    values: tuple[str, ...]
    reason: str
    """What it decides, and why people need it."""


_ISTIO_INJECT: Final = Permitted(
    "sidecar.istio.io/inject",
    ("true", "false"),
    "Whether Istio puts its proxy beside the program: ranks that talk to each other do without, "
    "data that only the mesh reaches needs it.",
)
PERMITTED_LABELS: Final = (_ISTIO_INJECT,)
PERMITTED_ANNOTATIONS: Final = (
    _ISTIO_INJECT,
    Permitted(
        "linkerd.io/inject",
        ("enabled", "ingress", "disabled"),
        "Whether Linkerd puts its proxy beside the program: for the same reasons.",
    ),
    Permitted(
        "cluster-autoscaler.kubernetes.io/safe-to-evict",
        ("true", "false"),
        "Whether Cluster Autoscaler may empty the node to remove it: that restarts the whole gang.",
    ),
    Permitted(
        "karpenter.sh/do-not-disrupt",
        ("true", "false"),
        "Whether Karpenter leaves the node alone: to replace it restarts the whole gang.",
    ),
)

RESERVED_ENV_PREFIXES: Final = ("PET_", "MASTER_", "TRAINPUSH_")
RESERVED_ENV: Final = (
    "LD_PRELOAD",
    "NVIDIA_VISIBLE_DEVICES",
    "NVIDIA_DRIVER_CAPABILITIES",
    "CUDA_VISIBLE_DEVICES",
    "WORLD_SIZE",
    "RANK",
    "LOCAL_RANK",
)
"""Environment variables that the operator or the node sets and that a worker may not override."""

JOB_NAME_MAX: Final = 44
"""Longest TrainPushJob name, so that `<job>-worker-1023-a9999` stays a DNS label of 63."""
SERVICE_NAME_MAX: Final = 44
"""Longest InferenceService name, so that `<service>-<8 hex digits>-<serial>` stays a DNS label of 63."""
REPLICAS_MAX: Final = 256
"""Most replicas of one InferenceService; while revisions change, twice as many may stand in its status."""
REVISIONS_MAX: Final = 16
"""Most revisions that the status of an InferenceService lists."""
GANG_MAX: Final = 1024
"""Most workers of one job: the bound of the node list in its status."""
