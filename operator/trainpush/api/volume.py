"""Volumes that stay within the namespace, and where they appear in a container."""

from typing import Annotated, Literal

from pydantic import Field

from trainpush.api.base import ApiModel, Rule
from trainpush.api.env import OptionalReference
from trainpush.api.quantity import Quantity
from trainpush.api.text import DNS_LABEL_PATTERN, Name, matches


class ConfigMapVolume(OptionalReference):
    """A ConfigMap of the same namespace as files."""


class SecretVolume(ApiModel):
    """A Secret of the same namespace as files."""

    secret_name: Name
    """Its name."""
    optional: bool = False
    """Whether the pod starts without it."""


class ClaimVolume(ApiModel):
    """A PersistentVolumeClaim of the same namespace."""

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
    """A volume of a pod; exactly one kind is set."""

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
    """A claim in the same namespace."""
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
            lambda path: (
                matches(_MOUNT_PATH_PATTERN)(path) and not matches(f"{_KEPT_FOLDER_PATTERN}|{_DOTS_PATTERN}")(path)
            ),
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
                lambda path: not path.startswith("/") and not matches(_DOTS_PATTERN)(path),
            ),
        ]
        | None
    ) = None
    """Path inside the volume; none means its root."""
    read_only: bool = False
    """Whether the worker may only read."""
