"""The part of a pod that users may set: an allow-list, no field of which reaches beyond the job's namespace.

Not here on purpose: host paths and namespaces, privileges, service accounts, node names, other containers.
"""

from typing import Annotated, Literal

from pydantic import Field

from trainpush.api import names
from trainpush.api.base import ApiModel, MapBy, Rule
from trainpush.api.quantity import Quantity
from trainpush.api.text import (
    DNS_LABEL_PATTERN,
    IDENTIFIER_PATTERN,
    KEY_MAX,
    LABEL_KEY_PATTERN,
    LABEL_VALUE_PATTERN,
    RESERVED_KEY_PATTERN,
    Image,
    Name,
    Words,
    matches,
)

_is_label_key, _is_label_value = matches(LABEL_KEY_PATTERN), matches(LABEL_VALUE_PATTERN)
_is_reserved_key = matches(RESERVED_KEY_PATTERN)
_RESERVED_ENV_PATTERN = f"^({'|'.join(names.RESERVED_ENV)})$|^({'|'.join(names.RESERVED_ENV_PREFIXES)})"
_is_reserved_env = matches(_RESERVED_ENV_PATTERN)

Identifier = Annotated[
    str,
    Field(max_length=253),
    Rule(
        f"self.matches(r'{IDENTIFIER_PATTERN}')",
        "must be a C identifier: letters, digits and _, not starting with a digit",
        matches(IDENTIFIER_PATTERN),
    ),
]
Key = Annotated[
    str,
    Field(max_length=253),
    Rule(
        "self.matches(r'^[-._a-zA-Z0-9]+$')",
        "must be a key: letters, digits, -, _ and .",
        matches("^[-._a-zA-Z0-9]+$"),
    ),
]
ARE_LABELS = Rule(
    f"self.all(k, k.size() <= {KEY_MAX} && k.matches(r'{LABEL_KEY_PATTERN}') "
    f"&& self[k].matches(r'{LABEL_VALUE_PATTERN}'))",
    "must be labels: letters, digits, -, _ and ., at most 63 in name and value, after an optional domain and /",
    lambda labels: all(len(k) <= KEY_MAX and _is_label_key(k) and _is_label_value(v) for k, v in labels.items()),
)
"""Labels as Kubernetes accepts them."""
Labels = dict[str, Annotated[str, Field(max_length=63)]]
_OURS = Rule(
    f"self.all(k, !k.matches(r'{RESERVED_KEY_PATTERN}'))",
    f"must not have keys in a reserved domain ({', '.join(names.RESERVED_PREFIXES)}): use a domain of your own",
    lambda keys: not any(_is_reserved_key(key) for key in keys),
)


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


class Reference(ApiModel):
    """An object in the job's namespace."""

    name: Name
    """Its name."""


class OptionalReference(Reference):
    """An object in the job's namespace that need not exist."""

    optional: bool = False
    """Whether the worker starts without it."""


class KeyReference(OptionalReference):
    """One key of a Secret or ConfigMap."""

    key: Key
    """The key whose value is used."""


class FieldReference(ApiModel):
    """A field of the worker's own pod."""

    field_path: Literal[
        "metadata.name",
        "metadata.namespace",
        "metadata.uid",
        "spec.nodeName",
        "status.hostIP",
        "status.podIP",
    ]
    """Path of the field."""


class EnvSource(ApiModel):
    """Where a variable takes its value from; exactly one member is set."""

    secret_key_ref: KeyReference | None = None
    """A key of a Secret. The operator never reads it: the kubelet does."""
    config_map_key_ref: KeyReference | None = None
    """A key of a ConfigMap."""
    field_ref: FieldReference | None = None
    """A field of the pod."""

    rules = (
        Rule(
            "[has(self.secretKeyRef), has(self.configMapKeyRef), has(self.fieldRef)].exists_one(x, x)",
            "must have exactly one of secretKeyRef, configMapKeyRef and fieldRef",
            lambda source: (
                [source.secret_key_ref, source.config_map_key_ref, source.field_ref].count(None) == 2  # noqa: PLR2004
            ),
        ),
    )


class EnvVar(ApiModel):
    """One environment variable of a worker."""

    name: Identifier
    """Its name, a C identifier."""
    value: Annotated[str, Field(max_length=32768)] | None = None
    """Its value; none means empty, unless valueFrom is set."""
    value_from: EnvSource | None = None
    """Where its value comes from, instead of value."""

    rules = (
        Rule(
            f"!self.name.matches(r'{_RESERVED_ENV_PATTERN}')",
            "must not be a variable that trainpush or the node sets "
            f"({', '.join(f'{prefix}*' for prefix in names.RESERVED_ENV_PREFIXES)}, {', '.join(names.RESERVED_ENV)}): "
            "remove it or rename it",
            lambda variable: not _is_reserved_env(variable.name),
            field=".name",
        ),
        Rule(
            "!has(self.value) || !has(self.valueFrom)",
            "must not be set beside value: keep one of the two",
            lambda variable: variable.value is None or variable.value_from is None,
            field=".valueFrom",
        ),
    )


class EnvFrom(ApiModel):
    """All keys of one ConfigMap or Secret as variables; exactly one member is set."""

    config_map_ref: OptionalReference | None = None
    """The ConfigMap."""
    secret_ref: OptionalReference | None = None
    """The Secret. The operator never reads it: the kubelet does."""
    prefix: Identifier
    """Put before each key, so that no key can become a variable that trainpush or the node sets."""

    rules = (
        Rule(
            f"!self.prefix.matches(r'{_RESERVED_ENV_PATTERN}') && "
            f"!{[*names.RESERVED_ENV, *names.RESERVED_ENV_PREFIXES]}.exists(n, n.startsWith(self.prefix))",
            "must not begin a variable that trainpush or the node sets "
            f"({', '.join(f'{prefix}*' for prefix in names.RESERVED_ENV_PREFIXES)}, {', '.join(names.RESERVED_ENV)}): "
            "choose another, such as APP_",
            lambda source: (
                not _is_reserved_env(source.prefix)
                and not any(n.startswith(source.prefix) for n in (*names.RESERVED_ENV, *names.RESERVED_ENV_PREFIXES))
            ),
            field=".prefix",
        ),
        Rule(
            "has(self.configMapRef) != has(self.secretRef)",
            "must have exactly one of configMapRef and secretRef",
            lambda source: (source.config_map_ref is None) != (source.secret_ref is None),
        ),
    )


class ConfigMapVolume(OptionalReference):
    """A ConfigMap of the job's namespace as files."""


class SecretVolume(ApiModel):
    """A Secret of the job's namespace as files."""

    secret_name: Name
    """Its name."""
    optional: bool = False
    """Whether the worker starts without it."""


class ClaimVolume(ApiModel):
    """A PersistentVolumeClaim of the job's namespace."""

    claim_name: Name
    """Its name."""
    read_only: bool = False
    """Whether every mount of it is read-only."""


class EmptyDirVolume(ApiModel):
    """A directory that lives as long as the pod."""

    medium: Literal["", "Memory"] = ""
    """Memory counts against the worker's memory limit; empty means the node's disk."""
    size_limit: Quantity | None = None
    """The pod is evicted when it grows beyond this."""


class Volume(ApiModel):
    """A volume of a worker; exactly one kind is set."""

    name: Annotated[
        str,
        Field(max_length=63),
        Rule(
            f"self.matches(r'{DNS_LABEL_PATTERN}') && !self.startsWith('trainpush-')",
            "must be lower case letters, digits and -, at most 63, and must not start with trainpush-",
            lambda name: matches(DNS_LABEL_PATTERN)(name) and not name.startswith("trainpush-"),
        ),
    ]
    """Name by which mounts refer to it."""
    config_map: ConfigMapVolume | None = None
    """A ConfigMap as files."""
    secret: SecretVolume | None = None
    """A Secret as files. The operator never reads it: the kubelet does."""
    persistent_volume_claim: ClaimVolume | None = None
    """A claim in the job's namespace."""
    empty_dir: EmptyDirVolume | None = None
    """An empty directory."""

    rules = (
        Rule(
            "[has(self.configMap), has(self.secret), has(self.persistentVolumeClaim), has(self.emptyDir)]"
            ".exists_one(x, x)",
            "must have exactly one of configMap, secret, persistentVolumeClaim and emptyDir",
            lambda volume: (
                [volume.config_map, volume.secret, volume.persistent_volume_claim, volume.empty_dir].count(None) == 3  # noqa: PLR2004
            ),
        ),
    )


_MOUNT_PATH_PATTERN = "^(/[^/:]+)+$"
_KEPT_FOLDERS = ("dev", "proc", "sys", "trainpush")
_KEPT_FOLDER_PATTERN = f"^/({'|'.join(_KEPT_FOLDERS)})(/|$)"
_DOTS_PATTERN = "(^|/)[.][.]?(/|$)"


def _is_mount_path(path: str) -> bool:
    unwanted = (_KEPT_FOLDER_PATTERN, _DOTS_PATTERN)
    return matches(_MOUNT_PATH_PATTERN)(path) and not any(matches(pattern)(path) for pattern in unwanted)


def _is_sub_path(path: str) -> bool:
    return not path.startswith("/") and not matches(_DOTS_PATTERN)(path)


class VolumeMount(ApiModel):
    """Where a volume appears in a worker."""

    name: Annotated[str, Field(max_length=63)]
    """Name of an entry of volumes."""
    mount_path: Annotated[
        str,
        Field(max_length=1024),
        Rule(
            f"self.matches(r'{_MOUNT_PATH_PATTERN}') && !self.matches(r'{_KEPT_FOLDER_PATTERN}') "
            f"&& !self.matches(r'{_DOTS_PATTERN}')",
            "must be an absolute path such as /data, without :, . or .. and no / at its end, "
            f"outside {', '.join(f'/{folder}' for folder in _KEPT_FOLDERS)}",
            _is_mount_path,
        ),
    ]
    """Absolute path in the container."""
    sub_path: (
        Annotated[
            str,
            Field(max_length=1024),
            Rule(
                f"!self.startsWith('/') && !self.matches(r'{_DOTS_PATTERN}')",
                "must be a relative path without . and ..",
                _is_sub_path,
            ),
        ]
        | None
    ) = None
    """Path inside the volume; none means its root."""
    read_only: bool = False
    """Whether the worker may only read."""


class SecurityContext(ApiModel):
    """As whom a worker runs. Privileges and capabilities cannot be asked for."""

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
    env: Annotated[list[EnvVar], MapBy("name"), Field(max_length=128)] = []
    """Environment variables; what trainpush sets itself cannot be overridden."""
    env_from: Annotated[list[EnvFrom], Field(max_length=16)] = []
    """ConfigMaps and Secrets whose keys become variables."""
    working_dir: Annotated[str, Field(max_length=1024)] | None = None
    """Directory the command starts in; none means the image's."""
    volumes: Annotated[list[Volume], MapBy("name"), Field(max_length=32)] = []
    """Volumes of the kinds that stay within the namespace."""
    volume_mounts: Annotated[list[VolumeMount], MapBy("mountPath"), Field(max_length=32)] = []
    """Where volumes appear in the container."""
    image_pull_policy: Literal["Always", "IfNotPresent", "Never"] | None = None
    """When the kubelet pulls the image; none means Kubernetes decides by the tag."""
    image_pull_secrets: Annotated[list[Reference], MapBy("name"), Field(max_length=8)] = []
    """Secrets with credentials for the image's registry."""
    labels: Annotated[Labels, Field(max_length=16), ARE_LABELS, _OURS] = {}
    """More labels for the pods, outside reserved domains."""
    annotations: Annotated[
        dict[str, Annotated[str, Field(max_length=4096)]],
        Field(max_length=16),
        Rule(
            f"self.all(k, k.size() <= {KEY_MAX} && k.matches(r'{LABEL_KEY_PATTERN}'))",
            "must have keys of letters, digits, -, _ and ., at most 63, after an optional domain and /",
            lambda keys: all(len(key) <= KEY_MAX and _is_label_key(key) for key in keys),
        ),
        _OURS,
    ] = {}
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
