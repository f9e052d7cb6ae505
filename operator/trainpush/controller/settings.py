"""How this process was told to run: environment variables `TRAINPUSH_*`, parsed once."""

import os
import socket
from typing import Literal

from pydantic import Field
from pydantic_settings import BaseSettings, SettingsConfigDict

PREFIX = "TRAINPUSH_"
OF_OTHERS = frozenset({"TRAINPUSH_CACHE", "TRAINPUSH_REQUIRE", "TRAINPUSH_TESTBED", "TRAINPUSH_TEST_KUBECONFIG"})
"""Variables of the test bed and the tests, which a developer's shell may hold."""


class Settings(BaseSettings):
    """Every setting with its default; each is the environment variable of the same name in capitals."""

    model_config = SettingsConfigDict(env_prefix=PREFIX, frozen=True, extra="forbid", use_attribute_docstrings=True)

    kubeconfig: str | None = None
    """Path of a kubeconfig; unset: $KUBECONFIG, the pod's ServiceAccount, ~/.kube/config, in this order."""
    context: str | None = None
    """Context of the kubeconfig; unset: its current one."""
    namespace: str = "trainpush-system"
    """Namespace of the Lease that decides which replica writes."""
    identity: str = Field(default_factory=lambda: f"{socket.gethostname()}-{os.getpid()}")
    """Name of this replica in the Lease."""
    listen: str = "0.0.0.0"  # noqa: S104 - probes and Prometheus come from other hosts
    """Address for /metrics, /healthz and /readyz."""
    port: int = Field(default=8080, ge=0, le=65535)
    """Port for them; 0 takes a free one."""
    pod: str = ""
    """Name of the pod that this replica runs in, in its namespace; unset: it runs outside of the cluster, and workers
    report nothing to it."""
    endpoint_port: int = Field(default=8443, ge=0, le=65535)
    """Port at which workers report to it, over TLS; the Service for workers leads there."""
    log_level: Literal["DEBUG", "INFO", "WARNING", "ERROR"] = "INFO"
    """Least level of a line that is written."""
    log_format: Literal["json", "text"] = "json"
    """json for machines, text for people."""
    proxy_image: str = Field(default="docker.io/library/haproxy:3.2", min_length=1)
    """Image of the proxy that stands before every model server and lets it go without dropping a request."""

    @classmethod
    def variables(cls) -> list[str]:
        """Names of all environment variables that are read."""
        return [PREFIX + name.upper() for name in cls.model_fields]


def unknown_variables(environment: dict[str, str]) -> list[str]:
    """Variables with our prefix that no setting reads: misspelt, most likely."""
    known = {*Settings.variables(), *OF_OTHERS}
    return sorted(name for name in environment if name.startswith(PREFIX) and name not in known)
