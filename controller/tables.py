"""What the command line shows: tables for people, made of the messages of the control socket.

Rule: a colour never stands alone; shape and number say the same.
"""

import os
from collections.abc import Iterable, Sequence
from datetime import datetime

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from api.messages import (
    AlarmChange,
    Alarms,
    AlarmStatus,
    ChainLink,
    DeviceStatus,
    Explanation,
    LoopFigures,
    LoopStatus,
    Selection,
    StationStatus,
    Status,
    TuneStatus,
)
from control_loops.monitor import CYCLES_R
from controller.preview import lease_text

_SHAPES = {1: "■1", 2: "▲2", 3: "◆3", 4: "●4"}
_COLOURS = {1: "bold red", 2: "yellow", 3: "magenta"}
_SUPPLY = "T2g"
_NOTHING = "-"
_DOUBTS_SHOWN_MAX = 12


def status_table(status: Status) -> RenderableType:
    """Return the whole daemon, one row for each circuit."""
    table = _table(_title("heatd", status.is_simulation, status.is_read_only, status.at))
    for heading in ("station", "outdoor °C", "setpoint °C", "supply °C", "valve", "rooms p10 °C"):
        table.add_column(heading, justify="left" if heading == "station" else "right")
    for heading in ("source", "authority", "alarms"):
        table.add_column(heading)
    for station in status.stations:
        for loop in _supplies(station):
            table.add_row(*_status_row(station, loop))
    for name in status.waiting:
        table.add_row(name, *(_NOTHING for _ in range(5)), "", "no scan yet", "")
    return table


def _status_row(station: StationStatus, loop: LoopStatus | None) -> tuple[str | Text, ...]:
    circuit = loop.name.removesuffix(_SUPPLY).rstrip(".") if loop is not None else ""
    return (
        f"{station.station} {circuit}".rstrip(),
        _number(station.outdoor_c),
        f"{_number(loop.setpoint)}{_ruled(loop.ruling)}" if loop else _NOTHING,
        _number(loop.measured if loop else None),
        f"{_quantity(loop.output, loop.output_unit)}{_ruled(loop.output_ruling)}"
        if loop
        else _NOTHING,
        _number(station.rooms_p10_c),
        station.source,
        _authority(station),
        _alarm_marks(station.alarms),
    )


def station_view(station: StationStatus) -> RenderableType:
    """Return one station: where it stands, its loops, its devices and its alarms."""
    name = f"{station.station}  {_local(station.name_zh, station.name_en)}"
    title = _title(name, station.is_simulation, station.is_read_only, station.at)
    facts = Table.grid(padding=(0, 2))
    outdoor = f"{_quantity(station.outdoor_c, '°C')} ({station.outdoor_source})"
    rooms = (
        f"p10 {_quantity(station.rooms_p10_c, '°C')}, mean {_quantity(station.rooms_avg_c, '°C')}"
    )
    facts.add_row("authority", f"{station.authority}: {station.authority_why}")
    facts.add_row("source", f"{station.source}: {station.source_why}".rstrip(": "))
    facts.add_row("outdoor", outdoor)
    for stage in station.outdoor_stages:
        facts.add_row("", _stage(stage))
    facts.add_row("rooms", rooms)
    facts.add_row("scans", f"{station.scans}, {station.overruns} missed")
    for doubt in station.doubts[:_DOUBTS_SHOWN_MAX]:
        facts.add_row("not good", f"{doubt.tag} {doubt.quality.upper()}: {doubt.reason}")
    if len(station.doubts) > _DOUBTS_SHOWN_MAX:
        facts.add_row("", f"and {len(station.doubts) - _DOUBTS_SHOWN_MAX} more")
    parts: list[RenderableType] = [title, facts, _loops(station.loops), _devices(station.devices)]
    if station.alarms:
        parts.append(_active(station.alarms))
    return Group(*parts)


def _loops(loops: Sequence[LoopStatus]) -> Table:
    table = _table("loops")
    for heading in (
        "loop",
        "mode",
        "setpoint",
        "measured",
        "output",
        "held by",
        "why",
        "read back",
    ):
        table.add_column(heading)
    for loop in loops:
        table.add_row(
            loop.name,
            loop.mode.upper(),
            f"{_quantity(loop.setpoint, loop.unit)}{_ruled(loop.ruling)}",
            _quantity(loop.measured, loop.unit),
            f"{loop.output_tag} {_quantity(loop.output, loop.output_unit)}"
            f"{_ruled(loop.output_ruling)}",
            loop.holder,
            loop.why,
            _verdict(is_verified=loop.is_verified),
        )
    return table


def _ruled(ruling: str) -> str:
    """Return the mark of a setpoint or valve that is not what the loop would have it."""
    return f" ({ruling})" if ruling else ""


def _devices(devices: Sequence[DeviceStatus]) -> Table:
    table = _table("devices")
    for heading in (
        "device",
        "driver",
        "link",
        "polls",
        "errors",
        "writes",
        "not verified",
        "last error",
    ):
        table.add_column(heading)
    for device in devices:
        table.add_row(
            device.name,
            device.driver,
            Text("up") if device.is_up else Text("DOWN", style=_COLOURS[1]),
            str(device.polls),
            str(device.poll_errors),
            f"{device.writes} ({device.writes_verified} verified)",
            ", ".join(device.unverified),
            device.last_error,
        )
    return table


def alarms_view(alarms: Alarms, *, with_history: bool) -> RenderableType:
    """Return the alarms by priority, and the past where it was asked for."""
    parts: list[RenderableType] = []
    parts.append(_active(alarms.active) if alarms.active else Text("No alarm is active."))
    if with_history:
        parts.append(_past(alarms.history) if alarms.history else Text("Nothing happened yet."))
    return Group(*parts)


def _active(alarms: Iterable[AlarmStatus]) -> Table:
    table = _table("alarms")
    for heading in ("", "station", "alarm", "state", "since", "what", "what to do"):
        table.add_column(heading, no_wrap=heading in {"", "alarm"})
    for alarm in alarms:
        state = alarm.state.replace("_", " ")
        table.add_row(
            mark(alarm.priority),
            alarm.station,
            alarm.name,
            f"{state}, suppressed" if alarm.is_suppressed else state,
            _when(alarm.since),
            _local(alarm.text_zh, alarm.text_en),
            alarm.action,
        )
    return table


def _past(changes: Iterable[AlarmChange]) -> Table:
    table = _table("what happened")
    for heading in ("", "when", "station", "alarm", "event", "value", "who", "why"):
        table.add_column(heading)
    for change in changes:
        table.add_row(
            mark(change.priority),
            _when(change.at),
            change.station,
            change.alarm,
            change.event,
            _number(change.value),
            change.who,
            change.why,
        )
    return table


def explanation_view(explanation: Explanation, *, is_past: bool = False) -> RenderableType:
    """Return the chain of a loop as an indented list, from the outdoor temperature to the write.

    Args:
        explanation: The chain.
        is_past: It was so at its moment, which is shown.
    """
    loop = explanation.loop
    title = f"{explanation.station} {loop.name}  {loop.mode.upper()}, held by {loop.holder}"
    table = Table.grid(padding=(0, 2))
    table.add_column()
    table.add_column(justify="right")
    table.add_column()
    for depth, link in enumerate(explanation.chain):
        table.add_row("  " * depth + link.name, _quantity(link.value, link.unit), link.note)
    if loop.figures is not None:
        table.add_row("", "", "")
        table.add_row("figures", "", _figures_line(loop.figures, loop.unit))
    end = f"{loop.output_tag} {_quantity(loop.output, loop.output_unit)}"
    verdict = _verdict(is_verified=loop.is_verified)
    when = _when(explanation.at) if is_past else "now"
    last = Text(f"{when} {end}; {verdict}; {loop.why}")
    sources = [Text(f"source {_stage(stage)}") for stage in explanation.outdoor_stages]
    return Group(Text(title, style="bold"), table, last, *sources)


def _stage(stage: ChainLink) -> str:
    """Return one source of the outdoor temperature as a line: what it says, what comes of it."""
    age = "" if stage.age_s is None else f", {stage.age_s:.0f} s old"
    note = f": {stage.note}" if stage.note else ""
    return f"{stage.name} {_quantity(stage.value, stage.unit)}{age}{note}"


def _figures_line(found: LoopFigures, unit: str) -> str:
    """Return how a loop fares, in one line."""
    parts = [
        f"{found.starts_per_day:.0f} starts and {found.strokes_per_day:.2f} strokes a day",
        f"{found.saturated_share:.0%} of the time at a limit",
        f"error {found.error_mean:+.2g} ± {found.error_std:.2g} {'K' if unit == '°C' else unit}",
    ]
    if found.regularity is not None and found.period_s is not None:
        what = "cycles" if found.regularity > CYCLES_R else "does not cycle"
        parts.append(f"{what} (r {found.regularity:.1f}, {found.period_s:.0f} s)")
    return f"of {found.watched_h:.1f} h: {', '.join(parts)}"


def tune_line(station: str, loop: str, tune: TuneStatus) -> RenderableType:
    """Return how far an autotune is, in one line."""
    parts = [f"{station} {loop} autotune: {tune.phase}"]
    if tune.is_busy:
        parts.append(f"{tune.elapsed_s:.0f} s of {tune.of_s:.0f} s")
    if tune.moved_k is not None:
        parts.append(f"supply {tune.moved_k:+.1f} K")
    return Text(", ".join([*parts, tune.why] if tune.why else parts))


def tuned_yaml(station: str, loop: str, tune: TuneStatus) -> str:
    """Return the lines of YAML that an autotune comes to; nobody has written them anywhere."""
    process = (
        f"{_quantity(tune.gain_k_per_pct, 'K/%')}, time constant {tune.tau_s or 0.0:.0f} s,"
        f" dead time {tune.dead_s or 0.0:.0f} s"
    )
    gain, reset_s = tune.gain_pct_per_k or 0.0, tune.reset_time_s or 0.0
    return (
        f"# {station} {loop}: {process}\n"
        "# gains after SIMC; for the station's file, then heatd check and a restart\n"
        "circuits:\n"
        f"  {tune.circuit}:\n"
        f"    pid: {{gain: {gain:.2g} %/K, reset_time: {reset_s:.0f} s}}"
    )


def selection_view(selection: Selection) -> RenderableType:
    """Return what a command would do, for a person to say yes or no."""
    table = Table.grid(padding=(0, 2))
    table.add_row(selection.station, selection.subject)
    table.add_row("now", f"{selection.present}{_held(selection)}")
    table.add_row("then", Text(selection.wanted, style="bold"))
    if selection.lease_s:
        table.add_row("for", f"{lease_text(selection.lease_s)}, then it ends by itself")
    table.add_row("by", selection.who)
    for warning in selection.warnings:
        table.add_row(Text("▲ mind", style=_COLOURS[2]), warning)
    return table


def mark(priority: int) -> Text:
    """Return the shape and number of a priority; the colour only repeats them."""
    return Text(_SHAPES.get(priority, str(priority)), style=_COLOURS.get(priority, ""))


def _held(selection: Selection) -> str:
    held = [selection.mode] if selection.mode and selection.mode not in selection.present else []
    held += [f"held by {selection.holder}"] if selection.holder else []
    return f" ({', '.join(held)})" if held else ""


def _alarm_marks(alarms: Sequence[AlarmStatus]) -> Text:
    """Return how many alarms of each priority a station has: `■1 ×2  ▲2 ×1`."""
    marks = Text()
    shown = [alarm.priority for alarm in alarms if not alarm.is_suppressed]
    for priority in sorted(set(shown)):
        marks.append_text(mark(priority)).append(f" ×{shown.count(priority)}  ")
    marks.rstrip()
    return marks


def _supplies(station: StationStatus) -> Sequence[LoopStatus | None]:
    return [loop for loop in station.loops if loop.name.endswith(_SUPPLY)] or [None]


def _authority(station: StationStatus) -> Text:
    is_ours = station.authority == "heatd"
    return Text(station.authority) if is_ours else Text(f"▲ {station.authority}", _COLOURS[2])


def _verdict(*, is_verified: bool | None) -> str:
    if is_verified is None:
        return "not written"
    return "verified" if is_verified else "NOT verified"


def _title(name: str, is_simulation: bool, is_read_only: bool, at: datetime) -> Text:  # noqa: FBT001 - two marks of one title
    title = Text(name, style="bold")
    if is_simulation:
        title.append("  SIMULATION", style="bold reverse")
    if is_read_only:
        title.append("  READ-ONLY", style="bold reverse")
    return title.append(f"  {_when(at)}", style="not bold")


def _table(title: str | Text) -> Table:
    return Table(title=title, title_justify="left", box=None, pad_edge=False, padding=(0, 2, 0, 0))


def _number(value: float | None) -> str:
    return _quantity(value, "")


def _quantity(value: float | None, unit: str) -> str:
    if value is None:
        return _NOTHING
    number = f"{value:.3g}" if abs(value) < 1.0 else f"{value:.1f}"
    return f"{number} {unit}".rstrip()


def _when(at: datetime) -> str:
    return f"{at.astimezone():%Y-%m-%d %H:%M:%S}"


def _local(zh: str, en: str) -> str:
    """Return the text in the language of the terminal."""
    language = (
        os.environ.get("LC_ALL") or os.environ.get("LC_MESSAGES") or os.environ.get("LANG", "")
    )
    return (zh or en) if language.startswith("zh") else (en or zh)
