"""The `heatd` command: run the daemon, check a configuration, look at stations, operate them.

Rule: data go to stdout and words to stderr; exit 0 well, 1 a fault was found, 2 wrong use.
"""
# ruff: noqa: PLC0415 - whatever loads slowly is imported where it is needed: --help is instant

import asyncio
import json
import re
from dataclasses import asdict
from datetime import datetime, time, timedelta
from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from controller.cli_words import Directory, Output, OutputAs, complain, number
from controller.commissioning import new_app, probe

_LEASE = re.compile(r"(\d+(?:\.\d+)?)\s*(s|min|h|d)")
_LEASE_UNIT_S = {"s": 1.0, "min": 60.0, "h": 3600.0, "d": 86400.0}

app = typer.Typer(
    name="heatd",
    help="Supervises and controls heat-exchange stations.",
    epilog="Example: heatd status st-01",
    no_args_is_help=True,
    rich_markup_mode=None,  # plain help comes twice as fast
    pretty_exceptions_show_locals=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)
alarms_app = typer.Typer(
    help="Show the alarms, or acknowledge one.",
    epilog="Example: heatd alarms --all",
    rich_markup_mode=None,
)
source_app = typer.Typer(
    help="Start or stop a backup source.",
    epilog='Example: heatd source start st-01 --why "network is lost"',
    no_args_is_help=True,
    rich_markup_mode=None,
)
app.add_typer(alarms_app, name="alarms")
app.add_typer(source_app, name="source")
app.add_typer(new_app, name="new")
app.command(epilog="Example: heatd probe /etc/heatd st-01 --sheet st-01.html")(probe)


class Mode(StrEnum):
    """Who moves a loop's output."""

    MAN = "man"
    AUTO = "auto"


SocketPath = Annotated[
    Path | None,
    typer.Option("--socket", envvar="HEATD_SOCKET", help="Control socket of the daemon."),
]
Station = Annotated[str, typer.Argument(help="Name of the station, as `heatd status` shows it.")]
Loop = Annotated[str, typer.Argument(help="Name of the loop, e.g. T2g.")]
Why = Annotated[str, typer.Option("--why", help="Why, in a few words; it goes into the audit.")]
Yes = Annotated[bool, typer.Option("--yes", help="Do not ask: for scripts.")]
AsName = Annotated[str, typer.Option("--as", help="Who you are, where you work as root.")]
Source = Annotated[str, typer.Option("--source", help="Which, where a station has several.")]
Lease = Annotated[
    str,
    typer.Option(
        "--lease",
        help="How long it stays, e.g. 90min; 4h if not said, 24h for an offset and at most.",
    ),
]


@app.command(epilog="Example: heatd run /etc/heatd --read-only")
def run(
    directory: Directory,
    *,
    read_only: Annotated[
        bool, typer.Option("--read-only", help="Read and compute, but write to no PLC.")
    ] = False,
    state: Annotated[
        Path, typer.Option(envvar="STATE_DIRECTORY", help="Where the journal lies.")
    ] = Path("/var/lib/heatd"),
    runtime: Annotated[
        Path, typer.Option(envvar="RUNTIME_DIRECTORY", help="Where the control socket lies.")
    ] = Path("/run/heatd"),
) -> None:
    """Run the daemon until it is told to stop."""
    from config.problem import ConfigErrors
    from controller.ask import leaves
    from controller.listener import SocketInUseError
    from controller.live import run_daemon
    from history.journal import JournalError

    for folder, option in ((state, "--state"), (runtime, "--runtime")):
        try:
            folder.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            complain(f"{folder}: {error.strerror}. Make it, or name another folder with {option}.")
    refused: list[str] = []
    try:
        asyncio.run(run_daemon(directory, state, runtime, read_only=read_only))
    except* ConfigErrors as group:
        refused += [str(error) for error in leaves(group)]
    except* (JournalError, SocketInUseError) as group:
        refused += [str(error) for error in leaves(group)]
    if refused:
        complain(*refused)


@app.command(epilog="Example: heatd check /etc/heatd -o json")
def check(directory: Directory, output: OutputAs = Output.TEXT) -> None:
    """Check a configuration just as the daemon's start does."""
    from config.load import load
    from config.problem import ConfigErrors

    try:
        site = load(directory)
    except ConfigErrors as errors:
        if output is Output.JSON:
            rows = [asdict(problem) for problem in errors.problems]
            typer.echo(json.dumps(rows, ensure_ascii=False, indent=2))
        complain(*map(str, errors.problems), f"problems: {len(errors.problems)}")
    found = {
        "stations": len(site.stations),
        "circuits": sum(len(station.circuits) for station in site.stations),
        "devices": sum(len(station.devices) for station in site.stations),
        "points": sum(len(station.points) for station in site.stations),
        "alarms": sum(len(station.alarms) for station in site.stations),
    }
    if output is Output.JSON:
        typer.echo(json.dumps(found))
    else:
        typer.echo("good: " + ", ".join(f"{count} {what}" for what, count in found.items()))


@app.command(epilog="Example: heatd status st-01 --watch")
def status(
    station: Annotated[str, typer.Argument(help="One station in detail; all where left out.")] = "",
    *,
    output: OutputAs = Output.TEXT,
    watch: Annotated[bool, typer.Option("--watch", help="Go on showing what changes.")] = False,
    socket: SocketPath = None,
) -> None:
    """Show all stations, or one in detail."""
    from controller import ask

    show = ask.watch if watch else ask.status
    show(socket, station, as_json=output is Output.JSON)


@alarms_app.callback(invoke_without_command=True)
def alarms(
    context: typer.Context,
    *,
    output: OutputAs = Output.TEXT,
    everything: Annotated[bool, typer.Option("--all", help="What happened before, too.")] = False,
    socket: SocketPath = None,
) -> None:
    """Show the alarms that are not normal, the most urgent first."""
    if context.invoked_subcommand is not None:
        return
    from controller import ask

    ask.alarms(socket, with_history=everything, as_json=output is Output.JSON)


@alarms_app.command("ack", epilog='Example: heatd alarms ack st-01 T2G_HIGH --why "valve is stuck"')
def acknowledge(
    station: Station,
    alarm: Annotated[str, typer.Argument(help="Name of the alarm, as `heatd alarms` shows it.")],
    *,
    why: Why,
    yes: Yes = False,  # noqa: ARG001 - it never asks; scripts say the same to every command
    as_name: AsName = "",
    socket: SocketPath = None,
) -> None:
    """Acknowledge an alarm: somebody has seen it. It moves nothing, and so asks nothing."""
    from controller import ask

    ask.acknowledge(socket, station=station, alarm=alarm, why=why, as_name=as_name)


@app.command(
    "set",
    # A negative value is a value, not an option.
    context_settings={"ignore_unknown_options": True},
    epilog='Example: heatd set st-01 CV1_SV 45 --why "valve test" --lease 30min',
)
def set_point(
    station: Station,
    point: Annotated[
        str,
        typer.Argument(help="Output of a loop in manual, `offset`, `setpoint`, or a bad point."),
    ],
    value: Annotated[
        float,
        typer.Argument(parser=number, metavar="value", help="The value, in the point's unit."),
    ],
    *,
    why: Why,
    lease: Lease = "",
    yes: Yes = False,
    as_name: AsName = "",
    socket: SocketPath = None,
) -> None:
    """Set a manual output, shift a curve, give a setpoint, or stand in for a bad sensor.

    `heatd mode STATION setpoint auto` gives the setpoint back to the curve, and an offset of 0
    takes one back.
    """
    lease_s = _lease_s(lease)
    from api.messages import SetRequest
    from controller import ask

    ask.operate(
        socket,
        SetRequest,
        yes=yes,
        station=station,
        point=point,
        value=value,
        why=why,
        lease_s=lease_s,
        as_name=as_name,
    )


@app.command(epilog='Example: heatd mode st-01 T2g man --why "valve test"')
def mode(
    station: Station,
    loop: Loop,
    wanted: Annotated[Mode, typer.Argument(metavar="man|auto")],
    *,
    why: Why,
    lease: Lease = "",
    yes: Yes = False,
    as_name: AsName = "",
    socket: SocketPath = None,
) -> None:
    """Put a loop into manual, or back into automatic.

    In manual its output stays as it is, until you set it or the lease ends.
    """
    lease_s = _lease_s(lease)
    from api.messages import ModeRequest
    from controller import ask

    ask.operate(
        socket,
        ModeRequest,
        yes=yes,
        station=station,
        loop=loop,
        mode=wanted.value,
        why=why,
        lease_s=lease_s,
        as_name=as_name,
    )


@app.command(epilog='Example: heatd tune st-01 T2g --why "new valve"')
def tune(
    station: Station,
    loop: Loop,
    *,
    why: Why,
    output: OutputAs = Output.TEXT,
    yes: Yes = False,
    as_name: AsName = "",
    socket: SocketPath = None,
) -> None:
    """Bump the valve of a supply loop a little, and print the gains that fit its answer.

    It waits for ten calm minutes, takes seven more, and changes no setting: write the lines that it
    prints into the station's file yourself. An alarm, a lost sensor, a primary that moves, or ^C
    end it, and the valve goes back to where it stood.
    """
    from controller import ask

    ask.tune(
        socket, station, loop, as_json=output is Output.JSON, yes=yes, why=why, as_name=as_name
    )


@source_app.command(epilog='Example: heatd source start st-01 --why "network is lost"')
def start(
    station: Station,
    *,
    why: Why,
    source: Source = "",
    yes: Yes = False,
    as_name: AsName = "",
    socket: SocketPath = None,
) -> None:
    """Start the backup source of a station."""
    _move_source(
        socket, yes=yes, action="start", station=station, source=source, why=why, as_name=as_name
    )


@source_app.command(epilog='Example: heatd source stop st-01 --why "network is back"')
def stop(
    station: Station,
    *,
    why: Why,
    source: Source = "",
    yes: Yes = False,
    as_name: AsName = "",
    socket: SocketPath = None,
) -> None:
    """Go back to the network."""
    _move_source(
        socket, yes=yes, action="stop", station=station, source=source, why=why, as_name=as_name
    )


@app.command(epilog="Example: heatd explain st-01 T2g --at 03:20")
def explain(
    station: Station,
    loop: Loop,
    *,
    at: Annotated[
        str, typer.Option("--at", help="A past moment: 2026-01-15 03:20, or 03:20 for the last.")
    ] = "",
    output: OutputAs = Output.TEXT,
    socket: SocketPath = None,
) -> None:
    """Show why a loop does what it does, or why it did what it did.

    The chain leads from the outdoor temperature to the write that the PLC was read back for.
    """
    from controller import ask
    from core.clock import SystemClock

    moment = _moment(at, SystemClock().now().utc) if at else None
    ask.explain(socket, station, loop, at=moment, as_json=output is Output.JSON)


def main() -> None:
    """Run the command line."""
    app()


def _move_source(socket: Path | None, *, yes: bool, **fields: str) -> None:
    from api.messages import SourceRequest
    from controller import ask

    ask.operate(socket, SourceRequest, yes=yes, **fields)


def _moment(text: str, now: datetime) -> datetime:
    """Return the moment that is meant: without a zone, the machine's; without a day, the last."""
    try:
        if "-" not in text:
            local = now.astimezone()
            moment = datetime.combine(local.date(), time.fromisoformat(text), local.tzinfo)
            return moment if moment <= local else moment - timedelta(days=1)
        return datetime.fromisoformat(text).astimezone()
    except ValueError:
        what = f"`{text}` is no moment; write it as in `2026-01-15 03:20`, or `03:20`"
        raise typer.BadParameter(what, param_hint="--at") from None


def _lease_s(text: str) -> float:
    """Return a duration in s, 0 where none is given: the daemon's default."""
    if not text:
        return 0.0
    found = _LEASE.fullmatch(text.strip())
    if found is None:
        what = "write a number and s, min, h or d, as in 90min"
        raise typer.BadParameter(what, param_hint="--lease")
    return float(found[1]) * _LEASE_UNIT_S[found[2]]
