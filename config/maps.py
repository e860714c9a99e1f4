"""Register maps: which point lies where in a PLC, shared by all stations with the same PLC program.

Rule: a map only says where things are and what is plausible; which device it belongs to and what
heatd does with the points is said elsewhere.
"""

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from math import inf
from typing import Annotated, cast

from annotated_types import MinLen

from config.field_names import is_taken_wrongly, known_by_tag
from config.problem import Problem, problem_at
from config.reading import Reader
from config.rows import ModbusRow, OpcUaRow, Row, modbus_flaws, opcua_flaws
from config.rules import per_second, writing_of
from config.tree import Branch
from core.parameters import parameters
from core.point import Point, Tag
from drivers.current_loop import intact
from drivers.node_address import NodeAddress
from drivers.settings import (
    AddressRange,
    ByteOrder,
    Node,
    Register,
    RegisterKind,
    TextRegister,
    WordOrder,
)

_POINT_TAG = re.compile(r"([A-Za-z][A-Za-z0-9_-]*\.)?[A-Za-z][A-Za-z0-9_]*")
_NO_LIMITS = (-inf, inf)
MODBUS_DRIVERS = frozenset({"modbus_tcp", "modbus_rtu_tcp", "modbus_rtu", "modbus_tls"})
"""The drivers that share one kind of map."""


@parameters
class ModbusMap:
    """The register map of a PLC program.

    Attributes:
        map: Its name.
        word_order: The default of its devices.
        forbidden: Addresses that no request may touch, beside those of its devices.
        points: Where the points lie.
    """

    map: str
    word_order: WordOrder = "ABCD"
    forbidden: tuple[AddressRange, ...] = ()
    points: Annotated[Mapping[str, ModbusRow], MinLen(1)]


@parameters
class OpcUaMap:
    """The node map of a PLC program."""

    map: str
    points: Annotated[Mapping[str, OpcUaRow], MinLen(1)]


@dataclass(frozen=True, slots=True)
class LoadedMap:
    """A map file as read, as far as it could be read.

    Attributes:
        registers: Where the points lie, in the order of the file.
        texts: Where texts lie; they are no points.
        tree: The file, for places.
        word_order: The branch that gives the byte order, if there is one.
        forbidden: Addresses that no request may touch.
        problems: What is wrong with it; a point with problems is not among `registers`.
    """

    registers: tuple[Register, ...] | tuple[Node, ...]
    tree: Branch
    problems: tuple[Problem, ...] = ()
    texts: tuple[TextRegister, ...] = ()
    word_order: Branch | None = None
    forbidden: tuple[AddressRange, ...] = ()


def read_map(tree: Branch, driver: str, stem: str) -> LoadedMap:
    """Return the map that `tree` describes for devices behind `driver`.

    Args:
        tree: The content of the file.
        driver: One of `MODBUS_DRIVERS`, or `opcua`.
        stem: The file's name without its ending, which the map must bear.
    """
    reader = Reader(checks={ModbusRow: modbus_flaws, OpcUaRow: opcua_flaws})
    is_modbus = driver in MODBUS_DRIVERS
    cls: type = ModbusMap if is_modbus else OpcUaMap
    fields = reader.fields(tree, cls)
    reader.made(tree, cls, fields)
    values = fields.values
    if values.get("map", stem) != stem:
        message = f"the map is called `{values['map']}`"
        reader.add(tree.at("map").place, message, f"write `{stem}`, as its file is called")
    rows = values.get("points", {})
    points = tree.at("points")
    for tag, branch in _names(rows, points):
        if _POINT_TAG.fullmatch(tag) is None:
            hint = "write letters, digits and `_`, with several circuits as in `low.T2g`"
            reader.add(branch.key_place, f"`{tag}` is not a tag", hint)
    for tag, row in rows.items():
        known = known_by_tag(tag.rpartition(".")[2])
        if known is not None and is_taken_wrongly(known, row.unit):
            message = f"control takes `{tag}` in {known.unit.value}, not in {row.unit.value}"
            unit = known.unit.value
            # No plain value of YAML begins with a percent sign.
            unit = f'"{unit}"' if unit.startswith("%") else unit
            hint = f"write `unit: {unit}`, and the `scale` that makes it so"
            reader.add(points.at(tag, "unit").place, message, hint)
    if is_modbus:
        made = _modbus_map(rows, tree, tuple(reader.problems))
        return replace(made, forbidden=values.get("forbidden", ()))
    nodes = tuple(_node(tag, row) for tag, row in rows.items())
    return LoadedMap(nodes, tree, (*reader.problems, *_shared_nodes(nodes, points)))


def _modbus_map(
    rows: Mapping[str, ModbusRow], tree: Branch, problems: tuple[Problem, ...]
) -> LoadedMap:
    points = tree.at("points")
    spots = [spot for tag, row in rows.items() for spot in _spots(tag, row, points)]
    # Of two with one tag the first counts, so that nobody is told about the unit of the other.
    first = {spot.tag: spot.register for spot in reversed(spots)}.values()
    registers = tuple(one for one in reversed(first) if isinstance(one, Register))
    texts = tuple(one for one in reversed(first) if isinstance(one, TextRegister))
    found = (*problems, *_faults(spots), *_twice(spots), *_overlaps(spots))
    return LoadedMap(registers, tree, found, texts, (tree.mapping or {}).get("word_order"))


def _names(rows: Mapping[str, object], points: Branch) -> Iterator[tuple[str, Branch]]:
    """Yield every name that the map gives, with the branch that it is the key of."""
    yield from (points.mapping or {}).items()
    for name, row in rows.items():
        for number, tag in row.bits.items() if isinstance(row, ModbusRow) else ():
            yield tag, points.at(name, "bits", str(number))


def _point(tag: str, row: Row, limits: tuple[float, float] = _NO_LIMITS) -> Point:
    if row.states:
        limits = float(min(row.states)), float(max(row.states))
    low, high = row.range or limits
    return Point(
        tag=Tag(tag),
        unit=row.unit,
        low=low,
        high=high,
        rate_per_s=per_second(row.checks.rate, row.unit),
        rate_after=row.checks.rate_after,
        frozen_s=row.checks.frozen_s or inf,
        writing=writing_of(row.writing),
        is_writable=row.write == "yes",
        is_pulse=row.write == "pulse",
        states=tuple(sorted(row.states.items())),
    )


@dataclass(frozen=True, slots=True)
class _Spot:
    """A register or a text of a map, and where its address is written."""

    register: Register | TextRegister
    branch: Branch

    @property
    def tag(self) -> Tag:
        """The tag of what lies there."""
        one = self.register
        return one.point.tag if isinstance(one, Register) else one.tag


def _spots(tag: str, row: ModbusRow, points: Branch) -> Iterator[_Spot]:
    """Yield what lies in the registers of one row: one point, one text, or a point for each bit."""
    at, branch = row.at, points.at(tag, "at")
    if row.type == "text":
        text = TextRegister(
            tag=Tag(tag),
            area=at.area,
            address=at.address,
            words=row.length or 1,
            word_order=row.word_order,
            expected=row.equals,
        )
        yield _Spot(text, branch)
        return
    for number, name in row.bits.items():
        yield _Spot(_register(name, row, number), points.at(tag, "bits", str(number)))
    if not row.bits:
        yield _Spot(_register(tag, row, at.bit), branch)


def _register(tag: str, row: ModbusRow, bit: int | None) -> Register:
    scale, offset = row.scale, row.offset
    if row.formula is not None:
        scale, offset = row.formula.scale, row.formula.offset
    loop = None
    if row.raw:
        (raw_low, at_low), (raw_high, at_high) = row.raw.items()
        loop = raw_low.number, raw_high.number
        low, high = at_low.in_unit(row.unit), at_high.in_unit(row.unit)
        scale = (high - low) / (loop[1] - loop[0])
        offset = low - loop[0] * scale
    register = Register(
        point=_point(tag, row),
        area=row.at.area,
        address=row.at.address,
        kind="bool" if row.type in {None, "text"} else cast("RegisterKind", row.type),
        bit=bit,
        scale=scale,
        offset=offset,
        current_loop=loop,
        is_slow=row.poll == "slow",
        is_once=row.poll == "once",
        word_order=row.word_order,
    )
    return register if loop is None else replace(register, point=_point(tag, row, intact(register)))


def _node(tag: str, row: OpcUaRow) -> Node:
    return Node(
        point=_point(tag, row),
        node=row.node,
        kind=row.type,
        is_slow=row.poll == "slow",
        is_once=row.poll == "once",
    )


def _faults(spots: Sequence[_Spot]) -> Iterator[Problem]:
    for spot in spots:
        fault = spot.register.fault()
        if fault:
            yield problem_at(spot.branch.place, f"`{spot.tag}` cannot be: {fault}")


def _twice(spots: Sequence[_Spot]) -> Iterator[Problem]:
    seen: set[Tag] = set()
    for spot in spots:
        if spot.tag in seen:
            message = f"`{spot.tag}` stands twice in the map"
            yield problem_at(spot.branch.place, message, "give one of them another name")
        seen.add(spot.tag)


@dataclass(slots=True)
class _Cell:
    """Who uses one register or coil: a whole value, or some of its bits."""

    order: ByteOrder | None
    whole: Tag | None = None
    bits: dict[int, Tag] = field(default_factory=dict)

    def taken_by(self, bit: int | None) -> Tag | None:
        """Return who is in the way of a value, or of one bit, here."""
        if self.whole is not None or bit is None:
            return self.whole or next(iter(self.bits.values()), None)
        return self.bits.get(bit)


def _overlaps(spots: Sequence[_Spot]) -> Iterator[Problem]:
    """Yield a problem for each point that shares registers with one above it."""
    cells: dict[tuple[str, int], _Cell] = {}
    for spot in spots:
        one = spot.register
        bit = one.bit if isinstance(one, Register) else None
        for offset in range(one.words):
            cell = cells.setdefault((one.area, one.address + offset), _Cell(one.word_order))
            other = cell.taken_by(bit)
            if other is not None:
                message = f"`{spot.tag}` lies on `{other}`"
                yield problem_at(spot.branch.place, message, "correct one of the addresses")
                break
            if bit is None:
                cell.whole = spot.tag
            else:
                cell.bits[bit] = spot.tag
            if cell.order != one.word_order:
                message = f"`{spot.tag}` has another byte order than other bits of its word"
                yield problem_at(spot.branch.place, message, "give all of them the same")


def _shared_nodes(nodes: tuple[Node, ...], points: Branch) -> Iterator[Problem]:
    first: dict[NodeAddress, Tag] = {}
    for node in nodes:
        tag = node.point.tag
        other = first.setdefault(NodeAddress.from_text(node.node), tag)
        if other != tag:
            place = points.at(tag, "node").place
            yield problem_at(place, f"`{tag}` is the same node as `{other}`", "correct one of them")
