"""The memory of one unit of a hostile Modbus device, whose content may be wrong as well.

Rule: a request that is right by its form is answered from the register image; a lie changes what is
read, never what the PLC behind it holds.
"""

import struct
from collections.abc import Sequence

from hil_sim.bus import BusPlc, BusRegister
from hil_sim.register_image import RegisterImage, Verdict

_READ_AREAS = {1: "coil", 2: "discrete", 3: "holding", 4: "input"}
_WORDS_MAX = 125
_BITS_MAX = 2000
_ERROR_FLAG = 0x80
_FUNCTION, _ADDRESS, _VALUE = 1, 2, 3
_COIL = {0xFF00: True, 0x0000: False}
_SWAPPED = {"ABCD": "CDAB", "CDAB": "ABCD", "BADC": "DCBA", "DCBA": "BADC"}
_PATTERNS = {
    ("nan", "f32"): b"\x7f\xc0\x00\x00",
    ("inf", "f32"): b"\x7f\x80\x00\x00",
    ("nan", "f64"): b"\x7f\xf8\x00\x00\x00\x00\x00\x00",
    ("inf", "f64"): b"\x7f\xf0\x00\x00\x00\x00\x00\x00",
}

LIES: dict[str, float] = {
    "shifted": 1.0,
    "swapped": 0.0,
    "forbidden": 2.0,
    "nan": 0.0,
    "inf": 0.0,
    "raw": 0x8000,
}
"""Every lie about content, by name, with how much of it where nobody says: shifted: registers;
forbidden: the exception that answers whoever reads there; raw: the word. The last four are told
about one tag."""


class Bank:
    """The four areas of one unit.

    Args:
        plc: Whose values these are.
        registers: Where its points lie.
        word_order: Of values of two or more registers, for registers that name none.
        gap: Spare addresses between two points that may be read as 0.
    """

    def __init__(
        self,
        plc: BusPlc,
        registers: Sequence[BusRegister],
        *,
        word_order: str = "ABCD",
        gap: int = 8,
    ) -> None:
        self._rows = {str(row.point.tag): row for row in registers}
        self._word_order = word_order
        self._image = RegisterImage(plc, registers, word_order=word_order, gap=gap)
        self._swapped = RegisterImage(plc, registers, word_order=_SWAPPED[word_order], gap=gap)
        self._is_swapped = False
        self._shift = 0
        self._words: dict[tuple[str, int], bytes] = {}
        self._forbidden: tuple[BusRegister, int] | None = None

    def lie(self, name: str, amount: float, tag: str = "") -> None:
        """Tell one of `LIES` from now on.

        Raises:
            ValueError: There is no such tag, or it is kept in a way that cannot say so.
        """
        if name == "shifted":
            self._shift = int(amount)
        elif name == "swapped":
            self._is_swapped = True
        elif name == "forbidden":
            self._forbidden = self._row(tag), int(amount)
        else:
            self._put(name, int(amount), tag)

    def be_honest(self) -> None:
        """Tell the truth from now on."""
        self._shift, self._is_swapped = 0, False
        self._words.clear()
        self._forbidden = None

    def answer(self, pdu: bytes) -> bytes:
        """Return the reply to a request, an exception where it is wrong."""
        code = pdu[0]
        try:
            if code in _READ_AREAS:
                return self._read(code, *struct.unpack(">HH", pdu[1:]))
            return self._write(code, pdu)
        except (struct.error, KeyError):
            return _refused(code, _VALUE)

    def _row(self, tag: str) -> BusRegister:
        if tag not in self._rows:
            raise ValueError(f"no point is called {tag!r}")
        return self._rows[tag]

    def _put(self, name: str, word: int, tag: str) -> None:
        row = self._row(tag)
        data = struct.pack(">H", word & 0xFFFF) if name == "raw" else None
        data = data or _PATTERNS.get((name, row.kind))
        if data is None:
            raise ValueError(f"{tag} is a {row.kind}, which cannot be {name}")
        if len(data) > 2 and self._word_order in {"CDAB", "DCBA"}:  # noqa: PLR2004 - two bytes a register
            data = b"".join(data[i : i + 2] for i in range(len(data) - 2, -1, -2))
        for i in range(0, len(data), 2):
            self._words[row.area, row.address + i // 2] = data[i : i + 2]

    def _read(self, code: int, address: int, count: int) -> bytes:
        area = _READ_AREAS[code]
        if self._forbidden is not None:
            row, why = self._forbidden
            if row.area == area and address <= row.address < address + count:
                return _refused(code, why)
        if area in {"coil", "discrete"}:
            return self._read_bits(code, address, count)
        if not 1 <= count <= _WORDS_MAX:
            return _refused(code, _VALUE)
        image = self._swapped if self._is_swapped else self._image
        data = image.read_words(area, address, count)
        if data is None:
            return _refused(code, _ADDRESS)
        if self._shift:
            # Beyond the end of what the device has, it shows nothing.
            data = (data[2 * self._shift :] + bytes(2 * self._shift))[: 2 * count]
        for (where, at), word in self._words.items():
            if where == area and address <= at < address + count:
                start = 2 * (at - address)
                data = data[:start] + word + data[start + 2 :]
        return bytes([code, len(data)]) + data

    def _read_bits(self, code: int, address: int, count: int) -> bytes:
        if not 1 <= count <= _BITS_MAX:
            return _refused(code, _VALUE)
        bits = self._image.read_bits(_READ_AREAS[code], address, count)
        if bits is None:
            return _refused(code, _ADDRESS)
        number = sum(bit << i for i, bit in enumerate(bits))
        size = -(-count // 8)
        return bytes([code, size]) + number.to_bytes(size, "little")

    def _write(self, code: int, pdu: bytes) -> bytes:
        image = self._swapped if self._is_swapped else self._image
        match code:
            case 5:
                address, value = struct.unpack(">HH", pdu[1:])
                verdict = image.write_coils(address, [_COIL[value]])
            case 6:
                (address,) = struct.unpack(">H", pdu[1:3])
                verdict = image.write_words(address, pdu[3:5])
            case 15:
                address, count, data = _many(pdu, bits=True)
                verdict = image.write_coils(
                    address, [bool(data[i // 8] >> i % 8 & 1) for i in range(count)]
                )
            case 16:
                address, count, data = _many(pdu, bits=False)
                verdict = image.write_words(address, data)
            case _:
                return _refused(code, _FUNCTION)
        return pdu[:5] if verdict is Verdict.DONE else _refused(code, verdict.value)


def _many(pdu: bytes, *, bits: bool) -> tuple[int, int, bytes]:
    """Return address, count and data of a request that writes several.

    Raises:
        struct.error: It contradicts itself.
    """
    address, count, size = struct.unpack_from(">HHB", pdu, 1)
    data = pdu[6:]
    if not count or len(data) != size or size != (-(-count // 8) if bits else 2 * count):
        raise struct.error
    return address, count, data


def _refused(code: int, why: int) -> bytes:
    return bytes([code | _ERROR_FLAG, why])
