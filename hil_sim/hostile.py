"""A Modbus device that misbehaves when told so: live, one unit or all, on the wire or in content.

Rule: it counts all that reaches it, so that nothing a driver does under a fault stays unseen.
"""

import asyncio
import socket
import struct
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import cast

from hil_sim.hostile_bank import LIES, Bank
from hil_sim.hostile_frames import (
    ANSWERED_WELL,
    MANNERS,
    NOT_CARRIED_OUT,
    READS_WELL,
    Cut,
    Exchange,
    Framing,
    Request,
    Step,
    requests,
)
from hil_sim.write_ledger import WriteLedger

REFUSE = "refuse"
FROZEN = "frozen"
FAULTS: Mapping[str, float] = {
    **{name: amount for name, (_, amount) in MANNERS.items()},
    **LIES,
    REFUSE: 0.0,
    FROZEN: 0.0,
}
"""Every fault by name, with how much of it where nobody says."""

_READS = frozenset({1, 2, 3, 4})
_ERROR_FLAG = 0x80
_GATEWAY_SILENT = 11
_WELL = ""
# With linger on and no time to linger, closing a socket resets the connection.
_LINGER = struct.pack("ii", 1, 0)


@dataclass(frozen=True, slots=True)
class Counts:
    """What has reached a hostile device so far.

    Attributes:
        requests: Requests of all connections.
        connections: Connections that were made.
        is_open: Connections that are open now.
        in_flight_max: Most requests that waited for their reply on one connection.
        writes: Write requests.
        duplicate_writes: Writes that nobody had a reason to send.
    """

    requests: int
    connections: int
    is_open: int
    in_flight_max: int
    writes: int
    duplicate_writes: int


class HostileServer:
    """One device, or a gateway with several units behind it.

    `is_frozen` tells whoever moves the PLC that its program stands still.

    Args:
        units: The banks by unit identifier; other units answer exception 11, as from a gateway.
        host: Address to listen on.
        port: Port; 0 lets the system choose.
        framing: Of requests and replies.
        bus_s: Time that one exchange takes on the serial line behind a gateway, which carries one
            at a time, s; 0 where there is none.
    """

    def __init__(
        self,
        units: Mapping[int, Bank],
        host: str = "127.0.0.1",
        port: int = 0,
        *,
        framing: Framing = Framing.TCP,
        bus_s: float = 0.0,
    ) -> None:
        self.units = units
        self.host = host
        self.port = port
        self.framing = framing
        self.bus_s = bus_s
        self.ledger = WriteLedger()
        self.is_frozen = False
        self._manners: dict[int | None, tuple[str, float]] = {}
        self._server: asyncio.Server | None = None
        self._sessions: set[_Session] = set()
        self._bus_free_s = 0.0
        self._requests: dict[int, int] = {}
        self._connections = 0
        self._in_flight_max = 0

    @property
    def counts(self) -> Counts:
        """What has reached the device so far."""
        return Counts(
            requests=sum(self._requests.values()),
            connections=self._connections,
            is_open=len(self._sessions),
            in_flight_max=self._in_flight_max,
            writes=self.ledger.count,
            duplicate_writes=len(self.ledger.duplicates),
        )

    def requests_of(self, unit: int) -> int:
        """Return how many requests reached one unit."""
        return self._requests.get(unit, 0)

    async def start(self) -> None:
        """Listen; no effect while it does.

        Raises:
            OSError: The address cannot be listened on.
        """
        if self._server is not None:
            return
        loop = asyncio.get_running_loop()
        self._server = await loop.create_server(lambda: _Session(self), self.host, self.port)
        if not self.port:
            self.port = self._server.sockets[0].getsockname()[1]

    def stop(self) -> None:
        """Cut every connection and refuse new ones; no effect while stopped."""
        server, self._server = self._server, None
        if server is not None:
            server.close()
        for session in tuple(self._sessions):
            session.cut(Cut.RST)

    async def put(
        self, fault: str, *, amount: float | None = None, unit: int | None = None, tag: str = ""
    ) -> None:
        """Misbehave from now on; a second fault on the wire replaces the first.

        Args:
            fault: One of `FAULTS`.
            amount: How much of it; see there.
            unit: One unit behind the gateway; None means all, and the device itself.
            tag: Which point, where the fault is about one.

        Raises:
            ValueError: There is no such fault, unit or tag.
        """
        if fault not in FAULTS:
            raise ValueError(f"no fault is called {fault}; there are {', '.join(sorted(FAULTS))}")
        if unit is not None and unit not in self.units:
            raise ValueError(f"there is no unit {unit}")
        amount = FAULTS[fault] if amount is None else amount
        if fault == REFUSE:
            self.stop()
        elif fault == FROZEN:
            self.is_frozen = True
        elif fault in MANNERS:
            self._manners[unit] = fault, amount
        else:
            for number in self.units if unit is None else [unit]:
                self.units[number].lie(fault, amount, tag)

    async def mend(self) -> None:
        """Behave again, listening as before."""
        self._manners.clear()
        self.is_frozen = False
        for bank in self.units.values():
            bank.be_honest()
        await self.start()

    def opened(self, session: "_Session") -> int:
        """Take a new connection and return its number."""
        self._sessions.add(session)
        self._connections += 1
        return self._connections

    def closed(self, session: "_Session") -> None:
        """Forget a connection."""
        self._sessions.discard(session)

    def answer(self, session: "_Session", request: Request) -> None:
        """Carry out one request and send what the present manner makes of the reply."""
        self._requests[request.unit] = self._requests.get(request.unit, 0) + 1
        name, amount = self._manners.get(request.unit) or self._manners.get(None, (_WELL, 0.0))
        reply = self._carried_out(session, request, name)
        exchange = Exchange(request=request, reply=reply, framing=self.framing)
        steps = MANNERS[name][0](exchange, amount) if name else [(0.0, exchange.wire())]
        start_s = asyncio.get_running_loop().time()
        if self.bus_s:
            start_s = max(start_s, self._bus_free_s) + self.bus_s
            self._bus_free_s = start_s + sum(pause_s for pause_s, _ in steps)
        self._in_flight_max = max(self._in_flight_max, session.play(start_s, steps))

    def _carried_out(self, session: "_Session", request: Request, manner: str) -> bytes:
        """Do what is asked for, where this manner does, and return the right reply."""
        bank = self.units.get(request.unit)
        if bank is None:
            return bytes([request.pdu[0] | _ERROR_FLAG, _GATEWAY_SILENT])
        if manner == "silent":
            # What a black hole swallows never reached anybody.
            return b""
        is_well = manner in ANSWERED_WELL
        self.ledger.note(
            request.pdu,
            unit=request.unit,
            connection=session.number,
            at_s=asyncio.get_running_loop().time(),
            is_confirmed=is_well,
        )
        reply = request.pdu[:5] if manner in NOT_CARRIED_OUT else bank.answer(request.pdu)
        if (is_well or manner in READS_WELL) and reply[0] in _READS:
            self.ledger.seen(session.number)
        return reply


class _Session(asyncio.Protocol):
    """One connection: whole requests in, steps out, each in its turn."""

    def __init__(self, server: HostileServer) -> None:
        self._server = server
        self._buffer = bytearray()
        self._transport: asyncio.Transport | None = None
        self._timers: set[asyncio.TimerHandle] = set()
        self._waiting = 0
        self.number = 0

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)
        self.number = self._server.opened(self)

    def data_received(self, data: bytes) -> None:
        self._buffer += data
        for request in requests(self._buffer, self._server.framing):
            self._server.answer(self, request)

    def connection_lost(self, exc: Exception | None) -> None:
        del exc
        self._server.closed(self)
        self._transport = None
        for timer in self._timers:
            timer.cancel()
        self._timers.clear()

    def play(self, start_s: float, steps: Sequence[Step]) -> int:
        """Do the steps from a loop time on, after all earlier ones; return how many replies wait.

        A late reply does not hold up the next one, as in a device that answers out of turn.
        """
        now_s = asyncio.get_running_loop().time()
        at_s = start_s
        self._waiting += 1
        for i, (pause_s, what) in enumerate(steps):
            at_s += pause_s
            self._at(at_s, now_s, what, is_last=i == len(steps) - 1)
        waiting = self._waiting
        if not steps:
            self._waiting -= 1
        return waiting

    def _at(self, at_s: float, now_s: float, what: bytes | Cut, *, is_last: bool) -> None:
        if at_s <= now_s:
            self._do(what, is_last=is_last)
            return
        timer: asyncio.TimerHandle

        def due() -> None:
            self._timers.discard(timer)
            self._do(what, is_last=is_last)

        timer = asyncio.get_running_loop().call_at(at_s, due)
        self._timers.add(timer)

    def _do(self, what: bytes | Cut, *, is_last: bool) -> None:
        self._waiting -= is_last
        if isinstance(what, Cut):
            self.cut(what)
        elif self._transport is not None and not self._transport.is_closing():
            self._transport.write(what)

    def cut(self, how: Cut) -> None:
        """End the connection."""
        transport = self._transport
        if transport is None:
            return
        wire = transport.get_extra_info("socket")
        if how is Cut.RST and wire is not None:
            wire.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _LINGER)
        if how is Cut.RST:
            transport.abort()
        else:
            transport.close()
