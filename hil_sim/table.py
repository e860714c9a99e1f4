"""The demo's live view: stations, their loops and alarms in a terminal, and what to try next.

Rule: abnormal is shown by shape and word, never by colour alone; 80 columns are enough for all that
matters, more of them show more.
"""

import math
from dataclasses import dataclass

from rich import box
from rich.console import Console, ConsoleOptions, Group, RenderableType, RenderResult
from rich.table import Table
from rich.text import Text

from api.messages import AlarmStatus, StationStatus, Status

_WIDE = 100
_SHAPES = {1: "■1", 2: "▲2", 3: "◆3", 4: "●4"}
_NEAR_K = 1.0
_TRIES = (
    "primary-lost",
    "pump-trip --tag XP1",
    "sensor-open --tag T2g",
    "sun-on-sensor",
)
_TRY_SECONDS = 8
_COLUMNS = (
    ("outdoor\n°C", "right"),
    ("setpoint\n°C", "right"),
    ("supply\n°C", "right"),
    ("valve\n%", "right"),
    ("rooms\np10 °C", "right"),
    ("pump\nHz", "right"),
    ("source\n", "left"),
    ("control\n", "left"),
    ("alarms\n", "left"),
)


def view(status: Status, *, speed: float, seconds: float) -> RenderableType:
    """Return the whole live view, which fits itself to the terminal.

    Args:
        status: What the daemon says.
        speed: How much faster than real time the demo runs.
        seconds: Real time since the demo's start, chooses what is suggested.
    """
    return _View(status, speed, seconds)


@dataclass(frozen=True, slots=True)
class _View:
    status: Status
    speed: float
    seconds: float

    def __rich_console__(self, _console: Console, options: ConsoleOptions) -> RenderResult:
        status, is_wide = self.status, options.max_width >= _WIDE
        title = f"SIMULATION · {status.at:%Y-%m-%d %H:%M} UTC · {self.speed:g} times real time"
        alarms = [alarm for station in status.stations for alarm in station.alarms]
        yield Group(
            Text(title, style="bold"),
            Text(),
            _stations(status, is_wide=is_wide),
            *_news(status),
            Text(),
            _alarms(alarms, is_wide=is_wide),
            Text(),
            _hint(status, self.seconds),
        )


def _stations(status: Status, *, is_wide: bool) -> Table:
    table = _plain_table(is_wide=is_wide)
    table.add_column("station\n", no_wrap=True)
    for name, justify in _COLUMNS:
        table.add_column(name, justify="right" if justify == "right" else "left", no_wrap=True)
    for station in status.stations:
        name = f"{station.station} {station.name_zh}" if is_wide else station.station
        table.add_row(name, *_row(station))
    for name in status.waiting:
        table.add_row(name, *(["—"] * 6), "", "no scan yet", "")
    return table


def _plain_table(*, is_wide: bool) -> Table:
    return Table(
        box=box.SIMPLE_HEAD if is_wide else None,
        show_edge=False,
        pad_edge=False,
        collapse_padding=True,
        padding=(0, 1),
        header_style="dim",
    )


def _row(station: StationStatus) -> tuple[RenderableType, ...]:
    loops = {loop.output_tag.rpartition(".")[2]: loop for loop in station.loops}
    supply, pump = loops.get("CV1_SV"), loops.get("XP_SV")
    setpoint = supply.setpoint if supply else None
    measured = supply.measured if supply else None
    return (
        _number(station.outdoor_c),
        _number(setpoint),
        _supply(measured, setpoint),
        _number(supply.output if supply else None, places=0),
        _number(station.rooms_p10_c),
        _number(pump.output if pump else None),
        Text(station.source, style="" if station.source == "normal" else "bold magenta"),
        Text(station.authority, style="" if station.authority == "heatd" else "bold magenta"),
        _count(station.alarms),
    )


def _number(value: float | None, *, places: int = 1) -> str:
    return "—" if value is None or math.isnan(value) else f"{value:.{places}f}"


def _supply(measured: float | None, setpoint: float | None) -> Text:
    text = _number(measured)
    if measured is None or setpoint is None or abs(measured - setpoint) <= _NEAR_K:
        return Text(text)
    return Text(f"{'↑' if measured > setpoint else '↓'} {text}", style="bold yellow")


def _count(alarms: tuple[AlarmStatus, ...]) -> Text:
    if not alarms:
        return Text("none", style="dim")
    worst = min(alarm.priority for alarm in alarms)
    return Text(f"{_SHAPES[worst]} ×{len(alarms)}", style="bold red")


def _news(status: Status) -> list[Text]:
    """Return why a station does not run as it should: one line for each."""
    lines = []
    for station in status.stations:
        if station.source != "normal":
            lines.append(Text(f"{station.station} {station.source}: {station.source_why}"))
        if station.authority != "heatd":
            lines.append(Text(f"{station.station} {station.authority}: {station.authority_why}"))
    return lines


def _alarms(alarms: list[AlarmStatus], *, is_wide: bool) -> RenderableType:
    if not alarms:
        return Text("no alarms", style="dim")
    table = _plain_table(is_wide=False)
    table.show_header = False
    for alarm in sorted(alarms, key=lambda alarm: (alarm.priority, alarm.since)):
        shape = Text(_SHAPES[alarm.priority], style="bold red" if alarm.priority == 1 else "bold")
        state = alarm.state.replace("_", " ")
        text = f"{alarm.text_zh} / {alarm.text_en}"
        name = (alarm.name,) if is_wide else ()
        table.add_row(shape, alarm.station, *name, state, text)
    return table


def _hint(status: Status, seconds: float) -> Text:
    troubled = [s.station for s in status.stations if s.source in {"start", "backup", "suspect"}]
    tries = [f"{troubled[0]} primary-lost --off"] if troubled else []
    station = status.stations[0].station if status.stations else "st-01"
    tries += [f"{station} {fault}" for fault in _TRIES if f"{station} {fault} --off" not in tries]
    fault = tries[int(seconds / _TRY_SECONDS) % len(tries)]
    return Text.assemble(
        ("try in another terminal: ", "dim"), (f"./run heatd-sim fault {fault}", "bold")
    )
