"""The command `heatd-sim bench poll`: what many polled points cost.

Rule: heavy imports stand inside the command; the result goes to standard output, talk to standard
error.
"""

import json
from enum import Enum
from typing import Annotated

import typer

from hil_sim.bench.cli import Output, OutputOption

_FOUND_A_FAULT, _WRONG_USE = 1, 2


class Loop(Enum):
    """The event loop of what is measured."""

    ASYNCIO = "asyncio"
    UVLOOP = "uvloop"


def poll(  # noqa: PLR0913, PLR0917 - the options of a command line
    stations: Annotated[int, typer.Option(min=1, max=5000, help="Stations polled.")] = 500,
    tags: Annotated[int, typer.Option(help="Float points of each.")] = 200,
    period: Annotated[float, typer.Option(min=1, help="Scan period, s.")] = 1.0,
    seconds: Annotated[float, typer.Option(min=1, help="Of each contender, measured.")] = 15.0,
    flat_out: Annotated[bool, typer.Option("--flat-out", help="Scan without a pause.")] = False,  # noqa: FBT002 - a flag of the command line
    undecided: Annotated[  # noqa: FBT002 - a flag of the command line
        bool,
        typer.Option("--undecided", help="With --flat-out: poll, check for alarms, store alone."),
    ] = False,
    against: Annotated[
        str, typer.Option(help="collectd,naive: compare poll, decode and store alone.")
    ] = "",
    loop: Annotated[Loop, typer.Option(help="uvloop needs the extra [uvloop].")] = Loop.ASYNCIO,
    output: OutputOption = Output.TEXT,
) -> None:
    """Measure what many polled points cost: the daemon against simulated PLCs on this machine.

    Example: heatd-sim bench poll --stations 100 --seconds 10 -o json
    """
    from hil_sim.bench_poll.poll import Asked, BenchFailed, run_bench  # noqa: PLC0415 - quick --help
    from hil_sim.console import print_figures, progress  # noqa: PLC0415 - quick --help

    asked = Asked(
        stations=stations,
        tags=tags,
        period_s=period,
        seconds=seconds,
        loop=loop.value,
        is_flat_out=flat_out,
        is_undecided=undecided,
        against=[name for name in against.split(",") if name],
    )
    if fault := asked.fault():
        _say(fault)
        raise typer.Exit(_WRONG_USE)
    try:
        with progress("polling") as tell:
            found = run_bench(asked, tell, _say)
    except BenchFailed as error:
        _say(str(error))
        raise typer.Exit(_FOUND_A_FAULT) from error
    if output is Output.JSON:
        typer.echo(json.dumps(found))
    else:
        print_figures(found if asked.against else {"heatd": found})


def _say(text: str) -> None:
    typer.echo(text, err=True)
