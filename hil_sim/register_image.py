"""The memory of a simulated Modbus device: values by tag on one side, raw registers on the other.

Rule: it shares no code with the drivers that it tests, and packs a block at most once per scan of
the PLC or write from the bus, and only when somebody reads it.
"""

import math
import struct
from collections.abc import Callable, Iterable, Mapping, Sequence
from enum import Enum
from itertools import pairwise
from operator import itemgetter

from hil_sim.bus import BusPlc, BusRegister

_FORMATS = {
    "u16": "H",
    "i16": "h",
    "bcd16": "H",
    "u32": "I",
    "i32": "i",
    "bcd32": "I",
    "u64": "Q",
    "i64": "q",
    "f32": "f",
    "f64": "d",
}
_WORDS = {"bool": 1} | {kind: struct.calcsize(code) // 2 for kind, code in _FORMATS.items()}
_RANGES = {
    "u16": (0, 0xFFFF),
    "i16": (-0x8000, 0x7FFF),
    "u32": (0, 0xFFFF_FFFF),
    "i32": (-0x8000_0000, 0x7FFF_FFFF),
    "u64": (0, 0xFFFF_FFFF_FFFF_FFFF),
    "i64": (-0x8000_0000_0000_0000, 0x7FFF_FFFF_FFFF_FFFF),
    "bcd16": (0, 9999),
    "bcd32": (0, 99_999_999),
}
_F32_MAX = 3.4028234663852886e38
_NEVER = -1

Packer = Callable[[Mapping[str, float], bytearray], None]


class Verdict(Enum):
    """What became of a write; the value is the Modbus exception code, 0 for none."""

    DONE = 0
    ADDRESS = 2
    VALUE = 3


class RegisterImage:
    """All four areas of one device, kept in step with a PLC.

    Args:
        plc: Whose values these are.
        registers: Where its points lie.
        word_order: Of values of two or more registers: ABCD, CDAB, BADC or DCBA.
        gap: Up to so many addresses between two points exist as spares: they read 0 and cannot be
            written. Beyond, an address is unknown.

    Raises:
        ValueError: Two points overlap, or the PLC lacks a tag.
    """

    def __init__(
        self,
        plc: BusPlc,
        registers: Iterable[BusRegister],
        *,
        word_order: str = "ABCD",
        gap: int = 8,
    ) -> None:
        self._plc = plc
        areas: dict[str, list[BusRegister]] = {"holding": [], "input": []}
        bits: dict[str, dict[int, BusRegister]] = {"coil": {}, "discrete": {}}
        for register in sorted(registers, key=lambda item: (item.address, item.bit or 0)):
            if register.point.tag not in plc.registers and not register.point.is_pulse:
                raise ValueError(f"the PLC has no value for {register.point.tag}")
            if register.area in areas:
                areas[register.area].append(register)
            elif register.address in bits[register.area]:
                raise ValueError(f"{register.point.tag} lies on another {register.area}")
            else:
                bits[register.area][register.address] = register
        self._blocks = {
            area: [_Block(run, word_order) for run in _runs(members, gap)]
            for area, members in areas.items()
        }
        self._bits = {
            area: [(run[0].address, run[-1].address + 1, run) for run in _runs(points, gap)]
            for area, points in ((area, list(found.values())) for area, found in bits.items())
        }
        self._bit_at = bits

    def read_words(self, area: str, address: int, count: int) -> bytes | None:
        """Return `count` registers of a word area as they go on the wire; None where unknown."""
        block = self._block(area, address, count)
        if block is None:
            return None
        start = 2 * (address - block.start)
        return bytes(block.fresh(self._plc)[start : start + 2 * count])

    def read_bits(self, area: str, address: int, count: int) -> list[bool] | None:
        """Return `count` coils or discrete inputs; None where unknown."""
        if not any(
            start <= address and address + count <= end for start, end, _ in self._bits[area]
        ):
            return None
        values = self._plc.registers
        points = self._bit_at[area]
        return [
            at in points and values.get(points[at].point.tag, 0.0) != 0.0
            for at in range(address, address + count)
        ]

    def write_words(self, address: int, data: bytes) -> Verdict:
        """Write holding registers as they came on the wire, each point in address order.

        As in a PLC, the points before one that is refused stay written; half a point is merged
        with the other half as it stands.
        """
        count = len(data) // 2
        block = self._block("holding", address, count)
        if block is None:
            return Verdict.ADDRESS
        fields = block.fields_between(address, address + count)
        if fields is None:
            return Verdict.ADDRESS
        image = bytearray(block.fresh(self._plc))
        start = 2 * (address - block.start)
        image[start : start + len(data)] = data
        verdict = Verdict.DONE
        for field in fields:
            if not self._plc.write(field.tag, field.unpack(image)):
                verdict = Verdict.VALUE
        self._spoil()
        return verdict

    def write_coils(self, address: int, values: Sequence[bool]) -> Verdict:
        """Write coils; a coil that is set reaches the PLC as 1.0."""
        points = [self._bit_at["coil"].get(address + i) for i in range(len(values))]
        verdict = Verdict.DONE
        writable = [point for point in points if point is not None and _is_writable(point)]
        if not points or len(writable) != len(points):
            return Verdict.ADDRESS
        for point, value in zip(writable, values, strict=True):
            if not self._plc.write(point.point.tag, 1.0 if value else 0.0):
                verdict = Verdict.VALUE
        self._spoil()
        return verdict

    def _block(self, area: str, address: int, count: int) -> "_Block | None":
        for block in self._blocks[area]:
            if block.start <= address and address + count <= block.end:
                return block
        return None

    def _spoil(self) -> None:
        for blocks in self._blocks.values():
            for block in blocks:
                block.generation = _NEVER


class _Block:
    """Registers without a gap that matters, and the bytes that they had when last packed."""

    __slots__ = ("_fields", "_image", "_packers", "end", "generation", "start")

    def __init__(self, registers: Sequence[BusRegister], word_order: str) -> None:
        self.start = registers[0].address
        self.end = max(item.address + _WORDS[item.kind] for item in registers)
        self.generation = _NEVER
        self._image = bytearray(2 * (self.end - self.start))
        numbers = [item for item in registers if item.bit is None]
        for before, after in pairwise(numbers):
            if after.address < before.address + _WORDS[before.kind]:
                raise ValueError(f"{before.point.tag} and {after.point.tag} overlap")
        self._fields = [_Field(item, self.start, word_order) for item in numbers]
        bits: dict[int, list[tuple[str, int]]] = {}
        for item in registers:
            if item.bit is not None:
                bits.setdefault(item.address - self.start, []).append((item.point.tag, item.bit))
        # Bits come last: they may be single bits of a word that is shown as a number as well.
        self._packers: list[Packer] = [
            *_number_packers(self._fields),
            *(_bit_packer(2 * at, members) for at, members in bits.items()),
        ]

    def fresh(self, plc: BusPlc) -> bytearray:
        """Return the bytes of the block as the PLC's last scan or write left it."""
        if self.generation != plc.generation:
            self.generation = plc.generation
            for pack in self._packers:
                pack(plc.registers, self._image)
        return self._image

    def fields_between(self, start: int, end: int) -> "list[_Field] | None":
        """Return the fields in [start, end); None where not every register of it can be written."""
        start, end = start - self.start, end - self.start
        fields = [item for item in self._fields if item.start < end and start < item.end]
        covered = sum(min(item.end, end) - max(item.start, start) for item in fields)
        if covered < end - start or not all(item.is_writable for item in fields):
            return None
        return fields


class _Field:
    """One number within a block, and how it is packed."""

    __slots__ = (
        "_codec",
        "_kind",
        "_offset",
        "_order",
        "_scale",
        "end",
        "is_plain",
        "is_writable",
        "start",
        "tag",
    )

    def __init__(self, register: BusRegister, block_start: int, word_order: str) -> None:
        self.tag = str(register.point.tag)
        self.start = register.address - block_start
        self.end = self.start + _WORDS[register.kind]
        self.is_writable = _is_writable(register)
        self._kind = register.kind
        self._scale = register.scale
        self._offset = register.offset
        self._codec = struct.Struct(">" + _FORMATS[register.kind])
        self._order = _byte_order(register.word_order or word_order, self._codec.size)
        self.is_plain = (
            register.kind == "f32"
            and self._order is None
            and (self._scale, self._offset) == (1.0, 0.0)
        )

    def pack(self, values: Mapping[str, float], image: bytearray) -> None:
        """Put the value of the tag into the bytes of its block."""
        raw = (values[self.tag] - self._offset) / self._scale
        number = stored(raw, self._kind)
        if self._kind.startswith("bcd"):
            number = int(str(number), 16)
        data = self._codec.pack(number)
        if self._order is not None:
            data = bytes(map(data.__getitem__, self._order))
        image[2 * self.start : 2 * self.end] = data

    def unpack(self, image: bytearray) -> float:
        """Return the value that the bytes of the block stand for."""
        data = bytes(image[2 * self.start : 2 * self.end])
        if self._order is not None:
            data = bytes(map(data.__getitem__, self._order))
        (raw,) = self._codec.unpack(data)
        if self._kind.startswith("bcd"):
            raw = int(f"{raw:x}")
        return float(raw * self._scale + self._offset)


def _runs(registers: Sequence[BusRegister], gap: int) -> list[list[BusRegister]]:
    """Return the registers in groups whose members lie at most `gap` spare addresses apart."""
    runs: list[list[BusRegister]] = []
    end = 0
    for item in registers:
        if not runs or item.address > end + gap:
            runs.append([])
        runs[-1].append(item)
        end = max(end, item.address + _WORDS[item.kind])
    return runs


def _is_writable(register: BusRegister) -> bool:
    return register.point.is_writable or register.point.is_pulse


def _byte_order(word_order: str, size: int) -> tuple[int, ...] | None:
    """Return which big-endian byte comes at each place on the wire; None for all in place.

    The letters name the bytes of a 32-bit value, A the highest. Values of 64 bits follow the same
    manner: words reversed (CDAB), bytes of each word swapped (BADC), or both (DCBA). A single
    register is sent high byte first (Modbus application protocol V1.1b3, 4.2) unless it is BA.
    """
    if word_order == "BA":
        return (1, 0)
    if size == 2 or word_order == "ABCD":  # noqa: PLR2004 - one register is two bytes
        return None
    words = [(i, i + 1) for i in range(0, size, 2)]
    if word_order in {"CDAB", "DCBA"}:
        words.reverse()
    if word_order in {"BADC", "DCBA"}:
        words = [(low, high) for high, low in words]
    return tuple(i for word in words for i in word)


def stored(raw: float, kind: str) -> float | int:
    """Return what a PLC stores for `raw`: rounded, at the end of its range where it is beyond.

    NaN, which an integer cannot say, is the lowest signed or the highest unsigned number.
    """
    if kind == "bool":
        return raw != 0.0
    if kind == "f64":
        return raw
    if kind == "f32":
        return raw if not abs(raw) > _F32_MAX else math.copysign(math.inf, raw)
    low, high = _RANGES[kind]
    if math.isnan(raw):
        return low or high
    return round(min(max(raw, low), high))


def _number_packers(fields: Sequence[_Field]) -> list[Packer]:
    """Return packers in which neighbouring plain floats share one, as most points are such."""
    packers: list[Packer] = []
    i = 0
    while i < len(fields):
        run = [fields[i]]
        while run[0].is_plain and i + len(run) < len(fields):
            after = fields[i + len(run)]
            if not after.is_plain or after.start != run[-1].end:
                break
            run.append(after)
        packers.append(_float_packer(run) if len(run) > 1 else run[0].pack)
        i += len(run)
    return packers


def _float_packer(fields: Sequence[_Field]) -> Packer:
    pick = itemgetter(*(item.tag for item in fields))
    pack_into = struct.Struct(f">{len(fields)}f").pack_into
    start = 2 * fields[0].start

    def pack(values: Mapping[str, float], image: bytearray) -> None:
        try:
            pack_into(image, start, *pick(values))
        except OverflowError:
            for item in fields:
                item.pack(values, image)

    return pack


def _bit_packer(at: int, members: Sequence[tuple[str, int]]) -> Packer:
    mask = 0xFFFF
    for tag, bit in members:
        if not mask >> bit & 1:
            raise ValueError(f"{tag} lies on another bit")
        mask &= ~(1 << bit)
    weights = [(tag, 1 << bit) for tag, bit in members]
    word = struct.Struct(">H")

    def pack(values: Mapping[str, float], image: bytearray) -> None:
        number = word.unpack_from(image, at)[0] & mask
        for tag, weight in weights:
            if values[tag]:
                number |= weight
        word.pack_into(image, at, number)

    return pack
