"""Where the API server is and how the operator proves who it is."""

import asyncio
import ssl
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from os import environ, pathsep
from pathlib import Path
from typing import TYPE_CHECKING, Final

import yaml

from trainpush.telemetry.logs import logger

if TYPE_CHECKING:
    from kubernetes.client import Configuration
    from kubernetes.config.kube_config import ConfigNode, KubeConfigLoader

REREAD_SECONDS: Final = 10.0
"""How long a token is used before its source is asked again; the kubelet renews tokens minutes before they expire."""

DEFAULT_KUBECONFIG: Final = "~/.kube/config"
REMEDY: Final = "name the right file in TRAINPUSH_KUBECONFIG or KUBECONFIG"

_log = logger(__name__)


class CredentialsError(Exception):
    """Configuration that does not lead to an API server; one line with the file and the remedy."""


@dataclass(frozen=True, slots=True)
class Endpoint:
    """The API server and everything about the connection that does not change; certificates as PEM."""

    source: str
    """Where this was read, for messages: `kubeconfig /path` or `in-cluster ServiceAccount`."""
    server: str
    namespace: str
    """The namespace of the ServiceAccount or of the context; `default` where none is named."""
    ca_data: bytes | None = None
    certificate_data: bytes | None = None
    private_key_data: bytes | None = None
    insecure: bool = False
    tls_server_name: str | None = None
    proxy_url: str | None = None


class Credentials:
    """An endpoint, its TLS context, and an Authorization header that is always fresh."""

    def __init__(
        self,
        endpoint: Endpoint,
        context: ssl.SSLContext,
        read: Callable[[], str | None],
        *,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """Keep `read`, which returns the header's value now; it may block (files, exec plugins)."""
        self.endpoint = endpoint
        self.ssl_context = context
        self._read = read
        self._clock = clock
        self._value = read()
        self._read_at = clock()
        self._lock = asyncio.Lock()

    async def authorization(self) -> str | None:
        """The value of the Authorization header, or None where a client certificate does.

        When the source cannot be read the last value stays in use: the server decides whether it still holds.
        """
        async with self._lock:
            if self._clock() - self._read_at >= REREAD_SECONDS:
                try:
                    self._value = await asyncio.to_thread(self._read)
                except CredentialsError as error:
                    _log.warning("credentials not renewed", source=self.endpoint.source, error=str(error))
                self._read_at = self._clock()
        return self._value

    def expire(self) -> None:
        """Ask the source again before the next request: the server just refused the present value."""
        self._read_at = float("-inf")


def load(kubeconfig: str | None = None, context: str | None = None) -> Credentials:
    """Credentials from `kubeconfig`, else $KUBECONFIG, else the in-cluster ServiceAccount, else ~/.kube/config.

    Raises:
        CredentialsError: nothing usable there.
    """
    chosen = kubeconfig or environ.get("KUBECONFIG")
    if chosen or context or "KUBERNETES_SERVICE_HOST" not in environ:
        return _from_kubeconfig(chosen or DEFAULT_KUBECONFIG, context)
    return _from_service_account()


def _from_service_account() -> Credentials:
    # The library is imported where it is used: it costs 20 MB, which `trainpush crds` need not pay.
    from kubernetes.client import Configuration  # noqa: PLC0415
    from kubernetes.config import incluster_config  # noqa: PLC0415

    source = "in-cluster ServiceAccount"
    configuration = Configuration()
    token_file = Path(incluster_config.SERVICE_TOKEN_FILENAME)
    with _one_line(source, "set automountServiceAccountToken on the operator's pod"):
        incluster_config.load_incluster_config(configuration, try_refresh_token=False)  # type: ignore[no-untyped-call]
        endpoint = Endpoint(
            source=source,
            server=configuration.host,
            namespace=token_file.with_name("namespace").read_text().strip() or "default",
            ca_data=_pem(configuration.ssl_ca_cert),
        )
        return Credentials(endpoint, _ssl_context(endpoint), lambda: _bearer(source, token_file))


def _from_kubeconfig(paths: str, context: str | None) -> Credentials:
    from kubernetes.client import Configuration  # noqa: PLC0415
    from kubernetes.config.kube_config import KubeConfigLoader, KubeConfigMerger  # noqa: PLC0415

    source = f"kubeconfig {paths}"
    if not any(Path(path).expanduser().exists() for path in paths.split(pathsep) if path):
        msg = f"{source}: no such file; {REMEDY}"
        raise CredentialsError(msg)
    configuration = Configuration()
    # The library writes embedded keys to files; this folder takes them along when the context has been built.
    with _one_line(source, REMEDY), tempfile.TemporaryDirectory() as scratch:
        config = KubeConfigMerger(paths).config  # type: ignore[no-untyped-call]
        chosen = _context_name(source, config, context)
        loader = KubeConfigLoader(  # type: ignore[no-untyped-call]
            config, active_context=chosen, config_base_path=None, temp_file_path=scratch
        )
        loader.load_and_set(configuration)  # type: ignore[no-untyped-call]
        endpoint = _endpoint(source, loader, config, configuration)
        ssl_context = _ssl_context(endpoint, configuration)
        return Credentials(endpoint, ssl_context, _token_reader(source, loader, config, configuration))


def _context_name(source: str, config: "ConfigNode", wanted: str | None) -> str:
    known = [entry["name"] for entry in config["contexts"]]
    name = wanted or config.safe_get("current-context")  # type: ignore[no-untyped-call]
    if not name:
        msg = f"{source}: no current-context; name one of {', '.join(known) or 'none at all'} in TRAINPUSH_CONTEXT"
        raise CredentialsError(msg)
    if name not in known:
        msg = f"{source}: no context {name!r}; it has {', '.join(known) or 'none'}"
        raise CredentialsError(msg)
    return str(name)


def _endpoint(
    source: str, loader: "KubeConfigLoader", config: "ConfigNode", configuration: "Configuration"
) -> Endpoint:
    context = loader.current_context["context"]
    cluster = config["clusters"].get_with_name(context["cluster"])["cluster"]
    return Endpoint(
        source=source,
        server=cluster["server"].rstrip("/"),
        namespace=context.get("namespace") or "default",
        ca_data=_pem(configuration.ssl_ca_cert),
        certificate_data=_pem(configuration.cert_file),
        private_key_data=_pem(configuration.key_file),
        insecure=not configuration.verify_ssl,
        tls_server_name=cluster.safe_get("tls-server-name"),
        # Not configuration.proxy: the library fills that from the environment, too.
        proxy_url=cluster.safe_get("proxy-url"),
    )


def _token_reader(
    source: str, loader: "KubeConfigLoader", config: "ConfigNode", configuration: "Configuration"
) -> Callable[[], str | None]:
    user = config["users"].get_with_name(loader.current_context["context"].get("user"), safe=True)
    entry = user["user"] if user and user.safe_get("user") else None
    if entry is not None and entry.safe_get("tokenFile"):
        # The library reads a tokenFile only once.
        token_file = Path(user.path).parent / entry["tokenFile"]
        return lambda: _bearer(source, token_file)
    if entry is not None and "exec" in entry and not (configuration.api_key or configuration.cert_file):
        msg = f"{source}: the exec plugin {entry['exec']['command']!r} gave no credentials; run it by hand to see why"
        raise CredentialsError(msg)
    return lambda: _from_library(source, configuration)


def _from_library(source: str, configuration: "Configuration") -> str | None:
    with _one_line(source, REMEDY):
        return configuration.get_api_key_with_prefix("BearerToken")


def _bearer(source: str, token_file: Path) -> str:
    try:
        token = token_file.read_text().strip()
    except OSError as error:
        msg = f"{source}: token file {token_file}: {error.strerror}"
        raise CredentialsError(msg) from None
    if not token:
        msg = f"{source}: token file {token_file} is empty"
        raise CredentialsError(msg)
    return f"Bearer {token}"


def _pem(path: str | None) -> bytes | None:
    return Path(path).read_bytes() if path else None


def _ssl_context(endpoint: Endpoint, files: "Configuration | None" = None) -> ssl.SSLContext:
    """The TLS context of `endpoint`; the client's key can only be loaded from `files`."""
    context = ssl.create_default_context(cadata=endpoint.ca_data.decode() if endpoint.ca_data else None)
    # Python 3.13 sets this flag; many clusters' own authorities lack the extensions that it asks for, and Go does not.
    context.verify_flags &= ~ssl.VERIFY_X509_STRICT
    if endpoint.insecure:
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
    if files is not None and files.cert_file:
        context.load_cert_chain(files.cert_file, files.key_file)
    return context


@contextmanager
def _one_line(source: str, remedy: str) -> Iterator[None]:
    """Turn whatever the library, YAML, TLS or the file system raise into one CredentialsError."""
    from kubernetes.config import ConfigException  # noqa: PLC0415

    try:
        yield
    except CredentialsError:
        raise
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        where = f" (line {mark.line + 1})" if mark else ""
        msg = f"{source}: not valid YAML{where}; {remedy}"
        raise CredentialsError(msg) from None
    except ssl.SSLError as error:
        msg = f"{source}: a certificate or key in it is unusable ({error.reason or error}); {remedy}"
        raise CredentialsError(msg) from None
    except OSError as error:
        msg = f"{source}: {error.filename or 'file'}: {error.strerror}; {remedy}"
        raise CredentialsError(msg) from None
    except ConfigException as error:
        msg = f"{source}: {' '.join(str(error).split())}; {remedy}"
        raise CredentialsError(msg) from None
    except (AttributeError, KeyError, TypeError, ValueError) as error:
        # The library does not check shapes: a list where a map belongs ends in one of these.
        msg = f"{source}: not a kubeconfig ({' '.join(str(error).split())}); {remedy}"
        raise CredentialsError(msg) from None
