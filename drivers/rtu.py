"""Modbus RTU as it lies on the wire: unit, message, checksum; over TCP or a serial port.

Rule: nothing but its place in time tells which request a reply belongs to, so that after anything
unexpected the line is closed and nothing that comes late is ever believed.

Source: MODBUS over Serial Line Specification V1.02, 2.5.1.
"""

from drivers.line import ERROR_FLAG, OpenLine, Owner, Ticket

_UNIT_AND_CHECKSUM = 3
_HEAD_BYTES = 3
_COUNTED_CODES = frozenset({1, 2, 3, 4})
_CONFIRMATION_BYTES = 5
_EXCEPTION_BYTES = 2
_POLYNOMIAL = 0xA001


def _table() -> tuple[int, ...]:
    table = []
    for byte in range(256):
        crc = byte
        for _ in range(8):
            crc = crc >> 1 ^ (_POLYNOMIAL if crc & 1 else 0)
        table.append(crc)
    return tuple(table)


_CRC = _table()


def checksum(message: bytes) -> bytes:
    """Return the two bytes that follow a message, low byte first."""
    crc = 0xFFFF
    for byte in message:
        crc = crc >> 8 ^ _CRC[(crc ^ byte) & 0xFF]
    return crc.to_bytes(2, "little")


class RtuLine(OpenLine):
    """One RTU line; one request is on its way at a time.

    Args:
        owner: Who is told what comes.
        settle_s: How long late answers may still come after we closed it, s.
    """

    def __init__(self, owner: Owner, settle_s: float) -> None:
        super().__init__(owner)
        self.settle_s = settle_s
        self._ticket: Ticket | None = None

    def send(self, ticket: Ticket) -> None:
        """Send a request."""
        assert self._transport is not None, "a line carries requests only while it is open"
        self._rest = b""
        self._ticket = ticket
        message = bytes([ticket.unit]) + ticket.pdu
        self._transport.write(message + checksum(message))

    def forget(self, ticket: Ticket) -> bool:
        """Wait for a reply no longer: a late one cannot be told from that to another request."""
        del ticket
        self._ticket = None
        return True

    def data_received(self, data: bytes) -> None:
        """Hand on the reply once it is whole; what comes while nobody waits is late and dropped."""
        ticket = self._ticket
        if ticket is None:
            return
        self._rest += data
        frame = self._rest
        if len(frame) < _HEAD_BYTES:
            return
        size = _size(frame, ticket.pdu[0])
        if frame[0] != ticket.unit:
            self._distrust(f"unit {frame[0]} answers for unit {ticket.unit}")
        elif not size:
            self._distrust(f"function {frame[1]} answers function {ticket.pdu[0]}")
        elif len(frame) > size:
            self._distrust("more came than one reply")
        elif len(frame) == size and checksum(frame[:-2]) != frame[-2:]:
            self._distrust("the checksum of a reply is wrong")
        elif len(frame) == size:
            self._ticket, self._rest = None, b""
            self._owner.replied(ticket, frame[1:-2])

    def _distrust(self, why: str) -> None:
        self._ticket, self._rest = None, b""
        self._owner.confused(self, why)


def _size(frame: bytes, function_code: int) -> int:
    """Return how many bytes a reply has that begins so; 0 where it is none to this function."""
    if frame[1] == function_code | ERROR_FLAG:
        return _UNIT_AND_CHECKSUM + _EXCEPTION_BYTES
    if frame[1] != function_code:
        return 0
    if function_code in _COUNTED_CODES:
        return _UNIT_AND_CHECKSUM + 2 + frame[2]
    return _UNIT_AND_CHECKSUM + _CONFIRMATION_BYTES
