"""What strings may look like: patterns that CEL (RE2) and Python read alike."""

import re
from collections.abc import Callable
from typing import Annotated, Any, Final

from pydantic import Field

from trainpush.api.base import Rule
from trainpush.api.names import RESERVED_PREFIXES

DNS_LABEL_PATTERN: Final = r"^[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?$"
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


def like(pattern: str, message: str) -> Rule:
    """The rule that a string matches `pattern` from `^` to `$`; `message` says what is accepted."""
    return Rule(f"self.matches(r'{pattern}')", message, matches(pattern))


Name = Annotated[
    str,
    Field(max_length=253),
    like(DNS_NAME_PATTERN, "must be the name of an object: lower case letters, digits, - and ., at most 253"),
]
"""Name of an object in the same namespace, or of a cluster-scoped one."""
Image = Annotated[
    str,
    Field(min_length=1, max_length=512),
    like(r"^[^\s]+$", "must be an image reference without spaces, such as registry.example/team/train:1.0"),
]
"""Reference of a container image."""
Message = Annotated[str, Field(max_length=4096)]
"""A sentence for people."""
Words = Annotated[list[Annotated[str, Field(max_length=4096)]], Field(max_length=256)]
"""A command or its arguments."""
FewWords = Annotated[list[Annotated[str, Field(max_length=1024)]], Field(max_length=64)]
"""The same where a status repeats it: with the whole of an object it must stay below what etcd takes."""

CLAIM_URI_PATTERN: Final = r"^pvc://[a-z0-9]([-a-z0-9.]*[a-z0-9])?(/[A-Za-z0-9._-]+)*$"
_IS_CLAIM_URI: Final = Rule(
    f"self.matches(r'{CLAIM_URI_PATTERN}') && !self.contains('..')",
    "must be pvc://CLAIM or pvc://CLAIM/PATH, with a PersistentVolumeClaim of the same namespace",
    lambda uri: matches(CLAIM_URI_PATTERN)(uri) and ".." not in uri,
)
ClaimUri = Annotated[str, Field(max_length=512), _IS_CLAIM_URI]
"""A directory on a PersistentVolumeClaim of the same namespace."""
ModelUri = Annotated[str, Field(max_length=640), _IS_CLAIM_URI]
"""A model directory: room for a `ClaimUri`, a slash and a digest."""
DIGEST_PATTERN: Final = r"^sha256:[0-9a-f]{64}$"
Digest = Annotated[
    str, Field(max_length=71), like(DIGEST_PATTERN, "must be sha256: and 64 hexadecimal digits in lower case")
]
"""Digest of the files of a directory."""


def claim_and_path(uri: str) -> tuple[str, str]:
    """Claim and path inside it, of a `ClaimUri`; the path is empty for the claim's root."""
    claim, _, path = uri.removeprefix("pvc://").partition("/")
    return claim, path


def short_name(longest: int) -> Rule:
    """For kinds whose names begin the names of pods and Services: DNS labels of at most `longest` characters."""
    return Rule(
        f"self.metadata.name.size() <= {longest} && "
        f"self.metadata.name.matches(r'{DNS_LABEL_PATTERN}') && self.metadata.name.matches('^[a-z]')",
        f"must be at most {longest} lower case letters, digits and -, starting with a letter: "
        "choose another metadata.name",
        lambda thing: len(thing.name) <= longest and matches(DNS_LABEL_PATTERN)(thing.name) and thing.name[0].isalpha(),
        field=".metadata.name",
    )
