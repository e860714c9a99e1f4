"""The commands of an engineer on site: `heatd new station` and `heatd probe`.

Rule: they work without the daemon, and neither of them writes to a PLC.
"""
# ruff: noqa: PLC0415 - whatever loads slowly is imported where it is needed: --help is instant

from pathlib import Path
from typing import Annotated

import typer

from controller.cli_words import Directory, Output, OutputAs, complain

new_app = typer.Typer(
    help="Write the files of a new station.",
    epilog="Example: heatd new station st-17 --from points.csv",
    no_args_is_help=True,
    rich_markup_mode=None,
)


@new_app.callback()
def new() -> None:
    """Write the files of a new station."""


@new_app.command(
    "station", epilog="Example: heatd new station st-17 --from points.xlsx --host 10.17.0.11"
)
def new_station(
    name: Annotated[str, typer.Argument(help="Name of the station: letters, digits, - and _.")],
    *,
    points: Annotated[
        Path, typer.Option("--from", exists=True, dir_okay=False, help="Point list, csv or xlsx.")
    ],
    directory: Annotated[
        Path, typer.Option("--dir", file_okay=False, help="Directory of the configuration.")
    ] = Path(),
    host: Annotated[str, typer.Option(help="Address of its PLC, where it is known.")] = "",
    port: Annotated[int, typer.Option(help="Port of its PLC.")] = 502,
    unit: Annotated[int, typer.Option(help="Unit identifier of its PLC.")] = 1,
) -> None:
    """Write a station file and its register map from a point list (点表).

    It says which rows it did not understand, and marks in the files what must be checked on site.
    """
    from config.new_station import UNKNOWN_HOST, NewStation, map_text, station_text
    from config.point_list import read_list
    from config.spreadsheet import UnreadableFile, read_rows

    if not (name.isascii() and name[:1].isalpha() and name.replace("-", "_").isidentifier()):
        raise typer.BadParameter(
            "write letters, digits, - and _, a letter first", param_hint="NAME"
        )
    try:
        listed = read_list(read_rows(points))
    except UnreadableFile as error:
        complain(str(error))
    if not listed.points:
        complain(f"{points.name}: none of its rows is understood", *_lost_lines(listed.lost))
    station = NewStation(
        name=name, source=points.name, host=host or UNKNOWN_HOST, port=port, unit=unit
    )
    files = {
        directory / "maps" / f"{station.map_name}.yaml": map_text(station, listed),
        directory / "stations" / f"{name}.yaml": station_text(station, listed),
    }
    taken = [path for path in files if path.exists()]
    if taken:
        complain(f"{taken[0]} is there already: remove it, or choose another name")
    site = directory / "heatd.yaml"
    if not site.exists():
        files[site] = "# The site: what holds for all stations.\nsimulation: false\n"
    for path, text in files.items():
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, "utf-8")
        typer.echo(f"written: {path}")
    checks = sum(text.count("CHECK") for text in files.values())
    typer.echo(f"understood: {len(listed.points)} of {len(listed.points) + len(listed.lost)} rows")
    typer.echo(f"to be checked on site: {checks} places marked CHECK")
    problems = _problems_of(directory, name, station.map_name)
    if listed.lost or problems:
        complain(*_lost_lines(listed.lost), *problems)


def _lost_lines(lost: tuple[tuple[int, str], ...]) -> list[str]:
    return [f"row {row}: {what}" for row, what in lost]


def _problems_of(directory: Path, name: str, map_name: str) -> list[str]:
    """Return what `heatd check` says of the new files."""
    from config.load import load
    from config.problem import ConfigErrors

    mine = {f"stations/{name}.yaml", f"maps/{map_name}.yaml"}
    try:
        load(directory)
    except ConfigErrors as errors:
        return [str(problem) for problem in errors.problems if problem.file in mine]
    return []


def probe(
    directory: Directory,
    station: Annotated[str, typer.Argument(help="Name of the station.")],
    *,
    sheet: Annotated[
        Path | None,
        typer.Option(dir_okay=False, help="Write the point-to-point sheet: .csv, .html or .md."),
    ] = None,
    doctor: Annotated[
        bool, typer.Option("--doctor", help="Find out byte order, holes, largest block and pace.")
    ] = False,
    output: OutputAs = Output.TEXT,
) -> None:
    """Read each point of a station once, without the daemon; nothing is ever written.

    With --doctor it finds out what an unknown PLC bears, and prints the keys for its entry.
    """
    from controller import probing
    from controller.probe_sheet import FORMATS

    if sheet is not None and sheet.suffix not in FORMATS:
        what = f"write a name that ends in {', '.join(FORMATS)}"
        raise typer.BadParameter(what, param_hint="--sheet")
    found = probing.loaded(directory, station)
    if doctor:
        probing.examine_all(found, as_json=output is Output.JSON)
    else:
        probing.probe_all(found, sheet, as_json=output is Output.JSON)
