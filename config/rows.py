"""One row of a register map as an engineer writes it: address, type, and how raw becomes a value.

Rule: a row says all about its point by itself; what rows do to each other is looked at by the map.
"""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from math import isfinite
from typing import Annotated, Literal, cast, get_args

from annotated_types import Ge, Le, MinLen

from config.field_address import read_address
from config.formula import Amount, Formula, RawCount
from config.reading import Finding
from config.rules import PointChecks, WriteRules, check_flaws, write_flaws
from config.shape import Mark
from core.parameters import Unreadable, parameters
from core.point import Unit
from drivers.node_address import NodeAddress
from drivers.settings import Area, ByteOrder, Kind, RegisterKind

_AREAS = get_args(Area)
_AT = re.compile(rf"({'|'.join(_AREAS)}) ([0-9]{{1,5}})(?: bit ([0-9]{{1,2}}))?")
RowType = Literal[RegisterKind, "text"]


@dataclass(frozen=True, slots=True)
class Address:
    """Where a point lies in a Modbus device: `holding 63 bit 4`."""

    area: Area
    address: int
    bit: int | None

    @classmethod
    def from_text(cls, text: str) -> "Address":
        """Return the address written as area, wire address and, for one bit of a word, its bit.

        Raises:
            Unreadable: It is not written so.
        """
        match = _AT.fullmatch(text)
        if match is None:
            hint = "write area and address, as in `holding 12`, `holding 63 bit 4` or `coil 0`"
            found = read_address(text)
            if found is not None and found.number > 0:
                hint = f"write `{found.written()}`: the wire counts from 0"
            raise Unreadable(f"`{text}` is not an address", hint)
        bit = None if match[3] is None else int(match[3])
        return cls(cast("Area", match[1]), int(match[2]), bit)


@parameters
class Row:
    """What every point of a map has.

    Attributes:
        unit: Unit of the value, scale and offset applied.
        range: Plausible values; a value outside is BAD, and none outside is ever written.
        states: Names of the numbers of an enumeration; any other number is BAD.
        write: `yes`: heatd may write it. `pulse`: a command bit that is set once, or a time for
            which the PLC's own timer closes a contact.
        checks: What is implausible, or may not be written so fast.
        writing: How often, how long and under which authority it is written.
    """

    unit: Unit = Unit.NONE
    range: tuple[float, float] | None = None
    states: Mapping[int, str] = field(default_factory=dict)
    write: Literal["no", "yes", "pulse"] = "no"
    checks: Annotated[PointChecks, Mark.INLINE] = PointChecks()
    writing: Annotated[WriteRules, Mark.INLINE] = WriteRules()


@parameters
class ModbusRow(Row):
    """A point of a Modbus map.

    Attributes:
        at: Area, wire address counted from 0, and for one bit of a word `bit` and its number.
        type: Type of the value in the PLC; a word of `bits` needs none.
        length: Registers of a text.
        equals: What a text must be.
        scale: The value is raw * scale + offset.
        offset: See `scale`.
        formula: The same as the field writes it, in x: `x*0.01`.
        raw: A 4-20 mA transmitter: what the register shows at 4 mA and at 20 mA, in counts or mA,
            and the values there. A broken one (NAMUR NE 43) is BAD.
        bits: Names of single bits of the word, each a point of its own.
        poll: `slow`: once a minute is enough. `once`: once after each connect, and it never ages.
        word_order: Where it differs from the device's; BA: a single register with swapped bytes.
    """

    at: Address
    type: RowType | None = None
    length: Annotated[int, Ge(1), Le(64)] | None = None
    equals: str = ""
    scale: float = 1.0
    offset: float = 0.0
    formula: Formula | None = None
    raw: Mapping[RawCount, Amount] = field(default_factory=dict)
    bits: Mapping[int, str] = field(default_factory=dict)
    poll: Literal["fast", "slow", "once"] = "fast"
    word_order: ByteOrder | None = None


@parameters
class OpcUaRow(Row):
    """A point of an OPC UA map.

    Attributes:
        node: Where it is: a string identifier in the device's namespace, `i=7` or `g=GUID` there,
            `ns=URI;s=...` in another one, or a path of browse names as in `/Objects/Station/T2g`.
        type: Type of the value on the server.
        poll: `slow`: once a minute is enough. `once`: once after each connect, and it never ages.
    """

    node: Annotated[str, MinLen(1)]
    type: Kind
    poll: Literal["fast", "slow", "once"] = "fast"


_FLOATS = frozenset({"f32", "f64"})
_NO_NUMBERS = frozenset({"bool", "text", None})
_WORD_BITS = 16
_ENDS = 2


def row_flaws(row: Row) -> Iterator[Finding]:
    """Yield what is wrong with a row of any map."""
    kind = row.type if isinstance(row, ModbusRow | OpcUaRow) else None
    if row.write == "yes" and kind in _FLOATS and row.range is None:
        yield ("write",), "a number that heatd writes needs its `range`", "add `range: low..high`"
    if row.write == "pulse" and kind != "bool" and (kind == "text" or row.unit is not Unit.SECOND):
        hint = "write `type: bool`, or `unit: s` and its `range`"
        yield ("write",), "a pulse is one bit, or a time that the PLC's own timer runs", hint
    if row.write == "pulse" and row.unit is Unit.SECOND and not _is_time_range(row.range):
        hint = "add `range: 0..10`: the longest that the PLC's timer takes"
        yield ("write",), "a timed pulse needs the `range` of its timer, from 0", hint
    yield from check_flaws(row.checks, row.unit, is_number=kind not in _NO_NUMBERS)
    yield from write_flaws(row.writing, is_written=row.write != "no")


def _is_time_range(span: tuple[float, float] | None) -> bool:
    return span is not None and span[0] == 0.0 and isfinite(span[1])


def opcua_flaws(row: OpcUaRow) -> Iterator[Finding]:
    """Yield what is wrong with a row of a node map."""
    yield from row_flaws(row)
    if row.poll == "once" and row.write != "no":
        message = "what is written is read back, so that once is too seldom"
        yield ("poll",), message, "write `fast` or `slow`"
    try:
        NodeAddress.from_text(row.node)
    except ValueError as error:
        yield ("node",), f"`{row.node}` is no node: {error}", ""


def modbus_flaws(row: ModbusRow) -> Iterator[Finding]:
    """Yield what is wrong with a row of a register map."""
    yield from row_flaws(row)
    for is_broken, key, message, hint in _broken(row):
        if is_broken:
            yield (key,), message, hint
    yield from _raw_flaws(row)


def _broken(row: ModbusRow) -> tuple[tuple[bool, str, str, str], ...]:
    """Return each rule: whether it is broken, by which key, what is wrong, what to write."""
    is_text = row.type == "text"
    is_scaled = row.scale != 1.0 or row.offset != 0.0
    is_number = not (is_text or row.bits)
    is_word = row.at.area in {"holding", "input"} and row.at.bit is None
    kinds = ", ".join(f"`{kind}`" for kind in get_args(RowType))
    wrong_bits = [bit for bit in row.bits if not 0 <= bit < _WORD_BITS]
    return (
        (
            row.type is None and not row.bits,
            "at",
            "the `type` of the point is missing",
            f"add `type:` and one of {kinds}",
        ),
        (
            bool(row.bits) and row.type is not None,
            "type",
            "the bits of a word have no type",
            "take `type` away",
        ),
        (bool(row.bits) and not is_word, "at", "`bits` lie in a whole register", "name a register"),
        (
            bool(wrong_bits),
            "bits",
            f"a register has no bit {', '.join(map(str, wrong_bits))}",
            "count its bits from 0 to 15",
        ),
        (bool(row.bits) and row.write != "no", "write", "bits cannot be written", "take it away"),
        (
            row.formula is not None and is_scaled,
            "formula",
            "`formula` says what `scale` and `offset` say",
            "write one of the two",
        ),
        (
            bool(row.raw) and (row.formula is not None or is_scaled),
            "raw",
            "`raw` says what a formula says",
            "write one of the two",
        ),
        (
            not is_number and (row.formula is not None or is_scaled or bool(row.raw)),
            "at",
            "only a number is scaled",
            "take `scale`, `offset`, `formula` or `raw` away",
        ),
        (is_text and row.length is None, "type", "a text needs its length", "add `length: 8`"),
        (
            not is_text and (row.length is not None or row.equals != ""),
            "length" if row.length is not None else "equals",
            "only a text has a length and a content",
            "take it away",
        ),
        (is_text and row.write != "no", "write", "a text is only read", "take `write` away"),
    )


def _raw_flaws(row: ModbusRow) -> Iterator[Finding]:
    if not row.raw:
        return
    hint = "write it as in `{4 mA: 0, 20 mA: 150}`, or in counts as in `{0: 0, 27648: 150}`"
    counts = list(row.raw)
    if len(counts) != _ENDS or counts[0].is_ma != counts[1].is_ma:
        yield ("raw",), "`raw` names what stands for 4 mA and for 20 mA", hint
        return
    if counts[0].is_ma and [count.number for count in counts] != [4.0, 20.0]:
        yield ("raw",), "`raw` in mA begins at 4 mA and ends at 20 mA", hint
    try:
        low, high = (amount.in_unit(row.unit) for amount in row.raw.values())
    except Unreadable as error:
        yield ("raw",), error.what, error.hint
        return
    if low == high or counts[0].number == counts[1].number:
        yield ("raw",), "`raw` begins and ends at the same", hint
