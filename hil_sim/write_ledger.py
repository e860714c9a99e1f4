"""Every write that reached a simulated device, and which of them nobody had a reason to send.

Rule: a value is sent again with a reason only after the refresh time, on a new connection, or when
the first was not confirmed and the device has been read since; a pulse never is.
"""

import struct
from collections import deque
from dataclasses import dataclass

_KEPT = 300
_PULSE_S = 5.0
_COIL_WRITE, _WORD_WRITE, _COILS_WRITE, _WORDS_WRITE = 5, 6, 15, 16
_WRITES = frozenset({_COIL_WRITE, _WORD_WRITE, _COILS_WRITE, _WORDS_WRITE})


@dataclass(frozen=True, slots=True)
class Write:
    """One write request: when, to which unit, and the words by area and address."""

    at_s: float
    unit: int
    words: dict[tuple[str, int], int]


@dataclass(slots=True)
class _Standing:
    word: int
    at_s: float
    connection: int
    is_known: bool
    """Its sender was told that it stands, or has read the device since."""
    is_confirmed: bool


class WriteLedger:
    """Counts writes and finds duplicates among them.

    Args:
        refresh_s: After this time a value may be sent again.
    """

    def __init__(self, *, refresh_s: float = 55.0) -> None:
        self._refresh_s = refresh_s
        self._standing: dict[tuple[int, str, int], _Standing] = {}
        self.writes: deque[Write] = deque(maxlen=_KEPT)
        self.count = 0
        self.duplicates: list[str] = []

    def note(
        self, pdu: bytes, *, unit: int, connection: int, at_s: float, is_confirmed: bool
    ) -> None:
        """Take one request; what is no write is passed over."""
        words = written(pdu)
        if not words:
            return
        self.count += 1
        self.writes.append(Write(at_s, unit, words))
        standing = [self._standing.get((unit, *place)) for place in words]
        pairs = zip(standing, words.values(), strict=True)
        if all(
            one is not None and self._is_needless(one, word, connection, at_s, pdu[0])
            for one, word in pairs
        ):
            first = next(iter(words))
            self.duplicates.append(f"{at_s:.2f} s: {first[0]} {first[1]}, {len(words)} in all")
        for place, word in words.items():
            self._standing[(unit, *place)] = _Standing(
                word, at_s, connection, is_confirmed, is_confirmed
            )

    def seen(self, connection: int) -> None:
        """Take note that this connection was given a right reply to a read."""
        for one in self._standing.values():
            if one.connection == connection:
                one.is_known = True

    def _is_needless(
        self, one: _Standing, word: int, connection: int, at_s: float, code: int
    ) -> bool:
        age_s = at_s - one.at_s
        if one.word != word:
            return False
        if code == _COIL_WRITE:
            return age_s < _PULSE_S
        is_retry = not one.is_known
        return (
            age_s < self._refresh_s
            and connection == one.connection
            and (one.is_confirmed or is_retry)
        )


def written(pdu: bytes) -> dict[tuple[str, int], int]:
    """Return what a request writes, by area and address; nothing where it is no write."""
    code = pdu[0]
    if code not in _WRITES or len(pdu) < 5:  # noqa: PLR2004 - code, address and value
        return {}
    address, value = struct.unpack_from(">HH", pdu, 1)
    if code == _COIL_WRITE:
        return {("coil", address): int(value != 0)}
    if code == _WORD_WRITE:
        return {("holding", address): value}
    data = pdu[6:]
    if code == _COILS_WRITE:
        bits = int.from_bytes(data, "little")
        return {("coil", address + i): bits >> i & 1 for i in range(value)}
    count = min(value, len(data) // 2)
    words = struct.unpack_from(f">{count}H", data)
    return {("holding", address + i): word for i, word in enumerate(words)}
