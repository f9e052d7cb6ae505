"""Every name that Kubernetes sees and that is not a field: groups, labels, annotations, managers."""

from typing import Final

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

LABEL_JOB_NAME: Final = f"{GROUP}/job-name"
"""On a worker pod: name of its TrainPushJob."""
LABEL_JOB_UID: Final = f"{GROUP}/job-uid"
"""On a worker pod: uid of its TrainPushJob; the Service of a gang selects by it."""
LABEL_ATTEMPT: Final = f"{GROUP}/attempt"
"""On a worker pod: number of the attempt that made it, counted from 1."""
LABEL_RANK: Final = f"{GROUP}/worker-rank"
"""On a worker pod: its rank among the workers, counted from 0 along the topology."""
LABEL_POOL: Final = f"{GROUP}/pool"
"""On a worker pod: the GPUPool it was placed in."""
LABEL_MANAGED_BY: Final = "app.kubernetes.io/managed-by"
"""On every child: always `trainpush`."""
LABEL_APP: Final = "app.kubernetes.io/name"
"""On every child: `trainpush-job`."""
LABEL_COMPONENT: Final = "app.kubernetes.io/component"
"""On every child of a job: `worker`."""
LABEL_INSTANCE: Final = "app.kubernetes.io/instance"
"""On every child: name of its owner."""

LABEL_PRODUCT: Final = "nvidia.com/gpu.product"
"""On a node: the accelerator product, written by GPU feature discovery."""
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
)
"""Label and annotation domains (and their subdomains) that a worker may not set."""

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
GANG_MAX: Final = 1024
"""Most workers of one job: the bound of the node list in its status."""
