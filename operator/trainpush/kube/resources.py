"""Which kinds of objects the operator reads and writes, and where the API server keeps them."""

from dataclasses import dataclass
from typing import Final
from urllib.parse import quote

from trainpush.api import names


@dataclass(frozen=True, slots=True)
class Resource:
    """One kind of object in one version of its API group; the core group is the empty string."""

    group: str
    version: str
    plural: str
    kind: str
    namespaced: bool

    @property
    def api_version(self) -> str:
        """As manifests write it: `group/version`, or `v1` for the core group."""
        return f"{self.group}/{self.version}" if self.group else self.version

    def path(self, namespace: str | None = None, name: str | None = None, subresource: str | None = None) -> str:
        """URL path of the collection (all namespaces where `namespace` is None), or of one object of it."""
        root = f"/apis/{self.group}" if self.group else "/api"
        within = f"/namespaces/{quote(namespace, safe='')}" if self.namespaced and namespace else ""
        path = f"{root}/{self.version}{within}/{self.plural}"
        if name:
            path += f"/{quote(name, safe='')}"
        return f"{path}/{subresource}" if subresource else path


OURS: Final = f"{names.LABEL_MANAGED_BY}={names.FIELD_MANAGER}"
"""Selects what we make."""
SERVING: Final = f"{OURS},{names.LABEL_SERVICE},!{names.LABEL_REVISION}"
"""Of that, what all replicas of an InferenceService share; its EndpointSlices bear the labels of their Service."""

PODS: Final = Resource("", "v1", "pods", "Pod", namespaced=True)
NODES: Final = Resource("", "v1", "nodes", "Node", namespaced=False)
SERVICES: Final = Resource("", "v1", "services", "Service", namespaced=True)
ENDPOINTSLICES: Final = Resource("discovery.k8s.io", "v1", "endpointslices", "EndpointSlice", namespaced=True)
SECRETS: Final = Resource("", "v1", "secrets", "Secret", namespaced=True)
NAMESPACES: Final = Resource("", "v1", "namespaces", "Namespace", namespaced=False)
EVENTS: Final = Resource("events.k8s.io", "v1", "events", "Event", namespaced=True)
LEASES: Final = Resource("coordination.k8s.io", "v1", "leases", "Lease", namespaced=True)
CONFIGMAPS: Final = Resource("", "v1", "configmaps", "ConfigMap", namespaced=True)
JOBS: Final = Resource("batch", "v1", "jobs", "Job", namespaced=True)
REVISIONS: Final = Resource("apps", "v1", "controllerrevisions", "ControllerRevision", namespaced=True)
DAEMONSETS: Final = Resource("apps", "v1", "daemonsets", "DaemonSet", namespaced=True)
BUDGETS: Final = Resource("policy", "v1", "poddisruptionbudgets", "PodDisruptionBudget", namespaced=True)
PRIORITYCLASSES: Final = Resource("scheduling.k8s.io", "v1", "priorityclasses", "PriorityClass", namespaced=False)
CRDS: Final = Resource(
    "apiextensions.k8s.io", "v1", "customresourcedefinitions", "CustomResourceDefinition", namespaced=False
)
ACCESS_REVIEWS: Final = Resource(
    "authorization.k8s.io", "v1", "selfsubjectaccessreviews", "SelfSubjectAccessReview", namespaced=False
)
TOKEN_REVIEWS: Final = Resource("authentication.k8s.io", "v1", "tokenreviews", "TokenReview", namespaced=False)
TRAINPUSHJOBS: Final = Resource(names.GROUP, names.VERSION, "trainpushjobs", "TrainPushJob", namespaced=True)
INFERENCESERVICES: Final = Resource(
    names.GROUP, names.VERSION, "inferenceservices", "InferenceService", namespaced=True
)
GPUPOOLS: Final = Resource(names.GROUP, names.VERSION, "gpupools", "GPUPool", namespaced=False)
