"""Certificates for tests: authorities, and what they sign, written as DER and PEM."""

from datetime import UTC, datetime, timedelta
from ipaddress import ip_address
from pathlib import Path
from typing import NamedTuple

from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

DAYS = 3650
BORN = datetime(2026, 1, 1, tzinfo=UTC)


class Identity(NamedTuple):
    """A certificate and its key, and the files that hold them."""

    certificate: x509.Certificate
    key: rsa.RSAPrivateKey
    der: Path
    crt: Path
    pem: Path


def identity(
    folder: Path, name: str, *, uri: str = "", host: str = "", signer: Identity | None = None
) -> Identity:
    """Return a new identity, signed by itself or by an authority; one without a URI is one."""
    key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
    is_authority = not uri
    builder = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(subject if signer is None else signer.certificate.subject)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(BORN)
        .not_valid_after(BORN + timedelta(days=DAYS))
        .add_extension(x509.BasicConstraints(ca=is_authority, path_length=None), critical=True)
    )
    if not is_authority:
        names = [x509.UniformResourceIdentifier(uri)]
        names += [x509.IPAddress(ip_address(host))] if host else []
        usage = [ExtendedKeyUsageOID.CLIENT_AUTH, ExtendedKeyUsageOID.SERVER_AUTH]
        builder = builder.add_extension(x509.SubjectAlternativeName(names), critical=False)
        builder = builder.add_extension(x509.ExtendedKeyUsage(usage), critical=False)
        builder = builder.add_extension(_usage(), critical=True)
    certificate = builder.sign(key if signer is None else signer.key, SHA256())
    der, crt, pem = (folder / f"{name}.{ending}" for ending in ("der", "crt", "pem"))
    der.write_bytes(certificate.public_bytes(Encoding.DER))
    crt.write_bytes(certificate.public_bytes(Encoding.PEM))
    pem.write_bytes(key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))
    pem.chmod(0o640)
    return Identity(certificate, key, der, crt, pem)


def _usage() -> x509.KeyUsage:
    return x509.KeyUsage(
        digital_signature=True,
        content_commitment=True,
        key_encipherment=True,
        data_encipherment=True,
        key_agreement=False,
        key_cert_sign=False,
        crl_sign=False,
        encipher_only=False,
        decipher_only=False,
    )
