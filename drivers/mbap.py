"""Modbus TCP as it lies on the wire: a header with a transaction number, then the message.

Rule: a reply is handed on only with the number, the unit and the length of a request that waits; a
number nobody waits for is a late answer and ignored, anything else makes the connection end.

Source: MODBUS Messaging on TCP/IP Implementation Guide V1.0b, 3.1.3.
"""

import struct

from drivers.line import PDU_BYTES_MAX, OpenLine, Owner, Ticket

_HEADER = struct.Struct(">HHHB")
_COUNTED_BYTES = 6
# What the length field counts: the unit, and at least a function code and one byte.
_LENGTH_MIN = 3
_LENGTH_MAX = 1 + PDU_BYTES_MAX


class MbapLine(OpenLine):
    """One Modbus TCP connection; several requests may be on their way.

    Args:
        owner: Who is told what comes.
        tid_zero: The device answers every request with transaction number 0: only the order tells
            its replies apart, so that a late one must never meet the next request.
    """

    settle_s = 0.0

    def __init__(self, owner: Owner, *, tid_zero: bool = False) -> None:
        super().__init__(owner)
        self._tid_zero = tid_zero
        self._waiting: dict[int, Ticket] = {}
        # Requests that go in one packet with the next one.
        self._held = b""

    def send(self, ticket: Ticket) -> None:
        """Send a request under its number."""
        assert self._transport is not None, "a line carries requests only while it is open"
        self._waiting[ticket.transaction] = ticket
        pdu = ticket.pdu
        head = _HEADER.pack(ticket.transaction, 0, len(pdu) + 1, ticket.unit)
        if ticket.is_followed:
            self._held += head + pdu
            return
        data, self._held = self._held + head + pdu, b""
        self._transport.write(data)

    def forget(self, ticket: Ticket) -> bool:
        """Wait for a reply no longer; a late one is known by its number, if it has one."""
        self._waiting.pop(ticket.transaction, None)
        return self._tid_zero or self.is_midway

    def data_received(self, data: bytes) -> None:
        """Hand on every whole reply."""
        if self._rest:
            data = self._rest + data
        at, end = 0, len(data)
        while end - at >= _HEADER.size:
            number, protocol, length, unit = _HEADER.unpack_from(data, at)
            if protocol or not _LENGTH_MIN <= length <= _LENGTH_MAX:
                self._rest = b""
                self._owner.confused(self, "what came is no whole Modbus reply")
                return
            following = at + _COUNTED_BYTES + length
            if following > end:
                break
            self._take(number, unit, data[at + _HEADER.size : following])
            if self._transport is None:
                return
            at = following
        self._rest = data[at:]

    def _take(self, number: int, unit: int, pdu: bytes) -> None:
        if number == 0 and self._waiting:
            first = next(iter(self._waiting))
            if not self._tid_zero:
                why = "a reply carries transaction 0; if it always does, write `tid_zero: true`"
                self._owner.wronged(self._waiting.pop(first), why)
                return
            number = first
        ticket = self._waiting.pop(number, None)
        if ticket is None:
            return
        if unit == ticket.unit:
            self._owner.replied(ticket, pdu)
        else:
            self._owner.wronged(ticket, f"unit {unit} answers for unit {ticket.unit}")
