"""The commands `heatd-sim bench ...`: how good the control is, and how fast a season passes.

Rule: heavy imports stand inside the commands; the result goes to standard output, talk to standard
error.
"""

import json
import os
import time
from dataclasses import asdict
from enum import Enum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

if TYPE_CHECKING:
    from collections.abc import Mapping

    from hil_sim.bench.control import Settings
    from hil_sim.bench.rig import Collectors
    from hil_sim.bench.weeks import Week
    from hil_sim.plant.station import StationParameters

bench = typer.Typer(
    help="Measure the control against the physical limit, and a season's speed.",
    no_args_is_help=True,
    rich_markup_mode=None,
)

_FOUND_A_FAULT, _WRONG_USE = 1, 2
_WORKERS_MAX = 2
_FULL_SCAN_S, _SHORT_SCAN_S = 6.0, 10.0


class Output(Enum):
    """How a benchmark answers: for people or for programs."""

    TEXT = "text"
    JSON = "json"


OutputOption = Annotated[
    Output, typer.Option("--output", "-o", help="json where a program reads it.")
]
SeedOption = Annotated[int, typer.Option(help="Of all chance: the same seed, the same run.")]
PlantOption = Annotated[
    Path | None,
    typer.Option(help="YAML of a plant, or of stations by name; without it the reference plant."),
]
StationOption = Annotated[
    str, typer.Option(help="Which station of --plant; without it all of them, one after another.")
]


@bench.command()
def control(  # noqa: PLR0913, PLR0917 - the options of a command
    output: OutputOption = Output.TEXT,
    seed: SeedOption = 1,
    short: Annotated[  # noqa: FBT002 - a flag of the command line
        bool, typer.Option("--short", help="Shorter weeks, two controllers: under a minute.")
    ] = False,
    plots: Annotated[
        Path | None, typer.Option(help="Folder for a picture of each week, PNG.")
    ] = None,
    plant: PlantOption = None,
    station: StationOption = "",
    weather: Annotated[
        Path | None,
        typer.Option(help="CSV of time, outdoor °C, global W/m²: one week instead of the four."),
    ] = None,
    rooms_late: Annotated[str, typer.Option(help="Room data come so late, as in 90min.")] = "0 s",
    rooms_noise: Annotated[float, typer.Option(min=0.0, help="More noise on them, K.")] = 0.0,
) -> None:
    """Measure the shipped controller against usual ones and the clairvoyant bound.

    Example: heatd-sim bench control --short -o json
    """
    collectors = _collectors(rooms_late, rooms_noise)
    weeks = _weeks(weather, seed, is_short=short)
    found: dict[str, Any] = {}
    for name, parameters in _plants(plant, station).items():
        began_s = time.perf_counter()
        settings = _settings(parameters, weeks, seed, collectors, is_short=short)
        figures = _measured(name, settings, plots)
        wall_s = round(time.perf_counter() - began_s, 1)
        found[name] = {"plant": name, "seed": seed, "short": short, **figures, "wall_s": wall_s}
        if output is Output.TEXT:
            from hil_sim.bench.report import print_control  # noqa: PLC0415 - quick --help

            print_control(found[name])
    if output is Output.JSON:
        whole = next(iter(found.values())) if len(found) == 1 else {"stations": found}
        typer.echo(json.dumps(whole, ensure_ascii=False))


@bench.command()
def season(
    output: OutputOption = Output.TEXT,
    seed: SeedOption = 1,
    days: Annotated[float, typer.Option(min=0.5, max=183.0, help="Days from 1 October.")] = 183.0,
    plant: PlantOption = None,
    station: StationOption = "",
) -> None:
    """Play a whole heating season of one station with the real decision, and tell how long it took.

    Example: heatd-sim bench season -o json
    """
    from hil_sim.bench.season import play_season  # noqa: PLC0415 - quick --help
    from hil_sim.console import progress  # noqa: PLC0415 - quick --help

    for name, parameters in _plants(plant, station).items():
        with progress(name) as tell:
            result = asdict(play_season(parameters, seed=seed, days=days, tell=tell))
        if output is Output.JSON:
            typer.echo(json.dumps({"plant": name, "seed": seed, **result}, ensure_ascii=False))
        else:
            typer.echo(
                f"{name}: {result['days']:g} days in {result['wall_s']:.0f} s "
                f"({result['ratio']:.0f} times the calibration loop), {result['heat_mwh']:.0f} MWh"
            )


def _settings(
    plant: "StationParameters",
    weeks: "tuple[Week, ...]",
    seed: int,
    collectors: "Collectors",
    *,
    is_short: bool,
) -> "Settings":
    from hil_sim.bench.control import Settings  # noqa: PLC0415 - quick --help
    from hil_sim.bench.controllers import (  # noqa: PLC0415 - quick --help
        ANCHOR,
        CONTROLLERS,
        SHIPPED,
    )

    return Settings(
        plant=plant,
        weeks=weeks,
        seed=seed,
        scan_s=_SHORT_SCAN_S if is_short else _FULL_SCAN_S,
        collectors=collectors,
        controllers=(SHIPPED, ANCHOR) if is_short else CONTROLLERS,
        workers=min(os.cpu_count() or 1, _WORKERS_MAX),
    )


def _measured(name: str, settings: "Settings", plots: Path | None) -> dict[str, Any]:
    """Return the figures of one plant, and draw its weeks."""
    from hil_sim.bench.clairvoyant import NoOptimizer  # noqa: PLC0415 - quick --help
    from hil_sim.bench.control import BoundBeaten, bench_control  # noqa: PLC0415 - quick --help
    from hil_sim.bench.plots import NoPlots, draw_weeks  # noqa: PLC0415 - quick --help
    from hil_sim.console import progress  # noqa: PLC0415 - quick --help

    try:
        with progress(name) as tell:
            result = bench_control(settings, tell)
        drawn = [] if plots is None else draw_weeks(plots, name, result.traces)
    except (BoundBeaten, NoOptimizer, NoPlots) as error:
        _say(str(error))
        raise typer.Exit(_FOUND_A_FAULT) from error
    for path in drawn:
        _say(f"picture: {path}")
    figures = asdict(result)
    del figures["traces"]
    return figures


def _plants(path: Path | None, station: str) -> "Mapping[str, StationParameters]":
    from config.problem import ConfigErrors  # noqa: PLC0415 - quick --help
    from hil_sim.bench.stations import (  # noqa: PLC0415 - quick --help
        REFERENCE,
        read_plants,
        reference_plant,
    )

    if path is None:
        return {REFERENCE: reference_plant()}
    try:
        plants = read_plants(path)
    except ConfigErrors as error:
        _say(str(error))
        raise typer.Exit(_WRONG_USE) from error
    if not station:
        return plants
    if station not in plants:
        _say(f"{path} has no station {station}; it has {', '.join(plants)}")
        raise typer.Exit(_WRONG_USE)
    return {station: plants[station]}


def _weeks(path: Path | None, seed: int, *, is_short: bool) -> "tuple[Week, ...]":
    from hil_sim.bench.weeks import (  # noqa: PLC0415 - quick --help
        BadWeatherFile,
        usual_weeks,
        week_of_file,
    )

    if path is None:
        return usual_weeks(seed, is_short=is_short)
    try:
        return (week_of_file(path, seed, is_short=is_short),)
    except BadWeatherFile as error:
        _say(str(error))
        raise typer.Exit(_WRONG_USE) from error


def _collectors(late: str, noise_k: float) -> "Collectors":
    from config.quantities import parse  # noqa: PLC0415 - quick --help
    from core.parameters import Unreadable  # noqa: PLC0415 - quick --help
    from core.point import Unit  # noqa: PLC0415 - quick --help
    from hil_sim.bench.rig import Collectors  # noqa: PLC0415 - quick --help

    try:
        return Collectors(late_s=parse(late, Unit.SECOND), noise_k=noise_k)
    except Unreadable as error:
        _say(f"--rooms-late: {error}")
        raise typer.Exit(_WRONG_USE) from error


def _say(text: str) -> None:
    typer.echo(text, err=True)
