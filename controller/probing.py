"""What `heatd probe` does: asks a station's devices, shows what they say, keeps it as a sheet.

Rule: data go to stdout and words to stderr; a device that does not answer is told, and ends with 1.
"""

import asyncio
import json
import math
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path

import typer
from rich.table import Table

from config.load import load
from config.model import Station
from config.problem import ConfigErrors
from controller.ask import console
from controller.cli_words import complain
from controller.probe import Probed, modbus_of, probe
from controller.probe_sheet import sheet
from core.clock import SystemClock
from core.point import Quality
from drivers.base import DriverError
from drivers.doctor import Diagnosis, examine
from drivers.line import LineError

_SHOW_EVERY = 25


def loaded(directory: Path, station: str) -> Station:
    """Return the station of that name; anything else ends with a word about it."""
    try:
        site = load(directory)
    except ConfigErrors as errors:
        complain(*map(str, errors.problems), f"problems: {len(errors.problems)}")
    found = next((one for one in site.stations if one.station == station), None)
    if found is None:
        known = ", ".join(one.station for one in site.stations)
        complain(f"there is no station `{station}`; there are: {known}")
    return found


def probe_all(station: Station, file: Path | None, *, as_json: bool) -> None:
    """Show every point of a station, and write the sheet where one is wanted."""
    rows, failure = asyncio.run(_collected(station))
    if rows and file is not None:
        title = f"{station.station} {station.name.zh}"
        taken = SystemClock().now().utc.astimezone().isoformat(sep=" ", timespec="seconds")
        file.write_text(sheet(title, taken, rows, file.suffix), "utf-8", newline="")
        typer.echo(f"written: {file}", err=True)
    if as_json:
        typer.echo(json.dumps([_as_json(one) for one in rows], ensure_ascii=False, indent=1))
    elif rows:
        console().print(_table(rows))
    not_good = sum(one.quality != Quality.GOOD.name for one in rows)
    typer.echo(f"{len(rows) - not_good} of {len(rows)} points are good", err=True)
    if failure:
        complain(failure)
    if not_good:
        raise typer.Exit(1)


async def _collected(station: Station) -> tuple[list[Probed], str]:
    """Return what came before a device fell silent, and what is wrong with that one."""
    rows: list[Probed] = []
    try:
        async for one in probe(station):
            rows.append(one)
            if len(rows) % _SHOW_EVERY == 0:
                typer.echo(f"{len(rows)} of {len(station.points)} points read", err=True)
    except (LineError, DriverError) as error:
        return rows, str(error)
    return rows, ""


def _as_json(one: Probed) -> dict[str, object]:
    row = asdict(one)
    return row | {"value": None if math.isnan(one.value) else one.value}


def _table(rows: Sequence[Probed]) -> Table:
    table = Table(box=None, pad_edge=False)
    for heading in ("tag", "address", "raw", "value", "unit", "quality", "name", ""):
        table.add_column(heading, justify="right" if heading == "value" else "left")
    for one in rows:
        said = one.said or (f"calibrated {one.correction:+g} {one.unit}" if one.correction else "")
        table.add_row(one.tag, one.at, one.raw, one.shown, one.unit, one.quality, one.name, said)
    return table


def examine_all(station: Station, *, as_json: bool) -> None:
    """Show what the Modbus devices of a station bear, as keys for their entries."""
    devices = modbus_of(station)
    if not devices:
        complain(f"`{station.station}` has no device on Modbus")
    found: dict[str, Diagnosis] = {}
    for name, device in devices.items():
        typer.echo(f"{name} ({device.settings.line.where})", err=True)
        try:
            found[name] = asyncio.run(examine(device.settings, device.registers, _say))
        except LineError as error:
            complain(f"{name}: {error}")
    if as_json:
        rows = {
            name: asdict(one) | {"settings": dict(one.settings())} for name, one in found.items()
        }
        typer.echo(json.dumps(rows, ensure_ascii=False, indent=1))
    else:
        typer.echo("\n".join(_findings(found)))
    if any(one.refused or one.silent for one in found.values()):
        raise typer.Exit(1)


def _say(what: str) -> None:
    typer.echo(f"  {what}", err=True)


def _findings(found: dict[str, Diagnosis]) -> list[str]:
    """Return the YAML for the station file, with what speaks for each key as comments."""
    lines = ["devices:"]
    for name, one in found.items():
        counted = ", ".join(f"{order} {count}" for order, count in one.votes.items())
        lines.append(f"  {name}:")
        lines += [f"    {key}: {value}" for key, value in one.settings().items()]
        lines.append(f"    # plausible values in each byte order: {counted}")
        if one.word_order is None:
            lines.append("    # no byte order stands out: let the plant run, or add ranges")
        if one.max_block and not one.is_block_limited:
            lines.append(
                f"    # it gave {one.max_block} registers at once, the longest run of the map"
            )
        if one.min_gap_s is None:
            lines.append(
                "    # with no pause up to 0.2 s did it answer every time: look at the line"
            )
        lines += [
            f"    # {tag}: refused (Modbus exception {code})" for tag, code in one.refused.items()
        ]
        lines += [f"    # {tag}: {why}" for tag, why in one.silent.items()]
    return lines
