"""What a hostile Modbus device puts on the wire instead of a right reply.

Rule: pure, and it shares no code with the drivers that it tests; a manner says what is sent, after
which pause, and where the connection is cut.
"""

import struct
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from enum import Enum

_HEAD = struct.Struct(">HHHB")
_ERROR_FLAG = 0x80
_READS = frozenset({1, 2, 3, 4})
_WRITES_MANY = frozenset({15, 16})
_SHORT_REQUESTS = frozenset({1, 2, 3, 4, 5, 6})
_FRAME_BYTES_MAX = 260
_JUNK = bytes(range(256)) * 256


class Framing(Enum):
    """How a request and its reply are packed into a stream of bytes."""

    TCP = "tcp"
    RTU = "rtu"


class Cut(Enum):
    """How a device ends a connection."""

    RST = "rst"
    FIN = "fin"


@dataclass(frozen=True, slots=True)
class Request:
    """One request as it came; RTU has no transaction, so it is 0 there."""

    transaction: int
    unit: int
    pdu: bytes


@dataclass(frozen=True, slots=True, kw_only=True)
class Exchange:
    """A request, the right reply to it, and how both are framed."""

    request: Request
    reply: bytes
    framing: Framing

    def wire(
        self,
        pdu: bytes | None = None,
        *,
        transaction: int | None = None,
        unit: int | None = None,
        length: int | None = None,
    ) -> bytes:
        """Return the reply as bytes of the stream; what is given replaces what would be right.

        RTU has neither transaction nor length: a wrong `length` spoils its checksum instead.
        """
        pdu = self.reply if pdu is None else pdu
        unit = self.request.unit if unit is None else unit
        if self.framing is Framing.RTU:
            frame = bytes([unit]) + pdu
            return frame + struct.pack("<H", crc16(frame) ^ (length is not None))
        transaction = self.request.transaction if transaction is None else transaction
        size = len(pdu) + 1 if length is None else length
        return _HEAD.pack(transaction & 0xFFFF, 0, size, unit) + pdu


Step = tuple[float, bytes | Cut]
"""A pause in s, and what is sent or done after it."""

Manner = Callable[[Exchange, float], Sequence[Step]]
"""From a right exchange, and how much of it (seconds, a code), to what is done."""


def _rst(_exchange: Exchange, _amount: float) -> Sequence[Step]:
    return [(0.0, Cut.RST)]


def _fin(_exchange: Exchange, _amount: float) -> Sequence[Step]:
    return [(0.0, Cut.FIN)]


def _silent(_exchange: Exchange, _amount: float) -> Sequence[Step]:
    return []


def _late(exchange: Exchange, seconds: float) -> Sequence[Step]:
    return [(seconds, exchange.wire())]


def _drip(exchange: Exchange, seconds: float) -> Sequence[Step]:
    return [(seconds, bytes([byte])) for byte in exchange.wire()]


def _wrong_transaction(exchange: Exchange, by: float) -> Sequence[Step]:
    return [(0.0, exchange.wire(transaction=exchange.request.transaction + int(by)))]


def _zero_transaction(exchange: Exchange, _amount: float) -> Sequence[Step]:
    return [(0.0, exchange.wire(transaction=0))]


def _wrong_unit(exchange: Exchange, by: float) -> Sequence[Step]:
    return [(0.0, exchange.wire(unit=(exchange.request.unit + int(by)) & 0xFF))]


def _wrong_function(exchange: Exchange, _amount: float) -> Sequence[Step]:
    other = exchange.reply[0] ^ 0x07  # 3 and 4 change places
    return [(0.0, exchange.wire(bytes([other]) + exchange.reply[1:]))]


def _resized(by_words: int) -> Manner:
    def manner(exchange: Exchange, words: float) -> Sequence[Step]:
        reply = exchange.reply
        if reply[0] not in _READS:
            return [(0.0, exchange.wire())]
        size = max(0, reply[1] + by_words * int(words) * 2) & 0xFF
        data = (reply[2:] + bytes(size))[:size]
        return [(0.0, exchange.wire(bytes([reply[0], size]) + data))]

    return manner


def _truncated(exchange: Exchange, by: float) -> Sequence[Step]:
    return [(0.0, exchange.wire()[: -int(by)])]


def _junk(_exchange: Exchange, _amount: float) -> Sequence[Step]:
    return [(0.0, _JUNK)]


def _length(length: int) -> Manner:
    return lambda exchange, _amount: [(0.0, exchange.wire(length=length))]


def _twice(exchange: Exchange, seconds: float) -> Sequence[Step]:
    return [(0.0, exchange.wire()), (seconds, exchange.wire())]


def _exception(exchange: Exchange, code: float) -> Sequence[Step]:
    refusal = bytes([exchange.request.pdu[0] | _ERROR_FLAG, int(code)])
    return [(0.0, exchange.wire(refusal))]


def _hung(exchange: Exchange, seconds: float) -> Sequence[Step]:
    """Answer for a silent unit as its gateway does: exception 11, after the gateway's patience."""
    refusal = bytes([exchange.request.pdu[0] | _ERROR_FLAG, 11])
    return [(seconds, exchange.wire(refusal))]


def _wrong_echo(exchange: Exchange, by: float) -> Sequence[Step]:
    reply = exchange.reply
    if reply[0] in _READS or reply[0] & _ERROR_FLAG:
        return [(0.0, exchange.wire())]
    address = struct.unpack_from(">H", reply, 1)[0] + int(by)
    return [(0.0, exchange.wire(reply[:1] + struct.pack(">H", address & 0xFFFF) + reply[3:]))]


MANNERS: Mapping[str, tuple[Manner, float]] = {
    "rst": (_rst, 0.0),
    "fin": (_fin, 0.0),
    "silent": (_silent, 0.0),
    "late": (_late, 30.0),
    "drip": (_drip, 0.5),
    "wrong-transaction": (_wrong_transaction, 1.0),
    "zero-transaction": (_zero_transaction, 0.0),
    "wrong-unit": (_wrong_unit, 1.0),
    "wrong-function": (_wrong_function, 0.0),
    "short": (_resized(-1), 1.0),
    "long": (_resized(+1), 2.0),
    "truncated": (_truncated, 3.0),
    "junk": (_junk, 0.0),
    "bad-length": (_length(0xFFFF), 0.0),
    "zero-length": (_length(0), 0.0),
    "duplicate": (_twice, 0.01),
    "exception": (_exception, 4.0),
    "hung": (_hung, 1.0),
    "wrong-echo": (_wrong_echo, 1.0),
}
"""Every manner of answering wrongly, by name, with how much of it where nobody says: late, drip,
duplicate, hung: seconds; exception: its code; short, long: registers; truncated: bytes."""

NOT_CARRIED_OUT = frozenset({"exception", "hung"})
"""Manners in which the device says that it did not do what it was asked for."""

ANSWERED_WELL = frozenset({"", "duplicate"})
"""Manners in which the asker got a right reply."""

READS_WELL = frozenset({"wrong-echo"})
"""Manners in which only a reader got one."""


def requests(buffer: bytearray, framing: Framing) -> list[Request]:
    """Take the whole requests from the head of a stream; what is no request empties it."""
    found: list[Request] = []
    take = _take_tcp if framing is Framing.TCP else _take_rtu
    while (request := take(buffer)) is not None:
        found.append(request)
    if len(buffer) > _FRAME_BYTES_MAX:
        buffer.clear()
    return found


def _take_tcp(buffer: bytearray) -> Request | None:
    if len(buffer) < _HEAD.size:
        return None
    transaction, _protocol, length, unit = _HEAD.unpack_from(buffer)
    end = _HEAD.size + length - 1
    if length < 2 or len(buffer) < end:  # noqa: PLR2004 - a unit and a function code at least
        return None
    pdu = bytes(buffer[_HEAD.size : end])
    del buffer[:end]
    return Request(transaction, unit, pdu)


def _take_rtu(buffer: bytearray) -> Request | None:
    if len(buffer) < 8:  # noqa: PLR2004 - the shortest request there is
        return None
    size = 8
    if buffer[1] in _WRITES_MANY:
        size = 9 + buffer[6]
    elif buffer[1] not in _SHORT_REQUESTS:
        buffer.clear()
        return None
    if len(buffer) < size:
        return None
    frame = bytes(buffer[:size])
    del buffer[:size]
    if struct.unpack("<H", frame[-2:])[0] != crc16(frame[:-2]):
        buffer.clear()
        return None
    return Request(0, frame[0], frame[1:-2])


def crc16(data: bytes) -> int:
    """Return the checksum of a serial frame (Modbus over serial line V1.02, 6.2.2)."""
    crc = 0xFFFF
    for byte in data:
        crc ^= byte
        for _ in range(8):
            crc = crc >> 1 ^ 0xA001 if crc & 1 else crc >> 1
    return crc
