"""A TCP network in memory, with seeded delays and the faults that real networks have.

Rule: all chance comes from the generator passed in; addresses mean here what they mean on a machine
with many interfaces, and nothing is ever sent to the real one.
"""

import asyncio
import errno
import math
import random
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from typing import Self

from hil_sim.virtual_stream import Address, VirtualStream

# Linux repeats an unanswered SYN after these pauses (tcp_syn_retries = 6), then gives up.
SYN_PAUSES_S = (1.0, 2.0, 4.0, 8.0, 16.0, 32.0, 64.0)
# Linux's shortest and longest retransmission time-out, and how often it tries (tcp_retries2).
RETRANSMIT_S = 0.2
RETRANSMIT_S_MAX = 120.0
RETRANSMISSIONS_MAX = 15
_FIRST_EPHEMERAL_PORT = 32768
_PORTS = 65536

ProtocolFactory = Callable[[], asyncio.BaseProtocol]
_LOOPBACK = frozenset({"localhost", "::1", "127.0.0.1"})
_ANY = frozenset({"", "0.0.0.0", "::"})  # noqa: S104 - names of the wildcard, nothing is bound here


def _canonical(host: str) -> str:
    host = host.lower()
    if host in _LOOPBACK:
        return "127.0.0.1"
    return "" if host in _ANY else host


class ListeningSocket:
    """The part of a listening socket that servers look at."""

    def __init__(self, address: Address) -> None:
        self._address = address

    def getsockname(self) -> Address:
        """Return host and port."""
        return self._address


class VirtualServer(asyncio.AbstractServer):
    """Listens on addresses of a `VirtualNet`; what `loop.create_server` returns there."""

    def __init__(
        self,
        loop: asyncio.AbstractEventLoop,
        net: "VirtualNet",
        factory: ProtocolFactory,
        addresses: Sequence[Address],
    ) -> None:
        self._loop = loop
        self._net = net
        self._addresses = tuple(addresses)
        self._closed = asyncio.Event()
        self._forever: asyncio.Future[None] | None = None
        self.factory = factory
        self.accepts = False

    @property
    def sockets(self) -> tuple[ListeningSocket, ...]:
        """The listening sockets, none once the server is closed."""
        if self._closed.is_set():
            return ()
        return tuple(ListeningSocket(address) for address in self._addresses)

    def get_loop(self) -> asyncio.AbstractEventLoop:
        """Return the loop of the server."""
        return self._loop

    def is_serving(self) -> bool:
        """Return whether new connections are accepted."""
        return self.accepts and not self._closed.is_set()

    async def start_serving(self) -> None:
        """Accept connections from now on."""
        self.accepts = True

    async def serve_forever(self) -> None:
        """Accept connections until the server is closed or the caller is cancelled."""
        self.accepts = True
        self._forever = self._loop.create_future()
        try:
            await self._forever
        finally:
            self._forever = None
            self.close()

    def close(self) -> None:
        """Stop listening; connections that were accepted live on."""
        if self._closed.is_set():
            return
        self._closed.set()
        self._net.unbind(self._addresses)
        if self._forever is not None:
            self._forever.cancel()

    async def wait_closed(self) -> None:
        """Return once the server is closed."""
        await self._closed.wait()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        self.close()


class VirtualNet:
    """Hosts, ports and the paths between them.

    Every path has `latency_s` one way, plus up to `jitter_s`, evenly spread. A segment is lost with
    probability `loss`: what it carries comes later, after TCP's retransmission time-outs, and all
    behind it waits; a connection whose segment is lost too often is dead. All three may be changed
    while connections are open. `tap`, where set, sees every segment with its two addresses.

    Args:
        rng: Where all chance comes from.
        latency_s: Time of flight, s.
        jitter_s: Largest addition to it, s.
        loss: Probability that a segment is lost, 0..1.
    """

    def __init__(
        self,
        rng: random.Random,
        *,
        latency_s: float = 0.002,
        jitter_s: float = 0.001,
        loss: float = 0.0,
    ) -> None:
        self.latency_s = latency_s
        self.jitter_s = jitter_s
        self.loss = loss
        self.tap: Callable[[Address, Address, bytes], None] | None = None
        self._random = rng.random
        self._servers: dict[Address, VirtualServer] = {}
        self._clients: dict[VirtualStream, Address] = {}
        self._cut: set[Address] = set()
        self._refused: set[Address] = set()
        self._next_port = _FIRST_EPHEMERAL_PORT

    # --- faults, by the address that clients dial

    def cut(self, host: str, port: int) -> None:
        """Let everything between clients and this address vanish, without a word to either end.

        Its connections stay half-open for ever, also after `heal`: bytes in flight are lost, and
        neither side hears of it before its own time-outs. Nobody answers a new connect.
        """
        address = (_canonical(host), port)
        self._cut.add(address)
        for client in self._connections(address):
            client.black_hole()
            client.peer.black_hole()

    def refuse(self, host: str, port: int) -> None:
        """Answer new connects to this address with a refusal; open connections stay."""
        self._refused.add((_canonical(host), port))

    def reset(self, host: str, port: int) -> None:
        """Break all connections to this address with an RST to both ends; in flight bytes are lost.

        New connects are not affected.
        """
        for client in self._connections((_canonical(host), port)):
            client.reset()
            client.peer.reset()

    def heal(self, host: str, port: int) -> None:
        """Undo `cut` and `refuse`: new connections work again."""
        address = (_canonical(host), port)
        self._cut.discard(address)
        self._refused.discard(address)

    # --- what the loop asks for

    async def create_server(
        self,
        factory: ProtocolFactory,
        host: str | Iterable[str] | None,
        port: int,
        *,
        accepts: bool,
    ) -> VirtualServer:
        """Return a server that listens on `host` (None, "" or 0.0.0.0: on all of them).

        Raises:
            OSError: EADDRINUSE where another server listens on an address that overlaps.
        """
        hosts = [host or ""] if host is None or isinstance(host, str) else list(host)
        port = port or self._ephemeral_port()
        addresses = [(_canonical(name), port) for name in hosts]
        for name, number in addresses:
            taken = [key[0] for key in self._servers if key[1] == number]
            if name in taken or (taken and ("" in taken or name == "")):
                raise OSError(
                    errno.EADDRINUSE,
                    f"error while attempting to bind on address ({name!r}, {number}): "
                    "address already in use",
                )
        server = VirtualServer(asyncio.get_running_loop(), self, factory, addresses)
        server.accepts = accepts
        self._servers.update(dict.fromkeys(addresses, server))
        return server

    async def create_connection(
        self, factory: ProtocolFactory, host: str, port: int, local: Address | None
    ) -> tuple[VirtualStream, asyncio.BaseProtocol]:
        """Return a connection to `host` and `port` with its protocol.

        Raises:
            ConnectionRefusedError: Nobody listens there.
            TimeoutError: No answer for 127 s, as Linux.
        """
        loop = asyncio.get_running_loop()
        me = local or ("127.0.0.1", 0)
        call = _Call(
            (me[0] or "127.0.0.1", me[1] or self._ephemeral_port()),
            (_canonical(host) or "127.0.0.1", int(port)),
            loop.create_future(),
        )
        try:
            stream = await self._dial(loop, call)
            protocol = factory()
            stream.open(protocol)
        except BaseException:
            if not call.answer.cancel() and not call.answer.cancelled():
                call.answer.exception()  # Else asyncio reports an answer that came too late.
            for attempt in call.attempts:
                attempt.abort()
            raise
        return stream, protocol

    def unbind(self, addresses: Iterable[Address]) -> None:
        """Free the addresses of a server that closed."""
        for address in addresses:
            del self._servers[address]

    # --- what a stream asks for

    def flight_s(self) -> float:
        """Return how long the next segment flies, in s; infinite where it never arrives."""
        flight_s = self.latency_s + self.jitter_s * self._random()
        if not self.loss:
            return flight_s
        pause_s = RETRANSMIT_S
        for _ in range(RETRANSMISSIONS_MAX):
            if self._random() >= self.loss:
                return flight_s
            flight_s += pause_s
            pause_s = min(2.0 * pause_s, RETRANSMIT_S_MAX)
        return math.inf

    def forget(self, stream: VirtualStream) -> None:
        """Drop a connection from the books when its dialling end is gone for good."""
        # A peer that still lives keeps the connection going by itself; faults no longer concern it.
        self._clients.pop(stream, None)

    async def _dial(self, loop: asyncio.AbstractEventLoop, call: "_Call") -> VirtualStream:
        for pause_s in SYN_PAUSES_S:
            if not call.attempts or call.attempts[-1].is_black_hole:
                flight_s = self.flight_s()
                if call.address not in self._cut and flight_s < math.inf:
                    loop.call_later(flight_s, self._accept, loop, call)
            await asyncio.wait((call.answer,), timeout=pause_s)
            if call.answer.done():
                stream = call.answer.result()
                if stream.is_closing():
                    raise ConnectionResetError(errno.ECONNRESET, "Connection reset by peer")
                return stream
        raise TimeoutError(errno.ETIMEDOUT, f"Connect call failed {call.address!r}")

    def _accept(self, loop: asyncio.AbstractEventLoop, call: "_Call") -> None:
        """Let a SYN arrive: the server accepts, or the client will hear a refusal."""
        address, answer = call.address, call.answer
        if answer.done() or address in self._cut:
            return
        if call.attempts and not call.attempts[-1].is_black_hole:
            return  # The same SYN again: the connection that the first one made answers it.
        server = self._servers.get(address) or self._servers.get(("", address[1]))
        if server is None or not server.is_serving() or address in self._refused:
            error = ConnectionRefusedError(errno.ECONNREFUSED, f"Connect call failed {address!r}")
            loop.call_later(self.flight_s(), _settle, answer, error)
            return
        client = VirtualStream(loop, self, call.me, address)
        remote = VirtualStream(loop, self, address, call.me)
        client.peer, remote.peer = remote, client
        client.on_answer = lambda: _settle(answer, client)
        call.attempts.append(client)
        self._clients[client] = address
        remote.acknowledge_syn()
        remote.open(server.factory())

    def _connections(self, address: Address) -> list[VirtualStream]:
        return [client for client, dialled in self._clients.items() if dialled == address]

    def _ephemeral_port(self) -> int:
        port = self._next_port
        self._next_port = port + 1 if port + 1 < _PORTS else _FIRST_EPHEMERAL_PORT
        return port


@dataclass(frozen=True, slots=True)
class _Call:
    """One connect under way: from whom, to where, and the connections tried so far."""

    me: Address
    address: Address
    answer: "asyncio.Future[VirtualStream]"
    attempts: list[VirtualStream] = field(default_factory=list)


def _settle(
    answer: "asyncio.Future[VirtualStream]", outcome: VirtualStream | ConnectionRefusedError
) -> None:
    if answer.done():
        return
    if isinstance(outcome, VirtualStream):
        answer.set_result(outcome)
    else:
        answer.set_exception(outcome)
