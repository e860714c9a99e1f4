"""The command `heatd-sim`: simulated stations at a desk, in a drill, or as a whole demo.

Rule: heavy imports stand inside the commands, so that --help is quick; data go to standard output,
talk to standard error.
"""

import json
from dataclasses import asdict
from enum import Enum
from pathlib import Path
from typing import Annotated, Any, Literal

import typer

from hil_sim.bench.cli import bench
from hil_sim.bench_poll.cli import poll

app = typer.Typer(
    name="heatd-sim",
    help="Simulated heat-exchange stations: a demo, drills in virtual time, faults.",
    no_args_is_help=True,
    rich_markup_mode=None,
    pretty_exceptions_show_locals=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)

app.add_typer(bench, name="bench")
bench.command()(poll)

FOUND_A_FAULT = 1
WRONG_USE = 2


class Output(Enum):
    """How a command answers: for people or for programs."""

    TEXT = "text"
    JSON = "json"


OutputOption = Annotated[
    Output, typer.Option("--output", "-o", help="json where a program reads it.")
]
SeedOption = Annotated[int, typer.Option(help="Of all chance: the same seed, the same run.")]


@app.command()
def demo(
    seconds: Annotated[
        float, typer.Option(help="End by itself after so many real seconds; 0: at Ctrl-C.")
    ] = 0.0,
    speed: Annotated[float, typer.Option(min=1, max=60, help="Times real time.")] = 30.0,
    seed: SeedOption = 1,
    output: OutputOption = Output.TEXT,
) -> None:
    """Run two simulated stations and the daemon, with a live table.

    Example: heatd-sim demo --seconds 60 -o json
    """
    from hil_sim.console import live, progress  # noqa: PLC0415 - quick --help
    from hil_sim.demo import DemoFailed, prefill, prepare, run_live  # noqa: PLC0415 - quick --help

    try:
        folder, plan = prepare(speed=speed, seed=seed)
        with progress("a day of history, in virtual time") as tell:
            prefill(folder, plan, tell)
        _say(f"state and logs: {folder}")
        _say(f"ask the daemon: HEATD_SOCKET={folder}/control.sock ./run heatd status")
        with live(is_wanted=output is Output.TEXT) as show:
            found = run_live(folder, plan, seconds=seconds, show=show)
    except DemoFailed as error:
        _say(str(error))
        raise typer.Exit(FOUND_A_FAULT) from error
    if output is Output.JSON:
        typer.echo(json.dumps(found, ensure_ascii=False))


@app.command()
def run(
    scenario: Annotated[str, typer.Argument(help="Name, or a file; `list` shows the names.")],
    seed: SeedOption = 1,
    output: OutputOption = Output.TEXT,
    trace: Annotated[
        Path | None, typer.Option(help="Write a CSV with a row for each scan.")
    ] = None,
) -> None:
    """Play a scenario in virtual time: real daemon and drivers, simulated plant and network.

    Example: heatd-sim run cold-snap --seed 1 -o json
    """
    from config.problem import ConfigErrors  # noqa: PLC0415 - quick --help
    from hil_sim.console import print_result, progress  # noqa: PLC0415 - quick --help
    from hil_sim.play import Row, play  # noqa: PLC0415 - quick --help
    from hil_sim.scenario import load_scenario, names  # noqa: PLC0415 - quick --help

    if scenario == "list":
        for name in names():
            typer.echo(f"{name:16} {load_scenario(name).about}")
        return
    try:
        loaded = load_scenario(scenario)
    except (FileNotFoundError, ConfigErrors) as error:
        _say(str(error))
        raise typer.Exit(WRONG_USE) from error
    rows: list[Row] | None = None if trace is None else []
    with progress(loaded.scenario) as tell:
        result = play(loaded, seed=seed, progress=tell, rows=rows)
    if trace is not None and rows is not None:
        from hil_sim.trace import write_csv  # noqa: PLC0415 - only here

        write_csv(trace, rows)
    if output is Output.JSON:
        typer.echo(json.dumps(asdict(result), ensure_ascii=False))
    else:
        print_result(asdict(result), asked=scenario)
    for sentence in loaded.missed(result.figures):
        _say(f"missed: {sentence}")
    if result.verdict != "pass":
        raise typer.Exit(FOUND_A_FAULT)


@app.command()
def fault(
    station: Annotated[str, typer.Argument(help="A station of the running demo, as in st-01.")],
    name: Annotated[str, typer.Argument(help="What breaks, as in primary-lost.")],
    tag: Annotated[str, typer.Option(help="Where, for faults of a sensor or a pump.")] = "",
    amount: Annotated[
        float | None, typer.Option(help="How much of it, for faults of a hostile PLC.")
    ] = None,
    off: Annotated[bool, typer.Option("--off", help="Repair it.")] = False,  # noqa: FBT002 - a flag of the command line
) -> None:
    """Break something in a simulated station that runs, or repair it.

    Example: heatd-sim fault st-01 primary-lost
    """
    from hil_sim.doors import NoDemo, ask  # noqa: PLC0415 - quick --help

    request: dict[str, Any] = {"do": name, "on": not off}
    if tag:
        request["tag"] = tag
    if amount is not None:
        request["amount"] = amount
    try:
        answer = ask(station, request)
    except NoDemo as error:
        _say(str(error))
        raise typer.Exit(FOUND_A_FAULT) from error
    if not answer["ok"]:
        _say(answer["said"])
        raise typer.Exit(WRONG_USE)
    typer.echo(answer["said"])


@app.command()
def hostile(
    port: Annotated[int, typer.Option(min=0, max=65535, help="0: the system chooses.")] = 15021,
    seed: SeedOption = 1,
) -> None:
    """Serve the PLC of the first example station, and let it misbehave by `heatd-sim fault`.

    Example: heatd-sim hostile --port 15021
    """
    from config.load import load  # noqa: PLC0415 - quick --help
    from hil_sim.hostile_desk import serve_hostile  # noqa: PLC0415 - quick --help
    from hil_sim.play import EXAMPLES  # noqa: PLC0415 - quick --help

    try:
        serve_hostile(load(EXAMPLES).stations[0], port=port, seed=seed, say=_say)
    except OSError as error:
        _say(f"port {port} cannot be listened on: {error}")
        raise typer.Exit(FOUND_A_FAULT) from error


@app.command()
def faults(
    only: Annotated[
        list[str] | None, typer.Argument(help="Names of faults; all of them if none is given.")
    ] = None,
    repeat: Annotated[int, typer.Option(min=1, help="Play each so often.")] = 1,
    seed: SeedOption = 1,
    virtual: Annotated[bool, typer.Option("--virtual", help="In virtual time.")] = False,  # noqa: FBT002 - a flag of the command line
    output: OutputOption = Output.TEXT,
) -> None:
    """Play the fault catalogue on real sockets: a hostile PLC for each fault, one daemon for all.

    Example: heatd-sim faults --repeat 100 -o json
    """
    from hil_sim.console import print_faults, progress  # noqa: PLC0415 - quick --help
    from hil_sim.fault_run import chosen, play_rows  # noqa: PLC0415 - quick --help

    try:
        rows = chosen(only or [])
    except ValueError as error:
        _say(str(error))
        raise typer.Exit(WRONG_USE) from error
    with progress(f"{len(rows)} faults, {repeat} times") as tell:
        result = play_rows(rows, repeat=repeat, seed=seed, is_virtual=virtual, progress=tell)
    if output is Output.JSON:
        typer.echo(json.dumps(asdict(result), ensure_ascii=False))
    else:
        print_faults(asdict(result))
    if result.verdict != "pass":
        raise typer.Exit(FOUND_A_FAULT)


@app.command()
def fuzz(
    target: Annotated[Literal["modbus"], typer.Argument(help="What to fuzz.")],
    minutes: Annotated[float, typer.Option(min=0, help="For how long.")] = 10.0,
    seed: SeedOption = 1,
    only_round: Annotated[
        int | None, typer.Option("--round", min=0, help="Play one round again, and nothing else.")
    ] = None,
    processes: Annotated[int, typer.Option(min=1, max=64, help="How many work at once.")] = 1,
    output: OutputOption = Output.TEXT,
) -> None:
    """Feed random and damaged frames to our own protocol; a second decoder judges what it takes.

    Example: heatd-sim fuzz modbus --minutes 10 --seed 1 -o json
    """
    from hil_sim.console import print_fuzz, progress  # noqa: PLC0415 - quick --help
    from hil_sim.fuzz import fuzz_modbus  # noqa: PLC0415 - quick --help

    with progress(f"fuzz of {target}") as tell:
        result = fuzz_modbus(
            seed=seed,
            seconds=60.0 * minutes,
            only_round=only_round,
            processes=processes,
            progress=tell,
        )
    if output is Output.JSON:
        typer.echo(json.dumps(asdict(result), ensure_ascii=False))
    else:
        print_fuzz(asdict(result))
    if result.verdict != "pass":
        raise typer.Exit(FOUND_A_FAULT)


@app.command()
def serve(
    config: Annotated[Path, typer.Argument(help="Folder of a configuration.", exists=True)],
    speed: Annotated[float, typer.Option(min=1, max=60, help="Times real time.")] = 1.0,
    outdoor: Annotated[float, typer.Option(help="Outdoor temperature, degC.")] = -10.0,
    seed: SeedOption = 1,
) -> None:
    """Serve simulated PLCs for all stations of a configuration, for a daemon on the same desk.

    Example: heatd-sim serve config/examples
    """
    from config.load import load  # noqa: PLC0415 - quick --help
    from config.problem import ConfigErrors  # noqa: PLC0415 - quick --help
    from hil_sim.desk import NotSimulated, PortTaken, serve_site  # noqa: PLC0415 - quick --help

    try:
        serve_site(load(config), speed=speed, outdoor_c=outdoor, seed=seed, say=_say)
    except (ConfigErrors, PortTaken, NotSimulated) as error:
        _say(str(error))
        raise typer.Exit(FOUND_A_FAULT) from error


def main() -> None:
    """Run the command line."""
    app()


def _say(text: str) -> None:
    typer.echo(text, err=True)
