"""Environment variables of a container, and the objects of the same namespace that they take their values from."""

from typing import Annotated, Literal

from pydantic import Field

from trainpush.api import names
from trainpush.api.base import ApiModel, MapBy, Rule
from trainpush.api.text import IDENTIFIER_PATTERN, Name, like, matches

_RESERVED_ENV_PATTERN = f"^({'|'.join(names.RESERVED_ENV)})$|^({'|'.join(names.RESERVED_ENV_PREFIXES)})"
_is_reserved_env = matches(_RESERVED_ENV_PATTERN)

Identifier = Annotated[
    str,
    Field(max_length=253),
    like(IDENTIFIER_PATTERN, "must be a C identifier: letters, digits and _, not starting with a digit"),
]
Key = Annotated[str, Field(max_length=253), like(r"^[-._a-zA-Z0-9]+$", "must be a key: letters, digits, -, _ and .")]


class Reference(ApiModel):
    """An object in the same namespace."""

    name: Name
    """Its name."""


class OptionalReference(Reference):
    """An object in the same namespace that need not exist."""

    optional: bool = False
    """Whether the pod starts without it."""


class KeyReference(OptionalReference):
    """One key of a Secret or ConfigMap."""

    key: Key
    """The key whose value is used."""


class FieldReference(ApiModel):
    """A field of the pod itself."""

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
    """One environment variable of a container."""

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


Env = Annotated[list[EnvVar], MapBy("name"), Field(max_length=128)]
"""Environment variables of one container."""
