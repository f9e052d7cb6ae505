"""What strings may look like: patterns that CEL (RE2) and Python read alike."""

import re
from collections.abc import Callable
from typing import Annotated, Any, Final

from pydantic import Field

from trainpush.api.base import Rule
from trainpush.api.names import RESERVED_PREFIXES

DNS_LABEL: Final = r"[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?"
DNS_LABEL_PATTERN: Final = rf"^{DNS_LABEL}$"
DNS_NAME_PATTERN: Final = r"^[a-z0-9]([-a-z0-9]*[a-z0-9])?([.][a-z0-9]([-a-z0-9]*[a-z0-9])?)*$"
LABEL_KEY_PATTERN: Final = r"^([a-z0-9]([-a-z0-9.]*[a-z0-9])?/)?[A-Za-z0-9]([-A-Za-z0-9_.]{0,61}[A-Za-z0-9])?$"
LABEL_VALUE_PATTERN: Final = r"^([A-Za-z0-9]([-A-Za-z0-9_.]{0,61}[A-Za-z0-9])?)?$"
IDENTIFIER_PATTERN: Final = r"^[A-Za-z_][A-Za-z0-9_]*$"
_EXTENDED: Final = r"[a-z0-9]([-a-z0-9.]*[a-z0-9])?/[A-Za-z0-9]([-A-Za-z0-9_.]{0,61}[A-Za-z0-9])?"
EXTENDED_RESOURCE_PATTERN: Final = rf"^{_EXTENDED}$"
RESOURCE_PATTERN: Final = rf"^(cpu|memory|ephemeral-storage|hugepages-[0-9]+[KMG]i|{_EXTENDED})$"
KEY_MAX: Final = 317
"""Longest key of a label or name of a resource: a domain of 253, a slash and 63."""
_RESERVED: Final = "|".join(prefix.replace(".", "[.]") for prefix in RESERVED_PREFIXES)
RESERVED_KEY_PATTERN: Final = rf"^([^/]*[.])?({_RESERVED})/"


def matches(pattern: str) -> Callable[[Any], bool]:
    """A predicate for a `Rule`: whether a string matches `pattern` from `^` to `$`."""
    compiled = re.compile(pattern.replace("$", r"\Z"))
    return lambda value: compiled.search(value) is not None


Name = Annotated[
    str,
    Field(max_length=253),
    Rule(
        f"self.matches(r'{DNS_NAME_PATTERN}')",
        "must be the name of an object: lower case letters, digits, - and ., at most 253",
        matches(DNS_NAME_PATTERN),
    ),
]
"""Name of an object in the same namespace, or of a cluster-scoped one."""
Image = Annotated[
    str,
    Field(min_length=1, max_length=512),
    Rule(
        r"self.matches(r'^[^\s]+$')",
        "must be an image reference without spaces, such as registry.example/team/train:1.0",
        matches(r"^[^\s]+$"),
    ),
]
"""Reference of a container image."""
Message = Annotated[str, Field(max_length=4096)]
"""A sentence for people."""
Words = Annotated[list[Annotated[str, Field(max_length=4096)]], Field(max_length=256)]
"""A command or its arguments."""
