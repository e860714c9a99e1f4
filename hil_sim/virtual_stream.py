"""One TCP connection in memory: two transports, each the other's peer.

Rule: bytes arrive whole and in order, and before the FIN that follows them; only a connection as a
whole can die, never a byte in its middle.
"""

import asyncio
import errno
import math
from collections import deque
from collections.abc import Callable
from enum import Enum
from typing import Protocol

# About what the buffers of a Linux socket pair hold before a writer feels a reader that stopped.
WINDOW_BYTES = 256 * 1024
HIGH_WATER_BYTES = 64 * 1024
# Linux gives up unanswered data after 15 retransmissions (tcp_retries2): 924.6 s after the first.
GIVE_UP_S = 924.6
# asyncio calls a timer up to this much early: the resolution of its clock.
_EARLY_S = 1e-9

Address = tuple[str, int]


class Signal(Enum):
    """What passes between two ends besides bytes."""

    SYN_ACK = "syn-ack"
    FIN = "fin"
    RST = "rst"


class Path(Protocol):
    """The network as one connection sees it."""

    tap: Callable[[Address, Address, bytes], None] | None

    def flight_s(self) -> float:
        """Return how long the next segment flies, in s; infinite where it never arrives."""
        ...

    def forget(self, stream: "VirtualStream") -> None:
        """Take note that one end of a connection is closed for good."""
        ...


class VirtualStream(asyncio.Transport):
    """One end of a connection, as a transport that a protocol cannot tell from a socket's.

    Args:
        loop: The loop whose time it keeps.
        path: The network that carries its segments.
        sockname: Own address.
        peername: The other end's address.
    """

    __slots__ = (
        "_arrival_s",
        "_backlog",
        "_backlog_bytes",
        "_flying",
        "_give_up",
        "_high_bytes",
        "_is_closing",
        "_is_ended",
        "_is_gone",
        "_is_reading",
        "_is_writer_paused",
        "_loop",
        "_low_bytes",
        "_path",
        "_protocol",
        "_timer",
        "_unacknowledged",
        "_unread",
        "is_black_hole",
        "on_answer",
        "peer",
        "peername",
        "sockname",
    )

    def __init__(
        self, loop: asyncio.AbstractEventLoop, path: Path, sockname: Address, peername: Address
    ) -> None:
        super().__init__({"sockname": sockname, "peername": peername})
        self._loop = loop
        self._path = path
        self.sockname = sockname
        self.peername = peername
        self.peer = self
        self.on_answer: Callable[[], None] | None = None
        self.is_black_hole = False
        self._protocol: asyncio.BaseProtocol | None = None
        self._is_closing = False
        self._is_ended = False
        self._is_gone = False
        # Towards the peer: segments in flight and, where its window is full, a backlog behind them.
        self._flying: deque[tuple[float, bytes | Signal]] = deque()
        self._timer: asyncio.TimerHandle | None = None
        self._arrival_s = 0.0
        self._unacknowledged = 0
        self._backlog: deque[bytes] = deque()
        self._backlog_bytes = 0
        self._high_bytes = HIGH_WATER_BYTES
        self._low_bytes = HIGH_WATER_BYTES // 4
        self._is_writer_paused = False
        self._give_up: asyncio.TimerHandle | None = None
        # From the peer: what arrived while nobody reads here.
        self._unread: deque[bytes | Signal] = deque()
        self._is_reading = False

    def __repr__(self) -> str:
        state = "gone" if self._is_gone else "black hole" if self.is_black_hole else "open"
        return f"<VirtualStream {self.sockname} -> {self.peername} {state}>"

    # --- life of the connection

    def open(self, protocol: asyncio.BaseProtocol) -> None:
        """Hand the connection to its protocol, which receives from now on."""
        self._protocol = protocol
        protocol.connection_made(self)
        self.resume_reading()

    def acknowledge_syn(self) -> None:
        """Tell the peer that dialled us that we are here."""
        self._fly(Signal.SYN_ACK)

    def black_hole(self) -> None:
        """Lose what is in flight and all that follows, without a word to either end."""
        self.is_black_hole = True
        self._flying.clear()
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        if self._unacknowledged:
            self._expect_no_answer()

    def reset(self) -> None:
        """End the connection as an RST that arrives now does."""
        self._flying.clear()
        self._unread.clear()
        self._leave(ConnectionResetError(errno.ECONNRESET, "Connection reset by peer"), None)
        if self.on_answer is not None:
            self.on_answer()

    def close(self) -> None:
        """Close after the backlog is written; the peer sees FIN behind all bytes."""
        if self._is_closing:
            return
        self._is_closing = True
        if not self._backlog:
            self._leave(None, Signal.FIN)

    def abort(self) -> None:
        """Close at once and drop the backlog; what is in flight still arrives, then FIN."""
        self._leave(None, Signal.FIN)

    def is_closing(self) -> bool:
        """Return whether the transport is closing or closed."""
        return self._is_closing

    def _leave(self, error: Exception | None, farewell: Signal | None) -> None:
        if self._is_gone:
            return
        self._is_gone = self._is_closing = True
        self._backlog.clear()
        self._backlog_bytes = 0
        if any(item is not Signal.FIN for item in self._unread):
            farewell = Signal.RST  # As a kernel does whose application never read what came.
        if farewell is Signal.RST or (farewell is Signal.FIN and not self._is_ended):
            self._fly(farewell)
        self._loop.call_soon(self._lose, error)

    def _lose(self, error: Exception | None) -> None:
        if self._give_up is not None:
            self._give_up.cancel()
        self._path.forget(self)
        protocol, self._protocol = self._protocol, None
        if protocol is not None:
            protocol.connection_lost(error)

    def _expect_no_answer(self) -> None:
        if self._give_up is None and not self._is_gone:
            error = TimeoutError(errno.ETIMEDOUT, "Connection timed out")
            self._give_up = self._loop.call_later(GIVE_UP_S, self._leave, error, None)

    def _fail(self, error: BaseException, call: str) -> None:
        """Do as asyncio does where a protocol raises: report, then end the connection."""
        self._loop.call_exception_handler(
            {
                "message": f"Fatal error: protocol.{call}() call failed.",
                "exception": error,
                "transport": self,
                "protocol": self._protocol,
            }
        )
        self._leave(error if isinstance(error, Exception) else None, Signal.FIN)

    # --- towards the peer

    def write(self, data: bytes | bytearray | memoryview) -> None:
        """Send `data`; a transport that is closing drops it, as asyncio's does.

        Raises:
            RuntimeError: After `write_eof`.
        """
        if self._is_ended:
            raise RuntimeError("Cannot call write() after write_eof()")
        if self._is_closing or not data:
            return
        if type(data) is not bytes:
            data = bytes(data)
        if self._backlog or not self._fits(data):
            self._backlog.append(data)
            self._backlog_bytes += len(data)
            self._pause_writer()
        else:
            self._send(data)

    def write_eof(self) -> None:
        """Send FIN behind the bytes written so far; reading goes on."""
        if self._is_closing or self._is_ended:
            return
        self._is_ended = True
        if not self._backlog:
            self._fly(Signal.FIN)

    def can_write_eof(self) -> bool:
        """Return True: TCP closes each direction for itself."""
        return True

    def get_write_buffer_size(self) -> int:
        """Return how many bytes wait for the peer's window."""
        return self._backlog_bytes

    def get_write_buffer_limits(self) -> tuple[int, int]:
        """Return the low and the high water mark of the backlog, in bytes."""
        return self._low_bytes, self._high_bytes

    def set_write_buffer_limits(self, high: int | None = None, low: int | None = None) -> None:
        """Set the backlog, in bytes, at which the protocol is paused and resumed."""
        if high is None:
            high = HIGH_WATER_BYTES if low is None else 4 * low
        self._high_bytes = high
        self._low_bytes = high // 4 if low is None else low
        self._pause_writer()

    def _fits(self, data: bytes) -> bool:
        return not self._unacknowledged or self._unacknowledged + len(data) <= WINDOW_BYTES

    def _send(self, data: bytes) -> None:
        self._unacknowledged += len(data)
        if self._path.tap is not None:
            self._path.tap(self.sockname, self.peername, data)
        self._fly(data)

    def _fly(self, item: bytes | Signal) -> None:
        flight_s = math.inf if self.is_black_hole else self._path.flight_s()
        if flight_s == math.inf:
            self.black_hole()
            self.peer.black_hole()
            return
        arrival_s = self._loop.time() + flight_s
        # Never before the segment ahead, however long that one was delayed.
        self._arrival_s = arrival_s = max(arrival_s, self._arrival_s)
        self._flying.append((arrival_s, item))
        if self._timer is None:
            self._timer = self._loop.call_at(arrival_s, self._land)

    def _land(self) -> None:
        now_s = self._loop.time() + _EARLY_S
        flying = self._flying
        try:
            while flying and flying[0][0] <= now_s:
                self.peer._arrive(flying.popleft()[1])  # noqa: SLF001 - the other end is of this class
        finally:
            self._timer = self._loop.call_at(flying[0][0], self._land) if flying else None

    def _acknowledge(self, size: int) -> None:
        self._unacknowledged -= size
        if self._backlog:
            self._drain()

    def _drain(self) -> None:
        while self._backlog and self._fits(self._backlog[0]):
            data = self._backlog.popleft()
            self._backlog_bytes -= len(data)
            self._send(data)
        if self._is_writer_paused and self._backlog_bytes <= self._low_bytes:
            self._is_writer_paused = False
            if self._protocol is not None:
                self._protocol.resume_writing()
        if self._backlog:
            return
        if self._is_ended:
            self._fly(Signal.FIN)
        if self._is_closing:
            self._leave(None, Signal.FIN)

    def _pause_writer(self) -> None:
        if self._backlog_bytes > self._high_bytes and not self._is_writer_paused:
            self._is_writer_paused = True
            if self._protocol is not None:
                self._protocol.pause_writing()

    # --- from the peer

    def is_reading(self) -> bool:
        """Return whether the protocol receives."""
        return self._is_reading and not self._is_closing

    def pause_reading(self) -> None:
        """Let what arrives wait; the peer feels it when the window is full."""
        self._is_reading = False

    def resume_reading(self) -> None:
        """Receive again, first what waited."""
        if self._is_closing or self._is_reading:
            return
        self._is_reading = True
        if self._unread:
            self._loop.call_soon(self._read_on)

    def get_protocol(self) -> asyncio.BaseProtocol:
        """Return the protocol that receives.

        Raises:
            RuntimeError: The connection is lost, or not yet made.
        """
        if self._protocol is None:
            raise RuntimeError("the connection has no protocol")
        return self._protocol

    def set_protocol(self, protocol: asyncio.BaseProtocol) -> None:
        """Let another protocol receive."""
        self._protocol = protocol

    def _read_on(self) -> None:
        while self._unread and self._is_reading and not self._is_closing:
            self._receive(self._unread.popleft())

    def _arrive(self, item: bytes | Signal) -> None:
        if item is Signal.RST:
            self.reset()
        elif item is Signal.SYN_ACK:
            if self.on_answer is not None:
                self.on_answer()
        elif self._is_gone:
            if item is not Signal.FIN:
                self._fly(Signal.RST)
        elif self._is_reading and not self._unread and not self._is_closing:
            self._receive(item)
        else:
            self._unread.append(item)

    def _receive(self, item: bytes | Signal) -> None:
        protocol = self._protocol
        call = "eof_received" if item is Signal.FIN else "data_received"
        try:
            if isinstance(item, bytes):
                self.peer._acknowledge(len(item))  # noqa: SLF001 - the other end is of this class
                protocol.data_received(item)  # type: ignore[union-attr] # open() asks for a Protocol
            elif not protocol.eof_received():  # type: ignore[union-attr] # open() asks for a Protocol
                self.close()
        except (SystemExit, KeyboardInterrupt):
            raise
        except BaseException as error:  # noqa: BLE001 - asyncio reports whatever a protocol raises
            self._fail(error, call)
