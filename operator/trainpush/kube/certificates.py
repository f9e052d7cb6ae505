"""The operator's own certificates: an authority in a Secret, and a certificate from it that lives in memory."""

import base64
import os
import ssl
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Final

from cryptography import x509
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from trainpush.api import names
from trainpush.kube.client import Client, Object
from trainpush.kube.errors import AlreadyExists, NotFound
from trainpush.kube.resources import SECRETS

AUTHORITY_LIFE: Final = timedelta(days=3650)
"""Workers carry the authority in their environment, so it must outlive every training."""
SERVING_LIFE: Final = timedelta(days=90)
RENEW_BEFORE: Final = timedelta(days=30)
"""How long before its end a certificate is made anew."""
CLOCK_SKEW: Final = timedelta(hours=1)
"""How late the clock of a worker may be."""
_CERTIFICATE, _KEY = "tls.crt", "tls.key"


class BadAuthorityError(Exception):
    """The Secret of the authority cannot be used; one line with the remedy."""


@dataclass(frozen=True, slots=True)
class Authority:
    """Who signs the certificates of the operator."""

    certificate: x509.Certificate
    key: ec.EllipticCurvePrivateKey

    @property
    def pem(self) -> str:
        """The certificate, for those who are to trust it."""
        return _pem(self.certificate).decode()


@dataclass(frozen=True, slots=True)
class Serving:
    """A certificate with its key, and until when it is to be replaced."""

    pem: bytes
    """Certificate and key."""
    renew_at: datetime


async def authority(client: Client, namespace: str) -> Authority:
    """The authority of this installation, made by whichever replica asks first.

    Raises:
        BadAuthorityError: the Secret is there, and is broken or over. No other is made in its place, since the workers
            that run trust the old one alone.
        ApiError: the API server refused.
    """
    try:
        found = await client.get(SECRETS, names.CA_SECRET, namespace)
    except NotFound:
        try:
            found = await client.create(SECRETS, _secret(new_authority(datetime.now(UTC)), namespace))
        except AlreadyExists:
            found = await client.get(SECRETS, names.CA_SECRET, namespace)
    return read_authority(found, datetime.now(UTC))


def read_authority(secret: Object, now: datetime) -> Authority:
    """The authority in a Secret.

    Raises:
        BadAuthorityError: it is broken, or ends before a certificate that it signs `now` would.
    """
    try:
        data = {name: base64.b64decode(secret["data"][name], validate=True) for name in (_CERTIFICATE, _KEY)}
        certificate = x509.load_pem_x509_certificate(data[_CERTIFICATE])
        key = serialization.load_pem_private_key(data[_KEY], password=None)
    except (KeyError, TypeError, ValueError, UnsupportedAlgorithm) as error:
        raise _bad(secret, f"it holds no certificate with its key ({type(error).__name__})") from None
    if not isinstance(key, ec.EllipticCurvePrivateKey) or key.public_key() != certificate.public_key():
        raise _bad(secret, "the key is not the one of the certificate")
    if certificate.not_valid_after_utc < now + SERVING_LIFE:
        raise _bad(secret, f"the certificate ends on {certificate.not_valid_after_utc:%Y-%m-%d}")
    return Authority(certificate, key)


def new_authority(now: datetime) -> Authority:
    """Another authority."""
    key = ec.generate_private_key(ec.SECP256R1())
    subject = _name("trainpush")
    builder = _builder(subject, subject, key, now, now + AUTHORITY_LIFE)
    builder = builder.add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
    builder = builder.add_extension(_usage(signs=True), critical=True)
    return Authority(builder.sign(key, hashes.SHA256()), key)


def serving(authority: Authority, hosts: Sequence[str], now: datetime) -> Serving:
    """A certificate for a server under the DNS names `hosts`, the shortest of which is its name."""
    key = ec.generate_private_key(ec.SECP256R1())
    issuer = authority.certificate.subject
    builder = _builder(_name(min(hosts, key=len)), issuer, key, now, now + SERVING_LIFE)
    builder = builder.add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
    builder = builder.add_extension(_usage(signs=False), critical=True)
    builder = builder.add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH]), critical=False)
    builder = builder.add_extension(x509.SubjectAlternativeName([x509.DNSName(host) for host in hosts]), critical=False)
    signer = x509.AuthorityKeyIdentifier.from_issuer_public_key(authority.key.public_key())
    builder = builder.add_extension(signer, critical=False)
    certificate = builder.sign(authority.key, hashes.SHA256())
    return Serving(_pem(certificate) + _key_pem(key), certificate.not_valid_after_utc - RENEW_BEFORE)


def server_context() -> ssl.SSLContext:
    """What a server speaks TLS by, still without a certificate."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    return context


def use(context: ssl.SSLContext, serving: Serving) -> None:
    """Show this certificate to everybody who connects from now on."""
    # OpenSSL takes a path only. A file in memory has one, and leaves no key on a disk.
    file = os.memfd_create("trainpush-serving", os.MFD_CLOEXEC)
    try:
        os.write(file, serving.pem)
        context.load_cert_chain(f"/proc/self/fd/{file}")
    finally:
        os.close(file)


def _builder(
    subject: x509.Name, issuer: x509.Name, key: ec.EllipticCurvePrivateKey, now: datetime, until: datetime
) -> x509.CertificateBuilder:
    identifier = x509.SubjectKeyIdentifier.from_public_key(key.public_key())
    builder = x509.CertificateBuilder(subject_name=subject, issuer_name=issuer, public_key=key.public_key())
    builder = builder.serial_number(x509.random_serial_number()).add_extension(identifier, critical=False)
    return builder.not_valid_before(now - CLOCK_SKEW).not_valid_after(until)


def _usage(*, signs: bool) -> x509.KeyUsage:
    """What a key may be used for: to sign certificates, or to prove who a server is."""
    others = dict.fromkeys(
        ("content_commitment", "key_encipherment", "data_encipherment", "key_agreement", "encipher_only"), False
    )
    return x509.KeyUsage(
        digital_signature=not signs, key_cert_sign=signs, crl_sign=signs, decipher_only=False, **others
    )


def _secret(made: Authority, namespace: str) -> Object:
    return {
        "apiVersion": SECRETS.api_version,
        "kind": SECRETS.kind,
        "metadata": {
            "name": names.CA_SECRET,
            "namespace": namespace,
            "labels": {names.LABEL_APP: "trainpush", names.LABEL_COMPONENT: "operator"},
        },
        "type": "kubernetes.io/tls",
        "stringData": {_CERTIFICATE: made.pem, _KEY: _key_pem(made.key).decode()},
    }


def _name(common: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, common)])


def _pem(certificate: x509.Certificate) -> bytes:
    return certificate.public_bytes(serialization.Encoding.PEM)


def _key_pem(key: ec.EllipticCurvePrivateKey) -> bytes:
    plain = serialization.NoEncryption()
    return key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, plain)


def _bad(secret: Object, why: str) -> BadAuthorityError:
    name = f"{secret['metadata']['namespace']}/{secret['metadata']['name']}"
    remedy = "restore it, or delete it to have a new one made, which the workers that run now do not trust"
    return BadAuthorityError(f"Secret {name}: {why}; {remedy}")
