"""How the simulated OPC UA server behaves, and whom it lets in.

Rule: what a server may do wrong in the field is a field of `OpcUaManners`; nothing here decides
when.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from asyncua import ua
from asyncua.crypto.permission_rules import SimpleRoleRuleset, User, UserRole
from asyncua.crypto.truststore import TrustStore
from asyncua.crypto.validator import CertificateValidator, CertificateValidatorOptions
from asyncua.server.server import Server
from asyncua.server.user_managers import UserManager

from core.point import Tag


@dataclass(frozen=True, slots=True, kw_only=True)
class OpcUaManners:
    """How a server behaves, for better or worse.

    Attributes:
        stamps_all: Each scan of the PLC renews the source time of each value, changed or not.
        statuses: Status code that a point shows in place of Good.
        is_frozen: The program stands: no value and no source time moves, though the server answers.
        clock_ahead_s: Its clock, and with it every source time, is ahead of the truth by so much.
        absent: Points that the server lacks from its next start on.
        namespaces_before: URIs that take the indices before ours from its next start on.
    """

    stamps_all: bool = False
    statuses: Mapping[Tag, int] = field(default_factory=dict)
    is_frozen: bool = False
    clock_ahead_s: float = 0.0
    absent: frozenset[Tag] = frozenset()
    namespaces_before: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class OpcUaDoor:
    """Who may come in, and how; without one everybody may, and nothing is signed.

    Attributes:
        certificate: The server's certificate, DER.
        key: Its private key, PEM.
        trust: Folder of the certificates of clients that may come in.
        uri: Application URI in the certificate.
        policies: The only policies that are offered, by asyncua's names.
        passwords: Passwords by user; without any, and without certificates, everybody comes in.
        user_certificates: Certificates, DER, with which a person comes in without a password.
    """

    certificate: Path
    key: Path
    trust: Path
    uri: str
    policies: tuple[str, ...] = ("Basic256Sha256_SignAndEncrypt",)
    passwords: Mapping[str, str] = field(default_factory=dict)
    user_certificates: frozenset[bytes] = frozenset()


class OpcUaUsers(UserManager):
    """Lets in whom the door knows, and everybody where there is none, as plain users."""

    def __init__(self, door: OpcUaDoor | None) -> None:
        self._door = door

    def get_user(
        self,
        iserver: object,
        username: str | None = None,
        password: str | None = None,
        certificate: object = None,
    ) -> User | None:
        """Return the user, or None to turn it away."""
        del iserver
        door = self._door
        is_known = (
            door is None
            or not (door.passwords or door.user_certificates)
            or (password is not None and door.passwords.get(username or "") == password)
            or (username is None and certificate in door.user_certificates)
        )
        return User(role=UserRole.User) if is_known else None


async def guard(server: Server, door: OpcUaDoor) -> None:
    """Let in through `server` only whom the door lets in."""
    await server.set_application_uri(door.uri)
    rules = SimpleRoleRuleset()  # type: ignore[no-untyped-call] # the library gives it no type
    policies = [ua.SecurityPolicyType[name] for name in door.policies]
    server.set_security_policy(policies, permission_ruleset=rules)
    tokens: list[type] = [
        token
        for token, is_offered in (
            (ua.UserNameIdentityToken, door.passwords),
            (ua.X509IdentityToken, door.user_certificates),
        )
        if is_offered
    ]
    server.set_identity_tokens(tokens or [ua.AnonymousIdentityToken])
    await server.load_certificate(str(door.certificate))
    await server.load_private_key(door.key)
    trust = TrustStore([door.trust], [])
    await trust.load()
    options = (
        CertificateValidatorOptions.TRUSTED_VALIDATION | CertificateValidatorOptions.PEER_CLIENT
    )
    server.set_certificate_validator(CertificateValidator(options, trust))
