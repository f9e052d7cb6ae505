"""The operator's certificates: who trusts them, and what is no authority."""

import base64
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa

from trainpush.kube import certificates
from trainpush.kube.certificates import Authority, BadAuthorityError
from trainpush.kube.client import Object

NOW = datetime(2026, 1, 1, tzinfo=UTC)
HOSTS = ("trainpush-operator.ns.svc", "trainpush-operator.ns.svc.cluster.local", "trainpush-operator.ns")


@pytest.fixture(scope="module")
def authority() -> Authority:
    """One that was made at NOW."""
    return certificates.new_authority(NOW)


def a_secret(certificate: bytes, key: bytes) -> Object:
    """As the API server gives it back."""
    data = {"tls.crt": certificate, "tls.key": key}
    encoded = {name: base64.b64encode(text).decode() for name, text in data.items()}
    return {"metadata": {"namespace": "ns", "name": "trainpush-ca"}, "data": encoded}


def pem_of(authority: Authority) -> tuple[bytes, bytes]:
    """Certificate and key."""
    key = authority.key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    return authority.pem.encode(), key


def test_a_secret_gives_back_what_it_holds(authority: Authority) -> None:
    found = certificates.read_authority(a_secret(*pem_of(authority)), NOW)
    assert found.certificate == authority.certificate
    assert found.key.private_numbers() == authority.key.private_numbers()


def test_a_certificate_is_good_for_the_names_of_the_service_and_ends_after_90_days(authority: Authority) -> None:
    made = certificates.serving(authority, HOSTS, NOW)
    certificate = x509.load_pem_x509_certificate(made.pem)
    certificate.verify_directly_issued_by(authority.certificate)
    names = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    assert tuple(names.get_values_for_type(x509.DNSName)) == HOSTS
    assert certificate.not_valid_after_utc == NOW + timedelta(days=90)
    assert made.renew_at == NOW + timedelta(days=60)


def test_another_certificate_is_shown_to_whoever_connects_next(authority: Authority) -> None:
    """Without a file that would hold the key."""
    context = certificates.server_context()
    for _ in range(2):
        certificates.use(context, certificates.serving(authority, HOSTS, NOW))


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"data": None}, "holds no certificate"),
        ({"data": {}}, "holds no certificate"),
        ({"data": {"tls.crt": "", "tls.key": ""}}, "holds no certificate"),
        ({"data": {"tls.crt": "%%%", "tls.key": "%%%"}}, "holds no certificate"),
        ({"data": {"tls.crt": 1, "tls.key": 2}}, "holds no certificate"),
    ],
    ids=str,
)
def test_a_broken_secret_is_told_in_one_line(change: dict[str, Any], says: str) -> None:
    with pytest.raises(BadAuthorityError, match=r"Secret ns/trainpush-ca: it .*restore it, or delete it") as error:
        certificates.read_authority({**a_secret(b"", b""), **change}, NOW)
    assert says in str(error.value)
    assert "\n" not in str(error.value)


def test_a_key_of_somebody_else(authority: Authority) -> None:
    for key in (certificates.new_authority(NOW).key, rsa.generate_private_key(65537, 2048)):
        text = key.private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        )
        with pytest.raises(BadAuthorityError, match="not the one of the certificate"):
            certificates.read_authority(a_secret(authority.pem.encode(), text), NOW)


def test_an_authority_that_ends_before_what_it_would_sign(authority: Authority) -> None:
    late = authority.certificate.not_valid_after_utc - timedelta(days=80)
    with pytest.raises(BadAuthorityError, match="the certificate ends on 2035-12-30"):
        certificates.read_authority(a_secret(*pem_of(authority)), late)
