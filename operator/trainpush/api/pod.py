"""The part of a pod that users may set: an allow-list, no field of which reaches beyond the job's namespace.

Not here on purpose: host paths and namespaces, privileges, service accounts, node names, other containers.
"""

from typing import Annotated, Literal

from pydantic import Field

from trainpush.api import names
from trainpush.api.base import ApiModel, MapBy, Rule
from trainpush.api.env import Env, EnvFrom, Reference
from trainpush.api.quantity import Quantity
from trainpush.api.text import (
    KEY_MAX,
    LABEL_KEY_PATTERN,
    LABEL_VALUE_PATTERN,
    RESERVED_KEY_PATTERN,
    Image,
    Words,
    matches,
)
from trainpush.api.volume import Volume, VolumeMount

_is_label_key, _is_label_value = matches(LABEL_KEY_PATTERN), matches(LABEL_VALUE_PATTERN)
_is_reserved_key = matches(RESERVED_KEY_PATTERN)
ARE_LABELS = Rule(
    f"self.all(k, k.size() <= {KEY_MAX} && k.matches(r'{LABEL_KEY_PATTERN}') "
    f"&& self[k].matches(r'{LABEL_VALUE_PATTERN}'))",
    "must be labels: letters, digits, -, _ and ., at most 63 in name and value, after an optional domain and /",
    lambda labels: all(len(k) <= KEY_MAX and _is_label_key(k) and _is_label_value(v) for k, v in labels.items()),
)
"""Labels as Kubernetes accepts them."""
Labels = dict[str, Annotated[str, Field(max_length=63)]]
PullPolicy = Literal["Always", "IfNotPresent", "Never"]
"""When the kubelet pulls an image."""
PullSecrets = Annotated[list[Reference], MapBy("name"), Field(max_length=8)]
"""Secrets with credentials for an image's registry."""


def _ours(permitted: tuple[names.Permitted, ...]) -> Rule:
    """That no key is of a reserved domain, but for those that are `permitted`."""
    exact = "".join(f" || (k == '{it.key}' && self[k] in {[*it.values]})" for it in permitted)
    told = "; ".join(f"{it.key} may be {' or '.join(it.values)}" for it in permitted)
    values = {it.key: it.values for it in permitted}
    return Rule(
        f"self.all(k, !k.matches(r'{RESERVED_KEY_PATTERN}'){exact})",
        f"must not have keys in a reserved domain ({', '.join(names.RESERVED_PREFIXES)}): use a domain of your own; "
        f"only {told}",
        lambda keys: all(not _is_reserved_key(key) or value in values.get(key, ()) for key, value in keys.items()),
    )


PodLabels = Annotated[Labels, Field(max_length=16), ARE_LABELS, _ours(names.PERMITTED_LABELS)]
"""Labels that users give to pods."""
PodAnnotations = Annotated[
    dict[str, Annotated[str, Field(max_length=4096)]],
    Field(max_length=16),
    Rule(
        f"self.all(k, k.size() <= {KEY_MAX} && k.matches(r'{LABEL_KEY_PATTERN}'))",
        "must have keys of letters, digits, -, _ and ., at most 63, after an optional domain and /",
        lambda keys: all(len(key) <= KEY_MAX and _is_label_key(key) for key in keys),
    ),
    _ours(names.PERMITTED_ANNOTATIONS),
]
"""Annotations that users give to pods."""


class Toleration(ApiModel):
    """Lets a worker onto nodes with a matching taint."""

    key: Annotated[str, Field(max_length=KEY_MAX)] | None = None
    """Key of the taint; none, with operator Exists, matches every taint."""
    operator: Literal["Equal", "Exists"] = "Equal"
    """Equal compares the value; Exists takes any."""
    value: Annotated[str, Field(max_length=63)] | None = None
    """Value of the taint; only with operator Equal."""
    effect: Literal["NoSchedule", "PreferNoSchedule", "NoExecute"] | None = None
    """Effect of the taint; none matches every effect."""
    toleration_seconds: Annotated[int, Field(ge=0, le=2**31 - 1)] | None = None
    """How long a NoExecute taint is borne, in seconds; none means for ever."""

    rules = (
        Rule(
            "self.operator != 'Exists' || !has(self.value) || self.value == ''",
            "must not be set with operator Exists: remove it, or use operator Equal",
            lambda entry: entry.operator != "Exists" or not entry.value,
            field=".value",
        ),
        Rule(
            "self.operator == 'Exists' || (has(self.key) && self.key != '')",
            "must be Exists where key is empty: name a key, or use operator Exists",
            lambda entry: entry.operator == "Exists" or bool(entry.key),
            field=".operator",
        ),
        Rule(
            f"!has(self.key) || self.key == '' || self.key.matches(r'{LABEL_KEY_PATTERN}')",
            "must be the key of a taint, such as nvidia.com/gpu",
            lambda entry: not entry.key or _is_label_key(entry.key),
            field=".key",
        ),
        Rule(
            "!has(self.tolerationSeconds) || (has(self.effect) && self.effect == 'NoExecute')",
            "must only be set with effect NoExecute: set that effect, or remove it",
            lambda entry: entry.toleration_seconds is None or entry.effect == "NoExecute",
            field=".tolerationSeconds",
        ),
    )


class SecurityContext(ApiModel):
    """As whom a pod runs. Privileges and capabilities cannot be asked for."""

    run_as_user: Annotated[int, Field(ge=1, le=2**31 - 1)] | None = None
    """User id of the process, never root; none means the image's."""
    run_as_group: Annotated[int, Field(ge=1, le=2**31 - 1)] | None = None
    """Group id of the process."""
    run_as_non_root: bool | None = None
    """Whether the kubelet refuses to start the image as root."""
    fs_group: Annotated[int, Field(ge=1, le=2**31 - 1)] | None = None
    """Group that owns the volumes."""
    read_only_root_filesystem: bool | None = None
    """Whether only volumes can be written."""


class WorkerTemplate(ApiModel):
    """What runs in each worker, and with what: the allow-listed part of a pod."""

    image: Image | None = None
    """Container image; none means the pool's default."""
    command: Words = []
    """Replaces the image's entrypoint; it is run as it stands, without a shell."""
    args: Words = []
    """Arguments of the command."""
    env: Env = []
    """Environment variables; what trainpush sets itself cannot be overridden."""
    env_from: Annotated[list[EnvFrom], Field(max_length=16)] = []
    """ConfigMaps and Secrets whose keys become variables."""
    working_dir: Annotated[str, Field(max_length=1024)] | None = None
    """Directory the command starts in; none means the image's."""
    volumes: Annotated[list[Volume], MapBy("name"), Field(max_length=32)] = []
    """Volumes of the kinds that stay within the namespace."""
    volume_mounts: Annotated[list[VolumeMount], MapBy("mountPath"), Field(max_length=32)] = []
    """Where volumes appear in the container."""
    image_pull_policy: PullPolicy | None = None
    """When the kubelet pulls the image; none means Kubernetes decides by the tag."""
    image_pull_secrets: PullSecrets = []
    """Secrets with credentials for the image's registry."""
    labels: PodLabels = {}
    """More labels for the pods, outside reserved domains."""
    annotations: PodAnnotations = {}
    """More annotations for the pods, outside reserved domains."""
    tolerations: Annotated[list[Toleration], Field(max_length=16)] = []
    """Taints that the workers bear, besides those that the pool gives."""
    security_context: SecurityContext | None = None
    """As whom the worker runs."""
    shared_memory: Quantity = "1Gi"
    """Size of /dev/shm, in memory; counts against the worker's memory limit."""

    rules = (
        Rule(
            "!has(self.volumeMounts) || self.volumeMounts.all(m, "
            "has(self.volumes) && self.volumes.exists(v, v.name == m.name))",
            "must name an entry of volumes: add the volume, or correct the mount's name",
            lambda worker: {mount.name for mount in worker.volume_mounts} <= {entry.name for entry in worker.volumes},
            field=".volumeMounts",
        ),
        Rule(
            "!has(self.tolerations) || self.tolerations.all(t, "
            f"has(t.key) && t.key != '' && !t.key.startsWith('{names.GROUP}/'))",
            f"must name a taint by its key, and not one of {names.GROUP}: which of those are borne, the pool decides",
            lambda worker: all(
                entry.key and not entry.key.startswith(f"{names.GROUP}/") for entry in worker.tolerations
            ),
            field=".tolerations",
        ),
    )
