"""One connection to an OPC UA server, from its first byte to its last.

Rule: a connection is never repaired; whatever the library raises leaves here as a `DriverError`,
and what is configured to be secure is secure or does not come about.
"""

import asyncio
import logging
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from urllib.parse import urlsplit

from asyncua import ua
from asyncua.client.client import Client
from asyncua.client.ua_session import UaSession
from asyncua.ua.attribute_ids import AttributeIds
from asyncua.ua.object_ids import ObjectIds
from asyncua.ua.status_codes import StatusCodes
from asyncua.ua.uaerrors import UaStatusCodeError

from core.clock import Clock
from drivers.base import DriverError, Garbled, Refused, Unreachable, Untrusted
from drivers.credentials import CredentialError, read_password
from drivers.node_address import NodeAddress
from drivers.opcua_nodes import Found, find_nodes
from drivers.opcua_security import (
    check_server,
    choose_endpoint,
    load_certificate,
    own_identity,
    secure_policy,
)
from drivers.settings import OpcUa, OpcUaSecurity

# The link says once what asyncua would say at every poll.
logging.getLogger("asyncua").setLevel(logging.CRITICAL)

_SESSION_S = 90.0
"""A session that we lost costs a small PLC one of its few for so long; the longest scan is 60 s."""
_RENEW_SHARE = 0.75
"""OPC UA part 4, 5.5.2.1: renew a channel after three quarters of its life."""
_CLOSE_S_MAX = 0.5
_FULL = frozenset({StatusCodes.BadTooManySessions, StatusCodes.BadMaxConnectionsReached})
_UNTRUSTED = frozenset(
    {
        *(getattr(StatusCodes, name) for name in dir(StatusCodes) if "BadCertificate" in name),
        StatusCodes.BadSecurityChecksFailed,
        StatusCodes.BadSecurityPolicyRejected,
        StatusCodes.BadSecurityModeRejected,
        StatusCodes.BadSecurityModeInsufficient,
        StatusCodes.BadIdentityTokenInvalid,
        StatusCodes.BadIdentityTokenRejected,
        StatusCodes.BadUserAccessDenied,
        StatusCodes.BadUserSignatureInvalid,
        StatusCodes.BadApplicationSignatureInvalid,
        StatusCodes.BadNonceInvalid,
    }
)
_TRUST_US = "trust our certificate at the server, and check user and password"


class Connection:
    """A client whose session is open, or is being opened.

    Args:
        device: Name of the device, for errors.
        settings: Its address, its security and its timings.
        clock: Tells whether a certificate still holds.
    """

    def __init__(self, device: str, settings: OpcUa, clock: Clock) -> None:
        self._device = device
        self._settings = settings
        self._clock = clock
        self._client: Client | None = None
        self._renew_at_s = 0.0
        self.read_max = self.write_max = 0

    @property
    def is_open(self) -> bool:
        """True from the first byte until the connection breaks or is dropped."""
        return self._client is not None and _transport(self._client) is not None

    @property
    def session(self) -> UaSession:
        """The session; only while `is_open`."""
        assert self._client is not None, "a connection is used after its end"
        return self._client.uaclient.session

    async def open(self, addresses: Sequence[NodeAddress]) -> Found:
        """Open channel and session, and find the nodes.

        Step by step: the library's own `connect` would start tasks that wake twice a second to
        watch what the link watches anyway.

        Raises:
            CredentialError: One side does not trust the other.
            DriverError: The server will not.
        """
        client = Client(self._settings.endpoint, timeout=self._settings.timeout_s)
        client.name = client.description = "heatd"
        client.session_timeout = int(_SESSION_S * 1000)
        self._client = client
        if self._settings.security is not None:
            await self._secure(client, self._settings.security)
        await client.connect_socket()
        await client.send_hello()
        await client.open_secure_channel()
        try:
            await client.create_session()
            await self._activate(client)
        except UaStatusCodeError as error:
            raise self._refusal(error) from error
        self._plan_renewal(client)
        return await self._look_around(addresses)

    async def renew_if_due(self) -> None:
        """Renew the channel when most of its life is over."""
        client = self._client
        assert client is not None, "a connection is used after its end"
        if asyncio.get_running_loop().time() >= self._renew_at_s:
            await client.open_secure_channel(renew=True)
            client.uaclient.revolve_security_token()
            self._plan_renewal(client)

    async def close(self) -> None:
        """End the session, so that the server may give it to somebody else, and the connection."""
        client = self._client
        try:
            if client is not None and self.is_open:
                await self._take_leave(client)
        finally:
            self.drop()

    async def _take_leave(self, client: Client) -> None:
        async with asyncio.timeout(min(_CLOSE_S_MAX, self._settings.timeout_s)):
            with plainly_cancelled():
                await client.close_session()
                await client.close_secure_channel()

    def drop(self) -> None:
        """Cut the connection, without a word to the server."""
        client, self._client = self._client, None
        if client is not None:
            _cut(client)

    def error_of(self, error: Exception) -> DriverError:
        """Return what an error of the library means."""
        device, settings = self._device, self._settings
        match error:
            case DriverError():
                return error
            case CredentialError():
                meant: DriverError = Untrusted(device, error.what, error.remedy)
            case TimeoutError():
                what = f"no answer within {settings.timeout_s:g} s"
                meant = Unreachable(device, what, "check the device and the network")
            case OSError():
                what = f"no connection to {settings.endpoint}"
                meant = Unreachable(device, what, "check its power, the network and its address")
            case UaStatusCodeError():
                meant = self._refusal(error)
            case AssertionError() if settings.security is not None:
                # The library asserts where a server refuses our certificate.
                meant = Untrusted(device, "the server refuses our certificate", _TRUST_US)
            case _:
                what = f"its server breaks the protocol ({error!r})"
                meant = Garbled(device, what, "update it")
        return meant

    def _refusal(self, error: UaStatusCodeError) -> DriverError:
        what = f"its server says {type(error).__name__}"
        if error.code in _FULL:
            # Each further attempt could take the place that is about to become free.
            remedy = "close other clients, or allow more sessions there"
            return Refused(self._device, what, remedy, wait_s=_SESSION_S)
        if error.code in _UNTRUSTED:
            return Untrusted(self._device, what, _TRUST_US)
        return Refused(self._device, what, "look the code up in OPC UA part 6, annex A")

    async def _secure(self, client: Client, security: OpcUaSecurity) -> None:
        """Ask the server for its certificate, and speak to no other from here on."""
        asker = Client(self._settings.endpoint, timeout=self._settings.timeout_s)
        try:
            endpoints = await asker.connect_and_get_server_endpoints()
        finally:
            _cut(asker)
        offered = choose_endpoint(endpoints, security).ServerCertificate or b""
        server = load_certificate(offered, "what the server sends")
        host = urlsplit(self._settings.endpoint).hostname or ""
        check_server(server, security, host, self._clock.now().utc)
        policy, client.application_uri = secure_policy(security, server)
        client.security_policy = policy  # type: ignore[assignment] # the library names its first value's class
        client.uaclient.set_security(policy)

    async def _activate(self, client: Client) -> None:
        user, pair = self._settings.user, self._settings.user_certificate
        if pair is not None:
            certificate, client.user_private_key = own_identity(pair)
            client.user_certificate = certificate
            await client.activate_session(certificate=certificate)
        elif user is not None:
            self._must_hide_the_password(client)
            await client.activate_session(username=user.name, password=read_password(user))
        else:
            await client.activate_session()

    def _must_hide_the_password(self, client: Client) -> None:
        """Return if nobody on the way can read the password."""
        policy = client.server_policy(ua.UserTokenType.UserName)
        is_plain = str(policy.SecurityPolicyUri or "").endswith("#None")
        mode = client.security_policy.Mode
        if is_plain and mode != ua.MessageSecurityMode.SignAndEncrypt:
            what = "the server wants the password in the clear"
            raise CredentialError(what, "write `mode: SignAndEncrypt`")

    async def _look_around(self, addresses: Sequence[NodeAddress]) -> Found:
        """Ask for the server's namespaces and limits, and find the nodes."""
        limits = (
            ObjectIds.Server_ServerCapabilities_OperationLimits_MaxNodesPerRead,
            ObjectIds.Server_ServerCapabilities_OperationLimits_MaxNodesPerWrite,
        )
        asked = read_request([standard_node(i) for i in (ObjectIds.Server_NamespaceArray, *limits)])
        uris, read_max, write_max = [
            None if item.Value is None else item.Value.Value
            for item in await self.session.read(asked)
        ]
        # 0, or no such node, stands for no limit (part 5, 6.3.11).
        self.read_max, self.write_max = int(read_max or 0), int(write_max or 0)
        known = [str(uri) for uri in uris or ()]
        found = await find_nodes(self.session, addresses, known, self._settings.namespace)
        if addresses and not found.nodes:
            what = f"none of its nodes is there: {next(iter(found.missing.values()))}"
            raise Refused(
                self._device, what, f"correct namespace and map; it has {', '.join(known)}"
            )
        return found

    def _plan_renewal(self, client: Client) -> None:
        life_s = client.secure_channel_timeout / 1000
        self._renew_at_s = asyncio.get_running_loop().time() + _RENEW_SHARE * life_s


@contextmanager
def plainly_cancelled() -> Iterator[None]:
    """Let a cancellation out as the one class that asyncio takes for its own.

    asyncua waits by wait_for2, which raises a class of its own where an answer comes together with
    the time-out. `asyncio.timeout` lets that pass, and it would end the station's task for ever.
    """
    try:
        yield
    except asyncio.CancelledError as error:
        if type(error) is asyncio.CancelledError:
            raise
        raise asyncio.CancelledError from error


def read_request(nodes: Sequence[ua.NodeId], *, with_times: bool = False) -> ua.ReadParameters:
    """Return the question for the values of `nodes`, with their source times if wanted."""
    params = ua.ReadParameters()
    times = ua.TimestampsToReturn
    params.TimestampsToReturn = times.Source if with_times else times.Neither
    for node in nodes:
        item = ua.ReadValueId()
        item.NodeId = node
        item.AttributeId = AttributeIds.Value
        params.NodesToRead.append(item)
    return params


def standard_node(identifier: int) -> ua.NodeId:
    """Return a node that every server has."""
    return ua.NodeId(ua.Int32(identifier))


def _transport(client: Client) -> asyncio.Transport | None:
    protocol = client.uaclient.protocol
    return None if protocol is None else protocol.transport


def _cut(client: Client) -> None:
    transport = _transport(client)
    client.disconnect_socket()
    if transport is not None:
        # A plain close would wait for bytes that a dead peer never takes.
        transport.abort()
