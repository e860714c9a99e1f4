"""Pure codec between the registers of a Modbus device and engineering values.

Rule: a value that is NaN, infinite, outside its point's plausible range or none of its states is
BAD and NaN, and where most floats of a block are impossible all of them are; nothing else makes a
decoded value BAD.

A 4-20 mA transmitter that is open or shorted is BAD, one out of its specification is STALE, as with
the uncertain values of OPC UA.
"""

import math
import struct
import sys
from collections.abc import Sequence
from functools import lru_cache
from itertools import pairwise
from operator import add, itemgetter, le, mul
from typing import Protocol

from core.point import Quality
from drivers.bcd import from_decimals, to_decimal
from drivers.current_loop import intact, measured
from drivers.kinds import FLOAT_COUNTS, INTEGERS, plausible, raw_number
from drivers.settings import ByteOrder, Register, RegisterKind, TextRegister, WordOrder

_CODES: dict[RegisterKind, str] = {
    "u16": "H",
    "i16": "h",
    "u32": "I",
    "i32": "i",
    "u64": "Q",
    "i64": "q",
    "f32": "f",
    "f64": "d",
    "bcd16": "H",
    "bcd32": "I",
}
_DECIMAL = frozenset({"bcd16", "bcd32"})
_PACK = {kind: struct.Struct(">" + code).pack for kind, code in _CODES.items()}
FLOATS_MIN = 8
"""Fewer floats may well be wrong for reasons of their own."""
# With its words swapped a float is out of range, or else mostly next to nothing: no sensor of a
# station shows a millionth of its unit.
_NEXT_TO_NOTHING = 2.0**-20
_WORD_BYTES = 2
_BYTE_BITS = 8


class _Picker(Protocol):
    """Bytes in, the same bytes in another order out."""

    def __call__(self, data: bytes, /) -> bytes: ...


def _good_between(register: Register) -> tuple[float, float]:
    """Return the range in which a value is GOOD."""
    low, high = plausible(register.point, register.kind, register.scale)
    if register.current_loop is None:
        return low, high
    least, most = measured(register)
    return max(low, least), min(high, most)


def _shown_between(register: Register) -> tuple[float, float]:
    """Return the open range in which a value that is not GOOD is shown; empty mostly."""
    if register.current_loop is None:
        return math.inf, -math.inf
    low, high = plausible(register.point, register.kind, register.scale)
    least, most = intact(register)
    return max(low, least), min(high, most)


def text_of(register: TextRegister, data: bytes) -> str:
    """Return the text in the registers of `data`, without the filling at its end.

    Old devices write Chinese in GB 18030; what is neither that nor UTF-8 shows as `�`.
    """
    if register.word_order in {"BADC", "BA"}:
        data = b"".join(data[i + 1 : i + 2] + data[i : i + 1] for i in range(0, len(data), 2))
    data = data.split(b"\0")[0].rstrip()
    try:
        return data.decode()
    except UnicodeDecodeError:
        return data.decode("gb18030", "replace")


def encode(register: Register, value: float, word_order: WordOrder = "ABCD") -> bytes:
    """Return the bytes of the registers that stand for `value`, in wire order.

    Args:
        register: Where and how the value is kept; not a bit.
        value: In the point's unit.
        word_order: The device's order, for a register without its own.

    Raises:
        ValueError: The value is no number, or the type cannot hold it.
    """
    kind, offset = register.kind, register.offset + register.correction
    try:
        number = raw_number(kind, value, scale=register.scale, offset=offset)
    except ValueError as error:
        raise ValueError(f"{register.point.tag} = {error}") from None
    data = _PACK[kind](to_decimal(int(number)) if kind in _DECIMAL else number)
    order = register.word_order or word_order
    if order == "ABCD":
        return data
    return bytes(data[i] for i in _wire_positions(order, len(data)))


class BlockCodec:
    """Decodes one block of consecutive registers with a single `struct.Struct`.

    `registers` is the order of the decoded values: numbers by address, then bits by address.

    Args:
        registers: What lies in the block; bits may share a register with a number, numbers may
            not overlap.
        address: First address of the block.
        count: Registers in the block; coils or discrete inputs in a block of bits.
        word_order: The device's order, for registers without their own.

    Raises:
        ValueError: Two numbers overlap, two points are the same bit, or one register has two
            byte orders.
    """

    __slots__ = (
        "_bits",
        "_decimals",
        "_floats",
        "_good",
        "_has_integers",
        "_has_ranges",
        "_highs",
        "_is_affine",
        "_lows",
        "_offsets",
        "_pick",
        "_scales",
        "_shown",
        "_states",
        "_unpack",
        "registers",
        "size",
    )

    def __init__(
        self,
        registers: Sequence[Register],
        *,
        address: int,
        count: int,
        word_order: WordOrder = "ABCD",
    ) -> None:
        numbers = sorted((r for r in registers if r.kind != "bool"), key=lambda r: r.address)
        bits = sorted((r for r in registers if r.kind == "bool"), key=_bit_address)
        is_bit_area = bool(bits) and bits[0].is_bit_area
        self.registers = (*numbers, *bits)
        self.size = -(-count // _BYTE_BITS) if is_bit_area else count * _WORD_BYTES
        self._unpack = struct.Struct(_format(numbers, address)).unpack_from
        self._pick = _picker(numbers, address, self.size, word_order)
        self._scales = tuple(r.scale for r in numbers)
        self._offsets = tuple(r.offset + r.correction for r in numbers)
        self._is_affine = any(
            line != (1.0, 0.0) for line in zip(self._scales, self._offsets, strict=True)
        )
        self._has_integers = any(r.kind in INTEGERS for r in numbers)
        self._floats = tuple(i for i, r in enumerate(numbers) if r.kind in FLOAT_COUNTS)
        self._decimals = tuple(i for i, r in enumerate(numbers) if r.kind in _DECIMAL)
        self._states = tuple(
            (i, frozenset(float(number) for number, _ in r.point.states))
            for i, r in enumerate(numbers)
            if r.point.states
        )
        self._lows = tuple(_good_between(r)[0] for r in numbers)
        self._highs = tuple(_good_between(r)[1] for r in numbers)
        widest = (-sys.float_info.max, sys.float_info.max)
        self._has_ranges = any(_good_between(r) != widest for r in numbers)
        self._shown = tuple(map(_shown_between, numbers))
        self._bits = _bit_tables(bits, address)
        self._good = bytes([Quality.GOOD]) * len(self.registers)

    def decode(self, data: bytes) -> tuple[tuple[float, ...], bytes]:
        """Return the values and qualities of one reply, in the order of `registers`.

        Args:
            data: The `size` bytes of the block, without the byte count before them.

        Returns:
            Values in the points' units, and one `Quality` byte each; while all is well the
            qualities are the same object every time.
        """
        numbers: tuple[float, ...] = self._unpack(data if self._pick is None else self._pick(data))
        if self._decimals:
            numbers = from_decimals(numbers, self._decimals)
        if self._is_affine:
            numbers = tuple(map(add, map(mul, numbers, self._scales), self._offsets))
        elif self._has_integers:
            numbers = tuple(map(float, numbers))
        if self._states:
            numbers = _only_known(numbers, self._states)
        values = numbers
        for position, table in self._bits:
            values += table[data[position]]
        if self._is_plausible(numbers):
            return values, self._good
        return self._without_implausible(values, len(numbers))

    def _is_plausible(self, numbers: tuple[float, ...]) -> bool:
        """Return whether all numbers are finite and within their ranges."""
        if not self._has_ranges:
            # NaN and infinity stay in a sum; one that overflows only means a closer look.
            return math.isfinite(sum(numbers))
        # NaN fails both comparisons, and no limit is infinite, so this finds Inf and NaN as well.
        return all(map(le, self._lows, numbers)) and all(map(le, numbers, self._highs))

    def _without_implausible(
        self, values: tuple[float, ...], numbers: int
    ) -> tuple[tuple[float, ...], bytes]:
        qualities = bytearray(self._good)
        kept = list(values)
        for i in range(numbers):
            if self._lows[i] <= values[i] <= self._highs[i]:
                continue
            low, high = self._shown[i]
            if low < values[i] < high:
                qualities[i] = Quality.STALE
            else:
                kept[i] = math.nan
                qualities[i] = Quality.BAD
        if self._is_another_map(kept):
            for i in self._floats:
                kept[i] = math.nan
                qualities[i] = Quality.BAD
        return tuple(kept), bytes(qualities)

    def _is_another_map(self, values: Sequence[float]) -> bool:
        """Return whether most floats cannot be: their words are swapped, or it is another map."""
        if len(self._floats) < FLOATS_MIN:
            return False
        impossible = sum(
            math.isnan(values[i]) or 0.0 < abs(values[i]) < _NEXT_TO_NOTHING for i in self._floats
        )
        return 2 * impossible > len(self._floats)


def _only_known(
    numbers: tuple[float, ...], states: Sequence[tuple[int, frozenset[float]]]
) -> tuple[float, ...]:
    """Return `numbers` with NaN for each that is none of its point's states."""
    if all(numbers[i] in known for i, known in states):
        return numbers
    unknown = {i for i, known in states if numbers[i] not in known}
    return tuple(math.nan if i in unknown else number for i, number in enumerate(numbers))


def _bit_address(register: Register) -> tuple[int, int]:
    return register.address, register.bit or 0


def _format(numbers: Sequence[Register], address: int) -> str:
    """Return the struct format of `numbers`, with pad bytes for everything between them."""
    parts = [">"]
    at = address
    for register in numbers:
        if register.address < at:
            raise ValueError(f"{register.point.tag} overlaps another point at {register.address}")
        parts.append(f"{(register.address - at) * _WORD_BYTES}x{_CODES[register.kind]}")
        at = register.address + register.words
    return "".join(parts)


def _wire_positions(order: ByteOrder, size: int) -> tuple[int, ...]:
    """Return for each byte of a value, high byte first, where it stands on the wire.

    Every order is its own inverse, so that the same positions decode and encode. One register is
    sent high byte first (Modbus application protocol V1.1b3, 4.2), but for devices that do not.
    """
    if order == "BA":
        return (1, 0)
    words = [(i, i + 1) for i in range(0, size, _WORD_BYTES)]
    if size > _WORD_BYTES and order in {"CDAB", "DCBA"}:
        words.reverse()
    if size > _WORD_BYTES and order in {"BADC", "DCBA"}:
        words = [(low, high) for high, low in words]
    return tuple(i for word in words for i in word)


def _picker(
    numbers: Sequence[Register], address: int, size: int, word_order: WordOrder
) -> _Picker | None:
    """Return what puts a block's bytes into high-byte-first order, or None where they are."""
    positions = list(range(size))
    for register in numbers:
        start = (register.address - address) * _WORD_BYTES
        length = register.words * _WORD_BYTES
        order = register.word_order or word_order
        positions[start : start + length] = [start + i for i in _wire_positions(order, length)]
    if positions == list(range(size)):
        return None
    pick = itemgetter(*positions)
    return lambda data: bytes(pick(data))


def _bit_tables(
    bits: Sequence[Register], address: int
) -> tuple[tuple[int, tuple[tuple[float, ...], ...]], ...]:
    """Return for each byte that holds wanted bits its position and what each byte value means."""
    wanted: dict[int, int] = {}
    for before, register in pairwise(bits):
        if _bit_address(before) == _bit_address(register):
            raise ValueError(f"{before.point.tag} and {register.point.tag} are the same bit")
        if before.address == register.address and _is_swapped(before) != _is_swapped(register):
            raise ValueError(f"{register.point.tag}: its register has two byte orders")
    for register in bits:
        offset = register.address - address
        if register.bit is None:
            position, bit = divmod(offset, _BYTE_BITS)
        else:
            # The low byte of a register comes second on the wire.
            is_first = (register.bit >= _BYTE_BITS) != _is_swapped(register)
            position = offset * _WORD_BYTES + (0 if is_first else 1)
            bit = register.bit % _BYTE_BITS
        wanted[position] = wanted.get(position, 0) | 1 << bit
    return tuple((position, _meanings(mask)) for position, mask in wanted.items())


def _is_swapped(register: Register) -> bool:
    return register.word_order == "BA"


@lru_cache(maxsize=256)
def _meanings(mask: int) -> tuple[tuple[float, ...], ...]:
    """Return for each value of a byte the wanted bits as 0.0 or 1.0, lowest bit first."""
    bits = [bit for bit in range(_BYTE_BITS) if mask >> bit & 1]
    return tuple(tuple(float(byte >> bit & 1) for bit in bits) for byte in range(256))
