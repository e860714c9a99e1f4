"""Random damage to the frames of a Modbus device.

Rule: all chance comes from the generator handed in.
"""

import random
import struct
from collections.abc import Callable

_CHUNKS_MAX = 4
_JUNK_BYTES_MAX = 300


def _bit(frame: bytes, rng: random.Random) -> bytes:
    at = rng.randrange(len(frame))
    return frame[:at] + bytes([frame[at] ^ 1 << rng.randrange(8)]) + frame[at + 1 :]


def _byte(frame: bytes, rng: random.Random) -> bytes:
    at = rng.randrange(len(frame))
    return frame[:at] + rng.randbytes(1) + frame[at + 1 :]


def _head(frame: bytes, rng: random.Random) -> bytes:
    at = rng.randrange(min(9, len(frame)))
    return frame[:at] + bytes([rng.choice((0, 1, 2, 3, 4, 0x7F, 0x80, 0xFF))]) + frame[at + 1 :]


def _cut(frame: bytes, rng: random.Random) -> bytes:
    return frame[: rng.randrange(len(frame))]


def _gone(frame: bytes, rng: random.Random) -> bytes:
    at = rng.randrange(len(frame))
    return frame[:at] + frame[at + 1 + rng.randrange(4) :]


def _more(frame: bytes, rng: random.Random) -> bytes:
    at = rng.randrange(len(frame) + 1)
    return frame[:at] + rng.randbytes(1 + rng.randrange(6)) + frame[at:]


def _junk(_frame: bytes, rng: random.Random) -> bytes:
    return rng.randbytes(rng.randrange(_JUNK_BYTES_MAX))


def _twice(frame: bytes, _rng: random.Random) -> bytes:
    return frame + frame


def _length(frame: bytes, rng: random.Random) -> bytes:
    """Change what the header counts, and the bytes with it as often as not."""
    counted = rng.choice((0, 1, 2, 3, 4, 5, 9, 253, 254, 255, 256, 260, 0xFFFF))
    body = frame[6:]
    if rng.random() < 0.5:  # noqa: PLR2004 - even odds
        body = (body + bytes(counted))[:counted]
    return frame[:4] + struct.pack(">H", counted) + body


def _refusal(frame: bytes, rng: random.Random) -> bytes:
    code = rng.choice((0, 1, 2, 3, 4, 5, 6, 8, 10, 11, 99, 255))
    return frame[:4] + b"\0\3" + frame[6:7] + bytes([frame[7] | 0x80, code])


def _resized(frame: bytes, rng: random.Random) -> bytes:
    """Give more or fewer registers, told consistently."""
    size = rng.choice((0, 1, 2, 4, 6, 8, 128, 250, 251))
    body = (frame[9:] + bytes(size))[:size]
    return frame[:4] + struct.pack(">H", size + 3) + frame[6:8] + bytes([size]) + body


def _none(frame: bytes, _rng: random.Random) -> bytes:
    return frame


MUTATIONS: tuple[Callable[[bytes, random.Random], bytes], ...] = (
    _none, _bit, _byte, _head, _cut, _gone, _more, _junk, _twice, _length, _refusal, _resized,
)  # fmt: skip
"""What may become of a right reply; each takes a frame of Modbus TCP of nine bytes at least."""

SHORT_MUTATIONS = (_bit, _byte, _cut, _gone, _more, _junk, _twice)
"""Those that take a frame of any length but 0."""


def mutated(frame: bytes, rng: random.Random) -> bytes:
    """Return a frame after one or two mutations."""
    frame = rng.choice(MUTATIONS)(frame, rng)
    if len(frame) > 8 and rng.random() < 0.3:  # noqa: PLR2004 - the least that they take; now and then
        frame = rng.choice(MUTATIONS)(frame, rng)
    return frame


def in_chunks(data: bytes, rng: random.Random) -> list[bytes]:
    """Return the bytes as a network may deliver them."""
    if rng.random() < 0.7 or len(data) < 2:  # noqa: PLR2004 - mostly in one piece
        return [data] if data else []
    cuts = sorted(rng.randrange(len(data)) for _ in range(rng.randrange(1, _CHUNKS_MAX)))
    return [data[a:b] for a, b in zip([0, *cuts], [*cuts, len(data)], strict=True) if a < b]
