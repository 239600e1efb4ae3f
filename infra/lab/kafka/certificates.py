"""An authority of the lab's own and the one certificate it ever signs: that of its brokers, for loopback.

The authority's key is not kept, so that nobody else is ever vouched for.
"""

import shutil
from datetime import timedelta
from ipaddress import IPv4Address
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives.asymmetric.ec import (
    SECP256R1,
    EllipticCurvePrivateKey,
    generate_private_key,
)
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from infra.clock import Clock
from infra.lab import processes

BROKERS = "siji-lab-brokers"
"""The common name by which brokers know each other."""
VALID_DAYS = 3650


def ensure(folder: Path, who: processes.Account) -> None:
    """ca.pem, which anybody reads, and broker.pem (key in PKCS 8, then certificate), which `who` alone reads.

    Whole or not at all; does nothing if they are there.
    """
    if folder.exists():
        return
    making = folder.with_suffix(".making")
    shutil.rmtree(making, ignore_errors=True)
    making.mkdir(mode=0o755)
    authority_key, key = generate_private_key(SECP256R1()), generate_private_key(SECP256R1())
    authority = _authority(authority_key)
    (making / "ca.pem").write_bytes(authority.public_bytes(Encoding.PEM))
    file = making / "broker.pem"
    file.touch(mode=0o600)
    file.write_bytes(
        key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
        + _certificate(key, authority, authority_key).public_bytes(Encoding.PEM)
    )
    processes.give(file, who, mode=0o600)
    making.rename(folder)


def _authority(key: EllipticCurvePrivateKey) -> x509.Certificate:
    name = _name("siji-lab-ca")
    identifier = x509.SubjectKeyIdentifier.from_public_key(key.public_key())
    return (
        _valid(x509.CertificateBuilder())
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .add_extension(_usage(signs_certificates=True), critical=True)
        .add_extension(identifier, critical=False)
        .sign(key, SHA256())
    )


def _certificate(
    key: EllipticCurvePrivateKey, authority: x509.Certificate, authority_key: EllipticCurvePrivateKey
) -> x509.Certificate:
    names = x509.SubjectAlternativeName([x509.DNSName("localhost"), x509.IPAddress(IPv4Address("127.0.0.1"))])
    uses = x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH, ExtendedKeyUsageOID.CLIENT_AUTH])
    issuer = x509.AuthorityKeyIdentifier.from_issuer_public_key(authority_key.public_key())
    return (
        _valid(x509.CertificateBuilder())
        .subject_name(_name(BROKERS))
        .issuer_name(authority.subject)
        .public_key(key.public_key())
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .add_extension(_usage(signs_certificates=False), critical=True)
        .add_extension(names, critical=False)
        .add_extension(uses, critical=False)
        .add_extension(issuer, critical=False)
        .sign(authority_key, SHA256())
    )


def _valid(builder: x509.CertificateBuilder) -> x509.CertificateBuilder:
    """From a day ago, for clocks that differ."""
    since = Clock().now() - timedelta(days=1)
    numbered = builder.serial_number(x509.random_serial_number())
    return numbered.not_valid_before(since).not_valid_after(since + timedelta(days=VALID_DAYS))


def _usage(*, signs_certificates: bool) -> x509.KeyUsage:
    return x509.KeyUsage(
        digital_signature=not signs_certificates,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        key_cert_sign=signs_certificates,
        crl_sign=signs_certificates,
        encipher_only=False,
        decipher_only=False,
    )


def _name(common: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, common)])
