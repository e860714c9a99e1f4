"""Whom we trust at the other end of a secure channel, and how we prove who we are.

Rule: a server is trusted because its own certificate, or that of the authority that signed it, lies
in our folder; nothing that it says of itself can replace that, and there is no way without.
"""

from collections.abc import Iterator, Sequence
from contextlib import suppress
from datetime import datetime
from pathlib import Path

from asyncua import ua
from asyncua.crypto.security_policies import (
    SecurityPolicy,
    SecurityPolicyAes256Sha256RsaPss,
    SecurityPolicyBasic256Sha256,
)
from cryptography import x509
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey, RSAPublicKey
from cryptography.hazmat.primitives.serialization import load_pem_private_key

from drivers.credentials import CredentialError, KeyPair, read_credential
from drivers.settings import OpcUaSecurity

_POLICIES: dict[str, type[SecurityPolicy]] = {
    "Basic256Sha256": SecurityPolicyBasic256Sha256,
    "Aes256_Sha256_RsaPss": SecurityPolicyAes256Sha256RsaPss,
}
_KEY_BITS_MIN = 2048
"""OPC UA part 7: the shortest key that both policies allow."""
_TRUSTED_MAX = 1000
_SUFFIXES = frozenset({".der", ".pem", ".crt", ".cer"})
_PEM = b"-----BEGIN"


def choose_endpoint(
    endpoints: Sequence[ua.EndpointDescription], security: OpcUaSecurity
) -> ua.EndpointDescription:
    """Return the server's endpoint with the wanted policy and mode.

    Raises:
        CredentialError: It has none.
    """
    uri, mode = _POLICIES[security.policy].URI, ua.MessageSecurityMode[security.mode]
    for endpoint in endpoints:
        if endpoint.SecurityPolicyUri == uri and endpoint.SecurityMode == mode:
            return endpoint
    offered = {
        f"{str(endpoint.SecurityPolicyUri).rpartition('#')[2]} {endpoint.SecurityMode.name}"
        for endpoint in endpoints
    }
    what = f"the server does not offer {security.policy} {security.mode}"
    raise CredentialError(what, f"switch it on there; it offers {', '.join(sorted(offered))}")


def check_server(
    certificate: x509.Certificate, security: OpcUaSecurity, host: str, now: datetime
) -> None:
    """Return if the server's certificate may be trusted.

    One that lies in the folder itself is trusted whatever host it names: nobody else has its key.

    Raises:
        CredentialError: It may not.
    """
    name = certificate.subject.rfc4514_string()
    key = certificate.public_key()
    if not isinstance(key, RSAPublicKey) or key.key_size < _KEY_BITS_MIN:
        what = f"the server's key is no RSA key of {_KEY_BITS_MIN} bits or more"
        raise CredentialError(what, "give the server a new certificate")
    if not certificate.not_valid_before_utc <= now <= certificate.not_valid_after_utc:
        span = f"{certificate.not_valid_before_utc:%F} to {certificate.not_valid_after_utc:%F}"
        what = f"the server's certificate holds from {span}, and it is {now:%F}"
        raise CredentialError(what, "renew it, or correct the clock of this machine")
    trusted = list(_trusted(Path(security.trust)))
    if certificate in trusted:
        return
    if not any(_has_signed(authority, certificate, now) for authority in trusted):
        remedy = f"if it is the right one, put it, or who signed it, into {security.trust}"
        raise CredentialError(f"the server's certificate ({name}) is not trusted", remedy)
    if host not in _hosts(certificate):
        what = f"the server's certificate ({name}) is not for {host}"
        raise CredentialError(what, "reach it by a name that stands in it, or have it renewed")


def secure_policy(security: OpcUaSecurity, server: x509.Certificate) -> tuple[SecurityPolicy, str]:
    """Return what signs and encrypts to this server, and the URI in our own certificate.

    Raises:
        CredentialError: Our own certificate or key is of no use.
    """
    own, key = own_identity(KeyPair(certificate=security.certificate, key=security.key))
    mode = ua.MessageSecurityMode[security.mode]
    return _POLICIES[security.policy](server, own, key, mode), _application_uri(own)


def own_identity(pair: KeyPair) -> tuple[x509.Certificate, RSAPrivateKey]:
    """Return a certificate of ours and its key.

    Raises:
        CredentialError: They cannot be read, or are no pair.
    """
    certificate = load_certificate(
        read_credential(pair.certificate, is_secret=False), pair.certificate
    )
    try:
        key = load_pem_private_key(read_credential(pair.key, is_secret=True), password=None)
    except (ValueError, TypeError) as error:
        raise CredentialError(f"{pair.key} is no private key in PEM", "make a new one") from error
    if not isinstance(key, RSAPrivateKey) or key.public_key() != certificate.public_key():
        what = f"{pair.key} is not the key of {pair.certificate}"
        raise CredentialError(what, "take the two that were made together")
    return certificate, key


def load_certificate(data: bytes, name: str) -> x509.Certificate:
    """Return the first certificate in DER or PEM.

    Raises:
        CredentialError: There is none.
    """
    try:
        if data.startswith(_PEM):
            return x509.load_pem_x509_certificate(data)
        # A server may send its whole chain; the outer length ends its own certificate.
        return x509.load_der_x509_certificate(data[: int.from_bytes(data[2:4], "big") + 4])
    except ValueError as error:
        raise CredentialError(f"{name} is no certificate", "write it as DER or PEM") from error


def _trusted(folder: Path) -> Iterator[x509.Certificate]:
    """Yield the certificates in our folder; it is read anew each time, so a new one counts."""
    try:
        paths = sorted(path for path in folder.iterdir() if path.suffix in _SUFFIXES)
    except OSError as error:
        what = f"the folder {folder} cannot be read: {error.strerror}"
        raise CredentialError(what, "make it, and put the server's certificate there") from error
    for path in paths[:_TRUSTED_MAX]:
        # A stray file in a folder that many devices share must not cut them all off.
        with suppress(CredentialError):
            yield load_certificate(read_credential(str(path), is_secret=False), str(path))


def _has_signed(authority: x509.Certificate, certificate: x509.Certificate, now: datetime) -> bool:
    if not authority.not_valid_before_utc <= now <= authority.not_valid_after_utc:
        return False
    try:
        constraints = authority.extensions.get_extension_for_class(x509.BasicConstraints)
        certificate.verify_directly_issued_by(authority)
    except (x509.ExtensionNotFound, InvalidSignature, ValueError, TypeError):
        return False
    return constraints.value.ca


def _hosts(certificate: x509.Certificate) -> frozenset[str]:
    try:
        names = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    except x509.ExtensionNotFound:
        return frozenset()
    addresses = names.get_values_for_type(x509.IPAddress)
    return frozenset(names.get_values_for_type(x509.DNSName)) | frozenset(map(str, addresses))


def _application_uri(certificate: x509.Certificate) -> str:
    """Return the URI in a certificate: a server refuses a client that calls itself otherwise."""
    try:
        names = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
        return names.get_values_for_type(x509.UniformResourceIdentifier)[0]
    except (x509.ExtensionNotFound, IndexError) as error:
        what = "our certificate has no application URI"
        raise CredentialError(what, "make one as docs/drivers/opcua.md shows") from error
