"""Who may talk to a bed: its certificate authority, client certificates, ServiceAccount tokens, kubeconfigs.

A bed's certificates last a year and are made anew whenever the bed comes up from nothing.
"""

import base64
import ipaddress
import json
import subprocess
from pathlib import Path
from typing import TYPE_CHECKING

from .report import BedError

if TYPE_CHECKING:
    from .bed import Bed

# Python 3.13 refuses certificates without key identifiers, and an authority without keyUsage.
EXTENSIONS = """
[req]
distinguished_name = subject
[subject]
[authority]
basicConstraints = critical, CA:TRUE
keyUsage = critical, keyCertSign, digitalSignature
subjectKeyIdentifier = hash
[client]
basicConstraints = critical, CA:FALSE
keyUsage = critical, digitalSignature
extendedKeyUsage = clientAuth
subjectKeyIdentifier = hash
authorityKeyIdentifier = keyid
[server]
basicConstraints = critical, CA:FALSE
keyUsage = critical, digitalSignature
extendedKeyUsage = serverAuth
subjectKeyIdentifier = hash
authorityKeyIdentifier = keyid
"""


def certificate_authority(bed: "Bed") -> Path:
    """Return the bed's authority (PEM; its key lies beside it), made at the first call."""
    certificate = bed.certificates / "ca.crt"
    if not certificate.exists():
        bed.certificates.mkdir(parents=True, exist_ok=True)
        _request(bed, "ca", "/CN=trainpush-testbed", "authority")
    return certificate


def server_certificate(bed: "Bed", name: str, hosts: list[str]) -> tuple[Path, Path]:
    """Return certificate and key for a server that is reached under these names and addresses."""
    names = ",".join(f"IP:{host}" if _is_address(host) else f"DNS:{host}" for host in hosts)
    return _certificate(bed, name, f"/CN={name}", "server", names)


def client_certificate(bed: "Bed", user: str, groups: list[str]) -> tuple[Path, Path]:
    """Return certificate and key that name a user, and the groups that RBAC sees."""
    subject = "".join(f"/O={_escaped(group)}" for group in groups) + f"/CN={_escaped(user)}"
    return _certificate(bed, _file_name(user), subject, "client")


def client_kubeconfig(bed: "Bed", user: str, groups: list[str]) -> Path:
    """Return a kubeconfig with a client certificate for this user, made at the first call."""
    path = bed.accounts / f"{_file_name(user)}.kubeconfig"
    if not path.exists():
        certificate, key = client_certificate(bed, user, groups)
        credentials = {"client-certificate-data": _encoded(certificate), "client-key-data": _encoded(key)}
        _write_kubeconfig(bed, path, user, credentials)
    return path


def service_account_kubeconfig(bed: "Bed", namespace: str, name: str) -> Path:
    """Return a kubeconfig with a fresh 24 h token of a ServiceAccount; namespace and account are created if absent."""
    for kind, manifest in {
        "Namespace": {"metadata": {"name": namespace}},
        "ServiceAccount": {"metadata": {"name": name, "namespace": namespace}},
    }.items():
        document = json.dumps({"apiVersion": "v1", "kind": kind, **manifest})
        # Server-side: leaves what others set on it alone, and is quiet when it already stands.
        bed.kubectl("apply", "--server-side", "--field-manager=testbed", "-f", "-", stdin=document)
    token = bed.kubectl("create", "token", name, "--namespace", namespace, "--duration=24h").strip()
    path = bed.accounts / f"{namespace}.{name}.kubeconfig"
    _write_kubeconfig(bed, path, f"{namespace}.{name}", {"token": token})
    return path


def signing_key(bed: "Bed") -> tuple[Path, Path]:
    """Return private and public key for ServiceAccount tokens, made at the first call."""
    private, public = bed.certificates / "tokens.key", bed.certificates / "tokens.pub"
    if not public.exists():
        _openssl("ecparam", "-name", "prime256v1", "-genkey", "-noout", "-out", str(private))
        _openssl("ec", "-in", str(private), "-pubout", "-out", str(public))
    return private, public


def _certificate(bed: "Bed", name: str, subject: str, kind: str, names: str = "") -> tuple[Path, Path]:
    certificate, key = bed.certificates / f"{name}.crt", bed.certificates / f"{name}.key"
    if not certificate.exists():
        authority = certificate_authority(bed)
        signer = ["-CA", str(authority), "-CAkey", str(authority.with_suffix(".key"))]
        _request(bed, name, subject, kind, *signer, *(["-addext", f"subjectAltName={names}"] if names else []))
    return certificate, key


def _request(bed: "Bed", name: str, subject: str, kind: str, *more: str) -> None:
    """Make a key and a certificate for it, self-signed unless `more` names a signer."""
    settings = bed.certificates / "openssl.cnf"
    settings.write_text(EXTENSIONS)
    partial, key = bed.certificates / f"{name}.crt.new", bed.certificates / f"{name}.key"
    kind_of_key = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-noenc", "-keyout", str(key)]
    profile = ["-config", str(settings), "-extensions", kind, "-days", "365", "-subj", subject, "-utf8"]
    _openssl("req", "-x509", *kind_of_key, *profile, *more, "-out", str(partial))
    partial.replace(bed.certificates / f"{name}.crt")


def _openssl(*arguments: str) -> None:
    try:
        subprocess.run(["openssl", *arguments], check=True, capture_output=True, text=True)
    except FileNotFoundError:
        raise BedError("the test bed makes certificates with openssl 3: install openssl") from None
    except subprocess.CalledProcessError as error:
        raise BedError(f"openssl {arguments[0]} failed: {error.stderr.strip().splitlines()[-1]}") from None


def _write_kubeconfig(bed: "Bed", path: Path, user: str, credentials: dict[str, str]) -> None:
    """Write a kubeconfig in JSON, which every reader of YAML reads."""
    cluster = {"server": bed.server, "certificate-authority-data": _encoded(certificate_authority(bed))}
    document = {
        "apiVersion": "v1",
        "kind": "Config",
        "clusters": [{"name": bed.name, "cluster": cluster}],
        "users": [{"name": user, "user": credentials}],
        "contexts": [{"name": bed.name, "context": {"cluster": bed.name, "user": user}}],
        "current-context": bed.name,
    }
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_suffix(".new")
    partial.touch(mode=0o600)
    partial.write_text(json.dumps(document, indent=2) + "\n")
    partial.replace(path)


def _encoded(file: Path) -> str:
    return base64.b64encode(file.read_bytes()).decode()


def _file_name(user: str) -> str:
    return user.replace(":", "-").replace("/", "-")


def _escaped(text: str) -> str:
    return text.replace("\\", "\\\\").replace("/", "\\/").replace("+", "\\+")


def _is_address(host: str) -> bool:
    try:
        ipaddress.ip_address(host)
    except ValueError:
        return False
    return True
