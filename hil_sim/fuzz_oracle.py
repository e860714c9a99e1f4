"""What bytes on a Modbus line mean, worked out a second time: the judge of the decoder fuzz.

Rule: it shares no code with the drivers; plain arithmetic on bytes, slow and obvious.
"""

import math
import struct
from collections.abc import Iterator, Sequence

from core.point import Quality
from drivers.settings import Register
from hil_sim.hostile_frames import crc16

_MESSAGE_MAX = 254
_SERIAL_UNIT = 7
_RELATIVE = 1e-6
FLOATS = frozenset({"f32", "f64"})
FLOATS_MIN = 8
"""So many floats, most of them impossible, are those of another map."""
_NEXT_TO_NOTHING = 1e-6
_F64_MAX = 1.7976931348623157e308


def mbap_frames(stream: bytes) -> Iterator[tuple[int, int, bytes]]:
    """Yield transaction, unit and message of each whole frame, up to the first that is none."""
    at = 0
    while len(stream) - at >= 7:  # noqa: PLR2004 - the length of a header
        counted = stream[at + 4] * 256 + stream[at + 5]
        if stream[at + 2] or stream[at + 3] or not 3 <= counted <= _MESSAGE_MAX:  # noqa: PLR2004 - a unit, a function and one byte more
            return
        end = at + 6 + counted
        if end > len(stream):
            return
        yield stream[at] * 256 + stream[at + 1], stream[at + 6], stream[at + 7 : end]
        at = end


def mbap_end(stream: bytes) -> int | None:
    """Return how many bytes at the head of a stream are whole frames; None where one is none."""
    at = 0
    while len(stream) - at >= 7:  # noqa: PLR2004 - the length of a header
        counted = stream[at + 4] * 256 + stream[at + 5]
        if stream[at + 2] or stream[at + 3] or counted < 3 or counted > _MESSAGE_MAX:  # noqa: PLR2004 - see above
            return None
        if at + 6 + counted > len(stream):
            break
        at += 6 + counted
    return at


def meant_by_serial(chunks: Sequence[bytes], request: bytes) -> list[str]:
    """Return what the owner of a serial line must be told of the reply to a request to unit 7.

    What follows the whole reply in another piece is late and nobody's; in the same piece it makes
    the reply itself doubtful.
    """
    so_far = b""
    for chunk in chunks:
        so_far += chunk
        if len(so_far) < 3:  # noqa: PLR2004 - unit, function, and what its length is told by
            continue
        size = _serial_size(so_far, request[0])
        if so_far[0] != _SERIAL_UNIT or size is None or len(so_far) > size:
            return ["confused", ""]
        if len(so_far) == size:
            low, high = so_far[-2:]
            is_whole = crc16(so_far[:-2]) == high * 256 + low
            return ["replied", so_far[1:-2].hex()] if is_whole else ["confused", ""]
    return []


def _serial_size(frame: bytes, code: int) -> int | None:
    """Return how long a reply to a function is that begins so; None if none does."""
    if frame[1] == code + 128:
        return 5
    if frame[1] != code:
        return None
    return 5 + frame[2] if code <= 4 else 8  # noqa: PLR2004 - the reads are numbered 1 to 4


def values_in(message: bytes, request: bytes) -> bytes | None:
    """Return the values in the reply to a read, None where it is no right reply to it."""
    code = request[0]
    count = request[3] * 256 + request[4]
    size = (count + 7) // 8 if code in {1, 2} else 2 * count
    if len(message) != size + 2 or message[0] != code or message[1] != size:
        return None
    return message[2:]


def is_another_map(registers: Sequence[Register], data: bytes, address: int, order: str) -> bool:
    """Return whether most of the eight or more floats in a block are impossible, or nearly so."""
    end = address + len(data) // 2
    floats = [
        (one, _number(one, data, address, order))
        for one in registers
        if one.kind in FLOATS and address <= one.address <= end - one.words
    ]
    wrong = sum(
        Quality.BAD in _qualities(one, true) or 0.0 < abs(true) < _NEXT_TO_NOTHING
        for one, true in floats
    )
    return len(floats) >= FLOATS_MIN and 2 * wrong > len(floats)


def may_be(
    register: Register, data: bytes, address: int, order: str, value: float, quality: int
) -> bool:
    """Return whether a decoded value and its quality are what the bytes of a block say.

    A block of another map is not looked for here; see `is_another_map`.

    Args:
        register: Where and how the value is kept.
        data: The values of the block.
        address: Its first address.
        order: The device's order of bytes.
        value: What was decoded.
        quality: Its quality.
    """
    if register.kind == "bool":
        return quality == Quality.GOOD and value == _bit(register, data, address)
    true = _number(register, data, address, order)
    if math.isnan(value) is not (quality == Quality.BAD):
        return False
    if quality != Quality.BAD and abs(value - true) > 1e-9 * max(1.0, abs(true)):
        return False
    return quality in _qualities(register, true)


def _bit(register: Register, data: bytes, address: int) -> float:
    offset = register.address - address
    if register.bit is None:
        return float(data[offset // 8] >> offset % 8 & 1)
    high, low = data[2 * offset], data[2 * offset + 1]
    if register.word_order == "BA":
        high, low = low, high
    return float((high * 256 + low) >> register.bit & 1)


def _number(register: Register, data: bytes, address: int, order: str) -> float:
    """Return the value in the point's unit, NaN where the bytes are no number."""
    start = 2 * (register.address - address)
    wire = data[start : start + 2 * register.words]
    big = _high_first(wire, register.word_order or order)
    kind = register.kind
    if kind == "f32":
        raw: float = struct.unpack(">f", big)[0]
    elif kind == "f64":
        raw = struct.unpack(">d", big)[0]
    elif kind.startswith("bcd"):
        digits = [half for byte in big for half in (byte >> 4, byte & 15)]
        if max(digits) > 9:  # noqa: PLR2004 - the highest digit
            return math.nan
        raw = float(sum(digit * 10**i for i, digit in enumerate(reversed(digits))))
    else:
        raw = float(int.from_bytes(big, "big", signed=kind.startswith("i")))
    return raw * register.scale + register.offset + register.correction


def _high_first(wire: bytes, order: str) -> bytes:
    words = [wire[i : i + 2] for i in range(0, len(wire), 2)]
    if len(words) == 1:
        return wire[::-1] if order == "BA" else wire
    if order in {"CDAB", "DCBA"}:
        words.reverse()
    if order in {"BADC", "DCBA"}:
        words = [word[::-1] for word in words]
    return b"".join(words)


def _qualities(register: Register, true: float) -> Sequence[int]:
    """Return the qualities that a value may have; two of them close to a limit."""
    if math.isnan(true) or math.isinf(true):
        return [Quality.BAD]
    states = {float(number) for number, _ in register.point.states}
    if states and true not in states:
        return [Quality.BAD]
    outcomes = [_in_range(register, true)]
    if register.current_loop is not None:
        outcomes.append(_in_loop(register, true))
    worst = [min(one) for one in outcomes], [max(one) for one in outcomes]
    low, high = min(worst[0]), min(worst[1])
    return [quality for quality in (0, 1, 3) if low <= quality <= high]


def _in_range(register: Register, true: float) -> Sequence[int]:
    low, high = register.point.low, register.point.high
    step = 0.0 if register.kind in {"f32", "f64"} else 0.5 * abs(register.scale)
    low, high = max(low, -_F64_MAX), min(high, _F64_MAX)
    if low <= true <= high:
        return [Quality.GOOD]
    beyond = max(low - true, true - high)
    near = step + _RELATIVE * max(abs(low), abs(high))
    return [Quality.BAD, Quality.GOOD] if beyond <= near else [Quality.BAD]


def _in_loop(register: Register, true: float) -> Sequence[int]:
    assert register.current_loop is not None
    at_4, at_20 = register.current_loop
    raw = (true - register.correction - register.offset) / register.scale
    current_ma = 4.0 + 16.0 * (raw - at_4) / (at_20 - at_4)
    bands = ((3.6, 21.0, Quality.BAD), (3.8, 20.5, Quality.STALE))
    edge_ma = 1e-4
    best, worst = Quality.GOOD, Quality.GOOD
    for low_ma, high_ma, quality in bands:
        if not low_ma - edge_ma < current_ma < high_ma + edge_ma:
            best = min(best, quality)
        if not low_ma + edge_ma < current_ma < high_ma - edge_ma:
            worst = min(worst, quality)
    return [worst, best]
