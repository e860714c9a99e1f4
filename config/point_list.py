"""A point list of the field (点表) as points of a register map, and a word about every row of it.

Rule: a row that is not understood is named with its number and left out; what was taken for granted
is written beside the point, to be checked on site.
"""

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

from config.field_address import FieldAddress, read_address
from config.field_names import (
    HEADINGS,
    TYPES,
    ZONES,
    KnownPoint,
    folded,
    known_by_name,
    known_by_tag,
)
from config.formula import Formula
from config.quantities import kept_like, parse, unit_named
from config.spreadsheet import Row, UnreadableFile
from core.parameters import Unreadable
from core.point import Unit
from drivers.settings import WORDS, RegisterKind

_HEADING_ROWS_MAX = 30
_TAG = re.compile(r"[A-Za-z][A-Za-z0-9_]*")
_RANGE = re.compile(r"([-+]?[0-9.]+)\s*(?:\.\.|~|～|-|—|–|至|到)\s*([-+]?[0-9.]+)\D*")
_TEXT = ("string", "char", "字符")
_NOTHING = frozenset({"", "-", "--", "/", "无", "none", "n/a"})
_UNITS = {"摄氏度": "°C", "度": "°C", "℃": "°C", "m3/h": "m³/h", "t/h": "m³/h", "吨/小时": "m³/h"}
_WRITTEN = re.compile(r"CV[12]_SV|XP_SV|BP_SV|T2g_SP|HB_SCADA|FB_[xy][1-8]|B_enable|B_Tset")
_PULSE = re.compile(r"[XB]P[1-4]_(start|stop)")
_WRITABLE = re.compile(r"w|写|rw", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class ListedPoint:
    """One point of the list.

    Attributes:
        row: Number of its row.
        zone: The zone that it belongs to, empty where the list names none.
        tag: Its tag, without the zone.
        name: What the list calls it.
        at: Its address.
        type: Its type, as heatd calls it.
        unit: Unit of the value.
        line: From the raw number to the value in that unit.
        formula: The formula as written, where it alone gives the value.
        range: Plausible values, where they are known.
        write: `no`, `yes` or `pulse`, as in a map.
        checks: What must be looked at on site.
    """

    row: int
    zone: str
    tag: str
    name: str
    at: FieldAddress
    type: str
    unit: Unit
    line: Formula
    formula: str
    range: tuple[float, float] | None
    write: str
    checks: tuple[str, ...]

    def full_tag(self, zones: Sequence[str]) -> str:
        """Return the tag in a map with these zones."""
        return f"{self.zone}.{self.tag}" if self.zone and len(zones) > 1 else self.tag


@dataclass(frozen=True, slots=True)
class PointList:
    """A point list as far as it is understood.

    Attributes:
        points: By area and address.
        zones: The zones that it names, in order of appearance.
        lost: What was not understood, by row.
        first: The number with which its addresses begin: 1, or 0.
    """

    points: tuple[ListedPoint, ...]
    zones: tuple[str, ...]
    lost: tuple[tuple[int, str], ...]
    first: int


class _NotUnderstoodError(ValueError):
    """Why a row is left out."""


def read_list(rows: Sequence[Row]) -> PointList:
    """Return the points of a list.

    Raises:
        UnreadableFile: It has no headings by which its columns could be known.
    """
    at, columns = _headings(rows)
    found: list[ListedPoint] = []
    lost: list[tuple[int, str]] = []
    for number, cells in rows[at + 1 :]:
        cell = {key: cells[i] if i < len(cells) else "" for key, i in columns.items()}
        try:
            found.append(_point(number, cell))
        except _NotUnderstoodError as error:
            lost.append((number, str(error)))
    # A list in which anything has the number 0 counts from 0 throughout.
    first = 0 if any(point.at.number == 0 and not point.at.is_own for point in found) else 1
    zones = tuple(dict.fromkeys(point.zone for point in found if point.zone))
    kept: list[ListedPoint] = []
    for point, fault in _collisions(found, zones):
        if fault:
            lost.append((point.row, fault))
        else:
            kept.append(point)
    order = sorted(kept, key=lambda point: (point.at.area, point.at.number, point.at.bit or 0))
    return PointList(tuple(order), zones, tuple(sorted(lost)), first)


def _headings(rows: Sequence[Row]) -> tuple[int, dict[str, int]]:
    """Return which of the rows holds the headings, and the column of each kind of cell."""
    wanted = {folded(name): key for key, names in HEADINGS.items() for name in names}
    for at, (_, cells) in enumerate(rows[:_HEADING_ROWS_MAX]):
        columns: dict[str, int] = {}
        for i, cell in enumerate(cells):
            # A unit or a remark often stands in brackets behind the heading.
            heading = re.split(r"[(（]", cell)[0]
            key = wanted.get(folded(heading))
            if key is not None:
                columns.setdefault(key, i)
        if "address" in columns and {"name", "tag"} & columns.keys():
            return at, columns
    raise UnreadableFile(
        "no row has the headings of a point list: one column must be called 地址 or address, "
        "another 名称, 标签, name or tag"
    )


def _point(number: int, cell: Mapping[str, str]) -> ListedPoint:
    """Return the point that one row describes.

    Raises:
        _NotUnderstoodError: It describes none.
    """
    checks: list[str] = []
    name = cell.get("name", "") or cell.get("tag", "")
    zone, bare = _zone(name)
    tag, known = _tag(cell.get("tag", ""), bare, checks)
    written = cell.get("address", "")
    at = read_address(written)
    if at is None:
        what = f"`{written}` is no Modbus address" if written else "it has no address"
        raise _NotUnderstoodError(f"{tag}: {what}; write it as in 4x0001, 40001 or 1x0013")
    kind = _type(cell.get("type", "") or at.type, at, tag)
    if kind == "bool":
        # Lists are filled in to the last column; a bit has neither unit nor range nor formula.
        cell = {"access": cell.get("access", "")}
        known = None if known is None else replace(known, unit=Unit.NONE, range=None)
    unit, factor = _unit(cell.get("unit", ""), known, tag, checks)
    line, formula = _line(cell, tag)
    if factor != 1.0:
        line, formula = Formula(line.scale * factor, line.offset * factor), ""
    span = _range(cell, tag)
    if span is not None:
        span = span[0] * factor, span[1] * factor
    elif known is not None and known.range is not None:
        span = known.range
        checks.append("the range")
    return ListedPoint(
        row=number,
        zone=zone,
        tag=tag,
        name=name,
        at=at,
        type=kind,
        unit=unit,
        line=line,
        formula=formula,
        range=span,
        write=_write(cell.get("access", ""), tag, at, checks),
        checks=tuple(checks),
    )


def _zone(name: str) -> tuple[str, str]:
    """Return the zone that a name begins or ends with, and the name without it."""
    for words, zone in ZONES.items():
        if words in name:
            return zone, name.replace(words, "")
    return "", name


def _tag(label: str, name: str, checks: list[str]) -> tuple[str, KnownPoint | None]:
    known = known_by_tag(label) or known_by_name(name) or known_by_name(label)
    if known is not None:
        if label and label != known.tag and _TAG.fullmatch(label):
            checks.append(f"`{label}` in the list")
        return known.tag, known
    if _TAG.fullmatch(label):
        return label, None
    made = re.sub(r"\W+", "_", label, flags=re.ASCII).strip("_")
    if not _TAG.fullmatch(made):
        said = f"`{name}` is not a known name" if name else "the row has no name"
        raise _NotUnderstoodError(f"{said}; give it a tag (标签) of letters and digits")
    checks.append(f"`{label}` in the list")
    return made, None


def _type(written: str, at: FieldAddress, tag: str) -> str:
    if at.area in {"coil", "discrete"} or at.bit is not None:
        return "bool"
    if not written:
        raise _NotUnderstoodError(f"{tag}: it has no data type; write REAL, INT, DINT, WORD, ...")
    kind = TYPES.get(written.strip().lower())
    if written.strip().lower().startswith(_TEXT):
        raise _NotUnderstoodError(
            f"{tag}: a text; add it by hand: {{at: {at.written()}, type: text, length: 8}}"
        )
    if kind is None:
        raise _NotUnderstoodError(f"{tag}: the data type `{written}` is unknown")
    if kind == "bool":
        raise _NotUnderstoodError(
            f"{tag}: a bit of a register needs its number, as in 4x{at.number:04}.3"
        )
    return kind


def _unit(
    written: str, known: KnownPoint | None, tag: str, checks: list[str]
) -> tuple[Unit, float]:
    """Return the unit in which the value is kept, and how much of it one of the list's unit is."""
    wanted = known.unit if known is not None else Unit.NONE
    if written.strip().lower() in _NOTHING:
        if wanted is not Unit.NONE:
            checks.append(f"the unit, taken as {wanted.value}")
        return wanted, 1.0
    spelling = _UNITS.get(written.strip().lower(), written.strip())
    if wanted is Unit.NONE:
        found = unit_named(spelling)
        kept = kept_like(spelling)
        if found is None and kept:
            found = Unit(kept[0])
        if found is None or found is Unit.NONE:
            checks.append(f"heatd keeps nothing in {written}, the unit is left out")
            return Unit.NONE, 1.0
        wanted = found
    try:
        return wanted, parse(f"1 {spelling}", wanted)
    except Unreadable as error:
        raise _NotUnderstoodError(f"{tag}: {error.what}; {error.hint}") from error


def _line(cell: Mapping[str, str], tag: str) -> tuple[Formula, str]:
    """Return the line from raw to value, and the formula as written."""
    formula, scale = cell.get("formula", ""), cell.get("scale", "")
    try:
        if formula.strip().lower() not in _NOTHING:
            return Formula.from_text(formula), formula
        if scale.strip().lower() not in _NOTHING:
            return Formula.from_text(f"x*{scale}"), f"x*{scale}"
    except Unreadable as error:
        raise _NotUnderstoodError(f"{tag}: {error.what}; {error.hint}") from error
    return Formula(1.0, 0.0), ""


def _range(cell: Mapping[str, str], tag: str) -> tuple[float, float] | None:
    low, high = cell.get("low", ""), cell.get("high", "")
    found = _RANGE.fullmatch(cell.get("range", "").strip())
    if found is not None:
        low, high = found[1], found[2]
    if low.strip().lower() in _NOTHING or high.strip().lower() in _NOTHING:
        return None
    try:
        span = float(low), float(high)
    except ValueError:
        raise _NotUnderstoodError(f"{tag}: `{low}` to `{high}` is no range") from None
    if not span[0] < span[1]:
        raise _NotUnderstoodError(f"{tag}: its range {low} to {high} is empty")
    return span


def _write(access: str, tag: str, at: FieldAddress, checks: list[str]) -> str:
    if _PULSE.fullmatch(tag) and at.area == "coil":
        return "pulse"
    is_writable = bool(_WRITABLE.search(access))
    if _WRITTEN.fullmatch(tag) and at.area == "holding" and at.bit is None:
        if access and not is_writable:
            checks.append("the list says that it cannot be written")
            return "no"
        return "yes"
    return "no"


def _collisions(
    points: Sequence[ListedPoint], zones: Sequence[str]
) -> Iterator[tuple[ListedPoint, str]]:
    """Yield each point with what is in its way, empty where nothing is."""
    tags: dict[str, int] = {}
    cells: dict[tuple[str, int, int | None], ListedPoint] = {}
    for point in points:
        tag = point.full_tag(zones)
        words = WORDS[_kind(point.type)]
        mine = [(point.at.area, point.at.number + i, point.at.bit) for i in range(words)]
        whole = [(area, number, None) for area, number, _ in mine]
        other = next((cells[cell] for cell in (*mine, *whole) if cell in cells), None)
        if tag in tags:
            yield point, f"{tag}: row {tags[tag]} is the same point"
        elif other is not None:
            yield point, f"{tag}: it lies on {other.full_tag(zones)} of row {other.row}"
        else:
            tags[tag] = point.row
            cells.update(dict.fromkeys(mine, point))
            yield replace(point), ""


def _kind(name: str) -> RegisterKind:
    return next(kind for kind in WORDS if kind == name)
