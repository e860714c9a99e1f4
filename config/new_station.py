"""A station file and a register map, written from a point list for an engineer to go on from.

Rule: everything that must be looked at on site bears the word CHECK, and the station starts as one
that is watched only.
"""

import json
import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from string import Template

from config.point_list import ListedPoint, PointList
from core.point import Unit

UNKNOWN_HOST = "192.0.2.1"
"""An address that no device has (RFC 5737)."""

_PUMP_RUN = re.compile(r"([XB]P[1-9])_run")
_AREAS = {"holding": "holding registers", "input": "input registers", "coil": "coils"}
_SENSOR = re.compile(r"(\w+\.)?[TP][12][gh]")
_FOLDER = Path(__file__).parent


@dataclass(frozen=True, slots=True, kw_only=True)
class NewStation:
    """What is known of a station beside its point list.

    Attributes:
        name: Its name in the system.
        source: Name of the file with the point list.
        host: Address of its PLC.
        port: Its port.
        unit: Its unit identifier.
    """

    name: str
    source: str
    host: str = UNKNOWN_HOST
    port: int = 502
    unit: int = 1

    @property
    def map_name(self) -> str:
        """Name of its register map."""
        return f"{self.name}-plc"


def map_text(station: NewStation, points: PointList) -> str:
    """Return the register map as it stands in its file."""
    lines = [
        f"# Register map of {station.name}, from the point list {_plain(station.source)}.",
        "# CHECK marks what the list does not say, or what was taken for granted: compare it with",
        "# the PLC (`heatd probe` shows what every point reads), then take the word away.",
        *["# CHECK: the list has an address 0, so all were counted from 0."][points.first :],
        f"map: {station.map_name}",
        "word_order: ABCD    # CHECK: no list says it; `heatd probe --doctor` finds it",
        "points:",
    ]
    area = ""
    for point in points.points:
        if point.at.area != area:
            area = point.at.area
            lines.append(f"  # --- {_AREAS.get(area, 'discrete inputs')}")
        lines.append(_row(point, points))
    return "\n".join(lines) + "\n"


def _row(point: ListedPoint, points: PointList) -> str:
    keys = [f"at: {point.at.written(points.first)}", f"type: {point.type}"]
    if point.unit is not Unit.NONE:
        keys.append(f"unit: {json.dumps(point.unit.value, ensure_ascii=False)}")
    if point.formula:
        keys.append(f"formula: {json.dumps(_plain(point.formula), ensure_ascii=False)}")
    elif (point.line.scale, point.line.offset) != (1.0, 0.0):
        keys.append(f"scale: {point.line.scale!r}")
        keys += [f"offset: {point.line.offset!r}"] if point.line.offset else []
    if point.range is not None:
        keys.append(f"range: {_number(point.range[0])}..{_number(point.range[1])}")
    if point.write != "no":
        keys.append(f"write: {point.write}")
    if point.tag.endswith("_tot"):
        keys.append("poll: slow")
    said = f"row {point.row}: {_plain(point.name)}"
    check = f"; CHECK {', '.join(point.checks)}" if point.checks else ""
    return f"  {point.full_tag(points.zones)}: {{{', '.join(keys)}}}  # {said}{_plain(check)}"


def station_text(station: NewStation, points: PointList) -> str:
    """Return the station file."""
    tags = [point.full_tag(points.zones) for point in points.points]
    circuits = points.zones if len(points.zones) > 1 else ("main",)
    sensors = [tag for tag in tags if _SENSOR.fullmatch(tag)]
    return (
        _filled(
            "new_station",
            name=station.name,
            source=_plain(station.source),
            host=station.host,
            host_check="    # CHECK: address of the PLC" if station.host == UNKNOWN_HOST else "",
            port=station.port,
            unit=station.unit,
            map=station.map_name,
            outdoor="T_out, last_good" if "T_out" in tags else "last_good",
            rooms=_rooms(tags),
            circuits="".join(_circuit(circuit, circuits, tags) for circuit in circuits),
            sensors=_filled("new_alarm", tags=", ".join(sensors)) if sensors else "",
        ).rstrip()
        + "\n"
    )


def _rooms(tags: Sequence[str]) -> str:
    guard = next((one for one in ("p10", "min", "avg") if f"T_room_{one}" in tags), "")
    if not guard:
        return (
            "# rooms: {target: 21 °C, tolerance: 2 K, guard: avg}    # with T_room_avg in the map"
        )
    return f"rooms: {{target: 21 °C, tolerance: 2 K, guard: {guard}}}"


def _circuit(circuit: str, circuits: Sequence[str], tags: Sequence[str]) -> str:
    prefix = f"{circuit}." if len(circuits) > 1 else ""
    own = [tag.removeprefix(prefix) for tag in tags if tag.startswith(prefix)]
    pumps = sorted(match[1] for tag in own if (match := _PUMP_RUN.fullmatch(tag)))
    duty = [pump for pump in pumps if pump.startswith("X")] or ["XP1"]
    makeup = [pump for pump in pumps if pump.startswith("B")] or ["BP1"]
    return _filled("new_circuit", circuit=circuit, duty=", ".join(duty), makeup=", ".join(makeup))


def _filled(template: str, **values: object) -> str:
    return Template((_FOLDER / f"{template}.template").read_text("utf-8")).substitute(values)


def _number(value: float) -> str:
    return f"{value:.10g}"


def _plain(text: str) -> str:
    """Return a text of the list in one line that a comment can hold."""
    return "".join(sign for sign in " ".join(text.split()) if sign.isprintable())
